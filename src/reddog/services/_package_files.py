"""The files of package deployments: each package's roles, and each instance's disks."""

from __future__ import annotations

import errno
import io
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reddog.durable import sync_directory, sync_file, sync_new
from reddog.fabric import Disk
from reddog.packages import Package
from reddog.services.os_images import PlatformImage
from reddog.sparse import copy_sparse
from reddog.wire import errors

PACKAGE = "app.cspkg"
CONTENT_LUN, SETTINGS_LUN = 0, 1
SPARE = 256 << 20  # bytes of a system disk beyond its image and the role's local storage
_SECTOR = 512


class PackageFiles:
    """The directory of packages and role instances.

    A package's directory comes before its row and is cleaned up at the next start if that never came. Within it is
    a tar archive of every role. An instance's directory has its machine's id; it holds the system disk and the
    settings that the guest is told.

    Args:
        root: The directory; made 0700.
        image: What system disks are copies of; None: there is no image that runs roles.
    """

    def __init__(self, root: Path, image: PlatformImage | None) -> None:
        self._packages = root / "packages"
        self._instances = root / "instances"
        self.image = image
        for path in (root, self._packages, self._instances):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- packages -------------------------------------------------------------------------------------------

    def take(self, fetch: Callable[[Path], None]) -> str:
        """Keep a package, which `fetch` writes to a path; returns its new id."""
        id = uuid.uuid4().hex
        place = self._packages / id
        place.mkdir(mode=0o700)
        try:
            fetch(place / PACKAGE)
            sync_new(place / PACKAGE)
            sync_directory(self._packages)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return id

    def package(self, id: str) -> Path:
        """Where a package is, until its roles have been unpacked."""
        return self._packages / id / PACKAGE

    def unpack(self, id: str, roles: Iterable[str]) -> None:
        """Make the archives of a package's roles, unless they are there."""
        missing = [role for role in roles if not self.content(id, role).exists()]
        if missing:
            with Package(self.package(id)) as package:
                for role in missing:
                    with _appearing(self.content(id, role)) as draft:
                        package.write_role(role, draft)
            sync_directory(self.package(id).parent)
        self.package(id).unlink(missing_ok=True)

    def content(self, id: str, role: str) -> Path:
        """The archive of a role's files."""
        return self._packages / id / f"{role.lower()}.tar"

    def forget_package(self, id: str) -> None:
        """Remove a package's files."""
        shutil.rmtree(self._packages / id, ignore_errors=True)

    def forget_others(self, known: Iterable[str]) -> None:
        """Remove the packages that nobody knows."""
        for path in self._packages.iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    # -- instances ------------------------------------------------------------------------------------------

    def ensure_disk(self, machine: str, local_storage: int) -> None:
        """Make the system disk of an instance unless it is there; `local_storage`: bytes that the role may use."""
        target = self._disk(machine)
        if target.exists() or self.image is None:
            return
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with _appearing(target) as draft:
            copy_sparse(self.image.path, draft)
            size = self.image.size + SPARE + local_storage
            with draft.open("r+b") as file:
                file.truncate(self.image.size)  # without the footer of the image
                file.truncate(-(-size // _SECTOR) * _SECTOR)

    def write_settings(self, machine: str, files: Mapping[str, str]) -> None:
        """Write what the guest is told, as an archive."""
        target = self._settings(machine)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with _appearing(target) as draft, tarfile.open(draft, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, text in files.items():
                data = text.encode()
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o600
                archive.addfile(info, io.BytesIO(data))

    def disks(self, machine: str, package: str, role: str) -> tuple[Disk, tuple[Disk, ...]]:
        """An instance's disks: the system's, and those with the role's files and settings."""
        content, settings = self.content(package, role), self._settings(machine)
        system = self._disk(machine)
        return Disk(system, system.stat().st_size), (
            Disk(content, content.stat().st_size, CONTENT_LUN, read_only=True),
            Disk(settings, settings.stat().st_size, SETTINGS_LUN, read_only=True),
        )

    def forget_disk(self, machine: str) -> None:
        """Remove an instance's system disk."""
        self._disk(machine).unlink(missing_ok=True)

    def forget_instance(self, machine: str) -> None:
        """Remove all files of an instance."""
        shutil.rmtree(self._instances / machine, ignore_errors=True)

    def _disk(self, machine: str) -> Path:
        return self._instances / machine / "system.img"

    def _settings(self, machine: str) -> Path:
        return self._instances / machine / "settings.tar"


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A draft that appears as `target` when the block succeeds."""
    draft = target.with_name(f".{target.name}.partial")
    draft.unlink(missing_ok=True)
    try:
        draft.touch(mode=0o600, exist_ok=False)  # before there are secrets in it
        yield draft
        draft.chmod(0o600)
        sync_file(draft)
        draft.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.NO_SPACE(detail=f"there is no room for {target.name}.") from None
        raise
    finally:
        draft.unlink(missing_ok=True)
