"""How many changes of storage are acknowledged per second with one client and with sixteen at the same time.

An acknowledged change is on the disk. Changes that come together share a flush, so that sixteen clients are not held
to the disk's own rate of flushes, which is measured in the same run: writes of 4 KiB at the end of a file, each
flushed (fdatasync). One client alone is.

    python benchmarks/together.py [--seconds N] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from aiohttp import web
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from yarl import URL

from reddog.storage import Storage

KEY = base64.b64encode(bytes(64)).decode()
CLIENTS = 16
LEAST = 1.5  # times what one client does, with room for a busy machine
MESSAGE = b"<QueueMessage><MessageText>" + b"x" * 200 + b"</MessageText></QueueMessage>"
VERSION, JSON = {"x-ms-version": "2021-08-06"}, {"Content-Type": "application/json"}


def serve(directory: Path, told: Connection) -> None:
    """Serve an account with a container and a queue until the process is ended; tells the ports."""

    async def run() -> None:
        storage = Storage(directory / "storage", domains=("core.localhost",))
        storage.ensure_account("acct", KEY, KEY)
        storage.ensure_container("acct", "things")
        ports = {}
        for kind, application in storage.applications().items():
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ports[kind] = runner.addresses[0][1]
        told.send(ports)
        await asyncio.Event().wait()

    asyncio.run(run())


def flushes(directory: Path, seconds: float) -> float:
    """How often per second the disk flushes."""
    descriptor, count = os.open(directory / "flushed", os.O_WRONLY | os.O_CREAT), 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        os.pwrite(descriptor, bytes(4096), 4096 * count)
        os.fdatasync(descriptor)
        count += 1
    os.close(descriptor)
    return count / seconds


class Changes:
    """The changes that are measured."""

    def __init__(self, session: aiohttp.ClientSession, ports: dict[str, int]) -> None:
        self._session = session
        self._ports = ports
        kinds, permissions = ResourceTypes.from_string("sco"), AccountSasPermissions.from_string("rwdlacup")
        expiry = datetime.now(UTC) + timedelta(hours=1)
        self._signature = generate_account_sas("acct", KEY, kinds, permissions, expiry, services="btq")

    async def ask(self, kind: str, method: str, path: str, query: str = "", **more: object) -> None:
        """One request that has to succeed."""
        url = f"http://127.0.0.1:{self._ports[kind]}/acct/{path}?{query}&{self._signature}"
        async with self._session.request(method, URL(url, encoded=True), **more) as answer:  # type: ignore[arg-type]
            body = await answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{method} {path} was answered with {answer.status}: {body.decode()}")

    async def prepare(self) -> None:
        """Make what is changed."""
        await self.ask("queue", "PUT", "queue", headers=VERSION)
        await self.ask("table", "POST", "Tables", data=b'{"TableName": "rows"}', headers={**VERSION, **JSON})
        for client in range(CLIENTS):
            headers = {**VERSION, "x-ms-blob-type": "BlockBlob"}
            await self.ask("blob", "PUT", f"things/{client}", data=b"x", headers=headers)

    async def put_message(self, client: int) -> None:
        """A message of 200 bytes."""
        await self.ask("queue", "POST", "queue/messages", data=MESSAGE, headers=VERSION)

    async def insert_entity(self, client: int) -> None:
        """An entity of 200 characters."""
        entity = {"PartitionKey": str(client), "RowKey": uuid.uuid4().hex, "Text": "x" * 200}
        headers = {**VERSION, **JSON, "Prefer": "return-no-content"}
        await self.ask("table", "POST", "rows", data=json.dumps(entity).encode(), headers=headers)

    async def set_metadata(self, client: int) -> None:
        """The metadata of a blob of the client's own."""
        headers = {**VERSION, "x-ms-meta-a": "b"}
        await self.ask("blob", "PUT", f"things/{client}", "comp=metadata", headers=headers)


async def rate(change: Callable[[int], Awaitable[None]], clients: int, seconds: float) -> float:
    """Changes per second of so many clients."""
    end, done = time.perf_counter() + seconds, 0

    async def work(client: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await change(client)
            done += 1

    await asyncio.gather(*(work(client) for client in range(clients)))
    return done / seconds


async def measure(ports: dict[str, int], directory: Path, seconds: float) -> bool:
    """Print the rates; whether all ratios are large enough."""
    good = True
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:
        changes = Changes(session, ports)
        await changes.prepare()
        for name, change in (
            ("messages", changes.put_message),
            ("entities", changes.insert_entity),
            ("blob metadata", changes.set_metadata),
        ):
            disk = flushes(directory, seconds / 2)
            one, many = await rate(change, 1, seconds), await rate(change, CLIENTS, seconds)
            good &= many / one >= LEAST
            print(
                f"{name:<14} disk {disk:6.0f} flushes/s  1 client {one:6.0f}/s  {CLIENTS} clients {many:6.0f}/s"
                f"  {many / one:5.2f} times one client (at least {LEAST})  {many / disk:5.2f} per flush of the disk"
            )
    return good


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and a ratio is too small."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--check", action="store_true", help="fail when a ratio is too small")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-together-") as name:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=serve, args=(Path(name), there), daemon=True)
        process.start()
        if not here.poll(30):
            raise SystemExit("The server did not start.")
        good = asyncio.run(measure(here.recv(), Path(name), options.seconds))
        process.terminate()
        process.join()
    return int(options.check and not good)


if __name__ == "__main__":
    sys.exit(main())
