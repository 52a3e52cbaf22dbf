"""The storage services as aiohttp applications: who is meant, who calls, what is asked, and the answer."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from urllib.parse import unquote

from aiohttp import web

from reddog.storage import _auth, _blobs, _containers, _service, _uploads
from reddog.storage._account import Account
from reddog.storage._address import LONGEST_BLOB_NAME, account_in_host
from reddog.storage._auth import Identity
from reddog.storage._copies import AccountFinder, Copier
from reddog.storage._errors import (
    AccountNotFound,
    StorageError,
    bad_header,
    bad_query,
    not_available,
    replaced_meanwhile,
)
from reddog.storage._request import SERVER, XML, BlobRequest

VERSION = "2021-12-02"
_ECHOED = re.compile("[ -~]{1,1024}")
_NO_TEXT = re.compile("[\0-\x08\n-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NO_UNICODE = re.compile("[\ud800-\udfff]")
log = logging.getLogger("reddog.storage")
Handler = Callable[[BlobRequest], Awaitable[web.StreamResponse]]
_Operation = tuple[Handler, str]


def applications(find: AccountFinder, domains: tuple[str, ...]) -> dict[str, web.Application]:
    """The services by name: blob, table, queue."""
    blob = _BlobService(find, domains)
    return {
        "blob": _application(blob.handle),
        "table": _application(_table_unavailable),
        "queue": _application(_queue_unavailable),
    }


def _application(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", handler)
    return application


async def _queue_unavailable(request: web.Request) -> web.StreamResponse:
    error = not_available("The queue service")
    return _finished(request, web.Response(status=error.status, body=error.to_xml(), content_type=XML), error)


async def _table_unavailable(request: web.Request) -> web.StreamResponse:
    error = not_available("The table service")
    body = {"odata.error": {"code": error.code, "message": {"lang": "en-US", "value": error.message}}}
    return _finished(request, web.json_response(body, status=error.status), error)


def _finished(
    request: web.Request, response: web.StreamResponse, error: StorageError | None = None
) -> web.StreamResponse:
    """Add the headers that every answer has."""
    if response.prepared:
        return response
    headers = response.headers
    headers["Server"] = SERVER
    headers["x-ms-request-id"] = str(uuid.uuid4())
    headers["x-ms-version"] = VERSION
    headers["Date"] = formatdate(usegmt=True)
    for name in ("x-ms-version", "x-ms-client-request-id"):
        value = request.headers.get(name, "")
        if _ECHOED.fullmatch(value):
            headers[name] = value
    if error is not None:
        headers["x-ms-error-code"] = error.code
    return response


class _BlobService:
    """Answers requests to the blob service."""

    def __init__(self, find: AccountFinder, domains: tuple[str, ...]) -> None:
        self._find = find
        self._domains = domains
        copier = Copier(find, domains)
        self._operations: Mapping[tuple[str, str, str, str], _Operation] = {
            **_SERVICE,
            **_CONTAINER,
            **_BLOB,
            ("blob", "PUT", "copy", ""): (copier.abort, "w"),
        }
        self._copy = copier.copy

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; whatever goes wrong is answered in the service's words."""
        try:
            return _finished(request, await self._answer(request))
        except StorageError as error:
            return _refusal(request, error)
        except ConnectionError:
            raise
        except FileNotFoundError as error:  # of a blob, or of an account, that was deleted meanwhile
            log.warning("%s %s found a file gone: %s", request.method, request.path, error.filename)
            return _refusal(request, replaced_meanwhile())
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            message = "The server encountered an internal error. Please retry."
            return _refusal(request, StorageError("InternalError", 500, message))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        account, path, path_style = self._target(request)
        container, blob = _container_and_blob(path)
        query = {name.lower(): value for name, value in request.query.items()}
        if request.method == "OPTIONS":
            raise StorageError("CorsPreflightFailure", 403, "CORS is not enabled for this request.")
        _check_request(request, blob)
        identity = await _identify(request, account, query, container, blob)
        permissions = None if identity.owner else identity.permissions
        overrides = dict(identity.overrides)
        found = BlobRequest(request, account, container, blob, query, path_style, overrides, permissions)
        handler, permission = self._operation(found)
        await _permit(identity, found, permission)
        _refuse_unsupported(found)
        return await handler(found)

    def _target(self, request: web.Request) -> tuple[Account, list[str], bool]:
        """The account, and the path below it; accounts are named in the host, or first in the path."""
        path = request.raw_path.partition("?")[0]
        if path.startswith("http"):
            path = "/" + path.split("/", 3)[-1]
        segments = [unquote(segment) for segment in path.lstrip("/").split("/")]
        name = account_in_host(request.host.partition(":")[0], self._domains)
        path_style = name is None
        if name is None:
            name = segments.pop(0)
        return self._find(name.removesuffix("-secondary")), segments, path_style

    def _operation(self, request: BlobRequest) -> _Operation:
        level = "blob" if request.blob else "container" if request.container else "service"
        comp, kind = request.query.get("comp", "").lower(), request.query.get("restype", "").lower()
        if level == "container" and request.container != "$root" and kind != "container":
            level, kind = "container", "container" if comp else kind
        method = request.raw.method
        if level == "blob" and method == "PUT" and not comp and "x-ms-copy-source" in request.headers:
            return self._copy, "cw"
        found = self._operations.get((level, method, comp, kind))
        if found is None:
            raise _unknown(level, method, comp, kind)
        return found


