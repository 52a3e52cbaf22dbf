"""Debian packages, fetched with apt into a private state, without root and without installing anything.

Which archives are asked, and through which proxy, is the host's own configuration of apt.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reddog.images._error import ImageError, find_tools

Progress = Callable[[str, float], None]

_TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}
_KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual")  # Debian's, Ubuntu's
_PACKAGES = ("busybox-static", "dropbear-bin", "e2fsprogs", "openssh-sftp-server", "sudo")
# Of what these depend on, only libraries and the kernel's own parts are of use here.
_FOLLOWED = re.compile(r"(lib|zlib|linux-image-\d|linux-modules-\d)")
_MANIFEST = "packages.json"
_FORMAT = 1
_POLL = 0.2
_NETWORK = "Check the network and the host's package sources (`apt-get update`), then try again."


@dataclass(frozen=True)
class _Package:
    name: str
    size: int
    file: str  # as apt names the download
    depends: tuple[tuple[str, ...], ...]  # each: alternatives


def fetch_packages(cache: Path, progress: Progress) -> list[Path]:
    """The packages that the image is made of, from the cache if all are there (then without any network).

    progress: told the phase, and how much of it is done (0 to 1).
    Raises ImageError: no apt, no network, or a package that the host's archives do not have.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    cached = _cached(cache)
    if cached is not None:
        return cached
    find_tools(_TOOLS)
    apt = _Apt(cache)
    progress("Reading package lists", 0.0)
    complaint = apt.update()
    packages = _closure(apt, complaint)
    apt.download(packages, progress)
    files = [cache / package.file for package in packages]
    manifest = {"format": _FORMAT, "files": {file.name: _digest(file) for file in files}}
    draft = cache / f"{_MANIFEST}.part"
    draft.write_text(json.dumps(manifest, indent=1))
    draft.replace(cache / _MANIFEST)
    return files


def _cached(cache: Path) -> list[Path] | None:
    try:
        manifest = json.loads((cache / _MANIFEST).read_bytes())
        files = {cache / name: digest for name, digest in manifest["files"].items()}
        sound = manifest["format"] == _FORMAT and all(_digest(file) == sum for file, sum in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return list(files) if sound else None


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _closure(apt: _Apt, complaint: str) -> list[_Package]:
    """The wanted packages and all libraries that they need, by name."""
    kernel = apt.show(_KERNELS)
    found = {package.name: package for package in (*kernel[:1], *apt.show(_PACKAGES))}
    absent = [name for name in _PACKAGES if name not in found]
    if not kernel or absent:
        names = ", ".join([*([] if kernel else [" or ".join(_KERNELS)]), *absent])
        message = f"The host's package sources do not offer {names}."
        raise ImageError(f"{message} {complaint}".strip(), _NETWORK)
    asked = set(found)
    new = list(found.values())
    while new:
        wanted = {name for package in new for name in _needed(package)} - asked
        asked |= wanted
        new = apt.show(sorted(wanted))
        found.update((package.name, package) for package in new)
    return sorted(found.values(), key=lambda package: package.name)


def _needed(package: _Package) -> Iterator[str]:
    for alternatives in package.depends:
        yield from [name for name in alternatives if _FOLLOWED.match(name)][:1]


class _Apt:
    """apt with a state of its own."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        state = cache / "apt"
        for name in ("lists/partial", "archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        settings = {
            "Dir::State": state,
            "Dir::State::Lists": state / "lists",
            "Dir::State::Status": state / "status",
            "Dir::Cache": state,
            "Dir::Cache::Archives": state / "archives",
            "Dir::Log": state,
            "Debug::NoLocking": "true",
            "APT::Architecture": "amd64",
            "APT::Get::List-Cleanup": "false",
            "Acquire::Languages": "none",
            "APT::Update::Pre-Invoke": "",
            **({"APT::Sandbox::User": "root"} if os.geteuid() == 0 else {}),
        }
        self._options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        # what the host does after its own updates is not to be done here
        self._options += ["-o", "APT::Update::Post-Invoke-Success=", "-o", "APT::Update::Post-Invoke="]

    def update(self) -> str:
        """Read the archives' lists; one that fails matters only if a package is missing then.

        Returns apt's last complaint, or nothing.
        """
        done = self._run("apt-get", "-q", "update")
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        return f"apt says: {complaints[-1][2:].strip()}" if complaints else ""

    def show(self, names: Sequence[str]) -> list[_Package]:
        """The newest version of each package that there is, in the order of the names."""
        if not names:
            return []
        done = self._run("apt-cache", "show", "--no-all-versions", *names)
        records = [_fields(record) for record in done.stdout.split("\n\n") if record.strip()]
        found = {record["Package"]: _package(record) for record in records if "Filename" in record}
        return [found[name] for name in names if name in found]

    def download(self, packages: Sequence[_Package], progress: Progress) -> None:
        """Fetch and verify the packages; those that are there already are not fetched again."""
        missing = [package for package in packages if not (self._cache / package.file).exists()]
        if not missing:
            return  # asked for nothing, apt-get fails
        total = sum(package.size for package in missing) or 1
        command = ["apt-get", *self._options, "-q", "download", *(package.name for package in missing)]
        with (self._cache / "apt" / "download.log").open("w+") as log:
            child = subprocess.Popen(
                command, cwd=self._cache, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
            try:
                while child.poll() is None:
                    progress("Downloading packages", min(1.0, self._fetched(missing) / total))
                    time.sleep(_POLL)
            finally:
                child.kill()
                child.wait()
            log.seek(0)
            said = log.read()
        if child.returncode or not all((self._cache / package.file).exists() for package in missing):
            complaints = [line[2:].strip() for line in said.splitlines() if line.startswith("E:")]
            reason = complaints[0] if complaints else "apt-get download failed."
            raise ImageError(f"The packages cannot be downloaded: {reason}", _NETWORK)

    def _fetched(self, packages: Sequence[_Package]) -> int:
        places = (self._cache / "apt/archives/partial", self._cache / "apt/archives", self._cache)
        files = (place / package.file for package in packages for place in places)
        return sum(file.stat().st_size for file in files if file.exists())

    def _run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool, *self._options, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(),
            check=False,
        )


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def _fields(record: str) -> dict[str, str]:
    lines = (line.partition(": ") for line in record.splitlines() if not line.startswith(" "))
    return {name: value for name, _, value in lines}


def _package(record: dict[str, str]) -> _Package:
    clauses = ",".join(record.get(field, "") for field in ("Pre-Depends", "Depends")).split(",")
    depends = tuple(tuple(map(_bare, clause.split("|"))) for clause in clauses if clause.strip())
    version = record["Version"].replace(":", "%3a")
    file = f"{record['Package']}_{version}_{record['Architecture']}.deb"
    return _Package(record["Package"], int(record["Size"]), file, depends)


def _bare(clause: str) -> str:
    """A package's name without version, architecture and space."""
    return re.split(r"[\s(:\[]", clause.strip(), maxsplit=1)[0]
