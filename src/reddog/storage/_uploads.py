"""Writing blobs: whole ones, blocks, appended blocks, pages."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web

from reddog.sparse import data_ranges
from reddog.storage import _leases, _transfer
from reddog.storage._account import disk_errors, keeping, sync_new
from reddog.storage._blobs import (
    DEFAULT_TYPE,
    LARGEST_PAGE_BLOB,
    changed,
    check_change,
    check_replace,
    content_headers,
    load,
)
from reddog.storage._errors import StorageError, bad_header, bad_query, replaced_meanwhile, wrong_type
from reddog.storage._index import Blob, Block
from reddog.storage._request import (
    LARGEST_DOCUMENT,
    BlobRequest,
    document,
    empty,
    metadata_of,
    parse_xml,
    tags,
)

TYPES = {"blockblob": "BlockBlob", "pageblob": "PageBlob", "appendblob": "AppendBlob"}
LARGEST_PAGES = 4 << 20  # bytes of one Put Page
LARGEST_APPEND = 100 << 20
MOST_BLOCKS = 50_000
SECTOR = 512
_SEQUENCE_CONDITIONS: tuple[tuple[str, Callable[[int, int], bool]], ...] = (
    ("x-ms-if-sequence-number-le", lambda number, given: number <= given),
    ("x-ms-if-sequence-number-lt", lambda number, given: number < given),
    ("x-ms-if-sequence-number-eq", lambda number, given: number == given),
)


async def put_blob(request: BlobRequest) -> web.StreamResponse:
    """Put Blob: a block blob with its content, or an empty page or append blob."""
    kind = TYPES.get(request.headers.get("x-ms-blob-type", "").lower())
    if kind is None:
        raise bad_header("x-ms-blob-type", request.headers.get("x-ms-blob-type", ""))
    blob = Blob(request.container, request.blob, kind)
    blob.headers = content_headers(request, whole=True)
    blob.headers.setdefault("Content-Type", DEFAULT_TYPE)
    blob.metadata = metadata_of(request.headers)
    await asyncio.to_thread(_require_container, request)
    if kind == "BlockBlob":
        received = await _transfer.receive(request)
        blob.size = received.size
        blob.segments = [[received.file, 0, received.size]]
        blob.headers.setdefault("Content-MD5", received.md5)
    else:
        await asyncio.to_thread(_start_empty, request, blob)
    blob = await asyncio.to_thread(_replace, request, blob)
    headers = {**tags(blob), "x-ms-request-server-encrypted": "false"}
    if kind == "BlockBlob":
        headers["Content-MD5"] = received.md5
    return empty(201, headers)


def _start_empty(request: BlobRequest, blob: Blob) -> None:
    """Give a new page or append blob its file."""
    if request.body_size:
        raise bad_header("Content-Length", str(request.body_size))
    if blob.type == "PageBlob":
        blob.size = request.number("x-ms-blob-content-length")
        if blob.size % SECTOR or blob.size > LARGEST_PAGE_BLOB:
            raise bad_header("x-ms-blob-content-length", str(blob.size))
        blob.sequence = request.number("x-ms-blob-sequence-number", 0)
    with request.account.drafting() as (file, path), disk_errors(), path.open("xb") as made:
        os.chmod(path, 0o600)
        made.truncate(blob.size)
        sync_new(path)
    blob.segments = [[file, 0, blob.size]]


def _require_container(request: BlobRequest) -> None:
    """Refuse early, before a body is received, what would be refused in the end."""
    account = request.account
    with account.index.transaction():
        account.container(request.container)
        check_replace(request, account.index.blob(request.container, request.blob))


def _replace(request: BlobRequest, blob: Blob) -> Blob:
    account = request.account
    with account.changing(request.container, request.blob):
        return account.put(blob, lambda present: check_replace(request, present))


# -- Block blobs -----------------------------------------------------------------------------------------


async def put_block(request: BlobRequest) -> web.StreamResponse:
    """Put Block."""
    identity = _block_id(request.query.get("blockid", ""))
    await asyncio.to_thread(_require_block_blob, request)
    received = await _transfer.receive(request)

    def work() -> None:
        account = request.account
        with (
            keeping(received.path),
            account.changing(request.container, request.blob),  # not while a list is made of the old ones
            account.index.transaction(write=True) as freed,
        ):
            account.container(request.container)
            count, length = account.index.block_counts(request.container, request.blob)
            if count and length != len(identity.rstrip("=")):
                message = "The specified block ID is not of the length of the other blocks' ids."
                raise StorageError("InvalidBlobOrBlock", 400, message)
            if count >= 2 * MOST_BLOCKS:
                message = "The uncommitted block count is at its limit of 100,000."
                raise StorageError("BlockCountExceedsLimit", 409, message)
            block = Block(identity, received.size, received.file)
            account.index.put_block(request.container, request.blob, block)
        account.discard(freed)

    await asyncio.to_thread(work)
    return empty(201, {"Content-MD5": received.md5, "x-ms-request-server-encrypted": "false"})


def _block_id(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not 1 <= len(raw) <= 64:
        raise bad_query("blockid", value)
    return value


def _require_block_blob(request: BlobRequest) -> None:
    account = request.account
    with account.index.transaction():
        account.container(request.container)
        blob = account.index.blob(request.container, request.blob)
    if blob is not None and blob.type != "BlockBlob":
        raise wrong_type()
    if blob is not None:
        _leases.check_write(blob.lease, request.lease_id)


async def put_block_list(request: BlobRequest) -> web.StreamResponse:
    """Put Block List: the blob becomes these blocks, in this order."""
    wanted = _block_list(await _transfer.small_body(request, LARGEST_DOCUMENT))
    blob = Blob(request.container, request.blob, "BlockBlob")
    blob.headers = content_headers(request, whole=False)
    blob.headers.setdefault("Content-Type", DEFAULT_TYPE)
    blob.metadata = metadata_of(request.headers)

    def work() -> Blob:
        account = request.account
        with account.changing(request.container, request.blob):
            with account.index.transaction():
                account.container(request.container)
                present = account.index.blob(request.container, request.blob)
                check_change(request, present)
                if present is not None and present.type != "BlockBlob":
                    raise wrong_type()
                uncommitted = account.index.blocks(request.container, request.blob)
            _assemble(blob, wanted, uncommitted, present)
            return account.put(blob, shared=True)

    blob = await asyncio.to_thread(work)
    return empty(201, {**tags(blob), "x-ms-request-server-encrypted": "false"})


def _block_list(data: bytes) -> list[tuple[str, str]]:
    """The entries of a block list: where to look (Committed, Uncommitted, Latest), and the block's id."""
    root = parse_xml(data)
    entries = [(str(node.tag), (node.text or "").strip()) for node in root if isinstance(node.tag, str)]
    if root.tag != "BlockList" or any(
        tag not in ("Committed", "Uncommitted", "Latest") for tag, _ in entries
    ):
        raise StorageError("InvalidXmlDocument", 400, "The XML specified is no block list.")
    if len(entries) > MOST_BLOCKS:
        raise StorageError("BlockListTooLong", 400, "The block list may not contain more than 50,000 blocks.")
    return entries


