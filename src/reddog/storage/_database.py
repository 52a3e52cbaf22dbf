"""A database of an account that is made when it is first asked for."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

from reddog.storage._errors import AccountNotFound, NoSpace
from reddog.store import Database, DiskFull, Outcome, StoreError

LARGEST_BATCH = 64  # changes that the event loop makes at once
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
        self._waiting: list[tuple[Callable[[W], object], asyncio.Future[Outcome | None]]] = []
        self._is_making = False
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

    async def write_briefly(self, change: Callable[[W], T]) -> T:
        """As `write`, on the event loop, which a thread commits for: for changes that take less time than waking one.

        Those that come while others are committed share the next commit.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome | None] = loop.create_future()
        self._waiting.append((change, answer))
        if not self._is_making:
            self._is_making = True
            loop.call_soon(self._make)  # with those that have come at the same time
        outcome = await answer
        if outcome is None:
            return await self.write(change)
        if outcome.error is None:
            return cast(T, outcome.result)
        if isinstance(outcome.error, StoreError):
            raise self._explained(outcome.error) from outcome.error
        raise outcome.error

    def _make(self) -> None:
        """Make the changes that wait."""
        waiting, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        waiting = [one for one in waiting if not one[1].done()]  # cancelled
        answers = [answer for _, answer in waiting]
        loop, here = asyncio.get_running_loop(), threading.get_ident()

        def then(outcomes: Sequence[Outcome | None]) -> None:
            if threading.get_ident() == here:
                self._tell(answers, outcomes)
            else:
                with suppress(RuntimeError):  # the loop has ended, and nobody waits
                    loop.call_soon_threadsafe(self._tell, answers, outcomes)

        try:
            database = self._database if waiting else None
            is_made = database is not None and database.make_changes([change for change, _ in waiting], then)
        except StoreError as error:
            then([Outcome(error=error)] * len(answers))
        else:
            if not is_made:
                then([None] * len(answers))

    def _tell(
        self, answers: Sequence[asyncio.Future[Outcome | None]], outcomes: Sequence[Outcome | None]
    ) -> None:
        for answer, outcome in zip(answers, outcomes, strict=True):
            if not answer.done():
                answer.set_result(outcome)
        if self._waiting:
            self._make()
        else:
            self._is_making = False

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
