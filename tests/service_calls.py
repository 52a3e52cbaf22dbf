"""Calls of services without a front end: as it makes them, and with the answer read as a client reads it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import pytest

from reddog.services import Call, Handler, Reply
from reddog.wire import OPERATIONS, ServiceError, WireType, decode, encode

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
URL = "https://localhost:7380"


class Service(Protocol):
    def handlers(self) -> Mapping[str, Handler]: ...


class Caller:
    """Calls the operations of some services."""

    def __init__(self, *services: Service) -> None:
        self._handlers = {name: handler for one in services for name, handler in one.handlers().items()}
        self.last_id = ""

    def reply(
        self,
        name: str,
        body: WireType | None = None,
        *,
        subscription: str = SUBSCRIPTION,
        query: Mapping[str, str] | None = None,
        caller: str = "",
        **params: str,
    ) -> Reply:
        """Call an operation; underscores in parameters' names mean hyphens. caller: a thumbprint."""
        operation = OPERATIONS[name]
        received = None
        if body is not None:
            assert operation.request is not None
            received = decode(operation.request, encode(body, operation.request_root), strict=True)
        self.last_id = uuid.uuid4().hex
        call = Call(
            operation=operation,
            subscription=subscription,
            request_id=self.last_id,
            version="2014-10-01",
            params={name.replace("_", "-"): value for name, value in params.items()},
            query={key.lower(): value for key, value in (query or {}).items()},
            body=received,
            thumbprint=caller,
            client_ip="127.0.0.1",
        )
        return self._handlers[name](call)

    def __call__(self, name: str, body: WireType | None = None, **options: Any) -> Any:
        """Call an operation; returns its answer decoded, or None where there is none."""
        data = document(self.reply(name, body, **options))
        response = OPERATIONS[name].response
        return decode(response, data) if data and response is not None else None

    def refused(self, name: str, body: WireType | None = None, **options: Any) -> ServiceError:
        """The error that an operation is refused with."""
        with pytest.raises(ServiceError) as caught:
            self.reply(name, body, **options)
        return caught.value


def document(reply: Reply) -> bytes:
    """A reply's body as it is sent."""
    if reply.body is None:
        return b""
    if isinstance(reply.body, Iterator):
        return b"".join(reply.body)
    return reply.body if isinstance(reply.body, bytes) else encode(reply.body, reply.root, response=True)
