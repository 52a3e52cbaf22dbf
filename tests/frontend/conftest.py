"""A front end on a free port, with handlers that tests fill in."""

from __future__ import annotations

import asyncio
import re
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from certificates import Client, client_context, make_client
from gates import Gate
from reddog import pki
from reddog.engine import Engine, OperationRequest
from reddog.frontend import Access, Dispatcher, FrontEnd, Subject
from reddog.services import Call, Handler, Reply
from reddog.store import Store
from reddog.wire import OPERATIONS, Location, Locations

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
VERSION = "2014-10-01"


@dataclass(frozen=True)
class Seen:
    """An answer as a client sees it."""

    status: int
    headers: Any
    body: str


@dataclass
class Endpoint:
    """A running front end and what it is made of."""

    front_end: FrontEnd
    access: Access
    engine: Engine
    handlers: dict[str, Handler]
    ca_certificate: Path
    clients: dict[str, Client]
    gates: dict[str, Gate]

    @property
    def port(self) -> int:
        return self.front_end.port

    def context(self, client: str | Client | None = "admin") -> ssl.SSLContext:
        if client is None:
            return client_context(self.ca_certificate)
        return (self.clients[client] if isinstance(client, str) else client).context(self.ca_certificate)

    def register(self, *clients: Client, subscription: str = SUBSCRIPTION) -> None:
        """Have exactly these clients' certificates registered."""
        subjects = [subject(client, subscription) for client in clients]
        self.access.update([SUBSCRIPTION, OTHER], subjects)

    def hold(self, kind: str) -> str:
        """Begin an operation that holds the row "web" until the gate of its kind is opened; returns its id."""
        request = OperationRequest(uuid.uuid4().hex, "Do Something", SUBSCRIPTION)
        self.engine.accept(
            request, lambda tx: tx.insert(kind, "web", subscription=SUBSCRIPTION, goal={"name": "web"})
        )
        return request.id

    @asynccontextmanager
    async def session(self, client: str | Client | None = "admin") -> AsyncIterator[Session]:
        connector = aiohttp.TCPConnector(ssl=self.context(client), limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Session(self, session)

    async def ask(self, path: str = "/locations", *, client: Any = "admin", **options: Any) -> Seen:
        """One request on a connection of its own."""
        async with self.session(client) as session:
            return await session.ask(path, **options)

    async def open(self, client: str | Client | None = "admin") -> tuple[asyncio.StreamReader, Any]:
        """A bare TLS connection."""
        return await asyncio.open_connection("localhost", self.port, ssl=self.context(client))

    async def speak(self, text: bytes, client: str | None = "admin") -> bytes:
        """Send bytes as they are; returns the answer, its body included."""
        reader, writer = await self.open(client)
        writer.write(text)
        try:
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                return head + await reader.readexactly(int(length[1]) if length else 0)
        finally:
            writer.close()


@dataclass(frozen=True)
class Session:
    """A client that keeps its connections."""

    endpoint: Endpoint
    session: aiohttp.ClientSession

    async def ask(
        self,
        path: str = "/locations",
        *,
        method: str = "GET",
        host: str = "localhost",
        subscription: str | None = SUBSCRIPTION,
        version: str | None = VERSION,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Seen:
        given = {"x-ms-version": version} if version is not None else {}
        url = f"https://{host}:{self.endpoint.port}{f'/{subscription}' if subscription else ''}{path}"
        options: dict[str, Any] = {"data": body, "headers": {**given, **(headers or {})}}
        async with self.session.request(method, url, **options) as response:
            return Seen(response.status, response.headers, (await response.read()).decode())


def subject(client: Client, subscription: str = SUBSCRIPTION) -> Subject:
    found = client.certificate
    return Subject(subscription, found.thumbprint, found.der, found.not_before, found.not_after)


def locations(call: Call) -> Reply:
    return Reply(Locations([Location(name="West US", display_name="West US")]))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.Authority(tmp_path_factory.mktemp("pki"), hosts=["localhost", "127.0.0.1", "::1"])


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Client]:
    """`admin` is registered, `other` in another subscription only, `stranger` nowhere."""
    directory = tmp_path_factory.mktemp("clients")
    return {name: make_client(directory, name) for name in ("admin", "other", "stranger")}


StartEndpoint = Callable[..., Any]


@pytest.fixture
async def start(
    authority: pki.Authority, clients: dict[str, Client], tmp_path: Path
) -> AsyncIterator[StartEndpoint]:
    """Start front ends; all are stopped after the test."""
    started: list[tuple[Endpoint, Store]] = []

    async def start(*, patience: float = 10.0, **options: Any) -> Endpoint:
        store = Store(tmp_path / uuid.uuid4().hex)
        gates = {kind: Gate(kind) for kind in ("hosted_service", "deployment", "network_configuration")}
        engine = Engine(store, gates.values())
        engine.start()
        access = Access(authority.server_certificate)
        access.update([SUBSCRIPTION, OTHER], [subject(clients["admin"]), subject(clients["other"], OTHER)])
        handlers: dict[str, Handler] = dict.fromkeys(OPERATIONS, lambda call: Reply())
        handlers["List Locations"] = locations
        dispatcher = Dispatcher(access, handlers, engine, patience=patience)
        front_end = FrontEnd("127.0.0.1", 0, access=access, dispatcher=dispatcher, **options)
        endpoint = Endpoint(front_end, access, engine, handlers, authority.ca_certificate, clients, gates)
        await front_end.start()
        started.append((endpoint, store))
        return endpoint

    yield start
    for endpoint, store in started:
        await endpoint.front_end.stop()
        await asyncio.to_thread(endpoint.engine.stop)
        store.close()


@pytest.fixture
async def endpoint(start: StartEndpoint) -> Endpoint:
    """A front end with one handler: List Locations."""
    made: Endpoint = await start()
    return made
