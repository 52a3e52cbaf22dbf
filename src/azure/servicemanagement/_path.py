"""Fills in the URI templates of the operation table.

A template's query may hold literals (comp=media), values ({...}), and parts in brackets, which are optional.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_PLACEHOLDER = re.compile(r"\{([^}]+)\}")


def expand(
    uri: str, params: Mapping[str, object], query: Mapping[str, object]
) -> tuple[str, list[tuple[str, str]]]:
    """Return path and query of `uri`, unquoted.

    params: values of the path's placeholders, by name.
    query: values of the query's placeholders and optional literals, by key; None or absent leaves the part
        out.
    """
    template, parts = _parse(uri)
    path = _PLACEHOLDER.sub(lambda match: str(params[match[1]]), template)
    pairs = [
        (key, literal if literal is not None else query.get(key))
        for key, literal, required in parts
        if required or query.get(key) is not None
    ]
    return path, [(key, str(value)) for key, value in pairs]


@cache
def _parse(uri: str) -> tuple[str, tuple[tuple[str, str | None, bool], ...]]:
    """Split a template into its path and (key, literal or None, required) for each part of its query."""
    head = re.split(r"\[?\?", uri, maxsplit=1)
    path, rest = head[0], head[1] if len(head) > 1 else ""
    optional_from = len(path) + 1 if uri[len(path) :].startswith("[") else uri.find("[", len(path))
    parts = []
    for match in re.finditer(r"([\w-]+)=([^&\[\]]+)", rest):
        literal = None if match[2].startswith("{") else match[2]
        position = len(uri) - len(rest) + match.start()
        optional = optional_from != -1 and position >= optional_from
        parts.append((match[1], literal, literal is not None and not optional))
    return path, tuple(parts)
