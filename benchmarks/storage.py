"""How fast the storage services are, beside Azurite and beside a bare server that writes the same bytes.

Azurite (the version that `_storage_servers.py` names) is installed once into the user's cache; without npm its
column is left out. It flushes nothing to the disk; we flush everything before we answer. The bare server is aiohttp
without accounts, signatures, digests and index: it writes a body into a file, flushes it (fdatasync) and answers, and
is the limit to approach with large transfers. The servers take turns, row by row and round by round, in processes of
their own, and what one has left unwritten is flushed before the next one's turn; the first round is not counted. Rates
are medians.

    python benchmarks/storage.py [--rounds N] [--size MIB] [--row NAME ...] [--check]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from _storage_servers import (
    ACCOUNT,
    KEY,
    PIECE,
    Server,
    azurite_server,
    bare,
    find_azurite,
    python_server,
    reddog,
)
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import AccountSasPermissions as TablePermissions
from azure.data.tables import ResourceTypes as TableResources
from azure.data.tables import generate_account_sas as generate_table_sas
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.queue import AccountSasPermissions as QueuePermissions
from azure.storage.queue import ResourceTypes as QueueResources
from azure.storage.queue import generate_account_sas as generate_queue_sas

PAGE = 4096
LISTED = 10_000
MOST_MEMORY = 100  # MiB more while 1 GiB is uploaded
VERSION = "2021-12-02"


@dataclass
class Client:
    """One connection to one service of one server."""

    server: Server
    service: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.ports[self.service], timeout=300
        )

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        good: tuple[int, ...] = (200, 201, 202, 204),
    ) -> bytes:
        """The body of an answer."""
        separator = "&" if "?" in path else "?"
        sent = {"x-ms-version": VERSION, "x-ms-date": "", **(headers or {})}
        self.connection.request(method, f"/{ACCOUNT}/{path}{separator}{SIGNATURES[self.service]}", body, sent)
        answer = self.connection.getresponse()
        pieces = list(iter(lambda: answer.read(PIECE), b""))
        if answer.status not in good:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {b''.join(pieces)[:500]!r}")
        return b"".join(pieces)


def _signatures() -> dict[str, str]:
    expiry = datetime.now(UTC) + timedelta(hours=12)
    everything = {"read": True, "write": True, "delete": True, "list": True, "add": True, "create": True}
    blob = AccountSasPermissions(**everything)
    queue = QueuePermissions(**everything, update=True, process=True)
    table = TablePermissions(**everything, update=True)
    resources = {"service": True, "container": True, "object": True}
    return {
        "blob": generate_account_sas(ACCOUNT, KEY, ResourceTypes(**resources), blob, expiry),
        "queue": generate_queue_sas(ACCOUNT, KEY, QueueResources(**resources), queue, expiry),
        "table": generate_table_sas(
            AzureNamedKeyCredential(ACCOUNT, KEY), TableResources(**resources), table, expiry
        ),
    }


SIGNATURES = _signatures()
_numbers = iter(range(1 << 60))


def timed(count: int, act: Callable[[int], object]) -> float:
    """How many acts a second, one after the other."""
    begin = time.perf_counter()
    for number in range(count):
        act(number)
    return count / (time.perf_counter() - begin)


# -- What is measured: each takes a client and gives a rate ----------------------------------------------


def put_small(client: Client, options: argparse.Namespace) -> float:
    data, name = os.urandom(1024), next(_numbers)
    headers = {"x-ms-blob-type": "BlockBlob"}
    return timed(options.count, lambda number: client.ask("PUT", f"small/{name}-{number}", data, headers))


def get_small(client: Client, options: argparse.Namespace) -> float:
    client.ask("PUT", "small/one", os.urandom(1024), {"x-ms-blob-type": "BlockBlob"})
    return timed(options.count, lambda _: client.ask("GET", "small/one"))


def put_large(client: Client, options: argparse.Namespace) -> float:
    data = os.urandom(options.size << 20)
    return options.size * timed(
        1, lambda _: client.ask("PUT", "large/block", data, {"x-ms-blob-type": "BlockBlob"})
    )


def put_blocks(client: Client, options: argparse.Namespace) -> float:
    """A block blob, 4 MiB at a time, as clients upload what is large."""
    data, identities = (
        os.urandom(4 << 20),
        [b64encode(f"{number:05}".encode()).decode() for number in range(options.size // 4)],
    )

    def work(_: int) -> None:
        for identity in identities:
            client.ask("PUT", f"large/blocks?comp=block&blockid={quote(identity)}", data)
        entries = "".join(f"<Latest>{identity}</Latest>" for identity in identities)
        client.ask("PUT", "large/blocks?comp=blocklist", f"<BlockList>{entries}</BlockList>".encode())

    return options.size * timed(1, work)


def get_large(client: Client, options: argparse.Namespace) -> float:
    return options.size * timed(1, lambda _: _drain(client, "large/block"))


def _drain(client: Client, path: str) -> None:
    """Get a blob, of which the kernel throws away what comes: it is the server that is measured."""
    client.connection.request(
        "GET", f"/{ACCOUNT}/{path}?{SIGNATURES['blob']}", headers={"x-ms-version": VERSION}
    )
    answer = client.connection.getresponse()
    left, received = int(answer.headers["Content-Length"]) - len(answer.fp.peek()), client.connection.sock
    while left > 0:
        left -= received.recv_into(_BUFFER, PIECE, socket.MSG_TRUNC)
    client.connection.close()
    if answer.status != 200:
        raise SystemExit(f"GET {path} was answered with {answer.status}.")


_BUFFER = bytearray(PIECE)


def put_pages(client: Client, options: argparse.Namespace) -> float:
    """A page blob, 4 MiB at a time, as clients upload disks."""
    data, piece = os.urandom(4 << 20), 4 << 20
    _make_disk(client, "large/disk", options.size << 20)
    return 4 * timed(options.size // 4, lambda number: _write(client, "large/disk", number * piece, data))


def get_pages(client: Client, options: argparse.Namespace) -> float:
    return options.size * timed(1, lambda _: _drain(client, "large/disk"))


def write_pages(client: Client, options: argparse.Namespace) -> float:
    data = os.urandom(PAGE)
    _make_disk(client, "large/pages", 256 * PAGE)
    return timed(options.count, lambda number: _write(client, "large/pages", number % 256 * PAGE, data))


def _make_disk(client: Client, path: str, size: int) -> None:
    headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
    client.ask("PUT", path, b"", headers)


def _write(client: Client, path: str, first: int, data: bytes) -> None:
    headers = {"x-ms-page-write": "update", "x-ms-range": f"bytes={first}-{first + len(data) - 1}"}
    client.ask("PUT", f"{path}?comp=page", data, headers)


def list_blobs(client: Client, options: argparse.Namespace) -> float:
    def work(_: int) -> None:
        marker, found = "", 0
        while True:
            answer = client.ask("GET", f"listed?restype=container&comp=list&marker={quote(marker)}")
            found += answer.count(b"<Blob>")
            marker = answer.partition(b"<NextMarker>")[2].partition(b"</NextMarker>")[0].decode()
            if not marker:
                break
        if found != LISTED:
            raise SystemExit(f"{found} blobs were listed.")

    return LISTED * timed(1, work)


def insert_entities(client: Client, options: argparse.Namespace) -> float:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json;odata=minimalmetadata",
        "Prefer": "return-no-content",
    }
    name = next(_numbers)

    def work(number: int) -> None:
        entity = {
            "PartitionKey": f"p{name % 10}",
            "RowKey": f"{name}-{number}",
            "text": "some text",
            "number": number,
        }
        client.ask("POST", "entities", json.dumps(entity).encode(), headers)

    return timed(options.count, work)


def insert_together(client: Client, options: argparse.Namespace) -> float:
    """Inserts by 16 clients at the same time, which share commits."""
    clients = [Client(client.server, client.service) for _ in range(16)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(lambda one: insert_entities(one, options), clients))
    return len(clients) * options.count / (time.perf_counter() - begin)


def query_entities(client: Client, options: argparse.Namespace) -> float:
    headers = {"Accept": "application/json;odata=minimalmetadata"}
    path = "entities(PartitionKey='point',RowKey='query')"
    client.ask(
        "PUT", path, b'{"text": "some text", "number": 1}', {"Content-Type": "application/json", **headers}
    )
    return timed(options.count, lambda _: client.ask("GET", path, headers=headers))


def put_and_get_messages(client: Client, options: argparse.Namespace) -> float:
    body = f"<QueueMessage><MessageText>{b64encode(os.urandom(300)).decode()}</MessageText></QueueMessage>".encode()

    def work(_: int) -> None:
        client.ask("POST", "messages/messages", body, {"Content-Type": "application/xml"})
        client.ask("GET", "messages/messages")

    return timed(options.count, work)


@dataclass(frozen=True)
class Row:
    """What is measured, and what the rate has to be: times Azurite's, and of the bare server's."""

    name: str
    unit: str
    service: str
    measure: Callable[[Client, argparse.Namespace], float]
    azurite: float = 1.0
    bare: float | None = None


ROWS = (
    Row("page blob PUT", "MiB/s", "blob", put_pages, 4, 0.6),
    Row("page blob GET", "MiB/s", "blob", get_pages, 4, 0.6),
    Row("block blob PUT", "MiB/s", "blob", put_blocks, 4, 0.6),
    Row("the same in one piece", "MiB/s", "blob", put_large, 4, 0.6),
    Row("block blob GET", "MiB/s", "blob", get_large, 4, 0.6),
    Row("block blob PUT 1 KiB", "/s", "blob", put_small),
    Row("block blob GET 1 KiB", "/s", "blob", get_small),
    Row("4 KiB page write", "/s", "blob", write_pages),
    Row(f"list {LISTED} blobs", "/s", "blob", list_blobs),
    Row("table insert", "/s", "table", insert_entities),
    Row("the same by 16 clients", "/s", "table", insert_together),
    Row("table point query", "/s", "table", query_entities),
    Row("queue put + get", "/s", "queue", put_and_get_messages),
)


def prepare(server: Server, rows: tuple[Row, ...]) -> None:
    """Make the containers, the table and the queue that the rows use."""
    services = {row.service for row in rows}
    client = Client(server, "blob")
    for name in ("small", "large", "listed"):
        client.ask("PUT", f"{name}?restype=container", b"")
    if any(row.measure is list_blobs for row in rows):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda first: _fill(server, first), range(0, LISTED, LISTED // 8)))
    if "table" in services:
        headers = {"Content-Type": "application/json", "Accept": "application/json;odata=nometadata"}
        Client(server, "table").ask("POST", "Tables", b'{"TableName": "entities"}', headers)
    if "queue" in services:
        Client(server, "queue").ask("PUT", "messages", b"")


def _fill(server: Server, first: int) -> None:
    client = Client(server, "blob")
    for number in range(first, first + LISTED // 8):
        client.ask("PUT", f"listed/folder/blob-{number:05}", b"", {"x-ms-blob-type": "BlockBlob"})


def memory(server: Server) -> float:
    """MiB that a process has in memory."""
    for line in Path(f"/proc/{server.process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("The server is gone.")


def measure_memory(server: Server) -> float:
    """The most MiB that the server grows by while 1 GiB is uploaded over 8 connections."""
    data, before, most, done = os.urandom(128 << 20), memory(server), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, memory(server))

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(8) as threads:
        headers = {"x-ms-blob-type": "BlockBlob"}
        list(
            threads.map(
                lambda number: Client(server, "blob").ask("PUT", f"large/m{number}", data, headers), range(8)
            )
        )
    done.set()
    watching.join()
    return most - before


Rates = dict[tuple[str, str], list[float]]


def run(servers: dict[str, Server], rows: tuple[Row, ...], options: argparse.Namespace) -> Rates:
    """The rates by row and server."""
    rates: Rates = {}
    turns = list(servers.items())
    for number in range(options.rounds + 1):
        turns.append(turns.pop(0))  # nobody has always the disk that the same one has left
        for row in rows:
            for who, server in turns:
                if who != "bare" or row.bare is not None:
                    os.sync()  # what an earlier one has left to be written is not this one's
                    rate = row.measure(Client(server, row.service), options)
                    rates.setdefault((row.name, who), []).extend([rate] if number else [])
    return rates


def report(row: Row, rates: Rates) -> bool:
    """Print a row; False when it misses a target."""
    ours = statistics.median(rates[row.name, "reddog"])
    shown, good = f"{row.name:<22}{ours:9.0f} {row.unit:<6}", True
    for who, least in (("azurite", row.azurite), ("bare", row.bare)):
        if least is not None and (row.name, who) in rates:
            ratio = ours / statistics.median(rates[row.name, who])
            shown += f"  {ratio:6.2f} of {who} (at least {least:.1f})"
            good &= ratio >= least
    print(shown if good else f"{shown}  MISSED", flush=True)
    return good


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count")
    parser.add_argument("--size", type=int, default=256, help="MiB of the large blobs")
    parser.add_argument("--count", type=int, default=200, help="small requests in each round")
    parser.add_argument("--row", action="append", help="only rows with this in their names; may be repeated")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    rows = tuple(row for row in ROWS if not options.row or any(one in row.name for one in options.row))
    program = find_azurite()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reddog-storage-")))
        servers = {"reddog": stack.enter_context(python_server(reddog, directory))}
        servers["bare"] = stack.enter_context(python_server(bare, directory))
        if program is not None:
            servers["azurite"] = stack.enter_context(azurite_server(program, directory))
        for who, server in servers.items():
            if who != "bare":
                prepare(server, rows)
        rates = run(servers, rows, options)
        missed = [row for row in rows if not report(row, rates)]
        grown = measure_memory(servers["reddog"])
    print(f"memory while 1 GiB is uploaded over 8 connections: {grown:.0f} MiB more (at most {MOST_MEMORY})")
    return int(options.check and (bool(missed) or grown > MOST_MEMORY))


if __name__ == "__main__":
    sys.exit(main())
