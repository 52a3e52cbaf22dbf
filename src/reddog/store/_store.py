"""The store: many readers, one writer."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from reddog.store import _sqlite
from reddog.store._errors import StoreError
from reddog.store._lock import DirectoryLock
from reddog.store._migrations import MIGRATIONS, Migration, migrate
from reddog.store._session import ReadSession, WriteSession
from reddog.store._statements import Statements
from reddog.store._writer import Writer

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
        self._statements = Statements(_sqlite.dialect())
        self._idle: deque[tuple[sqlite3.Connection, ReadSession]] = deque()
        self._closed = False
        self._lock = DirectoryLock(directory)
        try:
            self._open(migrations)
            self._writer = Writer(self._path, self._statements)
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
        try:
            connection, session = self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread was faster
            connection, session = self._connect()
        try:
            connection.execute("BEGIN")
            return fn(session)
        except sqlite3.Error as error:
            raise _sqlite.explain(error, self._path) from error
        finally:
            self._give_back(connection, session)

    @property
    def version(self) -> int:
        """Changes with every commit, before anybody is answered; odd while a commit is under way.

        What was read between two looks at the same even version is still what is stored.
        """
        return self._writer.version

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
        if self._writer.is_current_thread:
            raise RuntimeError("A change may not wait for another one: use the session it was given.")
        return self._writer.submit(change, then).result()

    def close(self) -> None:
        """Finish the queued writes, close the database, and free the directory. May be called again."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].close()
        self._writer.close()
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

    def _connect(self) -> tuple[sqlite3.Connection, ReadSession]:
        if self._closed:
            raise StoreError("The store is closed.", "Start the cloud again.")
        try:
            connection = _sqlite.connect(self._path, read_only=True)
        except sqlite3.Error as error:
            raise _sqlite.explain(error, self._path) from error
        return connection, ReadSession(connection, self._statements)

    def _give_back(self, connection: sqlite3.Connection, session: ReadSession) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        if self._closed:
            connection.close()
        else:
            self._idle.append((connection, session))
