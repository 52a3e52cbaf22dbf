"""Drives one resource one step: claim, converge or observe, and write down what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from reddog.engine import _transitions as transitions
from reddog.engine._interface import Converged, Failed, Reconciler, Retry, ServiceFailure
from reddog.engine._queue import WorkQueue
from reddog.engine._transitions import Failure, Outcome, Transitions, where
from reddog.store import OperationRecord, Reader, ReadSession, Ref, Resource, Store

T = TypeVar("T")
FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
BLOCKED_DELAY = 0.25
ROLLBACK_ATTEMPTS = 5
INTERNAL_ERROR = {
    "code": "InternalError",
    "status": 500,
    "message": "The server encountered an internal error. Please retry the request.",
    "remedy": "The log names the cause under this request id.",
}
log = logging.getLogger("reddog.engine")


def row_item(ref: Ref) -> tuple[str, str, str]:
    """A resource's item in the work queue."""
    return ("row", *ref)


@dataclass(frozen=True)
class Claim:
    """What a step begins with."""

    row: Resource
    operation: OperationRecord | None
    blocked: bool


class StepContext:
    """See `Context`."""

    def __init__(self, driver: Driver, claim: Claim) -> None:
        self._driver = driver
        self._seen = claim.row
        self.row = claim.row
        self.operation = claim.operation
        self.rolling_back = claim.operation is not None and claim.operation.rolling_back
        self.checkpoint = driver.checkpoint

    def read(self, fn: Callable[[Reader], T]) -> T:
        """See `Context.read`."""
        return self._driver.store.read(fn)

    def patch_state(self, **changes: Any) -> None:
        """See `Context.patch_state`."""
        state = self._driver.patch(self._seen, changes)
        if state is not None:
            self.row = replace(self.row, state=state)

    def unsettle(self) -> None:
        """See `Context.unsettle`."""
        self._driver.write(partial(transitions.unsettle, seen=self._seen))


