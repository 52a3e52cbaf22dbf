"""Every statement, built once with SQLAlchemy Core and kept as the dialect's SQL.

Running the SQL on the driver's own cursor takes a third of the time of a Core execution, which is what lets a
single read happen on an event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import ClauseElement

from reddog.store._schema import operations, resources

r, o = resources.c, operations.c
_ZERO: ColumnElement[int] = literal_column("0")  # else SQLite's compiler asks for one more parameter

RESOURCE = (
    r.kind,
    r.key,
    r.subscription,
    r.parent,
    r.goal,
    r.state,
    r.present,
    r.settled,
    r.operation,
    r.failure,
    r.created,
    r.modified,
    r.generation,
    r.uid,
    r.after,
    r.back,
)
OPERATION = (
    o.id,
    o.name,
    o.subscription,
    o.object_id,
    o.parameters,
    o.caller,
    o.status,
    o.failure,
    o.rolling_back,
    o.started,
    o.finished,
    o.timeout,
)

_FIXED: dict[str, Callable[[], ClauseElement]] = {
    "get": lambda: select(*RESOURCE).where(r.kind == bindparam("kind"), r.key == bindparam("key")),
    "held": lambda: select(*RESOURCE).where(r.operation == bindparam("operation")).order_by(r.uid),
    "unsettled": lambda: (
        select(r.uid, r.kind, r.key)
        .where(r.settled.is_(False), r.uid > bindparam("after"))
        .order_by(r.uid)
        .limit(bindparam("limit"))
        .offset(_ZERO)
    ),
    "operation": lambda: select(*OPERATION).where(o.id == bindparam("id")),
    "running": lambda: select(*OPERATION).where(o.finished.is_(None)).order_by(o.seq),
    "insert": lambda: insert(resources).values(_named(RESOURCE, "uid")).returning(r.uid),
    "insert_operation": lambda: insert(operations).values(_named(OPERATION)),
    "delete": lambda: delete(resources).where(r.uid == bindparam("uid_")),
    "delete_absent": lambda: delete(resources).where(
        r.operation == bindparam("operation_"), r.settled.is_(True), r.present.is_(False)
    ),
    "release_settled": lambda: (
        update(resources)
        .where(r.operation == bindparam("operation_"), r.settled.is_(True))
        .values(operation=null(), back=null(), after=null())
    ),
    "release_rest": lambda: (
        update(resources).where(r.operation == bindparam("operation_")).values(operation=null(), back=null())
    ),
    "forget": lambda: delete(operations).where(o.seq.in_(_expired())),
}


def _expired() -> Select[tuple[int]]:
    return select(o.seq).where(o.finished < bindparam("before")).limit(bindparam("limit")).offset(_ZERO)


def _named(columns: tuple[object, ...], *skip: str) -> dict[str, object]:
    names = [column.name for column in columns]  # type: ignore[attr-defined]
    return {name: bindparam(name) for name in names if name not in skip}


class Statements:
    """The statements of one dialect, compiled on first use.

    Args:
        dialect: The dialect, with a `paramstyle` that takes parameters by name.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[object, str] = {}

    def fixed(self, name: str) -> str:
        """A statement that always has the same shape."""
        return self._compiled.get(name) or self._compile(name, _FIXED[name]())

    def list(self, filters: frozenset[str], *, count: bool = False) -> str:
        """Resources of one kind; `filters` names the parameters that are given."""
        shape = ("list", filters, count)
        return self._compiled.get(shape) or self._compile(shape, _list(filters, count))

    def operations(self, filters: frozenset[str]) -> str:
        """Operations of one subscription; `filters` names the parameters that are given."""
        shape = ("operations", filters)
        return self._compiled.get(shape) or self._compile(shape, _operations(filters))

    def update(self, table: str, columns: frozenset[str], *, fenced: bool = False) -> str:
        """Update `columns` of the row `uid_` (resources) or `id_` (operations).

        A fenced update changes nothing when an operation other than `holder_` has the row.
        """
        shape = (table, columns, fenced)
        return self._compiled.get(shape) or self._compile(shape, _update(table, columns, fenced))

    def _compile(self, shape: object, statement: ClauseElement) -> str:
        sql = str(statement.compile(dialect=self._dialect))
        self._compiled[shape] = sql
        return sql


def _list(filters: frozenset[str], count: bool) -> Select[tuple[object, ...]]:
    conditions = {
        "subscription": r.subscription == bindparam("subscription"),
        "parent": r.parent == bindparam("parent"),
        "after_key": r.key > bindparam("after_key"),
    }
    statement: Select[tuple[object, ...]] = select(func.count()) if count else select(*RESOURCE)
    statement = statement.select_from(resources).where(r.kind == bindparam("kind"))
    statement = statement.where(*(conditions[name] for name in sorted(filters & conditions.keys())))
    if not count:
        statement = statement.order_by(r.key)
    return statement.limit(bindparam("limit")).offset(_ZERO) if "limit" in filters else statement


def _operations(filters: frozenset[str]) -> Select[tuple[object, ...]]:
    before = select(o.seq).where(o.id == bindparam("after_id")).scalar_subquery()
    conditions = {
        "start": o.started >= bindparam("start"),
        "end": o.started <= bindparam("end"),
        "object_id": func.lower(o.object_id) == bindparam("object_id"),
        "status": o.status == bindparam("status"),
        "after_id": o.seq > before,
    }
    statement: Select[tuple[object, ...]] = select(*OPERATION).where(
        o.subscription == bindparam("subscription")
    )
    statement = statement.where(*(conditions[name] for name in sorted(filters & conditions.keys())))
    statement = statement.order_by(o.seq)
    return statement.limit(bindparam("limit")).offset(_ZERO) if "limit" in filters else statement


def _update(table: str, columns: frozenset[str], fenced: bool) -> ClauseElement:
    values: dict[str, object] = {name: bindparam(name) for name in sorted(columns)}
    if table == "operations":
        return update(operations).where(o.id == bindparam("id_")).values(values)
    statement = update(resources).where(r.uid == bindparam("uid_")).values(values)
    if fenced:
        statement = statement.where(or_(r.operation.is_(None), r.operation == bindparam("holder_")))
    return statement
