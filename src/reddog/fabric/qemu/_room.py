"""The runtime directory of one machine, and what is kept there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from reddog.fabric import _specs
from reddog.fabric._files import private_dir, write_atomic
from reddog.fabric._process import ALIVE, ProcessDirectory
from reddog.fabric.compute import MachineSpec, MachineState
from reddog.fabric.qemu import _command

_SPEC = "spec.json"
_STATE = "state.json"
_LOGS = (_command.CONSOLE_LOG, _command.READY_LOG)
_LOG_LIMIT = 8 << 20
_LOG_KEPT = 1 << 20


class Room(ProcessDirectory):
    """The directory `machines_dir/<id>`."""

    log_name = "qemu.log"

    # -- the directory ----------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the directory and its files, private from the beginning."""
        private_dir(self.path)
        for name in (*_LOGS, ALIVE):
            os.close(os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def destroy(self) -> None:
        """Remove the directory; it disappears at once, whatever happens meanwhile."""
        self.close()
        gone = self.path.with_name(f".{self.path.name}.gone")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(gone, ignore_errors=True)
            self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

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

    # -- what the process and the guest wrote -----------------------------------------------------------

    def console(self) -> bytes:
        """The newest part of what the guest wrote to its serial port."""
        return self.tail(_command.CONSOLE_LOG, _LOG_KEPT)

    def ready_words(self) -> bytes:
        """The newest part of what the guest said on the ready port."""
        return self.tail(_command.READY_LOG, 64 << 10)

    def clear_ready(self) -> None:
        """Forget what the guest said on the ready port (QEMU appends, so the file can be cut under it)."""
        os.truncate(self.path / _command.READY_LOG, 0)

    def trim_logs(self) -> None:
        """Keep a talkative guest from filling the host's disk."""
        for name in _LOGS:
            path = self.path / name
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > _LOG_LIMIT:
                    kept = self.tail(name, _LOG_KEPT)
                    os.truncate(path, 0)
                    with path.open("ab") as file:
                        file.write(kept)

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
