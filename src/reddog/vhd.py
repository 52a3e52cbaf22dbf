"""Fixed VHD files: the disk's bytes, and a footer of 512 bytes after them.

Source of the layout: "Virtual Hard Disk Image Format Specification" (Microsoft, 2006). All numbers are
big-endian.
"""

from __future__ import annotations

import os
import struct
import uuid as uuids
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

FOOTER_SIZE = 512
SECTOR = 512
ALIGNMENT = 1 << 20  # Azure takes disks of whole mebibytes only
LARGEST = 2040 << 30  # bytes; the format's own limit

Kind = Literal["fixed", "dynamic", "differencing"]

_LAYOUT = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_COOKIE = b"conectix"
_FEATURES = 2  # "reserved", which is always set
_VERSION = 0x00010000
_NO_HEADER = 0xFFFF_FFFF_FFFF_FFFF
# Readers (QEMU among them) trust the footer's size rather than its rounded geometry only for known creators.
_CREATOR, _CREATOR_VERSION, _CREATOR_HOST = b"win ", 0x000A0000, b"Wi2k"
_CHECKSUM = slice(64, 68)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_KINDS: dict[int, Kind] = {2: "fixed", 3: "dynamic", 4: "differencing"}
_CONVERT = "Convert it with `qemu-img convert -O vpc -o subformat=fixed,force_size SOURCE TARGET.vhd`."


class VhdError(Exception):
    """A file is not the VHD that is needed. message: what is wrong with it. remedy: what to do next."""

    def __init__(self, message: str, remedy: str = _CONVERT) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Footer:
    """What a footer tells: the disk's size in bytes, its kind, its unique id, and when it was made (UTC)."""

    size: int
    kind: Kind
    uuid: uuids.UUID
    created: datetime


def make_footer(size: int, *, uuid: uuids.UUID | None = None, created: datetime | None = None) -> bytes:
    """The footer of a fixed VHD.

    Args:
        size: Bytes of the disk, a positive multiple of 512, at most 2040 GiB.
        uuid: The disk's unique id; a random one by default.
        created: When it was made; now by default. Times before 2000 count as 2000.

    Raises:
        VhdError: The size is out of range.
    """
    if size <= 0 or size % SECTOR or size > LARGEST:
        message = f"A VHD cannot hold a disk of {size} bytes."
        raise VhdError(message, "Use a multiple of 512 bytes, 2040 GiB at most.")
    seconds = int(((created or datetime.now(UTC)) - _EPOCH).total_seconds())
    footer = bytearray(
        _LAYOUT.pack(
            *(_COOKIE, _FEATURES, _VERSION, _NO_HEADER, min(max(seconds, 0), 0xFFFF_FFFF)),
            *(_CREATOR, _CREATOR_VERSION, _CREATOR_HOST, size, size),
            *(*geometry(size), 2, 0, (uuid or uuids.uuid4()).bytes, 0),
        )
    )
    footer[_CHECKSUM] = _checksum(footer).to_bytes(4, "big")
    return bytes(footer)


def read_footer(source: Path | bytes) -> Footer:
    """Read a footer: of a file (its last 512 bytes), or of bytes that end with one.

    Raises:
        VhdError: It is not a VHD, its checksum is wrong, or it is of an unknown kind.
        OSError: The file cannot be read.
    """
    data = source[-FOOTER_SIZE:] if isinstance(source, bytes) else _last_bytes(source)
    if len(data) != FOOTER_SIZE or not data.startswith(_COOKIE):
        raise VhdError("The file is not a VHD: it does not end with a VHD footer.")
    if int.from_bytes(data[_CHECKSUM], "big") != _checksum(data):
        raise VhdError("The VHD's footer is damaged: its checksum is wrong.")
    fields = _LAYOUT.unpack(data)
    kind = _KINDS.get(fields[13])
    if kind is None:
        raise VhdError(f"The VHD is of an unknown kind ({fields[13]}).")
    created = _EPOCH + timedelta(seconds=fields[4])
    return Footer(fields[9], kind, uuids.UUID(bytes=fields[15]), created)


def verify(path: Path, *, alignment: int = ALIGNMENT) -> Footer:
    """Read the footer of a file, and make sure that the file is a whole fixed VHD.

    Args:
        path: The file.
        alignment: The disk's size must be a multiple of this many bytes; 1 MiB as Azure asks, or 512.

    Raises:
        VhdError: It is no VHD, a dynamic or differencing one, cut off, or of an odd size.
        OSError: The file cannot be read.
    """
    footer = read_footer(path)
    if footer.kind != "fixed":
        raise VhdError(f"The VHD is {footer.kind}, not fixed.")
    length = path.stat().st_size
    if length != footer.size + FOOTER_SIZE:
        expected = footer.size + FOOTER_SIZE
        raise VhdError(f"The file has {length} bytes where its footer tells of {expected}.")
    if footer.size == 0 or footer.size % alignment:
        message = f"The disk's size, {footer.size} bytes, is not a multiple of {alignment} bytes."
        raise VhdError(message, f"Grow it first: `qemu-img resize -f raw` before converting. {_CONVERT}")
    return footer


def write_footer(path: Path, *, uuid: uuids.UUID | None = None, created: datetime | None = None) -> Footer:
    """Make a raw disk a fixed VHD in place, by appending its footer. The parameters are `make_footer`'s.

    Raises:
        VhdError: The file's size is not a multiple of 512 bytes, or out of range.
        OSError: The file cannot be written.
    """
    data = make_footer(path.stat().st_size, uuid=uuid, created=created)
    with path.open("ab") as file:
        file.write(data)
    return read_footer(data)


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track for a disk's size, by the specification's appendix."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // (16 * 255), 16, 255
    per_track, tracks = 17, sectors // 17
    heads = max((tracks + 1023) // 1024, 4)
    if tracks >= heads * 1024 or heads > 16:
        per_track, heads, tracks = 31, 16, sectors // 31
    if tracks >= heads * 1024:
        per_track, heads, tracks = 63, 16, sectors // 63
    return tracks // heads, heads, per_track


def _checksum(footer: bytes | bytearray) -> int:
    """The complement of the sum of all bytes but the checksum's own."""
    return ~(sum(footer) - sum(footer[_CHECKSUM])) & 0xFFFF_FFFF


def _last_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - FOOTER_SIZE))
        return file.read(FOOTER_SIZE)
