"""Operations: how the changes that were asked for have come out (behaviours.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reddog.engine import Engine, OperationRecord
from reddog.services._call import Call, Handler, Reply
from reddog.wire import Operation, OperationError, errors, only


class Operations:
    """Tell the status of operations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"Get Operation Status": self.status}

    def status(self, call: Call) -> Reply:
        """Get Operation Status. ResourceNotFound: the subscription has had no such request."""
        identity = call.params["request-id"].replace("-", "").lower()
        record = self._engine.operation(identity)
        if record is None or record.subscription != call.subscription:
            raise errors.OPERATION_NOT_FOUND()
        return Reply(_shown(record))


def _shown(record: OperationRecord) -> Operation:
    finished = record.status != "InProgress"
    failure = record.failure if record.status == "Failed" else None
    return only(
        Operation,
        id=_hyphenated(record.id),
        status=record.status,
        http_status_code=str(record.http_status) if finished else None,
        error=None if failure is None else _error(failure),
    )


def _error(failure: Mapping[str, Any]) -> OperationError:
    return only(OperationError, code=failure["code"], message=failure["message"])


def _hyphenated(identity: str) -> str:
    parts = (identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:])
    return "-".join(parts)
