"""The one thread that writes, and group commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from reddog.store import _sqlite
from reddog.store._errors import StoreError

T = TypeVar("T")
S = TypeVar("S")
LARGEST_BATCH = 256


@dataclass(frozen=True)
class _Job:
    change: Callable[[Any], Any]
    then: Callable[[Any], None]
    answer: Future[Any]

    def succeed(self, result: Any) -> None:
        try:
            self.then(result)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, who gets it
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)


def _nothing(_: Any) -> None: ...


class Writer(Generic[S]):
    """Runs changes one by one in its own thread; those that queue up meanwhile share the next commit.

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
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self.version = 0  # see `Store.version`
        self._thread = threading.Thread(target=self._work, name="reddog-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[S], T], then: Callable[[T], None] | None = None) -> Future[T]:
        """Queue a change; the future answers when it is durable, with its result or its exception.

        Cancelling the future takes the change back, unless it has begun.

        `then` is called before that, with the result.
        """
        answer: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise StoreError("The store is closed.", "Start the cloud again.")
            self._jobs.put(_Job(change, then or _nothing, answer))
        return answer

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
        return threading.current_thread() is self._thread

    def _work(self) -> None:
        open_ = True
        while open_:
            jobs, open_ = self._wait()
            for deliver in self._run(jobs):
                deliver()
        self._connection.close()

    def _wait(self) -> tuple[list[_Job], bool]:
        """What is queued, at least one job; False when the writer is to end after it."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == LARGEST_BATCH:
                return jobs, True
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _run(self, queued: list[_Job]) -> list[Callable[[], None]]:
        """One transaction; returns the answers, to be given because the outcome is final."""
        jobs = [job for job in queued if job.answer.set_running_or_notify_cancel()]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [self._attempt(job) for job in jobs]
            self._commit()
        except (sqlite3.Error, StoreError) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            lost = self._lost(error)
            return [partial(job.answer.set_exception, lost) for job in jobs]
        return answers

    def _commit(self) -> None:
        self.version += 1
        try:
            self._connection.execute("COMMIT")
        finally:
            self.version += 1

    def _attempt(self, job: _Job) -> Callable[[], None]:
        self._connection.execute("SAVEPOINT change")
        try:
            result = job.change(self._session)
        except BaseException as error:
            if not self._connection.in_transaction:  # a full disk can make SQLite roll back everything
                raise self._lost(error) from error
            self._connection.execute("ROLLBACK TO change")
            self._connection.execute("RELEASE change")
            return partial(job.answer.set_exception, self._explained(error))
        self._connection.execute("RELEASE change")
        return partial(job.succeed, result)

    def _lost(self, error: BaseException) -> StoreError:
        known = self._explained(error)
        return (
            known if isinstance(known, StoreError) else StoreError("The transaction was lost.", "Try again.")
        )

    def _explained(self, error: BaseException) -> BaseException:
        return _sqlite.explain(error, self._path) if isinstance(error, sqlite3.Error) else error
