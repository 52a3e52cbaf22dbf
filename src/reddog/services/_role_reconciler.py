"""Makes a role's machine what the role's goal says, and sees what has become of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.fabric import ComputeDriver, Disk, MachineSpec, MachineState
from reddog.services import _endpoints, _media, _private_networks, _virtual_ips, disks
from reddog.services._endpoints import EndpointPorts
from reddog.services._machine_errors import machine_errors
from reddog.storage import Storage

KIND = "role"
GRACE = 60.0  # seconds for a guest to shut down by itself
LONGEST_WAIT = 180.0  # seconds for a started guest to report ready before the operation ends without it
READY_POLL = 0.25


def machine_id(role: Resource) -> str:
    """The id of a role's machine; never given to another one."""
    return f"vm-{role.uid}"


class RoleReconciler(Reconciler):
    """Drives the machines of roles.

    Args:
        storage: Holds the disks.
        driver: Runs the machines.
        boot_id: Changes whenever the machines have been powered off from outside: by the host's reboot, or
            by a planned stop. Those that should run are then started again.
    """

    kind = KIND

    def __init__(self, storage: Storage, driver: ComputeDriver, boot_id: str) -> None:
        self._storage = storage
        self._driver = driver
        self._boot_id = boot_id
        self._keys: dict[str, str] = {}
        self._endpoints = EndpointPorts(lambda role: driver.observe(machine_id(role)).power == "running")

    def follow(self, engine: Engine) -> None:
        """Have the engine look at a role whenever its machine changes."""

        def changed(machine: str) -> None:
            key = self._keys.get(machine)
            if key is not None:
                engine.poke(KIND, key)

        self._driver.watch(changed)

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        machine = machine_id(row)
        self._keys[machine] = row.key
        with machine_errors(row.goal["name"]):
            if not row.present or row.goal["power"] == "deallocated":
                self._driver.remove(machine)
                self._keys.pop(machine, None)
                ctx.checkpoint("machine removed")
                return Converged()
            if row.goal["power"] == "stopped":
                self._note_ready(row, ctx, self._driver.observe(machine))
                self._driver.shutdown(machine, timeout=GRACE)
                ctx.checkpoint("machine stopped")
                return Converged()
            return self._run(row, ctx)

    def observe(self, row: Resource, ctx: Context) -> None:
        """See `Reconciler.observe`."""
        machine = machine_id(row)
        self._keys[machine] = row.key
        if row.goal["power"] != "started":
            return
        if row.state.get("boot_id") != self._boot_id:
            ctx.unsettle()
            return
        self._note_ready(row, ctx, self._driver.observe(machine))

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """Let go of the disks of a role whose removal was given up for now: they were attached to it again."""
        if row.present or succeeded:
            return
        for disk in tx.list(disks.KIND, row.subscription):
            used = disk.goal["attached"]
            if disk.present and used and used["key"] == row.key:
                tx.set_goal(disks.KIND, disk.key, {**disk.goal, "attached": None})

    def _note_ready(self, row: Resource, ctx: Context, seen: MachineState) -> None:
        """When the guest is ready, forget the provisioning document that it has used, and keep its SSH key's name."""
        if not seen.ready:
            return
        if row.state.get("provisioning"):
            self._driver.forget_provisioning(machine_id(row))
            ctx.patch_state(provisioning=None)
        if seen.ssh_host_key != row.state.get("ssh_host_key"):
            ctx.patch_state(ssh_host_key=seen.ssh_host_key)

    def _run(self, row: Resource, ctx: Context) -> Converged | Retry:
        machine = machine_id(row)
        seen = self._driver.observe(machine)
        if row.goal["restarts"] != row.state.get("restarts", 0):
            return self._restart(row, ctx, seen)
        if self._must_start(row):
            return self._start(row, ctx, seen)
        if seen.power == "running":
            self._match_disks(row, ctx)
            self._match_network(row, ctx)
            self._match_endpoints(row, ctx)
        if row.goal.get("wait_ready") and _is_booting(seen):
            return Retry(READY_POLL)
        self._note_ready(row, ctx, seen)
        return Converged()

    def _must_start(self, row: Resource) -> bool:
        state, goal = row.state, row.goal
        return (
            state.get("boot_id") != self._boot_id
            or state.get("starts") != goal["starts"]
            or state.get("rebuilds", 0) != goal.get("rebuilds", 0)
        )

    def _start(self, row: Resource, ctx: Context, seen: MachineState) -> Retry:
        rebuilds = row.goal.get("rebuilds", 0)
        if row.state.get("rebuilds", 0) != rebuilds and seen.power == "running":
            self._driver.shutdown(machine_id(row), timeout=GRACE)  # another size needs another machine
            seen = self._driver.observe(machine_id(row))
        found = ctx.read(lambda reader: _World(reader, row))
        self._driver.start(self._spec(row, ctx, found, running=seen.power == "running"))
        ctx.checkpoint("machine started")
        ctx.patch_state(
            boot_id=self._boot_id,
            starts=row.goal["starts"],
            rebuilds=rebuilds,
            data_disks=_data_disks(row),
            endpoints=_endpoints.asked(row, found.address),
            network=_private_networks.as_state(found.network),
        )
        return Retry(READY_POLL)

    def _match_endpoints(self, row: Resource, ctx: Context) -> None:
        """Open and close endpoints of a running machine, so that it has those of its goal."""
        found = ctx.read(lambda reader: _World(reader, row))
        asked = _endpoints.asked(row, found.address)
        if asked == row.state.get("endpoints", []):
            return
        self._driver.set_forwards(machine_id(row), self._endpoints.forwards(row, ctx, running=True))
        ctx.checkpoint("endpoints changed")
        ctx.patch_state(endpoints=asked)

    def _match_network(self, row: Resource, ctx: Context) -> None:
        """Tell a running machine's network of another host name or other DNS servers."""
        network = ctx.read(lambda reader: _World(reader, row)).network
        told = _private_networks.as_state(network)
        if told == row.state.get("network"):
            return
        self._driver.set_network(machine_id(row), network)
        ctx.checkpoint("network changed")
        ctx.patch_state(network=told)

    def _match_disks(self, row: Resource, ctx: Context) -> None:
        """Attach and detach data disks of a running machine, so that it has those of its goal."""
        wanted, has = _data_disks(row), dict(row.state.get("data_disks", {}))
        if wanted == has:
            return
        found = ctx.read(lambda reader: _World(reader, row))
        for lun in [lun for lun, name in has.items() if wanted.get(lun) != name]:
            self._driver.detach_disk(machine_id(row), int(lun))
            ctx.checkpoint("disk detached")
        for one in row.goal["disks"][1:]:
            if has.get(str(one["lun"])) != one["name"]:
                disk = self._disk(one, found.disks[one["name"].lower()])
                self._driver.attach_disk(machine_id(row), disk)
                ctx.checkpoint("disk attached")
        ctx.patch_state(data_disks=wanted)

    def _restart(self, row: Resource, ctx: Context, seen: MachineState) -> Converged | Retry:
        if seen.power == "absent":
            found = ctx.read(lambda reader: _World(reader, row))
            self._driver.start(self._spec(row, ctx, found, running=False))
        else:
            self._driver.restart(machine_id(row))
        ctx.checkpoint("machine restarted")
        ctx.patch_state(restarts=row.goal["restarts"], boot_id=self._boot_id)
        return Retry(READY_POLL)

    def _spec(self, row: Resource, ctx: Context, found: _World, *, running: bool) -> MachineSpec:
        goal = row.goal
        system, *data = [self._disk(one, found.disks[one["name"].lower()]) for one in goal["disks"]]
        document = row.state.get("provisioning")
        return MachineSpec(
            id=machine_id(row),
            name=row.key,
            cores=goal["cores"],
            memory_mb=goal["memory_mb"],
            os_disk=system,
            data_disks=tuple(data),
            forwards=self._endpoints.forwards(row, ctx, running=running),
            provisioning=base64.b64decode(document) if document else None,
            network=found.network,
            identity=goal.get("identity", 0),
        )

    def _disk(self, one: Mapping[str, Any], disk: Resource) -> Disk:
        goal = disk.goal
        path, size = _media.disk_file(self._storage, {**goal, "media": goal["media"][0]})
        return Disk(path, size, one["lun"])


class _World:
    """What a role's machine is made of: its disks, its deployment's address, and its place in the network there."""

    def __init__(self, reader: Reader, role: Resource) -> None:
        names = (disk["name"] for disk in role.goal["disks"])
        rows = [disks.require(reader, role.subscription, name) for name in names]
        self.disks = {row.goal["name"].lower(): row for row in rows}
        self.address = _virtual_ips.address_of(reader, role.parent or "")
        deployment = reader.get("deployment", role.parent or "")
        assert deployment is not None
        name = role.goal["host_name"] or role.goal["name"]
        site = _private_networks.site_of(reader, deployment)
        self.network = _private_networks.place(deployment, site, role.goal, name)


def _data_disks(row: Resource) -> dict[str, str]:
    """The names of the data disks that a role is to have, by LUN."""
    return {str(one["lun"]): one["name"] for one in row.goal["disks"] if one["lun"] is not None}


def _is_booting(seen: MachineState) -> bool:
    if seen.power == "starting":
        return True
    waited = (datetime.now(UTC) - seen.since).total_seconds()
    return seen.power == "running" and not seen.ready and waited < LONGEST_WAIT