class Driver:
    """Takes the steps.

    Args:
        store: The store.
        reconcilers: By kind.
        rules: The transitions.
        queue: Gets what is to be driven next.
        checkpoint: Called at the boundaries of every step.
        follow: Called with the outcome of every durable transition.
    """

    def __init__(
        self,
        store: Store,
        reconcilers: Mapping[str, Reconciler],
        rules: Transitions,
        queue: WorkQueue,
        checkpoint: Callable[[str], None],
        follow: Callable[[Outcome], None],
    ) -> None:
        self.store = store
        self.checkpoint = checkpoint
        self._reconcilers = reconcilers
        self._rules = rules
        self._queue = queue
        self._follow = follow
        self._attempts: dict[Ref, tuple[int, int]] = {}

    def drive(self, ref: Ref) -> None:
        """Take one step with a resource, whatever it needs; the queue never calls twice at a time for one."""
        claim = self.store.read(partial(_claim, ref=ref))
        if claim is None:
            self._attempts.pop(ref, None)
            return
        row = claim.row
        reconciler = self._reconcilers.get(row.kind)
        given_up = row.operation is not None and row.failure is not None
        if given_up or (row.settled and reconciler is None):
            return
        if claim.blocked:
            if row.operation is None:  # nobody tells us when the other one has settled
                self._queue.add(row_item(ref), BLOCKED_DELAY)
            return
        self.checkpoint("claimed")
        if reconciler is None:
            self.write(partial(self._rules.settle, seen=row, state={}))
        elif row.settled:
            self._observe(reconciler, claim)
        else:
            self._converge(reconciler, claim)

    def write(self, change: Callable[..., Outcome]) -> Outcome:
        """Make a transition durable, and queue what follows from it."""
        return self.store.write(change, then=self._follow)

    def patch(self, seen: Resource, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Merge changes into the state; None when they were dropped."""
        now = self.store.read(lambda reader: reader.get(*seen.ref))
        if now is not None and now.uid == seen.uid and now.state | dict(changes) == now.state:
            return now.state
        self.checkpoint("patching")
        row = self.store.write(partial(transitions.patch_state, seen=seen, changes=changes))
        self.checkpoint("patched")
        if row is None:  # it changed hands: look again, on behalf of the new holder
            self._queue.add(row_item(seen.ref))
            return None
        return row.state

    def is_failing(self, row: Resource) -> bool:
        """The last attempt to reach the present goal ended with an exception."""
        generation, failures = self._attempts.get(row.ref, (0, 0))
        return failures > 0 and generation == row.generation

    def _observe(self, reconciler: Reconciler, claim: Claim) -> None:
        self.checkpoint("observing")
        try:
            reconciler.observe(claim.row, StepContext(self, claim))
        except Exception as error:  # noqa: BLE001 - tried again
            self._log(claim, "observe", error)
            self._retry_later(claim.row)
        else:
            self._attempts.pop(claim.row.ref, None)
        self.checkpoint("observed")

    def _converge(self, reconciler: Reconciler, claim: Claim) -> None:
        self.checkpoint("converging")
        try:
            result = reconciler.converge(claim.row, StepContext(self, claim))
        except Failed as failed:
            self._failed(claim, describe(failed.error))
        except Exception as error:  # noqa: BLE001 - tried again, and fails the operation in the end
            if isinstance(error, ServiceFailure):
                self._failed(claim, describe(error))
            else:
                self._log(claim, "converge", error)
                self._retry_later(claim.row)
        else:
            self.checkpoint("converged")
            self._done(claim.row, result)

    def _done(self, row: Resource, result: Converged | Retry) -> None:
        self._attempts.pop(row.ref, None)
        if isinstance(result, Retry):
            self._queue.add(row_item(row.ref), result.after)
            return
        outcome = self.write(partial(self._rules.settle, seen=row, state=result.state))
        if outcome.stale:
            self._queue.add(row_item(row.ref))
        self.checkpoint("closed" if outcome.closed else "settled")

    def _failed(self, claim: Claim, failure: Failure) -> None:
        row, operation = claim.row, claim.operation
        self.checkpoint("failing")
        if operation is None:
            self.store.write(partial(transitions.note_failure, seen=row, failure=failure))
            self._retry_later(row)
        elif not operation.rolling_back:
            outcome = self.write(partial(self._rules.fail, operation_id=operation.id, failure=failure))
            if outcome.stale:
                self._queue.add(row_item(row.ref))
        elif self._retry_later(row) >= ROLLBACK_ATTEMPTS:
            log.error(
                "operation %s: %s %s cannot be rolled back: %s", operation.id, *row.ref, failure["code"]
            )
            self.write(partial(self._rules.abandon, operation_id=operation.id, failure=failure, ref=row.ref))
        self.checkpoint("failed")

    def _retry_later(self, row: Resource) -> int:
        """Queue the resource with back-off; returns how often its present goal has failed."""
        generation, failures = self._attempts.get(row.ref, (row.generation, 0))
        failures = failures + 1 if generation == row.generation else 1
        self._attempts[row.ref] = (row.generation, failures)
        self._queue.add(row_item(row.ref), min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 20)))
        return failures

    def _log(self, claim: Claim, step: str, error: Exception) -> None:
        operation = claim.operation.id if claim.operation else "none"
        log.error(
            "operation %s: %s of %s %s failed and will be tried again: %s",
            operation,
            step,
            *claim.row.ref,
            where(error),
        )


def describe(error: ServiceFailure) -> Failure:
    """A service error as operations keep it."""
    return {
        "code": error.code,
        "status": error.status,
        "message": error.message,
        "remedy": error.remedy,
    }


def _claim(session: ReadSession, ref: Ref) -> Claim | None:
    row = session.get(*ref)
    if row is None:
        return None
    operation = session.operation(row.operation) if row.operation else None
    blocked = not row.settled and transitions.is_blocked(row, (session.get(*other) for other in row.after))
    return Claim(row, operation, blocked)
