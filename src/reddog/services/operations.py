"""Operations: how the changes that were asked for have come out (behaviours.md, sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from reddog.engine import Engine, OperationRecord
from reddog.services import _rules
from reddog.services._call import Call, Handler, Reply
from reddog.wire import (
    Operation,
    OperationCaller,
    OperationError,
    SubscriptionOperation,
    SubscriptionOperationCollection,
    SubscriptionOperations,
    SubscriptionOperationStatus,
    errors,
    only,
)

PAGE = 100  # operations in one answer of List Subscription Operations
_Status = Literal["InProgress", "Succeeded", "Failed"]
_STATUSES: Mapping[str, _Status] = {
    "inprogress": "InProgress",
    "succeeded": "Succeeded",
    "failed": "Failed",
}


class Operations:
    """Tell the status of operations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"Get Operation Status": self.status, "List Subscription Operations": self.list}

    def status(self, call: Call) -> Reply:
        """Get Operation Status. ResourceNotFound: the subscription has had no such request."""
        record = self._engine.operation(_identity(call.params["request-id"]))
        if record is None or record.subscription != call.subscription:
            raise errors.OPERATION_NOT_FOUND()
        return Reply(_shown(record), lasting=True)

    def list(self, call: Call) -> Reply:
        """List Subscription Operations of a period, oldest first, a hundred at a time.

        :raises ServiceError: 400; a time, the status or the continuation token is invalid.
        """
        query = call.query
        start, end = _moment(query, "StartTime"), _moment(query, "EndTime")
        token, object_id = query.get("continuationtoken"), query.get("objectidfilter")

        found = self._engine.store.read(
            lambda reader: reader.operations(
                call.subscription,
                start=start,
                end=end,
                object_id=_path(object_id) if object_id else None,
                status=_status(query),
                after_id=_identity(token) if token else None,
                limit=PAGE + 1,
            )
        )
        page = found[:PAGE]
        more = _hyphenated(page[-1].id) if len(found) > PAGE else None
        shown = SubscriptionOperations([_listed(record) for record in page])
        return Reply(
            only(SubscriptionOperationCollection, subscription_operations=shown, continuation_token=more)
        )


def _shown(record: OperationRecord) -> Operation:
    return only(Operation, id=_hyphenated(record.id), **_outcome(record))


def _listed(record: OperationRecord) -> SubscriptionOperation:
    outcome = only(SubscriptionOperationStatus, status_id=_hyphenated(record.id), **_outcome(record))
    caller = only(
        OperationCaller,
        used_service_management_api=True,
        subscription_certificate_thumbprint=record.caller.get("thumbprint"),
        client_ip=record.caller.get("client_ip"),
    )
    return only(
        SubscriptionOperation,
        operation_id=_hyphenated(record.id),
        operation_object_id=record.object_id,
        operation_name=record.name,
        operation_parameters={name: str(value) for name, value in record.parameters.items()},
        operation_caller=caller,
        operation_status=outcome,
        operation_started_time=_rules.timestamp(record.started),
        operation_completed_time=None if record.finished is None else _rules.timestamp(record.finished),
    )


def _outcome(record: OperationRecord) -> dict[str, Any]:
    failure = record.failure if record.status == "Failed" else None
    return {
        "status": record.status,
        "http_status_code": None if record.status == "InProgress" else str(record.http_status),
        "error": None
        if failure is None
        else only(OperationError, code=failure["code"], message=failure["message"]),
    }


def _identity(text: str) -> str:
    return text.replace("-", "").lower()


def _hyphenated(identity: str) -> str:
    parts = (identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:])
    return "-".join(parts)


def _moment(query: Mapping[str, str], name: str) -> datetime:
    """An ISO 8601 time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(query.get(name.lower(), "").strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise errors.MISSING_QUERY_PARAMETER(parameter=f"{name}, such as 2015-06-01T12:00:00Z") from None


def _status(query: Mapping[str, str]) -> _Status | None:
    given = query.get("operationresultfilter")
    if not given:
        return None
    found = _STATUSES.get(given.lower())
    if found is None:
        wanted = f"OperationResultFilter, one of {', '.join(_STATUSES.values())}"
        raise errors.MISSING_QUERY_PARAMETER(parameter=wanted)
    return found


def _path(object_id: str) -> str:
    """An object's path, whether that or its whole URL is given."""
    try:
        return "/" + urlsplit(object_id).path.strip("/")
    except ValueError:
        return object_id