def _assemble(
    blob: Blob, wanted: list[tuple[str, str]], uncommitted: dict[str, Block], present: Blob | None
) -> None:
    committed = dict(_committed(present)) if present is not None else {}
    for where, identity in wanted:
        new = uncommitted.get(identity) if where != "Committed" else None
        old = committed.get(identity) if where != "Uncommitted" else None
        if new is not None:
            segments, size = [[new.file, 0, new.size]], new.size
        elif old is not None:
            segments, size = old
        else:
            raise StorageError("InvalidBlockList", 400, "The specified block list is invalid.")
        blob.segments += segments
        blob.blocks.append([identity, size])
        blob.size += size


def _committed(blob: Blob) -> Iterator[tuple[str, tuple[list[list[object]], int]]]:
    """A blob's committed blocks: id, where their bytes are, and how many."""
    start = 0
    for identity, size in blob.blocks:
        yield identity, (list(_part(blob, start, start + size)), size)
        start += size


def _part(blob: Blob, start: int, end: int) -> Iterator[list[object]]:
    position = 0
    for file, offset, length in blob.segments:
        first, last = max(start, position), min(end, position + length)
        if first < last:
            yield [file, offset + first - position, last - first]
        position += length


async def get_block_list(request: BlobRequest) -> web.StreamResponse:
    """Get Block List: committed, uncommitted or all."""
    which = request.query.get("blocklisttype", "committed").lower()
    if which not in ("committed", "uncommitted", "all"):
        raise bad_query("blocklisttype", which)

    def work() -> tuple[Blob | None, dict[str, Block]]:
        account = request.account
        with account.index.transaction():
            account.container(request.container)
            found = account.index.blob(request.container, request.blob, request.snapshot)
            blocks = account.index.blocks(request.container, request.blob)
        if found is None and not blocks:
            load(request)  # says what is missing
        return found, blocks

    blob, uncommitted = await asyncio.to_thread(work)
    if blob is not None and blob.type != "BlockBlob":
        raise wrong_type()
    committed = blob.blocks if blob is not None else []
    parts = ['<?xml version="1.0" encoding="utf-8"?><BlockList>']
    if which in ("committed", "all"):
        parts.append(_listed("CommittedBlocks", [(one[0], one[1]) for one in committed]))
    if which in ("uncommitted", "all"):
        parts.append(_listed("UncommittedBlocks", [(one.id, one.size) for one in uncommitted.values()]))
    parts.append("</BlockList>")
    headers = {**tags(blob), "x-ms-blob-content-length": str(blob.size)} if blob is not None else {}
    return document("".join(parts), headers)


