"""The blob service: its operations, and who may do them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from reddog.storage import _service
from reddog.storage._address import LONGEST_BLOB_NAME
from reddog.storage._auth import Signable, blob_signable, refused
from reddog.storage._errors import StorageError, not_available
from reddog.storage._front import AccountFinder, Front, Key, Operation, Service, nobody
from reddog.storage._request import BlobRequest, StorageRequest
from reddog.storage.blobs import _batches, _blobs, _containers, _pages, _uploads
from reddog.storage.blobs._copies import Copier
from reddog.storage.blobs._sources import Sources

_Handler = Callable[[BlobRequest], Awaitable[web.StreamResponse]]


class BlobService(Service[BlobRequest]):
    """The blob service of all accounts."""

    def __init__(self, find: AccountFinder, domains: tuple[str, ...]) -> None:
        self._sources = Sources(find, domains)
        copier = Copier(self._sources)
        abort = Operation("Abort Copy Blob", copier.abort, "w")
        batch = Operation("Blob Batch", partial(_batches.submit, respond=self._respond), _ANY, "scol")
        operations = {
            **_SERVICE,
            **_CONTAINER,
            **_BLOB,
            ("blob", "PUT", "copy", ""): abort,
            ("service", "POST", "batch", ""): batch,
            (
                "service",
                "POST",
                "batch",
                "container",
            ): batch,  # clients that take the account in a path for one
            ("container", "POST", "batch", "container"): batch,
        }
        super().__init__("blob", operations, _UNSUPPORTED)
        self._front = Front(self, find, domains)
        self._copy = Operation("Copy Blob", copier.copy, "cw")

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await self._front.respond(request)

    def read(self, parts: StorageRequest) -> BlobRequest:
        """The container and the blob that a path means."""
        container, blob = _container_and_blob(parts.path)
        if len(blob) > LONGEST_BLOB_NAME or "\0" in blob:
            raise StorageError("InvalidUri", 400, "A blob's name has 1 to 1024 characters, none of them NUL.")
        return BlobRequest(**vars(parts), container=container, blob=blob)

    def signable(self, request: BlobRequest) -> Signable:
        """The container, or the blob."""
        return blob_signable(request.account, request.container, request.blob)

    def operation(self, request: BlobRequest) -> Operation[BlobRequest]:
        """The operation by the query; Copy Blob by its header."""
        level, method, comp, restype = request.level, request.raw.method, request.comp, request.restype
        if level == "container" and request.container != "$root" and restype != "container":
            restype = "container" if comp else restype
        if comp == "userdelegationkey":
            raise refused("Only authentication scheme Bearer is supported")
        found = self.find(level, method, comp, restype)
        if level != "blob" or method != "PUT" or "x-ms-copy-source" not in request.headers:
            return found
        if not comp and "x-ms-blob-type" not in request.headers:
            return self._copy
        if comp in _FROM_URL:
            return Operation(
                f"{found.name} From URL", partial(self._from_url, found.handler), found.permission
            )
        return found

    def supported(self) -> list[str]:
        """See `Service.supported`; Copy Blob and writing from URLs are asked for by a header."""
        from_urls = [
            f"{operation.name} From URL"
            for (level, method, comp, _), operation in self.operations.items()
            if level == "blob" and method == "PUT" and comp in _FROM_URL
        ]
        return [*super().supported(), self._copy.name, *from_urls]

    def refused(self) -> list[str]:
        """See `Service.refused`."""
        parts = super().refused(), _UNSUPPORTED_HEADERS.values(), _UNSUPPORTED_PARAMETERS.values()
        return list(dict.fromkeys(what for part in parts for what in part))

    async def _from_url(self, handler: _Handler, request: BlobRequest) -> web.StreamResponse:
        """Have a write's body come from another blob."""
        request.source = await asyncio.to_thread(self._sources.open, request)
        return await handler(request)

    async def permit(self, request: BlobRequest, operation: Operation[BlobRequest]) -> None:
        """As for every service; then, what is asked has to be there at all."""
        await super().permit(request, operation)
        _refuse_unsupported(request)

    async def permit_anybody(self, request: BlobRequest, operation: Operation[BlobRequest]) -> None:
        """What is public: blobs of public containers, and listings of those that are public as a whole."""
        await asyncio.to_thread(_permit_anybody, request, operation.permission)


def _container_and_blob(path: list[str]) -> tuple[str, str]:
    if len(path) == 1 and path[0] and "." in path[0]:
        return "$root", path[0]
    return path[0] if path else "", "/".join(path[1:]).replace("\\", "/")  # as the real service does


def _refuse_unsupported(request: BlobRequest) -> None:
    """Refuse what would otherwise be done wrongly without a word."""
    for name, what in _UNSUPPORTED_HEADERS.items():
        if name in request.headers:
            raise not_available(what)
    for name, what in _UNSUPPORTED_PARAMETERS.items():
        if name in request.query:
            raise not_available(what)


def _permit_anybody(request: BlobRequest, permission: str) -> None:
    with request.account.index.transaction():
        container = request.account.index.container(request.container)
    public = container.public if container is not None else ""
    reads = request.raw.method in ("GET", "HEAD") and permission in ("r", "l")
    if reads and ((request.blob and public) or (not request.blob and public == "container")):
        return
    if request.container and container is not None and public and reads:
        raise StorageError("ResourceNotFound", 404, "The specified resource does not exist.")
    raise nobody()


