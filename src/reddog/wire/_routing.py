"""Finding the row of the operation table that a request means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote

from reddog.wire import errors
from reddog.wire.operations import OPERATIONS, Operation

_OPERATION_DOCUMENTS = "operations"  # the last path segment of resources that take operation documents


@dataclass(frozen=True)
class Match:
    """The operation that a request means, and the values of its URI template's placeholders."""

    operation: Operation
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row at the end of its path: what the query has to say in lower case, ``None`` for any value."""

    operation: Operation
    placeholders: tuple[str, ...]
    query: tuple[tuple[str, str | None], ...]

    def fits(self, given: Mapping[str, str]) -> bool:
        for name, value in self.query:  # noqa: SIM110 - all() takes three times as long
            if name not in given or value not in (None, given[name].lower()):
                return False
        return True


@dataclass(slots=True)
class _Segment:
    """A node of the tree of path templates; literal segments are in lower case."""

    literals: dict[str, _Segment] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str], _Segment]] = field(default_factory=list)
    any_name: _Segment | None = None
    methods: dict[str, list[_Entry]] = field(default_factory=dict)


def _pattern(segment: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]+\\\}", "(.+?)", re.escape(segment)) + "$", re.IGNORECASE)


@cache
def _tree() -> _Segment:
    """The tree of the operation table, made at first use: clients do not route."""
    root = _Segment()
    for operation in OPERATIONS.values():
        node = root
        for segment in operation.path.strip("/").split("/"):
            node = _child(node, segment)
        entries = node.methods.setdefault(operation.method, [])
        entries.append(_entry(operation))
        entries.sort(key=lambda entry: -len(entry.query))  # the most particular first, else as in the table
    return root


def _entry(operation: Operation) -> _Entry:
    placeholders = tuple(re.findall(r"\{([^}]+)\}", operation.path))
    query = [
        (name.lower(), None if value.startswith("{") else value.lower())
        for name, value in operation.required_query.items()
    ]
    return _Entry(operation, placeholders, tuple(query))


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


_Found = tuple[_Segment, tuple[str, ...]]


def _find(node: _Segment, segments: list[str], depth: int, values: tuple[str, ...]) -> _Found | None:
    if depth == len(segments):
        return (node, values) if node.methods else None
    head = segments[depth]
    literal = node.literals.get(head.lower())
    if literal is not None and (found := _find(literal, segments, depth + 1, values)):
        return found
    for pattern, child in node.patterns:
        matched = pattern.match(head)
        if matched and (found := _find(child, segments, depth + 1, values + matched.groups())):
            return found
    if node.any_name is not None and head:
        return _find(node.any_name, segments, depth + 1, (*values, head))
    return None


def route(method: str, path: str, query: Mapping[str, str], body_root: str | None = None) -> Match:
    """Find the operation that a request means. Paths and the query's names match without regard to case.

    :param path: as received, percent-encoded.
    :param query: decoded.
    :param body_root: the name of the body's root element, for resources that take operation documents.
    :raises ServiceError: 404 for an unknown path, 405 where the path takes other verbs, 400
        ``MissingOrInvalidRequiredQueryParameter`` or ``InvalidXmlRequest`` where only query or body is wrong.
    """
    segments = path.strip("/").split("/")
    if "%" in path:
        segments = [unquote(segment) for segment in segments]
    found = _find(_tree(), segments, 0, ())
    if found is None:
        raise errors.UNKNOWN_PATH(path=path)
    node, values = found
    candidates = node.methods.get(method)
    if candidates is None:
        raise errors.METHOD_NOT_ALLOWED(method=method, allowed=", ".join(sorted(node.methods)))
    entry = candidates[0]
    if len(candidates) > 1 or entry.query:
        entry = _choose(candidates, query, body_root)
    return Match(entry.operation, dict(zip(entry.placeholders, values, strict=True)))


def needs_body_root(path: str) -> bool:
    """Whether the body's root element decides which operation a request to this path means."""
    return path.rstrip("/").rsplit("/", 1)[-1].lower() == _OPERATION_DOCUMENTS


def _choose(candidates: list[_Entry], query: Mapping[str, str], body_root: str | None) -> _Entry:
    given = {name.lower(): value for name, value in query.items()}
    fitting = [entry for entry in candidates if entry.fits(given)]
    if not fitting:
        wanted = sorted({_wanted(entry.operation) for entry in candidates})
        raise errors.MISSING_QUERY_PARAMETER(parameter=" or ".join(wanted))
    fitting = [entry for entry in fitting if len(entry.query) == len(fitting[0].query)]
    if len(fitting) == 1 or body_root is None:
        return fitting[0]
    for entry in fitting:
        if entry.operation.request_root == body_root:
            return entry
    expected = " or ".join(sorted({entry.operation.request_root for entry in fitting}))
    raise errors.WRONG_ROOT(expected=expected, found=body_root)


def _wanted(operation: Operation) -> str:
    """What an operation's query has to say, for people: ``comp=config``, or ``StartTime and EndTime``."""
    query = operation.required_query
    return " and ".join(name if value.startswith("{") else f"{name}={value}" for name, value in query.items())
