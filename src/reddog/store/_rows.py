"""Database rows to objects and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from reddog.store._types import OperationRecord, Resource

Row = tuple[Any, ...]

_JSON = frozenset({"goal", "state", "failure", "after", "back", "parameters", "caller"})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def encode(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as the database keeps them: JSON as text, times as seconds since 1970."""
    return {name: _column(name, value) for name, value in values.items()}


def _column(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        if name == "after":
            return _encode([list(ref) for ref in value]) if value else None
        return _encode(dict(value))
    return value.timestamp() if isinstance(value, datetime) else value


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def resource(row: Row) -> Resource:
    """A resource from the columns of `RESOURCE`."""
    kind, key, subscription, parent, goal, state, present, settled, operation, failure = row[:10]
    created, modified, generation, uid, after, back = row[10:]
    made = object.__new__(Resource)  # a frozen dataclass's own __init__ takes half of the time
    made.__dict__.update(
        kind=kind,
        key=key,
        subscription=subscription,
        parent=parent,
        goal=_decode(goal),
        state={} if state == "{}" else _decode(state),
        present=bool(present),
        settled=bool(settled),
        operation=operation,
        failure=_decode(failure) if failure else None,
        created=_time(created),
        modified=_time(modified),
        generation=generation,
        uid=uid,
        after=_refs(_decode(after)) if after else (),
        back=_decode(back) if back else None,
    )
    return made


def _refs(pairs: Iterable[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((kind, key) for kind, key in pairs)


def operation(row: Row) -> OperationRecord:
    """An operation from the columns of `OPERATION`."""
    id_, name, subscription, object_id, parameters, caller, status, failure = row[:8]
    rolling_back, started, finished, timeout = row[8:]
    return OperationRecord(
        id=id_,
        name=name,
        subscription=subscription,
        object_id=object_id,
        parameters=_decode(parameters),
        caller=_decode(caller),
        status=status,
        failure=_decode(failure) if failure else None,
        rolling_back=bool(rolling_back),
        started=_time(started),
        finished=None if finished is None else _time(finished),
        timeout=timeout,
    )
