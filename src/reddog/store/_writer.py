"""Who writes: one thread, with group commit, and callers that it commits for."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from reddog.store import _sqlite
from reddog.store._errors import StoreError

T = TypeVar("T")
S = TypeVar("S")
LARGEST_BATCH = 256
QUICK = 0.0005  # seconds of a commit that is not worth waking a thread for
_REMEMBERED = 16  # commits, by which it is told how long the next one takes


class Outcome(NamedTuple):
    """What became of a change: what it returned, or the error that has undone it."""

    result: Any = None
    error: BaseException | None = None


@dataclass(frozen=True)
class _Job:
    change: Callable[[Any], Any]
    then: Callable[[Any], None]
    answer: Future[Any]

    def deliver(self, outcomes: list[Outcome]) -> None:
        """Answer, because the outcome is final."""
        ((result, error),) = outcomes
        if error is None:
            try:
                self.then(result)
            except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, who gets it
                error = raised
        if error is None:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(error)


class _Made(NamedTuple):
    """Changes in the open transaction, and whom to tell what became of them."""

    outcomes: list[Outcome]
    deliver: Callable[[list[Outcome]], None]


def _nothing(_: Any) -> None: ...


class Writer(Generic[S]):
    """Runs changes one by one in its own thread; those that queue up meanwhile share the next commit.

    Short changes can be made by their callers, for whom the thread commits: see `make_changes`.

    Each change has a savepoint, so one that raises is undone alone. Nobody is answered before the commit is
    on the disk.

    Args:
        path: The database.
        session: Makes, of the writer's connection, what changes are handed.
    """

    def __init__(self, path: Path, session: Callable[[sqlite3.Connection], S]) -> None:
        self._path = path
        self._connection = _sqlite.connect(path, read_only=False)
        self._session = session(self._connection)
        self._jobs: SimpleQueue[_Job | None] = (
            SimpleQueue()
        )  # None: something is to be committed, or it is closed
        self._gate = threading.Lock()
        self._closed = False
        self._turn = threading.Lock()  # to use the connection
        self._running = 0  # the thread that has the turn
        self._made: list[_Made] = []
        self._pace = 0.0  # seconds that commits take
        self.version = 0  # see `Store.version`
        self._thread = threading.Thread(target=self._work, name="reddog-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[S], T], then: Callable[[T], None] | None = None) -> Future[T]:
        """Queue a change; the future answers when it is durable, with its result or its exception.

        Cancelling the future takes the change back, unless it has begun.

        `then` is called before that, with the result.
        """
        answer: Future[T] = Future()
        self._put(_Job(change, then or _nothing, answer))
        return answer

    def make_changes(
        self, changes: Sequence[Callable[[S], object]], then: Callable[[list[Outcome]], None]
    ) -> bool:
        """Make short changes in the calling thread, unless another one is at it: False then, and nothing happened.

        `then` is told what became of each of them, once that is durable. It is called in the writer's thread, which
        commits meanwhile; or, before this returns, in the calling one: a single change is committed here where
        commits take less time than waking a thread.

        :raises StoreError: The store is closed.
        """
        if not self._turn.acquire(blocking=False):
            return False
        final: list[_Made] = []
        try:
            commits_here = len(changes) == 1 and self._pace < QUICK and not self._made
            if not commits_here:
                self._put(None)  # the thread commits when it gets the turn
            elif self._closed:
                raise _closed()
            self._running = threading.get_ident()
            self._attempt(changes, then)
            if commits_here:
                final = self._commit()
        finally:
            self._running = 0
            self._turn.release()
        for made in final:
            made.deliver(made.outcomes)
        return True

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    @property
    def is_current_thread(self) -> bool:
        """The caller runs inside a change."""
        return threading.current_thread() is self._thread or self._running == threading.get_ident()

    def _put(self, job: _Job | None) -> None:
        with self._gate:
            if self._closed:
                raise _closed()
            self._jobs.put(job)

    def _work(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._wait()
            with self._turn:
                self._running = threading.get_ident()
                for job in jobs:
                    if job.answer.set_running_or_notify_cancel():
                        self._attempt([job.change], job.deliver)
                final = self._commit()
                self._running = 0
            for made in final:
                made.deliver(made.outcomes)
        with self._turn:
            self._connection.close()

    def _wait(self) -> tuple[list[_Job], bool]:
        """The jobs that are queued, when anything is; False when the writer is to end after them."""
        queued = [self._jobs.get()]
        while len(queued) < LARGEST_BATCH:
            try:
                queued.append(self._jobs.get_nowait())
            except Empty:
                break
        is_open = not self._closed or not self._jobs.empty()
        return [job for job in queued if job is not None], is_open

    def _attempt(
        self, changes: Sequence[Callable[[S], object]], deliver: Callable[[list[Outcome]], None]
    ) -> None:
        """Make changes in the open transaction, or a new one; what became of them is final after `_commit`."""
        outcomes: list[Outcome] = []
        self._made.append(_Made(outcomes, deliver))
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            outcomes += [self._try(change) for change in changes]
        except (sqlite3.Error, StoreError) as error:
            outcomes += [Outcome()] * len(changes)
            self._lose(error)

    def _commit(self) -> list[_Made]:
        """Have the open transaction on the disk; returns the changes whose outcome is final now."""
        if self._connection.in_transaction:
            self.version += 1
            began = time.monotonic()
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._lose(error)
            finally:
                self._pace += (time.monotonic() - began - self._pace) / _REMEMBERED
                self.version += 1
        final, self._made = self._made, []
        return final

    def _try(self, change: Callable[[S], object]) -> Outcome:
        self._connection.execute("SAVEPOINT change")
        try:
            result = change(self._session)
        except BaseException as error:
            if not self._connection.in_transaction:  # a full disk can make SQLite roll back everything
                raise self._lost(error) from error
            self._connection.execute("ROLLBACK TO change")
            self._connection.execute("RELEASE change")
            return Outcome(error=self._explained(error))
        self._connection.execute("RELEASE change")
        return Outcome(result)

    def _lose(self, error: sqlite3.Error | StoreError) -> None:
        """Nothing that the transaction held has happened."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        lost = Outcome(error=self._lost(error))
        for made in self._made:
            made.outcomes[:] = [lost] * len(made.outcomes)

    def _lost(self, error: BaseException) -> StoreError:
        known = self._explained(error)
        return (
            known if isinstance(known, StoreError) else StoreError("The transaction was lost.", "Try again.")
        )

    def _explained(self, error: BaseException) -> BaseException:
        return _sqlite.explain(error, self._path) if isinstance(error, sqlite3.Error) else error


def _closed() -> StoreError:
    return StoreError("The store is closed.", "Start the cloud again.")
