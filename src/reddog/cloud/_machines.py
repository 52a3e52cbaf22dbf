"""The machines of a data directory: their driver, their power cycles, their consoles."""

from __future__ import annotations

from pathlib import Path

from reddog.cloud._errors import CloudError
from reddog.fabric import ComputeDriver, MachineError
from reddog.fabric.qemu import QemuDriver
from reddog.fabric.qemu.console import Console, find_console
from reddog.fabric.simulated import SimulatedDriver
from reddog.settings import Settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def make_driver(settings: Settings) -> ComputeDriver:
    """The driver that the settings choose, on the data directory's machines; those that run are adopted.

    :raises CloudError: QEMU is not installed, or another process drives these machines.
    """
    try:
        if settings.fabric == "simulated":
            return SimulatedDriver(settings.machines_dir)
        return QemuDriver(settings.machines_dir)
    except MachineError as error:
        raise CloudError(error.message, error.remedy) from None


def record_power_cycle(settings: Settings) -> None:
    """Note that the machines were powered off on purpose, so that the next start powers them on again."""
    path = _counter(settings)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(str(_power_cycles(settings) + 1))
    temporary.replace(path)


def boot_id(settings: Settings) -> str:
    """Changes when the host has booted, the machines have been powered off on purpose, or the fabric is another."""
    return f"{_BOOT_ID.read_text().strip()}/{_power_cycles(settings)}/{settings.fabric}"


def machine_console(data_dir: Path, service: str, deployment: str, role: str) -> Console:
    """The serial console of a role's machine.

    :raises CloudError: the role has no machine, as when it is deallocated or simulated.
    """
    name = f"{service}/{deployment}/{role}".lower()
    found = find_console(data_dir / "machines", name)
    if found is None:
        raise CloudError(f"{name} has no console now.", "Start the machine, then try again.")
    return found


def _counter(settings: Settings) -> Path:
    return settings.data_dir / "power-cycles"


def _power_cycles(settings: Settings) -> int:
    try:
        return int(_counter(settings).read_text())
    except (OSError, ValueError):
        return 0
