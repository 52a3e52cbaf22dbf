"""Service packages: made, read again, and refused when they are not what they should be."""

from __future__ import annotations

import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reddog.packages import Package, PackageError, _read, build, parse_definition
from service_packages import FILES, csdef, make_package, old_package, role_xml, zipped


def content(package: Package, role: str, target: Path) -> dict[str, tuple[bytes, int]]:
    """What a role's tar archive holds: bytes and mode by path."""
    package.write_role(role, target)
    assert target.stat().st_size % 512 == 0
    with tarfile.open(target) as archive:
        files = (member for member in archive if member.isfile())
        return {one.name: (archive.extractfile(one).read(), one.mode) for one in files}  # type: ignore[union-attr]


def test_a_package_that_was_built_holds_what_it_was_built_of(tmp_path: Path) -> None:
    with Package(make_package(tmp_path)) as package:
        assert [role.name for role in package.definition.roles] == ["Web"]
        assert package.sdk_version.startswith("2.")
        assert package.files("web") == ["approot/pages/index.html", "approot/run.sh"]
        found = content(package, "Web", tmp_path / "web.tar")
    assert found["approot/run.sh"] == (FILES["run.sh"], 0o755)
    assert found["approot/pages/index.html"] == (b"hello", 0o644)


def test_the_same_sources_make_the_same_package(tmp_path: Path) -> None:
    assert make_package(tmp_path).read_bytes() == make_package(tmp_path).read_bytes()


def test_a_package_of_an_old_sdk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.cspkg"
    path.write_bytes(old_package())
    with Package(path) as package:
        assert package.definition.roles[0].command_line == "run.sh"
        assert content(package, "Web", tmp_path / "web.tar")["approot/run.sh"] == (FILES["run.sh"], 0o755)


def test_a_role_without_files_is_an_empty_directory(tmp_path: Path) -> None:
    with Package(make_package(tmp_path, files={"run.sh": b""})) as package:
        assert content(package, "nosuch", tmp_path / "tar") == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9 +%&'äß_-]{1,20}", fullmatch=True).filter(
            lambda name: name.strip() == name
        ),
        st.binary(max_size=3000),
        max_size=6,
    )
)
def test_any_files_come_back(tmp_path: Path, files: dict[str, bytes]) -> None:
    with Package(make_package(tmp_path, files={**files, "run.sh": b"#!"})) as package:
        found = content(package, "Web", tmp_path / "tar")
    assert {path: data for path, (data, _) in found.items()} == {
        f"approot/{name}": data for name, data in {**files, "run.sh": b"#!"}.items()
    }


