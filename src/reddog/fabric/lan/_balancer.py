"""Load balancing: what listens at each endpoint of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reddog.fabric.lan._connections import Carrying, Connections
from reddog.fabric.lan._datagrams import Datagrams
from reddog.fabric.lan._plan import Backend, Place
from reddog.fabric.lan._probes import Prober
from reddog.fabric.lan._switch import Seat
from reddog.fabric.lan._turns import Set


@dataclass(frozen=True)
class Refusal:
    """A set whose listener could not be opened. backend: one machine's part in it; errno: why."""

    backend: Backend
    errno: int


class Balancer:
    """All sets of a network."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._sets: dict[Place, Set] = {}
        self._carrying: Carrying = set()

    async def arrange(self, seats: Iterable[Seat]) -> list[Refusal]:
        """Have exactly the sets that the seats' machines make up, but for those that cannot listen."""
        wanted: dict[Place, dict[str, tuple[Seat, Backend]]] = {}
        for seat in seats:
            for backend in seat.member.backends:
                wanted.setdefault(backend.place, {})[seat.member.id] = seat, backend
        for place in self._sets.keys() - wanted.keys():
            await self._sets.pop(place).close()
        answers = [await self._have(place, members) for place, members in sorted(wanted.items())]
        return [answer for answer in answers if answer is not None]

    async def _have(self, place: Place, members: dict[str, tuple[Seat, Backend]]) -> Refusal | None:
        protocol, address, port = place
        group = self._sets.get(place) or (Datagrams() if protocol == "udp" else Connections(self._carrying))
        try:
            await group.open(address, port)
        except OSError as error:
            _, first = next(iter(members.values()))
            return Refusal(first, error.errno or 0)
        self._sets[place] = group
        group.arrange(members, self._prober)
        return None
