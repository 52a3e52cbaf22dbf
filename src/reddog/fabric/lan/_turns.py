"""Whose turn it is to take a client: the machines of a load-balanced set, and what their probes say."""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping

from reddog.fabric._acl import permits
from reddog.fabric.compute import Probe
from reddog.fabric.lan._plan import Backend
from reddog.fabric.lan._probes import Prober
from reddog.fabric.lan._switch import Seat


class Turn:
    """A machine's part in a set, and whether it is its turn to take connections."""

    def __init__(self, seat: Seat, backend: Backend, prober: Prober) -> None:
        self.backend = backend
        self._good = -math.inf
        self._task: asyncio.Task[None] | None = None
        if backend.probe is not None and backend.probe.protocol != "none":
            work = self._ask_again_and_again(seat, backend.probe, prober)
            self._task = asyncio.get_running_loop().create_task(work)

    @property
    def fit(self) -> bool:
        """Whether the probe, if there is one, has succeeded, and not longer ago than its timeout."""
        probe = self.backend.probe
        return self._task is None or probe is None or time.monotonic() - self._good <= probe.timeout

    def takes(self, client: str) -> bool:
        """Whether the machine is fit, and the client may use it."""
        return self.fit and permits(self.backend.acl, client)

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


class Set(ABC):
    """The machines behind one endpoint; how they are reached depends on its protocol."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._next = 0

    @abstractmethod
    async def open(self, address: str, port: int) -> None:
        """Listen, unless it does. Raises OSError."""

    async def close(self) -> None:
        """Listen and probe no more; others may listen there when it returns."""
        for turn in self._turns.values():
            turn.end()

    def arrange(self, members: Mapping[str, tuple[Seat, Backend]], prober: Prober) -> None:
        """Have exactly these machines."""
        for id in self._turns.keys() - members.keys():
            self._turns.pop(id).end()
        for id, (seat, backend) in members.items():
            there = self._turns.get(id)
            if there is not None and there.backend == backend:
                continue
            if there is not None:
                there.end()
            self._turns[id] = Turn(seat, backend, prober)

    def takes(self, backend: Backend, client: str) -> bool:
        """Whether a machine takes a client that it has taken before."""
        return any(turn.backend == backend and turn.takes(client) for turn in self._turns.values())

    def order(self, client: str) -> list[Backend]:
        """The machines that take a client: each time another one first, or for each client another one."""
        fit = {id: turn.backend for id, turn in sorted(self._turns.items()) if turn.takes(client)}
        if any(backend.distribution == "sourceIP" for backend in fit.values()):
            ids = sorted(fit, key=lambda id: zlib.crc32(f"{client} {id}".encode()))
            return [fit[id] for id in ids]
        self._next += 1
        backends = list(fit.values())
        start = self._next % len(backends) if backends else 0
        return backends[start:] + backends[:start]
