"""A storage process that is killed at any moment: what it acknowledged is there, and nothing else is left."""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import signing
from reddog.storage import Storage
from reddog.storage.blobs._transfer import read

MEBIBYTE = 1 << 20
KEY = "a" * 86 + "=="
SERVE = """
import asyncio, sys
from pathlib import Path
from aiohttp import web
from reddog.storage import Storage

async def serve():
    storage = Storage(Path(sys.argv[1]), domains=("core.localhost",))
    storage.ensure_account("acct", sys.argv[2], sys.argv[2])
    storage.ensure_container("acct", "things")
    runner = web.AppRunner(storage.applications()["blob"], access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""
# Goes on until the server dies. A line is written before each change and after its acknowledgement.
CHANGE = """
import hashlib, os, random, sys
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobBlock, ContainerClient

port, key, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
choose = random.Random(seed)
things = ContainerClient(f"http://127.0.0.1:{port}/acct", "things", credential=key, retry_total=0)

def put(name, data):
    things.upload_blob(name, data, overwrite=True)

def blocks(name, data):
    blob, half = things.get_blob_client(name), len(data) // 2
    blob.stage_block("a", data[:half])
    blob.stage_block("b", data[half:])
    blob.commit_block_list([BlobBlock("a"), BlobBlock("b")])

def copy(name, data):
    source = things.get_blob_client(f"source-{seed}")
    source.upload_blob(data, overwrite=True)
    things.get_blob_client(name).start_copy_from_url(source.url)

def page(name, data):
    blob = things.get_blob_client(name)
    if not blob.exists():
        blob.create_page_blob(4096)
    blob.upload_page(data, 0, 4096)

def delete(name, data):
    blob = things.get_blob_client(name)
    if blob.exists():
        blob.delete_blob()

try:
    while True:
        act = choose.choice((put, put, blocks, copy, page, delete))
        name, data = f"{seed}-{choose.randrange(5)}", os.urandom(choose.choice((1, 4096, 70_000, 2_000_000)))
        if act is page:
            name, data = f"page-{name}", os.urandom(4096)
        value = "-" if act is delete else hashlib.sha256(data).hexdigest()
        print("try", name, value, flush=True)
        act(name, data)
        print("done", name, value, flush=True)
except AzureError:
    pass
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True)


def round_of_changes(root: Path, seed: int, seconds: float) -> list[str]:
    """Serve, change from two clients, kill; what the clients wrote down."""
    server = started(SERVE, str(root), KEY)
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], 30)
    assert ready, "the server did not start"
    port = server.stdout.readline().strip()
    logs = [root.parent / f"log-{seed}-{number}" for number in range(2)]
    clients = []
    for number, path in enumerate(logs):
        with path.open("w") as log:
            arguments = [sys.executable, "-c", CHANGE, port, KEY, str(seed * 2 + number)]
            clients.append(subprocess.Popen(arguments, stdout=log, stderr=subprocess.DEVNULL))
    end = time.monotonic() + 20
    while not all("done" in path.read_text() for path in logs) and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(seconds)
    with half_sent(int(port), root):
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    server.stdout.close()
    for client in clients:
        client.wait(20)
    return [line for path in logs for line in path.read_text().splitlines(keepends=True)]


@contextmanager
def half_sent(port: int, root: Path) -> Iterator[None]:
    """An upload of which the server has written a part."""
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2021-08-06", "x-ms-blob-type": "BlockBlob"}
    headers |= {"content-length": str(64 * MEBIBYTE)}
    headers["authorization"] = signing.shared_key(KEY, "PUT", "/acct/acct/things/half", "", headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"PUT /acct/things/half HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        connection.sendall(bytes(9 * MEBIBYTE))
        end = time.monotonic() + 10
        while not any(size_of(path) >= 4 * MEBIBYTE for path in (root / "acct" / "data").glob("*/*")):
            assert time.monotonic() < end, "the server writes nothing"
            time.sleep(0.01)
        yield


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def learn(known: dict[str, set[str]], lines: list[str]) -> int:
    """What each blob may hold now: the acknowledged, or what was tried last. Returns the acknowledgements."""
    acknowledged = 0
    for line in lines:
        if not line.endswith("\n"):  # the client was in the middle of it; nobody can have relied on it
            continue
        word, name, value = line.removesuffix("\n").split(" ")
        known.setdefault(name, {"-"})
        if word == "done":
            known[name] = {value}
            acknowledged += 1
        else:
            known[name].add(value)
    return acknowledged


def verify(root: Path, known: dict[str, set[str]]) -> None:
    """Look at what is left, as the next process opens it."""
    storage = Storage(root, domains=("core.localhost",))
    account = storage.find("acct")
    with account.index.transaction():
        blobs = {blob.name: blob for blob in account.index.blobs("things", "", "", -1)}
        in_use = account.index.files()
    for name, possible in known.items():
        found = b"".join(read(account, blobs[name], 0, blobs[name].size)) if name in blobs else b""
        is_new_page = name.startswith("page-") and not any(found)  # made, and not written yet
        shown = hashlib.sha256(found).hexdigest() if name in blobs and not is_new_page else "-"
        assert shown in possible, name
    left = {path.name for path in (root / "acct" / "data").rglob("*") if path.is_file()}
    assert left == in_use
    storage.close()


@pytest.mark.timeout(120)
def test_what_was_acknowledged_survives_and_nothing_else_stays(tmp_path: Path):
    root, known, acknowledged = tmp_path / "storage", dict[str, set[str]](), 0
    for seed in range(3):
        acknowledged += learn(known, round_of_changes(root, seed, random.uniform(0.1, 0.8)))
        verify(root, known)
    assert acknowledged >= 6
    assert sorted(path.name for path in root.iterdir()) == ["acct"]
