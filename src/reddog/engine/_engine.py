"""The engine: accepts operations and drives them to their end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import TypeVar, cast

from reddog.engine._driver import INTERNAL_ERROR, Driver, row_item
from reddog.engine._interface import OperationRequest, Reconciler, Tx
from reddog.engine._queue import Item, WorkQueue
from reddog.engine._transitions import Accepted, Outcome, Transitions, where
from reddog.store import OperationRecord, Ref, Store

T = TypeVar("T")
PAGE = 500
TIMED_OUT = {
    "code": "OperationTimedOut",
    "status": 500,
    "message": "The operation could not be completed within the permitted time.",
    "remedy": "What it had begun has been undone; try again.",
}
log = logging.getLogger("reddog.engine")


@dataclass(frozen=True)
class EngineSettings:
    """How an engine works; times in seconds.

    Args:
        workers: How many resources may converge or be observed at a time.
        timeout: How long an operation may take before it is rolled back, and then how long the roll-back may
            take before what is left of it goes on in the background.
        resync: How often every settled resource is observed.
        retention: How long finished operations can be polled.
        cleaning: How often expired operations are deleted.
    """

    workers: int = 8
    timeout: float = 900.0
    resync: float = 300.0
    retention: float = 30 * 86400.0
    cleaning: float = 3600.0


class Engine:
    """Accepts operations, drives their resources to their goals, and closes them.

    Everything that matters is in the store: an engine that was killed goes on where it was when another one
    starts on the same store. Time during which no engine ran does not count for an operation's timeout.

    Args:
        store: Where resources and operations are kept; the caller closes it after `stop`.
        reconcilers: One for each kind that needs converging.
        settings: Times and sizes.
        checkpoint: Called at every step boundary with its name; tests kill the process there.
    """

    def __init__(
        self,
        store: Store,
        reconcilers: Iterable[Reconciler] = (),
        *,
        settings: EngineSettings | None = None,
        checkpoint: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.store = store
        self._settings = settings or EngineSettings()
        self._reconcilers = {reconciler.kind: reconciler for reconciler in reconcilers}
        self._checkpoint = checkpoint
        self._rules = Transitions(self._reconcilers, checkpoint)
        self._queue = WorkQueue()
        self._driver = Driver(store, self._reconcilers, self._rules, self._queue, checkpoint, self._follow)
        self._threads: list[threading.Thread] = []
        self._waiting: dict[str, list[threading.Event]] = {}
        self._waiting_gate = threading.Lock()
        self._chores: dict[str, Callable[[], None]] = {"resync": self._resync, "clean": self._clean}

    def accept(self, request: OperationRequest, change: Callable[[Tx], T]) -> T:
        """Make a change and record its operation, in one transaction; returns what `change` returned.

        The operation is durable when this returns. It has already succeeded when the change leaves nothing to
        converge; otherwise it goes on by itself. Reconcilers' `finish` is called only in the latter case.

        Args:
            request: The operation.
            change: Makes the change. What it raises comes out here, and nothing is recorded. It runs in the
                store's writer, so it must neither wait nor use the engine or the store but through its `Tx`.

        Raises:
            StoreError: The database cannot be written.
        """
        self._checkpoint("accepting")
        timeout = self._settings.timeout if request.timeout is None else request.timeout
        job = partial(self._rules.accept, request=request, timeout=timeout, change=change)
        accepted = self.store.write(job, then=self._accepted)
        self._checkpoint("accepted")
        return cast(T, accepted.result)

    def operation(self, operation_id: str) -> OperationRecord | None:
        """The operation, or None when there was none or its record has expired. Quick."""
        return self.store.read(lambda reader: reader.operation(operation_id))

    def wait(self, operation_id: str, timeout: float) -> OperationRecord:
        """Wait until an operation has closed.

        Args:
            operation_id: The operation.
            timeout: How many seconds to wait at most.

        Raises:
            TimeoutError: It is still in progress.
            KeyError: There is no such operation.
        """
        closed = threading.Event()
        with self._waiting_gate:
            self._waiting.setdefault(operation_id, []).append(closed)
        try:
            if self._existing(operation_id).finished is None and not closed.wait(timeout):
                raise TimeoutError(f"Operation {operation_id} is still in progress after {timeout} s.")
            return self._existing(operation_id)
        finally:
            self._stop_waiting(operation_id, closed)

    def poke(self, kind: str, key: str) -> None:
        """Look at a resource now: its world may have changed. Any thread; pokes that pile up count as one."""
        self._queue.add(row_item((kind, key)))

    def start(self) -> None:
        """Drive on whatever was left undone, observe everything, and start the workers."""
        for record in self.store.read(lambda reader: reader.running()):
            self._queue.add(("deadline", record.id), record.timeout)
            self._driver.write(partial(self._rules.close, operation_id=record.id))
        for chore in self._chores:
            self._queue.add((chore,))
        for number in range(self._settings.workers):
            thread = threading.Thread(target=self._work, name=f"reddog-engine-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 60.0) -> bool:
        """Let the running steps finish and start nothing new. A stopped engine is not started again.

        Args:
            timeout: How many seconds to wait for the running steps at most.

        Returns:
            True when no step is running any more.
        """
        self._queue.stop()
        end = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            log.warning("stopped while %d steps were still running", len(late))
        return not late

    def _accepted(self, accepted: Accepted) -> None:
        for ref in accepted.drive:
            self._queue.add(row_item(ref))
        if accepted.record.finished is None:
            self._queue.add(("deadline", accepted.record.id), accepted.record.timeout)

    def _follow(self, outcome: Outcome) -> None:
        for ref in outcome.drive:
            self._queue.add(row_item(ref))
        if outcome.rolling_back is not None:
            item = ("deadline", outcome.rolling_back.id)
            self._queue.discard(item)
            self._queue.add(item, outcome.rolling_back.timeout)
        if outcome.closed is not None:
            self._queue.discard(("deadline", outcome.closed))
            with self._waiting_gate:
                for waiting in self._waiting.get(outcome.closed, ()):
                    waiting.set()

    def _work(self) -> None:
        while (item := self._queue.take()) is not None:
            try:
                self._perform(item)
            except BaseException as error:  # noqa: BLE001 - no exception may cost a worker
                log.error("%s %s failed and will be tried again: %s", item[0], item[1:], where(error))
                self._queue.add(item, 1.0)
            finally:
                self._queue.done(item)

    def _perform(self, item: Item) -> None:
        match item:
            case ("row", kind, key):
                self._driver.drive((kind, key))
            case ("deadline", operation_id):
                self._deadline(operation_id)
            case (chore,):
                self._chores[chore]()

    def _deadline(self, operation_id: str) -> None:
        operation = self.operation(operation_id)
        if operation is None or operation.finished is not None:
            return
        self._checkpoint("timing out")
        if operation.rolling_back:
            log.error(
                "operation %s could not be rolled back in time; it goes on in the background", operation_id
            )
            step = partial(self._rules.abandon, operation_id=operation_id, failure=TIMED_OUT)
        else:
            held = self.store.read(lambda reader: reader.held(operation_id))
            broken = any(not row.settled and self._driver.is_failing(row) for row in held)
            failure = INTERNAL_ERROR if broken else TIMED_OUT
            step = partial(self._rules.fail, operation_id=operation_id, failure=failure)
        self._driver.write(step)
        self._checkpoint("timed out")

    def _resync(self) -> None:
        last = 0
        while page := self._unsettled(last):
            for _, ref in page:
                self._queue.add(row_item(ref))
            last = page[-1][0]
        for kind in self._observed_kinds():
            self._poke_all(kind)
        self._queue.add(("resync",), self._settings.resync)

    def _unsettled(self, after: int) -> list[tuple[int, Ref]]:
        return self.store.read(lambda reader: reader.unsettled(after, PAGE))

    def _observed_kinds(self) -> list[str]:
        """Those whose reconciler has an `observe` of its own."""
        return [
            kind
            for kind, reconciler in self._reconcilers.items()
            if getattr(type(reconciler), "observe", None) is not Reconciler.observe
        ]

    def _poke_all(self, kind: str) -> None:
        key = ""
        while rows := self.store.read(lambda reader: reader.list(kind, after_key=key, limit=PAGE)):  # noqa: B023
            for row in rows:
                self.poke(*row.ref)
            key = rows[-1].key

    def _clean(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self._settings.retention)
        while self.store.write(lambda session: session.forget(before, PAGE)) == PAGE:
            pass
        self._queue.add(("clean",), self._settings.cleaning)

    def _existing(self, operation_id: str) -> OperationRecord:
        record = self.operation(operation_id)
        if record is None:
            raise KeyError(operation_id)
        return record

    def _stop_waiting(self, operation_id: str, closed: threading.Event) -> None:
        with self._waiting_gate:
            waiting = self._waiting[operation_id]
            waiting.remove(closed)
            if not waiting:
                del self._waiting[operation_id]
