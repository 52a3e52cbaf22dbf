"""The two things that are kept: resources and operations, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Ref = tuple[str, str]
"""Names a resource: (kind, key)."""

Status = Literal["InProgress", "Succeeded", "Failed"]
"""Get Operation Status's three words."""


@dataclass(frozen=True)
class Resource:
    """One resource: what it should be, and what it is.

    `goal` and `state` are JSON objects and stay out of the repr, because they may hold secrets.
    The dictionaries belong to the reader; changing them changes nothing in the store.
    """

    kind: str
    key: str
    subscription: str
    parent: str | None
    goal: dict[str, Any] = field(repr=False)
    state: dict[str, Any] = field(repr=False)
    present: bool
    """False: it is to go away."""
    settled: bool
    """It has converged to its goal."""
    operation: str | None
    """The id of the operation that holds the lock."""
    failure: dict[str, Any] | None
    """Why converging was given up for now: code, status, message, remedy."""
    created: datetime
    modified: datetime
    generation: int
    """Grows with every change of the goal."""
    uid: int = 0
    """Never given to another resource, not even to a later one of the same kind and key."""
    after: tuple[Ref, ...] = ()
    """Resources of the same operation that must settle first."""
    back: dict[str, Any] | None = field(default=None, repr=False)
    """What a roll-back returns to."""

    @property
    def ref(self) -> Ref:
        """The resource's (kind, key)."""
        return self.kind, self.key


@dataclass(frozen=True)
class OperationRecord:
    """One management operation, synchronous or not (Get Operation Status, List Subscription Operations)."""

    id: str
    name: str
    subscription: str
    object_id: str
    parameters: Mapping[str, Any] = field(repr=False)
    caller: Mapping[str, Any] = field(repr=False)
    status: Status
    failure: dict[str, Any] | None
    """code, status, message and remedy of a failed operation, or of one that is rolling back."""
    rolling_back: bool
    started: datetime
    finished: datetime | None
    timeout: float
    """Seconds the operation may take before it is rolled back."""

    @property
    def http_status(self) -> int | None:
        """The `HttpStatusCode` of Get Operation Status; None while in progress."""
        if self.status == "InProgress":
            return None
        return 200 if self.failure is None else int(self.failure["status"])


class Reader(Protocol):
    """Reads of one consistent snapshot.

    Resources with present=False are listed too: they are on their way out.
    """

    def get(self, kind: str, key: str) -> Resource | None:
        """The resource, or None."""
        ...

    def count(self, kind: str, subscription: str | None = None, parent: str | None = None) -> int:
        """How many resources `list` would give without paging."""
        ...

    def operation(self, id: str) -> OperationRecord | None:
        """The operation, or None when there was none or its record has expired."""
        ...

    def operations(
        self,
        subscription: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        object_id: str | None = None,
        status: Status | None = None,
        after_id: str | None = None,
        limit: int | None = None,
    ) -> list[OperationRecord]:
        """A subscription's operations, oldest first (List Subscription Operations).

        Args:
            subscription: The subscription.
            start: Only those started at or after this time.
            end: Only those started at or before this time.
            object_id: Only those on this object; compared without regard to case.
            status: Only those with this status.
            after_id: Only those that follow this operation: the last one of the page before.
            limit: At most so many.
        """
        ...

    def list(
        self,
        kind: str,
        subscription: str | None = None,
        parent: str | None = None,
        after_key: str | None = None,
        limit: int | None = None,
    ) -> list[Resource]:
        """Resources of one kind in the order of their keys.

        Args:
            kind: The kind.
            subscription: Only this subscription's; None means all.
            parent: Only those with this parent; None means all.
            after_key: Only keys greater than this one: the last key of the page before.
            limit: At most so many.
        """
        ...
