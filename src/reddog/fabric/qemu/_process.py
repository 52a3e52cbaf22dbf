"""QEMU processes: started, found again, watched and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from reddog.fabric import _specs, ports
from reddog.fabric.compute import MachineError, MachineSpec
from reddog.fabric.qemu._room import Room


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


def spawn(room: Room, command: Sequence[str]) -> Process | None:
    """Start QEMU in the machine's directory, or None when the machine already has a living process.

    The lock `alive` is taken first and inherited: from before the process exists until it is gone, no second
    one can start.
    """
    life = room.take_life()
    if life is None:
        return None
    log = room.open_log()
    try:
        child = subprocess.Popen(
            command,
            cwd=room.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(life,),
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        message = f"{command[0]} could not be started: {error.strerror}."
        raise MachineError("StartFailed", message, "Check QEMU's installation.") from error
    finally:
        os.close(life)
        os.close(log)
    return Process(child.pid, child)


def start_error(log: str, spec: MachineSpec) -> MachineError:
    """What QEMU's last words mean."""
    for disk in (spec.os_disk, *spec.data_disks):
        if str(disk.path) in log and ("lock" in log or "in use" in log):
            return _specs.disk_locked(disk.path)
    if 'Failed to get "write" lock' in log or 'Failed to get shared "write" lock' in log:
        return _specs.disk_locked(spec.os_disk.path)
    if "host forwarding rule" in log:
        return _forward_error(log, spec)
    if "No space left on device" in log:
        return MachineError("NoSpace", "The host's disk is full.", "Free some disk space and try again.")
    if "Cannot allocate memory" in log or "cannot set up guest memory" in log:
        message = f"The host has no {spec.memory_mb} MB of memory for this machine."
        return MachineError("StartFailed", message, "Stop other machines, or choose a smaller size.")
    last = log.splitlines()[-1] if log else "it said nothing"
    return MachineError(
        "StartFailed", f"QEMU ended at once: {last}.", "See qemu.log in the machine's directory."
    )


def _forward_error(log: str, spec: MachineSpec) -> MachineError:
    for forward in spec.forwards:
        try:
            ports.check_bindable(forward)
        except MachineError as error:
            return error
    named = (f for f in spec.forwards if f":{f.address}:{f.port}-" in log)
    return _specs.port_in_use(next(named, spec.forwards[0]))
