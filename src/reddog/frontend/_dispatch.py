"""From a request to an answer: version, authorization, operation, body, handler, and waiting for locks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from typing import Any, TypeVar

from reddog.engine import Engine, Exists, Locked, Missing
from reddog.frontend._access import Access
from reddog.services import Call, Handler
from reddog.store import Store
from reddog.wire import (
    Match,
    RestOperation,
    ServiceError,
    WireType,
    decode,
    encode,
    errors,
    needs_body_root,
    root_name,
    route,
)

LOCK_PATIENCE = 10.0  # seconds to wait for another operation's end before a change is refused
LOCK_POLLS = (0.02, 0.5)  # seconds between two looks at a lock, at first and in the end
WORKERS = 32
XML = "application/xml; charset=utf-8"
MOST_KEPT = 32 << 20  # bytes of answers: those to ten thousand cloud services
KEPT_OVERHEAD = 1000  # bytes, about, of an answer besides its body
LIST_SUBSCRIPTIONS = "subscriptions"  # the only path that is no subscription's
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SERVICE_KINDS = ("hosted_service",)
T = TypeVar("T")


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
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; a long body comes in pieces."""

    status: int
    body: bytes | Iterator[bytes] = b""
    location: str | None = None
    content_type: str = XML


class Dispatcher:
    """Finds a request's operation and has it answered.

    Args:
        access: Certificates and what they are good for.
        handlers: By operation name; operations without one are refused by name, whatever their body is.
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
        self._kept = _KeptAnswers(engine.store)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="request")

    async def answer(self, request: Request) -> Answer:
        """Answer a request.

        What needs little time is done in the event loop, all else in a thread. A change that meets a lock waits
        a while for it, without holding a thread meanwhile.

        :raises ServiceError: whatever is refused.
        """
        self._authorize(request)
        if request.method == "GET" and (kept := self._kept.get(request)) is not None:
            return kept
        match = _match(request)
        if match.operation.name not in self._handlers:
            raise errors.NOT_SUPPORTED(operation=match.operation.name)
        run = partial(self._run, request, match)
        if _is_quick(match.operation):
            return run()
        if request.method == "GET":
            return await self.in_worker(run)
        return await self._change(run)

    async def in_worker(self, run: Callable[[], T]) -> T:
        """Run something that may wait in a thread; it goes on to its end even when the client goes away."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, run)

    def close(self) -> None:
        """Wait for the handlers that still run."""
        self._workers.shutdown(wait=True)

    def _authorize(self, request: Request) -> None:
        """Refuse whoever may not ask, and a request without a version."""
        self._access.check_certificate(request.thumbprint)
        check_version(request.version)
        path = request.path.strip("/").lower()
        if path != LIST_SUBSCRIPTIONS:
            self._access.check_subscription(request.thumbprint, path.split("/", 1)[0])

    def _run(self, request: Request, match: Match) -> Answer:
        stored = self._engine.store.version
        reply = self._handlers[match.operation.name](_call(request, match))
        body = reply.body
        if isinstance(body, WireType):
            body = encode(body, reply.root, response=True)
        status = reply.status or match.operation.success
        answer = Answer(status, body or b"", reply.location, reply.content_type or XML)
        if reply.lasting:
            self._kept.keep(request, answer, stored)
        return answer

    async def _change(self, run: Callable[[], Answer]) -> Answer:
        end = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await self.in_worker(run)
            except Locked as locked:
                if not await self._freed(locked.operation_id, end):
                    raise conflict(locked) from None
            except (Exists, Missing) as clash:  # it came or went between a check and the change
                if not await self._freed("", end):
                    raise errors.CONFLICTING_CHANGE(detail=str(clash)) from None

    async def _freed(self, operation_id: str, end: float) -> bool:
        """Wait until an operation has closed, or a moment when it is unknown; False when patience has run out."""
        loop = asyncio.get_running_loop()
        pause, longest = LOCK_POLLS
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, longest)
            record = self._engine.operation(operation_id) if operation_id else None
            if record is None or record.finished is not None:
                return True
        return False


class _KeptAnswers:
    """Answers to GETs that stay right until the store changes; callers are authorized before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answers: dict[Hashable, tuple[int, Answer]] = {}
        self._size = 0

    def get(self, request: Request) -> Answer | None:
        """The answer that was given to the same request, if nothing has been stored since."""
        stored, answer = self._answers.get(_key(request), (-1, None))
        return answer if stored == self._store.version else None

    def keep(self, request: Request, answer: Answer, stored: int) -> None:
        """Keep an answer that was made after the store was seen at the version `stored`."""
        if stored % 2 or not isinstance(answer.body, bytes):
            return
        self._size += len(answer.body) + KEPT_OVERHEAD
        if self._size > MOST_KEPT:
            self._answers.clear()
            self._size = 0
        self._answers[_key(request)] = stored, answer


def _key(request: Request) -> Hashable:
    return request.path, request.version, tuple(request.query.items())


def _match(request: Request) -> Match:
    """The operation that is asked for."""
    root = root_name(request.body) if request.body and needs_body_root(request.path) else None
    return route(request.method, request.path, request.query, root)


def _is_quick(operation: RestOperation) -> bool:
    """Whether the answer needs so little time that the event loop may give it."""
    return operation.method == "GET" and not operation.name.startswith("List ")


@lru_cache(64)
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
    if locked.kind == "network_configuration":
        return errors.NETWORK_CONFIGURATION_LOCKED()
    if locked.kind in _SERVICE_KINDS or not locked.operation_id:
        return errors.HOSTED_SERVICE_LOCKED()
    return errors.DEPLOYMENT_LOCKED(request_id=locked.operation_id)


def _call(request: Request, match: Match) -> Call:
    return Call(
        operation=match.operation,
        subscription=match.params.get("subscription-id", "").lower(),
        request_id=request.id,
        version=request.version or "",
        params=match.params,
        query=request.query,
        body=_decoded(request, match.operation),
        thumbprint=request.thumbprint,
        client_ip=request.client_ip,
    )


def _decoded(request: Request, operation: RestOperation) -> Any:
    if not operation.request_root:
        return None
    if not request.body:
        raise errors.BODY_REQUIRED(root=operation.request_root)
    if operation.request is None:
        return request.body
    return decode(operation.request, request.body, strict=True)
