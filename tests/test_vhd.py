"""Footers of VHD files: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddog import vhd
from reddog.vhd import FOOTER_SIZE, VhdError, geometry, make_footer, read_footer, verify, write_footer

MIB = 1 << 20
ID = UUID("12345678-1234-5678-1234-567812345678")
MADE = datetime(2014, 2, 3, 4, 5, 6, tzinfo=UTC)

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
sizes = st.integers(1, vhd.LARGEST // 512).map(lambda sectors: sectors * 512)


def resealed(footer: bytes, at: int, value: bytes) -> bytes:
    """A footer with a field changed, and a checksum to match (computed here from the specification)."""
    changed = bytearray(footer)
    changed[at : at + len(value)] = value
    changed[64:68] = bytes(4)
    changed[64:68] = (~sum(changed) & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(changed)


def test_footer_has_the_fields_of_the_specification() -> None:
    footer = make_footer(96 * MIB, uuid=ID, created=MADE)
    assert len(footer) == FOOTER_SIZE
    assert footer[:8] == b"conectix"
    assert footer[8:12] == bytes.fromhex("00000002")  # features
    assert footer[12:16] == bytes.fromhex("00010000")  # version
    assert footer[16:24] == b"\xff" * 8  # no dynamic header
    assert int.from_bytes(footer[24:28], "big") == int(MADE.timestamp()) - 946684800
    assert footer[28:32] == b"win "
    assert footer[36:40] == b"Wi2k"
    assert int.from_bytes(footer[40:48], "big") == 96 * MIB
    assert int.from_bytes(footer[48:56], "big") == 96 * MIB
    assert footer[56:60] == bytes([*(963).to_bytes(2, "big"), 12, 17])  # cylinders, heads, sectors
    assert footer[60:64] == bytes.fromhex("00000002")  # fixed
    assert footer[68:84] == ID.bytes
    assert footer[84:] == bytes(428)
    assert resealed(footer, 0, b"conectix") == footer  # the checksum is the specification's


@given(size=sizes, uuid=st.uuids(), seconds=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_back(size: int, uuid: UUID, seconds: int) -> None:
    made = datetime.fromtimestamp(946684800 + seconds, UTC)
    read = read_footer(make_footer(size, uuid=uuid, created=made))
    assert (read.size, read.kind, read.uuid, read.created) == (size, "fixed", uuid, made)


@given(size=sizes)
def test_geometry_never_exceeds_the_disk_and_fits_its_fields(size: int) -> None:
    cylinders, heads, sectors = geometry(size)
    assert cylinders * heads * sectors <= size // 512
    assert cylinders < 65536
    assert heads <= 16
    assert sectors <= 255


@given(data=st.binary(max_size=1500))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(VhdError, match="qemu-img"):
        read_footer(data)


@given(rest=st.binary(min_size=504, max_size=504))
def test_any_bytes_after_the_cookie_are_refused_or_understood(rest: bytes) -> None:
    for data in (b"conectix" + rest, resealed(b"conectix" + rest, 60, b"\0\0\0\2")):
        try:
            understood = read_footer(data)
        except VhdError:
            continue
        assert understood.size >= 0


@given(at=st.integers(0, FOOTER_SIZE - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(at: int, bit: int) -> None:
    footer = bytearray(make_footer(MIB, uuid=ID, created=MADE))
    footer[at] ^= 1 << bit
    with pytest.raises(VhdError):
        read_footer(bytes(footer))


@pytest.mark.parametrize("size", [0, -512, 100, vhd.LARGEST + 512])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(VhdError, match="2040 GiB"):
        make_footer(size)


@pytest.mark.parametrize(("number", "kind"), [(3, "dynamic"), (4, "differencing")])
def test_other_kinds_are_recognized_and_not_verified(tmp_path: Path, number: int, kind: str) -> None:
    footer = resealed(make_footer(MIB), 60, number.to_bytes(4, "big"))
    assert read_footer(footer).kind == kind
    path = tmp_path / "disk.vhd"
    path.write_bytes(bytes(MIB) + footer)
    with pytest.raises(VhdError, match=f"{kind}, not fixed.*subformat=fixed,force_size"):
        verify(path)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(VhdError, match=r"unknown kind \(9\)"):
        read_footer(resealed(make_footer(MIB), 60, (9).to_bytes(4, "big")))


def test_a_raw_disk_becomes_a_vhd_in_place(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(b"data" + bytes(2 * MIB - 4))
    written = write_footer(path, uuid=ID, created=MADE)
    assert path.stat().st_size == 2 * MIB + FOOTER_SIZE
    assert verify(path) == written
    assert path.read_bytes()[:4] == b"data"


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(bytes(MIB) + make_footer(2 * MIB))
    with pytest.raises(VhdError, match=f"has {MIB + 512} bytes where its footer tells of {2 * MIB + 512}"):
        verify(path)


def test_odd_sizes_are_refused_unless_allowed(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(bytes(1536) + make_footer(1536))
    with pytest.raises(VhdError, match="not a multiple of 1048576"):
        verify(path)
    assert verify(path, alignment=512).size == 1536


def test_short_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    for data in (b"", b"conectix", bytes(511)):
        path.write_bytes(data)
        with pytest.raises(VhdError, match="not a VHD"):
            verify(path)


@needs_qemu_img
@pytest.mark.parametrize("size", [MIB, 97 * MIB, 127 * 1024 * MIB])
def test_qemu_sees_the_same_disk(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk.vhd"
    with path.open("wb") as file:
        file.truncate(size)
    write_footer(path)
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", "-f", "vpc", path], capture_output=True, check=True
    )
    assert json.loads(told.stdout)["virtual-size"] == size


@needs_qemu_img
@pytest.mark.parametrize(("subformat", "kind"), [("fixed", "fixed"), ("dynamic", "dynamic")])
def test_what_qemu_makes_is_understood(tmp_path: Path, subformat: str, kind: str) -> None:
    path = tmp_path / "disk.vhd"
    options = f"subformat={subformat},force_size"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vpc", "-o", options, path, "3M"], check=True)
    footer = read_footer(path)
    assert (footer.size, footer.kind) == (3 * MIB, kind)
    if kind == "fixed":
        assert verify(path) == footer


@needs_qemu_img
@pytest.mark.parametrize("size", [MIB, 96 * MIB, 1024 * MIB, 30 * 1024 * MIB])
def test_geometry_is_the_one_that_qemu_finds(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk.vhd"  # without force_size QEMU rounds the disk to a whole geometry
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed", path, str(size)], check=True
    )
    with path.open("rb") as file:
        file.seek(-FOOTER_SIZE, 2)
        footer = file.read()
    cylinders, heads, sectors = geometry(read_footer(footer).size)
    assert footer[56:60] == cylinders.to_bytes(2, "big") + bytes([heads, sectors])
