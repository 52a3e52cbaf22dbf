"""Copying blobs, within an account and between accounts of this cloud."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from reddog.sparse import copy_sparse
from reddog.storage import _auth
from reddog.storage._account import Account, disk_errors, sync_new
from reddog.storage._address import BlobAddress, parse_url
from reddog.storage._auth import blob_signable
from reddog.storage._blobs import check_replace, content_headers
from reddog.storage._errors import AccountNotFound, BlobUrlError, StorageError, missing_header, not_met
from reddog.storage._front import AccountFinder
from reddog.storage._index import Blob
from reddog.storage._request import BlobRequest, check_conditions, empty, metadata_of, tags
from reddog.storage._transfer import read


class Copier:
    """Copies blobs; a copy is complete when it is answered."""

    def __init__(self, find: AccountFinder, domains: tuple[str, ...]) -> None:
        self._find = find
        self._domains = domains

    async def copy(self, request: BlobRequest) -> web.StreamResponse:
        """Copy Blob and Copy Blob From URL. CannotVerifyCopySource: the source cannot be read by the caller."""
        url = request.headers.get("x-ms-copy-source")
        if url is None:
            raise missing_header("x-ms-copy-source")
        blob = await asyncio.to_thread(self._copy, request, url)
        headers = {"x-ms-copy-id": blob.copy["id"], "x-ms-copy-status": "success"}
        return empty(202, {**tags(blob), **headers})

    def _copy(self, request: BlobRequest, url: str) -> Blob:
        source, origin, snapshot = self._source(request, url)
        with source.index.transaction():
            found = source.index.blob(origin.container, origin.blob, snapshot)
        if found is None:
            raise StorageError("BlobNotFound", 404, "The source blob does not exist.")
        try:
            check_conditions(request, found, "x-ms-source-")
        except StorageError:
            raise StorageError("SourceConditionNotMet", 412, not_met().message) from None
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
        blob.blocks = [list(block) for block in found.blocks]
        blob.sequence = found.sequence
        blob.segments = _copied(source, found, request.account)
        blob.copy = {
            "id": str(uuid.uuid4()),
            "status": "success",
            "source": url.partition("?")[0],
            "progress": f"{found.size}/{found.size}",
            "completion-time": format_datetime(now, usegmt=True),
        }
        return blob

    def _check_type(self, present: Blob | None, found: Blob) -> None:
        if present is not None and present.type != found.type:
            raise StorageError("InvalidBlobType", 409, "The blob type is invalid for this operation.")

    def _source(self, request: BlobRequest, url: str) -> tuple[Account, BlobAddress, str]:
        """The account, the blob and the snapshot that a copy source means, if the caller may read it."""
        parts = urlsplit(url)
        query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
        try:
            address = parse_url(parts._replace(query="").geturl(), self._domains)
            account = self._find(address.account)
        except (BlobUrlError, AccountNotFound):
            message = "The copy source is no blob of this cloud; others cannot be fetched."
            raise StorageError("CannotVerifyCopySource", 404, message) from None
        if account is not request.account or request.permissions is not None:
            self._check_readable(request, account, address, query)
        return account, address, query.get("snapshot", "")

    def _check_readable(
        self, request: BlobRequest, account: Account, address: BlobAddress, query: dict[str, str]
    ) -> None:
        if "sig" in query:
            signable = blob_signable(account, address.container, address.blob)
            identity = _auth.identify_signed(request.raw, account, query, signable)
            if "r" in identity.permissions and "o" in identity.resources:
                return
        with account.index.transaction():
            container = account.index.container(address.container)
        if container is None or not container.public:
            message = "The source cannot be read: it is private, and no signature permits it."
            raise StorageError("CannotVerifyCopySource", 403, message)

    async def abort(self, request: BlobRequest) -> web.StreamResponse:
        """Abort Copy Blob: there is never one pending."""
        message = "There is currently no pending copy operation."
        raise StorageError("NoPendingCopyOperation", 409, message)


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
