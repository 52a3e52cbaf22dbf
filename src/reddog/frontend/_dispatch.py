"""From a request to an answer: version, authorization, operation, body, handler, and waiting for locks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from reddog.engine import Engine, Exists, Locked, Missing
from reddog.frontend._access import Access
from reddog.services import Call, Handler, Reply
from reddog.wire import Match, ServiceError, decode, encode, errors, needs_body_root, root_name, route

LOCK_PATIENCE = 10.0  # seconds to wait for another operation's end before a change is refused
LOCK_POLL = 0.05
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_SERVICE_KINDS = ("hosted_service",)


@dataclass(frozen=True)
class Request:
    """An HTTP request with its body. path: as received, percent-encoded. query: names in lower case."""

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    version: str | None
    thumbprint: str
    client_ip: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; a long body comes in pieces."""

    status: int
    body: bytes | Iterator[bytes] = b""
    location: str | None = None


class Dispatcher:
    """Finds a request's operation and has it answered.

    Args:
        access: Certificates and what they are good for.
        handlers: By operation name.
        engine: Knows the operations that hold locks.
        patience: How many seconds a change waits for a lock before it is refused with 409.
    """

    def __init__(
        self,
        access: Access,
        handlers: Mapping[str, Handler],
        engine: Engine,
        *,
        patience: float = LOCK_PATIENCE,
    ) -> None:
        self._access = access
        self._handlers = handlers
        self._engine = engine
        self._patience = patience

    def match(self, request: Request) -> Match:
        """The operation that is asked for, by somebody who may ask for it.

        :raises ServiceError: 403, 400, 404 or 405.
        """
        self._access.check_certificate(request.thumbprint)
        check_version(request.version)
        subscription = request.path.strip("/").split("/", 1)[0].lower()
        if subscription != "subscriptions":
            self._access.check_subscription(request.thumbprint, subscription)
        root = root_name(request.body) if request.body and needs_body_root(request.path) else None
        return route(request.method, request.path, request.query, root)

    def is_quick(self, match: Match) -> bool:
        """Whether the answer needs so little time that the event loop may give it."""
        operation = match.operation
        return operation.method == "GET" and not operation.name.startswith("List ")

    def run(self, request: Request, match: Match) -> Answer:
        """Answer. A change that meets a lock waits a while for it.

        :raises ServiceError: whatever the service refuses.
        """
        call = _call(request, match)
        handler = self._handlers[match.operation.name]
        reply = handler(call) if request.method == "GET" else self._change(handler, call)
        return _answer(match, reply)

    def _change(self, handler: Handler, call: Call) -> Reply:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return handler(call)
            except Locked as locked:
                if not self._wait(locked, deadline):
                    raise conflict(locked) from None
            except (Exists, Missing) as clash:  # it came or went between a check and the change
                if time.monotonic() > deadline:
                    raise errors.CONFLICTING_CHANGE(detail=str(clash)) from None
                time.sleep(LOCK_POLL)

    def _wait(self, locked: Locked, deadline: float) -> bool:
        """Wait for the lock to be freed; False when the patience is at its end."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        try:
            self._engine.wait(locked.operation_id, left)
        except TimeoutError:
            return False
        except KeyError:  # held by work in the background
            time.sleep(min(left, LOCK_POLL))
        return True


def check_version(version: str | None) -> None:
    """Refuse a missing or malformed `x-ms-version` (behaviours.md, section 1)."""
    if version is None or not _VERSION.fullmatch(version):
        raise errors.INVALID_VERSION()
    try:
        date.fromisoformat(version)
    except ValueError:
        raise errors.INVALID_VERSION() from None


def conflict(locked: Locked) -> ServiceError:
    """The refusal of a change to something that another operation holds."""
    if locked.kind in _SERVICE_KINDS or not locked.operation_id:
        return errors.HOSTED_SERVICE_LOCKED()
    return errors.DEPLOYMENT_LOCKED(request_id=locked.operation_id)


def _call(request: Request, match: Match) -> Call:
    operation = match.operation
    return Call(
        operation=operation,
        subscription=match.params.get("subscription-id", "").lower(),
        request_id=request.id,
        version=request.version or "",
        params=match.params,
        query=request.query,
        body=_decoded(request, match),
        thumbprint=request.thumbprint,
        client_ip=request.client_ip,
    )


def _decoded(request: Request, match: Match) -> Any:
    expected = match.operation.request
    if expected is None:
        return None
    if not request.body:
        raise errors.BODY_REQUIRED(root=match.operation.request_root)
    return decode(expected, request.body, strict=True)


def _answer(match: Match, reply: Reply) -> Answer:
    body = reply.body
    if body is not None and not isinstance(body, bytes | Iterator):
        body = encode(body, reply.root, response=True)
    return Answer(reply.status or match.operation.success, body or b"", reply.location)
