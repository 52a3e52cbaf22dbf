"""A wire: a unix socket of a machine that carries frames, each behind its length in four bytes.

The machine's process listens and this one connects, again and again: so either may be started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator

_RETRY = 0.05  # seconds, doubled up to
_PATIENCE = 1.0
_LONGEST = 1 << 16  # bytes of a frame
_SHORTEST = 18  # bytes of a record: its length and the Ethernet header
_CROWDED = (
    4 << 20
)  # bytes that wait for a machine which does not read; more frames are lost, as on a real wire


@contextlib.contextmanager
def short_path(directory: str, name: str) -> Iterator[str]:
    """A path to a unix socket that can be connected to, however deep its directory lies."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


class Wire(asyncio.Protocol):
    """One wire. received: is called with every record; done: when those that came together are through."""

    def __init__(self, received: Callable[[bytes], None], done: Callable[[], None]) -> None:
        self._received = received
        self._done = done
        self._rest = b""
        self._waiting: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None
        self._lost = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a process is at the other end."""
        return self._transport is not None

    async def keep(self, directory: str, name: str) -> None:
        """Connect to a socket in a directory, now and whenever the connection is lost, until cancelled."""
        loop, pause = asyncio.get_running_loop(), _RETRY
        try:
            while True:
                with contextlib.suppress(OSError):
                    self._lost.clear()
                    with short_path(directory, name) as path:
                        await loop.create_unix_connection(lambda: self, path)
                    pause = _RETRY
                    await self._lost.wait()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PATIENCE)
        finally:
            if self._transport is not None:
                self._transport.abort()

    def put(self, record: bytes) -> None:
        """Have a record sent with the next `flush`."""
        self._waiting.append(record)

    def flush(self) -> None:
        """Send what was put."""
        if not self._waiting:
            return
        records, self._waiting = self._waiting, []
        if self._transport is not None and self._transport.get_write_buffer_size() < _CROWDED:
            self._transport.write(b"".join(records))

    # -- what asyncio calls -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self._rest = transport, b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while at + 4 <= end:
            length = int.from_bytes(data[at : at + 4])
            if length > _LONGEST and self._transport is not None:
                self._transport.abort()  # nothing that follows would make sense
                return
            if (after := at + 4 + length) > end:
                break
            if length + 4 >= _SHORTEST:
                self._received(data[at:after])
            at = after
        self._rest = data[at:]
        self._done()