def without(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__delitem__(name)


def spoil(pattern: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        name = next(name for name in files if pattern in name)
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


SPOILED: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "no definition": (without("ServiceDefinition/ServiceDefinition.csdef"), "lacks the file"),
    "a wrong definition": (spoil(".csdef", b"ServiceDefinition", b"Other"), "begins with Other"),
    "a definition that is not XML": (spoil(".csdef", b"<WorkerRole", b"<WorkerRole <"), "well-formed"),
    "a document type": (
        spoil(".csdef", b"<ServiceDefinition", b"<!DOCTYPE a [<!ENTITY b 'c'>]><ServiceDefinition"),
        "document type",
    ),
    "a way out": (
        spoil("package.xml", b"\\approot\\run.sh", b"\\approot\\..\\..\\etc\\passwd"),
        "not allowed",
    ),
    "a drive": (spoil("package.xml", b"\\approot\\run.sh", b"C:\\run.sh"), "not allowed"),
    "two files at one place": (
        spoil("package.xml", b"\\approot\\pages\\index.html", b"\\approot\\run.sh"),
        "the same path",
    ),
    "a file in the place of a directory": (
        spoil("package.xml", b"\\approot\\pages\\index.html", b"\\approot\\run.sh\\index.html"),
        "the same path",
    ),
    "content that there is not": (
        spoil("package.xml", b"<Name>LocalContent/", b"<Name>Other/"),
        "the content",
    ),
    "no path": (spoil("package.xml", b"FilePath", b"Path"), "lacks FilePath"),
    "other content": (spoil("LocalContent", b"sleep", b"sleek"), "is damaged"),
    "a hash that is none": (
        spoil("package.xml", b"<IntegrityCheckHash>", b"<IntegrityCheckHash>!"),
        "is not base64",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_package_is_refused(what: str, tmp_path: Path) -> None:
    change, message = SPOILED[what]
    with zipfile.ZipFile(make_package(tmp_path, files=FILES)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files = dict(sorted(files.items(), key=lambda item: b"sleep" not in item[1]))
    change(files)
    path = tmp_path / "spoiled.cspkg"
    path.write_bytes(zipped(files))
    with pytest.raises(PackageError, match=message), Package(path) as package:
        content(package, "Web", tmp_path / "tar")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1"])
def test_a_definition_may_have_any_encoding(tmp_path: Path, encoding: str) -> None:
    """Also one that says utf-16 and is utf-8 with a mark, as .NET programs write it."""
    said = "utf-16" if encoding == "utf-8-sig" else encoding
    text = f'<?xml version="1.0" encoding="{said}"?>' + csdef(role_xml("Role"))
    with zipfile.ZipFile(make_package(tmp_path)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name, data in files.items() if b"<ServiceDefinition" in data]
    files[name] = text.encode(encoding)
    path = tmp_path / "other.cspkg"
    path.write_bytes(zipped(files))
    with Package(path) as package:
        assert parse_definition(package.definition_xml.encode()) == package.definition


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.cspkg"
    for data, message in (
        (b"", "no ZIP file"),
        (b"PK\x05\x06" + bytes(18), "no service definition"),
        (b"<html>", "no ZIP file"),
        (make_package(tmp_path).read_bytes()[:-30], "no ZIP file"),
        (zipped({"readme.txt": b"hello"}), "no service definition"),
    ):
        path.write_bytes(data)
        with pytest.raises(PackageError, match=message):
            Package(path)


def test_an_encrypted_package_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "encrypted.cspkg"
    enveloped = bytes.fromhex("3082010006092a864886f70d010703") + bytes(100)
    path.write_bytes(zipped({"SDPackage_37a5fe60-0e71-499f-bb14-8156682a2cba.csdx": enveloped}))
    with pytest.raises(PackageError, match="encrypted"):
        Package(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path, files={"run.sh": bytes(1 << 20)})
    assert package.stat().st_size < 100_000
    monkeypatch.setattr(_read, "LARGEST", 1 << 19)
    with pytest.raises(PackageError, match="unpacks to more"):
        Package(package)
    monkeypatch.setattr(_read, "LARGEST", 2 << 30)
    monkeypatch.setattr(_read, "MOST_FILES", 2)
    with pytest.raises(PackageError, match="more than 2 files"):
        Package(package)


def test_a_bomb_that_lies_about_its_size_takes_no_memory(tmp_path: Path) -> None:
    definition = csdef().encode()
    archive = zipped({"package.xml": b"", _read.DEFINITION: definition + bytes(64 << 20)})
    size = struct.pack("<I", len(definition) + (64 << 20))
    path = tmp_path / "bomb.cspkg"
    path.write_bytes(archive.replace(size, struct.pack("<I", len(definition))))
    with zipfile.ZipFile(path) as bomb, _read._Archive(path) as read:
        assert bomb.getinfo(_read.DEFINITION).file_size == len(definition)
        tracemalloc.start()
        with pytest.raises(zipfile.BadZipFile):
            read.read(_read.DEFINITION)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20


def test_compression_that_cannot_be_read_in_pieces_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bzip2.cspkg"
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("package.xml", b"hello")
        with pytest.raises(PackageError, match="Use Deflate"):
            Package(path)


def test_a_directory_with_a_wrong_place_is_damage(tmp_path: Path) -> None:
    path = make_package(tmp_path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x05\x06") + 16  # where the directory's place is written
    data[place : place + 4] = len(data).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(PackageError, match="damaged"):
        Package(path)


def test_content_that_roles_share_counts_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = [role_xml(f"Role{number}") for number in range(4)]
    package = make_package(tmp_path, csdef(*roles), files={"run.sh": bytes(1 << 20)})
    with zipfile.ZipFile(package) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    first, *others = sorted(name for name in files if name.startswith("LocalContent/"))
    for name in others:
        del files[name]
        old, new = (one.partition("/")[2].encode() for one in (name, first))
        files["package.xml"] = files["package.xml"].replace(old, new)
    package.write_bytes(zipped(files))
    with Package(package) as found:
        assert [found.files(f"role{number}") for number in range(4)] == [["approot/run.sh"]] * 4
    monkeypatch.setattr(_read, "LARGEST", 3 << 20)
    with pytest.raises(PackageError, match="roles unpack to more"):
        Package(package)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_a_package_error_or_none(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever bytes of a package are changed, nothing but a PackageError comes of it."""
    source = tmp_path / "whole"
    if not source.exists():
        source.write_bytes(make_package(tmp_path).read_bytes())
    damaged = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with suppress(PackageError), Package(path) as package:
        content(package, "Web", tmp_path / "tar")


def test_building_says_what_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "ServiceDefinition.csdef"
    target = tmp_path / "app.cspkg"
    with pytest.raises(PackageError, match="cannot be used"):
        build(source, target)
    source.write_text(csdef(role_xml("Web"), role_xml("Other")))
    (tmp_path / "Web").mkdir()
    with pytest.raises(PackageError, match="The role Other has no directory"):
        build(source, target)
    with pytest.raises(PackageError, match="no role Third"):
        build(source, target, {"Third": tmp_path / "Web"})
    assert not target.exists()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []
    build(source, target, {"Other": tmp_path / "Web"})
    assert target.exists()
