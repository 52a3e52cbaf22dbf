"""Bytes in and out: bodies received into files, blobs sent from them, without ever holding a whole one."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from aiohttp import web
from multidict import CIMultiDict

from reddog.durable import sync_directory
from reddog.storage._account import Account, keeping
from reddog.storage._errors import StorageError, bad_header, replaced_meanwhile
from reddog.storage._flush import disk_errors, write_chunks
from reddog.storage._request import BlobRequest
from reddog.storage.blobs._digests import CRC64, Digests
from reddog.storage.blobs._index import Blob

PIECE = (
    1 << 20
)  # bytes that are read, or received, at a time; a smaller body is received before it is written
MOST_WAITING = 4  # pieces of a body that are received before they are written, or digested
UNFLUSHED = 1 << 20  # bytes of a body that are written before they are flushed
LARGEST_BODY = 5000 << 20  # bytes; of one Put Blob, as on Azure
log = logging.getLogger("reddog.storage")
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


@dataclass(frozen=True)
class Received:
    """A body in a file of its own."""

    file: str
    path: Path
    size: int
    digests: Digests


async def receive(request: BlobRequest, *, whole: bool = False, limit: int = LARGEST_BODY) -> Received:
    """Receive a body into a new file, durably. `whole`: it is a blob, whose MD5 is kept.

    :raises StorageError: it is too large, shorter than was said, or not what its digests say.
    """
    digests = _digests(request, whole=whole)
    account = request.account
    refuse_larger(request, limit)
    file, path = account.new_file()
    with keeping(path):
        received = await _write(request, path, digests)
        digests.check()
        return Received(file, path, received, digests)


def _digests(request: BlobRequest, *, whole: bool = False) -> Digests:
    """What the body's digests have to be; those of a source have headers of their own."""
    headers: Mapping[str, str] = request.headers
    if request.source is not None:
        names = {"x-ms-source-content-md5": "Content-MD5", "x-ms-source-content-crc64": CRC64}
        given = {name: headers[source] for source, name in names.items() if source in headers}
        headers = CIMultiDict({**given, "x-ms-version": headers.get("x-ms-version", "")})
    return Digests(headers, whole=whole)


