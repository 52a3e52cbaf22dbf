"""What passes between the front end and the services: a call, and its reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reddog.wire import RestOperation


@dataclass(frozen=True)
class Call:
    """An authorized request.

    operation: the row of the operation table. subscription: its id, lower-case. request_id: 32 hexadecimal
    digits; also the id of the operation that it starts. version: the `x-ms-version` asked for. params: what
    the path's placeholders stand for, as given, by placeholder name. query: the query's parameters, lower-case
    names. body: the decoded request; bytes as received where the document is of none of the API's types; or
    None. thumbprint: of the caller's certificate (SHA-1, upper-case).
    """

    operation: RestOperation
    subscription: str
    request_id: str
    version: str
    params: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    thumbprint: str = ""
    client_ip: str = ""


@dataclass(frozen=True)
class Reply:
    """What a service answers.

    body: the object to encode, bytes that are encoded already, or None. location: the `Location` header's
    value. root: the root element's name when it differs from the type's. status: the HTTP status when it
    differs from the operation's own. content_type: of a body that is none of the API's XML. lasting: the answer to
    a GET tells of nothing but what is stored, to every caller the same, so it stays right until the store changes.
    """

    body: Any = None
    location: str | None = None
    root: str | None = None
    status: int | None = None
    content_type: str | None = None
    lasting: bool = False


Handler = Callable[[Call], Reply]
"""May run in any thread; raises `reddog.wire.ServiceError`, or `reddog.engine.Locked`."""
