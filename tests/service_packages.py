"""Service packages and configurations for tests: as today's `reddog package build` makes them, and as old SDKs did."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path

from reddog import packages

DEFINITION = "http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceDefinition"
CONFIGURATION = "http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration"
FILES = {"run.sh": b"#!/bin/sh\nexec sleep 1000\n", "pages/index.html": b"hello"}
ENTRY = '<Runtime><EntryPoint><ProgramEntryPoint commandLine="run.sh" /></EntryPoint></Runtime>'


def role_xml(
    name: str = "Web", inside: str = ENTRY, size: str = "ExtraSmall", kind: str = "WorkerRole"
) -> str:
    """A role of a service definition."""
    return f'<{kind} name="{name}" vmsize="{size}">{inside}</{kind}>'


def csdef(*roles: str, domains: int | None = None, inside: str = "") -> str:
    """A service definition."""
    count = "" if domains is None else f' upgradeDomainCount="{domains}"'
    body = "".join(roles or (role_xml(),))
    return f'<ServiceDefinition name="App"{count} xmlns="{DEFINITION}">{inside}{body}</ServiceDefinition>'


def cscfg(
    counts: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
    inside: str = "",
    certificates: Mapping[str, str] | None = None,
) -> str:
    """A service configuration in which all roles have the same settings."""
    values = "".join(f'<Setting name="{name}" value="{value}" />' for name, value in (settings or {}).items())
    marks = "".join(
        f'<Certificate name="{name}" thumbprint="{mark}" thumbprintAlgorithm="sha1" />'
        for name, mark in (certificates or {}).items()
    )
    roles = "".join(
        f'<Role name="{name}"><Instances count="{count}" />'
        f"<ConfigurationSettings>{values}</ConfigurationSettings>"
        f"<Certificates>{marks}</Certificates></Role>"
        for name, count in (counts or {"Web": 2}).items()
    )
    return (
        f'<ServiceConfiguration serviceName="App" osFamily="4" osVersion="*" xmlns="{CONFIGURATION}">'
        f"{roles}{inside}</ServiceConfiguration>"
    )


def make_package(directory: Path, definition: str = "", files: Mapping[str, bytes] | None = None) -> Path:
    """A package whose roles all have these files."""
    place = directory / uuid.uuid4().hex
    place.mkdir(parents=True)
    source = place / "ServiceDefinition.csdef"
    source.write_text(definition or csdef())
    for role in packages.parse_definition(source.read_bytes()).roles:
        for name, content in (FILES if files is None else files).items():
            path = place / role.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    target = place / "app.cspkg"
    packages.build(source, target)
    return target


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A ZIP archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def old_package(files: Mapping[str, bytes] | None = None, definition: str = "") -> bytes:
    """A package as SDKs before 1.7 made it: archives in an archive."""
    mark = "37a5fe60-0e71-499f-bb14-8156682a2cba"
    inner = {f"approot/{name}": content for name, content in (FILES if files is None else files).items()}
    return zipped(
        {
            f"SDPackage_{mark}.csdx": zipped({"ServiceDefinition.csdef": (definition or csdef()).encode()}),
            f"Web_{mark}.cssx": zipped({**inner, "RoleModel.xml": b"<RoleModel />"}),
            f"{mark}.csman": b"<PackageManifest />",
        }
    )
