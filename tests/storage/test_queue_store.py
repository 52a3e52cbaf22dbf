"""One queue against a model of it, with a clock that only moves when it is told to; and what is stored of it."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from reddog.storage import AccountNotFound
from reddog.storage._errors import MessageNotFound, NoSpace, QueueNotFound, StorageError
from reddog.storage.queues import _store as _queues
from reddog.storage.queues._store import NEVER, Message, QueueStore, QueueWriter

T = TypeVar("T")
START = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def change(store: QueueStore, what: Callable[[QueueWriter], T]) -> T:
    return asyncio.run(store.write(what))


@dataclass
class Expected:
    """What a message should be."""

    id: str
    receipt: str
    text: str
    visible: float
    expires: float
    order: int
    dequeued: int = 0


class OneQueue(RuleBasedStateMachine):
    """Every operation on the messages of one queue, compared with a list."""

    receipts = Bundle("receipts")

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.path = Path(self._directory.name) / "queues.db"
        self.clock = Clock()
        self.model: dict[str, Expected] = {}
        self.put_so_far = 0
        self.loop = asyncio.new_event_loop()
        self.open()
        self.write(lambda queues: queues.create("queue", {"a": "b"}))

    def open(self) -> None:
        self.store = QueueStore(self.path, "acct", self.clock)

    def write(self, what: Callable[[QueueWriter], T]) -> T:
        return self.loop.run_until_complete(self.store.write(what))

    def teardown(self) -> None:
        self.store.close()
        self.loop.close()
        self._directory.cleanup()

    def living(self) -> list[Expected]:
        return [one for one in self.model.values() if one.expires > self.clock.now]

    def visible(self, limit: int) -> list[Expected]:
        found = [one for one in self.living() if one.visible <= self.clock.now]
        return sorted(found, key=lambda one: (one.visible, one.order))[:limit]

    @rule(
        target=receipts,
        text=st.text(max_size=5),
        hidden=st.sampled_from([0, 0, 0, 1, 5, 30]),
        lasts=st.sampled_from([None, 1, 10, 10, 1000]),
    )
    def put(self, text: str, hidden: int, lasts: int | None):
        message = self.write(lambda queues: queues.put("queue", text, hidden, lasts))
        expires = NEVER if lasts is None else self.clock.now + lasts
        assert (message.inserted, message.expires) == (self.clock.now, expires)
        self.put_so_far += 1
        self.model[message.id] = Expected(
            message.id, message.pop_receipt, text, self.clock.now + hidden, expires, self.put_so_far
        )
        return message.id, message.pop_receipt

    @rule(target=receipts, limit=st.integers(1, 4), hidden=st.sampled_from([1, 5, 30]))
    def get(self, limit: int, hidden: int):
        expected = self.visible(limit)
        found = self.write(lambda queues: queues.get("queue", limit, hidden))
        assert [(one.id, one.text) for one in found] == [(one.id, one.text) for one in expected]
        for got, one in zip(found, expected, strict=True):
            assert got.pop_receipt != one.receipt
            one.receipt, one.visible = got.pop_receipt, self.clock.now + hidden
            one.dequeued += 1
            assert (got.visible, got.dequeued) == (one.visible, one.dequeued)
        return multiple(*((one.id, one.receipt) for one in expected))

    @rule(limit=st.integers(1, 4))
    def peek(self, limit: int):
        found = self.store.look(lambda queues: queues.peek("queue", limit))
        assert [(one.id, one.text, one.dequeued) for one in found] == [
            (one.id, one.text, one.dequeued) for one in self.visible(limit)
        ]

    @rule(
        target=receipts,
        known=receipts,
        text=st.one_of(st.none(), st.text(max_size=5)),
        hidden=st.sampled_from([0, 5]),
    )
    def update(self, known: tuple[str, str], text: str | None, hidden: int):
        identity, receipt = known
        if not self._is_mine(identity, receipt):
            with pytest.raises(MessageNotFound):
                self.write(lambda queues: queues.update("queue", identity, receipt, hidden, text))
            return multiple()
        message = self.write(lambda queues: queues.update("queue", identity, receipt, hidden, text))
        one = self.model[identity]
        one.receipt, one.visible = message.pop_receipt, self.clock.now + hidden
        one.text = one.text if text is None else text
        assert message.visible == one.visible
        return identity, one.receipt

    @rule(known=consumes(receipts))
    def delete(self, known: tuple[str, str]):
        identity, receipt = known
        if self._is_mine(identity, receipt):
            self.write(lambda queues: queues.remove("queue", identity, receipt))
            del self.model[identity]
        else:
            with pytest.raises(MessageNotFound):
                self.write(lambda queues: queues.remove("queue", identity, receipt))

    @rule(one=receipts, other=receipts)
    def another_messages_receipt_does_not_do(self, one: tuple[str, str], other: tuple[str, str]):
        if one[0] == other[0]:
            return
        with pytest.raises(StorageError) as error:
            self.write(lambda queues: queues.remove("queue", one[0], other[1]))
        exists = any(living.id == one[0] for living in self.living())
        assert error.value.code == ("PopReceiptMismatch" if exists else "MessageNotFound")

    def _is_mine(self, identity: str, receipt: str) -> bool:
        return any(one.id == identity and one.receipt == receipt for one in self.living())

    @rule()
    def clear(self):
        self.write(lambda queues: queues.clear("queue"))
        self.model.clear()

    @rule(seconds=st.sampled_from([0.5, 1, 4, 10, 100]))
    def wait(self, seconds: float):
        self.clock.now += seconds

    @rule()
    def restart(self):
        self.store.close()
        self.open()

    @invariant()
    def counts_what_is_there(self):
        queue = self.store.look(lambda queues: queues.queue("queue"))
        assert queue.metadata == {"a": "b"}
        assert self.store.look(lambda queues: queues.count(queue)) == len(self.living())


TestOneQueue = OneQueue.TestCase
TestOneQueue.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[QueueStore]:
    found = QueueStore(tmp_path / "queues.db", "acct", clock)
    change(found, lambda queues: queues.create("queue", {}))
    yield found
    found.close()


def rows(store: QueueStore, table: str = "messages") -> int:
    sql = f"SELECT count(*) FROM {table}"
    return store.look(lambda queues: queues._connection.execute(sql).fetchone()[0])


def settle(store: QueueStore) -> None:
    """Until nothing is left to be swept."""
    while store._sweeping:
        change(store, lambda queues: None)


def fill(store: QueueStore, count: int, lasts: float | None = 10) -> None:
    change(store, lambda queues: [queues.put("queue", "text", 0, lasts) for _ in range(count)])


def test_expired_messages_leave_the_disk_little_by_little(store: QueueStore, clock: Clock, monkeypatch):
    monkeypatch.setattr(_queues, "SWEPT_AT_ONCE", 10)
    fill(store, 55)
    clock.now += 10
    fill(store, 1)
    settle(store)
    assert rows(store) == 1


@pytest.mark.parametrize("action", ["delete", "clear"])
def test_what_a_dropped_queue_held_leaves_the_disk(store: QueueStore, monkeypatch, action: str):
    monkeypatch.setattr(_queues, "SWEPT_AT_ONCE", 10)
    fill(store, 35, None)
    change(store, lambda queues: getattr(queues, action)("queue"))
    settle(store)
    assert (rows(store), rows(store, "dropped")) == (0, 0)


def test_what_a_killed_process_did_not_sweep_the_next_one_does(
    store: QueueStore, tmp_path: Path, clock: Clock, monkeypatch
):
    fill(store, 5, None)
    with monkeypatch.context() as patch:
        patch.setattr(QueueStore, "_sweep", lambda store, queue: None)
        change(store, lambda queues: queues.delete("queue"))
        change(store, lambda queues: queues.create("queue", {}))
        fill(store, 5)
        clock.now += 10
        store.close()
    again = QueueStore(tmp_path / "queues.db", "acct", clock)
    change(again, lambda queues: None)
    settle(again)
    assert (rows(again), rows(again, "dropped"), rows(again, "queues")) == (0, 0, 1)
    again.close()


def test_a_deletion_that_was_undone_loses_no_message(store: QueueStore):
    fill(store, 3)

    def fail(queues: QueueWriter) -> None:
        queues.delete("queue")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change(store, fail)
    settle(store)
    assert rows(store) == 3


def test_a_message_of_a_cleared_queue_is_not_found_by_its_receipt(store: QueueStore):
    message = change(store, lambda queues: queues.put("queue", "text", 0, None))
    change(store, lambda queues: queues.clear("queue"))
    with pytest.raises(MessageNotFound):
        change(store, lambda queues: queues.remove("queue", message.id, message.pop_receipt))


def test_a_queues_receipt_opens_no_other_queue(store: QueueStore):
    message = change(store, lambda queues: queues.put("queue", "text", 0, None))
    change(store, lambda queues: queues.create("other", {}))
    with pytest.raises(MessageNotFound):
        change(store, lambda queues: queues.remove("other", message.id, message.pop_receipt))


@pytest.mark.parametrize("receipt", ["", "invalid", "é" * 32, "0" * 31, "G" * 32])
def test_a_receipt_that_is_none_does_not_do(store: QueueStore, receipt: str):
    message = change(store, lambda queues: queues.put("queue", "text", 0, None))
    with pytest.raises(StorageError) as error:
        change(store, lambda queues: queues.remove("queue", message.id, receipt))
    assert (error.value.code, error.value.status) == ("PopReceiptMismatch", 400)


def test_ids_and_receipts_cannot_be_guessed(store: QueueStore):
    messages = [change(store, lambda queues: queues.put("queue", "", 0, None)) for _ in range(20)]
    assert len({one.nonce for one in messages} | {one.receipt for one in messages}) == 40


def test_of_many_consumers_each_gets_messages_of_its_own(store: QueueStore):
    fill(store, 300, None)
    taken: list[str] = []

    def consume() -> None:
        while found := change(store, lambda queues: queues.get("queue", 7, 30)):
            taken.extend(one.id for one in found)

    with ThreadPoolExecutor(8) as pool:
        for answer in [pool.submit(consume) for _ in range(8)]:
            answer.result()
    assert len(taken) == len(set(taken)) == 300


def test_changes_that_wait_share_a_commit(store: QueueStore):
    commits: list[str] = []
    database = store._opened()
    database._writer._connection.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    gate = threading.Event()
    blocked = database.submit(lambda queues: gate.wait(10))
    answers = [database.submit(lambda queues: queues.put("queue", "", 0, None)) for _ in range(100)]
    gate.set()
    assert blocked.result(10)
    assert len({answer.result(10).id for answer in answers}) == 100
    assert 1 <= len(commits) <= 3


def test_a_closed_store_says_that_the_account_is_gone(store: QueueStore):
    store.close()
    store.close()
    with pytest.raises(AccountNotFound):
        change(store, lambda queues: queues.put("queue", "", 0, None))
    with pytest.raises(AccountNotFound):
        store.look(lambda queues: queues.queue("queue"))


def test_a_store_that_was_never_used_leaves_no_file(tmp_path: Path):
    store = QueueStore(tmp_path / "unused.db", "acct")
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_nothing_is_half_done(store: QueueStore):
    database = store._opened()
    connection = database._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(NoSpace):
        change(store, lambda queues: [queues.put("queue", "x" * 60_000, 0, None) for _ in range(3)])
    connection.execute("PRAGMA max_page_count = 1000000")
    assert rows(store) == 0
    fill(store, 1)


def test_queues_are_listed_by_name_from_a_marker_on(store: QueueStore):
    for name in ("b-2", "a-1", "b-1", "b-3"):
        change(store, lambda queues, name=name: queues.create(name, {"of": name}))
    assert [one.name for one in store.look(lambda queues: queues.queues("b-", "b-2", 10))] == ["b-2", "b-3"]
    (first,) = store.look(lambda queues: queues.queues("", "", 1))
    assert (first.name, first.metadata) == ("a-1", {"of": "a-1"})


def test_a_missing_queue_is_told_by_every_operation(store: QueueStore):
    message = Message(1, 2, 3, START, START, START, 0, "")
    operations: list[Callable[[QueueWriter], object]] = [
        lambda queues: queues.queue("none"),
        lambda queues: queues.peek("none", 1),
        lambda queues: queues.delete("none"),
        lambda queues: queues.clear("none"),
        lambda queues: queues.set_metadata("none", {}),
        lambda queues: queues.set_policies("none", {}),
        lambda queues: queues.put("none", "", 0, None),
        lambda queues: queues.get("none", 1, 1),
        lambda queues: queues.update("none", message.id, message.pop_receipt, 0, None),
        lambda queues: queues.remove("none", message.id, message.pop_receipt),
    ]
    for operation in operations:
        with pytest.raises(QueueNotFound):
            change(store, operation)


def test_no_operation_on_messages_reads_through_a_table(store: QueueStore, clock: Clock):
    fill(store, 3)
    connection, run = store._opened()._writer._connection, list[str]()
    connection.set_trace_callback(run.append)
    message = change(store, lambda queues: queues.put("queue", "", 0, 100))
    change(store, lambda queues: queues.peek("queue", 2))
    change(store, lambda queues: queues.count(queues.queue("queue")))
    message = change(store, lambda queues: queues.update("queue", message.id, message.pop_receipt, 0, "x"))
    change(store, lambda queues: queues.remove("queue", message.id, message.pop_receipt))
    clock.now += 50
    change(store, lambda queues: queues.get("queue", 32, 10))
    settle(store)
    change(store, lambda queues: queues.clear("queue"))
    settle(store)
    connection.set_trace_callback(None)
    statements = {sql for sql in run if sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))}
    plans = {sql: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")] for sql in statements}
    assert len(plans) > 10
    assert {sql: plan for sql, plan in plans.items() if any("SCAN" in step for step in plan)} == {}