def _unknown(level: str, method: str, comp: str, kind: str) -> StorageError:
    """What to say of an operation that is not here: it is unknown, or it is known and not supported."""
    if comp in _UNSUPPORTED:
        return not_available(_UNSUPPORTED[comp])
    if method not in ("GET", "HEAD", "PUT", "DELETE", "POST"):
        return StorageError(
            "UnsupportedHttpVerb", 405, "The resource doesn't support the specified HTTP verb."
        )
    if comp or kind:
        message = (
            f"There is no operation {method} with comp={comp[:50]!r} and restype={kind[:50]!r} on a {level}."
        )
        return StorageError("InvalidQueryParameterValue", 400, message)
    return StorageError("InvalidUri", 400, f"There is no operation {method} on a {level} without a restype.")


async def _identify(
    request: web.Request, account: Account, query: Mapping[str, str], container: str, blob: str
) -> Identity:
    """Who calls; the index is asked in a thread, and only where a stored access policy is named."""
    if "si" in query:
        return await asyncio.to_thread(_auth.identify, request, account, query, container, blob)
    return _auth.identify(request, account, query, container, blob)


def _check_request(request: web.Request, blob: str) -> None:
    """Names and headers that nothing can be done with."""
    if len(blob) > LONGEST_BLOB_NAME or "\0" in blob:
        raise StorageError("InvalidUri", 400, "A blob's name has 1 to 1024 characters, none of them NUL.")
    for name, value in request.headers.items():
        if _NO_TEXT.search(value):
            raise bad_header(name, value.encode("utf-8", "replace").decode())
    for name, value in request.query.items():
        if _NO_UNICODE.search(name + value):
            raise bad_query("", value.encode("utf-8", "replace").decode())


def _refuse_unsupported(request: BlobRequest) -> None:
    """Refuse what would otherwise be done wrongly without a word."""
    comp, headers = request.query.get("comp", "").lower(), request.headers
    puts_whole = not comp and "x-ms-blob-type" in headers
    if "x-ms-copy-source" in headers and (comp in ("block", "appendblock", "page") or puts_whole):
        raise not_available("Writing from a URL (except for Copy Blob)")
    for name, what in _UNSUPPORTED_HEADERS.items():
        if name in headers:
            raise not_available(what)


async def _permit(identity: Identity, request: BlobRequest, permission: str) -> None:
    """Whether the caller may do this: any one of the letters of `permission` is enough."""
    if identity.owner:
        return
    if identity.anonymous:
        await asyncio.to_thread(_permit_anybody, request, permission)
        return
    level = "o" if request.blob else "c" if request.container else "s"
    lists = level == "c" and permission in ("l", _ANY) and "l" in identity.resources
    if level not in identity.resources and not lists:
        message = "This request is not authorized to perform this operation using this resource type."
        raise StorageError("AuthorizationResourceTypeMismatch", 403, message)
    if not permission or not set(permission) & set(identity.permissions):
        raise _auth.not_permitted()


def _permit_anybody(request: BlobRequest, permission: str) -> None:
    """What is public: blobs of public containers, and listings of those that are public as a whole."""
    with request.account.index.transaction():
        container = request.account.index.container(request.container)
    public = container.public if container is not None else ""
    reads = request.raw.method in ("GET", "HEAD") and permission in ("r", "l")
    if reads and ((request.blob and public) or (not request.blob and public == "container")):
        return
    if request.container and container is not None and public and reads:
        raise StorageError("ResourceNotFound", 404, "The specified resource does not exist.")
    message = "Server failed to authenticate the request. See the information in the www-authenticate header."
    raise StorageError("NoAuthenticationInformation", 401, message)


def _container_and_blob(path: list[str]) -> tuple[str, str]:
    if len(path) == 1 and path[0] and "." in path[0]:
        return "$root", path[0]
    return path[0] if path else "", "/".join(path[1:])


