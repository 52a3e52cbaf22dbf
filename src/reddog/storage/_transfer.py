"""Bytes in and out: bodies received into files, blobs sent from them, without ever holding a whole one."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from reddog.storage._account import Account, disk_errors, keeping, sync_directory
from reddog.storage._crc64 import Crc64
from reddog.storage._errors import StorageError, bad_header, replaced_meanwhile
from reddog.storage._index import Blob
from reddog.storage._request import BlobRequest

PIECE = 1 << 20  # bytes that are read at a time
GATHERED = 2 << 20  # bytes of a body that are written at a time
LARGEST_BODY = 5000 << 20  # bytes; of one Put Blob, as on Azure
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CRC64 = "x-ms-content-crc64"
_EMPTY_MD5 = base64.b64encode(hashlib.md5(b"").digest()).decode()  # noqa: S324 - HTTP's


@dataclass(frozen=True)
class Received:
    """A body in a file of its own. md5: base64, as in Content-MD5."""

    file: str
    path: Path
    size: int
    md5: str


async def receive(request: BlobRequest) -> Received:
    """Receive a body into a new file, durably.

    :raises StorageError: it is too large, shorter than was said, or not what its Content-MD5 says.
    """
    size, account = request.body_size, request.account
    if size > LARGEST_BODY:
        raise StorageError(
            "RequestBodyTooLarge", 413, f"The request body is larger than {LARGEST_BODY} bytes."
        )
    file, path = account.new_file()
    with keeping(path):
        received, md5, crc64 = await _write(request, path)
        _check_digest(request, md5, crc64)
        return Received(file, path, received, md5)


class _Draft:
    """A new file that is written in threads; it is not closed under a thread that writes."""

    def __init__(self, path: Path, crc64: Crc64 | None) -> None:
        self._path = path
        self._file = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115 - see close
        self._gate = threading.Lock()
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.crc64 = crc64

    def write(self, chunks: list[bytes]) -> None:
        """Add some bytes to the file."""
        with self._gate, disk_errors():
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[self._file.write(view) :]

    def digest(self, chunks: list[bytes]) -> None:
        """Add them to the digests."""
        for chunk in chunks:
            self.md5.update(chunk)
            if self.crc64 is not None:
                self.crc64.update(chunk)

    def finish(self) -> None:
        """Have all of it on the disk."""
        with self._gate, disk_errors():
            os.fdatasync(self._file.fileno())
            sync_directory(self._path.parent)

    def close(self) -> None:
        """Close the file."""
        with self._gate:
            self._file.close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


async def _write(request: BlobRequest, path: Path) -> tuple[int, str, Crc64 | None]:
    """Write the body; each piece is written and digested while the next one is received."""
    draft = _Draft(path, Crc64() if _CRC64 in request.headers else None)
    received = 0
    writing: asyncio.Future[tuple[None, None]] | None = None
    try:
        async for piece in pieces(request):
            received += sum(map(len, piece))
            if writing is not None:
                await writing
            threads = asyncio.to_thread(draft.write, piece), asyncio.to_thread(draft.digest, piece)
            writing = asyncio.gather(*threads)
        if writing is not None:
            await writing
        await asyncio.to_thread(draft.finish)
    finally:
        if writing is not None and not writing.done():
            writing.cancel()
        await asyncio.to_thread(draft.close)
    return received, base64.b64encode(draft.md5.digest()).decode(), draft.crc64


async def pieces(request: BlobRequest) -> AsyncIterator[list[bytes]]:
    """A body in pieces of some mebibytes, as they came. It ends early, with an error, when the client goes away."""
    gathered: list[bytes] = []
    size = 0
    async for chunk in request.raw.content.iter_any():
        gathered.append(chunk)
        size += len(chunk)
        if size >= GATHERED:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


async def small_body(request: BlobRequest, limit: int) -> bytes:
    """A body of up to `limit` bytes, checked against its Content-MD5."""
    if request.body_size > limit:
        raise StorageError("RequestBodyTooLarge", 413, f"The request body is larger than {limit} bytes.")
    received = bytearray()
    async for chunk in request.raw.content.iter_any():
        received += chunk
    await asyncio.to_thread(_check_small, request, received)
    return bytes(received)


def _check_small(request: BlobRequest, received: bytearray) -> None:
    digest = hashlib.md5(received, usedforsecurity=False).digest()
    crc64 = Crc64() if _CRC64 in request.headers else None
    if crc64 is not None:
        crc64.update(received)
    _check_digest(request, base64.b64encode(digest).decode(), crc64)


def _check_digest(request: BlobRequest, md5: str, crc64: Crc64 | None) -> None:
    if crc64 is not None and crc64.text() != request.headers[_CRC64]:
        message = "The CRC64 value in the request did not match the one calculated by the server."
        raise StorageError("Crc64Mismatch", 400, message)
    given = request.headers.get("Content-MD5")
    if given is None:
        return
    try:
        valid = len(base64.b64decode(given, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise StorageError("InvalidMd5", 400, "The MD5 value specified in the request is invalid.")
    if given != md5:
        message = "The MD5 value specified in the request did not match with the MD5 value calculated by the server."
        raise StorageError("Md5Mismatch", 400, message)


def wanted_range(request: BlobRequest, size: int) -> tuple[int, int] | None:
    """The bytes asked for, as start and end (exclusive); None for all of them. InvalidRange (416)."""
    value = request.headers.get("x-ms-range") or request.headers.get("Range")
    if value is None:
        return None
    found = _RANGE.fullmatch(value.strip())
    if found is None or found[1] == "":
        return None  # as HTTP asks: a range that is not understood is ignored
    start = int(found[1])
    end = min(int(found[2]) + 1 if found[2] else size, size)
    if start >= size or end <= start:
        raise StorageError(
            "InvalidRange", 416, "The range specified is invalid for the current size of the resource."
        )
    return start, end


def page_range(request: BlobRequest) -> tuple[int, int]:
    """The pages that a write is for, as start and end (exclusive); both multiples of 512. InvalidPageRange."""
    value = request.headers.get("x-ms-range") or request.headers.get("Range") or ""
    found = _RANGE.fullmatch(value.strip())
    if found is None or not found[1] or not found[2]:
        raise bad_header("Range", value)
    start, end = int(found[1]), int(found[2]) + 1
    if start % 512 or end % 512 or end <= start:
        raise StorageError(
            "InvalidPageRange", 416, "The page range specified is invalid: pages have 512 bytes."
        )
    return start, end


def read(account: Account, blob: Blob, start: int, end: int) -> Iterator[bytes]:
    """A blob's bytes from start to end, in pieces."""
    position = 0
    for file, offset, length in blob.segments:
        first, last = max(start, position), min(end, position + length)
        if first < last:
            yield from _read_file(account.path(file), offset + first - position, last - first)
        position += length


