"""Accounts that are removed and made again while clients use them."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest

from reddog.storage._errors import AccountNotFound
from storage_load import KEY, Caller, held

MESSAGE = b"<QueueMessage><MessageText>a</MessageText></QueueMessage>"


def everything(caller: Caller, choose: random.Random) -> int:
    """Any request; its status."""
    json = {"content_type": "application/json"}
    blob, name = {"x_ms_blob_type": "BlockBlob"}, f"things/{choose.randrange(6)}"
    requests: list[Callable[[], tuple[int, bytes]]] = [
        lambda: caller.call("blob", "PUT", "things", "restype=container"),
        lambda: caller.call("blob", "PUT", name, body=os.urandom(choose.choice((1, 300_000))), **blob),
        lambda: caller.call("blob", "PUT", name, "comp=block&blockid=YQ==", b"block"),
        lambda: caller.call("blob", "GET", name),
        lambda: caller.call("blob", "DELETE", name),
        lambda: caller.call("blob", "PUT", name, x_ms_copy_source=caller.url("things/0")),
        lambda: caller.call("blob", "GET", "things", "restype=container&comp=list"),
        lambda: caller.call("blob", "GET", "", "restype=service&comp=properties"),
        lambda: caller.call("queue", "PUT", "queue"),
        lambda: caller.call("queue", "POST", "queue/messages", body=MESSAGE),
        lambda: caller.call("queue", "GET", "queue/messages"),
        lambda: caller.call("queue", "GET", "queue/messages", "peekonly=true"),
        lambda: caller.call("queue", "DELETE", "queue"),
        lambda: caller.call("table", "POST", "Tables", body=b'{"TableName": "rows"}', **json),
        lambda: caller.call("table", "PUT", "rows(PartitionKey='a',RowKey='b')", body=b'{"V": 1}', **json),
        lambda: caller.call("table", "GET", "rows()"),
        lambda: caller.call("table", "DELETE", "Tables('rows')"),
    ]
    return choose.choice(requests)()[0]


@pytest.mark.timeout(120)
def test_accounts_that_go_while_they_are_used_break_nothing(server, caplog):
    server.storage.ensure_account("acct", KEY, KEY)
    end, statuses, failures = threading.Event(), list[int](), list[BaseException]()

    def work(seed: int) -> None:
        caller, choose = Caller(server.ports, busy=True), random.Random(seed)
        try:
            while not end.is_set():
                statuses.append(everything(caller, choose))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(25):
        done = len(statuses)
        until = time.monotonic() + 10
        while len(statuses) < done + 20 and not failures and time.monotonic() < until:
            time.sleep(0.005)
        server.storage.remove_account("acct")
        server.storage.ensure_account("acct", KEY, KEY)
    end.set()
    for thread in threads:
        thread.join(30)
    assert not failures, (failures, caplog.text)
    assert {201, 404} <= set(statuses)
    server.storage.remove_account("acct")
    assert list(server.root.iterdir()) == []
    until = time.monotonic() + 20
    while held(server.root):
        assert time.monotonic() < until, held(server.root)
        time.sleep(0.05)


def test_an_account_waits_with_its_going_until_its_index_is_open(server, monkeypatch):
    server.storage.ensure_account("acct", KEY, KEY)
    index = server.storage.find("acct").index
    connect, removal = sqlite3.connect, threading.Thread(target=server.storage.remove_account, args=("acct",))

    def slowly(*args, **options):
        removal.start()
        removal.join(0.3)
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", slowly)
    with index.transaction(), index.transaction():  # the second opens a connection of its own
        assert index.properties("blob") is None
    removal.join(30)
    with pytest.raises(AccountNotFound), index.transaction():
        pass
    assert not held(server.root)
