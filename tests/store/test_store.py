"""The store: durability, isolation of changes, snapshots, paging, and what it says when it cannot."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql

from reddog.store import (
    OperationRecord,
    Outcome,
    Store,
    StoreError,
    WriteSession,
    _migrations,
    _sqlite,
    _statements,
)
from reddog.store._migrations import FIRST_VERSION, Migration

NOW = datetime(2014, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


def add(session: WriteSession, key: str, **values) -> int:
    row = {
        "kind": "disk",
        "key": key,
        "subscription": "sub",
        "goal": {},
        "state": {},
        "present": True,
        "settled": True,
        "created": NOW,
        "modified": NOW,
        "generation": 1,
    }
    return session.insert(row | values)


def operation(id: str, **values) -> OperationRecord:
    record = {
        "id": id,
        "name": "Add Disk",
        "subscription": "sub",
        "object_id": "/sub/services/disks/One",
        "parameters": {},
        "caller": {},
        "status": "Succeeded",
        "failure": None,
        "rolling_back": False,
        "started": NOW,
        "finished": NOW,
        "timeout": 900.0,
    }
    return OperationRecord(**(record | values))


class Blocker:
    """Occupies the writer, so that changes queue up behind it, until `release`."""

    def __init__(self, store: Store) -> None:
        begun = threading.Event()
        self._gate = threading.Event()
        self._answer = store._database._writer.submit(lambda session: (begun.set(), self._gate.wait(10)))
        assert begun.wait(10)

    def release(self) -> None:
        self._gate.set()
        self._answer.result(10)


def test_a_resource_comes_back_as_it_was_written(store):
    values = {
        "parent": "service",
        "goal": {"name": "Größe", "list": [1, {"a": None}], "flag": True},
        "state": {"x": 1.5},
        "after": (("disk", "a"), ("disk", "b")),
        "back": {"present": False},
        "failure": {"code": "X", "status": 400},
        "operation": "1" * 32,
        "settled": False,
    }
    uid = store.write(lambda session: add(session, "one", **values))
    row = store.read(lambda reader: reader.get("disk", "one"))
    assert {name: getattr(row, name) for name in values} == values
    assert (row.uid, row.created, row.present, row.generation) == (uid, NOW, True, 1)


def test_an_identity_is_never_given_again(store):
    first = store.write(lambda session: add(session, "one"))
    store.write(lambda session: session.delete(first))
    assert store.write(lambda session: add(session, "one")) > first


def test_secrets_stay_out_of_reprs(store):
    store.write(lambda session: add(session, "one", goal={"p": "hunter2"}, state={"p": "hunter2"}))
    assert "hunter2" not in repr(store.read(lambda reader: reader.get("disk", "one")))
    assert "hunter2" not in repr(operation("1", parameters={"p": "hunter2"}))


def test_what_was_answered_survives_a_kill(tmp_path):
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from reddog.store import Store; from store.test_store import add\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for n in range(20): store.write(lambda session: add(session, f'k{n}'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = Path(__file__).parents[1]
    child = subprocess.run([sys.executable, "-c", code, tmp_path, tests], check=False)
    assert child.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert store.read(lambda reader: reader.count("disk")) == 20
    store.close()


def test_a_change_that_raises_is_undone_alone_within_a_shared_commit(store):
    blocker = Blocker(store)

    def failing(session):
        add(session, "bad")
        raise ValueError("no")

    answers = [
        store._database._writer.submit(lambda session, n=n: add(session, f"good{n}")) for n in range(5)
    ]
    bad = store._database._writer.submit(failing)
    answers += [store._database._writer.submit(lambda session: add(session, "last"))]
    blocker.release()
    for answer in answers:
        answer.result(5)
    with pytest.raises(ValueError, match="no"):
        bad.result(5)
    keys = [row.key for row in store.read(lambda reader: reader.list("disk"))]
    assert keys == ["good0", "good1", "good2", "good3", "good4", "last"]


def test_changes_that_queue_up_share_a_commit(store):
    commits = []
    store._database._writer._connection.set_trace_callback(
        lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    blocker = Blocker(store)
    answers = [store._database._writer.submit(lambda session, n=n: add(session, f"k{n}")) for n in range(50)]
    blocker.release()
    for answer in answers:
        answer.result(5)
    assert len(commits) == 2


def test_a_change_is_visible_to_reads_as_soon_as_it_is_answered(store):
    for n in range(50):
        store.write(lambda session, n=n: add(session, f"k{n}"))
        assert store.read(lambda reader, n=n: reader.get("disk", f"k{n}")) is not None


def test_a_read_sees_one_snapshot(store):
    store.write(lambda session: add(session, "one"))

    def twice(reader):
        before = reader.count("disk")
        store.write(lambda session: add(session, "two"))
        return before, reader.count("disk")

    assert store.read(twice) == (1, 1)
    assert store.read(lambda reader: reader.count("disk")) == 2


def test_a_blocked_writer_does_not_delay_reads(store):
    store.write(lambda session: add(session, "one"))
    blocker = Blocker(store)
    begin = time.monotonic()
    assert store.read(lambda reader: reader.get("disk", "one")) is not None
    assert time.monotonic() - begin < 1
    blocker.release()


def test_writing_from_within_a_change_is_refused_instead_of_hanging(store):
    with pytest.raises(RuntimeError, match="session it was given"):
        store.write(lambda session: store.write(lambda inner: add(inner, "one")))


class Making:
    """Changes made in this thread, and what became of them."""

    def __init__(self, store: Store, *changes: Callable[[WriteSession], object]) -> None:
        self._told = threading.Event()
        self.teller = 0
        self._outcomes = list[Outcome]()
        self.is_made = store._database.make_changes(changes, self._tell)
        self.is_final = self._told.is_set()

    def _tell(self, outcomes: list[Outcome]) -> None:
        self.teller, self._outcomes = threading.get_ident(), outcomes
        self._told.set()

    def outcomes(self) -> list[Outcome]:
        assert self._told.wait(10)
        return self._outcomes


def keys(store: Store) -> list[str]:
    return [row.key for row in store.read(lambda reader: reader.list("disk"))]


def test_a_change_of_a_caller_that_is_alone_is_committed_in_its_own_thread(store):
    threads = []
    making = Making(store, lambda session: (threads.append(threading.get_ident()), add(session, "mine"))[1])
    assert making.is_made
    assert making.is_final
    assert {*threads, making.teller} == {threading.get_ident()}
    assert making.outcomes()[0].result is not None
    assert keys(store) == ["mine"]


def test_changes_that_a_caller_makes_together_are_committed_beside_it(store):
    making = Making(store, *[lambda session, n=n: add(session, f"k{n}") for n in range(5)])
    assert making.is_made
    assert all(outcome.error is None for outcome in making.outcomes())
    assert making.teller != threading.get_ident()
    assert keys(store) == [f"k{n}" for n in range(5)]


@pytest.mark.parametrize("others", [0, 3])
def test_what_a_caller_changes_before_it_raises_is_undone_alone(store, others):
    def bad(session, error):
        add(session, "bad")
        raise error

    for error in (ValueError("no"), KeyboardInterrupt()):
        names = [f"{error!r}{n}" for n in range(others)]
        changes = [lambda session, name=name: add(session, name) for name in names]
        making = Making(store, *changes, lambda session, error=error: bad(session, error))
        outcomes = making.outcomes()
        assert outcomes[-1].error is error
        assert all(outcome.error is None for outcome in outcomes[:-1])
    (refused,) = Making(
        store, lambda session: session._connection.execute("SELECT * FROM nothing")
    ).outcomes()
    assert "refused a statement" in str(refused.error)
    assert len(keys(store)) == 2 * others
    assert "bad" not in keys(store)


def test_nobody_makes_changes_beside_one_that_is_under_way(store):
    blocker = Blocker(store)
    assert not Making(store, lambda session: add(session, "refused")).is_made
    blocker.release()
    store.write(lambda session: add(session, "later"))
    assert keys(store) == ["later"]


def test_what_is_queued_meanwhile_shares_the_commit_of_what_a_caller_makes(store):
    queued = []

    def change(session):
        queued.append(store._database.submit(lambda session: add(session, "queued")))
        return add(session, "mine")

    making = Making(store, change, lambda session: add(session, "too"))
    assert not queued[0].done() or making.outcomes()
    assert queued[0].result(10)
    assert [outcome.error for outcome in making.outcomes()] == [None, None]
    assert sorted(keys(store)) == ["mine", "queued", "too"]


def test_a_change_is_committed_in_its_callers_thread_only_while_commits_are_quick(store, monkeypatch):
    monkeypatch.setattr(store._database._writer, "_pace", 1.0)
    making = Making(store, lambda session: add(session, "slow"))
    assert making.outcomes()[0].error is None
    assert making.teller != threading.get_ident()
    for number in range(200):
        store.write(lambda session, number=number: add(session, f"k{number}"))
    assert store._database._writer._pace < 0.1  # it is learned


def test_writing_from_within_a_change_that_a_caller_makes_is_refused_instead_of_hanging(store):
    making = Making(store, lambda session: store.write(lambda inner: add(inner, "one")))
    assert "session it was given" in str(making.outcomes()[0].error)
    assert store.write(lambda session: add(session, "two"))


@pytest.mark.parametrize("others", [0, 3])
def test_what_a_caller_makes_while_the_store_is_closed_is_kept(tmp_path, others):
    store, begun = Store(tmp_path / "data"), threading.Event()
    closing = threading.Thread(target=lambda: (begun.wait(10), store.close()))
    closing.start()

    def change(session):
        begun.set()
        time.sleep(0.05)
        return add(session, "last")

    making = Making(store, change, *[lambda session, n=n: add(session, f"k{n}") for n in range(others)])
    assert all(outcome.error is None for outcome in making.outcomes())
    closing.join(10)
    assert not closing.is_alive()
    for _ in range(2):
        with pytest.raises(StoreError, match="closed"):
            Making(store, *[lambda session: add(session, "later")] * (1 + others))
    again = Store(tmp_path / "data")
    assert len(keys(again)) == 1 + others
    again.close()


def test_changes_of_a_caller_in_a_transaction_that_the_database_lost_are_told_so(store):
    def lose(session):
        store._database._writer._connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    making = Making(
        store, lambda session: add(session, "before"), lose, lambda session: add(session, "after")
    )
    assert all(isinstance(outcome.error, StoreError) for outcome in making.outcomes())
    assert len(making.outcomes()) == 3
    assert Making(store, lambda session: add(session, "later")).outcomes()[0].error is None
    assert keys(store) == ["later"]


def test_many_threads_read_and_write_at_once(store):
    failures = []

    def work(number):
        try:
            for n in range(20):
                change = lambda session, n=n: add(session, f"{number}-{n}")  # noqa: E731
                making = Making(store, change) if number % 2 else None
                if making is None or not making.is_made:
                    store.write(change)
                else:
                    assert making.outcomes()[0].error is None
                assert store.read(lambda reader, n=n: reader.get("disk", f"{number}-{n}")) is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.read(lambda reader: reader.count("disk")) == 160


def test_lists_are_filtered_and_paged_in_the_order_of_keys(store):
    def fill(session):
        for n in range(10):
            add(session, f"k{n}", subscription=f"s{n % 2}", parent=f"p{n % 3}")
        add(session, "k3", kind="image", subscription="s1")

    store.write(fill)

    def keys(**filters):
        return [row.key for row in store.read(lambda reader: reader.list("disk", **filters))]

    assert keys() == [f"k{n}" for n in range(10)]
    assert keys(subscription="s1") == ["k1", "k3", "k5", "k7", "k9"]
    assert keys(parent="p0") == ["k0", "k3", "k6", "k9"]
    assert keys(subscription="s1", parent="p0") == ["k3", "k9"]
    assert keys(limit=3) == ["k0", "k1", "k2"]
    assert keys(after_key="k2", limit=3, subscription="s0") == ["k4", "k6", "k8"]
    assert keys(after_key="k9") == []
    assert store.read(lambda reader: reader.count("disk", subscription="s0", parent="p1")) == 1


@pytest.mark.parametrize(
    ("parameters", "index"),
    [
        ({}, "sqlite_autoindex_resources_1"),
        ({"subscription": "s"}, "resources_by_subscription"),
        ({"parent": "p"}, "resources_by_parent"),
    ],
)
def test_a_page_is_read_from_an_index_without_sorting(store, tmp_path, parameters, index):
    sql = store._statements.list(frozenset({*parameters, "after_key", "limit"}))
    with sqlite3.connect(tmp_path / "data" / "cloud.db") as connection:
        values = {"kind": "disk", "after_key": "", "limit": 5, **parameters}
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    assert index in plan
    assert "B-TREE" not in plan


def test_operations_are_filtered_and_paged_oldest_first(store):
    def fill(session):
        for n in range(6):
            record = operation(
                f"op{n}",
                started=NOW + timedelta(minutes=n),
                status="Failed" if n == 4 else "Succeeded",
                object_id=f"/sub/Disks/{n % 2}",
            )
            session.insert_operation(record)
        session.insert_operation(operation("other", subscription="another"))

    store.write(fill)

    def ids(**filters):
        return [record.id for record in store.read(lambda reader: reader.operations("sub", **filters))]

    assert ids() == ["op0", "op1", "op2", "op3", "op4", "op5"]
    assert ids(start=NOW + timedelta(minutes=2), end=NOW + timedelta(minutes=4)) == ["op2", "op3", "op4"]
    assert ids(status="Failed") == ["op4"]
    assert ids(object_id="/SUB/disks/1") == ["op1", "op3", "op5"]
    assert ids(after_id="op1", limit=2) == ["op2", "op3"]


def test_expired_operations_are_forgotten_but_not_the_running_ones(store):
    def fill(session):
        session.insert_operation(operation("old", finished=NOW - timedelta(days=2)))
        session.insert_operation(operation("new", finished=NOW))
        session.insert_operation(operation("running", finished=None, status="InProgress"))

    store.write(fill)
    assert store.write(lambda session: session.forget(NOW - timedelta(days=1), 10)) == 1
    ids = [record.id for record in store.read(lambda reader: reader.operations("sub"))]
    assert ids == ["new", "running"]


def test_only_the_owner_may_read_the_files(store, tmp_path):
    store.write(lambda session: add(session, "one"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert set(modes) == {"cloud.db", "cloud.db-wal", "cloud.db-shm", "lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_second_store_on_the_directory_names_the_holder_and_the_next_step(store, tmp_path):
    with pytest.raises(StoreError, match=rf"pid {os.getpid()}\. .*--data-dir"):
        Store(tmp_path / "data")
    store.close()
    Store(tmp_path / "data").close()


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read(lambda reader: reader.get("disk", "one"))
    with pytest.raises(StoreError, match="closed"):
        store.write(lambda session: add(session, "one"))


def test_a_full_disk_fails_the_change_with_the_next_step_and_heals(store):
    store.write(lambda session: add(session, "small"))
    pages = store._database._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._writer._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="no space left") as caught:
        store.write(lambda session: add(session, "large", goal={"x": "y" * 1_000_000}))
    assert "Free disk space" in caught.value.remedy
    store._database._writer._connection.execute("PRAGMA max_page_count = 1000000")
    store.write(lambda session: add(session, "large", goal={"x": "y" * 1_000_000}))
    assert store.read(lambda reader: reader.count("disk")) == 2


def test_a_transaction_that_the_database_lost_fails_everybody_in_it(store):
    blocker = Blocker(store)

    def lose(session):
        store._database._writer._connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    before = store._database._writer.submit(lambda session: add(session, "before"))
    lost = store._database._writer.submit(lose)
    after = store._database._writer.submit(lambda session: add(session, "after"))
    blocker.release()
    for answer in (before, lost):
        with pytest.raises(StoreError):
            answer.result(5)
    assert after.result(5)
    assert [row.key for row in store.read(lambda reader: reader.list("disk"))] == ["after"]


def test_a_change_that_is_cancelled_while_it_waits_does_not_happen(store):
    blocker = Blocker(store)
    cancelled = store._database.submit(lambda session: add(session, "cancelled"))
    kept = store._database.submit(lambda session: add(session, "kept"))
    assert cancelled.cancel()
    blocker.release()
    assert kept.result(5)
    assert store.read(lambda reader: [row.key for row in reader.list("disk")]) == ["kept"]


def test_a_change_that_is_cancelled_too_late_happens_and_breaks_nothing(store):
    begun, go_on = threading.Event(), threading.Event()

    def change(session):
        begun.set()
        go_on.wait(10)
        return add(session, "late")

    answer = store._database.submit(change)
    assert begun.wait(10)
    assert not answer.cancel()
    go_on.set()
    assert answer.result(5)
    store.write(lambda session: add(session, "later"))


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), ValueError("bad")])
def test_no_exception_ends_the_writer(store, error):
    def change(session):
        raise error

    def then(_):
        raise error

    with pytest.raises(type(error)):
        store.write(change)
    with pytest.raises(type(error)):
        store.write(lambda session: None, then=then)
    store.write(lambda session: add(session, "later"))


def test_a_damaged_database_is_reported_with_the_next_step(tmp_path):
    (tmp_path / "cloud.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreError, match=r"damaged.*backup"):
        Store(tmp_path)
    (tmp_path / "cloud.db").unlink()
    Store(tmp_path).close()  # the failed one has let go of the directory


def test_a_database_of_a_later_release_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StoreError, match="schema version 99"):
        Store(tmp_path)


def test_a_migration_is_applied_once_and_whole(tmp_path):
    Store(tmp_path).close()

    def broken(execute):
        execute("ALTER TABLE operations ADD COLUMN color TEXT")
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        Store(tmp_path, migrations=[Migration(FIRST_VERSION + 1, broken)])
    steps = [
        Migration(FIRST_VERSION + 1, lambda execute: execute("ALTER TABLE operations ADD COLUMN color TEXT"))
    ]
    for _ in range(2):
        Store(tmp_path, migrations=steps).close()
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        assert connection.execute("SELECT color FROM operations").fetchall() == []
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(FIRST_VERSION + 1,)]


def test_the_schema_and_the_statements_compile_for_postgresql_too():
    dialect = postgresql.dialect(paramstyle="pyformat")
    ddl: list[str] = []
    _migrations.migrate(None, ddl.append, dialect)
    assert any("SERIAL" in statement for statement in ddl)
    statements = _statements.Statements(dialect)
    for name in _statements._FIXED:
        assert statements.fixed(name)
    assert "%(after_key)s" in statements.list(frozenset({"after_key", "limit"}))


def test_a_database_that_may_not_be_written_is_explained(tmp_path):
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert "permissions" in _sqlite.explain(error, tmp_path).remedy


def test_a_single_read_is_quick_enough_for_an_event_loop(store):
    store.write(lambda session: add(session, "one", goal={"name": "x" * 500}))
    times = []
    for _ in range(500):
        begin = time.perf_counter()
        store.read(lambda reader: reader.get("disk", "one"))
        times.append(time.perf_counter() - begin)
    assert sorted(times)[250] < 0.001  # it takes about 25 us; a busy machine may take more
