"""A private network as its driver sees it: a directory, and the process that works there."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import reddog
from reddog.fabric import ports
from reddog.fabric._files import private_dir
from reddog.fabric._process import Process, ProcessDirectory, spawn
from reddog.fabric.compute import MachineError
from reddog.fabric.lan._plan import Member, Place, endpoint
from reddog.fabric.lan._server import CONTROL_SOCKET

# nothing is imported from the directory, which is the process's working directory
_COMMAND = (sys.executable, "-P", "-m", "reddog.fabric.lan")
_START = 20.0  # seconds
_ANSWER = 20.0
_END = 5.0


class Lan(ProcessDirectory):
    """A private network, with a process while there are machines in it.

    attend: is called with every process that was started or found; it has to watch it.
    """

    log_name = "network.log"

    def __init__(self, path: Path, attend: Callable[[Process], None]) -> None:
        super().__init__(path)
        self._attend = attend
        self._process: Process | None = None

    def arrange(self, members: Sequence[Member]) -> dict[Place, MachineError]:
        """Join exactly these machines. Returns why endpoints cannot be opened, by their places.

        Raises MachineError DriverFailed or StartFailed.
        """
        if not members:
            self._dissolve()
            return {}
        try:
            answer = self._tell(members)
        except MachineError:  # it may have ended just then
            answer = self._tell(members)
        if answer["version"] != reddog.__version__:  # an older reddog has started it
            self._end()
            answer = self._tell(members)
        return {place: _refusal(one["name"], place, one["errno"]) for one, place in _refused(answer)}

    def _tell(self, members: Sequence[Member]) -> dict[str, Any]:
        self._have_process()
        return self._order(members)

    def _have_process(self) -> None:
        private_dir(self.path)
        process = spawn(self, _COMMAND)
        if process is None and (self._process is None or self._process.exited.is_set()):
            pid = self.pid(timeout=_END)
            process = None if pid is None else Process(pid)
        if process is not None:
            self._process = process
            self._attend(process)

    def _dissolve(self) -> None:
        if self.path.exists():
            self._end()
            self.close()
            shutil.rmtree(self.path, ignore_errors=True)

    def _end(self) -> None:
        """End the process: one without machines goes by itself."""
        if self.alive():
            with contextlib.suppress(MachineError):
                self._order(())
        until = time.monotonic() + _END
        while self.alive():
            if time.monotonic() > until and (pid := self.pid(timeout=0)) is not None:
                Process(pid).kill()
            time.sleep(0.01)
        self._process = None

    def _order(self, members: Sequence[Member]) -> dict[str, Any]:
        order = {"members": [member.to_json() for member in members]}
        with self._connect() as control:
            try:
                control.settimeout(_ANSWER)
                control.sendall(json.dumps(order).encode() + b"\n")
                answer: dict[str, Any] = json.loads(control.makefile("rb").readline())
            except (OSError, ValueError):
                raise self._deaf() from None
        return answer

    def _connect(self) -> socket.socket:
        until = time.monotonic() + _START
        while True:
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                control.connect(self.socket(CONTROL_SOCKET))
            except OSError:
                control.close()
                if time.monotonic() > until or not self.alive():
                    raise self._deaf() from None
                time.sleep(0.01)
            else:
                return control

    def _deaf(self) -> MachineError:
        said = self.log().splitlines()
        message = f"The private network {self.path.name} does not answer"
        return MachineError("DriverFailed", f"{message}: {said[-1]}" if said else f"{message}.", "Try again.")


def _refused(answer: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Place]]:
    for one in answer["refused"]:
        protocol, address, port = one["place"]
        yield one, (protocol, address, port)


def _refusal(name: str, place: Place, errno: int) -> MachineError:
    return ports.bind_error(endpoint(name, place), errno)
