"""The driver of real machines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from reddog.fabric import _specs, kvm
from reddog.fabric._files import hold_directory, write_atomic
from reddog.fabric._watchers import Watchers
from reddog.fabric.compute import Accelerator, Disk, Forward, MachineSpec, MachineState, Network
from reddog.fabric.qemu import _command
from reddog.fabric.qemu._binary import Qemu, find_qemu
from reddog.fabric.qemu._machine import Machine, Site
from reddog.fabric.qemu._networks import Networks
from reddog.fabric.qemu._ready import Readiness
from reddog.fabric.qemu._room import Room
from reddog.fabric.qemu._session import LoopThread

_log = logging.getLogger("reddog.fabric")
_HOUSEKEEPING = 10.0
_NETWORKS = ".networks"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class QemuDriver:
    """Machines as QEMU processes of this user, each in its directory under `directory`.

    qemu: the program, found by itself by default. accelerator: `kvm` or `tcg`; by default KVM is tried when
    it is first needed, and the result kept until the host boots again. readiness: when guests that do not
    know the ready port count as ready. Machines that an earlier driver left are adopted before this returns.

    Raises MachineError NoHypervisor, or DriverFailed while another driver holds the directory.
    """

    name = "qemu"
    capabilities = frozenset({"hot-disks", "forwards", "console", "backup", "boots", "networks"})

    def __init__(
        self,
        directory: Path,
        *,
        qemu: Qemu | None = None,
        accelerator: Literal["kvm", "tcg"] | None = None,
        readiness: Readiness | None = None,
    ) -> None:
        self._qemu = qemu or find_qemu()
        self._directory = directory.absolute()
        self._hold = hold_directory(self._directory)
        self._accelerator: Accelerator | None = accelerator
        self._accelerator_lock = threading.Lock()
        self._watchers = Watchers()
        self._loop = LoopThread()
        self._networks = Networks(self._directory / _NETWORKS, self._loop)
        self._site = Site(
            self._loop, self._command_line, readiness or Readiness(), self._networks, self._watchers.tell
        )
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self._closed = False
        self._adopt()
        self._networks.open()
        self._loop.loop.call_soon_threadsafe(lambda: self._loop.spawn(self._keep_house()))

    @property
    def accelerator(self) -> Accelerator:
        """`kvm` where it works, else `tcg`; the first look may take 3 seconds."""
        with self._accelerator_lock:
            if self._accelerator is None:
                self._accelerator = self._probe()
            return self._accelerator

    def start(self, spec: MachineSpec) -> None:
        machine = self._machine(spec.id)
        try:
            machine.start(spec)
        finally:
            if machine.spec is None:  # it was refused before anything was made
                self._forget(machine)

    def shutdown(self, id: str, *, timeout: float) -> None:
        self._known(id).shutdown(timeout)

    def restart(self, id: str) -> None:
        self._known(id).restart()

    def remove(self, id: str) -> None:
        machine = self._machine(id)
        machine.remove()
        self._forget(machine)
        self._watchers.tell(id)

    def observe(self, id: str) -> MachineState:
        machine = self._machines.get(id)
        if machine is None or machine.spec is None:
            return MachineState(id, "absent", message="There is no such machine.")
        return machine.state

    def list(self) -> list[str]:
        return sorted(path.name for path in self._rooms())

    def set_forwards(self, id: str, forwards: Iterable[Forward]) -> None:
        self._known(id).set_forwards(forwards)

    def set_network(self, id: str, network: Network) -> None:
        self._known(id).set_network(network)

    def attach_disk(self, id: str, disk: Disk) -> None:
        self._known(id).attach_disk(disk)

    def detach_disk(self, id: str, lun: int) -> None:
        self._known(id).detach_disk(lun)

    def backup_disk(self, id: str, lun: int | None, target: Path) -> None:
        self._known(id).backup_disk(lun, target)

    def console(self, id: str) -> bytes:
        return self._known(id).room.console()

    def console_socket(self, id: str) -> Path | None:
        return self._known(id).socket(_command.CONSOLE_SOCKET)

    def monitor_socket(self, id: str) -> Path | None:
        """A QMP socket for people and tests, or None when the machine has no process now."""
        return self._known(id).socket(_command.MONITOR_SOCKET)

    def forget_provisioning(self, id: str) -> None:
        self._known(id).forget_provisioning()

    def watch(self, callback: Callable[[str], None]) -> None:
        self._watchers.add(callback)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._loop.run(self._let_go(), None)
        self._loop.close()
        os.close(self._hold)

    async def _let_go(self) -> None:
        machines = tuple(self._machines.values())
        await asyncio.gather(*(machine.disconnect() for machine in machines))
        for machine in machines:
            machine.release()
        self._networks.release()

    # -- inside -----------------------------------------------------------------------------------------

    def _rooms(self) -> Iterable[Path]:
        return (path for path in self._directory.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _machine(self, id: str) -> Machine:
        _specs.check_id(id)
        with self._lock:
            if id not in self._machines:
                self._machines[id] = Machine(Room(self._directory / id), self._site)
            return self._machines[id]

    def _known(self, id: str) -> Machine:
        machine = self._machines.get(id)
        if machine is None or machine.spec is None:
            raise _specs.not_found(id)
        return machine

    def _forget(self, machine: Machine) -> None:
        with self._lock:
            if self._machines.get(machine.id) is machine:
                del self._machines[machine.id]

    def _adopt(self) -> None:
        for gone in self._directory.glob(".*.gone"):
            shutil.rmtree(gone, ignore_errors=True)
        found = [self._machine(path.name) for path in self._rooms()]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for machine in found:
                pool.submit(self._adopt_one, machine)

    def _adopt_one(self, machine: Machine) -> None:
        try:
            if machine.spec is None:  # a start that was killed before it wrote anything down
                machine.remove()
                self._forget(machine)
            else:
                machine.adopt()
        except Exception:  # noqa: BLE001
            _log.exception("The machine %s could not be adopted.", machine.id)

    def _command_line(self, spec: MachineSpec, disc: Path | None) -> Sequence[str]:
        return _command.command_line(self._qemu, self.accelerator, spec, disc)

    def _probe(self) -> Accelerator:
        """Try KVM, once per boot of the host, QEMU program and kind of trial: where it hangs, that takes 3 seconds."""
        cache = self._directory / ".accelerator.json"
        key = f"{self._qemu.program} {kvm.PROCESSORS['kvm']} {zlib.crc32(kvm.SECTOR):x} {_boot_id()}"
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(cache.read_text())
            if (
                isinstance(known, dict)
                and known.get("key") == key
                and known.get("accelerator") in ("kvm", "tcg")
            ):
                chosen: Accelerator = known["accelerator"]
                return chosen
        found = kvm.choose_accelerator(self._qemu.command())
        write_atomic(cache, json.dumps({"key": key, "accelerator": found}).encode(), durable=False)
        return found

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING)
            for machine in tuple(self._machines.values()):
                with contextlib.suppress(OSError):
                    machine.room.trim_logs()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
