"""Reading a service package: the one archive of SDK 1.7 and later (OPC), or archives in an archive before.

Both are ZIP files from strangers: nothing is unpacked to a path that they name, sizes are limited, and what is
encrypted is refused by name.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from lxml import etree

from reddog.packages import _xml
from reddog.packages._definition import ServiceDefinition, parse_definition
from reddog.packages._error import PackageError

LARGEST = 2 << 30  # bytes of everything in a package, unpacked
MOST_FILES = 50_000
LONGEST_PATH = 1024
MANIFEST = "package.xml"
RELATIONSHIP = "http://schemas.microsoft.com/windowsazure/PackageDefinition/Version/"
DEFINITION = "ServiceDefinition/ServiceDefinition.csdef"
PRODUCT_VERSION = "http://schemas.microsoft.com/windowsazure/ProductVersion/"
_ENVELOPED = bytes.fromhex("2a864886f70d0107")  # PKCS #7, which older SDKs encrypt with
_PIECE = 1 << 20
_ENCRYPTED = PackageError(
    "The package is encrypted for Azure's own data centers.",
    "Make it with the SDK 1.7 or later, or with the environment variable _CSPACK_FORCE_NOENCRYPT_=true.",
)
_BROKEN = "Build it again, and upload it whole."


@dataclass(frozen=True)
class _File:
    """A file of a role: where it belongs, and how it is read. digest: its SHA-256, if the package tells it."""

    path: str
    size: int
    executable: bool
    open: Callable[[], IO[bytes]]
    digest: bytes | None = None


class Package:
    """A service package, read from a file; use it in a `with` statement.

    Args:
        path: The .cspkg file.

    Raises:
        PackageError: It is no package, is damaged or encrypted, or its definition is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._parts = ExitStack()
        try:
            with _archive_errors():
                self._read(path)
        except BaseException:
            self._parts.close()
            raise

    definition: ServiceDefinition
    definition_xml: str
    sdk_version: str

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *exception: object) -> None:
        self._parts.close()

    def files(self, role: str) -> list[str]:
        """The paths of a role's files, such as `approot/run.sh`, in order."""
        return [file.path for file in self._roles.get(role.lower(), ())]

    def write_role(self, role: str, target: Path) -> None:
        """Write a role's files into a tar archive, and fill it up to whole sectors of 512 bytes.

        :raises PackageError: a file is damaged.
        """
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive, _archive_errors():
            folder = tarfile.TarInfo("approot")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
            for file in self._roles.get(role.lower(), ()):
                _add(archive, file)

    # -- inside ---------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        self._roles: dict[str, list[_File]] = {}
        self.sdk_version = ""
        archive = self._parts.enter_context(_Archive(path))
        manifest = archive.manifest()
        if manifest is not None:
            self._read_manifest(archive, manifest)
        else:
            self._read_nested(archive)
        _require_bounded([file for files in self._roles.values() for file in files])

    def _read_manifest(self, archive: _Archive, name: str) -> None:
        root = _xml.parse(archive.read(name), "The package's manifest", "PackageDefinition")
        for pair in _xml.children(root, "PackageMetaData", "KeyValuePair"):
            key, value = (_xml.child(pair, part) for part in ("Key", "Value"))
            if key is not None and value is not None and (key.text or "").startswith(PRODUCT_VERSION):
                self.sdk_version = (value.text or "").strip()
        contents = {
            _text(one, "Name"): one for one in _xml.children(root, "PackageContents", "ContentDefinition")
        }
        definition = contents.get(DEFINITION)
        place = DEFINITION if definition is None else _text(definition, "ContentDescription", "DataStorePath")
        self._define(archive.read(place))
        for layout in _xml.children(root, "PackageLayouts", "LayoutDefinition"):
            kind, _, role = _text(layout, "Name").partition("/")
            if kind == "Roles" and role:
                entries = _xml.children(layout, "LayoutDescription", "FileDefinition")
                files = [_listed(entry, contents, archive) for entry in entries]
                self._roles[unquote(role).lower()] = _checked(files)

    def _read_nested(self, outer: _Archive) -> None:
        self._define(self._older_definition(outer))
        for info in outer.files:
            role = re.fullmatch(r"([^/]+)_[0-9a-fA-F-]{36}\.cssx", info.filename)
            if role:
                inner = self._inner(outer, info)
                files = [inner.file(one) for one in inner.files if one.filename.split("/")[0] in _CONTENT]
                self._roles[unquote(role[1]).lower()] = _checked(files)

    def _define(self, data: bytes) -> None:
        self.definition = parse_definition(data)
        root = _xml.parse(data, "The service definition", "ServiceDefinition")
        self.definition_xml = etree.tostring(root, encoding="unicode")  # whatever its encoding was

    def _older_definition(self, outer: _Archive) -> bytes:
        for info in outer.files:
            if info.filename.lower().endswith(".csdx"):
                inner = self._inner(outer, info)
                if inner.has("ServiceDefinition.csdef"):
                    return inner.read("ServiceDefinition.csdef")
        raise PackageError("It holds no service definition, so it is no service package.", _BROKEN)

    def _inner(self, outer: _Archive, info: zipfile.ZipInfo) -> _Archive:
        """An archive inside of the archive, unpacked to a file that has no name."""
        copy = self._parts.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the package
        with outer.zip.open(info) as source:
            shutil.copyfileobj(source, copy, _PIECE)
        copy.seek(0)
        if _ENVELOPED in copy.read(64):
            raise _ENCRYPTED
        return self._parts.enter_context(_Archive(copy))


