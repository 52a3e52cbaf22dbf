"""A driver that boots nothing: the same behavior as real machines, at once or by a clock moved by hand.

Machines are kept as JSON in the driver's directory, so the next driver on it finds them as a real one would.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reddog.fabric import _specs, provisioning
from reddog.fabric._acl import permits
from reddog.fabric._clock import Clock, ManualClock, RealClock
from reddog.fabric._files import hold_directory, private_dir, publish, write_atomic
from reddog.fabric._watchers import Watchers
from reddog.fabric.compute import (
    Accelerator,
    Cause,
    Disk,
    Forward,
    MachineError,
    MachineSpec,
    MachineState,
    Network,
    Power,
)
from reddog.sparse import copy_sparse

__all__ = ["Clock", "ManualClock", "RealClock", "SimulatedDriver"]

_PROVISIONING = "ovf-env.xml"


@dataclass(frozen=True)
class _Machine:
    spec: MachineSpec
    power: Power
    since: float
    boot: int
    ready_at: float
    cause: Cause | None = None
    host_name: str | None = None
    message: str = ""

    def state(self, now: float) -> MachineState:
        ready = self.power == "running" and now >= self.ready_at
        key = hashlib.sha256(self.spec.id.encode()).hexdigest()[:32]
        return MachineState(
            id=self.spec.id,
            power=self.power,
            ready=ready,
            cause=self.cause,
            host_name=self.host_name if ready else None,
            ssh_host_key=key if ready else None,
            message=self.message,
            since=datetime.fromtimestamp(self.since, UTC),
        )


class SimulatedDriver:
    """Simulated machines under `directory`.

    clock: real by default; a `ManualClock` stands still until it is advanced. boot_time: seconds from start
    to ready; settable at any time, `math.inf` for guests that never report. Faults are injected with
    `fail_next_start`, `kill`, `guest_shutdown`, `panic` and `stop_service`. What the networks do is told by
    `connect` and `resolve`. Raises MachineError DriverFailed while another driver holds the directory.
    """

    name = "simulated"
    accelerator: Accelerator = "none"
    capabilities = frozenset({"hot-disks", "forwards", "console", "backup", "networks"})

    def __init__(self, directory: Path, *, clock: Clock | None = None, boot_time: float = 0.05) -> None:
        self.boot_time = boot_time
        self._directory = directory
        self._hold = hold_directory(directory)
        self._clock: Clock = clock or RealClock()
        self._owns_clock = clock is None
        self._lock = threading.RLock()
        self._closed = False
        self._failures: list[MachineError] = []
        self._watchers = Watchers()
        self._services: dict[tuple[str, int], tuple[bool, float]] = {}  # whether it runs, since when
        self._connections: Counter[tuple[str, str, int]] = Counter()
        self._machines = {machine.spec.id: machine for machine in self._load()}
        for machine in self._machines.values():
            self._expect_ready(machine)

    # -- the driver's interface -------------------------------------------------------------------------

    def start(self, spec: MachineSpec) -> None:
        with self._change(_specs.check_id(spec.id)) as before:
            if before is not None and before.power == "running":
                return
            self._start(_specs.check_spec(spec), before)

    def shutdown(self, id: str, *, timeout: float) -> None:
        self._stop(id, "host-shutdown", "It was shut down.")

    def restart(self, id: str) -> None:
        with self._change(id):
            machine = self._get(id)
            if machine.power == "running":
                self._boot(machine.spec, machine)
            else:
                self._start(_specs.check_spec(machine.spec), machine)

    def remove(self, id: str) -> None:
        with self._change(_specs.check_id(id)):
            self._machines.pop(id, None)
            shutil.rmtree(self._directory / id, ignore_errors=True)

    def observe(self, id: str) -> MachineState:
        machine = self._machines.get(id)
        if machine is None:
            return MachineState(id, "absent", message="There is no such machine.")
        return machine.state(self._clock.now())

    def list(self) -> list[str]:
        rooms = (entry.name for entry in self._directory.iterdir() if entry.is_dir())
        return sorted(name for name in rooms if not name.startswith("."))

    def set_forwards(self, id: str, forwards: Iterable[Forward]) -> None:
        with self._lock:
            machine = self._get(id)
            spec = _specs.with_forwards(machine.spec, forwards)
            if machine.power == "running":
                self._check_ports(spec)
            self._save(replace(machine, spec=spec))

    def set_network(self, id: str, network: Network) -> None:
        with self._lock:
            machine = self._get(id)
            self._save(replace(machine, spec=_specs.with_network(machine.spec, network)))

    def attach_disk(self, id: str, disk: Disk) -> None:
        with self._lock:
            machine = self._get(id)
            lun = _specs.check_data_disk(disk)
            there = _specs.find_disk(machine.spec, lun)
            if there is not None and there != disk:
                raise _specs.lun_taken(id, lun)
            spec = _specs.with_disk(machine.spec, disk)
            if machine.power == "running":
                self._check_disks(spec)
            self._save(replace(machine, spec=spec))

    def detach_disk(self, id: str, lun: int) -> None:
        with self._lock:
            machine = self._get(id)
            self._save(replace(machine, spec=_specs.without_disk(machine.spec, lun)))

    def backup_disk(self, id: str, lun: int | None, target: Path) -> None:
        with self._lock:
            disk = _specs.require_disk(self._get(id).spec, lun)
        _specs.check_disk(disk)
        publish(target, lambda draft: copy_sparse(disk.path, draft))

    def console(self, id: str) -> bytes:
        machine = self._get(id)
        lines = [f"reddog: simulated machine {machine.spec.name}, boot {machine.boot}"]
        if machine.state(self._clock.now()).ready:
            lines.append("reddog: ready")
        return "\n".join([*lines, ""]).encode()

    def console_socket(self, id: str) -> Path | None:
        self._get(id)
        return None

    def forget_provisioning(self, id: str) -> None:
        (self._directory / _specs.check_id(id) / _PROVISIONING).unlink(missing_ok=True)

    def watch(self, callback: Callable[[str], None]) -> None:
        self._watchers.add(callback)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._owns_clock:
            self._clock.close()
        os.close(self._hold)

    # -- faults -----------------------------------------------------------------------------------------

    def fail_next_start(self, error: MachineError | None = None) -> None:
        """The next start fails with this error (StartFailed by default). Several calls queue up."""
        self._failures.append(
            error or MachineError("StartFailed", "The simulated start failed.", "Try again.")
        )

    def kill(self, id: str) -> None:
        """As when the machine's process is killed."""
        self._stop(id, "killed", "Its process was killed.")

    def guest_shutdown(self, id: str) -> None:
        """As when somebody powers off inside the guest."""
        self._stop(id, "guest-shutdown", "The guest powered off.")

    def panic(self, id: str) -> None:
        """As when the guest's kernel panics."""
        self._stop(id, "panic", "The guest's kernel panicked.")

    def stop_service(self, id: str, port: int) -> None:
        """As when a machine's guest takes no connections at a port any more."""
        self._services[id, port] = False, self._clock.now()

    def start_service(self, id: str, port: int) -> None:
        """Undo `stop_service`. Guests that are ready take connections at all other ports."""
        self._services[id, port] = True, self._clock.now()

    # -- what can be seen -------------------------------------------------------------------------------

    def connect(
        self, address: str, port: int, protocol: str = "tcp", client: str = "127.0.0.1"
    ) -> str | None:
        """The id of the machine that takes a client's new connection to an endpoint; None: nobody does."""
        with self._lock:
            place = protocol, address, port
            takers = [
                machine.spec.id
                for machine in sorted(self._machines.values(), key=lambda machine: machine.spec.id)
                for forward in machine.spec.forwards
                if _specs.place(forward) == place
                and permits(forward.acl, client)
                and self._takes(machine, forward)
            ]
            if not takers:
                return None
            self._connections[place] += 1
            return takers[self._connections[place] % len(takers)]

    def resolve(self, id: str, name: str) -> str | None:
        """The address that a machine's network tells it for a host name, in its own domain or with another."""
        own = self._get(id).spec.network
        for machine in self._machines.values():
            other = machine.spec.network
            if own is None or other is None or other.id != own.id or machine.power != "running":
                continue
            whole = name if "." in name else f"{name}.{own.domain}"
            if whole.lower() == f"{other.host_name}.{other.domain}".lower():
                return other.address
        return None

    def _takes(self, machine: _Machine, forward: Forward) -> bool:
        """Whether its service runs; a probe notices only after a while that it does not, or does again."""
        if not machine.state(now := self._clock.now()).ready:
            return False
        probe = forward.probe
        if probe is not None and probe.protocol == "none":
            probe = None
        port = forward.guest_port if probe is None else probe.port
        runs, since = self._services.get((machine.spec.id, port), (True, -math.inf))
        if probe is None:
            return runs
        return now - since >= probe.interval if runs else now - since < probe.timeout

    def spec(self, id: str) -> MachineSpec:
        """What a machine is now: its size, disks and forwards (never its provisioning document)."""
        return self._get(id).spec

    # -- inside -----------------------------------------------------------------------------------------

    def _get(self, id: str) -> _Machine:
        machine = self._machines.get(id)
        if machine is None:
            raise _specs.not_found(id)
        return machine

    @contextlib.contextmanager
    def _change(self, id: str) -> Iterator[_Machine | None]:
        """Alone with a machine as it is; watchers hear afterwards if it is another one then."""
        before = None
        try:
            with self._lock:
                before = self._machines.get(id)
                yield before
        finally:
            if self._machines.get(id) is not before:
                self._watchers.tell(id)

    def _start(self, spec: MachineSpec, before: _Machine | None) -> None:
        try:
            self._check_free(spec)
            if self._failures:
                raise self._failures.pop(0)
        except MachineError as error:
            self._fail(spec, before, error)
            raise
        self._boot(spec, before)

    def _fail(self, spec: MachineSpec, before: _Machine | None, error: MachineError) -> None:
        now = self._clock.now()
        machine = before or _Machine(spec, "stopped", now, boot=0, ready_at=now)
        spec = replace(spec, provisioning=None)
        self._save(replace(machine, spec=spec, cause="failed", message=error.message, since=now))

    def _boot(self, spec: MachineSpec, before: _Machine | None) -> None:
        name = before.host_name if before else None
        now = self._clock.now()
        private_dir(self._directory / spec.id)
        if spec.provisioning is not None:
            name = provisioning.host_name(spec.provisioning) or name
            write_atomic(self._directory / spec.id / _PROVISIONING, spec.provisioning, durable=False)
        machine = _Machine(
            spec=replace(spec, provisioning=None),
            power="running",
            since=now,
            boot=before.boot + 1 if before else 1,
            ready_at=now + self.boot_time,
            host_name=name or spec.name,
        )
        self._save(machine)
        self._expect_ready(machine)

    def _stop(self, id: str, cause: Cause, message: str) -> None:
        with self._change(id):
            machine = self._get(id)
            if machine.power == "stopped":
                return
            self._save(
                replace(machine, power="stopped", cause=cause, message=message, since=self._clock.now())
            )

    def _expect_ready(self, machine: _Machine) -> None:
        if machine.power == "running" and machine.ready_at < math.inf:
            self._clock.call_at(machine.ready_at, lambda: self._became_ready(machine.spec.id, machine.boot))

    def _became_ready(self, id: str, boot: int) -> None:
        with self._lock:
            machine = self._machines.get(id)
            if self._closed or machine is None or machine.boot != boot or machine.power != "running":
                return
            self.forget_provisioning(id)
        self._watchers.tell(id)

    def _others(self, id: str) -> Iterable[MachineSpec]:
        return (m.spec for m in self._machines.values() if m.power == "running" and m.spec.id != id)

    def _check_free(self, spec: MachineSpec) -> None:
        self._check_disks(spec)
        self._check_ports(spec)

    def _check_disks(self, spec: MachineSpec) -> None:
        mine = {disk.path: disk for disk in (spec.os_disk, *spec.data_disks)}
        for other in self._others(spec.id):
            for disk in (other.os_disk, *other.data_disks):
                if disk.path in mine and not (disk.read_only and mine[disk.path].read_only):
                    raise _specs.disk_locked(disk.path)

    def _check_ports(self, spec: MachineSpec) -> None:
        mine = {_specs.place(forward): forward for forward in spec.forwards}
        for other in self._others(spec.id):
            for forward in other.forwards:
                rival = mine.get(_specs.place(forward))
                if rival is not None and not (rival.probe and forward.probe):
                    raise _specs.port_in_use(rival)

    def _save(self, machine: _Machine) -> None:
        document = {**asdict(machine), "spec": _specs.to_json(machine.spec)}
        path = private_dir(self._directory / machine.spec.id) / "machine.json"
        write_atomic(path, json.dumps(document).encode(), durable=False)
        self._machines[machine.spec.id] = machine

    def _load(self) -> Iterable[_Machine]:
        for id in self.list():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                document: dict[str, Any] = json.loads((self._directory / id / "machine.json").read_bytes())
                yield _Machine(**{**document, "spec": _specs.from_json(document["spec"])})
