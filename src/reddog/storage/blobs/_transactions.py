"""Transactions on a SQLite file: reads beside each other, and changes one by one that share commits."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reddog.storage._errors import AccountNotFound, NoSpace

LONGEST_WAIT = 30.0  # seconds
LARGEST_BATCH = 64


class _Batch:
    """Changes that share a commit."""

    def __init__(self) -> None:
        self.size = 0
        self._over = threading.Event()
        self._error: sqlite3.Error | None = None

    def end(self, error: sqlite3.Error | None = None) -> None:
        """They are on the disk, or lost."""
        self._error = error
        self._over.set()

    def wait(self) -> None:
        """Wait until they are on the disk. NoSpace."""
        self._over.wait()
        if self._error is not None:
            raise _explained(self._error)


class Transactions:
    """What is done with one account's file. Thread-safe.

    A change is made in the thread of its caller, in its turn; the last one that waits for a turn commits for all
    before it. Nobody goes on before the commit with its change is on the disk.

    Args:
        path: The file, made when absent.
        account: Whose it is.
        schema: Statements that change nothing where they have been run before.
    """

    def __init__(self, path: Path, account: str, schema: str) -> None:
        self._path = path
        self._account = account
        self._closed = False
        self._turn = threading.Lock()
        self._opening = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._batch: _Batch | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = self._connect()
        self._writer.executescript(schema)

    def close(self) -> None:
        """Commit what is not yet, and close the file. May be called again."""
        with self._turn, self._opening:
            if not self._closed:
                self._closed = True
                self._commit()
                self._writer.close()
        self._close_idle()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent look at what is committed.

        :raises AccountNotFound: the account was removed meanwhile.
        """
        connection = self._reader()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._idle.append(connection)
            if self._closed:
                self._close_idle()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One change, all or nothing; durable when the block has been left.

        :raises AccountNotFound: the account was removed meanwhile.
        :raises NoSpace: the disk is full, and nothing happened.
        """
        with self._count:
            self._waiting += 1
        with self._turn:
            with self._count:
                self._waiting -= 1
            try:
                batch = self._begin()
                try:
                    yield self._writer
                    self._writer.execute("RELEASE change")
                except BaseException as error:
                    self._undo(error)
                    raise
            finally:
                if self._batch is not None and (not self._waiting or self._batch.size >= LARGEST_BATCH):
                    self._commit()
        batch.wait()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=LONGEST_WAIT
        )
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _reader(self) -> sqlite3.Connection:
        """A connection that nobody uses, or a new one: never one to files that come where this account's were."""
        with suppress(IndexError):
            return self._idle.pop()
        with self._opening:
            if self._closed:
                raise AccountNotFound(self._account)
            return self._connect()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _begin(self) -> _Batch:
        if self._closed:
            raise AccountNotFound(self._account)
        if self._batch is None:
            self._writer.execute("BEGIN IMMEDIATE")
            self._batch = _Batch()
        self._batch.size += 1
        self._writer.execute("SAVEPOINT change")
        return self._batch

    def _undo(self, error: BaseException) -> None:
        """Undo the change that raised; SQLite itself may have undone all of the batch."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK TO change")
            self._writer.execute("RELEASE change")
        elif self._batch is not None:
            batch, self._batch = self._batch, None
            batch.end(error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error)))
        if isinstance(error, sqlite3.Error):
            raise _explained(error) from error

    def _commit(self) -> None:
        batch, self._batch = self._batch, None
        if batch is None:
            return
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            batch.end(error)
        else:
            batch.end()


def _explained(error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return NoSpace() if code == sqlite3.SQLITE_FULL else type(error)(*error.args)
