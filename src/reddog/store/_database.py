"""A database: many readers, one writer."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from reddog.store import _sqlite
from reddog.store._errors import StoreError
from reddog.store._writer import Outcome, Writer

T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")


class Database(Generic[R, W]):
    """A SQLite file whose schema is there. Thread-safe. A write that was answered survives kill -9 and power loss.

    Args:
        path: The file.
        reader: Makes, of a connection, what reads are handed.
        writer: Makes, of the one connection that writes, what changes are handed.

    Raises:
        StoreError: The file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        reader: Callable[[sqlite3.Connection], R],
        writer: Callable[[sqlite3.Connection], W],
    ) -> None:
        self._path = path
        self._reader = reader
        self._idle: deque[tuple[sqlite3.Connection, R]] = deque()
        self._closed = False
        try:
            self._writer = Writer(path, writer)
        except sqlite3.Error as error:
            raise _sqlite.explain(error, path) from error

    @classmethod
    def make(
        cls,
        path: Path,
        schema: str,
        reader: Callable[[sqlite3.Connection], R],
        writer: Callable[[sqlite3.Connection], W],
    ) -> Database[R, W]:
        """Open a file, made (0600) when absent, whose schema is `CREATE ... IF NOT EXISTS` statements."""
        try:
            _sqlite.create(path)
            connection = _sqlite.connect(path, read_only=False)
            try:
                connection.executescript(schema)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise _sqlite.explain(error, path) from error
        return cls(path, reader, writer)

    def read(self, fn: Callable[[R], T]) -> T:
        """Run `fn` on one consistent snapshot, in the calling thread.

        :raises StoreError: The database cannot be read.
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
        """Changes with every commit, before anybody is answered; odd while a commit is under way."""
        return self._writer.version

    def submit(self, change: Callable[[W], T], then: Callable[[T], None] | None = None) -> Future[T]:
        """Queue a change; the future answers when it is durable. See `Writer.submit`."""
        return self._writer.submit(change, then)

    def write(self, change: Callable[[W], T], then: Callable[[T], None] | None = None) -> T:
        """Make a change, and wait until it is durable."""
        if self._writer.is_current_thread:
            raise RuntimeError("A change may not wait for another one: use the session it was given.")
        return self.submit(change, then).result()

    def make_changes(
        self, changes: Sequence[Callable[[W], object]], then: Callable[[list[Outcome]], None]
    ) -> bool:
        """Make short changes in the calling thread, unless another one is at it. See `Writer.make_changes`."""
        return self._writer.make_changes(changes, then)

    def close(self) -> None:
        """Finish the queued writes and close the file. May be called again."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].close()
        self._writer.close()

    def _connect(self) -> tuple[sqlite3.Connection, R]:
        if self._closed:
            raise StoreError("The store is closed.", "Start the cloud again.")
        try:
            connection = _sqlite.connect(self._path, read_only=True)
        except sqlite3.Error as error:
            raise _sqlite.explain(error, self._path) from error
        return connection, self._reader(connection)

    def _give_back(self, connection: sqlite3.Connection, session: R) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        if self._closed:
            connection.close()
        else:
            self._idle.append((connection, session))
