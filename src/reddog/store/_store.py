"""The store: resources and operations."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from reddog.store import _sqlite
from reddog.store._database import Database
from reddog.store._lock import DirectoryLock
from reddog.store._migrations import MIGRATIONS, Migration, migrate
from reddog.store._session import ReadSession, WriteSession
from reddog.store._statements import Statements

T = TypeVar("T")
FILE_NAME = "cloud.db"


class Store:
    """The resources and operations of one cloud, in `cloud.db` of its data directory.

    Thread-safe. A write that was answered survives kill -9 and power loss.

    Args:
        directory: The data directory; made (0700) when absent.
        migrations: The schema's history.

    Raises:
        StoreError: Another process uses the directory; the database is damaged or of a later release.
    """

    def __init__(self, directory: Path, *, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / FILE_NAME
        self._statements = statements = Statements(_sqlite.dialect())
        self._lock = DirectoryLock(directory)
        try:
            self._open(migrations)
            self._database = Database(
                self._path,
                lambda connection: ReadSession(connection, statements),
                lambda connection: WriteSession(connection, statements),
            )
        except sqlite3.Error as error:
            self._lock.release()
            raise _sqlite.explain(error, self._path) from error
        except BaseException:
            self._lock.release()
            raise

    def read(self, fn: Callable[[ReadSession], T]) -> T:
        """Run `fn` on one consistent snapshot, in the calling thread.

        One `get` takes some tens of microseconds, little enough for an event loop.

        Raises:
            StoreError: The database cannot be read.
        """
        return self._database.read(fn)

    @property
    def version(self) -> int:
        """Changes with every commit, before anybody is answered; odd while a commit is under way.

        What was read between two looks at the same even version is still what is stored.
        """
        return self._database.version

    def write(self, change: Callable[[WriteSession], T], *, then: Callable[[T], None] | None = None) -> T:
        """Run `change` in the writer's thread and return its result when it is durable.

        When it raises, its own changes are undone and the exception is raised here.

        Args:
            change: What to do; it may run again only if it is handed in again.
            then: Called with the result in the writer's thread once it is durable, even when the caller has
                stopped waiting. Must be quick and must not write.

        Raises:
            StoreError: The change could not be made durable, and so did not happen.
        """
        return self._database.write(change, then)

    def close(self) -> None:
        """Finish the queued writes, close the database, and free the directory. May be called again."""
        self._database.close()
        self._lock.release()

    def _open(self, migrations: Sequence[Migration]) -> None:
        _sqlite.create(self._path)
        connection = _sqlite.connect(self._path, read_only=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
            migrate(_sqlite.version(connection), connection.execute, _sqlite.dialect(), migrations)
            connection.execute("COMMIT")
        finally:
            connection.close()
