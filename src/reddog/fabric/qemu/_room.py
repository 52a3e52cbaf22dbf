"""The runtime directory of one machine: what is kept there, and whether its process lives.

`alive` is a lock that the machine's process holds from before it is started until it is gone: it is
inherited, so it tells the truth at every moment, also when this program is killed halfway.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from reddog.fabric import _specs
from reddog.fabric._files import create_private, private_dir, write_atomic
from reddog.fabric.compute import MachineSpec, MachineState
from reddog.fabric.qemu import _command

_SPEC = "spec.json"
_STATE = "state.json"
_ALIVE = "alive"
_LOG = "qemu.log"
_SOCKET_PATH_LIMIT = 107
_LOGS = (_command.CONSOLE_LOG, _command.READY_LOG)
_LOG_LIMIT = 8 << 20
_LOG_KEPT = 1 << 20


class Room:
    """The directory `machines_dir/<id>`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    # -- the directory ----------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the directory and its files, private from the beginning."""
        private_dir(self.path)
        for name in (*_LOGS, _ALIVE):
            os.close(os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def destroy(self) -> None:
        """Remove the directory; it disappears at once, whatever happens meanwhile."""
        self.close()
        gone = self.path.with_name(f".{self.path.name}.gone")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(gone, ignore_errors=True)
            self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

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

    # -- what is remembered -----------------------------------------------------------------------------

    def save_spec(self, spec: MachineSpec) -> None:
        """Keep the specification, for good."""
        write_atomic(self.path / _SPEC, json.dumps(_specs.to_json(spec)).encode())

    def load_spec(self) -> MachineSpec | None:
        """The specification, or None where there is none that can be read."""
        document = self._load(_SPEC)
        with contextlib.suppress(TypeError, KeyError):
            return None if document is None else _specs.from_json(document)
        return None

    def save_state(self, state: MachineState) -> None:
        """Keep the state for the next driver; a power cut may undo it, as it stops the machine anyway."""
        document = {**asdict(state), "since": state.since.isoformat()}
        write_atomic(self.path / _STATE, json.dumps(document).encode(), durable=False)

    def load_state(self) -> MachineState:
        """The last state; that of a stopped machine where none can be read."""
        document = self._load(_STATE)
        if document is not None:
            with contextlib.suppress(TypeError, KeyError, ValueError):
                return MachineState(**{**document, "since": datetime.fromisoformat(document["since"])})
        return MachineState(self.path.name, "stopped")

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            document = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    # -- the process ------------------------------------------------------------------------------------

    def take_life(self) -> int | None:
        """The lock that a new process is to inherit (close it afterwards), or None while one lives."""
        descriptor = os.open(self.path / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def alive(self) -> bool:
        """Whether a process of the machine lives."""
        if not (self.path / _ALIVE).exists():
            return False
        descriptor = self.take_life()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def pid(self, *, timeout: float) -> int | None:
        """The number of the machine's living process, waiting for a young one to tell; None: it is gone."""
        until = time.monotonic() + timeout
        while self.alive():
            found = self._told_pid() or (self._sought_pid() if time.monotonic() > until else None)
            if found is not None or time.monotonic() > until:
                return found
            time.sleep(0.02)
        return None

    def _told_pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.path / _command.PIDFILE).read_text())
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

    # -- what the process and the guest wrote -----------------------------------------------------------

    def open_log(self) -> int:
        """A new log for the process's own messages."""
        return create_private(self.path / _LOG)

    def log(self) -> str:
        """The process's own messages."""
        return self._tail(_LOG, 4096).decode(errors="replace").strip()

    def console(self) -> bytes:
        """The newest part of what the guest wrote to its serial port."""
        return self._tail(_command.CONSOLE_LOG, _LOG_KEPT)

    def ready_words(self) -> bytes:
        """The newest part of what the guest said on the ready port."""
        return self._tail(_command.READY_LOG, 64 << 10)

    def clear_ready(self) -> None:
        """Forget what the guest said on the ready port (QEMU appends, so the file can be cut under it)."""
        os.truncate(self.path / _command.READY_LOG, 0)

    def trim_logs(self) -> None:
        """Keep a talkative guest from filling the host's disk."""
        for name in _LOGS:
            path = self.path / name
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > _LOG_LIMIT:
                    kept = self._tail(name, _LOG_KEPT)
                    os.truncate(path, 0)
                    with path.open("ab") as file:
                        file.write(kept)

    def _tail(self, name: str, size: int) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - size))
                return file.read(size)
        except FileNotFoundError:
            return b""

    # -- the provisioning disc --------------------------------------------------------------------------

    @property
    def disc(self) -> Path:
        """Where the provisioning disc is, while there is one."""
        return self.path / _command.DISC

    def destroy_disc(self) -> bool:
        """Overwrite the disc, as guest and QEMU still hold its file, and remove it. False: it was gone."""
        try:
            with self.disc.open("r+b") as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            self.disc.unlink()
        except FileNotFoundError:
            return False
        return True
