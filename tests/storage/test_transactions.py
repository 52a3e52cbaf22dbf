"""Changes of one file by many threads: one by one, together on the disk, and each undone alone."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from reddog.storage import AccountNotFound, NoSpace
from reddog.storage.blobs._transactions import LARGEST_BATCH, Transactions

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY, data TEXT NOT NULL)"


@pytest.fixture
def transactions(tmp_path: Path) -> Iterator[Transactions]:
    found = Transactions(tmp_path / "file.db", "acct", SCHEMA)
    yield found
    found.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(80) as found:
        yield found


def add(
    transactions: Transactions, name: str, data: str = "", then: Callable[[], None] = lambda: None
) -> None:
    with transactions.writing() as connection:
        connection.execute("INSERT INTO things VALUES (?, ?)", (name, data))
        then()


def names(transactions: Transactions) -> list[str]:
    with transactions.reading() as connection:
        return [name for (name,) in connection.execute("SELECT name FROM things ORDER BY name")]


def commits(transactions: Transactions) -> list[str]:
    seen: list[str] = []
    transactions._writer.set_trace_callback(lambda sql: seen.append(sql) if sql == "COMMIT" else None)
    return seen


@contextmanager
def busy(
    transactions: Transactions, pool: ThreadPoolExecutor, waiting: list[Callable[[], None]]
) -> Iterator[list[Future[None]]]:
    """One change takes its time while these others wait for their turn; all are let go at the end."""
    begun, go_on = threading.Event(), threading.Event()
    first = pool.submit(add, transactions, "first", "", lambda: (begun.set(), go_on.wait(20))[0])
    assert begun.wait(10)
    answers = [first, *(pool.submit(change) for change in waiting)]
    end = time.monotonic() + 10
    while transactions._waiting < len(waiting):
        assert time.monotonic() < end
        time.sleep(0.005)
    yield answers
    go_on.set()
    for answer in answers:
        answer.exception(20)


def test_changes_that_wait_share_a_commit(transactions: Transactions, pool: ThreadPoolExecutor):
    seen = commits(transactions)
    changes = [lambda number=number: add(transactions, f"n{number}") for number in range(20)]
    with busy(transactions, pool, changes) as answers:
        pass
    assert [answer.exception() for answer in answers] == [None] * 21
    assert len(seen) == 1
    assert len(names(transactions)) == 21


def test_a_commit_is_not_put_off_for_ever(transactions: Transactions, pool: ThreadPoolExecutor):
    seen = commits(transactions)
    changes = [lambda number=number: add(transactions, f"n{number}") for number in range(LARGEST_BATCH + 5)]
    with busy(transactions, pool, changes):
        pass
    assert len(seen) == 2


def test_nobody_goes_on_before_the_commit(transactions: Transactions, pool: ThreadPoolExecutor):
    done: list[str] = []

    def change(name: str) -> None:
        add(transactions, name)
        done.append(name)

    seen = commits(transactions)
    order: list[tuple[int, int]] = []
    with busy(transactions, pool, [lambda: change("a"), lambda: change("b")]):
        order.append((len(seen), len(done)))
    assert order == [(0, 0)]
    assert (len(seen), sorted(done)) == (1, ["a", "b"])


def test_a_change_that_raises_is_undone_alone(transactions: Transactions, pool: ThreadPoolExecutor):
    def fail() -> None:
        raise ValueError("no")

    changes = [
        lambda: add(transactions, "before"),
        lambda: add(transactions, "bad", "", fail),
        lambda: add(transactions, "after"),
    ]
    with busy(transactions, pool, changes) as answers:
        pass
    assert [type(answer.exception()) for answer in answers] == [type(None)] * 2 + [ValueError, type(None)]
    assert names(transactions) == ["after", "before", "first"]


def test_the_last_one_commits_for_the_others_even_when_it_raises(
    transactions: Transactions, pool: ThreadPoolExecutor
):
    def fail() -> None:
        raise ValueError("no")

    with busy(transactions, pool, [lambda: add(transactions, "bad", "", fail)]) as answers:
        pass
    assert answers[0].exception() is None
    assert names(transactions) == ["first"]


def test_readers_see_what_is_committed_and_wait_for_nobody(
    transactions: Transactions, pool: ThreadPoolExecutor
):
    add(transactions, "there")
    with busy(transactions, pool, []):
        assert names(transactions) == ["there"]
    assert names(transactions) == ["first", "there"]


def test_a_lost_batch_is_told_to_everybody_in_it(transactions: Transactions, pool: ThreadPoolExecutor):
    def lose() -> None:
        transactions._writer.execute("ROLLBACK")  # as SQLite does when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    with busy(transactions, pool, [lambda: add(transactions, "lost", "", lose)]) as answers:
        pass
    assert all(isinstance(answer.exception(), sqlite3.Error) for answer in answers)
    assert names(transactions) == []
    add(transactions, "later")


def test_a_full_disk_is_told_and_heals(transactions: Transactions):
    add(transactions, "small")
    writer = transactions._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0] + 2}")
    with pytest.raises(NoSpace):
        add(transactions, "large", "x" * 1_000_000)
    writer.execute("PRAGMA max_page_count = 1000000")
    add(transactions, "large", "x" * 1_000_000)
    assert names(transactions) == ["large", "small"]


def test_closing_keeps_what_was_done_and_ends_what_waits(
    transactions: Transactions, pool: ThreadPoolExecutor
):
    with busy(transactions, pool, [lambda: add(transactions, "late")]) as answers:
        closing = pool.submit(transactions.close)
        time.sleep(0.05)
    closing.result(10)
    transactions.close()
    assert answers[0].exception() is None
    assert answers[1].exception() is None or isinstance(answers[1].exception(), AccountNotFound)
    for action in (lambda: add(transactions, "later"), lambda: names(transactions)):
        with pytest.raises(AccountNotFound):
            action()


def test_every_commit_is_on_the_disk(transactions: Transactions):
    with transactions.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_of_many_changes_exactly_those_that_succeeded_are_there(
    transactions: Transactions, pool: ThreadPoolExecutor
):
    seen = commits(transactions)

    def work(worker: int) -> list[str]:
        choose, kept = random.Random(worker), []
        for number in range(25):
            name = f"{worker}-{number:02}"
            fails = choose.random() < 0.3
            try:
                add(transactions, name, "", lambda fails=fails: 1 // (not fails))  # type: ignore[misc]
            except ZeroDivisionError:
                continue
            assert name in names(transactions)
            kept.append(name)
        return kept

    kept = [name for found in pool.map(work, range(12)) for name in found]
    assert names(transactions) == sorted(kept)
    assert len(seen) < len(kept)
