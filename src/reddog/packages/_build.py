"""Making a service package (as SDK 1.7 and later do) of a service definition and its roles' directories."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from reddog.packages._definition import ServiceDefinition, parse_definition
from reddog.packages._error import PackageError
from reddog.packages._read import DEFINITION, MANIFEST, PRODUCT_VERSION, RELATIONSHIP, safe_path

SDK_VERSION = "2.6.6496.2"  # the SDK whose format this is
_CONTENT_TYPES = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />'
    '<Default Extension="xml" ContentType="application/octet-stream" />'
    '<Default Extension="csdef" ContentType="application/octet-stream" />'
    '<Default Extension="content" ContentType="application/octet-stream" />'
    "</Types>"
)
_RELATIONSHIPS = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Type="{RELATIONSHIP}2012/03/15" Target="/{MANIFEST}" Id="R1" />'
    "</Relationships>"
)
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a ZIP file's entries; always the same, so that packages are, too


def build(definition: Path, target: Path, roles: Mapping[str, Path] | None = None) -> ServiceDefinition:
    """Make a package.

    Args:
        definition: The .csdef file. Each role's files (its approot) are in the directory beside it that has the
            role's name.
        target: The .cspkg file, which appears whole or not at all.
        roles: Other directories, by role name.

    Raises:
        PackageError: The definition is wrong, or a role's directory is missing.
    """
    given = {name.lower(): path for name, path in (roles or {}).items()}
    try:
        text = definition.read_bytes()
        found = parse_definition(text)
        for name in roles or {}:
            if found.role(name) is None:
                raise PackageError(f"The service definition has no role {name}.", "Correct the name.")
        draft = target.with_name(f".{target.name}.partial")
        try:
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
                _write(archive, text, found, given, definition.parent)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        message = f"{error.filename or target} cannot be used: {error.strerror or error}."
        raise PackageError(message, "Check the path.") from None
    return found


def _write(
    archive: zipfile.ZipFile,
    text: bytes,
    definition: ServiceDefinition,
    given: Mapping[str, Path],
    place: Path,
) -> None:
    contents = {DEFINITION: text}
    _add(archive, "[Content_Types].xml", _CONTENT_TYPES.encode())
    _add(archive, "_rels/.rels", _RELATIONSHIPS.encode())
    _add(archive, DEFINITION, text)
    lines = [_content(DEFINITION, text)]
    layouts = []
    for role in definition.roles:
        directory = given.get(role.name.lower(), place / role.name)
        if not directory.is_dir():
            message = f"The role {role.name} has no directory {directory}."
            raise PackageError(message, "Make it, or name another with --role NAME=DIRECTORY.")
        entries = []
        for path in _files(directory):
            data = path.read_bytes()
            executable = os.access(path, os.X_OK)
            mark = "x" if executable else "r"
            name = f"LocalContent/{hashlib.sha256(data).hexdigest()}{mark}.content"
            if name not in contents:
                contents[name] = b""
                _add(archive, name, data, 0o755 if executable else 0o644)
                lines.append(_content(name, data))
            relative = safe_path(path.relative_to(directory).as_posix())
            entries.append(_file("\\approot\\" + relative.replace("/", "\\"), name))
        layouts.append(
            f"<LayoutDefinition><Name>Roles/{role.name}</Name>"
            f"<LayoutDescription>{''.join(entries)}</LayoutDescription></LayoutDefinition>"
        )
    _add(archive, MANIFEST, _manifest(lines, layouts).encode())


def _files(directory: Path) -> Iterator[Path]:
    """All files below a directory, in order; links are followed, as a package knows none."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield path


def _manifest(contents: list[str], layouts: list[str]) -> str:
    version = f"<KeyValuePair><Key>{PRODUCT_VERSION}</Key><Value>{SDK_VERSION}</Value></KeyValuePair>"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<PackageDefinition xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns="http://schemas.microsoft.com/windowsazure">'
        f"<PackageMetaData>{version}</PackageMetaData>"
        f"<PackageContents>{''.join(contents)}</PackageContents>"
        f"<PackageLayouts>{''.join(layouts)}</PackageLayouts></PackageDefinition>"
    )


def _content(name: str, data: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return (
        f"<ContentDefinition><Name>{escape(name)}</Name><ContentDescription>"
        f"<LengthInBytes>{len(data)}</LengthInBytes>"
        "<IntegrityCheckHashAlgortihm>Sha256</IntegrityCheckHashAlgortihm>"
        f"<IntegrityCheckHash>{digest}</IntegrityCheckHash>"
        f"<DataStorePath>{escape(name)}</DataStorePath>"
        "</ContentDescription></ContentDefinition>"
    )


def _file(path: str, content: str) -> str:
    moment = datetime(*_EARLIEST, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    return (
        f"<FileDefinition><FilePath>{escape(path)}</FilePath><FileDescription>"
        f"<DataContentReference>{escape(content)}</DataContentReference>"
        f"<CreatedTimeUtc>{moment}</CreatedTimeUtc><ModifiedTimeUtc>{moment}</ModifiedTimeUtc>"
        "<ReadOnly>false</ReadOnly></FileDescription></FileDefinition>"
    )


def _add(archive: zipfile.ZipFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o100000 | mode) << 16
    archive.writestr(info, data)
