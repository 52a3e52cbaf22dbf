"""What the blob, table and queue services share: who is meant, who calls, and the shape of answers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from aiohttp import web

from reddog.storage import _auth, _cors
from reddog.storage._account import Account
from reddog.storage._address import account_in_host
from reddog.storage._auth import Signable
from reddog.storage._errors import (
    AccountNotFound,
    StorageError,
    bad_header,
    bad_query,
    not_available,
    replaced_meanwhile,
)
from reddog.storage._request import XML, StorageRequest, http_date

VERSION = "2021-12-02"
SECONDARY = "-secondary"
LONGEST_HEADER = 64 << 10  # bytes, of the request line too; conditions and filters are longer than is common
RUNNER_OPTIONS: Mapping[str, Any] = {
    "max_field_size": LONGEST_HEADER,
    "max_line_size": LONGEST_HEADER,
    "auto_decompress": False,  # a blob with an encoding is kept as it was sent
}
"""What an `AppRunner` of a storage service is to be made with."""
_ECHOED = re.compile("[ -~]{1,1024}")
_NO_TEXT = re.compile("[\0-\x08\n-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NO_UNICODE = re.compile("[\ud800-\udfff]")
_ID = web.RequestKey("id", str)
_VERSION = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_VERBS = ("GET", "HEAD", "PUT", "DELETE", "POST", "MERGE", "PATCH")
log = logging.getLogger("reddog.storage")
AccountFinder = Callable[[str], Account]
R = TypeVar("R", bound=StorageRequest)
Key = tuple[str, str, str, str]  # level (service, container, blob ...), method, comp, restype


class Operation(NamedTuple, Generic[R]):
    """One operation of a service.

    name: as the REST reference has it. permission: letters of a shared access signature, any of which is
    enough; none for what takes the account's key. resources: the resource types that an account's signature may be
    for, any of which is enough: `s`, `c`, `o`; and `l` where the signature of a single container, queue or table
    will do, which is otherwise only for what is in it (`o`).
    """

    name: str
    handler: Callable[[R], Awaitable[web.StreamResponse]]
    permission: str
    resources: str = "o"


class Service(ABC, Generic[R]):
    """One of the storage services.

    Args:
        kind: blob, table or queue.
        operations: What it has, by level, method, comp and restype.
        unsupported: What the real service has and this one refuses with 501, by comp.
    """

    def __init__(
        self, kind: str, operations: Mapping[Key, Operation[R]], unsupported: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.operations = operations
        self.unsupported = unsupported or {}

    @abstractmethod
    def read(self, parts: StorageRequest) -> R:
        """What is asked, before anyone knows by whom. StorageError: it cannot be meant."""

    def signable(self, request: R) -> Signable:
        """What a service's shared access signature has to be for."""
        return Signable(self.kind)

    def operation(self, request: R) -> Operation[R]:
        """The operation that is asked for. StorageError: there is none."""
        return self.find(request.level, request.raw.method, request.comp, request.restype)

    def find(self, level: str, method: str, comp: str, restype: str) -> Operation[R]:
        """The operation of the table; or what to say of one that is unknown, or known and not supported."""
        found = self.operations.get((level, method, comp, restype))
        if found is not None:
            return found
        if comp in self.unsupported:
            raise not_available(self.unsupported[comp])
        if method not in _VERBS:
            message = "The resource doesn't support the specified HTTP verb."
            raise StorageError("UnsupportedHttpVerb", 405, message)
        if comp or restype:
            asked = f"comp={comp[:50]!r} and restype={restype[:50]!r}"
            message = f"There is no operation {method} with {asked} on a {level}."
            raise StorageError("InvalidQueryParameterValue", 400, message)
        raise StorageError(
            "InvalidUri", 400, f"There is no operation {method} on a {level} without a restype."
        )

    def supported(self) -> list[str]:
        """The names of the operations that it has."""
        return [name for operation in self.operations.values() for name in operation.name.split(", ")]

    def refused(self) -> list[str]:
        """What the real service has and this one refuses by name."""
        return list(self.unsupported.values())

    async def permit(self, request: R, operation: Operation[R]) -> None:
        """Whether the caller may do this. StorageError: no."""
        identity = request.identity
        if identity.owner:
            return
        if identity.anonymous:
            await self.permit_anybody(request, operation)
            return
        if not set(operation.resources) & set(identity.resources):
            message = "This request is not authorized to perform this operation using this resource type."
            raise StorageError("AuthorizationResourceTypeMismatch", 403, message)
        if not set(operation.permission) & set(identity.permissions):
            raise _auth.not_permitted()

    async def permit_anybody(self, request: R, operation: Operation[R]) -> None:
        """Whether those who do not say who they are may do this; nobody may, unless the service knows better."""
        raise nobody()

    def refusal_body(self, request: web.Request, error: StorageError) -> web.Response:
        """An error in the service's shape."""
        return web.Response(status=error.status, body=error.to_xml(), content_type=XML)