class _Draft:
    """A new file that is written in threads; it is not closed under a thread that writes.

    What was written is flushed by `flushes` while more comes, so that little is left to do in the end.
    """

    def __init__(self, path: Path, digests: Digests, flushes: Executor) -> None:
        self._path = path
        self._flushes = flushes
        self._flushing: Future[None] | None = None
        self._size = self._unflushed = 0
        self._file = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115 - see close
        self._gate = threading.Lock()
        self._digests = digests

    def write(self, chunks: list[bytes]) -> None:
        """Add some bytes to the file."""
        with self._gate, disk_errors():
            begin, self._size = self._size, write_chunks(self._file.fileno(), self._size, chunks)
            self._unflushed += self._size - begin
            if self._unflushed >= UNFLUSHED and (self._flushing is None or self._flushing.done()):
                self._await_flush()
                self._flushing = self._flushes.submit(os.fdatasync, self._file.fileno())
                self._unflushed = 0

    def _await_flush(self) -> None:
        """Wait for the flush that runs, if one does, and tell of its failure."""
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            flushing.result()

    def digest(self, chunks: list[bytes]) -> None:
        """Add them to the digests."""
        self._digests.update(*chunks)

    def add(self, chunks: list[bytes]) -> None:
        """Do both."""
        self.digest(chunks)
        self.write(chunks)

    def finish(self) -> None:
        """Have all of it on the disk."""
        with self._gate, disk_errors():
            self._await_flush()
            naming = self._flushes.submit(sync_directory, self._path.parent)
            os.fdatasync(self._file.fileno())
            naming.result()

    def write_whole(self, chunks: list[bytes]) -> None:
        """Do all that is to be done with a small body, at once."""
        try:
            self.add(chunks)
            self.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Close the file."""
        with self._gate:
            if self._flushing is not None:
                wait([self._flushing])
            self._file.close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


async def _write(request: BlobRequest, path: Path, digests: Digests) -> int:
    """Write the body; what has come is written, and digested, while more is received. Returns its size."""
    draft = _Draft(path, digests, request.account.flushes)
    if request.body_size < PIECE:
        try:
            chunks = [chunk async for piece in pieces(request) for chunk in piece]
        except BaseException:
            draft.close()
            raise
        await asyncio.to_thread(draft.write_whole, chunks)
        return sum(map(len, chunks))
    received = 0
    lanes = [_Lane(work) for work in ([draft.write, draft.digest] if digests.slow else [draft.add])]
    try:
        async for piece in pieces(request):
            received += sum(map(len, piece))
            for lane in lanes:
                await lane.add(piece)
        for lane in lanes:
            await lane.finish()
        await asyncio.to_thread(draft.finish)
    finally:
        for lane in lanes:
            lane.stop()
        await asyncio.to_thread(draft.close)
    return received


class _Lane:
    """Does some work on pieces in their order, in a thread of its own: on all that have come since the last time."""

    def __init__(self, work: Callable[[list[bytes]], None]) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reddog-lane")
        self._running: asyncio.Future[None] | None = None
        self._waiting: list[list[bytes]] = []

    async def add(self, piece: list[bytes]) -> None:
        """Add a piece, when not too many wait; raises what the work on an earlier one has raised."""
        self._waiting.append(piece)
        if self._running is not None and (self._running.done() or len(self._waiting) >= MOST_WAITING):
            await self._end_turn()
        if self._running is None:
            self._begin_turn()

    def _begin_turn(self) -> None:
        chunks = [chunk for piece in self._waiting for chunk in piece]
        self._waiting.clear()
        self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._work, chunks)

    async def _end_turn(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running

    async def finish(self) -> None:
        """Wait for the work on all pieces."""
        await self._end_turn()
        if self._waiting:
            self._begin_turn()
            await self._end_turn()

    def stop(self) -> None:
        """Leave undone what has not begun."""
        if self._running is not None and not self._running.cancel() and not self._running.cancelled():
            self._running.exception()  # it comes from what has failed before, which is told already
        self._thread.shutdown(wait=False, cancel_futures=True)


async def pieces(request: BlobRequest) -> AsyncIterator[list[bytes]]:
    """A body in pieces of a mebibyte or more, as they came. It ends early, with an error, when the client goes away."""
    if request.source is not None:
        source = read(request.source.account, request.source.blob, request.source.start, request.source.end)
        while piece := await asyncio.to_thread(next, source, b""):
            yield [piece]
        return
    gathered: list[bytes] = []
    size = 0
    async for chunk in request.raw.content.iter_any():
        gathered.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


async def small_body(request: BlobRequest, limit: int) -> tuple[bytes, Digests]:
    """A body of up to `limit` bytes, checked against what its digests have to be."""
    chunks, digests = await gathered(request, limit)
    return b"".join(chunks), digests


async def gathered(request: BlobRequest, limit: int) -> tuple[list[bytes], Digests]:
    """The same, in pieces as they came."""
    digests = _digests(request)
    refuse_larger(request, limit)
    received = [chunk async for piece in pieces(request) for chunk in piece]
    await asyncio.to_thread(digests.update, *received)
    digests.check()
    return received, digests


def refuse_larger(request: BlobRequest, limit: int) -> None:
    """Refuse a body of more than `limit` bytes. RequestBodyTooLarge."""
    if request.body_size > limit:
        raise StorageError("RequestBodyTooLarge", 413, f"The request body is larger than {limit} bytes.")


def wanted_range(request: BlobRequest, size: int) -> tuple[int, int] | None:
    """The bytes asked for, as start and end (exclusive); None for all of them. InvalidRange (416)."""
    return range_of(request.headers.get("x-ms-range") or request.headers.get("Range"), size)


def range_of(value: str | None, size: int) -> tuple[int, int] | None:
    """What a range header means for a blob of some size; see `wanted_range`."""
    if value is None:
        return None
    found = _RANGE.fullmatch(value.strip())
    if found is None or found[1] == "":
        return None  # as HTTP asks: a range that is not understood is ignored
    start = int(found[1])
    end = min(int(found[2]) + 1 if found[2] else size, size)
    if start >= size or end <= start:
        message = "The range specified is invalid for the current size of the resource."
        raise StorageError("InvalidRange", 416, message, headers={"Content-Range": f"bytes */{size}"})
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
    for file, offset, length in _segments(blob, start, end):
        yield from _read_file(account.path(file), offset, length)


def _segments(blob: Blob, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Where a blob's bytes from start to end are: file, offset and length."""
    position = 0
    for file, offset, length in blob.segments:
        first, last = max(start, position), min(end, position + length)
        if first < last:
            yield file, offset + first - position, last - first
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
    account, segments = request.account, _segments(blob, start, end)
    try:
        if end - start <= PIECE:
            whole = await asyncio.to_thread(lambda: b"".join(read(account, blob, start, end)))
            return web.Response(status=status, headers=headers, body=whole)
        first = await asyncio.to_thread(_open_next, account, segments)
    except FileNotFoundError:
        raise replaced_meanwhile() from None
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    await _send_files(request, response, first, segments)
    return response


Segments = Iterator[tuple[str, int, int]]
Part = tuple[FileIO, int, int]  # a file, and where in it, and how many bytes


def _open_next(account: Account, segments: Segments) -> Part | None:
    """The file of the next segment; it stays readable if it is deleted."""
    for file, offset, length in segments:
        opened = FileIO(account.path(file))
        os.posix_fadvise(opened.fileno(), offset, length, os.POSIX_FADV_SEQUENTIAL)
        return opened, offset, length
    return None


async def _send_files(
    request: BlobRequest, response: web.StreamResponse, part: Part | None, segments: Segments
) -> None:
    """Send a part, and those that follow, as the kernel sends files: without reading them.

    A client that has gone away is no error. Where a file cannot be read on, the client sees the answer break off.
    """
    transport = request.raw.transport
    try:
        await response.prepare(request.raw)
        while part is not None and transport is not None:
            await _send_file(response, transport, *part)
            part = await asyncio.to_thread(_open_next, request.account, segments)
        await response.write_eof()
    except ConnectionError:
        log.debug("%s %s: the client has gone away", request.raw.method, request.raw.path)
    except OSError as error:
        log.warning("%s %s broke off: %s", request.raw.method, request.raw.path, error)
        if transport is not None:
            transport.abort()


async def _send_file(
    response: web.StreamResponse, transport: asyncio.Transport, file: FileIO, offset: int, length: int
) -> None:
    with file:
        sent = await asyncio.get_running_loop().sendfile(transport, file, offset, length)
    for position in range(sent, length, PIECE):  # what a file lacks at its end is a hole
        await response.write(bytes(min(PIECE, length - position)))
