"""Changing entities: insert, update, merge, delete, by themselves or in a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reddog.storage._errors import StorageError, missing_header
from reddog.storage.tables import _edm
from reddog.storage.tables._documents import link
from reddog.storage.tables._edm import invalid_input
from reddog.storage.tables._entity import Entity, check_key, check_size
from reddog.storage.tables._ranges import Key
from reddog.storage.tables._request import Answer, Ask, done, told
from reddog.storage.tables._store import TableWriter, check_etag_form


@dataclass(frozen=True)
class Change:
    """A change that is right in itself; whether it can be made, the table says."""

    table: str
    key: Key
    make: Callable[[TableWriter], Answer]


def change(ask: Ask) -> Change:
    """Read a change: Insert, Update, Merge, Insert Or Replace, Insert Or Merge or Delete Entity. StorageError."""
    if ask.method == "POST" and ask.place.key is None:
        return _insert(ask)
    if ask.place.key is None or ask.method not in _WITH_KEY:
        raise invalid_input(f"{ask.method} is no change of an entity.")
    if ask.if_match is not None:
        check_etag_form(ask.if_match)
    return _WITH_KEY[ask.method](ask, ask.place.key)


def _insert(ask: Ask) -> Change:
    draft = ask.draft()
    key = draft.keys()
    entity = Entity(*key, 0, draft.properties)
    check_size(entity)
    ask.permit_key(key)
    place = ask.documents.base + link(ask.place.table, *key)

    def make(tables: TableWriter) -> Answer:
        tables.insert(ask.place.table, entity)
        headers = {"ETag": _edm.etag(entity.stamp), "Location": place, **ask.preference_applied}
        if not ask.wants_content:
            return done({**headers, "DataServiceId": place})
        return told(ask, 201, ask.documents.entity(ask.place.table, entity, ()), headers)

    return Change(ask.place.table, key, make)


def _replace(ask: Ask, key: Key) -> Change:
    return _put(ask, key, merge=False)


def _merge(ask: Ask, key: Key) -> Change:
    return _put(ask, key, merge=True)


def _put(ask: Ask, key: Key, *, merge: bool) -> Change:
    for name, value in zip(("PartitionKey", "RowKey"), key, strict=True):
        check_key(name, value)
    draft = ask.draft()
    entity = Entity(*draft.keys(key), 0, draft.properties)
    check_size(entity)

    def make(tables: TableWriter) -> Answer:
        tables.put(ask.place.table, entity, ask.if_match, merge=merge)
        return done({"ETag": _edm.etag(entity.stamp)})

    return Change(ask.place.table, key, make)


def _delete(ask: Ask, key: Key) -> Change:
    if_match = ask.if_match
    if if_match is None:
        raise missing_header("If-Match")

    def make(tables: TableWriter) -> Answer:
        tables.remove(ask.place.table, key, if_match)
        return done()

    return Change(ask.place.table, key, make)


_WITH_KEY: dict[str, Callable[[Ask, Key], Change]] = {
    "PUT": _replace,
    "MERGE": _merge,
    "PATCH": _merge,
    "DELETE": _delete,
}


def check_together(changes: list[Change]) -> None:
    """Whether changes can be made in one transaction: one table, one partition, no entity twice.

    :raises BatchError: the first one that cannot be.
    """
    seen = set[Key]()
    for number, one in enumerate(changes):
        if one.table.lower() != changes[0].table.lower():
            raise BatchError(number, invalid_input("All changes in a batch are of one table."))
        if one.key[0] != changes[0].key[0]:
            message = "All commands in a batch must operate on same entity group."
            error = StorageError("CommandsInBatchActOnDifferentPartitions", 400, message)
            raise BatchError(number, error)
        if one.key in seen:
            message = "The batch request contains multiple changes with same row key: an entity can appear only once."
            raise BatchError(number, StorageError("InvalidDuplicateRow", 400, message))
        seen.add(one.key)


class BatchError(Exception):
    """One of the changes in a batch cannot be made, and so none is. number: which one; error: why."""

    def __init__(self, number: int, error: StorageError) -> None:
        super().__init__(f"{number}:{error.message}")
        self.number = number
        self.error = error
