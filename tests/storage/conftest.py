"""A storage service on a real socket, and Azure's own client for it."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient, QueueServiceClient

from reddog.storage import RUNNER_OPTIONS, Storage

DOMAINS = ("core.localhost", "core.windows.net")


def new_key() -> str:
    return base64.b64encode(os.urandom(64)).decode()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@dataclass
class Server:
    """The storage applications, each on a port of its own, in a thread."""

    storage: Storage
    root: Path
    keys: tuple[str, str]
    ports: dict[str, int] = field(default_factory=dict)

    def url(self, account: str = "acct") -> str:
        return f"http://127.0.0.1:{self.ports['blob']}/{account}"

    def client(self, credential: object = "", account: str = "acct") -> BlobServiceClient:
        key = self.keys[0] if credential == "" else credential
        return BlobServiceClient(self.url(account), credential=key, retry_total=0)

    def queues(self, credential: object = "", account: str = "acct") -> QueueServiceClient:
        key = self.keys[0] if credential == "" else credential
        url = f"http://127.0.0.1:{self.ports['queue']}/{account}"
        return QueueServiceClient(url, credential=key, retry_total=0)

    def tables_url(self, account: str = "acct") -> str:
        return f"http://127.0.0.1:{self.ports['table']}/{account}"

    def table_key(self, account: str = "acct") -> AzureNamedKeyCredential:
        return AzureNamedKeyCredential(account, self.keys[0])

    def tables(self, sas: str = "", account: str = "acct") -> TableServiceClient:
        """A client for tables: the owner's, or one that has a signature."""
        credential = AzureSasCredential(sas) if sas else self.table_key(account)
        return TableServiceClient(self.tables_url(account), credential=credential, retry_total=0)

    def files(self) -> set[Path]:
        """The files that hold bytes of blobs and blocks."""
        return {path for path in (self.root / "acct" / "data").rglob("*") if path.is_file()}


class Serving(threading.Thread):
    """Runs a server's event loop."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server, self._ready, self._end = server, threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        asyncio.run(self._serve())  # which ends the tasks that aiohttp cancels and does not wait for

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        runners = []
        for kind, application in self._server.storage.applications().items():
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1, **RUNNER_OPTIONS)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._server.ports[kind] = runner.addresses[0][1]
            runners.append(runner)
        self._ready.set()
        await self._end.wait()
        for runner in runners:
            await runner.cleanup()

    def begin(self) -> None:
        self.start()
        assert self._ready.wait(10)

    def end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(10)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    found = Storage(tmp_path / "storage", domains=DOMAINS)
    yield found
    found.close()


@pytest.fixture
def server(storage: Storage, tmp_path: Path) -> Iterator[Server]:
    keys = new_key(), new_key()
    storage.ensure_account("acct", *keys)
    found = Server(storage, tmp_path / "storage", keys)
    serving = Serving(found)
    serving.begin()
    yield found
    serving.end()


@pytest.fixture
def service(server: Server) -> Iterator[BlobServiceClient]:
    with server.client() as client:
        yield client


@pytest.fixture
def container(service: BlobServiceClient) -> ContainerClient:
    return service.create_container("things")


@pytest.fixture
def queue(server: Server) -> Iterator[QueueClient]:
    with server.queues() as client:
        yield client.create_queue("queue")


@pytest.fixture
def tables(server: Server) -> Iterator[TableServiceClient]:
    with server.tables() as client:
        yield client


@pytest.fixture
def table(tables: TableServiceClient) -> TableClient:
    return tables.create_table("Things")
