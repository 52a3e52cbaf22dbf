"""Brings a database to the schema of this release.

To change the schema: change `_schema.py`, append a `Migration` with the next number to `MIGRATIONS`, and
never touch the earlier ones. A new database is made from `_schema.py` directly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.schema import CreateIndex, CreateTable

from reddog.store._errors import StoreError
from reddog.store._schema import metadata

Execute = Callable[[str], Any]
"""Runs one SQL statement inside the migration's transaction."""

FIRST_VERSION = 1


@dataclass(frozen=True)
class Migration:
    """One step from the version before.

    Args:
        version: The schema version it leads to.
        apply: Runs the step's statements.
    """

    version: int
    apply: Callable[[Execute], None]


MIGRATIONS: tuple[Migration, ...] = ()


def migrate(
    version: int | None, execute: Execute, dialect: Dialect, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Make or upgrade the tables, inside the caller's transaction.

    Args:
        version: The version the database says it has; None for an empty one.
        execute: Runs one statement.
        dialect: The database's dialect.
        migrations: The known steps, in order.

    Raises:
        StoreError: The database is of a later release.
    """
    newest = migrations[-1].version if migrations else FIRST_VERSION
    if version is None:
        for table in metadata.sorted_tables:
            _create(table, execute, dialect)
        execute(f"INSERT INTO schema_version (version) VALUES ({newest})")  # noqa: S608 - a number of ours
        return
    if version > newest:
        raise StoreError(
            f"The database has schema version {version}; this release knows up to {newest}.",
            "Use the release of reddog that wrote it, or a later one.",
        )
    for migration in migrations:
        if migration.version > version:
            migration.apply(execute)
            execute(f"UPDATE schema_version SET version = {migration.version}")  # noqa: S608 - a number of ours


def _create(table: Table, execute: Execute, dialect: Dialect) -> None:
    execute(str(CreateTable(table).compile(dialect=dialect)))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        execute(str(CreateIndex(index).compile(dialect=dialect)))
