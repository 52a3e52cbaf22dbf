"""Copying blobs, within an account and between accounts of this cloud."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from reddog.durable import sync_new
from reddog.sparse import copy_sparse
from reddog.storage._account import Account
from reddog.storage._errors import (
    StorageError,
    archived,
)
from reddog.storage._flush import disk_errors
from reddog.storage._request import BlobRequest, empty, metadata_of, tags
from reddog.storage.blobs._blobs import TIERS, check_replace, content_headers, copied_tags, given_tier
from reddog.storage.blobs._digests import Digests
from reddog.storage.blobs._index import Blob
from reddog.storage.blobs._sources import Sources
from reddog.storage.blobs._transfer import read

_SOURCE_MD5 = "x-ms-source-content-md5"


class Copier:
    """Copies blobs; a copy is complete when it is answered."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def copy(self, request: BlobRequest) -> web.StreamResponse:
        """Copy Blob and Copy Blob From URL. CannotVerifyCopySource: the source cannot be read by the caller."""
        url = request.headers["x-ms-copy-source"]
        blob = await asyncio.to_thread(self._copy, request, url)
        headers = {"x-ms-copy-id": blob.copy["id"], "x-ms-copy-status": "success"}
        if _SOURCE_MD5 in request.headers:
            headers["Content-MD5"] = request.headers[_SOURCE_MD5]
        return empty(202, {**tags(blob), **headers})

    def _copy(self, request: BlobRequest, url: str) -> Blob:
        source, found = self._sources.find(request, url)
        if found.tier == TIERS["archive"] and source is not request.account:
            raise StorageError("CannotVerifyCopySource", 409, archived().message)
        if found.tier == TIERS["archive"] and not given_tier(request, found.type):
            raise archived()
        _check_md5(request, source, found)
        account = request.account
        with account.changing(request.container, request.blob):
            with account.index.transaction():
                account.container(request.container)
                present = account.index.blob(request.container, request.blob)
                check_replace(request, present)
                self._check_type(present, found)
            target = self._target(request, url, source, found)
            shared = _shares_files(source, found, account)
            return account.put(target, lambda there: check_replace(request, there), shared=shared)

    def _target(self, request: BlobRequest, url: str, source: Account, found: Blob) -> Blob:
        now = datetime.now(UTC)
        blob = Blob(request.container, request.blob, found.type, size=found.size)
        blob.headers = content_headers(request, whole=False) or dict(found.headers)
        blob.metadata = metadata_of(request.headers) or dict(found.metadata)
        blob.tags = copied_tags(request, found)
        blob.tier = given_tier(request, found.type)
        blob.sealed = (
            found.type == "AppendBlob" and request.headers.get("x-ms-seal-blob", "").lower() == "true"
        )
        blob.blocks = [list(block) for block in found.blocks]
        blob.sequence = found.sequence
        blob.segments = _copied(source, found, request.account)
        blob.copy = {
            "id": str(uuid.uuid4()),
            "status": "success",
            "source": _shown(url),
            "progress": f"{found.size}/{found.size}",
            "completion-time": format_datetime(now, usegmt=True),
        }
        return blob

    def _check_type(self, present: Blob | None, found: Blob) -> None:
        if present is not None and present.type != found.type:
            raise StorageError("InvalidBlobType", 409, "The blob type is invalid for this operation.")

    async def abort(self, request: BlobRequest) -> web.StreamResponse:
        """Abort Copy Blob: there is never one pending."""
        message = "There is currently no pending copy operation."
        raise StorageError("NoPendingCopyOperation", 409, message)


def _check_md5(request: BlobRequest, source: Account, found: Blob) -> None:
    """Refuse a source whose content is not what the caller says."""
    if _SOURCE_MD5 not in request.headers:
        return
    digests = Digests({"Content-MD5": request.headers[_SOURCE_MD5]})
    for piece in read(source, found, 0, found.size):
        digests.update(piece)
    digests.check()


def _shown(url: str) -> str:
    """A source's URL without the signature that may be in it."""
    base, _, query = url.partition("?")
    snapshot = "&".join(part for part in query.split("&") if part.lower().startswith("snapshot="))
    return f"{base}?{snapshot}" if snapshot else base


def _shares_files(source: Account, found: Blob, target: Account) -> bool:
    """Whether a copy needs no files of its own: within an account, where files never change."""
    return source is target and found.type == "BlockBlob"


def _copied(source: Account, found: Blob, target: Account) -> list[list[object]]:
    """The segments of a copy: shared within an account where files never change, else in a file of its own."""
    if _shares_files(source, found, target):
        return [list(segment) for segment in found.segments]
    if not found.segments:
        return []
    with target.drafting() as (file, path), disk_errors():
        if len(found.segments) == 1 and found.segments[0][1] == 0:
            copy_sparse(source.path(found.segments[0][0]), path)
            os.truncate(path, found.size)
        else:
            with path.open("xb") as made:
                path.chmod(0o600)
                for piece in read(source, found, 0, found.size):
                    made.write(piece)
        sync_new(path)
    return [[file, 0, found.size]]
