"""The operation table: one row per REST operation, and finding the row that a request means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from urllib.parse import unquote

from reddog.wire import errors, types
from reddog.wire._schema import WireType

_REQUEST_TYPES = {"Deployment": "DeploymentRequest"}
_OPERATION_DOCUMENTS = "operations"  # the last path segment of resources that take operation documents


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


@dataclass(frozen=True)
class Match:
    """The operation that a request means, and the values of its URI template's placeholders."""

    operation: Operation
    params: Mapping[str, str]


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
            _type(_root(response)),
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


# -- Routing ---------------------------------------------------------------------------------------------


@dataclass
class _Segment:
    """A node of the tree of path templates; literal segments are in lower case."""

    literals: dict[str, _Segment] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str], _Segment]] = field(default_factory=list)
    any_name: _Segment | None = None
    operations: list[tuple[Operation, tuple[str, ...]]] = field(default_factory=list)


def _pattern(segment: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]+\\\}", "(.+?)", re.escape(segment)) + "$", re.IGNORECASE)


def _build() -> _Segment:
    root = _Segment()
    for operation in OPERATIONS.values():
        node, placeholders = root, re.findall(r"\{([^}]+)\}", operation.path)
        for segment in operation.path.strip("/").split("/"):
            node = _child(node, segment)
        node.operations.append((operation, tuple(placeholders)))
    return root


def _child(node: _Segment, segment: str) -> _Segment:
    if "{" not in segment:
        return node.literals.setdefault(segment.lower(), _Segment())
    if re.fullmatch(r"\{[^}]+\}", segment):
        node.any_name = node.any_name or _Segment()
        return node.any_name
    pattern = _pattern(segment)
    for known, child in node.patterns:
        if known.pattern == pattern.pattern:
            return child
    node.patterns.append((pattern, _Segment()))
    return node.patterns[-1][1]


_TREE = _build()


def _find(
    node: _Segment, segments: list[str], values: tuple[str, ...]
) -> tuple[_Segment, tuple[str, ...]] | None:
    if not segments:
        return (node, values) if node.operations else None
    head, rest = segments[0], segments[1:]
    literal = node.literals.get(head.lower())
    if literal is not None and (found := _find(literal, rest, values)):
        return found
    for pattern, child in node.patterns:
        if (matched := pattern.match(head)) and (found := _find(child, rest, values + matched.groups())):
            return found
    if node.any_name is not None and head:
        return _find(node.any_name, rest, (*values, head))
    return None


def route(method: str, path: str, query: Mapping[str, str], body_root: str | None = None) -> Match:
    """Find the operation that a request means. Paths and the query's names match without regard to case.

    :param path: as received, percent-encoded.
    :param query: decoded.
    :param body_root: the name of the body's root element, for resources that take operation documents.
    :raises ServiceError: 404 for an unknown path, 405 where the path takes other verbs, 400
        ``MissingOrInvalidRequiredQueryParameter`` or ``InvalidXmlRequest`` where only query or body is wrong.
    """
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    found = _find(_TREE, segments, ())
    if found is None:
        raise errors.UNKNOWN_PATH(path=path)
    node, values = found
    candidates = [entry for entry in node.operations if entry[0].method == method]
    if not candidates:
        allowed = ", ".join(sorted({operation.method for operation, _ in node.operations}))
        raise errors.METHOD_NOT_ALLOWED(method=method, allowed=allowed)
    given = {name.lower(): value for name, value in query.items()}
    operation, placeholders = _choose(candidates, given, body_root)
    return Match(operation, dict(zip(placeholders, values, strict=False)))


def needs_body_root(path: str) -> bool:
    """Whether the body's root element decides which operation a request to this path means."""
    return path.rstrip("/").rsplit("/", 1)[-1].lower() == _OPERATION_DOCUMENTS


_Entry = tuple[Operation, tuple[str, ...]]


def _choose(candidates: list[_Entry], given: Mapping[str, str], body_root: str | None) -> _Entry:
    fitting = [entry for entry in candidates if _query_fits(entry[0], given)]
    if not fitting:
        wanted = sorted(
            {f"{k}={v}" for operation, _ in candidates for k, v in operation.required_query.items()}
        )
        raise errors.MISSING_QUERY_PARAMETER(parameter=" or ".join(wanted))
    most = max(len(operation.required_query) for operation, _ in fitting)
    fitting = [entry for entry in fitting if len(entry[0].required_query) == most]
    if len(fitting) == 1:
        return fitting[0]
    for entry in fitting:
        if entry[0].request_root == (body_root or ""):
            return entry
    if body_root is None:
        return fitting[0]
    expected = " or ".join(sorted({operation.request_root for operation, _ in fitting}))
    raise errors.WRONG_ROOT(expected=expected, found=body_root)


def _query_fits(operation: Operation, given: Mapping[str, str]) -> bool:
    for name, value in operation.required_query.items():
        actual = given.get(name.lower())
        if actual is None or (not value.startswith("{") and actual.lower() != value.lower()):
            return False
    return True
