"""What services and reconcilers see of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from reddog.store import OperationRecord, Reader, Ref, Resource

T = TypeVar("T")


@runtime_checkable
class ServiceFailure(Protocol):
    """The shape of a service error (`reddog.wire.ServiceError`), which is all the engine knows of it."""

    @property
    def code(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str: ...


class Locked(Exception):  # noqa: N818 - a state, read as `except Locked`
    """Another operation holds the resource.

    Args:
        kind: The resource's kind.
        key: The resource's key.
        operation_id: The operation that holds it.
    """

    def __init__(self, kind: str, key: str, operation_id: str) -> None:
        super().__init__(f"The {kind} {key!r} is locked by operation {operation_id}.")
        self.kind = kind
        self.key = key
        self.operation_id = operation_id


class Exists(Exception):  # noqa: N818
    """There already is a resource of that kind and key (it may be on its way out: present=False)."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"The {kind} {key!r} already exists.")
        self.kind = kind
        self.key = key


class Missing(Exception):  # noqa: N818
    """There is no such resource, or it is on its way out."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"There is no {kind} {key!r}.")
        self.kind = kind
        self.key = key


class Failed(Exception):  # noqa: N818
    """Raised by a reconciler: converging can never succeed, so the operation is to be rolled back.

    A service error that a reconciler raises itself counts the same.

    Args:
        error: What Get Operation Status will answer.
    """

    def __init__(self, error: ServiceFailure) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Converged:
    """The world is as the goal says.

    Args:
        state: Merged into the resource's state in the transaction that settles it.
    """

    state: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Retry:
    """Not there yet; call again.

    Args:
        after: Seconds to wait. A poke of the resource calls earlier.
    """

    after: float


@dataclass(frozen=True)
class OperationRequest:
    """Describes an operation to be accepted.

    Args:
        id: 32 lower-case hexadecimal digits, the request id.
        name: The operation's name, e.g. "Create Cloud Service".
        subscription: The subscription it belongs to.
        object_id: The URL path of the object it works on.
        parameters: What List Subscription Operations shows as parameters; no secrets.
        caller: What List Subscription Operations shows as the caller.
        timeout: Seconds until it is rolled back as timed out; None: the engine's default.
    """

    id: str
    name: str
    subscription: str
    object_id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    caller: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: float | None = None


class Tx(Reader, Protocol):
    """One operation's changes; all of them happen, or none.

    Every method that takes a lock raises `Locked` when another operation holds the resource, and `Missing`
    when there is none. A resource whose kind has no reconciler settles at once.
    """

    @property
    def operation_id(self) -> str:
        """The operation in whose name the changes are made."""
        ...

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
        """Add a resource and lock it until the operation closes; a roll-back makes it absent again.

        Args:
            kind: The kind.
            key: Lower-case, unique within the kind.
            subscription: Whose it is; "" for the platform's own.
            parent: Key of the resource it belongs to.
            goal: What it should be.
            state: What is known of it already.
            settled: True when there is nothing to converge.
            after: Resources of this operation that must settle before this one is converged.

        Raises:
            Exists: The key is taken.
        """
        ...

    def set_goal(
        self, kind: str, key: str, goal: Mapping[str, Any], *, after: Iterable[Ref] = ()
    ) -> Resource:
        """Replace the goal, lock, and converge; a roll-back returns to the goal before."""
        ...

    def remove(self, kind: str, key: str, *, after: Iterable[Ref] = ()) -> Resource:
        """Lock and make absent. Never rolled back: removing only goes forward."""
        ...

    def lock(self, kind: str, key: str) -> Resource:
        """Lock until the operation closes, and change nothing."""
        ...

    def drop(self, kind: str, key: str) -> None:
        """Delete at once, without converging."""
        ...

    def put(
        self,
        kind: str,
        key: str,
        *,
        goal: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> Resource:
        """Replace goal and/or state at once, without converging or rolling back: for pure metadata."""
        ...

    def patch_state(self, kind: str, key: str, **changes: Any) -> Resource:
        """Merge `changes` into the state. Needs no lock."""
        ...


class Context(Protocol):
    """What a reconciler may use while it works on one resource."""

    @property
    def row(self) -> Resource:
        """The resource with the state as last patched here."""
        ...

    @property
    def operation(self) -> OperationRecord | None:
        """The operation that holds the resource; None when it is repaired or observed outside of one."""
        ...

    @property
    def rolling_back(self) -> bool:
        """The operation has failed and its resources are returning to what they were."""
        ...

    def read(self, fn: Callable[[Reader], T]) -> T:
        """Read other resources in one consistent snapshot."""
        ...

    def patch_state(self, **changes: Any) -> None:
        """Merge `changes` into the state, durably, before returning.

        Dropped when the resource has changed hands meanwhile. Costs nothing when nothing changes.
        """
        ...

    def unsettle(self) -> None:
        """In `observe`: the world has drifted from the goal; converge the resource again."""
        ...

    def checkpoint(self, name: str) -> None:
        """A point at which tests may kill the process."""
        ...


class Reconciler(Protocol):
    """Makes the world match the goal of every resource of one kind.

    Derive from it to inherit an `observe` and a `finish` that do nothing.
    """

    kind: str

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """Bring the world to `row.goal`, or to absence when `row.present` is False.

        Runs in a worker thread, for one resource never twice at a time, and possibly again after a crash:
        every step must be idempotent. Wait with `Retry`, not by sleeping.

        Raises:
            Failed: It can never succeed. Any exception but a service error is retried until the operation's
                time is up.
        """
        ...

    def observe(self, row: Resource, ctx: Context) -> None:
        """Refresh the state of a settled resource from the world (poke, start, periodic resync)."""
        return None

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """Last changes, inside the transaction that closes the operation.

        Called for every resource the operation holds, before the absent ones are deleted and the locks freed.
        An exception undoes this call's changes only. What it leaves unsettled is converged in the background.
        """
        return None
