"""Operations on blobs of every type: read, properties, metadata, lease, snapshot, delete, copy."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from aiohttp import web

from reddog.durable import sync_file, sync_new
from reddog.sparse import copy_sparse
from reddog.storage._auth import not_permitted
from reddog.storage._errors import StorageError, archived, bad_header, missing_header, no_overwriting
from reddog.storage._flush import disk_errors
from reddog.storage._request import (
    LARGEST_DOCUMENT,
    BlobRequest,
    check_absence,
    check_conditions,
    document,
    empty,
    http_date,
    is_not_modified,
    lease_headers,
    made_of,
    metadata_headers,
    metadata_of,
    parse_xml,
    tags,
)
from reddog.storage.blobs import _leases, _tags, _transfer
from reddog.storage.blobs._digests import md5_of
from reddog.storage.blobs._index import Blob

CONTENT_HEADERS = (
    *("Content-Type", "Content-Encoding", "Content-Language", "Content-MD5"),
    *("Cache-Control", "Content-Disposition"),
)
DEFAULT_TYPE = "application/octet-stream"
TIERS = {name.lower(): name for name in ("Hot", "Cool", "Cold", "Archive")}
LARGEST_PAGE_BLOB = 8 << 40  # bytes
_LARGEST_HASHED = 4 << 20


def content_headers(request: BlobRequest, *, whole: bool) -> dict[str, str]:
    """A blob's content properties from a request; with `whole`, plain HTTP headers count too (Put Blob)."""
    found = {}
    for name in CONTENT_HEADERS:
        value = request.headers.get(f"x-ms-blob-{name.lower()}")
        if value is None and whole and name != "Content-MD5":
            value = request.headers.get(name)
        if value:
            found[name] = value
    return found


def new_blob(request: BlobRequest, kind: str, *, whole: bool = False) -> Blob:
    """A blob with the properties, metadata, tags and tier that a request gives it; see `content_headers`."""
    blob = Blob(request.container, request.blob, kind)
    blob.headers = content_headers(request, whole=whole)
    blob.headers.setdefault("Content-Type", DEFAULT_TYPE)
    blob.metadata = metadata_of(request.headers)
    blob.tags = given_tags(request)
    blob.tier = given_tier(request, kind)
    return blob


def given_tags(request: BlobRequest) -> dict[str, str]:
    """The tags that a request gives a blob; a signature has to permit it."""
    value = request.headers.get("x-ms-tags", "")
    if value and request.permissions is not None and "t" not in request.permissions:
        raise not_permitted()
    return _tags.from_header(value)


def copied_tags(request: BlobRequest, source: Blob) -> dict[str, str]:
    """The copy's tags: those that are given, or with `x-ms-copy-source-tag-option` COPY the source's."""
    given, option = (
        given_tags(request),
        request.headers.get("x-ms-copy-source-tag-option", "REPLACE").upper(),
    )
    if option not in ("COPY", "REPLACE"):
        raise bad_header("x-ms-copy-source-tag-option", option)
    if option == "COPY" and given:
        message = "x-ms-tags header must not be present with x-ms-copy-source-tag-option as COPY."
        raise StorageError("BothUserTagsAndSourceTagsCopyPresentException", 400, message)
    return dict(source.tags) if option == "COPY" else given


def given_tier(request: BlobRequest, kind: str) -> str:
    """The access tier that a request gives a blob of some type; empty when it gives none."""
    value = request.headers.get("x-ms-access-tier")
    if value is None:
        return ""
    tier = TIERS.get(value.lower())
    if kind != "BlockBlob":
        message = "The access tier is not supported for this blob type."
        raise StorageError("AccessTierNotSupportedForBlobType", 400, message)
    if tier is None:
        raise bad_header("x-ms-access-tier", value)
    return tier


def tier_headers(blob: Blob) -> dict[str, str]:
    """A blob's access tier as the headers of an answer; only block blobs have one."""
    if blob.type != "BlockBlob":
        return {}
    if not blob.tier:
        return {"x-ms-access-tier": TIERS["hot"], "x-ms-access-tier-inferred": "true"}
    changed = {"x-ms-access-tier-change-time": http_date(blob.tier_changed)} if blob.tier_changed else {}
    return {"x-ms-access-tier": blob.tier, "x-ms-access-tier-inferred": "false", **changed}


