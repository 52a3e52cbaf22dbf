"""Reads and writes on one connection, inside one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from reddog.store import _rows
from reddog.store._statements import RESOURCE, Statements
from reddog.store._types import OperationRecord, Ref, Resource, Status


class Cursor(Protocol):
    """What a database driver's `execute` returns."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What is used of a database driver's connection."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Mapping[str, Any] = ..., /) -> Cursor: ...


class ReadSession:
    """`Reader`, and the few reads that only the engine needs."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    def get(self, kind: str, key: str) -> Resource | None:
        """See `Reader.get`."""
        row = self._run("get", {"kind": kind, "key": key}).fetchone()
        return None if row is None else _rows.resource(row)

    def count(self, kind: str, subscription: str | None = None, parent: str | None = None) -> int:
        """See `Reader.count`."""
        given = _given(subscription=subscription, parent=parent)
        sql = self._statements.list(frozenset(given), count=True)
        return int(self._connection.execute(sql, {"kind": kind, **given}).fetchone()[0])

    def operation(self, id: str) -> OperationRecord | None:
        """See `Reader.operation`."""
        row = self._run("operation", {"id": id}).fetchone()
        return None if row is None else _rows.operation(row)

    def operations(
        self,
        subscription: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        object_id: str | None = None,
        status: Status | None = None,
        after_id: str | None = None,
        limit: int | None = None,
    ) -> list[OperationRecord]:
        """See `Reader.operations`."""
        given = _given(
            start=start and start.timestamp(),
            end=end and end.timestamp(),
            object_id=None if object_id is None else object_id.lower(),
            status=status,
            after_id=after_id,
            limit=limit,
        )
        sql = self._statements.operations(frozenset(given))
        rows = self._connection.execute(sql, {"subscription": subscription, **given}).fetchall()
        return [_rows.operation(row) for row in rows]

    def running(self) -> list[OperationRecord]:
        """The operations in progress, oldest first."""
        return [_rows.operation(row) for row in self._run("running", {}).fetchall()]

    def held(self, operation: str) -> list[Resource]:
        """The resources an operation holds, in the order of their making."""
        return [_rows.resource(row) for row in self._run("held", {"operation": operation}).fetchall()]

    def unsettled(self, after: int, limit: int) -> list[tuple[int, Ref]]:
        """A page of (uid, ref) of unsettled resources whose uid is greater than `after`."""
        rows = self._run("unsettled", {"after": after, "limit": limit}).fetchall()
        return [(uid, (kind, key)) for uid, kind, key in rows]

    def list(
        self,
        kind: str,
        subscription: str | None = None,
        parent: str | None = None,
        after_key: str | None = None,
        limit: int | None = None,
    ) -> list[Resource]:
        """See `Reader.list`."""
        given = _given(subscription=subscription, parent=parent, after_key=after_key, limit=limit)
        sql = self._statements.list(frozenset(given))
        rows = self._connection.execute(sql, {"kind": kind, **given}).fetchall()
        return [_rows.resource(row) for row in rows]

    def _run(self, name: str, parameters: Mapping[str, Any]) -> Cursor:
        return self._connection.execute(self._statements.fixed(name), parameters)


class WriteSession(ReadSession):
    """Changes of rows, and nothing of what they mean: that is the engine's."""

    def insert(self, values: Mapping[str, Any]) -> int:
        """Add a resource; returns its uid."""
        return int(self._run("insert", {**_NOTHING, **_rows.encode(values)}).fetchone()[0])

    def update(self, uid: int, **values: Any) -> None:
        """Change columns of a resource."""
        sql = self._statements.update("resources", frozenset(values))
        self._connection.execute(sql, {"uid_": uid, **_rows.encode(values)})

    def take(self, uid: int, operation: str, **values: Any) -> bool:
        """Lock a resource for an operation and change columns; False when another operation holds it."""
        values["operation"] = operation
        sql = self._statements.update("resources", frozenset(values), fenced=True)
        cursor = self._connection.execute(sql, {"uid_": uid, "holder_": operation, **_rows.encode(values)})
        return cursor.rowcount == 1

    def delete(self, uid: int) -> None:
        """Delete a resource."""
        self._run("delete", {"uid_": uid})

    def release(self, operation: str) -> None:
        """Delete the operation's absent resources and free its locks."""
        for name in ("delete_absent", "release_settled", "release_rest"):
            self._run(name, {"operation_": operation})

    def insert_operation(self, record: OperationRecord) -> None:
        """Add an operation."""
        self._run("insert_operation", _rows.encode(vars(record)))

    @property
    def in_transaction(self) -> bool:
        """False after the database itself has rolled everything back, as it may when the disk is full."""
        return self._connection.in_transaction

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside when it raises; the exception goes on."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.in_transaction:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def update_operation(self, id: str, **values: Any) -> None:
        """Change columns of an operation."""
        sql = self._statements.update("operations", frozenset(values))
        self._connection.execute(sql, {"id_": id, **_rows.encode(values)})

    def forget(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` operations that finished before a time; returns how many there were."""
        return self._run("forget", {"before": before.timestamp(), "limit": limit}).rowcount


_NOTHING = {column.name: None for column in RESOURCE if column.name != "uid"}


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
