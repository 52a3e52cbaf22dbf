"""A database of an account that is made when it is first asked for."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from reddog.storage._errors import AccountNotFound, NoSpace
from reddog.store import Database, DiskFull, StoreError

T = TypeVar("T")
R = TypeVar("R")
Sweep = Callable[[int], None]


class Sweeping(Protocol):
    """What changes are made with: it also deletes, little by little, what nobody can reach any more."""

    def sweep(self, owner: int, /) -> bool:
        """Delete some of what is left of something, by its id; False when nothing is left."""

    def sweep_all(self) -> None:
        """Ask for everything to be swept that an earlier process has left."""


W = TypeVar("W", bound=Sweeping)


class AccountDatabase(Generic[R, W]):
    """A database of an account. Thread-safe; the file is made when it is first asked for.

    A change is durable when it is answered; those that come together share a commit.

    Args:
        path: The file.
        account: Whose it is.
        schema: `CREATE ... IF NOT EXISTS` statements.
        reader: Makes, of a connection, what reads are handed.
        writer: Makes, of the connection that writes, what changes are handed; it may ask for things to be swept.
    """

    def __init__(
        self,
        path: Path,
        account: str,
        schema: str,
        reader: Callable[[sqlite3.Connection], R],
        writer: Callable[[sqlite3.Connection, Sweep], W],
    ) -> None:
        self._path = path
        self._account = account
        self._schema = schema
        self._reader = reader
        self._writer = writer
        self._gate = threading.Lock()
        self._database: Database[R, W] | None = None
        self._closed = False
        self._sweeping: set[int] = set()

    async def read(self, look: Callable[[R], T]) -> T:
        """What `look` finds, in a thread.

        :raises AccountNotFound: the account was removed meanwhile.
        """
        return await asyncio.to_thread(self.look, look)

    def look(self, look: Callable[[R], T]) -> T:
        """What `look` finds, in this thread. AccountNotFound."""
        try:
            return self._opened().read(look)
        except StoreError as error:
            raise self._explained(error) from error

    async def glance(self, look: Callable[[R], T]) -> T:
        """What `look` finds, without a thread: for looks that take less time than starting one. AccountNotFound."""
        return await self.read(look) if self._database is None else self.look(look)

    async def write(self, change: Callable[[W], T]) -> T:
        """What `change` returns, once it is durable; what it raises has undone it.

        :raises AccountNotFound: the account was removed meanwhile.
        :raises NoSpace: the disk is full.
        """
        try:
            database = self._database
            if database is None:
                database = await asyncio.to_thread(self._opened)
            return await asyncio.wrap_future(database.submit(change))
        except StoreError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Finish the changes that are queued, and close the file."""
        with self._gate:
            self._closed = True
            database, self._database = self._database, None
        if database is not None:
            database.close()

    def _opened(self) -> Database[R, W]:
        if self._database is not None:
            return self._database
        with self._gate:
            if self._closed:
                raise AccountNotFound(self._account)
            if self._database is None:
                self._database = self._open()
                self._database.submit(lambda writer: writer.sweep_all())
            return self._database

    def _open(self) -> Database[R, W]:
        return Database.make(
            self._path, self._schema, self._reader, lambda connection: self._writer(connection, self._sweep)
        )

    def _sweep(self, owner: int) -> None:
        """Sweep behind the changes that wait now, so that none of these waits for long."""
        database = self._database
        if database is None or owner in self._sweeping:
            return
        self._sweeping.add(owner)
        try:
            database.submit(lambda writer: writer.sweep(owner)).add_done_callback(partial(self._swept, owner))
        except StoreError:  # closed: the next one to open the file sees to it
            self._sweeping.discard(owner)

    def _swept(self, owner: int, answer: Future[bool]) -> None:
        self._sweeping.discard(owner)
        if answer.exception() is None and answer.result():
            self._sweep(owner)

    def _explained(self, error: StoreError) -> Exception:
        if self._closed:
            return AccountNotFound(self._account)
        return NoSpace() if isinstance(error, DiskFull) else error
