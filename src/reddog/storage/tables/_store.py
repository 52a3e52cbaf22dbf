"""The tables of an account and their entities, in SQLite."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reddog.storage._database import AccountDatabase, Sweep
from reddog.storage._errors import StorageError
from reddog.storage.tables._edm import TICKS, etag, invalid_input
from reddog.storage.tables._entity import Entity, check_size, dump, load
from reddog.storage.tables._ranges import Key, Span

LARGEST_PAGE = 1000  # entities, or tables
LARGEST_PAGE_SIZE = 4 << 20  # characters of properties
MOST_LOOKED_AT = 20_000  # entities for one page, whether they are wanted or not
LONGEST_LOOK = 1.0  # seconds for one page
DELETED_AT_ONCE = 1000  # entities
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tables (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, policies TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entities (
  owner INTEGER NOT NULL, part TEXT NOT NULL, row TEXT NOT NULL, stamp INTEGER NOT NULL, properties TEXT NOT NULL,
  PRIMARY KEY (owner, part, row)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (owner INTEGER PRIMARY KEY);
"""
_NAME = re.compile("[A-Za-z][A-Za-z0-9]*")
_WEAK = re.compile(r'[Ww]/("[^"]*")')


@dataclass
class Table:
    """A table. `policies` are the stored access policies by id."""

    id: int
    name: str
    policies: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Page:
    """A part of an answer. following: the key of the entity with which the next part begins; None: there is none."""

    entities: list[Entity] = field(default_factory=list)
    following: Key | None = None


def check_table_name(name: str) -> None:
    """Refuse what no table can be named. OutOfRangeInput, InvalidResourceName."""
    if not 3 <= len(name) <= 63:
        message = "The specified resource name length is not within the permissible limits."
        raise StorageError("OutOfRangeInput", 400, f"{message} A table's name has 3 to 63 characters.")
    if _NAME.fullmatch(name) is None or name.lower() == "tables":
        message = "The specified resource name contains invalid characters."
        raise StorageError(
            "InvalidResourceName", 400, f"{message} A table's name has letters and digits only."
        )


def table_not_found() -> StorageError:
    """There is no such table."""
    return StorageError("TableNotFound", 404, "The table specified does not exist.")


def entity_not_found() -> StorageError:
    """There is no such entity."""
    return StorageError("ResourceNotFound", 404, "The specified resource does not exist.")


class TableReader:
    """One consistent look at an account's tables. Methods that name a table raise TableNotFound (404)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def table(self, name: str) -> Table:
        """The table of that name, in whatever case."""
        sql = "SELECT id, name, policies FROM tables WHERE folded=?"
        row = self._connection.execute(sql, (name.lower(),)).fetchone()
        if row is None:
            raise table_not_found()
        return Table(row[0], row[1], json.loads(row[2]))

    def tables(self, start: str) -> Iterator[Table]:
        """Tables in the order of their names, in lower case, from `start` on."""
        sql = "SELECT id, name, policies FROM tables WHERE folded>=? ORDER BY folded"
        for row in self._connection.execute(sql, (start,)):
            yield Table(row[0], row[1], json.loads(row[2]))

    def entity(self, table: str, key: Key) -> Entity | None:
        """The entity with that key; None: there is none."""
        return self._found(table, key)[1]

    def page(
        self, table: str, spans: list[Span], condition: Callable[[Entity], bool] | None, limit: int
    ) -> Page:
        """The first wanted entities within some spans, in their order, at most `limit`."""
        page, size, end = Page(), 0, time.monotonic() + LONGEST_LOOK
        for looked_at, (part, row, stamp, properties) in enumerate(self._rows(self._id(table), spans)):
            is_long = looked_at >= MOST_LOOKED_AT or (looked_at > 0 and time.monotonic() > end)
            if is_long or len(page.entities) >= limit or size >= LARGEST_PAGE_SIZE:
                page.following = part, row
                break
            entity = Entity(part, row, stamp, load(properties))
            if condition is None or condition(entity):
                page.entities.append(entity)
                size += len(properties)
        return page

    def _rows(self, owner: int, spans: list[Span]) -> Iterator[tuple[str, str, int, str]]:
        select = "SELECT part, row, stamp, properties FROM entities WHERE owner=? AND (part, row)>=(?, ?)"
        for start, end in spans:
            bound, values = "", tuple[str, ...]()
            if end is not None:
                bound = "AND part<=?" if end[1] is None else "AND (part, row)<=(?, ?)"
                values = tuple(key for key in end if key is not None)
            sql = f"{select} {bound} ORDER BY part, row"
            yield from self._connection.execute(sql, (owner, *start, *values))

    def _id(self, table: str) -> int:
        row = self._connection.execute("SELECT id FROM tables WHERE folded=?", (table.lower(),)).fetchone()
        if row is None:
            raise table_not_found()
        return int(row[0])

    def _found(self, table: str, key: Key) -> tuple[int, Entity | None]:
        """The id of a table, and the entity in it, in one statement: each is a turn of Python's global lock."""
        sql = (
            "SELECT id, stamp, properties FROM tables LEFT JOIN entities ON owner=id AND part=? AND row=? "
            "WHERE folded=?"
        )
        found = self._connection.execute(sql, (*key, table.lower())).fetchone()
        if found is None:
            raise table_not_found()
        return found[0], None if found[1] is None else Entity(*key, found[1], load(found[2]))


