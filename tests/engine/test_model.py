"""Random operations against a model: what is accepted, what is refused, and what is left in the end."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reddog.engine import Converged, Engine, EngineSettings, Exists, Locked, Missing, Retry
from reddog.store import Store
from toys import Refusal, Scripted, begin

KEYS = ("a", "b", "c", "d")
VERBS = ("insert", "set", "remove", "lock")
HOLD = Retry(3600)


@dataclass
class Row:
    """What the model knows of a resource."""

    size: int
    holder: str | None = None
    present: bool = True
    back: int | None = None  # the size to return to; None: nothing to return to
    inserted: bool = False


class EngineModel(RuleBasedStateMachine):
    """Operations stay in progress until a rule lets them succeed or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="reddog-model-"))
        self.rows: dict[str, Row] = {}
        self.running: list[str] = []
        self.finished: dict[str, str] = {}

    @initialize(sizes=st.lists(st.integers(0, 9), max_size=3))
    def begin_with_some(self, sizes: list[int]) -> None:
        self.open()
        for key, size in zip(KEYS, sizes, strict=False):
            self.accept({key: "insert"}, size, False)
            self.end(self.running[0], Converged(), "Succeeded")

    def open(self) -> None:
        self.toy = Scripted()
        self.hold(*KEYS)  # before the engine drives on what is unsettled
        self.store = Store(self.directory)
        self.engine = Engine(self.store, [self.toy], settings=EngineSettings(workers=2))
        self.engine.start()

    def teardown(self) -> None:
        self.engine.stop()
        self.store.close()
        shutil.rmtree(self.directory)

    def hold(self, *keys: str) -> None:
        self.toy.script |= {key: lambda row, ctx: Converged() if ctx.rolling_back else HOLD for key in keys}

    @rule(data=st.data(), count=st.integers(1, 3), size=st.integers(0, 9), ordered=st.booleans())
    def accept_what_is_possible(self, data: st.DataObject, count: int, size: int, ordered: bool) -> None:
        free = [key for key in KEYS if key not in self.rows or self.rows[key].holder is None]
        keys = data.draw(st.permutations(free))[:count]
        verbs = {key: ["set", "set", "remove", "lock"] if key in self.rows else ["insert"] for key in keys}
        self.accept({key: data.draw(st.sampled_from(verbs[key])) for key in keys}, size, ordered)

    @rule(changes=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VERBS), min_size=1, max_size=3))
    def accept_anything(self, changes: dict[str, str]) -> None:
        self.accept(changes, 0, False)

    def accept(self, changes: dict[str, str], size: int, ordered: bool) -> None:
        expected = self.refusal(changes)

        def change(tx: Any) -> None:
            before: list[tuple[str, str]] = []
            for key, verb in changes.items():
                after = before[-1:] if ordered else []
                if verb == "insert":
                    tx.insert("toy", key, subscription="sub", goal={"size": size}, after=after)
                elif verb == "set":
                    tx.set_goal("toy", key, {"size": size}, after=after)
                elif verb == "remove":
                    tx.remove("toy", key, after=after)
                else:
                    tx.lock("toy", key)
                before.append(("toy", key))

        try:
            id = begin(self.engine, change)
        except (Exists, Locked, Missing) as error:
            refused: type[Exception] | None = type(error)
        else:
            refused = None
            self.accepted(id, changes, size)
        assert refused is expected

    def refusal(self, changes: dict[str, str]) -> type[Exception] | None:
        for key, verb in changes.items():
            row = self.rows.get(key)
            if verb == "insert":
                if row is not None:
                    return Exists
            elif row is None:
                return Missing
            elif row.holder is not None:
                return Locked
        return None

    def accepted(self, id: str, changes: dict[str, str], size: int) -> None:
        for key, verb in changes.items():
            if verb == "insert":
                self.rows[key] = Row(size, inserted=True)
            row = self.rows[key]
            row.holder = id
            if verb == "set":
                row.back, row.size = row.size, size
            elif verb == "remove":
                row.present = False
        if set(changes.values()) <= {"lock"}:
            self.close(id, "Succeeded")
        else:
            self.running.append(id)

    def close(self, id: str, status: str) -> None:
        for key, row in list(self.rows.items()):
            if row.holder != id:
                continue
            if status == "Failed" and row.back is not None:
                row.size = row.back
            if not row.present or (status == "Failed" and row.inserted):
                del self.rows[key]
            row.holder, row.back, row.inserted = None, None, False
        self.finished[id] = status

    def held(self, id: str) -> list[str]:
        return [key for key, row in self.rows.items() if row.holder == id]

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def let_succeed(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.running))
        self.end(id, Converged(), "Succeeded")

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def let_fail(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.running))
        self.end(id, lambda row, ctx: Converged() if ctx.rolling_back else Refusal(), "Failed")

    def end(self, id: str, action: object, status: str) -> None:
        keys = self.held(id)
        for key in keys:
            self.toy.script[key] = action
        for key in keys:
            self.engine.poke("toy", key)
        assert self.engine.wait(id, 10).status == status
        self.hold(*keys)
        self.running.remove(id)
        self.close(id, status)

    @rule()
    def restart(self) -> None:
        self.engine.stop()
        self.store.close()
        self.open()

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = self.store.read(lambda reader: reader.list("toy"))
        assert {row.key: (row.goal["size"], row.present, row.operation) for row in rows} == {
            key: (row.size, row.present, row.holder) for key, row in self.rows.items()
        }
        assert all(row.settled and row.back is None for row in rows if row.operation is None)
        assert {record.id for record in self.store.read(lambda reader: reader.running())} == set(self.running)
        for id, status in self.finished.items():
            record = self.engine.operation(id)
            assert record is not None
            assert record.status == status


EngineModel.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTheEngineAgreesWithItsModel = EngineModel.TestCase
