"""Reading entities: one by its key, or those that a filter wants, page by page."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping

from reddog.storage.tables import _edm, _filter
from reddog.storage.tables._edm import Kept, invalid_input
from reddog.storage.tables._entity import Entity
from reddog.storage.tables._ranges import EVERYTHING, Key, spans
from reddog.storage.tables._request import Answer, Ask, told
from reddog.storage.tables._store import LARGEST_PAGE, TableReader, entity_not_found

_TOKEN = "1!"  # noqa: S105 - what opaque texts begin with, so that none is empty
MOST_DIGITS = 9


def entity(ask: Ask) -> Callable[[TableReader], Answer]:
    """Query Entities, for the one with a key."""
    key = ask.place.key or ("", "")
    select = _selected(ask.query)

    def look(tables: TableReader) -> Answer:
        found = tables.entity(ask.place.table, key)
        if found is None:
            raise entity_not_found()
        body = ask.documents.entity(ask.place.table, found, select)
        return told(ask, 200, body, {"ETag": _edm.etag(found.stamp)})

    return look


def entities(ask: Ask) -> Callable[[TableReader], Answer]:
    """Query Entities: a page of those that `$filter` wants."""
    condition = _filter.parse(ask.query.get("$filter", ""))
    select, limit = _selected(ask.query), limit_of(ask.query)
    start = (token_of(ask.query, "nextpartitionkey") or "", token_of(ask.query, "nextrowkey") or "")
    where = spans([EVERYTHING] if condition is None else condition.ranges(), start, ask.bounds)

    def wanted(entity: Entity) -> bool:
        return condition is None or condition.holds(_properties(entity))

    def look(tables: TableReader) -> Answer:
        page = tables.page(ask.place.table, where, wanted if condition else None, limit)
        body = ask.documents.entities(ask.place.table, page.entities, select)
        return told(ask, 200, body, _continued(page.following) if limit else {})

    return look


def _properties(entity: Entity) -> Callable[[str], Kept | None]:
    def find(name: str) -> Kept | None:
        if name == "PartitionKey":
            return entity.partition
        if name == "RowKey":
            return entity.row
        if name == "Timestamp":
            return [_edm.DATETIME, _edm.timestamp(entity.stamp)]
        return entity.properties.get(name)

    return find


def _continued(following: Key | None) -> dict[str, str]:
    if following is None:
        return {}
    names = ("x-ms-continuation-NextPartitionKey", "x-ms-continuation-NextRowKey")
    return {name: shown_token(key) for name, key in zip(names, following, strict=True)}


def _selected(query: Mapping[str, str]) -> list[str]:
    names = [name.strip() for name in query.get("$select", "").split(",")]
    return [] if "*" in names else list(dict.fromkeys(name for name in names if name))


def limit_of(query: Mapping[str, str]) -> int:
    """How many entries a page may have. InvalidInput."""
    value = query.get("$top", str(LARGEST_PAGE))
    if not value.isascii() or not value.isdigit() or len(value) > MOST_DIGITS or int(value) > LARGEST_PAGE:
        raise invalid_input(f"$top is {value[:20]!r}; it may be 0 to {LARGEST_PAGE}.")
    return int(value)


def shown_token(key: str) -> str:
    """A key as it stands in an answer's headers and comes back in a query."""
    return _TOKEN + urlsafe_b64encode(key.encode()).decode()


def token_of(query: Mapping[str, str], name: str) -> str | None:
    """The key that a query goes on with; None: it begins. InvalidInput."""
    value = query.get(name)
    if not value:
        return None
    try:
        if not value.startswith(_TOKEN):
            raise ValueError
        return b64decode(value.removeprefix(_TOKEN), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise invalid_input(f"{name} is no continuation of this service.") from None
