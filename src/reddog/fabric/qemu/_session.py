"""QMP sessions, on a thread of their own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError, Runstate

from reddog.fabric.compute import MachineError
from reddog.fabric.qemu._command import QMP_SOCKET
from reddog.fabric.qemu._room import Room

T = TypeVar("T")
Event = dict[str, Any]
_GRACE = 5.0


class LoopThread:
    """An asyncio loop in a thread of its own; every method but `close` may be called from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="reddog-qmp", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None) -> T:
        """Run to the end, from another thread. Raises TimeoutError."""
        assert threading.current_thread() is not self._thread, "a watcher must not call the driver"
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError from None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start in the background, from the loop itself."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """End what runs, and the thread."""
        with contextlib.suppress(TimeoutError):
            self.run(self._cancel_all(), _GRACE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_GRACE)
        self.loop.close()

    async def _cancel_all(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.loop.shutdown_default_executor()


class Session:
    """The engine's QMP session with one QEMU. All methods run in the loop."""

    def __init__(self, client: QMPClient, events: asyncio.Task[None]) -> None:
        self._client = client
        self._events = events

    @classmethod
    async def open(cls, room: Room, on_event: Callable[[Event], None]) -> Session:
        """Connect. Raises OSError or QMPError when QEMU is not (yet) there."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, room.socket(QMP_SOCKET))
        except BaseException:
            connection.close()
            raise
        client = QMPClient(room.path.name)
        client.logger = _quiet
        events = asyncio.get_running_loop().create_task(_relay(client, on_event))
        try:
            await client.connect(connection)
        except BaseException:
            events.cancel()
            raise
        return cls(client, events)

    @property
    def connected(self) -> bool:
        """Whether QEMU is at the other end."""
        return self._client.runstate == Runstate.RUNNING

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Run a QMP command; `_` in argument names stands for `-`.

        Raises MachineError DriverFailed with QEMU's own words, or when it does not answer.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            return await self._client.execute(command, named)
        except ExecuteError as error:
            raise MachineError("DriverFailed", f"QEMU refused {command}: {error}.") from error
        except (QMPError, OSError) as error:
            raise MachineError("DriverFailed", f"QEMU went away during {command}.", "Try again.") from error

    async def human(self, line: str) -> str:
        """Run a monitor command that QMP lacks; what it says is its only result."""
        return str(await self.execute("human-monitor-command", command_line=line)).strip()

    @contextlib.asynccontextmanager
    async def listen(self, *names: str) -> AsyncIterator[EventListener]:
        """Events of these names, from now on."""
        with self._client.listener(names) as listener:
            yield listener

    async def close(self) -> None:
        """Let go of QEMU; it runs on."""
        self._events.cancel()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.disconnect(), _GRACE)


async def wait_event(
    session: Session, listener: EventListener, wanted: Callable[[Event], bool], patience: float | None
) -> Event | None:
    """The listener's next event that is wanted; None after `patience` seconds, or when QEMU is gone."""
    until = time.monotonic() + (math.inf if patience is None else patience)
    while session.connected and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            event = dict(await asyncio.wait_for(listener.get(), min(1.0, until - time.monotonic())))
            if wanted(event):
                return event
    return None


async def _relay(client: QMPClient, on_event: Callable[[Event], None]) -> None:
    async for event in client.events:
        on_event(dict(event))


_quiet = logging.getLogger("reddog.fabric.qmp")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # a QEMU that goes away is reported as the machine's state
