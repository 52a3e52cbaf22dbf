"""What a body's digests have to be, and what is told of them: MD5 and CRC-64."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

import anycrc

from reddog.storage._errors import StorageError, bad_header

CRC64 = "x-ms-content-crc64"
_CRC64_VERSION = "2019-02-02"  # from here on the service answers with it where the caller gave no digest
_CRC64_MODEL = anycrc.Model("CRC64-NVME")
_MD5_SIZE, _CRC64_SIZE = 16, 8  # bytes


class Digests:
    """The digests of one body, computed while it is received.

    Args:
        headers: The request's, which say what the digests have to be.
        whole: The body is a blob (Put Blob), whose MD5 is kept; `x-ms-blob-content-md5` counts, too.
    """

    def __init__(self, headers: Mapping[str, str], *, whole: bool = False) -> None:
        given = headers.get("Content-MD5")
        self._given_crc64 = headers.get(CRC64)
        if given is not None and self._given_crc64 is not None:
            message = "Both x-ms-content-crc64 header and Content-MD5 header are present."
            raise StorageError("BothCrc64AndMd5HeaderPresent", 400, message)
        self._given_md5 = (headers.get("x-ms-blob-content-md5") if whole else None) or given
        if self._given_md5 is not None and not _has_bytes(self._given_md5, _MD5_SIZE):
            raise StorageError("InvalidMd5", 400, "The MD5 value specified in the request is invalid.")
        if self._given_crc64 is not None and not _has_bytes(self._given_crc64, _CRC64_SIZE):
            raise bad_header(CRC64, self._given_crc64)
        told = headers.get("x-ms-version", "") >= _CRC64_VERSION and self._given_md5 is None
        self._crc64: int | None = 0 if self._given_crc64 is not None or (told and not whole) else None
        wants_md5 = whole or self._given_md5 is not None or self._crc64 is None
        self._md5 = hashlib.md5(usedforsecurity=False) if wants_md5 else None

    @property
    def slow(self) -> bool:
        """They take longer than to write the body: an MD5 does."""
        return self._md5 is not None

    def update(self, *chunks: bytes) -> None:
        """Add some bytes."""
        for chunk in chunks:
            if self._md5 is not None:
                self._md5.update(chunk)
            if self._crc64 is not None:
                self._crc64 = _CRC64_MODEL.calc(chunk, self._crc64)

    @property
    def md5(self) -> str:
        """The MD5, base64; empty when it is not wanted."""
        return "" if self._md5 is None else base64.b64encode(self._md5.digest()).decode()

    def check(self) -> None:
        """Refuse a body that is not what the caller says. Md5Mismatch, Crc64Mismatch."""
        if self._given_crc64 not in (None, self._crc64_text()):
            message = "The CRC64 value in the request did not match the one calculated by the server."
            raise StorageError("Crc64Mismatch", 400, message)
        if self._given_md5 not in (None, self.md5):
            message = "The MD5 value in the request did not match the one calculated by the server."
            raise StorageError("Md5Mismatch", 400, message)

    def headers(self) -> dict[str, str]:
        """What the answer tells of them."""
        found = {} if self._md5 is None else {"Content-MD5": self.md5}
        return found if self._crc64 is None else {**found, CRC64: self._crc64_text()}

    def _crc64_text(self) -> str:
        return base64.b64encode((self._crc64 or 0).to_bytes(_CRC64_SIZE, "little")).decode()


def _has_bytes(value: str, size: int) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == size
    except (binascii.Error, ValueError):
        return False


def md5_of(data: bytes) -> str:
    """The MD5 of some bytes, base64."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
