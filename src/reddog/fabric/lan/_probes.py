"""Whether machines take connections: asked again and again, in the way that each load-balanced forward says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random

from reddog.fabric.compute import Probe
from reddog.fabric.lan import _frames
from reddog.fabric.lan._frames import End, Packet
from reddog.fabric.lan._plan import Backend
from reddog.fabric.lan._switch import Seat, Switch

_AGAIN = 1.0  # seconds between two tries of one question
_STATUS_LINE = 1024  # bytes
_PORTS = range(32768, 65536)
_Key = tuple[bytes, int]  # the machine's hardware address, the prober's port


class Prober:
    """Asks machines, in the network itself where that tells more than the host's side would.

    The host's side of a forward takes every connection, so a TCP probe is a SYN from the network's own
    address; an answer to it is not followed by a connection.
    """

    def __init__(self) -> None:
        self.switch = Switch(self._heard)
        self._waiting: dict[_Key, tuple[int, asyncio.Future[bool]]] = {}
        self._ports = itertools.cycle(_PORTS)

    async def ask(self, seat: Seat, backend: Backend, probe: Probe) -> bool:
        """Whether the machine gives a good answer to its probe before the next question is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(probe.interval, probe.timeout)):
                if probe.protocol == "http":
                    return await _get(backend, probe.path)
                return await self._knock(seat, probe.port)
        return False

    async def _knock(self, seat: Seat, port: int) -> bool:
        own = End(seat.prober.mac, seat.prober.ip, next(self._ports))
        key, number = (seat.mac, own.port), random.getrandbits(32)
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[key] = number, answered
        target = End(seat.mac, seat.ip, port)
        try:
            while not answered.done():
                seat.send(_frames.tcp(own, target, _frames.SYN, sequence=number))
                await asyncio.wait([answered], timeout=_AGAIN)
            return answered.result()
        finally:
            del self._waiting[key]

    def _heard(self, seat: Seat, packet: Packet) -> None:
        number, answered = self._waiting.get((seat.mac, packet.target.port), (0, None))
        if answered is None or answered.done() or packet.protocol != _frames.TCP or len(packet.body) < 10:
            return
        acknowledged, flags = int.from_bytes(packet.body[4:8]), packet.body[9]
        if acknowledged != (number + 1) & 0xFFFFFFFF:
            return
        accepts = flags & (_frames.SYN | _frames.RST) == _frames.SYN
        if accepts:
            seat.send(_frames.tcp(packet.target, packet.source, _frames.RST, sequence=acknowledged))
        answered.set_result(accepts)


async def _get(backend: Backend, path: str) -> bool:
    """Whether a GET of a probe's path is answered 200."""
    try:
        reader, writer = await asyncio.open_connection(backend.host_address, backend.probe_port)
    except OSError:
        return False
    try:
        host = f"{backend.address}:{backend.port}"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Load Balancer Agent\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        line = await reader.readuntil(b"\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    finally:
        writer.close()
    words = line[:_STATUS_LINE].split()
    return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1] == b"200"
