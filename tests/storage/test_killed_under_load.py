"""Blobs, tables and queues changed by many at once while the process that keeps them is killed again and again."""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from reddog.storage import Storage
from reddog.storage._account import Account
from reddog.storage.blobs._transfer import read
from storage_load import KEY, Caller, Gone, Servers

KILLS = 20


class Blobs:
    """Five blobs that one client alone changes in every way; each may hold what was acknowledged or tried last."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.possible: dict[str, set[str]] = {}

    def step(self, caller: Caller, choose: random.Random) -> None:
        action = choose.choice((self.put, self.put_blocks, self.copy, self.write_page, self.delete))
        kind = "page" if action == self.write_page else "block"
        name = f"{kind}-{self.number}-{choose.randrange(5)}"
        data = os.urandom(4096 if kind == "page" else choose.choice((1, 4096, 70_000, 1_500_000)))
        value = "-" if action == self.delete else hashlib.sha256(data).hexdigest()
        self.possible.setdefault(name, {"-"}).add(value)
        action(caller, f"things/{name}", data)
        self.possible[name] = {value}

    def put(self, caller: Caller, path: str, data: bytes) -> None:
        assert caller.call("blob", "PUT", path, body=data, x_ms_blob_type="BlockBlob")[0] == 201

    def put_blocks(self, caller: Caller, path: str, data: bytes) -> None:
        for block, piece in (("YQ==", data[: len(data) // 2]), ("Yg==", data[len(data) // 2 :])):
            assert caller.call("blob", "PUT", path, f"comp=block&blockid={block}", piece or b"x")[0] == 201
        blocks = ("YQ==", "Yg==") if len(data) > 1 else ("Yg==",)
        shown = "".join(f"<Latest>{block}</Latest>" for block in blocks)
        body = f"<BlockList>{shown}</BlockList>".encode()
        assert caller.call("blob", "PUT", path, "comp=blocklist", body)[0] == 201

    def copy(self, caller: Caller, path: str, data: bytes) -> None:
        source = f"things/source-{self.number}"
        self.put(caller, source, data)
        assert caller.call("blob", "PUT", path, x_ms_copy_source=caller.url(source))[0] == 202

    def write_page(self, caller: Caller, path: str, data: bytes) -> None:
        if caller.call("blob", "HEAD", path)[0] == 404:
            headers = {"x_ms_blob_type": "PageBlob", "x_ms_blob_content_length": "4096"}
            assert caller.call("blob", "PUT", path, **headers)[0] == 201
        headers = {"x_ms_page_write": "update", "x_ms_range": "bytes=0-4095"}
        assert caller.call("blob", "PUT", path, "comp=page", data, **headers)[0] == 201

    def delete(self, caller: Caller, path: str, data: bytes) -> None:
        assert caller.call("blob", "DELETE", path)[0] in (202, 404)

    def verify(self, account: Account) -> None:
        for name, possible in self.possible.items():
            blob = account.find("things", name)
            data = b"".join(read(account, blob, 0, blob.size)) if blob is not None else b""
            is_new_page = name.startswith("page") and not any(data)  # made, and not written yet
            found = "-" if blob is None or is_new_page else hashlib.sha256(data).hexdigest()
            assert found in possible, name


class Log:
    """An append blob that one client alone writes: what was appended is there, in order, once."""

    def __init__(self) -> None:
        self.possible = {"-"}

    def step(self, caller: Caller, choose: random.Random) -> None:
        status, before = caller.call("blob", "GET", "things/log")
        assert self._shown(status, before) in self.possible
        if status == 404:
            self.possible.add(self._shown(200, b""))
            assert caller.call("blob", "PUT", "things/log", x_ms_blob_type="AppendBlob")[0] == 201
            before = b""
        data = os.urandom(choose.choice((1, 100, 20_000)))
        after = self._shown(200, before + data)
        self.possible.add(after)
        assert caller.call("blob", "PUT", "things/log", "comp=appendblock", data)[0] == 201
        self.possible = {after}

    @staticmethod
    def _shown(status: int, data: bytes) -> str:
        return "-" if status == 404 else hashlib.sha256(data).hexdigest()

    def verify(self, account: Account) -> None:
        blob = account.find("things", "log")
        data = b"".join(read(account, blob, 0, blob.size)) if blob is not None else b""
        assert self._shown(404 if blob is None else 200, data) in self.possible


class Tables:
    """Entities of one partition that one client alone changes; two of them always together."""

    def __init__(self, number: int) -> None:
        self.partition = f"p{number}"
        self.possible: dict[str, set[str]] = {}

    def step(self, caller: Caller, choose: random.Random) -> None:
        action = choose.choice((self.replace, self.merge, self.change_both, self.delete))
        rows = ("a", "b") if action == self.change_both else (str(choose.randrange(5)),)
        value = "-" if action == self.delete else os.urandom(8).hex()
        for row in rows:
            self.possible.setdefault(row, {"-"}).add(value)
        action(caller, rows[0], value)
        for row in rows:
            self.possible[row] = {value}

    def replace(self, caller: Caller, row: str, value: str) -> None:
        assert self._change(caller, "PUT", row, value) == 204

    def merge(self, caller: Caller, row: str, value: str) -> None:
        assert self._change(caller, "MERGE", row, value) == 204

    def delete(self, caller: Caller, row: str, value: str) -> None:
        assert caller.call("table", "DELETE", self._path(row), if_match="*")[0] in (204, 404)

    def change_both(self, caller: Caller, row: str, value: str) -> None:
        """Both or none."""
        parts = "".join(
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"PUT http://127.0.0.1/acct/{self._path(row)} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
            f'{{"V": "{value}"}}\r\n'
            for row in "ab"
        )
        body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n"
        kind = "multipart/mixed; boundary=b"
        status, answer = caller.call("table", "POST", "$batch", "", body.encode(), content_type=kind)
        assert (status, answer.count(b"HTTP/1.1 204")) == (202, 2), answer

    def _change(self, caller: Caller, method: str, row: str, value: str) -> int:
        body, kind = f'{{"V": "{value}"}}'.encode(), "application/json"
        return caller.call("table", method, self._path(row), "", body, content_type=kind)[0]

    def _path(self, row: str) -> str:
        return f"rows(PartitionKey='{self.partition}',RowKey='{row}')"

    def verify(self, account: Account) -> None:
        found = {}
        for row in self.possible:
            entity = account.tables.look(lambda tables, row=row: tables.entity("rows", (self.partition, row)))
            found[row] = "-" if entity is None else str(entity.properties["V"])
            assert found[row] in self.possible[row], row
        assert found.get("a") == found.get("b")


class Queue:
    """What many producers and consumers of one queue know of its messages."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._next = 0
        self.put: dict[str, bool] = {}  # text -> acknowledged
        self.deleted: dict[str, bool] = {}
        self.got: dict[str, int] = {}
        self.texts: dict[str, set[str]] = {}  # first text -> what an update may have made of it

    def step(self, caller: Caller, choose: random.Random) -> None:
        choose.choice((self._produce, self._produce, self._consume))(caller, choose)

    def _produce(self, caller: Caller, choose: random.Random) -> None:
        with self._gate:
            self._next += 1
            text = f"m{self._next}-"
        self.put[text], self.texts[text] = False, {text}
        padding = "x" * choose.choice((0, 0, 500, 9000))
        body = f"<QueueMessage><MessageText>{text}{padding}</MessageText></QueueMessage>".encode()
        assert caller.call("queue", "POST", "queue/messages", body=body)[0] == 201
        self.put[text] = True

    def _consume(self, caller: Caller, choose: random.Random) -> None:
        query = f"numofmessages={choose.randrange(1, 5)}&visibilitytimeout=86400"
        _, data = caller.call("queue", "GET", "queue/messages", query)
        found = re.findall(
            "<MessageId>(.*?)</MessageId>.*?<PopReceipt>(.*?)</PopReceipt>.*?<MessageText>(m[0-9]+-)",
            data.decode(),
        )
        for _, _, text in found:
            with self._gate:
                self.got[text] = self.got.get(text, 0) + 1
        for identity, receipt, text in found:
            choose.choice((self._delete, self._delete, self._update, lambda *_: None))(
                caller, identity, receipt, text
            )

    def _delete(self, caller: Caller, identity: str, receipt: str, text: str) -> None:
        self.deleted[text] = False
        path = f"queue/messages/{identity}"
        assert caller.call("queue", "DELETE", path, f"popreceipt={quote(receipt)}")[0] == 204
        self.deleted[text] = True

    def _update(self, caller: Caller, identity: str, receipt: str, text: str) -> None:
        new = f"{text}updated"
        self.texts[text].add(new)
        body = f"<QueueMessage><MessageText>{new}</MessageText></QueueMessage>".encode()
        query = f"popreceipt={quote(receipt)}&visibilitytimeout=86400"
        assert caller.call("queue", "PUT", f"queue/messages/{identity}", query, body)[0] == 204
        self.texts[text] = {new}

    def verify(self, account: Account) -> None:
        sql = "SELECT text, dequeued FROM messages"
        rows = account.queues.look(lambda queues: queues._connection.execute(sql).fetchall())
        left = [(re.match("m[0-9]+-", text)[0], text, dequeued) for text, dequeued in rows]  # type: ignore[index]
        names = [name for name, _, _ in left]
        assert len(names) == len(set(names)), "a message is there twice"
        must = {text for text, known in self.put.items() if known and text not in self.deleted}
        assert must <= set(names), "an acknowledged message is lost"
        gone = {text for text, known in self.deleted.items() if known}
        assert not gone & set(names), "a deleted message is back"
        for name, text, dequeued in left:
            assert text.rstrip("x") in self.texts[name]
            assert dequeued >= self.got.get(name, 0)
        assert max(self.got.values(), default=0) <= 1, "a message was got twice while it was hidden"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    found = Servers(tmp_path / "storage", coming_and_going=True)
    yield found
    found.end()


