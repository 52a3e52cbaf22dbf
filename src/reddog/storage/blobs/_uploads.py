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

from reddog.durable import sync_new
from reddog.storage._account import keeping
from reddog.storage._errors import StorageError, bad_header, bad_query, replaced_meanwhile, wrong_type
from reddog.storage._flush import copy_at, disk_errors, write_at
from reddog.storage._request import (
    LARGEST_DOCUMENT,
    BlobRequest,
    check_absence,
    check_conditions,
    document,
    empty,
    made_of,
    parse_xml,
    tags,
)
from reddog.storage.blobs import _leases, _transfer
from reddog.storage.blobs._blobs import (
    LARGEST_PAGE_BLOB,
    changed,
    check_change,
    check_replace,
    content_headers,
    copied_tags,
    load,
    new_blob,
)
from reddog.storage.blobs._digests import Digests
from reddog.storage.blobs._index import Blob, Block

TYPES = {"blockblob": "BlockBlob", "pageblob": "PageBlob", "appendblob": "AppendBlob"}
LARGEST_APPEND = 100 << 20
GATHERED_APPEND = 4 << 20  # bytes to append that are received before they are written; more are written twice
MOST_BLOCKS = 50_000
SECTOR = 512


async def put_blob(request: BlobRequest) -> web.StreamResponse:
    """Put Blob: a block blob with its content, or an empty page or append blob."""
    kind = TYPES.get(request.headers.get("x-ms-blob-type", "").lower())
    if kind is None:
        raise bad_header("x-ms-blob-type", request.headers.get("x-ms-blob-type", ""))
    blob = new_blob(request, kind, whole=request.source is None)
    if request.body_size >= _transfer.PIECE:
        await asyncio.to_thread(_require_container, request)
    headers = {"x-ms-request-server-encrypted": "false"}
    if kind == "BlockBlob":
        received = await _transfer.receive(request, whole=True)
        blob.size = received.size
        blob.segments = [[received.file, 0, received.size]]
        if request.source is not None:
            _take_properties(request, request.source.blob, blob)
        blob.headers["Content-MD5"] = received.digests.md5
        headers |= received.digests.headers()
    else:
        await asyncio.to_thread(_start_empty, request, blob)
    blob = await asyncio.to_thread(_replace, request, blob)
    return empty(201, {**tags(blob), **headers})


def _take_properties(request: BlobRequest, source: Blob, blob: Blob) -> None:
    """Give a blob what Put Blob From URL takes from its source: content properties, and tags if it is asked to."""
    if request.headers.get("x-ms-copy-source-blob-properties", "true").lower() == "true":
        blob.headers = {**source.headers, **content_headers(request, whole=False)}
    blob.tags = copied_tags(request, source)


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
    return empty(201, {**received.digests.headers(), "x-ms-request-server-encrypted": "false"})


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
    data, digests = await _transfer.small_body(request, LARGEST_DOCUMENT)
    wanted = await made_of(data, _block_list)
    blob = new_blob(request, "BlockBlob")

    def work() -> Blob:
        account = request.account
        with account.changing(request.container, request.blob):
            with account.index.transaction():
                account.container(request.container)
                present = account.index.blob(request.container, request.blob)
                check_absence(request, present)
                check_change(request, present)
                if present is not None and present.type != "BlockBlob":
                    raise wrong_type()
                uncommitted = account.index.blocks(request.container, request.blob)
            _assemble(blob, wanted, uncommitted, present)
            return account.put(blob, shared=True)

    blob = await asyncio.to_thread(work)
    return empty(201, {**tags(blob), **digests.headers(), "x-ms-request-server-encrypted": "false"})


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
    if blob is not None:
        _leases.check_read(blob.lease, request.lease_id)
        check_conditions(request, blob)
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
    """Append Block. A large one is a file of its own until it has been received."""
    if request.body_size == 0:
        raise bad_header("Content-Length", "0")
    if request.body_size <= GATHERED_APPEND:
        data, digests = await _transfer.small_body(request, LARGEST_APPEND)
        return await _append(request, len(data), digests, lambda path, offset: write_at(path, offset, [data]))
    received = await _transfer.receive(request, limit=LARGEST_APPEND)
    try:
        return await _append(
            request,
            received.size,
            received.digests,
            lambda path, offset: copy_at(path, offset, received.path),
        )
    finally:
        received.path.unlink(missing_ok=True)


async def _append(
    request: BlobRequest, size: int, digests: Digests, put: Callable[[Path, int], None]
) -> web.StreamResponse:
    """Append some bytes, which `put` writes into a file at an offset, durably."""
    largest = request.number("x-ms-blob-condition-maxsize", 1 << 62)
    expected = request.number("x-ms-blob-condition-appendpos", -1)
    offset = -1

    def check(blob: Blob) -> None:
        if blob.type != "AppendBlob":
            raise wrong_type()
        check_change(request, blob)
        if blob.sealed:
            raise _sealed()
        if expected not in (-1, blob.size):
            raise _wrong_position()
        if blob.size + size > largest:
            message = "The max blob size condition specified was not met."
            raise StorageError("MaxBlobSizeConditionNotMet", 412, message)
        if len(blob.blocks) >= MOST_BLOCKS:
            message = "The committed block count cannot exceed the limit of 50,000 blocks."
            raise StorageError("BlockCountExceedsLimit", 409, message)

    def write(blob: Blob) -> None:
        nonlocal offset
        check(blob)
        offset = blob.size
        put(request.account.path(blob.segments[0][0]), offset)

    def edit(blob: Blob) -> None:
        check(blob)
        if blob.size != offset:
            raise replaced_meanwhile()
        blob.size += size
        blob.segments[0][2] = blob.size
        blob.blocks.append(["", size])
        blob.headers.pop("Content-MD5", None)

    blob = await changed(request, edit, before=write)
    answer = {
        **digests.headers(),
        "x-ms-blob-append-offset": str(offset),
        "x-ms-blob-committed-block-count": str(len(blob.blocks)),
        "x-ms-request-server-encrypted": "false",
    }
    return empty(201, {**tags(blob), **answer})


def _sealed() -> StorageError:
    message = (
        "The specified blob is sealed, and its contents can't be modified "
        "unless the blob is re-created after a delete."
    )
    return StorageError("BlobIsSealed", 409, message)


async def seal(request: BlobRequest) -> web.StreamResponse:
    """Append Blob Seal: nothing can be appended from now on."""
    expected = request.number("x-ms-blob-condition-appendpos", -1)

    def edit(blob: Blob) -> None:
        if blob.type != "AppendBlob":
            raise wrong_type()
        check_change(request, blob)
        if expected not in (-1, blob.size):
            raise _wrong_position()
        blob.sealed = True

    blob = await changed(request, edit)
    return empty(200, {**tags(blob), "x-ms-blob-sealed": "true"})


def _wrong_position() -> StorageError:
    message = "The append position condition specified was not met."
    return StorageError("AppendPositionConditionNotMet", 412, message)
