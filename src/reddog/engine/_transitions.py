"""The steps of an operation's life; each runs inside one write transaction."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from reddog.engine._interface import OperationRequest, Reconciler, Tx
from reddog.engine._transaction import ABSENT, Transaction
from reddog.store import OperationRecord, Ref, Resource, StoreError, WriteSession

T = TypeVar("T")
Failure = dict[str, Any]
log = logging.getLogger("reddog.engine")


@dataclass
class Outcome:
    """What the rest of the engine must know once a transition is durable.

    Args:
        drive: Resources that can be converged now.
        closed: The operation that has closed.
        rolling_back: The operation that has begun to roll back.
        stale: The resource had changed meanwhile, so nothing was done.
    """

    drive: list[Ref] = field(default_factory=list)
    closed: str | None = None
    rolling_back: OperationRecord | None = None
    stale: bool = False


@dataclass(frozen=True)
class Accepted:
    """An accepted operation: the change's own result, and whether there is something left to do."""

    result: Any
    record: OperationRecord
    drive: list[Ref]


class Transitions:
    """The transitions of one engine.

    Args:
        reconcilers: By kind.
        checkpoint: Called before an operation closes.
    """

    def __init__(self, reconcilers: Mapping[str, Reconciler], checkpoint: Callable[[str], None]) -> None:
        self._reconcilers = reconcilers
        self._checkpoint = checkpoint

    def accept(
        self,
        session: WriteSession,
        request: OperationRequest,
        timeout: float,
        change: Callable[[Tx], Any],
    ) -> Accepted:
        """Make the change and record the operation; closes it when nothing is left to converge."""
        tx = Transaction(session, request.id, self._reconcilers)
        result = change(tx)
        record = OperationRecord(
            id=request.id,
            name=request.name,
            subscription=request.subscription,
            object_id=request.object_id,
            parameters=request.parameters,
            caller=request.caller,
            status="InProgress" if tx.unsettled else "Succeeded",
            failure=None,
            rolling_back=False,
            started=tx.now,
            finished=None if tx.unsettled else tx.now,
            timeout=timeout,
        )
        session.insert_operation(record)
        if tx.holds and not tx.unsettled:
            session.release(request.id)
        return Accepted(result, record, list(tx.unsettled))

    def settle(self, session: WriteSession, seen: Resource, state: Mapping[str, Any]) -> Outcome:
        """The resource, as it was seen, has converged."""
        row = same_goal(session, seen)
        if row is None:
            return Outcome(stale=True)
        merged = row.state | dict(state)
        session.update(row.uid, settled=True, failure=None, state=merged, modified=datetime.now(UTC))
        if row.operation is None:
            if not row.present:
                session.delete(row.uid)
            return Outcome()
        outcome = self.close(session, row.operation)
        if outcome.closed is None:
            outcome.drive += _waiting_for(row.ref, session.held(row.operation))
        return outcome

    def fail(self, session: WriteSession, operation_id: str, failure: Failure) -> Outcome:
        """Turn every resource of the operation back to what it was."""
        operation = session.operation(operation_id)
        if operation is None or operation.finished or operation.rolling_back:
            return Outcome(stale=True)
        session.update_operation(operation_id, rolling_back=True, failure=failure)
        rows = session.held(operation_id)
        after = _reversed_order(rows)
        for row in rows:
            self._turn_back(session, row, after[row.ref])
        outcome = self.close(session, operation_id)
        if outcome.closed is None:
            outcome.rolling_back = operation
            outcome.drive += [row.ref for row in session.held(operation_id) if not row.settled]
        return outcome

    def abandon(
        self, session: WriteSession, operation_id: str, failure: Failure, ref: Ref | None = None
    ) -> Outcome:
        """Stop rolling back one resource and those that wait for it, or all: the operation need not wait.

        They stay unsettled and are converged in the background, without a lock.
        """
        operation = session.operation(operation_id)
        if operation is None or operation.finished:
            return Outcome(stale=True)
        rows = [row for row in session.held(operation_id) if not row.settled]
        chosen = {row.ref for row in rows} if ref is None else _with_dependents(ref, rows)
        for row in rows:
            if row.ref in chosen:
                session.update(row.uid, failure=failure)
        return self.close(session, operation_id)

    def close(self, session: WriteSession, operation_id: str) -> Outcome:
        """Close the operation if nothing of it is left to do."""
        rows = session.held(operation_id)
        operation = session.operation(operation_id)
        if operation is None or operation.finished or any(_is_awaited(row) for row in rows):
            return Outcome()
        self._checkpoint("closing")
        succeeded = operation.failure is None
        tx = Transaction(session, operation_id, self._reconcilers)
        for row in rows:
            self._finish(session, tx, row, succeeded)
        rest = [row.ref for row in session.held(operation_id) if not row.settled]
        session.release(operation_id)
        status = "Succeeded" if succeeded else "Failed"
        session.update_operation(operation_id, status=status, finished=datetime.now(UTC))
        return Outcome(drive=rest, closed=operation_id)

    def _finish(self, session: WriteSession, tx: Transaction, seen: Resource, succeeded: bool) -> None:
        hook = getattr(self._reconcilers.get(seen.kind), "finish", None)
        row = session.get(*seen.ref)
        if hook is None or row is None:
            return
        try:
            with session.savepoint():
                hook(tx, row, succeeded)
        except Exception as error:
            if not session.in_transaction:
                raise
            log.error("operation %s: finish of %s %s failed: %s", tx.operation_id, *row.ref, where(error))

    def _turn_back(self, session: WriteSession, row: Resource, after: tuple[Ref, ...]) -> None:
        values: dict[str, Any] = {"after": after}
        if row.back is not None:
            values |= {
                "settled": row.kind not in self._reconcilers,
                "generation": row.generation + 1,
                "modified": datetime.now(UTC),
            }
            values |= ABSENT if row.back == ABSENT else {"goal": row.back["goal"]}
        session.update(row.uid, **values)