class TableWriter(TableReader):
    """Changes of an account's tables, inside one transaction.

    Args:
        connection: That of the writer's thread.
        clock: Seconds since 1970.
        sweep: Asks for what is left of a deleted table, by its id, to be deleted later on.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float], sweep: Sweep) -> None:
        super().__init__(connection)
        self._clock = clock
        self._sweep = sweep
        self._last_stamp = 0

    # -- Tables ------------------------------------------------------------------------------------------

    def create(self, name: str) -> None:
        """Add a table. TableAlreadyExists (409)."""
        sql = "INSERT INTO tables (name, folded, policies) VALUES (?, ?, '{}') ON CONFLICT DO NOTHING"
        if self._connection.execute(sql, (name, name.lower())).rowcount == 0:
            raise StorageError("TableAlreadyExists", 409, "The table specified already exists.")

    def delete(self, name: str) -> None:
        """Delete a table; its entities are out of reach at once, and deleted little by little. ResourceNotFound."""
        try:
            owner = self._id(name)
        except StorageError:
            raise entity_not_found() from None
        self._connection.execute("DELETE FROM tables WHERE id=?", (owner,))
        self._connection.execute("INSERT INTO dropped VALUES (?)", (owner,))
        self._sweep(owner)

    def set_policies(self, name: str, policies: Mapping[str, Mapping[str, str]]) -> None:
        """Replace a table's stored access policies."""
        values = json.dumps(policies), self._id(name)
        self._connection.execute("UPDATE tables SET policies=? WHERE id=?", values)

    # -- Entities ----------------------------------------------------------------------------------------

    def insert(self, table: str, entity: Entity) -> Entity:
        """Add an entity. EntityAlreadyExists (409)."""
        entity.stamp = self._new_stamp(0)
        values = entity.partition, entity.row, entity.stamp, dump(entity.properties), table.lower()
        sql = "INSERT INTO entities SELECT id, ?, ?, ?, ? FROM tables WHERE folded=? ON CONFLICT DO NOTHING"
        if self._connection.execute(sql, values).rowcount == 0:
            self._id(table)
            raise StorageError("EntityAlreadyExists", 409, "The specified entity already exists.")
        return entity

    def put(self, table: str, entity: Entity, if_match: str | None, *, merge: bool) -> Entity:
        """Replace an entity, or with `merge` add to its properties.

        if_match: None: it is inserted if it is not there; else it has to be there and have that ETag, or any for `*`.

        :raises StorageError: ResourceNotFound (404), UpdateConditionNotSatisfied (412), EntityTooLarge (400).
        """
        owner, present = self._found(table, (entity.partition, entity.row))
        if if_match is not None:
            _check_etag(present, if_match)
        if merge and present is not None:
            entity.properties = {**present.properties, **entity.properties}
            check_size(entity)
        entity.stamp = self._new_stamp(present.stamp if present else 0)
        values = owner, entity.partition, entity.row, entity.stamp, dump(entity.properties)
        self._connection.execute("INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?, ?)", values)
        return entity

    def remove(self, table: str, key: Key, if_match: str) -> None:
        """Delete an entity; for if_match see `put`."""
        owner, present = self._found(table, key)
        _check_etag(present, if_match)
        self._connection.execute("DELETE FROM entities WHERE owner=? AND part=? AND row=?", (owner, *key))

    def _new_stamp(self, before: int) -> int:
        """A time that no other change has, and that is after the entity's last one."""
        self._last_stamp = max(self._last_stamp + 1, before + 1, int(self._clock() * TICKS))
        return self._last_stamp

    # -- What is gone ------------------------------------------------------------------------------------

    def sweep(self, owner: int) -> bool:
        """Delete some of a deleted table's entities; False when none is left."""
        sql = "SELECT part, row FROM entities WHERE owner=? ORDER BY part, row LIMIT 1 OFFSET ?"
        last = self._connection.execute(sql, (owner, DELETED_AT_ONCE - 1)).fetchone()
        if last is not None:
            sql = "DELETE FROM entities WHERE owner=? AND (part, row)<=(?, ?)"
            self._connection.execute(sql, (owner, *last))
            return True
        self._connection.execute("DELETE FROM entities WHERE owner=?", (owner,))
        self._connection.execute("DELETE FROM dropped WHERE owner=?", (owner,))
        return False

    def sweep_all(self) -> None:
        """Ask for everything to be deleted that an earlier process has left."""
        for (owner,) in self._connection.execute("SELECT owner FROM dropped").fetchall():
            self._sweep(owner)


def check_etag_form(etag: str) -> None:
    """Whether a condition is `*` or an ETag that this service could have given. InvalidInput."""
    if etag != "*" and _WEAK.fullmatch(etag) is None:
        raise invalid_input('The etag value specified in If-Match is not valid: it is * or W/"...".')


def _check_etag(present: Entity | None, given: str) -> None:
    if present is None:
        raise entity_not_found()
    if given != "*" and given[2:] != etag(present.stamp)[2:]:
        message = "The update condition specified in the request was not satisfied."
        raise StorageError("UpdateConditionNotSatisfied", 412, message)


class TableStore(AccountDatabase[TableReader, TableWriter]):
    """An account's tables. See `AccountDatabase`.

    Args:
        path: The database.
        account: Whose it is.
        clock: Seconds since 1970.
    """

    def __init__(self, path: Path, account: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(
            path,
            account,
            _SCHEMA,
            TableReader,
            lambda connection, sweep: TableWriter(connection, clock, sweep),
        )
