"""Page blobs: writing and clearing pages, and where there are any."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from aiohttp import web

from reddog.sparse import data_ranges
from reddog.storage._errors import StorageError, bad_header, wrong_type
from reddog.storage._flush import disk_errors, start_write
from reddog.storage._request import BlobRequest, check_conditions, document, empty, tags
from reddog.storage.blobs import _transfer
from reddog.storage.blobs._blobs import changed, check_change, load
from reddog.storage.blobs._index import Blob
from reddog.storage.blobs._uploads import SECTOR

LARGEST_PAGES = 4 << 20  # bytes of one Put Page
_SEQUENCE_CONDITIONS: tuple[tuple[str, Callable[[int, int], bool]], ...] = (
    ("x-ms-if-sequence-number-le", lambda number, given: number <= given),
    ("x-ms-if-sequence-number-lt", lambda number, given: number < given),
    ("x-ms-if-sequence-number-eq", lambda number, given: number == given),
)


async def put_page(request: BlobRequest) -> web.StreamResponse:
    """Put Page: update, or clear, a range of pages."""
    action = request.headers.get("x-ms-page-write", "").lower()
    start, end = _transfer.page_range(request)
    data, digests = await _transfer.gathered(request, LARGEST_PAGES)
    size = sum(map(len, data))
    if action == "update" and size != end - start:
        raise bad_header("Content-Length", str(size))
    if action not in ("update", "clear") or (action == "clear" and data):
        raise bad_header("x-ms-page-write", action)

    def check(blob: Blob) -> None:
        if blob.type != "PageBlob":
            raise wrong_type()
        check_change(request, blob)
        _check_sequence(request, blob)
        if end > blob.size:
            raise StorageError(
                "InvalidPageRange", 416, "The page range specified is invalid: it ends after the blob."
            )

    def write(blob: Blob) -> Callable[[], None]:
        check(blob)
        path = request.account.path(blob.segments[0][0])
        return start_write(path, start, data) if action == "update" else partial(punch, path, start, end)

    blob = await changed(request, check, before=write)
    answer = {"x-ms-blob-sequence-number": str(blob.sequence), "x-ms-request-server-encrypted": "false"}
    if action == "update":
        answer |= digests.headers()
    return empty(201, {**tags(blob), **answer})


def _check_sequence(request: BlobRequest, blob: Blob) -> None:
    for name, holds in _SEQUENCE_CONDITIONS:
        if name in request.headers and not holds(blob.sequence, request.number(name)):
            message = "The sequence number condition specified was not met."
            raise StorageError("SequenceNumberConditionNotMet", 412, message)


def punch(path: Path, start: int, end: int) -> None:
    """Clear a part of a file, durably; what is a hole stays one."""
    with disk_errors():
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for first, last in data_ranges(descriptor, end, start):
                for position in range(first, last, _transfer.PIECE):
                    os.pwrite(descriptor, bytes(min(_transfer.PIECE, last - position)), position)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


async def get_page_ranges(request: BlobRequest) -> web.StreamResponse:
    """Get Page Ranges: where a page blob holds data; with `prevsnapshot`, where it differs from then."""
    blob = await asyncio.to_thread(load, request)
    check_conditions(request, blob)
    if blob.type != "PageBlob":
        raise wrong_type()
    start, end = _transfer.wanted_range(request, blob.size) or (0, blob.size)
    before = request.query.get("prevsnapshot")

    def work() -> list[tuple[str, int, int]]:
        path = request.account.path(blob.segments[0][0])
        if before is None:
            return [("PageRange", *one) for one in page_ranges(path, start, end)]
        with request.account.index.transaction():
            old = request.account.index.blob(request.container, request.blob, before)
        if old is None:
            message = "The previous snapshot is not found."
            raise StorageError("PreviousSnapshotNotFound", 409, message)
        return list(page_differences(path, request.account.path(old.segments[0][0]), start, end))

    found = await asyncio.to_thread(work)
    listed = "".join(
        f"<{tag}><Start>{first}</Start><End>{last - 1}</End></{tag}>" for tag, first, last in found
    )
    body = f'<?xml version="1.0" encoding="utf-8"?><PageList>{listed}</PageList>'
    return document(body, {**tags(blob), "x-ms-blob-content-length": str(blob.size)})


def page_ranges(path: Path, start: int, end: int) -> list[tuple[int, int]]:
    """The ranges of pages that hold anything but zeros."""
    found: list[tuple[int, int]] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for first, last in data_ranges(descriptor, end, start):
            page, after = first // SECTOR * SECTOR, -(-last // SECTOR) * SECTOR
            for one in _written(descriptor, max(page, start), min(after, end)):
                if found and found[-1][1] == one[0]:
                    found[-1] = found[-1][0], one[1]
                else:
                    found.append(one)
    finally:
        os.close(descriptor)
    return found


def _written(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of pages that are not all zero, between two positions."""
    empty_piece = bytes(_transfer.PIECE)
    empty_page = bytes(SECTOR)
    for position in range(start, end, _transfer.PIECE):
        data = os.pread(descriptor, min(_transfer.PIECE, end - position), position)
        if data == empty_piece[: len(data)]:
            continue
        for offset in range(0, len(data), SECTOR):
            if data[offset : offset + SECTOR] != empty_page:
                yield position + offset, position + offset + SECTOR


def page_differences(new: Path, old: Path, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Where two states of a page blob differ: ranges written since, and ranges cleared since."""
    before: tuple[str, int, int] | None = None
    with new.open("rb") as left, old.open("rb") as right:
        for tag, position in _different_pages(left.fileno(), right.fileno(), start, end):
            if before is not None and before[0] == tag and before[2] == position:
                before = tag, before[1], position + SECTOR
                continue
            if before is not None:
                yield before
            before = tag, position, position + SECTOR
    if before is not None:
        yield before


def _different_pages(new: int, old: int, start: int, end: int) -> Iterator[tuple[str, int]]:
    """The pages that differ between two files, and whether they are PageRange or ClearRange now.

    Only pieces of which one of the files has data are read.
    """
    piece = _transfer.PIECE
    filled = {
        number
        for descriptor in (new, old)
        for first, last in data_ranges(descriptor, end, start)
        for number in range(first // piece, -(-last // piece))
    }
    for number in sorted(filled):
        first, last = max(start, number * piece), min(end, (number + 1) * piece)
        one, other = (os.pread(file, last - first, first).ljust(last - first, b"\0") for file in (new, old))
        if one == other:
            continue
        for offset in range(0, last - first, SECTOR):
            page = one[offset : offset + SECTOR]
            if page != other[offset : offset + SECTOR]:
                yield "PageRange" if any(page) else "ClearRange", first + offset