def _refusal(request: web.Request, error: StorageError) -> web.StreamResponse:
    status = error.status
    if isinstance(error, AccountNotFound):
        log.info("%s %s: %s", request.method, request.path, error.message)
    body = b"" if request.method == "HEAD" else error.to_xml()
    response = web.Response(status=status, body=body)
    if body:
        response.content_type = XML
    if status == 401:
        response.headers["WWW-Authenticate"] = "SharedKey"
    if not request.content.is_eof():  # the rest of the body is not read
        response.force_close()
    return _finished(request, response, error)


_ANY = "rwdlacupt"
_SERVICE: dict[tuple[str, str, str, str], _Operation] = {
    ("service", "GET", "list", ""): (_containers.list_containers, "l"),
    ("service", "GET", "properties", "service"): (_service.get_properties, "r"),
    ("service", "PUT", "properties", "service"): (_service.set_properties, "w"),
    ("service", "GET", "stats", "service"): (_service.get_stats, "r"),
    ("service", "GET", "properties", "account"): (_service.get_account, _ANY),
    ("service", "HEAD", "properties", "account"): (_service.get_account, _ANY),
    ("container", "GET", "properties", "account"): (_service.get_account, _ANY),
    ("blob", "GET", "properties", "account"): (_service.get_account, _ANY),
}
_CONTAINER: dict[tuple[str, str, str, str], _Operation] = {
    ("container", "PUT", "", "container"): (_containers.create, "cw"),
    ("container", "GET", "", "container"): (_containers.get, "r"),
    ("container", "HEAD", "", "container"): (_containers.get, "r"),
    ("container", "DELETE", "", "container"): (_containers.delete, "d"),
    ("container", "GET", "metadata", "container"): (_containers.get, "r"),
    ("container", "HEAD", "metadata", "container"): (_containers.get, "r"),
    ("container", "PUT", "metadata", "container"): (_containers.set_metadata, "w"),
    ("container", "GET", "acl", "container"): (_containers.get_acl, ""),
    ("container", "HEAD", "acl", "container"): (_containers.get_acl, ""),
    ("container", "PUT", "acl", "container"): (_containers.set_acl, ""),
    ("container", "PUT", "lease", "container"): (_containers.lease, "w"),
    ("container", "GET", "list", "container"): (_containers.list_blobs, "l"),
}
_BLOB: dict[tuple[str, str, str, str], _Operation] = {
    ("blob", "GET", "", ""): (_blobs.get, "r"),
    ("blob", "HEAD", "", ""): (_blobs.head, "r"),
    ("blob", "PUT", "", ""): (_uploads.put_blob, "cw"),
    ("blob", "DELETE", "", ""): (_blobs.delete, "d"),
    ("blob", "GET", "metadata", ""): (_blobs.get_metadata, "r"),
    ("blob", "HEAD", "metadata", ""): (_blobs.get_metadata, "r"),
    ("blob", "PUT", "metadata", ""): (_blobs.set_metadata, "w"),
    ("blob", "PUT", "properties", ""): (_blobs.set_properties, "w"),
    ("blob", "PUT", "lease", ""): (_blobs.lease, "w"),
    ("blob", "PUT", "snapshot", ""): (_blobs.snapshot, "cw"),
    ("blob", "PUT", "block", ""): (_uploads.put_block, "w"),
    ("blob", "PUT", "blocklist", ""): (_uploads.put_block_list, "w"),
    ("blob", "GET", "blocklist", ""): (_uploads.get_block_list, "r"),
    ("blob", "PUT", "appendblock", ""): (_uploads.append_block, "aw"),
    ("blob", "PUT", "page", ""): (_uploads.put_page, "w"),
    ("blob", "GET", "pagelist", ""): (_uploads.get_page_ranges, "r"),
}
_UNSUPPORTED_HEADERS = {
    "x-ms-encryption-key": "Encryption with the caller's key",
    "x-ms-encryption-scope": "Encryption scopes",
    "x-ms-structured-body": "The structured body",
    "x-ms-tags": "Blob tags",
}
_UNSUPPORTED = {
    "batch": "The batch operation",
    "blobs": "Finding blobs by tags",
    "tags": "Blob tags",
    "tier": "Blob tiers",
    "undelete": "Undeleting",
    "query": "Querying blob contents",
    "expiry": "Blob expiry",
    "seal": "Sealing append blobs",
    "immutabilitypolicies": "Immutability policies",
    "legalhold": "Legal holds",
    "incrementalcopy": "Incremental copy",
    "userdelegationkey": "The user delegation key",
    "rename": "Renaming containers",
}