def described(request: BlobRequest, blob: Blob) -> dict[str, str]:
    """A blob as the headers of an answer tell it."""
    headers = {
        **tags(blob),
        **metadata_headers(blob.metadata),
        **lease_headers(blob.lease),
        "x-ms-blob-type": blob.type,
        "x-ms-creation-time": http_date(blob.created),
        "x-ms-server-encrypted": "false",
        "Accept-Ranges": "bytes",
        **{name: value for name, value in blob.headers.items() if name != "Content-MD5"},
        **request.overrides,
        **copy_headers(blob),
        **tier_headers(blob),
    }
    if blob.tags:
        headers["x-ms-tag-count"] = str(len(blob.tags))
    headers.setdefault("Content-Type", "")  # it was cleared; without the header the library would add one
    if blob.type == "PageBlob":
        headers["x-ms-blob-sequence-number"] = str(blob.sequence)
    if blob.type == "AppendBlob":
        headers["x-ms-blob-committed-block-count"] = str(len(blob.blocks))
        headers["x-ms-blob-sealed"] = str(blob.sealed).lower()
    return headers


def copy_headers(blob: Blob) -> dict[str, str]:
    """How a blob was copied, as the headers of an answer."""
    return {f"x-ms-copy-{name}": value for name, value in blob.copy.items()}


def load(request: BlobRequest) -> Blob:
    """The blob or snapshot that a request names, for reading."""
    account = request.account
    with account.index.transaction():
        blob = account.blob(request.container, request.blob, request.snapshot)
    _leases.check_read(blob.lease, request.lease_id)
    return blob


def check_change(request: BlobRequest, blob: Blob | None) -> None:
    """Lease and conditions of a change to a blob."""
    if blob is not None:
        _leases.check_write(blob.lease, request.lease_id)
    elif request.lease_id is not None:
        _leases.check_read({}, request.lease_id)
    check_conditions(request, blob)


def check_replace(request: BlobRequest, blob: Blob | None) -> None:
    """Lease, conditions and permission of putting a new blob in a blob's place."""
    check_absence(request, blob)
    check_change(request, blob)
    if blob is not None and request.permissions is not None and "w" not in request.permissions:
        raise no_overwriting()


