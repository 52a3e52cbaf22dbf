"""The tables. Every statement is built from these, so that another dialect needs no second copy."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()

resources = Table(
    "resources",
    metadata,
    Column("uid", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("parent", Text),
    Column("goal", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("operation", Text),
    Column("failure", Text),
    Column("created", Double, nullable=False),
    Column("modified", Double, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("after", Text),
    Column("back", Text),
    UniqueConstraint("kind", "key"),
    sqlite_autoincrement=True,
)
Index("resources_by_subscription", resources.c.kind, resources.c.subscription, resources.c.key)
Index("resources_by_parent", resources.c.kind, resources.c.parent, resources.c.key)
_held = resources.c.operation.is_not(None)
Index("resources_by_operation", resources.c.operation, sqlite_where=_held, postgresql_where=_held)
_unsettled = resources.c.settled.is_(False)
Index("resources_unsettled", resources.c.uid, sqlite_where=_unsettled, postgresql_where=_unsettled)

operations = Table(
    "operations",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("failure", Text),
    Column("rolling_back", Boolean, nullable=False),
    Column("started", Double, nullable=False),
    Column("finished", Double),
    Column("timeout", Double, nullable=False),
    sqlite_autoincrement=True,
)
Index("operations_by_subscription", operations.c.subscription, operations.c.seq)
Index("operations_by_finish", operations.c.finished)
_running = operations.c.finished.is_(None)
Index("operations_running", operations.c.seq, sqlite_where=_running, postgresql_where=_running)

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))
