"""When a guest counts as ready.

A guest that knows the port `org.reddog.ready` says so itself, in one line of JSON. From any other guest,
nothing is heard there; after `quiet` seconds it counts as ready as soon as something behind the first TCP
forward speaks first (as SSH does), and after `at_most` seconds in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reddog.fabric._specs import own_forwards
from reddog.fabric.compute import Forward, MachineSpec
from reddog.fabric.qemu._room import Room

_POLL = 0.1
_LISTEN = 5.0
_LONGEST = 255


@dataclass(frozen=True)
class Readiness:
    """How long to wait for a guest, in seconds since its (last) start.

    quiet: for word on the ready port alone. at_most: for any sign. probe: between two tries of the forward.
    """

    quiet: float = 30.0
    at_most: float = 600.0
    probe: float = 2.0


async def watch_ready(
    room: Room, spec: MachineSpec, since: datetime, readiness: Readiness
) -> dict[str, str | None]:
    """Return when the guest is ready, with `host_name` and `ssh_host_key` if it told them."""
    forward = next((forward for forward in own_forwards(spec.forwards) if forward.protocol == "tcp"), None)
    while True:
        word = read_words(room.ready_words())
        if word is not None:
            return word
        waited = (datetime.now(UTC) - since).total_seconds()
        if waited >= readiness.at_most:
            return {}
        if waited >= readiness.quiet and forward is not None:
            if await _speaks(forward):
                return {}
            await asyncio.sleep(readiness.probe)
        await asyncio.sleep(_POLL)


def read_words(said: bytes) -> dict[str, str | None] | None:
    """What the last `ready` line tells, or None when there is none. The guest is not to be trusted."""
    for line in reversed(said.split(b"\n")[:-1]):
        with contextlib.suppress(ValueError):
            word = json.loads(line)
            if isinstance(word, dict) and word.get("event") == "ready":
                return {name: _text(word.get(name)) for name in ("host_name", "ssh_host_key")}
    return None


def _text(value: Any) -> str | None:
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()
    return value if usable else None


async def _speaks(forward: Forward) -> bool:
    """Whether the guest's side says anything. That the host accepts means nothing: slirp always does."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LISTEN):
            reader, writer = await asyncio.open_connection(forward.address, forward.port)
            try:
                return bool(await reader.read(1))
            finally:
                writer.close()
    return False