_CONTENT = ("approot", "sitesroot")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that OPC allows, and that can be read in pieces


class _Archive:
    """A ZIP file, its files known by their names as OPC compares them."""

    def __init__(self, source: Path | IO[bytes]) -> None:
        self.zip = zipfile.ZipFile(source)
        self.files = [info for info in self.zip.infolist() if not info.is_dir()]
        if any(info.header_offset < 0 for info in self.files):
            raise zipfile.BadZipFile("A file begins before the archive")
        if len(self.files) > MOST_FILES:
            raise PackageError(f"It holds more than {MOST_FILES} files.", "Make it smaller.")
        if sum(info.file_size for info in self.files) > LARGEST:
            raise PackageError(f"It unpacks to more than {LARGEST >> 20} MiB.", "Make it smaller.")
        if any(info.flag_bits & 1 for info in self.files):
            raise _ENCRYPTED
        if any(info.compress_type not in _METHODS for info in self.files):
            raise PackageError("It is compressed in a way that packages are not.", "Use Deflate.")
        self._names = {_key(info.filename): info for info in self.files}

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self.zip.close()

    def has(self, name: str) -> bool:
        return _key(name) in self._names

    def find(self, name: str) -> zipfile.ZipInfo:
        info = self._names.get(_key(name))
        if info is None:
            raise PackageError(f"It lacks the file {name}, which it should hold.", _BROKEN)
        return info

    def read(self, name: str) -> bytes:
        """A file that has to fit into memory."""
        info = self.find(name)
        if info.file_size > _xml.LARGEST:
            raise PackageError(f"Its file {name} is larger than {_xml.LARGEST} bytes.", "Make it smaller.")
        with self.zip.open(info) as source:  # what it says of its size may be wrong
            return source.read(info.file_size + 1)

    def manifest(self) -> str | None:
        """The file that the archive's relationships say is the manifest; None in packages of older SDKs."""
        if not self.has("_rels/.rels"):
            return MANIFEST if self.has(MANIFEST) else None
        root = _xml.parse(self.read("_rels/.rels"), "The list of relationships", "Relationships")
        for one in _xml.children(root, "Relationship"):
            if (one.get("Type") or "").startswith(RELATIONSHIP):
                return one.get("Target")
        return None

    def file(self, info: zipfile.ZipInfo, path: str | None = None, digest: bytes | None = None) -> _File:
        """A file of a role."""
        executable = bool(info.external_attr >> 16 & 0o111)
        where = safe_path(path or unquote(info.filename))
        return _File(where, info.file_size, executable, lambda: self.zip.open(info), digest)


