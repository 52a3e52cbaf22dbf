"""Load balancing: one listener for each endpoint, and every new connection to the next machine that takes some."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from reddog.fabric._acl import permits
from reddog.fabric.compute import Probe
from reddog.fabric.lan._plan import Backend
from reddog.fabric.lan._probes import Prober
from reddog.fabric.lan._switch import Seat

_CHUNK = 1 << 18  # bytes
_BACKLOG = 1024
_RESET_ON_CLOSE = b"\x01\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
Place = tuple[str, int]
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Refusal:
    """A set whose listener could not be opened. backend: one machine's part in it; errno: why."""

    backend: Backend
    errno: int


class Turn:
    """A machine's part in a set, and whether it is its turn to take connections."""

    def __init__(self, seat: Seat, backend: Backend, prober: Prober) -> None:
        self.backend = backend
        self._good = -math.inf
        self._task: asyncio.Task[None] | None = None
        if backend.probe is not None:
            work = self._ask_again_and_again(seat, backend.probe, prober)
            self._task = asyncio.get_running_loop().create_task(work)

    @property
    def fit(self) -> bool:
        """Whether the probe, if there is one, has succeeded, and not longer ago than its timeout."""
        probe = self.backend.probe
        return probe is None or time.monotonic() - self._good <= probe.timeout

    def end(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _ask_again_and_again(self, seat: Seat, probe: Probe, prober: Prober) -> None:
        while True:
            asked = time.monotonic()
            if await prober.ask(seat, self.backend, probe):
                self._good = time.monotonic()
            await asyncio.sleep(max(0.0, asked + probe.interval - time.monotonic()))


class Set:
    """The load-balanced set at one place.

    carrying: keeps the tasks that carry connections, which nothing else holds on to once the client has gone.
    """

    def __init__(self, carrying: set[asyncio.Task[None] | None]) -> None:
        self._carrying = carrying
        self.turns: dict[str, Turn] = {}
        self._next = 0
        self._server: asyncio.Server | None = None

    async def open(self, address: str, port: int) -> None:
        """Listen. Raises OSError."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, address, port, limit=_CHUNK, backlog=_BACKLOG
            )

    def close(self) -> None:
        """Listen and probe no more; connections that are there go on."""
        for turn in self.turns.values():
            turn.end()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._carrying.add(task := asyncio.current_task())
        try:
            found = await self._connect(writer.get_extra_info("peername")[0])
            if found is None:
                _reset(writer)
            else:
                outward, idle_timeout = found
                await _join((reader, writer), outward, idle_timeout)
        except OSError:
            _reset(writer)
        finally:
            writer.close()
            self._carrying.discard(task)

    async def _connect(self, client: str) -> tuple[Pair, float | None] | None:
        """A connection to the first fit machine that is there, and its idle timeout; None when there is none."""
        for backend in self._order(client):
            with contextlib.suppress(OSError):
                made = await asyncio.open_connection(backend.host_address, backend.host_port, limit=_CHUNK)
                return made, backend.idle_timeout
        return None

    def _order(self, client: str) -> list[Backend]:
        """The fit machines that the client may use: each time another one first, or for each client another one."""
        fit = {
            id: turn.backend
            for id, turn in sorted(self.turns.items())
            if turn.fit and permits(turn.backend.acl, client)
        }
        if any(backend.distribution == "sourceIP" for backend in fit.values()):
            ids = sorted(fit, key=lambda id: zlib.crc32(f"{client} {id}".encode()))
            return [fit[id] for id in ids]
        self._next += 1
        backends = list(fit.values())
        start = self._next % len(backends) if backends else 0
        return backends[start:] + backends[:start]


class Balancer:
    """All sets of a network."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._sets: dict[Place, Set] = {}
        self._carrying: set[asyncio.Task[None] | None] = set()

    async def arrange(self, seats: Iterable[Seat]) -> list[Refusal]:
        """Have exactly the sets that the seats' machines make up, but for those that cannot listen."""
        wanted: dict[Place, dict[str, tuple[Seat, Backend]]] = {}
        for seat in seats:
            for backend in seat.member.backends:
                wanted.setdefault((backend.address, backend.port), {})[seat.member.id] = seat, backend
        for place in self._sets.keys() - wanted.keys():
            self._sets.pop(place).close()
        answers = [await self._have(place, members) for place, members in sorted(wanted.items())]
        return [answer for answer in answers if answer is not None]

    async def _have(self, place: Place, members: dict[str, tuple[Seat, Backend]]) -> Refusal | None:
        group = self._sets.get(place) or Set(self._carrying)
        try:
            await group.open(*place)
        except OSError as error:
            _, first = next(iter(members.values()))
            return Refusal(first, error.errno or 0)
        self._sets[place] = group
        self._arrange_turns(group, members)
        return None

    def _arrange_turns(self, group: Set, members: dict[str, tuple[Seat, Backend]]) -> None:
        for id in group.turns.keys() - members.keys():
            group.turns.pop(id).end()
        for id, (seat, backend) in members.items():
            there = group.turns.get(id)
            if there is not None and there.backend == backend:
                continue
            if there is not None:
                there.end()
            group.turns[id] = Turn(seat, backend, self._prober)


async def _join(one: Pair, other: Pair, idle_timeout: float | None) -> None:
    """Carry data both ways until both ends have been closed, or one breaks, or nothing has come for too long."""
    alarm = _Alarm(idle_timeout)
    try:
        async with alarm.armed():
            await asyncio.gather(_pump(one[0], other[1], alarm), _pump(other[0], one[1], alarm))
    except OSError:  # TimeoutError is one
        _reset(one[1])
        _reset(other[1])
    finally:
        other[1].close()


class _Alarm:
    """Goes off when nothing has happened for so many seconds."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    def armed(self) -> asyncio.Timeout:
        """What is broken off, with a TimeoutError."""
        return self._timeout

    def put_off(self) -> None:
        """Something has happened."""
        if self._seconds is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, alarm: _Alarm) -> None:
    while data := await reader.read(_CHUNK):
        alarm.put_off()
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off, as a machine does that takes none."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
