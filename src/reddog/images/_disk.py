"""The disk: a boot partition (FAT, with syslinux) and the root (ext4), made by file operations alone."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

from reddog import vhd
from reddog.images._error import ImageError, find_tools
from reddog.images._tree import Tree

DISK_TOOLS = {
    "mformat": "mtools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
}
_MBR_PLACES = ("/usr/lib/syslinux/mbr/mbr.bin", "/usr/lib/SYSLINUX/mbr.bin", "/usr/share/syslinux/mbr.bin")
_MIB = 1 << 20
_BOOT_START = _MIB
_FREE = 48 * _MIB  # for what people write before the disk is made larger
_COMMAND_LINE = "console=tty0 console=ttyS0,115200 quiet loglevel=4 panic=0 mitigations=off"
_FAT, _LINUX = 0x0E, 0x83


def write_disk(target: Path, work: Path, kernel: bytes, initramfs: bytes, root: Tree) -> int:
    """Make a BIOS-bootable raw disk. work: a directory for drafts. Returns the disk's size in bytes.

    Raises ImageError for missing tools and for a full disk.
    """
    tools = find_tools(DISK_TOOLS)
    try:
        boot = _boot_partition(tools, work, kernel, initramfs)
        system = _root_partition(tools, work, root)
        return _assemble(target, boot, system)
    except subprocess.CalledProcessError as error:
        words = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        message = f"{Path(error.cmd[0]).name} failed: {words[-1] if words else 'it said nothing'}."
        raise ImageError(message, "Free some disk space, or report this with the message.") from error


def _run(*command: str | Path, feed: str | None = None) -> None:
    data = None if feed is None else feed.encode()
    subprocess.run([str(part) for part in command], input=data, capture_output=True, check=True)


def _boot_partition(tools: dict[str, str], work: Path, kernel: bytes, initramfs: bytes) -> Path:
    image = work / "boot.img"
    size = _round_up(len(kernel) + len(initramfs) + 2 * _MIB)
    _make_sparse(image, size)
    hidden = str(_BOOT_START // vhd.SECTOR)
    shape = ("-h", "255", "-s", "63", "-H", hidden, "-T", str(size // vhd.SECTOR))
    _run(tools["mformat"], "-i", image, *shape, "-v", "BOOT", "::")
    settings = (
        f"DEFAULT linux\nPROMPT 0\nLABEL linux\n LINUX vmlinuz\n INITRD initrd\n APPEND {_COMMAND_LINE}\n"
    )
    for name, content in (("vmlinuz", kernel), ("initrd", initramfs), ("syslinux.cfg", settings.encode())):
        (work / name).write_bytes(content)
        _run(tools["mcopy"], "-i", image, work / name, f"::{name}")
    _run(tools["syslinux"], "--install", image)
    return image


def _root_partition(tools: dict[str, str], work: Path, root: Tree) -> Path:
    """An ext4 file system; the files get their owner through debugfs, as only root could give them away."""
    directory, image = work / "root", work / "root.img"
    directory.mkdir(mode=0o755)
    root.write(directory)
    _make_sparse(image, _round_up(root.size * 5 // 4 + _FREE))
    shape = ("-t", "ext4", "-b", "4096", "-I", "256", "-m", "1", "-J", "size=4", "-L", "reddog-root")
    _run(
        tools["mke2fs"], "-q", "-F", *shape, "-E", "root_owner=0:0,lazy_itable_init=1", "-d", directory, image
    )
    if os.geteuid() != 0:
        owners = (f"sif /{path} {field} 0" for path in root.nodes for field in ("uid", "gid"))
        _run(tools["debugfs"], "-w", "-f", "-", image, feed="\n".join(owners) + "\n")
    return image


def _assemble(target: Path, boot: Path, root: Path) -> int:
    boot_size, root_size = boot.stat().st_size, root.stat().st_size
    root_start = _BOOT_START + boot_size
    size = root_start + root_size
    with target.open("wb") as disk:
        disk.write(_master_boot_record(boot_size, root_start, root_size))
        disk.truncate(size)
    _copy_sparse(boot, target, _BOOT_START)
    _copy_sparse(root, target, root_start)
    return size


def _master_boot_record(boot_size: int, root_start: int, root_size: int) -> bytes:
    code = next((Path(place) for place in _MBR_PLACES if Path(place).exists()), None)
    if code is None:
        message = "Building the image needs syslinux's mbr.bin, which is not installed."
        raise ImageError(message, "Install it: `sudo apt-get install syslinux-common`.")
    entries = _entry(0x80, _FAT, _BOOT_START, boot_size) + _entry(0, _LINUX, root_start, root_size)
    return (
        code.read_bytes()[:440].ljust(440, b"\0")
        + os.urandom(4)
        + bytes(2)
        + entries.ljust(64, b"\0")
        + b"\x55\xaa"
    )


def _entry(flag: int, kind: int, start: int, size: int) -> bytes:
    """A partition's entry; the cylinders are beyond what such entries can say, as everywhere today."""
    beyond = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", flag, beyond, kind, beyond, start // vhd.SECTOR, size // vhd.SECTOR)


def _copy_sparse(source: Path, target: Path, offset: int) -> None:
    with source.open("rb") as reader, target.open("r+b") as writer:
        position = 0
        while chunk := reader.read(1 << 16):
            if chunk.count(0) != len(chunk):
                writer.seek(offset + position)
                writer.write(chunk)
            position += len(chunk)


def _make_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _round_up(size: int) -> int:
    return -(-size // _MIB) * _MIB
