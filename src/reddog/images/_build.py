"""The tiny Linux platform image."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from reddog.images._catalogue import ImageInfo, cannot_write, publish
from reddog.images._disk import DISK_TOOLS, write_disk
from reddog.images._error import ImageError, find_tools
from reddog.images._kernel import read_kernel
from reddog.images._packages import Progress, fetch_packages
from reddog.images._system import find_busybox, make_initramfs, make_root

TINY_NAME = "reddog-tiny-linux-1"


def build(target_dir: Path, *, cache: Path, progress: Progress) -> ImageInfo:
    """Make the tiny Linux image, a BIOS-bootable fixed VHD, from Debian packages and without root.

    Args:
        target_dir: The directory of images (see `catalogue`); the image appears there whole or not at all.
        cache: The directory of downloaded packages; a second build needs no network.
        progress: Told what is being done, and how much of the whole is done (0 to 1).

    Raises:
        ImageError: A tool is missing (its Debian package is named), no network, or no space.
    """
    find_tools(DISK_TOOLS)
    try:
        target_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        packages = fetch_packages(cache, lambda phase, done: progress(phase, 0.7 * done))
        with tempfile.TemporaryDirectory(prefix=".building-", dir=target_dir) as work:
            info = _build(target_dir, Path(work), packages, progress)
    except OSError as error:
        raise cannot_write(target_dir, error) from error
    except (subprocess.CalledProcessError, tarfile.TarError) as error:
        message = f"A package cannot be unpacked: {error}."
        raise ImageError(message, f"Remove {cache} and try again.") from error
    progress("Done", 1.0)
    return info


def _build(target_dir: Path, work: Path, packages: list[Path], progress: Progress) -> ImageInfo:
    progress("Unpacking packages", 0.7)
    kernel = read_kernel(packages)
    program = find_busybox(packages)
    root = make_root(packages, kernel, _applets(work, program))
    initramfs = make_initramfs(program, kernel)
    progress("Writing the disk", 0.85)
    draft = work / "disk.img"
    size = write_disk(draft, work, kernel.image, initramfs, root)
    info = ImageInfo(
        name=TINY_NAME,
        label="reddog tiny Linux 1",
        os="Linux",
        family="reddog tiny Linux",
        publisher="reddog",
        description=f"A small Linux (kernel {kernel.release}, busybox, dropbear SSH) that boots in seconds.",
        published=datetime.now(UTC),
        size=size,
        path=target_dir / f"{TINY_NAME}.vhd",
        runs_roles=True,
    )
    publish(draft, info)
    return info


def _applets(work: Path, program: bytes) -> list[str]:
    """The commands of this busybox, which only it can tell."""
    path = work / "busybox"
    path.write_bytes(program)
    path.chmod(0o700)
    done = subprocess.run([str(path), "--list"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name != "busybox"]
