"""`Tx`: what an operation does to resources, in terms of rows."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from reddog.engine._interface import Exists, Locked, Missing
from reddog.store import Ref, Resource, WriteSession

ABSENT = {"present": False}
"""The `back` of an inserted row."""


class Transaction:
    """See `Tx`.

    Args:
        session: The transaction's session.
        operation_id: The operation in whose name rows are locked.
        converging: The kinds that have a reconciler; rows of other kinds settle at once.
    """

    def __init__(self, session: WriteSession, operation_id: str, converging: Container[str]) -> None:
        self._session = session
        self._converging = converging
        self._inserted: set[int] = set()
        self.operation_id = operation_id
        self.now = datetime.now(UTC)
        self.holds = False
        self.unsettled: dict[Ref, None] = {}
        self.get = session.get
        self.list = session.list
        self.count = session.count
        self.operation = session.operation
        self.operations = session.operations

    def insert(
        self,
        kind: str,
        key: str,
        *,
        subscription: str,
        parent: str | None = None,
        goal: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        settled: bool = False,
        after: Iterable[Ref] = (),
    ) -> Resource:
        """See `Tx.insert`."""
        if key != key.lower():
            raise ValueError(f"The key {key!r} is not lower-case.")
        if self.get(kind, key) is not None:
            raise Exists(kind, key)
        settled = settled or kind not in self._converging
        uid = self._session.insert(
            {
                "kind": kind,
                "key": key,
                "subscription": subscription,
                "parent": parent,
                "goal": goal,
                "state": state or {},
                "present": True,
                "settled": settled,
                "operation": self.operation_id,
                "created": self.now,
                "modified": self.now,
                "generation": 1,
                "after": tuple(after),
                "back": ABSENT,
            }
        )
        self._inserted.add(uid)
        return self._held(kind, key)

    def set_goal(
        self, kind: str, key: str, goal: Mapping[str, Any], *, after: Iterable[Ref] = ()
    ) -> Resource:
        """See `Tx.set_goal`."""
        row = self._present(kind, key)
        back = row.back or {"goal": row.goal}
        return self._take(row, after, goal=goal, back=back, **self._unconverged(row))

    def remove(self, kind: str, key: str, *, after: Iterable[Ref] = ()) -> Resource:
        """See `Tx.remove`."""
        row = self._free(kind, key)
        if row.uid in self._inserted:  # nobody has seen it yet
            self._session.delete(row.uid)
            self.unsettled.pop(row.ref, None)
            return row
        return self._take(row, after, present=False, back=None, **self._unconverged(row))

    def lock(self, kind: str, key: str) -> Resource:
        """See `Tx.lock`."""
        return self._take(self._present(kind, key), ())

    def drop(self, kind: str, key: str) -> None:
        """See `Tx.drop`."""
        row = self._free(kind, key)
        self._session.delete(row.uid)
        self.unsettled.pop(row.ref, None)

    def put(
        self,
        kind: str,
        key: str,
        *,
        goal: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> Resource:
        """See `Tx.put`."""
        row = self._present(kind, key)
        values: dict[str, Any] = {"modified": self.now}
        if goal is not None:
            values |= {"goal": goal, "generation": row.generation + 1}
        if state is not None:
            values["state"] = state
        self._session.update(row.uid, **values)
        return self._reread(kind, key)

    def patch_state(self, kind: str, key: str, **changes: Any) -> Resource:
        """See `Tx.patch_state`."""
        row = self._reread(kind, key)
        self._session.update(row.uid, state=row.state | changes, modified=self.now)
        return self._reread(kind, key)

    def _unconverged(self, row: Resource) -> dict[str, Any]:
        return {
            "settled": row.kind not in self._converging,
            "generation": row.generation + 1,
            "failure": None,
            "modified": self.now,
        }

    def _take(self, row: Resource, after: Iterable[Ref], **values: Any) -> Resource:
        mine = row.after if row.operation == self.operation_id else ()
        values["after"] = tuple(dict.fromkeys((*mine, *after)))
        if not self._session.take(row.uid, self.operation_id, **values):
            raise Locked(row.kind, row.key, self._reread(row.kind, row.key).operation or "")
        return self._held(row.kind, row.key)

    def _held(self, kind: str, key: str) -> Resource:
        row = self._reread(kind, key)
        self.holds = True
        if not row.settled and row.failure is None:  # one that was given up before is not waited for
            self.unsettled[row.ref] = None
        return row

    def _present(self, kind: str, key: str) -> Resource:
        row = self._free(kind, key)
        if not row.present:
            raise Missing(kind, key)
        return row

    def _free(self, kind: str, key: str) -> Resource:
        row = self._reread(kind, key)
        if row.operation not in (None, self.operation_id):
            raise Locked(kind, key, str(row.operation))
        return row

    def _reread(self, kind: str, key: str) -> Resource:
        row = self.get(kind, key)
        if row is None:
            raise Missing(kind, key)
        return row
