"""The process of a private network: told by its driver who is in it, and on its own otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

import reddog
from reddog.fabric.lan._balancer import Balancer, Refusal
from reddog.fabric.lan._plan import LAN_SOCKET, UPLINK_SOCKET, Member
from reddog.fabric.lan._probes import Prober
from reddog.fabric.lan._switch import Seat

CONTROL_SOCKET = "control.sock"
LONGEST_ORDER = 1 << 24  # bytes
_LOOK = 2.0
_LONELY = 30.0  # seconds without any machine, after which the process ends by itself


class Server:
    """Serves one network until its last machine has gone."""

    def __init__(self) -> None:
        prober = Prober()
        self._switch = prober.switch
        self._balancer = Balancer(prober)
        self._seats: dict[str, Seat] = {}
        self._wires: dict[str, list[asyncio.Task[None]]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Listen for orders, and serve."""
        server = await asyncio.start_unix_server(self._obey, CONTROL_SOCKET, limit=LONGEST_ORDER)
        async with server:
            watch = asyncio.ensure_future(self._end_when_lonely())
            await self._over.wait()
            watch.cancel()

    async def arrange(self, members: Mapping[str, Member]) -> list[Refusal]:
        """Join exactly these machines; the load-balanced sets that cannot listen are told."""
        for id in self._seats.keys() - members.keys():
            self._remove(id)
        for id, member in members.items():
            there = self._seats.get(id)
            if there is not None and _same_place(there.member, member):
                there.member = member
            else:
                self._remove(id)
                self._add(member)
        self._switch.arrange(self._seats.values())
        return await self._balancer.arrange(self._seats.values())

    def _add(self, member: Member) -> None:
        seat = self._seats[member.id] = Seat(member, self._switch)
        self._wires[member.id] = [
            asyncio.create_task(wire.keep(member.directory, name))
            for wire, name in ((seat.lan, LAN_SOCKET), (seat.uplink, UPLINK_SOCKET))
        ]

    def _remove(self, id: str) -> None:
        if id in self._seats:
            del self._seats[id]
            for wire in self._wires.pop(id):
                wire.cancel()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one order, and answer when it has been carried out."""
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            order = json.loads(await reader.readuntil(b"\n"))
            writer.write(json.dumps(await self._carry_out(order)).encode() + b"\n")
            await writer.drain()
            if not self._seats:
                self._over.set()
        writer.close()

    async def _carry_out(self, order: Mapping[str, Any]) -> dict[str, Any]:
        members = {one["id"]: Member.from_json(one) for one in order["members"]}
        async with self._one_at_a_time:
            refusals = await self.arrange(members)
        refused = [
            {"name": one.backend.name, "place": one.backend.place, "errno": one.errno} for one in refusals
        ]
        return {"version": reddog.__version__, "refused": refused}

    async def _end_when_lonely(self) -> None:
        """A network that nobody uses and nobody ends has lost its machines and its driver."""
        alone = 0.0
        while alone < _LONELY:
            await asyncio.sleep(_LOOK)
            alone = 0.0 if any(seat.lan.connected for seat in self._seats.values()) else alone + _LOOK
        self._over.set()


def _same_place(one: Member, other: Member) -> bool:
    return (one.address, one.subnet, one.directory) == (other.address, other.subnet, other.directory)
