"""The operation table: one row per REST operation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from reddog.wire import types
from reddog.wire._schema import WireType

_REQUEST_TYPES = {"Deployment": "DeploymentRequest"}
_RESPONSE_TYPES = {"string": "SerializedString", "boolean": "SerializedBoolean"}


@dataclass(frozen=True)
class Operation:
    """One REST operation.

    :param group: the kind of resource it belongs to.
    :param name: its name in the API's documentation.
    :param uri: its URI template; the query's parts in brackets are optional.
    :param version: the earliest ``x-ms-version`` (a ``~`` marks an inferred date).
    :param request: the wire type of its body, if it takes one that is known.
    :param response: the wire type of its answer, likewise.
    :param request_root, response_root: the root elements' names, or an empty string.
    :param success: the HTTP status of success.
    :param asynchronous: whether the work goes on after the answer.
    :param python_method: the method of the legacy client.
    :param tier: 1 for what the legacy client covers, 2 and 3 for the rest.
    """

    group: str
    name: str
    method: str
    uri: str
    version: str
    request: type[WireType] | None
    response: type[WireType] | None
    request_root: str
    response_root: str
    success: int
    asynchronous: bool
    python_method: str
    tier: int

    @property
    def path(self) -> str:
        """The path of the URI template."""
        return re.split(r"\[?\?", self.uri, maxsplit=1)[0]

    @property
    def required_query(self) -> dict[str, str]:
        """The query parameters that tell this operation from others of the same path (``comp=config``)."""
        query = self.uri[len(self.path) :]
        query = re.sub(r"\[[^\]]*\]", "", query).lstrip("?")
        return dict(part.split("=", 1) for part in query.split("&") if "=" in part)


def _load() -> Iterator[Operation]:
    table = resources.files("reddog.wire").joinpath("operations.tsv").read_text(encoding="utf-8")
    for line in table.splitlines()[1:]:
        group, name, method, uri, version, request, response, success, mode, python_method, tier = line.split(
            "\t"
        )
        yield Operation(
            group,
            name,
            method,
            uri,
            version,
            _type(_REQUEST_TYPES.get(_root(request), _root(request))),
            _type(_RESPONSE_TYPES.get(_root(response), _root(response))),
            _root(request),
            _root(response),
            int(re.split(r"\D", success)[0]),
            mode.startswith("async"),
            "" if python_method == "-" else python_method,
            int(tier),
        )


def _root(cell: str) -> str:
    return "" if cell == "-" else cell.split(" ", 1)[0]


def _type(name: str) -> type[WireType] | None:
    return getattr(types, name, None) if name else None


OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _load()})
"""Every operation by its name."""
