"""kill -9 at every step of every kind of operation, and at random times."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import killing
from reddog.engine import Engine, EngineSettings, Exists, Locked, Missing, OperationRequest, Tx
from reddog.store import Store
from toys import Files, begin, new_id

SETUP, OPERATION = "a" * 32, "b" * 32
Change = Callable[[Tx], object]


def insert(tx: Tx, key: str, size: int = 1, after: tuple[str, ...] = (), **goal: object) -> None:
    tx.insert(
        "file", key, subscription="sub", goal={"size": size, **goal}, after=[("file", one) for one in after]
    )


def several(tx: Tx, **last: object) -> None:
    insert(tx, "disk")
    insert(tx, "net")
    tx.set_goal("file", "old", {"size": 9})
    insert(tx, "vm", 2, ("disk", "net", "old"), **last)


def removal_of_two(tx: Tx) -> None:
    tx.remove("file", "old")
    tx.remove("file", "older", after=[("file", "old")])


def half_removal(tx: Tx) -> None:
    tx.remove("file", "older")
    tx.set_goal("file", "old", {"size": 3, "fail": True}, after=[("file", "older")])


BEFORE = {"old": "5", "older": "6"}
CASES: dict[str, tuple[Change, str, dict[str, str], int]] = {
    "insert": (lambda tx: insert(tx, "new"), "Succeeded", {**BEFORE, "new": "1"}, 1),
    "change": (lambda tx: tx.set_goal("file", "old", {"size": 7}), "Succeeded", {**BEFORE, "old": "7"}, 1),
    "remove": (lambda tx: tx.remove("file", "old"), "Succeeded", {"older": "6"}, 1),
    "several": (several, "Succeeded", {**BEFORE, "old": "9", "disk": "1", "net": "1", "vm": "2"}, 4),
    "remove two": (removal_of_two, "Succeeded", {}, 2),
    "failing insert": (lambda tx: insert(tx, "new", fail=True), "Failed", BEFORE, 1),
    "failing change": (lambda tx: tx.set_goal("file", "old", {"size": 3, "fail": True}), "Failed", BEFORE, 1),
    "failing several": (lambda tx: several(tx, fail=True), "Failed", BEFORE, 4),
    "failing after a removal": (half_removal, "Failed", {"old": "5"}, 2),
}


def cloud(directory: Path, checkpoint: killing.Checkpoint) -> tuple[Store, Engine]:
    store = Store(directory / "data")
    settings = EngineSettings(workers=2)
    return store, Engine(store, [Files(directory / "world")], settings=settings, checkpoint=checkpoint)


def set_up(tx: Tx) -> None:
    tx.insert("tally", "finish", subscription="", goal={}, state={"count": 0})
    insert(tx, "old", 5)
    insert(tx, "older", 6)


def perform(directory: Path, checkpoint: killing.Checkpoint, id: str, change: Change) -> None:
    store, engine = cloud(directory, checkpoint)
    if engine.operation(id) is None:
        engine.accept(OperationRequest(id, "Do Something", "sub"), change)
    engine.start()
    engine.wait(id, 30)
    engine.stop()
    store.close()


def world(directory: Path) -> dict[str, str]:
    """What exists, by key; a key with two files is an effect that happened twice."""
    found = {}
    for place in (directory / "world").iterdir():
        if place.is_dir():
            (file,) = place.iterdir()
            found[place.name] = file.read_text()
    return found


def check_rest(directory: Path, store: Store) -> None:
    """Nothing is locked, nothing is unfinished, and the world is as the resources say."""
    rows = store.read(lambda reader: reader.list("file"))
    assert store.read(lambda reader: reader.running()) == []
    assert store.read(lambda reader: reader.unsettled(0, 10)) == []
    assert [row.key for row in rows if row.operation or row.back or row.after] == []
    assert {row.key: str(row.goal["size"]) for row in rows} == world(directory)


@pytest.mark.parametrize("case", CASES)
def test_a_killed_operation_ends_as_if_it_had_not_been_killed(case: str, tmp_path: Path) -> None:
    change, status, expected, finished = CASES[case]

    def scenario(directory: Path, checkpoint: killing.Checkpoint) -> None:
        if not (directory / "data").exists():
            shutil.copytree(tmp_path / "before", directory, dirs_exist_ok=True)
        perform(directory, checkpoint, OPERATION, change)

    def verify(directory: Path) -> None:
        store = Store(directory / "data")
        try:
            record = store.read(lambda reader: reader.operation(OPERATION))
            assert record is not None
            assert record.status == status
            assert world(directory) == expected
            check_rest(directory, store)
            tally = store.read(lambda reader: reader.get("tally", "finish"))
            assert tally is not None
            assert tally.state["count"] == 2 + finished
        finally:
            store.close()

    (tmp_path / "before").mkdir()
    perform(tmp_path / "before", lambda name: None, SETUP, set_up)
    assert killing.matrix(scenario, verify, tmp_path) >= 8


def a_random_change() -> tuple[Change, int]:
    """A change, and how many resources it is about."""
    one, two, three = random.sample("abcdef", 3)
    fail = random.random() < 0.2
    size = random.randrange(100)
    return random.choice(
        [
            (lambda tx: insert(tx, one, size, fail=fail), 1),
            (lambda tx: tx.set_goal("file", one, {"size": size, "fail": fail}), 1),
            (lambda tx: tx.remove("file", one), 1),
            (lambda tx: (insert(tx, one), insert(tx, two, size, (one,), fail=fail)), 2),
            (lambda tx: (tx.remove("file", one), insert(tx, two), insert(tx, three, 1, (one, two))), 3),
        ]
    )


def busy(directory: Path, checkpoint: killing.Checkpoint) -> None:
    store, engine = cloud(directory, checkpoint)
    if engine.operation(SETUP) is None:
        engine.accept(OperationRequest(SETUP, "Do Something", "sub", parameters={"rows": 2}), set_up)
    engine.start()
    done = len(store.read(lambda reader: reader.operations("sub")))
    for _ in range(2000 - done):
        change, rows = a_random_change()
        with suppress(Locked, Exists, Missing):
            begin(engine, change, id=new_id(), parameters={"rows": rows})
    for record in store.read(lambda reader: reader.running()):
        engine.wait(record.id, 30)
    engine.stop()
    store.close()


def verify_busy(directory: Path) -> None:
    store = Store(directory / "data")
    try:
        check_rest(directory, store)
        records = store.read(lambda reader: reader.operations("sub"))
        assert {record.status for record in records} == {"Succeeded", "Failed"}
        tally = store.read(lambda reader: reader.get("tally", "finish"))
        assert tally is not None
        assert tally.state["count"] == sum(record.parameters["rows"] for record in records)
    finally:
        store.close()


@pytest.mark.slow
def test_a_cloud_that_is_killed_at_random_times_loses_and_repeats_nothing(tmp_path: Path) -> None:
    kills = killing.soak(busy, verify_busy, tmp_path, seconds=15, longest=0.6)
    assert kills >= 5
