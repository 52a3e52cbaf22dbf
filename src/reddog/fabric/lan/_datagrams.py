"""Load balancing over UDP: a client's datagrams go to one machine, for as long as they come and it takes some."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

from reddog.fabric.lan._plan import Backend
from reddog.fabric.lan._turns import Set

IDLE_TIMEOUT = 240.0  # seconds, where the endpoint says nothing
MOST_FLOWS = 4096  # of an endpoint; the one that was used least recently makes room
_SWEEP = 5.0  # seconds between two looks for flows that are over
_LARGEST = 1 << 16
Client = tuple[str, int]


class _Flow:
    """What one client and one machine say to each other. answer: is given what the machine says."""

    def __init__(self, backend: Backend, answer: Callable[[bytes], None]) -> None:
        self.backend = backend
        self.used = time.monotonic()
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.connect((backend.host_address, backend.host_port))
        asyncio.get_running_loop().add_reader(self._socket, self._heard)

    @property
    def over(self) -> bool:
        """Whether nothing has been said for too long."""
        return time.monotonic() - self.used > (self.backend.idle_timeout or IDLE_TIMEOUT)

    def say(self, data: bytes) -> None:
        """Send something to the machine; it may be lost, as datagrams may."""
        self.used = time.monotonic()
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def end(self) -> None:
        """Forget the client."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _heard(self) -> None:
        self.used = time.monotonic()
        with contextlib.suppress(OSError):
            self._answer(self._socket.recv(_LARGEST))


class Datagrams(Set, asyncio.DatagramProtocol):
    """A set whose machines take datagrams."""

    def __init__(self) -> None:
        super().__init__()
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[Client, _Flow] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    async def open(self, address: str, port: int) -> None:
        """See `Set.open`."""
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (address, port))
            self._sweep()

    async def close(self) -> None:
        """See `Set.close`."""
        await super().close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for client in list(self._flows):
            self._forget(client)
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The listening socket has been closed."""
        self._closed.set()

    def datagram_received(self, data: bytes, addr: Client) -> None:
        """A client says something; nobody hears it if no machine takes it."""
        client = addr[:2]
        flow = self._flows.pop(client, None)
        if flow is not None and not self.takes(flow.backend, client[0]):
            flow.end()
            flow = None
        flow = flow or self._new_flow(client)
        if flow is not None:
            self._flows[client] = flow  # at the end: it is the one that was used last
            flow.say(data)

    def _new_flow(self, client: Client) -> _Flow | None:
        transport, backends = self._transport, self.order(client[0])
        if transport is None or not backends:
            return None
        if len(self._flows) >= MOST_FLOWS:
            self._forget(next(iter(self._flows)))
        with contextlib.suppress(OSError):
            return _Flow(backends[0], lambda data: transport.sendto(data, client))
        return None

    def _forget(self, client: Client) -> None:
        self._flows.pop(client).end()

    def _sweep(self) -> None:
        for client in [client for client, flow in self._flows.items() if flow.over]:
            self._forget(client)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
