"""Processes that outlive the program which starts them: started, found again, watched and ended.

Each works in a directory of its own. `alive` there is a lock that the process holds from before it is started
until it is gone: it is inherited, so it tells the truth at every moment, also when this program is killed
halfway.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from reddog.fabric._files import create_private
from reddog.fabric.compute import MachineError

PIDFILE = "pid"  # written by the process itself
ALIVE = "alive"
_SOCKET_PATH_LIMIT = 107


class ProcessDirectory:
    """The directory in which one process works. log_name: where the process's own messages go."""

    log_name = "process.log"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def close(self) -> None:
        """Let go of the directory."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def socket(self, name: str) -> str:
        """A path to a unix socket in the directory that is short enough to connect to.

        A long one goes through /proc and works in this user's processes for as long as this object is open.
        """
        path = str(self.path / name)
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/{os.getpid()}/fd/{self._descriptor}/{name}"

    def take_life(self) -> int | None:
        """The lock that a new process is to inherit (close it afterwards), or None while one lives."""
        descriptor = os.open(self.path / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def alive(self) -> bool:
        """Whether the process lives."""
        if not (self.path / ALIVE).exists():
            return False
        descriptor = self.take_life()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def pid(self, *, timeout: float) -> int | None:
        """The number of the living process, waiting for a young one to tell; None: it is gone."""
        until = time.monotonic() + timeout
        while self.alive():
            found = self._told_pid() or (self._sought_pid() if time.monotonic() > until else None)
            if found is not None or time.monotonic() > until:
                return found
            time.sleep(0.02)
        return None

    def _told_pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.path / PIDFILE).read_text())
            return pid if self._works_here(Path(f"/proc/{pid}")) else None
        return None

    def _sought_pid(self) -> int | None:
        processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return next((int(entry.name) for entry in processes if self._works_here(entry)), None)

    def _works_here(self, process: Path) -> bool:
        try:
            return (process / "cwd").samefile(self.path)
        except OSError:
            return False

    def open_log(self) -> int:
        """A new log for the process's own messages."""
        return create_private(self.path / self.log_name)

    def log(self) -> str:
        """The process's own messages."""
        return self.tail(self.log_name, 4096).decode(errors="replace").strip()

    def tail(self, name: str, size: int) -> bytes:
        """The last bytes of a file in the directory; none where there is no such file."""
        try:
            with (self.path / name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - size))
                return file.read(size)
        except FileNotFoundError:
            return b""


class Process:
    """One living process, known by a descriptor: its number may be used again, the descriptor is not."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.exited = threading.Event()
        self._child = child
        self._descriptor = os.pidfd_open(pid)

    def watch(self, loop: asyncio.AbstractEventLoop, on_exit: Callable[[], None]) -> None:
        """Call `on_exit` in the loop (where this is called) once the process is gone and reaped."""

        def gone() -> None:
            self.release(loop)
            self._reap()
            on_exit()
            self.exited.set()

        loop.add_reader(self._descriptor, gone)

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch it no more."""
        if self._descriptor >= 0:
            loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            if self._child is not None and not self.exited.is_set():
                self._child.returncode = self._child.poll() or 0  # it may outlive us, and that is no mistake

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError, OSError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
        else:
            with contextlib.suppress(ChildProcessError):  # most often it is nobody's child of ours
                os.waitpid(self.pid, os.WNOHANG)


def spawn(directory: ProcessDirectory, command: Sequence[str]) -> Process | None:
    """Start the process of a directory, or None when it already has a living one.

    The lock `alive` is taken first and inherited: from before the process exists until it is gone, no second
    one can start.
    """
    life = directory.take_life()
    if life is None:
        return None
    log = directory.open_log()
    try:
        child = subprocess.Popen(
            command,
            cwd=directory.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(life,),
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        message = f"{command[0]} could not be started: {error.strerror}."
        raise MachineError("StartFailed", message, "Check its installation.") from error
    finally:
        os.close(life)
        os.close(log)
    return Process(child.pid, child)
