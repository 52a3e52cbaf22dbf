"""The engine: accepting, locks, converging, order, roll-back, deadlines, finish, observing, stopping."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from reddog.engine import (
    Converged,
    Engine,
    EngineSettings,
    Exists,
    Failed,
    Locked,
    Missing,
    Reconciler,
    Retry,
)
from reddog.store import Store
from toys import Refusal, Scripted, begin, new_id, request

HOLD = Retry(3600)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def toy():
    return Scripted()


@pytest.fixture
def start(store, toy):
    """Starts an engine with the settings given."""
    engines = []

    def start(**settings) -> Engine:
        engine = Engine(store, [toy], settings=EngineSettings(**settings))
        engines.append(engine)
        engine.start()
        return engine

    yield start
    for engine in engines:
        engine.stop()


def insert(key, *, kind="toy", after=(), **goal):
    return lambda tx: tx.insert(
        kind, key, subscription="sub", goal=goal, after=[("toy", one) for one in after]
    )


def both(*changes):
    return lambda tx: [change(tx) for change in changes]


def get(store, key, kind="toy"):
    return store.read(lambda reader: reader.get(kind, key))


def finish(engine, change):
    return engine.wait(begin(engine, change), 10)


def keys_called(toy):
    return [key for key, *_ in toy.calls]


# Accepting


def test_an_operation_succeeds_when_all_its_resources_have_settled(store, toy, start):
    engine = start()
    toy.script["a"] = Converged({"port": 1})
    record = finish(engine, both(insert("a", size=1), insert("b")))
    assert (record.status, record.failure, record.http_status) == ("Succeeded", None, 200)
    row = get(store, "a")
    assert (row.settled, row.operation, row.back, row.state) == (True, None, None, {"port": 1})
    assert sorted(toy.finished) == [("a", True), ("b", True)]


def test_accept_returns_what_the_change_returned_and_the_operation_is_on_record(store, toy, start):
    engine = start()
    toy.script["a"] = HOLD
    asked = request(object_id="/x", parameters={"p": 1}, caller={"c": 2}, timeout=7.0)
    row = engine.accept(asked, insert("a", size=1))
    assert (row.key, row.goal, row.operation, row.settled) == ("a", {"size": 1}, asked.id, False)
    record = engine.operation(asked.id)
    assert (record.status, record.http_status, record.finished) == ("InProgress", None, None)
    assert (record.object_id, record.parameters, record.caller) == ("/x", {"p": 1}, {"c": 2})
    assert record.timeout == 7.0
    assert engine.operation(new_id()) is None


@pytest.mark.parametrize(
    "change",
    [
        insert("m", kind="meta"),
        lambda tx: tx.insert("toy", "s", subscription="sub", goal={}, settled=True),
        lambda tx: tx.lock("meta", "old"),
        lambda tx: tx.set_goal("meta", "old", {"x": 2}),
        lambda tx: tx.put("meta", "old", goal={"x": 2}),
        lambda tx: tx.drop("meta", "old"),
        lambda tx: tx.remove("meta", "old"),
        lambda tx: None,
    ],
)
def test_an_operation_with_nothing_to_converge_has_succeeded_at_once(store, toy, start, change):
    engine = start()
    begin(engine, insert("old", kind="meta", x=1))
    record = engine.operation(begin(engine, change))
    assert (record.status, record.http_status) == ("Succeeded", 200)
    rows = [row for kind in ("meta", "toy") for row in store.read(lambda reader, k=kind: reader.list(k))]
    assert [row.key for row in rows if row.operation or row.back or not row.settled or not row.present] == []
    assert toy.finished == []


def test_a_change_that_raises_leaves_no_trace(store, start):
    engine = start()

    def change(tx):
        insert("a")(tx)
        raise Refusal

    asked = request()
    with pytest.raises(Refusal):
        engine.accept(asked, change)
    assert engine.operation(asked.id) is None
    assert get(store, "a") is None


def test_waiting_tells_apart_running_and_unknown_operations(toy, start):
    engine = start()
    toy.script["a"] = HOLD
    id = begin(engine, insert("a"))
    with pytest.raises(TimeoutError, match=id):
        engine.wait(id, 0.05)
    with pytest.raises(KeyError):
        engine.wait(new_id(), 0.05)
    assert engine._waiting == {}


# Locks


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.set_goal("toy", "a", {}),
        lambda tx: tx.remove("toy", "a"),
        lambda tx: tx.lock("toy", "a"),
        lambda tx: tx.put("toy", "a", state={}),
        lambda tx: tx.drop("toy", "a"),
    ],
)
def test_a_held_resource_is_locked_for_every_other_operation(toy, start, change):
    engine = start()
    toy.script["a"] = HOLD
    id = begin(engine, insert("a"))
    with pytest.raises(Locked) as caught:
        begin(engine, change)
    assert (caught.value.kind, caught.value.key, caught.value.operation_id) == ("toy", "a", id)
    with pytest.raises(Exists):
        begin(engine, insert("a"))


def test_a_refused_lock_undoes_the_locks_taken_before_it(store, toy, start):
    engine = start()
    finish(engine, both(insert("a"), insert("b")))
    toy.script["b"] = HOLD
    begin(engine, lambda tx: tx.set_goal("toy", "b", {"x": 1}))
    with pytest.raises(Locked):
        begin(engine, both(lambda tx: tx.set_goal("toy", "a", {}), lambda tx: tx.lock("toy", "b")))
    assert get(store, "a").operation is None


def test_a_lock_is_held_until_the_operation_closes(store, toy, start):
    engine = start()
    finish(engine, insert("parent"))
    toy.script["child"] = HOLD
    id = begin(engine, both(insert("child"), lambda tx: tx.lock("toy", "parent")))
    assert get(store, "parent").operation == id
    toy.script["child"] = Converged()
    engine.poke("toy", "child")
    engine.wait(id, 10)
    assert get(store, "parent").operation is None
    assert ("parent", True) in toy.finished


@pytest.mark.parametrize("method", ["set_goal", "remove", "lock", "put", "drop", "patch_state"])
def test_what_is_not_there_is_missing(start, method):
    extra = ({},) if method == "set_goal" else ()
    with pytest.raises(Missing):
        begin(start(), lambda tx: getattr(tx, method)("toy", "nothing", *extra))


def test_a_resource_on_its_way_out_cannot_be_changed_by_its_own_operation(toy, start):
    engine = start()
    finish(engine, insert("a"))
    with pytest.raises(Missing):
        begin(engine, both(lambda tx: tx.remove("toy", "a"), lambda tx: tx.set_goal("toy", "a", {})))


def test_the_key_of_a_resource_on_its_way_out_is_free_once_it_is_gone(store, toy, start):
    engine = start()
    finish(engine, insert("a"))
    first = get(store, "a")
    toy.script["a"] = HOLD
    removal = begin(engine, lambda tx: tx.remove("toy", "a"))
    with pytest.raises(Exists):
        begin(engine, insert("a"))
    with pytest.raises(Locked) as caught:
        begin(engine, lambda tx: tx.set_goal("toy", "a", {}))
    assert caught.value.operation_id == removal
    toy.script.clear()
    engine.poke("toy", "a")
    assert engine.wait(removal, 10).status == "Succeeded"
    finish(engine, insert("a", x=2))
    again = get(store, "a")
    assert (again.goal, again.generation, again.uid != first.uid) == ({"x": 2}, 1, True)


def test_an_insert_that_is_removed_in_the_same_change_never_was(store, toy, start):
    record = finish(start(), both(insert("a"), lambda tx: tx.remove("toy", "a")))
    assert record.status == "Succeeded"
    assert get(store, "a") is None
    assert toy.calls == []


def test_of_many_threads_that_want_one_resource_one_gets_it(store, toy, start):
    engine = start()
    finish(engine, insert("a"))
    toy.script["a"] = HOLD
    won, lost = [], []

    def want():
        try:
            won.append(begin(engine, lambda tx: tx.set_goal("toy", "a", {})))
        except Locked as locked:
            lost.append(locked.operation_id)

    threads = [threading.Thread(target=want) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == won * 15


# Converging


def test_a_retry_comes_back_and_a_poke_comes_earlier(toy, start):
    engine = start()
    results = iter([Retry(0.01), Retry(0.01), HOLD, Converged()])
    toy.script["a"] = lambda row, ctx: next(results)
    id = begin(engine, insert("a"))
    toy.until(lambda: len(toy.calls) == 3)
    time.sleep(0.05)
    assert len(toy.calls) == 3
    engine.poke("toy", "a")
    assert engine.wait(id, 10).status == "Succeeded"


def test_a_state_patch_is_durable_before_it_returns_and_visible_in_the_context(store, toy, start):
    seen = []

    def converge(row, ctx):
        ctx.patch_state(x=1, y={"z": 2})
        seen.append((get(store, "a").state, ctx.row.state, ctx.operation.name, ctx.rolling_back))
        return Converged({"y": 3})

    toy.script["a"] = converge
    finish(start(), insert("a"))
    assert seen == [({"x": 1, "y": {"z": 2}}, {"x": 1, "y": {"z": 2}}, "Do Something", False)]
    assert get(store, "a").state == {"x": 1, "y": 3}


def test_a_patch_that_changes_nothing_writes_nothing(store, toy, start, monkeypatch):
    engine = start()
    toy.script["a"] = Converged({"x": 1})
    finish(engine, insert("a"))
    toy.on_observe = lambda row, ctx: ctx.patch_state(x=1)
    before = get(store, "a").modified
    engine.poke("toy", "a")
    toy.until(lambda: "a" in toy.observed)
    engine.stop()
    assert get(store, "a").modified == before


def test_a_resource_is_never_in_two_hands_at_once(toy, start):
    engine = start()
    inside, most = [], []

    def converge(row, ctx):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return Retry(0) if len(most) < 20 else Converged()

    toy.script["a"] = converge
    id = begin(engine, insert("a"))
    while engine.operation(id).finished is None:
        engine.poke("toy", "a")
        time.sleep(0.001)
    assert max(most) == 1


def test_resources_converge_after_those_they_depend_on(toy, start):
    engine = start()
    toy.script["disk"] = HOLD
    id = begin(engine, both(insert("vm", after=["disk", "net"]), insert("disk"), insert("net")))
    toy.until(lambda: {"disk", "net"} <= set(keys_called(toy)))
    engine.poke("toy", "vm")
    time.sleep(0.05)
    assert "vm" not in keys_called(toy)
    toy.script["disk"] = Converged()
    engine.poke("toy", "disk")
    engine.wait(id, 10)
    assert keys_called(toy)[-1] == "vm"


def test_an_unexpected_exception_is_retried_and_logged_without_its_message(toy, start, caplog):
    engine = start()
    left = iter([RuntimeError("password=hunter2")] * 2)
    toy.script["a"] = lambda row, ctx: next(left, Converged())
    with caplog.at_level(logging.DEBUG):
        id = begin(engine, insert("a", password="hunter2"))
        assert engine.wait(id, 10).status == "Succeeded"
    assert len(toy.calls) == 3
    assert id in caplog.text
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_worker_that_hangs_delays_neither_others_nor_reads_nor_accepting(store, toy, start):
    engine = start(workers=2)
    gate = threading.Event()
    toy.script["frozen"] = lambda row, ctx: gate.wait(20) and Converged()
    frozen = begin(engine, insert("frozen"))
    toy.until(lambda: "frozen" in keys_called(toy))
    begun = time.monotonic()
    for number in range(10):
        assert finish(engine, insert(f"k{number}")).status == "Succeeded"
    assert get(store, "frozen").settled is False
    with pytest.raises(Locked):
        begin(engine, lambda tx: tx.lock("toy", "frozen"))
    assert time.monotonic() - begun < 5
    gate.set()
    assert engine.wait(frozen, 10).status == "Succeeded"


# Rolling back


@pytest.mark.parametrize("error", [Refusal, Failed(Refusal())])
def test_a_permanent_failure_rolls_everything_back(store, toy, start, error):
    engine = start()
    finish(engine, both(insert("old", size=1), insert("gone")))
    toy.finished.clear()
    toy.script["bad"] = lambda row, ctx: error if row.present else Converged()
    record = finish(
        engine,
        both(
            lambda tx: tx.set_goal("toy", "old", {"size": 2}),
            lambda tx: tx.remove("toy", "gone"),
            insert("new"),
            insert("bad", after=["old", "gone", "new"]),
        ),
    )
    assert record.status == "Failed"
    assert record.http_status == 409
    assert record.failure == {
        "code": "ConflictError",
        "status": 409,
        "message": "The size is not available.",
        "remedy": "Choose another size.",
    }
    rows = store.read(lambda reader: reader.list("toy"))
    assert [(row.key, row.goal, row.settled, row.operation) for row in rows] == [
        ("old", {"size": 1}, True, None)
    ]
    assert ("old", True, {"size": 1}, True) in toy.calls
    assert ("new", False, {}, True) in toy.calls
    assert sorted(toy.finished) == [("bad", False), ("gone", False), ("new", False), ("old", False)]


def test_rolling_back_runs_in_the_reverse_order(toy, start):
    engine = start()
    toy.script["top"] = lambda row, ctx: Refusal() if row.present else Converged()
    finish(engine, both(insert("base"), insert("middle", after=["base"]), insert("top", after=["middle"])))
    assert [key for key, present, *_ in toy.calls if not present] == ["top", "middle", "base"]


def test_removals_keep_their_order_when_the_operation_rolls_back(toy, start):
    engine = start()
    finish(engine, both(insert("vm"), insert("disk"), insert("other")))
    toy.calls.clear()
    toy.script["other"] = lambda row, ctx: Converged() if ctx.rolling_back else Refusal()
    toy.script["vm"] = lambda row, ctx: Converged() if ctx.rolling_back else HOLD
    record = finish(
        engine,
        both(
            lambda tx: tx.remove("toy", "vm"),
            lambda tx: tx.remove("toy", "disk", after=[("toy", "vm")]),
            lambda tx: tx.set_goal("toy", "other", {"x": 1}),
        ),
    )
    assert record.status == "Failed"
    removed = [key for key, present, *_ in toy.calls if not present]
    assert removed[-2:] == ["vm", "disk"]
    assert removed.count("disk") == 1


def test_a_result_for_a_goal_that_has_been_rolled_back_meanwhile_does_not_count(store, toy, start):
    engine = start()
    gate = threading.Event()

    def slow(row, ctx):
        if row.present:
            assert gate.wait(10)
            ctx.patch_state(made=True)  # the same operation still holds it: what is known must not be lost
        return Converged()

    toy.script["slow"] = slow
    toy.script["bad"] = lambda row, ctx: Refusal() if row.present else Converged()
    id = begin(engine, both(insert("slow"), insert("bad")))
    toy.until(lambda: ("bad", False, {}, True) in toy.calls)
    assert engine.operation(id).rolling_back
    gate.set()
    assert engine.wait(id, 10).status == "Failed"
    assert [call[:2] for call in toy.calls if call[0] == "slow"] == [("slow", True), ("slow", False)]
    assert get(store, "slow") is None


def test_an_operation_that_takes_too_long_is_rolled_back_as_timed_out(store, toy, start):
    toy.script["a"] = lambda row, ctx: HOLD if row.present else Converged()
    record = finish(start(timeout=0.1), insert("a"))
    assert (record.status, record.failure["code"], record.http_status) == ("Failed", "OperationTimedOut", 500)
    assert get(store, "a") is None


def test_an_operation_may_have_a_time_of_its_own(toy, start):
    engine = start()
    toy.script["a"] = lambda row, ctx: HOLD if row.present else Converged()
    asked = request(timeout=0.05)
    engine.accept(asked, insert("a"))
    assert engine.wait(asked.id, 10).failure["code"] == "OperationTimedOut"


def test_a_bug_in_a_reconciler_ends_as_an_internal_error(store, toy, start):
    toy.script["a"] = lambda row, ctx: KeyError("bug") if row.present else Converged()
    record = finish(start(timeout=0.3), insert("a"))
    assert (record.status, record.failure["code"], record.http_status) == ("Failed", "InternalError", 500)
    assert get(store, "a") is None


def test_what_cannot_be_rolled_back_goes_on_in_the_background_without_a_lock(store, toy, start):
    engine = start()
    finish(engine, insert("base"))
    toy.script["bad"] = Refusal
    toy.script["base"] = Refusal
    change = both(lambda tx: tx.set_goal("toy", "base", {"x": 1}), insert("bad", after=["base"]))
    record = finish(engine, change)
    assert record.status == "Failed"
    row = get(store, "base")
    assert (row.goal, row.operation, row.settled) == ({}, None, False)
    assert row.failure["code"] == "ConflictError"
    toy.script.clear()
    engine.poke("toy", "bad")
    wait_until(lambda: get(store, "bad") is None)
    engine.poke("toy", "base")
    wait_until(lambda: get(store, "base").settled and get(store, "base").failure is None)


def test_a_resource_that_was_given_up_can_be_removed_by_the_next_operation(store, toy, start):
    engine = start()
    toy.script["a"] = Refusal
    assert finish(engine, insert("a")).status == "Failed"
    assert get(store, "a").present is False
    assert finish(engine, lambda tx: [tx.get("toy", "a")]).status == "Succeeded"
    toy.script["a"] = Converged()
    assert finish(engine, lambda tx: tx.remove("toy", "a")).status == "Succeeded"
    assert get(store, "a") is None


def test_nothing_waits_for_a_locked_resource_that_was_given_up(store, toy, start):
    engine = start()
    finish(engine, insert("base"))
    toy.script["base"] = Refusal
    finish(engine, lambda tx: tx.set_goal("toy", "base", {"x": 1}))
    assert get(store, "base").failure is not None
    record = finish(engine, both(lambda tx: tx.lock("toy", "base"), insert("a", after=["base"])))
    assert record.status == "Succeeded"
    assert get(store, "base").settled is False
    toy.script.clear()
    engine.poke("toy", "base")
    wait_until(lambda: get(store, "base").settled)


def test_dependents_of_what_cannot_be_removed_are_kept(store, toy, start):
    engine = start()
    finish(engine, both(insert("vm"), insert("disk")))
    toy.script["vm"] = Refusal
    change = both(
        lambda tx: tx.remove("toy", "vm"), lambda tx: tx.remove("toy", "disk", after=[("toy", "vm")])
    )
    toy.calls.clear()
    assert finish(engine, change).status == "Failed"
    assert "disk" not in keys_called(toy)
    assert get(store, "disk").settled is False


def test_a_roll_back_that_takes_too_long_closes_the_operation(store, toy, start):
    engine = start(timeout=0.1)
    toy.script["a"] = HOLD
    record = finish(engine, insert("a"))
    assert (record.status, record.failure["code"]) == ("Failed", "OperationTimedOut")
    assert get(store, "a").operation is None


# Finish


def test_finish_changes_other_resources_in_the_closing_transaction(store, toy, start):
    engine = start()
    begin(engine, insert("parent", kind="meta"))
    toy.on_finish = lambda tx, row, succeeded: tx.patch_state("meta", "parent", child=row.key, ok=succeeded)
    finish(engine, insert("a"))
    assert get(store, "parent", "meta").state == {"child": "a", "ok": True}


def test_an_exception_in_finish_undoes_only_its_own_changes(store, toy, start, caplog):
    engine = start()
    begin(engine, insert("parent", kind="meta"))

    def on_finish(tx, row, succeeded):
        tx.patch_state("meta", "parent", **{row.key: True})
        if row.key == "a":
            raise ValueError("hunter2")

    toy.on_finish = on_finish
    record = finish(engine, both(insert("a"), insert("b")))
    assert record.status == "Succeeded"
    assert get(store, "parent", "meta").state == {"b": True}
    assert record.id in caplog.text
    assert "hunter2" not in caplog.text


def test_what_finish_leaves_unsettled_is_converged_in_the_background(store, toy, start):
    engine = start()
    finish(engine, insert("helper"))

    def on_finish(tx, row, succeeded):
        if row.key == "a":
            tx.remove("toy", "helper")

    toy.on_finish = on_finish
    assert finish(engine, insert("a")).status == "Succeeded"
    wait_until(lambda: get(store, "helper") is None)


# Observing


def test_start_and_poke_observe_settled_resources(store, toy, start):
    engine = start()
    finish(engine, both(insert("a"), insert("b")))
    engine.stop()
    toy.observed.clear()
    engine = start()
    toy.until(lambda: set(toy.observed) == {"a", "b"})
    toy.on_observe = lambda row, ctx: ctx.patch_state(power="running")
    engine.poke("toy", "a")
    wait_until(lambda: get(store, "a").state == {"power": "running"})
    assert get(store, "b").state == {}


def test_settled_resources_are_observed_again_and_again(toy, start):
    engine = start(resync=0.05)
    finish(engine, insert("a"))
    toy.until(lambda: toy.observed.count("a") >= 3)


def test_pokes_that_pile_up_count_as_one(toy, start):
    engine = start()
    finish(engine, insert("a"))
    gate = threading.Event()
    toy.on_observe = lambda row, ctx: gate.wait(10)
    engine.poke("toy", "a")
    toy.until(lambda: toy.observed == ["a"])
    for _ in range(100):
        engine.poke("toy", "a")
    gate.set()
    toy.until(lambda: toy.observed == ["a", "a"])
    time.sleep(0.05)
    assert toy.observed == ["a", "a"]


def test_an_observation_of_a_resource_that_changed_hands_is_dropped_and_made_again(store, toy, start):
    engine = start()
    finish(engine, insert("a"))
    gate = threading.Event()
    seen = []

    def late(row, ctx):
        seen.append(row.operation)
        assert gate.wait(10)
        ctx.patch_state(seen=str(row.operation))

    toy.on_observe = late
    engine.poke("toy", "a")
    toy.until(lambda: toy.observed == ["a"])
    toy.script["b"] = HOLD
    id = begin(engine, both(lambda tx: tx.lock("toy", "a"), insert("b")))
    gate.set()
    wait_until(lambda: get(store, "a").state == {"seen": id})
    assert seen == [None, id]


def test_an_observation_does_not_overwrite_what_a_new_goal_has_made(store, toy, start):
    engine = start()
    finish(engine, insert("a"))
    gate = threading.Event()

    def late(row, ctx):
        assert gate.wait(10)
        ctx.patch_state(seen=row.generation)

    toy.on_observe = late
    engine.poke("toy", "a")
    toy.until(lambda: toy.observed == ["a"])
    toy.script["a"] = Converged({"made": 2})
    id = begin(engine, lambda tx: tx.set_goal("toy", "a", {"x": 1}))
    gate.set()
    assert engine.wait(id, 10).status == "Succeeded"
    assert get(store, "a").state == {"made": 2}


def test_drift_is_repaired(store, toy, start):
    engine = start()
    finish(engine, insert("a"))
    toy.on_observe = lambda row, ctx: ctx.unsettle() if len(toy.observed) == 1 else None
    toy.calls.clear()
    engine.poke("toy", "a")
    toy.until(lambda: len(toy.calls) == 1)
    wait_until(lambda: get(store, "a").settled)


def test_an_observe_that_raises_is_tried_again(toy, start):
    engine = start()
    finish(engine, insert("a"))

    def on_observe(row, ctx):
        if len(toy.observed) < 3:
            raise OSError

    toy.on_observe = on_observe
    engine.poke("toy", "a")
    toy.until(lambda: len(toy.observed) == 3)


def test_a_poke_of_what_is_not_there_is_harmless(toy, start):
    engine = start()
    engine.poke("toy", "nothing")
    engine.poke("nothing", "nothing")
    assert finish(engine, insert("a")).status == "Succeeded"


# Start, stop, upkeep


def test_stopping_lets_the_running_step_finish_and_starts_no_other(store, toy, start):
    engine = start(workers=1)
    gate = threading.Event()

    def slow(row, ctx):
        gate.wait(10)
        ctx.patch_state(done=True)
        return Converged()

    toy.script["a"] = slow
    begin(engine, both(insert("a"), insert("b", after=["a"])))
    toy.until(lambda: keys_called(toy) == ["a"])
    threading.Timer(0.1, gate.set).start()
    assert engine.stop() is True
    assert get(store, "a").state == {"done": True}
    assert keys_called(toy) == ["a"]


def test_stopping_does_not_wait_for_ever(toy, start):
    engine = start()
    gate = threading.Event()
    toy.script["a"] = lambda row, ctx: gate.wait(20) and Converged()
    begin(engine, insert("a"))
    toy.until(lambda: keys_called(toy) == ["a"])
    assert engine.stop(timeout=0.1) is False
    gate.set()


def test_what_was_accepted_before_the_start_is_driven_by_it(store, toy, start):
    idle = Engine(store, [toy])
    id = begin(idle, insert("a"))
    assert idle.operation(id).status == "InProgress"
    assert start().wait(id, 10).status == "Succeeded"


def test_finished_operations_expire(store, toy, start):
    engine = Engine(store, [toy])
    old, new = begin(engine, lambda tx: None), begin(engine, lambda tx: None)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    store.write(lambda session: session.update_operation(old, finished=long_ago))
    engine = start(retention=86400)
    wait_until(lambda: engine.operation(old) is None)
    assert engine.operation(new) is not None


def test_an_idle_engine_uses_no_processor_time(toy, start):
    engine = start()
    finish(engine, both(*(insert(f"k{number}") for number in range(20))))
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.05


def test_the_default_observe_is_not_called_at_all(store):
    class Plain(Reconciler):
        kind = "plain"

        def converge(self, row, ctx):
            return Converged()

    assert Engine(store, [Plain()])._observed_kinds() == []
    assert Engine(store, [Scripted()])._observed_kinds() == ["toy"]


def test_two_engines_live_in_one_process(tmp_path):
    stores = [Store(tmp_path / name) for name in ("one", "two")]
    engines = [Engine(store, [Scripted()]) for store in stores]
    for engine in engines:
        engine.start()
    assert finish(engines[0], insert("a")).status == "Succeeded"
    assert get(stores[1], "a") is None
    for engine, store in zip(engines, stores, strict=True):
        engine.stop()
        store.close()


def test_keys_are_lower_case(start):
    with pytest.raises(ValueError, match="lower-case"):
        begin(start(), insert("Big"))


def test_any_error_with_the_shape_of_a_service_error_is_permanent(toy, start):
    error = SimpleNamespace(code="X", status=400, message="m", remedy="r")
    toy.script["a"] = lambda row, ctx: Failed(error) if row.present else Converged()
    assert finish(start(), insert("a")).failure == vars(error)


def wait_until(condition, timeout=10.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
