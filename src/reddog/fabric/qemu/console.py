"""The serial consoles of machines, for programs other than the one that drives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reddog.fabric.qemu import _command
from reddog.fabric.qemu._room import Room


@dataclass(frozen=True)
class Console:
    """A machine's first serial port: the unix socket it is joined to, if the machine runs, and its log."""

    directory: Path

    @property
    def socket(self) -> Path | None:
        """The socket; None while there is none."""
        path = self.directory / _command.CONSOLE_SOCKET
        return path if path.exists() else None

    def log(self) -> bytes:
        """What the guest has written, newest 1 MiB at most."""
        return Room(self.directory).console()


def find_console(machines_dir: Path, name: str) -> Console | None:
    """The console of the machine whose specification has that name, or None."""
    for spec in sorted(machines_dir.glob("*/spec.json")):
        try:
            found = json.loads(spec.read_bytes()).get("name")
        except (OSError, ValueError, AttributeError):
            continue
        if found == name:
            return Console(spec.parent)
    return None
