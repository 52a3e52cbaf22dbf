"""The CRC-64 of `x-ms-content-crc64`: reflected, polynomial 0x9A6C9329AC4BC9B5, as NVMe's."""

from __future__ import annotations

import base64

_ALL = (1 << 64) - 1


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)  # noqa: PLW2901
        found.append(value)
    return tuple(found)


_TABLE = _table()


class Crc64:
    """A checksum that grows with the data, like those of `hashlib`."""

    def __init__(self) -> None:
        self._value = _ALL

    def update(self, data: bytes | bytearray) -> None:
        """Add data."""
        value, table = self._value, _TABLE
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value

    def text(self) -> str:
        """The checksum as the header tells it: base64 of the little-endian number."""
        return base64.b64encode((self._value ^ _ALL).to_bytes(8, "little")).decode()
