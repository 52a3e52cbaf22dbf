"""Changes of tables and queues that are made without a thread, and when they are not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reddog.storage import AccountNotFound, StorageError
from reddog.storage.tables._entity import Entity
from reddog.storage.tables._ranges import Span
from reddog.storage.tables._store import TableStore, TableWriter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TableStore]:
    store = TableStore(tmp_path / "tables.db", "acct")
    asyncio.run(store.write(lambda tables: tables.create("things")))
    yield store
    store.close()


class Insert:
    """An insert that remembers the thread it was made in."""

    def __init__(self, row: str) -> None:
        self._row = row
        self.thread = 0

    def __call__(self, tables: TableWriter) -> None:
        self.thread = threading.get_ident()
        tables.insert("things", Entity("p", self._row, 0, {"number": 1}))


def rows(store: TableStore) -> set[str]:
    return {
        one.row
        for one in store.look(lambda tables: tables.page("things", [Span(("", ""))], None, 1000)).entities
    }


async def test_a_lone_change_needs_no_thread(store: TableStore):
    for number in range(3):
        insert = Insert(str(number))
        await store.write_briefly(insert)
        assert insert.thread == threading.get_ident()
    assert rows(store) == {"0", "1", "2"}


async def test_changes_that_come_together_share_a_commit(store: TableStore):
    database = store._opened()
    commits: list[str] = []
    database._writer._connection.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    inserts = [Insert(str(number)) for number in range(40)]
    await asyncio.gather(*map(store.write_briefly, inserts))
    assert len(commits) < 20
    assert len({insert.thread for insert in inserts}) <= 2
    assert rows(store) == set(map(str, range(40)))


async def test_the_event_loop_does_not_wait_for_a_slow_disk(store: TableStore, monkeypatch):
    writer, threads = store._opened()._writer, set[int]()
    monkeypatch.setattr(writer, "_pace", 1.0)
    writer._connection.set_trace_callback(
        lambda sql: threads.add(threading.get_ident()) if sql == "COMMIT" else None
    )
    await store.write_briefly(Insert("0"))
    assert rows(store) == {"0"}
    assert threads
    assert threading.get_ident() not in threads


async def test_changes_that_find_the_writer_busy_wait_for_it_beside_the_event_loop(store: TableStore):
    begun, go_on = threading.Event(), threading.Event()
    long = store._opened().submit(lambda tables: (begun.set(), go_on.wait(10)))
    await asyncio.to_thread(begun.wait, 10)
    inserts = asyncio.gather(*[store.write_briefly(Insert(str(number))) for number in range(10)])
    await asyncio.sleep(0.05)
    assert not inserts.done()
    go_on.set()
    await inserts
    assert long.done()
    assert rows(store) == set(map(str, range(10)))


async def test_a_change_that_is_cancelled_while_it_waits_does_not_happen(store: TableStore):
    kept, gone = [asyncio.ensure_future(store.write_briefly(Insert(name))) for name in ("kept", "gone")]
    await asyncio.sleep(0)  # they wait now
    gone.cancel()
    await kept
    assert gone.cancelled()
    assert rows(store) == {"kept"}


async def test_what_a_lone_change_raises_has_undone_it(store: TableStore):
    await store.write_briefly(Insert("0"))

    def change(tables: TableWriter) -> None:
        Insert("1")(tables)
        Insert("0")(tables)

    with pytest.raises(StorageError, match="already exists"):
        await store.write_briefly(change)
    assert rows(store) == {"0"}
    insert = Insert("1")
    await store.write_briefly(insert)
    assert insert.thread == threading.get_ident()


async def test_a_lone_change_finds_its_account_gone(store: TableStore):
    store.close()
    with pytest.raises(AccountNotFound):
        await store.write_briefly(Insert("0"))


async def test_an_account_that_is_removed_ends_after_the_change_that_is_being_made(store: TableStore):
    closing = threading.Thread(target=store.close)

    def change(tables: TableWriter) -> None:
        closing.start()
        Insert("0")(tables)

    await store.write_briefly(change)
    closing.join(10)
    assert not closing.is_alive()
    with pytest.raises(AccountNotFound):
        await store.write_briefly(Insert("1"))