def request_id(request: web.Request) -> str:
    """The id of a request, as its answer tells it."""
    found = request.get(_ID)
    if found is None:
        found = request[_ID] = str(uuid.uuid4())
    return found


def nobody() -> StorageError:
    """The caller has not said who it is."""
    message = "Server failed to authenticate the request. See the information in the www-authenticate header."
    return StorageError("NoAuthenticationInformation", 401, message)


class Front(Generic[R]):
    """Answers the requests to one service of all accounts."""

    def __init__(self, service: Service[R], find: AccountFinder, domains: tuple[str, ...]) -> None:
        self._service = service
        self._find = find
        self._domains = domains
        self._server = f"Windows-Azure-{service.kind.title()}/1.0 reddog"

    def application(self) -> web.Application:
        """The service as an application of its own."""
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{path:.*}", self._handle)
        application.on_response_prepare.append(self._complete)
        return application

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The answer to a request that came within another one."""
        response = await self._handle(request)
        await self._complete(request, response)
        response.headers["Date"] = http_date(time.time())  # which aiohttp adds to the others
        return response

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; whatever goes wrong is answered in the service's words."""
        try:
            return await self._answer(request)
        except StorageError as error:
            return self._refusal(request, error)
        except ConnectionError:
            raise
        except FileNotFoundError as error:  # of a blob, or of an account, that was deleted meanwhile
            log.warning("%s %s found a file gone: %s", request.method, request.path, error.filename)
            return self._refusal(request, replaced_meanwhile())
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            message = "The server encountered an internal error. Please retry."
            return self._refusal(request, StorageError("InternalError", 500, message))

    async def _answer(self, raw: web.Request) -> web.StreamResponse:
        account, secondary, path, path_style = self._target(raw)
        _check_text(raw)
        if "Origin" in raw.headers or raw.method == "OPTIONS":
            rules = await asyncio.to_thread(_cors.rules, account, self._service.kind)
            if raw.method == "OPTIONS":
                return _cors.preflight(raw, rules)
            raw[_cors.KEY] = rules
        query = {name.lower(): value for name, value in raw.query.items()}
        parts = StorageRequest(raw, account, self._service.kind, path, query, path_style, secondary)
        request = self._service.read(parts)
        request.identity = await self._identify(request)
        operation = self._service.operation(request)
        await self._service.permit(request, operation)
        return await operation.handler(request)

    def _target(self, request: web.Request) -> tuple[Account, bool, list[str], bool]:
        """The account, whether its secondary is meant, and the path below it; accounts are named in the host, or
        first in the path."""
        path = request.raw_path.partition("?")[0]
        if path.startswith("http"):
            path = "/" + path.split("/", 3)[-1]
        segments = [unquote(segment) for segment in path.lstrip("/").split("/")]
        host = request.host.partition(":")[0]
        name = account_in_host(host, self._domains)
        path_style = name is None
        named = segments.pop(0) if name is None else host.partition(".")[0]
        name = named.removesuffix(SECONDARY) if name is None else name
        return self._find(name), named.endswith(SECONDARY), segments, path_style

    async def _identify(self, request: R) -> _auth.Identity:
        """Who calls; the account is asked in a thread, and only where a stored access policy is named."""
        signable = self._service.signable(request)
        if "si" in request.query:
            return await asyncio.to_thread(
                _auth.identify, request.raw, request.account, request.query, signable
            )
        return _auth.identify(request.raw, request.account, request.query, signable)

    def _refusal(self, request: web.Request, error: StorageError) -> web.StreamResponse:
        if isinstance(error, AccountNotFound):
            log.info("%s %s: %s", request.method, request.path, error.message)
        if request.method == "HEAD":
            response = web.Response(status=error.status)
        else:
            response = self._service.refusal_body(request, error)
        response.headers.update({**error.headers, "x-ms-error-code": error.code})
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "SharedKey"
        if not request.content.is_eof():  # the rest of the body is not read
            response.force_close()
        return response

    async def _complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that every answer has."""
        headers = response.headers
        headers["Server"] = self._server
        headers["x-ms-request-id"] = request_id(request)
        headers["x-ms-version"] = VERSION
        for name in ("x-ms-version", "x-ms-client-request-id"):
            value = request.headers.get(name, "")
            if _ECHOED.fullmatch(value):
                headers[name] = value
        if _cors.KEY in request:
            _cors.answer(request, headers, request[_cors.KEY])


def _check_text(request: web.Request) -> None:
    """Headers and parameters that nothing can be done with."""
    if _NO_TEXT.search("".join(request.headers.values())):
        name, value = next(item for item in request.headers.items() if _NO_TEXT.search(item[1]))
        raise bad_header(name, value.encode("utf-8", "replace").decode())
    version = request.headers.get("x-ms-version")
    if version is not None and _VERSION.fullmatch(version) is None:
        raise bad_header("x-ms-version", version)
    for name, value in request.query.items():
        if _NO_UNICODE.search(name + value):
            raise bad_query("", value.encode("utf-8", "replace").decode())