def _listed(name: str, blocks: list[tuple[str, int]]) -> str:
    entries = "".join(f"<Block><Name>{escape(one)}</Name><Size>{size}</Size></Block>" for one, size in blocks)
    return f"<{name}>{entries}</{name}>"


# -- Append blobs ----------------------------------------------------------------------------------------


async def append_block(request: BlobRequest) -> web.StreamResponse:
    """Append Block."""
    data = await _transfer.small_body(request, LARGEST_APPEND)
    if not data:
        raise bad_header("Content-Length", "0")
    largest = request.number("x-ms-blob-condition-maxsize", 1 << 62)
    expected = request.number("x-ms-blob-condition-appendpos", -1) if _given(request, "appendpos") else -1
    offset = -1

    def check(blob: Blob) -> None:
        if blob.type != "AppendBlob":
            raise wrong_type()
        check_change(request, blob)
        if expected not in (-1, blob.size):
            message = "The append position condition specified was not met."
            raise StorageError("AppendPositionConditionNotMet", 412, message)
        if blob.size + len(data) > largest:
            message = "The max blob size condition specified was not met."
            raise StorageError("MaxBlobSizeConditionNotMet", 412, message)
        if len(blob.blocks) >= MOST_BLOCKS:
            message = "The committed block count cannot exceed the limit of 50,000 blocks."
            raise StorageError("BlockCountExceedsLimit", 409, message)

    def write(blob: Blob) -> None:
        nonlocal offset
        check(blob)
        offset = blob.size
        write_at(request.account.path(blob.segments[0][0]), offset, data)

    def edit(blob: Blob) -> None:
        check(blob)
        if blob.size != offset:
            raise replaced_meanwhile()
        blob.size += len(data)
        blob.segments[0][2] = blob.size
        blob.blocks.append(["", len(data)])
        blob.headers.pop("Content-MD5", None)

    blob = await changed(request, edit, before=write)
    answer = {
        "Content-MD5": _transfer.md5_of(data),
        "x-ms-blob-append-offset": str(offset),
        "x-ms-blob-committed-block-count": str(len(blob.blocks)),
        "x-ms-request-server-encrypted": "false",
    }
    return empty(201, {**tags(blob), **answer})


def _given(request: BlobRequest, condition: str) -> bool:
    return f"x-ms-blob-condition-{condition}" in request.headers


def write_at(path: Path, offset: int, data: bytes) -> None:
    """Write into a file, durably."""
    with disk_errors():
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset)
                view, offset = view[written:], offset + written
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


# -- Page blobs ------------------------------------------------------------------------------------------


async def put_page(request: BlobRequest) -> web.StreamResponse:
    """Put Page: update, or clear, a range of pages."""
    action = request.headers.get("x-ms-page-write", "").lower()
    start, end = _transfer.page_range(request)
    data = await _transfer.small_body(request, LARGEST_PAGES)
    if action == "update" and len(data) != end - start:
        raise bad_header("Content-Length", str(len(data)))
    if action not in ("update", "clear") or (action == "clear" and data):
        raise bad_header("x-ms-page-write", action)

    def edit(blob: Blob) -> None:
        if blob.type != "PageBlob":
            raise wrong_type()
        check_change(request, blob)
        _check_sequence(request, blob)
        if end > blob.size:
            raise StorageError(
                "InvalidPageRange", 416, "The page range specified is invalid: it ends after the blob."
            )
        path = request.account.path(blob.segments[0][0])
        if action == "update":
            write_at(path, start, data)
        else:
            punch(path, start, end)
        blob.headers.pop("Content-MD5", None)

    blob = await changed(request, edit)
    answer = {"x-ms-blob-sequence-number": str(blob.sequence), "x-ms-request-server-encrypted": "false"}
    if action == "update":
        answer["Content-MD5"] = _transfer.md5_of(data)
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