def _read_file(path: Path, offset: int, length: int) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while length > 0:
            piece = os.pread(descriptor, min(PIECE, length), offset)
            if not piece:  # the file is shorter than the blob: a hole at its end
                piece = bytes(min(PIECE, length))
            yield piece
            offset += len(piece)
            length -= len(piece)
    finally:
        os.close(descriptor)


async def send(
    request: BlobRequest, blob: Blob, start: int, end: int, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer with a blob's bytes."""
    source = read(request.account, blob, start, end)
    try:
        if end - start <= PIECE:
            whole = await asyncio.to_thread(b"".join, source)
            return web.Response(status=status, headers=headers, body=whole)
        piece = await asyncio.to_thread(next, source, b"")
    except FileNotFoundError:
        raise replaced_meanwhile() from None
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    await response.prepare(request.raw)
    while piece:
        await response.write(piece)
        piece = await _next_piece(request, source)
    await response.write_eof()
    return response


async def _next_piece(request: BlobRequest, source: Iterator[bytes]) -> bytes:
    """What follows of a blob. Once it cannot be read on, the client has to see the answer break off."""
    try:
        return await asyncio.to_thread(next, source, b"")
    except OSError as error:
        if request.raw.transport is not None:
            request.raw.transport.abort()
        raise ConnectionResetError("The blob could not be read to its end.") from error


def md5_of(data: bytes) -> str:
    """Content-MD5 of some bytes."""
    if not data:
        return _EMPTY_MD5
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
