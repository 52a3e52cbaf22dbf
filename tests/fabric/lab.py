"""One bench for all drivers: the same acts, done to simulated and to real machines."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabric.bootsector import boot_sector
from reddog.fabric import ComputeDriver, Disk, Forward, MachineSpec, MachineState
from reddog.fabric.provisioning import linux_ovf
from reddog.fabric.qemu import QemuDriver, Readiness
from reddog.fabric.simulated import SimulatedDriver

MIB = 1 << 20
FOOTER = b"footer!!" * 64
PASSWORD = "Secret-of-the-guest-1"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], timeout: float = 30) -> Any:
    """Wait until the condition holds, and return what it gave."""
    limit = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)
    return value


def processes(directory: Path) -> list[int]:
    """The living processes that work in a machine's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            inside = entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(directory)
        except OSError:
            continue
        if inside:
            found.append(int(entry.name))
    return found


def forward(port: int, *, name: str = "SSH", guest_port: int = 22, protocol: Any = "tcp") -> Forward:
    return Forward(name, protocol, "127.0.0.1", port, guest_port)


def ovf() -> bytes:
    return linux_ovf("web1", "alice", PASSWORD, False, [], None)


@dataclass
class Lab:
    """A driver and its directory; `reopen` is what a restart of the cloud does."""

    kind: str
    root: Path
    readiness: Readiness = field(default_factory=lambda: Readiness(quiet=600, at_most=0.3))

    def __post_init__(self) -> None:
        self.events: list[str] = []
        self.driver = self.open(self.root / "machines")

    @property
    def machines(self) -> Path:
        return self.root / "machines"

    def open(self, directory: Path) -> ComputeDriver:
        """A driver of this kind on a directory."""
        driver: ComputeDriver
        if self.kind == "qemu":
            driver = QemuDriver(directory, accelerator="tcg", readiness=self.readiness)
        else:
            driver = SimulatedDriver(directory)
        driver.watch(self.events.append)
        return driver

    def reopen(self) -> None:
        self.driver.close()
        self.driver = self.open(self.machines)

    def close(self) -> None:
        for id in self.driver.list():
            self.driver.remove(id)
        self.driver.close()

    def disk(self, name: str, *, size: int = MIB, lun: int | None = None) -> Disk:
        """A fixed VHD in shape: data that boots, and a footer that the guest must not see."""
        path = self.root / name
        with path.open("wb") as file:
            file.write(boot_sector())
            file.seek(size)
            file.write(FOOTER)
        return Disk(path, size, lun)

    def spec(self, id: str = "vm-1", **changes: Any) -> MachineSpec:
        values: dict[str, Any] = {"id": id, "name": id, "cores": 1, "memory_mb": 32}
        if "os_disk" not in changes:
            values["os_disk"] = self.disk(f"{id}.vhd")
        return MachineSpec(**{**values, **changes})

    def start(self, id: str = "vm-1", **changes: Any) -> MachineSpec:
        spec = self.spec(id, **changes)
        self.driver.start(spec)
        return spec

    def state(self, id: str = "vm-1") -> MachineState:
        return self.driver.observe(id)

    def ready(self, id: str = "vm-1") -> MachineState:
        until(lambda: self.state(id).ready)
        if self.kind == "qemu":
            until(lambda: b"ok" in self.driver.console(id))
        return self.state(id)

    def stopped(self, id: str = "vm-1") -> MachineState:
        until(lambda: self.state(id).power == "stopped")
        return self.state(id)

    # -- what happens to a machine without the driver's doing

    def guest_shutdown(self, id: str = "vm-1") -> None:
        self._tell_guest(id, b"q", "guest_shutdown")

    def panic(self, id: str = "vm-1") -> None:
        self._tell_guest(id, b"p", "panic")

    def kill(self, id: str = "vm-1") -> None:
        if isinstance(self.driver, SimulatedDriver):
            self.driver.kill(id)
        else:
            (pid,) = processes(self.machines / id)
            os.kill(pid, 9)

    def _tell_guest(self, id: str, letter: bytes, fault: str) -> None:
        if isinstance(self.driver, SimulatedDriver):
            getattr(self.driver, fault)(id)
            return
        path = self.driver.console_socket(id)
        assert path is not None
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(path))
            console.sendall(letter)
            time.sleep(0.2)
