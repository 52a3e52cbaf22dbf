"""What all services do alike: find a row, add one, check a label, accept a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from reddog.engine import Engine, Exists, Locked, OperationRequest, Reader, Ref, Resource, Tx
from reddog.services._call import Call
from reddog.wire import ServiceError, errors

T = TypeVar("T")
LONGEST_LABEL = 100  # characters before encoding; behaviours.md, section 4
LONGEST_DESCRIPTION = 1024
MOST_PROPERTIES = 50
_PROPERTY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
LONGEST_PROPERTY = 255
SYNCHRONOUS_WAIT = 60.0  # seconds
_PLACEHOLDER = re.compile(r"\{([^}]+)\}")
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,510}[A-Za-z0-9_])?")


def accept(engine: Engine, call: Call, change: Callable[[Tx], T]) -> T:
    """Make the change that a call asks for; its operation has the call's request id.

    A synchronous operation has ended when this returns, so that it is polled as Succeeded at once.

    :raises ServiceError: whatever `change` raises, or why a synchronous operation has failed and been undone.
    """
    request = OperationRequest(
        id=call.request_id,
        name=call.operation.name,
        subscription=call.subscription,
        object_id=object_path(call),
        caller={"thumbprint": call.thumbprint, "client_ip": call.client_ip},
    )
    result = engine.accept(request, change)
    if not call.operation.asynchronous:
        _await_end(engine, call.request_id)
    return result


def _await_end(engine: Engine, operation_id: str) -> None:
    try:
        record = engine.wait(operation_id, SYNCHRONOUS_WAIT)
    except TimeoutError:
        return  # it goes on, and can be polled
    if record.failure is not None:
        raise ServiceError(**record.failure)


def object_path(call: Call) -> str:
    """The path of the object that a call is about."""

    def value(match: re.Match[str]) -> str:
        return call.params.get(match[1], call.subscription if match[1] == "subscription-id" else match[0])

    return _PLACEHOLDER.sub(value, call.operation.path)


def find(reader: Reader, kind: str, key: str, subscription: str) -> Resource | None:
    """The subscription's row, or None; one that is on its way out counts as gone."""
    row = reader.get(kind, key.lower())
    if row is None or not row.present or row.subscription != subscription:
        return None
    return row


def owned(reader: Reader, kind: str, key: str, subscription: str, missing: ServiceError) -> Resource:
    """The subscription's row. Raises `missing` when there is none, and for other subscriptions' alike."""
    row = find(reader, kind, key, subscription)
    if row is None:
        raise missing
    return row


def insert(
    tx: Tx,
    kind: str,
    key: str,
    *,
    subscription: str,
    taken: ServiceError,
    goal: Mapping[str, Any],
    parent: str | None = None,
    state: Mapping[str, Any] | None = None,
    after: Iterable[Ref] = (),
) -> Resource:
    """Add a row.

    :raises ServiceError: `taken`, when there is such a row.
    :raises Locked: there is one that is on its way out: the caller may try again when it has gone.
    """
    try:
        return tx.insert(
            kind,
            key.lower(),
            subscription=subscription,
            parent=parent,
            goal=goal,
            state=state,
            after=after,
        )
    except Exists:
        row = tx.get(kind, key.lower())
        if row is not None and not row.present:
            raise locked(row) from None
        raise taken from None


def require_free(reader: Reader, kind: str, key: str, taken: ServiceError) -> None:
    """Refuse a name that is taken, before anything else that may be wrong with a request is looked at."""
    row = reader.get(kind, key)
    if row is not None and row.present:
        raise taken


def locked(row: Resource) -> Locked:
    """What to raise when a row is being worked on."""
    return Locked(row.kind, row.key, row.operation or "")


def timestamp(moment: datetime | None = None) -> str:
    """A time as the API writes it (UTC, whole seconds); now by default."""
    moment = moment or datetime.now(UTC)
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat()[:19]}Z"


def check_label(label: str | None) -> None:
    """Refuse a label of more than 100 characters."""
    if label is not None and len(label) > LONGEST_LABEL:
        raise errors.LABEL_TOO_LONG(length=len(label))


def check_description(description: str | None) -> None:
    """Refuse a description of more than 1024 characters."""
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        raise errors.DESCRIPTION_TOO_LONG(length=len(description))


def check_extended_properties(properties: Mapping[str, str] | None) -> None:
    """Refuse too many extended properties, and invalid names and values."""
    if not properties:
        return
    if len(properties) > MOST_PROPERTIES:
        raise errors.TOO_MANY_EXTENDED_PROPERTIES(limit=MOST_PROPERTIES, count=len(properties))
    for name, value in properties.items():
        if not _PROPERTY_NAME.fullmatch(name) or len(value or "") > LONGEST_PROPERTY:
            raise errors.INVALID_EXTENDED_PROPERTY(name=name)


def check_resource_name(name: str | None, what: str) -> str:
    """Refuse a name that a disk or an image cannot have; returns it otherwise."""
    if name is None or not _RESOURCE_NAME.fullmatch(name):
        rule = "use 1 to 512 letters, digits, hyphens, dots and underscores, with a letter or digit first."
        raise errors.INVALID_NAME(name=name or "", what=what, rule=rule)
    return name
