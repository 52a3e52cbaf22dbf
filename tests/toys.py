"""Reconcilers with a world that tests can look into."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reddog.engine import Context, Converged, Engine, OperationRequest, Reconciler, Resource, Retry, Tx


class Refusal(Exception):
    """A service error."""

    code = "ConflictError"
    status = 409
    message = "The size is not available."
    remedy = "Choose another size."


def new_id() -> str:
    return uuid.uuid4().hex


def request(id: str | None = None, **values: object) -> OperationRequest:
    return OperationRequest(id or new_id(), "Do Something", "sub", **values)  # type: ignore[arg-type]


def begin(engine: Engine, change: Callable[[Tx], object], **values: object) -> str:
    """Accept an operation; returns its id."""
    asked = request(**values)
    engine.accept(asked, change)
    return asked.id


class Files(Reconciler):
    """Each resource is a directory with one file of a name chosen once; its content is the goal's size.

    Fails for good when the goal says so, after having had its effect. Counts the calls of `finish` in the row
    ("tally", "finish").
    """

    kind = "file"

    def __init__(self, world: Path) -> None:
        self._world = world
        world.mkdir(exist_ok=True)

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        if not row.present:
            shutil.rmtree(self._world / row.key, ignore_errors=True)
            ctx.checkpoint("file gone")
            return Converged()
        if "id" not in row.state:
            ctx.patch_state(id=new_id())  # the intent is durable before the effect
            return Retry(0.001)
        self._write(self._world / row.key / row.state["id"], str(row.goal["size"]))
        ctx.checkpoint("file written")
        if row.goal.get("fail") and not ctx.rolling_back:
            raise Refusal
        return Converged({"size": row.goal["size"]})

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        tally = tx.get("tally", "finish")
        assert tally is not None
        tx.patch_state("tally", "finish", count=tally.state["count"] + 1)

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        temporary = self._world / f"{path.name}.tmp"
        temporary.write_text(text)
        temporary.rename(path)


@dataclass
class Scripted(Reconciler):
    """Does what the test says, by key: a result to return, an exception to raise, or a function to call.

    Without a script it converges. `calls` are (key, present, goal, rolling back).
    """

    kind: str = "toy"
    script: dict[str, object] = field(default_factory=dict)
    calls: list[tuple[str, bool, dict[str, object], bool]] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)
    finished: list[tuple[str, bool]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    on_observe: Callable[[Resource, Context], None] = lambda row, ctx: None
    on_finish: Callable[[Tx, Resource, bool], None] = lambda tx, row, succeeded: None

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        self._note(self.calls, (row.key, row.present, row.goal, ctx.rolling_back))
        action = self.script.get(row.key, Converged())
        if callable(action) and not isinstance(action, type):
            action = action(row, ctx)
        if isinstance(action, (BaseException, type)):
            raise action  # type: ignore[misc]
        assert isinstance(action, Converged | Retry)
        return action

    def observe(self, row: Resource, ctx: Context) -> None:
        self._note(self.observed, row.key)
        self.on_observe(row, ctx)

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        self._note(self.finished, (row.key, succeeded))
        self.on_finish(tx, row, succeeded)

    def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait until something has been called that makes the condition true."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "it did not happen"

    def _note(self, calls: list, entry: object) -> None:  # type: ignore[type-arg]
        with self.changed:
            calls.append(entry)
            self.changed.notify_all()
