"""Load balancing over TCP: every new connection goes to the next machine that takes some."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from reddog.fabric.lan._turns import Set

_CHUNK = 1 << 18  # bytes
_BACKLOG = 1024
_RESET_ON_CLOSE = b"\x01\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Carrying = set["asyncio.Task[None] | None"]


class Connections(Set):
    """A set whose machines take connections; those that are there outlive the set.

    carrying: keeps the tasks that carry connections, which nothing else holds on to once the client has gone.
    """

    def __init__(self, carrying: Carrying) -> None:
        super().__init__()
        self._carrying = carrying
        self._server: asyncio.Server | None = None

    async def open(self, address: str, port: int) -> None:
        """See `Set.open`."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, address, port, limit=_CHUNK, backlog=_BACKLOG
            )

    async def close(self) -> None:
        """See `Set.close`."""
        await super().close()
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
        for backend in self.order(client):
            with contextlib.suppress(OSError):
                made = await asyncio.open_connection(backend.host_address, backend.host_port, limit=_CHUNK)
                return made, backend.idle_timeout
        return None


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