Worker = Blobs | Log | Tables | Queue


@contextmanager
def at_work(ports: dict[str, int], workers: list[Worker], seed: int) -> Iterator[Callable[[], int]]:
    """Let all work until the server is dead; gives how many steps have been done."""
    done, failures = [0] * len(workers), list[BaseException]()

    def work(number: int) -> None:
        caller, choose = Caller(ports), random.Random(seed * 100 + number)
        try:
            while True:
                workers[number].step(caller, choose)
                done[number] += 1
        except Gone:
            pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(workers))]
    for thread in threads:
        thread.start()
    yield lambda: min(done)
    for thread in threads:
        thread.join(60)
    assert not failures, failures


@pytest.mark.timeout(280)
def test_what_was_acknowledged_survives_every_kill(servers: Servers, tmp_path: Path):
    queue, pairs = Queue(), [(Blobs(number), Tables(number)) for number in range(2)]
    alone: list[Worker] = [Log(), *(one for pair in pairs for one in pair)]
    root, choose = tmp_path / "storage", random.Random()
    for seed in range(KILLS):
        ports = servers.start()
        caller = Caller(ports)
        caller.call("queue", "PUT", "queue")
        caller.call("table", "POST", "Tables", "", b'{"TableName": "rows"}', content_type="application/json")
        with at_work(ports, [*alone, queue, queue, queue], seed) as steps:
            end = time.monotonic() + 30
            while not steps() and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(choose.uniform(0, 0.4))
            servers.kill(ports)
        storage = Storage(root, domains=("core.localhost",))
        assert {path.name for path in root.iterdir()} in ({"acct"}, {"acct", "other"})
        storage.ensure_account("other", KEY, KEY)
        storage.ensure_container("other", "things")
        account = storage.find("acct")
        for one in (*alone, queue):
            one.verify(account)
        with account.index.transaction():
            in_use = account.index.files()
        assert {path.name for path in (root / "acct" / "data").rglob("*") if path.is_file()} == in_use
        storage.close()
    assert sum(queue.put.values()) >= KILLS
    assert sum(queue.deleted.values()) > 0