def patch_state(session: WriteSession, seen: Resource, changes: Mapping[str, Any]) -> Resource | None:
    """Merge changes into a resource's state; None when it has changed hands since it was seen."""
    row = same_holder(session, seen)
    if row is None:
        return None
    session.update(row.uid, state=row.state | dict(changes), modified=datetime.now(UTC))
    return session.get(*seen.ref)


def unsettle(session: WriteSession, seen: Resource) -> Outcome:
    """Have a resource converged again, if it is still the one that was seen."""
    row = same_goal(session, seen)
    if row is None:
        return Outcome(stale=True)
    session.update(row.uid, settled=False)
    return Outcome(drive=[row.ref])


def note_failure(session: WriteSession, seen: Resource, failure: Failure) -> None:
    """Show why a resource that no operation holds cannot converge."""
    row = same_goal(session, seen)
    if row is not None and row.failure != failure:
        session.update(row.uid, failure=failure)


def same_holder(session: WriteSession, seen: Resource) -> Resource | None:
    """The resource, unless it is another one by now or belongs to another operation."""
    row = session.get(*seen.ref)
    if row is None or row.uid != seen.uid or row.operation != seen.operation:
        return None
    return row


def same_goal(session: WriteSession, seen: Resource) -> Resource | None:
    """As `same_holder`, and the goal must be the one that was seen."""
    row = same_holder(session, seen)
    return None if row is None or row.generation != seen.generation else row


def is_blocked(row: Resource, others: Iterable[Resource | None]) -> bool:
    """A resource waits while one of its `after` has the same holder and is unsettled.

    What was given up is not driven while an operation holds it, so the operation's others do not wait for it.
    """
    return any(
        other is not None
        and not other.settled
        and other.operation == row.operation
        and (row.operation is None or other.failure is None)
        for other in others
    )


def where(error: BaseException) -> str:
    """An exception's type and place. Its message stays out: it may quote a secret."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    name = str(error) if isinstance(error, StoreError) else type(error).__qualname__
    return f"{name} at {places}"


def _is_awaited(row: Resource) -> bool:
    return not row.settled and row.failure is None


def _waiting_for(ref: Ref, rows: Iterable[Resource]) -> list[Ref]:
    return [row.ref for row in rows if not row.settled and ref in row.after]


def _with_dependents(ref: Ref, rows: list[Resource]) -> set[Ref]:
    chosen: set[Ref] = set()
    new = {ref}
    while new:
        chosen |= new
        new = {waiting for one in new for waiting in _waiting_for(one, rows)} - chosen
    return chosen


def _reversed_order(rows: list[Resource]) -> dict[Ref, tuple[Ref, ...]]:
    """The order of rolling back.

    What was made after something else is unmade before it. A resource that is removed, or only locked, goes
    on as before, so its own conditions stay.
    """
    after: dict[Ref, list[Ref]] = {row.ref: [] for row in rows}
    for row in rows:
        for earlier in row.after:
            if row.back is None:
                after[row.ref].append(earlier)
            elif earlier in after:
                after[earlier].append(row.ref)
    return {ref: tuple(refs) for ref, refs in after.items()}