def safe_path(given: str) -> str:
    """A file's path below its role, with slashes.

    :raises PackageError: it leads elsewhere, or no file could have it.
    """
    steps = given.replace("\\", "/").strip("/").split("/")
    bad = any(step in ("", ".", "..") or len(step.encode()) > 255 for step in steps)
    if bad or len(given) > LONGEST_PATH or ":" in given or not given.isprintable():
        raise PackageError(f"It holds a file with the path {given[:100]!r}, which is not allowed.", _BROKEN)
    return "/".join(steps)


def _listed(entry: etree._Element, contents: dict[str, etree._Element], archive: _Archive) -> _File:
    """A file of a layout, found by way of its content definition."""
    reference = _text(entry, "FileDescription", "DataContentReference")
    content = contents.get(reference)
    if content is None:
        raise PackageError(f"Its manifest lacks the content {reference}.", _BROKEN)
    info = archive.find(_text(content, "ContentDescription", "DataStorePath"))
    digest = None
    algorithm = _xml.child(content, "ContentDescription", "IntegrityCheckHashAlgortihm")
    if algorithm is not None and (algorithm.text or "").strip().lower() == "sha256":
        try:
            digest = base64.b64decode(
                _text(content, "ContentDescription", "IntegrityCheckHash"), validate=True
            )
        except ValueError:
            raise PackageError(f"The hash of {reference} is not base64.", _BROKEN) from None
    return archive.file(info, _text(entry, "FilePath"), digest)


def _require_bounded(files: list[_File]) -> None:
    """Refuse more than can be unpacked: roles may share content, which each of them has for itself."""
    if sum(file.size for file in files) > LARGEST or len(files) > MOST_FILES:
        message = f"Its roles unpack to more than {LARGEST >> 20} MiB or {MOST_FILES} files."
        raise PackageError(message, "Make it smaller.")


def _checked(files: list[_File]) -> list[_File]:
    """The files in order, none of them twice or in the place of a directory."""
    files = sorted(files, key=lambda file: file.path)
    paths = {file.path for file in files}
    parents = {parent for path in paths for parent in _parents(path)}
    if len(paths) != len(files) or paths & parents:
        raise PackageError("It holds two files with the same path.", _BROKEN)
    return files


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _add(archive: tarfile.TarFile, file: _File) -> None:
    """Add a file; one that begins like a program can be executed, as archives made on Windows do not say so."""
    info = tarfile.TarInfo(file.path)
    info.size = file.size
    with file.open() as source:
        head = source.read(4)
        info.mode = 0o755 if file.executable or head[:2] == b"#!" or head == b"\x7fELF" else 0o644
        checked = _Digesting(head, source)
        archive.addfile(info, checked)
        if source.read(1) or (file.digest is not None and checked.digest() != file.digest):
            raise PackageError(f"Its file {file.path} is damaged.", _BROKEN)


class _Digesting(io.RawIOBase):
    """Reads what was read already, and then the rest, and digests all of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest
        self._sha = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        take = len(self._head) if size < 0 else size
        data, self._head = self._head[:take], self._head[take:]
        if size < 0 or len(data) < size:
            data += self._rest.read(-1 if size < 0 else size - len(data))
        self._sha.update(data)
        return data

    def digest(self) -> bytes:
        """The SHA-256 of what was read."""
        return self._sha.digest()


def _key(name: str) -> str:
    return unquote(name).replace("\\", "/").lstrip("/").lower()


def _text(node: etree._Element, *path: str) -> str:
    found = _xml.child(node, *path)
    if found is None or not (found.text or "").strip():
        raise PackageError(f"Its manifest lacks {'/'.join(path)}.", _BROKEN)
    return (found.text or "").strip()


@contextmanager
def _archive_errors() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, tarfile.TarError, NotImplementedError) as error:
        raise PackageError(f"It is no ZIP file, or a damaged one: {error}.", _BROKEN) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"It cannot be read: {type(error).__name__}.", _BROKEN) from None