async def get(request: BlobRequest) -> web.StreamResponse:
    """Get Blob."""
    blob = await asyncio.to_thread(load, request)
    if is_not_modified(request, blob):
        return empty(304, tags(blob))
    if blob.tier == TIERS["archive"]:
        raise archived()
    headers = described(request, blob)
    wanted = _transfer.wanted_range(request, blob.size)
    digest = blob.headers.get("Content-MD5")
    if digest:
        headers["x-ms-blob-content-md5"] = digest
    if wanted is None:
        if digest:
            headers["Content-MD5"] = digest
        return await _transfer.send(request, blob, 0, blob.size, 200, headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    if request.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
        if end - start > _LARGEST_HASHED:
            raise bad_header("x-ms-range-get-content-md5", "true")
        data = await asyncio.to_thread(lambda: b"".join(_transfer.read(request.account, blob, start, end)))
        headers["Content-MD5"] = md5_of(data)
    return await _transfer.send(request, blob, start, end, 206, headers)


async def head(request: BlobRequest) -> web.StreamResponse:
    """Get Blob Properties."""
    blob = await asyncio.to_thread(load, request)
    if is_not_modified(request, blob):
        return empty(304, tags(blob))
    headers = described(request, blob)
    if blob.headers.get("Content-MD5"):
        headers["Content-MD5"] = blob.headers["Content-MD5"]
    response = web.StreamResponse(status=200, headers=headers)
    response.content_length = blob.size
    return response


async def get_metadata(request: BlobRequest) -> web.StreamResponse:
    """Get Blob Metadata."""
    blob = await asyncio.to_thread(load, request)
    check_conditions(request, blob)
    return empty(200, {**tags(blob), **metadata_headers(blob.metadata)})


async def set_metadata(request: BlobRequest) -> web.StreamResponse:
    """Set Blob Metadata."""
    metadata = metadata_of(request.headers)

    def edit(blob: Blob) -> None:
        check_change(request, blob)
        blob.metadata = metadata

    blob = await changed(request, edit)
    return empty(200, {**tags(blob), "x-ms-request-server-encrypted": "false"})


async def set_properties(request: BlobRequest) -> web.StreamResponse:
    """Set Blob Properties: content properties, and of a page blob its size and sequence number."""
    headers = content_headers(request, whole=False)
    size = request.number("x-ms-blob-content-length", -1)
    action = request.headers.get("x-ms-sequence-number-action", "").lower()
    number = request.number("x-ms-blob-sequence-number", 0)

    def edit(blob: Blob) -> None:
        check_change(request, blob)
        if action:
            blob.sequence = next_sequence(blob, action, number)
        if size >= 0:
            resize(request, blob, size)
        if headers or (size < 0 and not action):
            blob.headers = headers

    blob = await changed(request, edit, after=lambda blob: cut(request, blob) if size >= 0 else None)
    extra = {"x-ms-blob-sequence-number": str(blob.sequence)} if blob.type == "PageBlob" else {}
    return empty(200, {**tags(blob), **extra})


def resize(request: BlobRequest, blob: Blob, size: int) -> None:
    """Make a page blob larger, or smaller: then its file is to be `cut` once the change is on the disk."""
    if blob.type != "PageBlob" or size % 512 or size > LARGEST_PAGE_BLOB:
        raise bad_header("x-ms-blob-content-length", str(size))
    path = request.account.path(blob.segments[0][0])
    if size > blob.size:
        with disk_errors(), path.open("r+b") as file:
            file.truncate(blob.size)  # a killed process may have left it longer
            file.truncate(size)
        sync_file(path)
    blob.size = size
    blob.segments[0][2] = size


def cut(request: BlobRequest, blob: Blob) -> None:
    """Take off a page blob's file what the blob does not have any more."""
    with suppress(FileNotFoundError):  # it was deleted meanwhile
        os.truncate(request.account.path(blob.segments[0][0]), blob.size)


def next_sequence(blob: Blob, action: str, number: int) -> int:
    """A page blob's sequence number after an action: max, update or increment."""
    if blob.type != "PageBlob" or action not in ("max", "update", "increment"):
        raise bad_header("x-ms-sequence-number-action", action)
    if action == "increment":
        return blob.sequence + 1
    return max(blob.sequence, number) if action == "max" else number


async def set_tier(request: BlobRequest) -> web.StreamResponse:
    """Set Blob Tier. What comes out of the archive can be read at once."""
    if "x-ms-access-tier" not in request.headers:
        raise missing_header("x-ms-access-tier")

    def edit(blob: Blob) -> None:
        _leases.check_read(blob.lease, request.lease_id)
        check_conditions(request, blob)
        blob.tier, blob.tier_changed = given_tier(request, blob.type), time.time()

    await changed(request, edit, touch=False, snapshots=True)
    return empty(200)


async def get_tags(request: BlobRequest) -> web.StreamResponse:
    """Get Blob Tags."""
    blob = await asyncio.to_thread(load, request)
    check_conditions(request, blob)
    return document(f'<?xml version="1.0" encoding="utf-8"?>{_tags.to_xml(blob.tags)}')


async def set_tags(request: BlobRequest) -> web.StreamResponse:
    """Set Blob Tags; the blob counts as unchanged."""
    data, _ = await _transfer.small_body(request, LARGEST_DOCUMENT)
    given = await made_of(data, lambda body: _tags.from_document(parse_xml(body)))

    def edit(blob: Blob) -> None:
        check_change(request, blob)
        blob.tags = given

    await changed(request, edit, touch=False, snapshots=True)
    return empty(204)


async def lease(request: BlobRequest) -> web.StreamResponse:
    """Lease Blob."""
    answer: tuple[int, Mapping[str, str]] = (200, {})

    def edit(blob: Blob) -> None:
        nonlocal answer
        check_conditions(request, blob)
        blob.lease, status, headers = _leases.act(blob.lease, request.headers, "Blob")
        answer = status, headers

    blob = await changed(request, edit, touch=False)
    return empty(answer[0], {**tags(blob), **answer[1]})


async def snapshot(request: BlobRequest) -> web.StreamResponse:
    """Snapshot Blob."""
    metadata = metadata_of(request.headers)

    def work() -> tuple[Blob, str]:
        account = request.account
        with account.changing(request.container, request.blob):
            with account.index.transaction():
                blob = account.blob(request.container, request.blob)
            _leases.check_read(blob.lease, request.lease_id)
            check_conditions(request, blob)
            with frozen(request, blob) as segments, account.index.transaction(write=True):
                present = account.blob(request.container, request.blob)
                moment = _moment([one.snapshot for one in account.index.snapshots(blob.container, blob.name)])
                present.snapshot, present.segments, present.lease = moment, segments, {}
                present.metadata = metadata or present.metadata
                account.index.put_blob(present)
            return present, moment

    blob, moment = await asyncio.to_thread(work)
    return empty(201, {**tags(blob), "x-ms-snapshot": moment})


def _moment(taken: list[str]) -> str:
    while (moment := f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z") in taken:
        pass
    return moment


@contextmanager
def frozen(request: BlobRequest, blob: Blob) -> Iterator[list[list[object]]]:
    """Segments that keep what the blob holds now: a page blob's file is copied, the others never change.

    The copy goes when the block fails.
    """
    if blob.type != "PageBlob":
        yield [list(segment) for segment in blob.segments]
        return
    with request.account.drafting() as (file, path):
        with disk_errors():
            copy_sparse(request.account.path(blob.segments[0][0]), path)
            sync_new(path)
        yield [[file, 0, blob.size]]


async def delete(request: BlobRequest) -> web.StreamResponse:
    """Delete Blob, or one snapshot, or its snapshots (`x-ms-delete-snapshots`: include or only)."""
    which = request.headers.get("x-ms-delete-snapshots", "").lower()
    if which not in ("", "include", "only"):
        raise bad_header("x-ms-delete-snapshots", which)

    def work() -> None:
        account = request.account
        with account.index.transaction(write=True) as freed:
            blob = account.blob(request.container, request.blob, request.snapshot)
            if request.snapshot:
                check_conditions(request, blob)
                account.index.delete_blob(blob)
            else:
                check_change(request, blob)
                snapshots = account.index.snapshots(request.container, request.blob)
                if snapshots and not which:
                    message = "This operation is not permitted because the blob has snapshots."
                    raise StorageError("SnapshotsPresent", 409, message)
                for one in snapshots:
                    account.index.delete_blob(one)
                if which != "only":
                    account.index.drop_blocks(request.container, request.blob)
                    account.index.delete_blob(blob)
        account.discard(freed)

    await asyncio.to_thread(work)
    return empty(202, {"x-ms-delete-type-permanent": "true"})


async def changed(
    request: BlobRequest,
    edit: Callable[[Blob], None],
    *,
    touch: bool = True,
    snapshots: bool = False,
    before: Callable[[Blob], Callable[[], None] | None] | None = None,
    after: Callable[[Blob], None] | None = None,
) -> Blob:
    """Change the blob that a request names; a snapshot can only be changed with `snapshots`.

    `before` is what takes long: it is done while others use the account, and what it returns, which has it on the
    disk, at the same time as the change. `after` is done once the change is on the disk.
    """
    if request.snapshot and not snapshots:
        raise StorageError("InvalidQueryParameterValue", 400, "A snapshot cannot be changed.")
    account = request.account

    def work() -> Blob:
        with account.changing(request.container, request.blob):
            flush = None
            if before is not None:
                with account.index.transaction():
                    blob = account.blob(request.container, request.blob)
                finish = before(blob)
                flush = account.flushes.submit(finish) if finish is not None else None
            try:
                found = account.change(
                    request.container, request.blob, edit, touch=touch, snapshot=request.snapshot
                )
            finally:
                if flush is not None:
                    flush.result()
            if after is not None:
                after(found)
            return found

    return await asyncio.to_thread(work)