_FROM_URL = ("", "block", "appendblock", "page")
_ANY = "rwdlacuptf"
_SERVICE: dict[Key, Operation[BlobRequest]] = {
    ("service", "GET", "list", ""): Operation("List Containers", _containers.list_containers, "l", "s"),
    ("service", "GET", "properties", "service"): Operation(
        "Get Blob Service Properties", _service.get_properties, "r", "s"
    ),
    ("service", "PUT", "properties", "service"): Operation(
        "Set Blob Service Properties", _service.set_properties, "w", "s"
    ),
    ("service", "GET", "stats", "service"): Operation("Get Blob Service Stats", _service.get_stats, "r", "s"),
    ("service", "GET", "blobs", ""): Operation("Find Blobs by Tags", _containers.find_blobs, "f", "s"),
    ("service", "GET", "properties", "account"): Operation(
        "Get Account Information", _service.get_account, _ANY, "scol"
    ),
    ("service", "HEAD", "properties", "account"): Operation(
        "Get Account Information", _service.get_account, _ANY, "scol"
    ),
    ("container", "GET", "properties", "account"): Operation(
        "Get Account Information", _service.get_account, _ANY, "scol"
    ),
    ("blob", "GET", "properties", "account"): Operation(
        "Get Account Information", _service.get_account, _ANY, "scol"
    ),
}
_CONTAINER: dict[Key, Operation[BlobRequest]] = {
    ("container", "PUT", "", "container"): Operation("Create Container", _containers.create, "cw", "c"),
    ("container", "GET", "", "container"): Operation("Get Container Properties", _containers.get, "r", "c"),
    ("container", "HEAD", "", "container"): Operation("Get Container Properties", _containers.get, "r", "c"),
    ("container", "DELETE", "", "container"): Operation("Delete Container", _containers.delete, "d", "c"),
    ("container", "GET", "metadata", "container"): Operation(
        "Get Container Metadata", _containers.get, "r", "c"
    ),
    ("container", "HEAD", "metadata", "container"): Operation(
        "Get Container Metadata", _containers.get, "r", "c"
    ),
    ("container", "PUT", "metadata", "container"): Operation(
        "Set Container Metadata", _containers.set_metadata, "w", "c"
    ),
    ("container", "GET", "acl", "container"): Operation("Get Container ACL", _containers.get_acl, "", "c"),
    ("container", "HEAD", "acl", "container"): Operation("Get Container ACL", _containers.get_acl, "", "c"),
    ("container", "PUT", "acl", "container"): Operation("Set Container ACL", _containers.set_acl, "", "c"),
    ("container", "PUT", "lease", "container"): Operation("Lease Container", _containers.lease, "w", "c"),
    ("container", "GET", "list", "container"): Operation("List Blobs", _containers.list_blobs, "l", "cl"),
    ("container", "GET", "blobs", "container"): Operation(
        "Find Blobs by Tags in Container", _containers.find_blobs, "f", "cl"
    ),
}
_BLOB: dict[Key, Operation[BlobRequest]] = {
    ("blob", "GET", "", ""): Operation("Get Blob", _blobs.get, "r"),
    ("blob", "HEAD", "", ""): Operation("Get Blob Properties", _blobs.head, "r"),
    ("blob", "PUT", "", ""): Operation("Put Blob", _uploads.put_blob, "cw"),
    ("blob", "DELETE", "", ""): Operation("Delete Blob", _blobs.delete, "d"),
    ("blob", "GET", "metadata", ""): Operation("Get Blob Metadata", _blobs.get_metadata, "r"),
    ("blob", "HEAD", "metadata", ""): Operation("Get Blob Metadata", _blobs.get_metadata, "r"),
    ("blob", "PUT", "metadata", ""): Operation("Set Blob Metadata", _blobs.set_metadata, "w"),
    ("blob", "PUT", "properties", ""): Operation("Set Blob Properties", _blobs.set_properties, "w"),
    ("blob", "PUT", "lease", ""): Operation("Lease Blob", _blobs.lease, "w"),
    ("blob", "PUT", "snapshot", ""): Operation("Snapshot Blob", _blobs.snapshot, "cw"),
    ("blob", "PUT", "block", ""): Operation("Put Block", _uploads.put_block, "w"),
    ("blob", "PUT", "blocklist", ""): Operation("Put Block List", _uploads.put_block_list, "w"),
    ("blob", "GET", "blocklist", ""): Operation("Get Block List", _uploads.get_block_list, "r"),
    ("blob", "PUT", "appendblock", ""): Operation("Append Block", _uploads.append_block, "aw"),
    ("blob", "PUT", "page", ""): Operation("Put Page", _pages.put_page, "w"),
    ("blob", "GET", "pagelist", ""): Operation("Get Page Ranges", _pages.get_page_ranges, "r"),
    ("blob", "PUT", "tier", ""): Operation("Set Blob Tier", _blobs.set_tier, "w"),
    ("blob", "GET", "tags", ""): Operation("Get Blob Tags", _blobs.get_tags, "t"),
    ("blob", "PUT", "tags", ""): Operation("Set Blob Tags", _blobs.set_tags, "t"),
    ("blob", "PUT", "seal", ""): Operation("Append Blob Seal", _uploads.seal, "aw"),
}
_UNSUPPORTED_HEADERS = {
    "x-ms-encryption-key": "Encryption with the caller's key",
    "x-ms-encryption-scope": "Encryption scopes",
    "x-ms-structured-body": "The structured body",
    "x-ms-immutability-policy-until-date": "Immutability policies",
    "x-ms-legal-hold": "Legal holds",
    "x-ms-previous-snapshot-url": "Comparing with a snapshot by its URL",
}
_UNSUPPORTED_PARAMETERS = {"versionid": "Versions of blobs"}
_UNSUPPORTED = {
    "undelete": "Undeleting",
    "userdelegationkey": "The user delegation key",
    "query": "Querying blob contents",
    "expiry": "Blob expiry",
    "immutabilitypolicies": "Immutability policies",
    "legalhold": "Legal holds",
    "incrementalcopy": "Incremental copy",
    "rename": "Renaming containers",
}
