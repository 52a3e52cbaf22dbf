"""Makes a role instance's machine what its deployment says, in the order of upgrade domains."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Any

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.fabric import ComputeDriver, Forward, MachineSpec, MachineState, Network, Probe
from reddog.fabric.ports import can_bind
from reddog.fabric.provisioning import GuestCertificate
from reddog.packages import PackageError
from reddog.services import _private_networks, _upgrade, _virtual_ips, service_certificates
from reddog.services._instance_settings import Instance, settings_files
from reddog.services._machine_errors import machine_errors
from reddog.services._package_files import PackageFiles
from reddog.wire import errors

KIND = "role_instance"
PACKAGE_KIND = "package"
GUEST_ADDRESS = "10.0.2.15"  # every machine's own, where there are no private networks
GRACE = 60.0  # seconds for a guest to shut down by itself
HEAL_PAUSE = 5.0  # seconds before a machine that has stopped by itself is started again
PORT_POLL = 0.25
_MIB = 1 << 20
_BY_ITSELF = ("guest-shutdown", "panic", "killed")
log = logging.getLogger("reddog.services")


def machine_id(instance: Resource) -> str:
    """The id of an instance's machine; never given to another one."""
    return f"ri-{instance.uid}"


def name_of(instance: Resource) -> str:
    """An instance's name, `{Role}_IN_{n}`."""
    return f"{instance.goal['role']}_IN_{instance.goal['index']}"


class PackageReconciler(Reconciler):
    """Unpacks the roles of a package, and removes its files.

    Args:
        files: Has the files.
    """

    kind = PACKAGE_KIND

    def __init__(self, files: PackageFiles) -> None:
        self._files = files

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        if not row.present:
            self._files.forget_package(row.key)
            ctx.checkpoint("package removed")
            return Converged()
        try:
            self._files.unpack(row.key, row.goal["roles"])
        except PackageError as error:
            raise errors.INVALID_PACKAGE(
                url=row.goal["url"], detail=error.message, remedy=error.remedy
            ) from None
        ctx.checkpoint("package unpacked")
        return Converged()

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """See `Reconciler.finish`."""
        _let_outdated_go_on(tx, row.parent or "")


class InstanceReconciler(Reconciler):
    """Drives the machines of role instances.

    Args:
        driver: Runs the machines.
        files: Has their disks and their roles' files.
        boot_id: Changes whenever the machines have been powered off from outside (see `RoleReconciler`).
    """

    kind = KIND

    def __init__(self, driver: ComputeDriver, files: PackageFiles, boot_id: str) -> None:
        self._driver = driver
        self._files = files
        self._boot_id = boot_id
        self._keys: dict[str, str] = {}
        self._engine: Engine | None = None
        self._gate = threading.Lock()

    def follow(self, engine: Engine) -> None:
        """Have the engine look at an instance whenever its machine changes."""
        self._engine = engine

        def changed(machine: str) -> None:
            key = self._keys.get(machine)
            if key is not None:
                engine.poke(KIND, key)

        self._driver.watch(changed)

    def is_ready(self, instance: Resource) -> bool:
        """Whether an instance's role runs: its guest has said so itself since its machine was last started."""
        seen = self._driver.observe(machine_id(instance))
        return seen.ready and seen.host_name is not None and instance.state.get("boot_id") is not None

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        machine = machine_id(row)
        self._keys[machine] = row.key
        found = ctx.read(lambda reader: _World(reader, row))
        with machine_errors(name_of(row)):
            if not row.present or found.deployment is None:
                return self._remove(row, ctx, found)
            self._reimage(row, ctx)
            row = self._move(ctx.row, ctx, found)
            done = self._run(row, ctx, found) if row.goal["running"] else self._suspend(row, ctx)
        if isinstance(done, Converged):
            self._look_at([row])  # what has happened meanwhile, such as that it is ready, is not missed
        return done

    def observe(self, row: Resource, ctx: Context) -> None:
        """See `Reconciler.observe`."""
        self._keys[machine_id(row)] = row.key
        found = ctx.read(lambda reader: _World(reader, row))
        if found.deployment is None:
            return
        seen = self._driver.observe(machine_id(row))
        ready = self.is_ready(row)
        if ready != row.state.get("ready", False):
            ctx.patch_state(ready=ready)
            self._look_at(found.instances)
        if self._has_drifted(row, found, seen):
            ctx.unsettle()

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """See `Reconciler.finish`."""
        _let_outdated_go_on(tx, row.parent or "")

    # -- steps ----------------------------------------------------------------------------------------------

    def _remove(self, row: Resource, ctx: Context, found: _World) -> Converged:
        machine = machine_id(row)
        self._driver.remove(machine)
        ctx.checkpoint("machine removed")
        self._files.forget_instance(machine)
        self._keys.pop(machine, None)
        self._look_at(found.instances)
        return Converged()

    def _reimage(self, row: Resource, ctx: Context) -> None:
        """Take the system disk away if another one is asked for."""
        if row.state.get("reimages", 0) == row.goal["reimages"]:
            return
        machine = machine_id(row)
        ctx.patch_state(boot_id=None, ready=False)
        self._driver.remove(machine)
        ctx.checkpoint("machine removed")
        self._files.forget_disk(machine)
        ctx.patch_state(reimages=row.goal["reimages"])

    def _move(self, row: Resource, ctx: Context, found: _World) -> Resource:
        """Take over the deployment's plan, if it is another one and this instance's turn."""
        deployment = found.deployment
        assert deployment is not None
        plan, applied = _upgrade.plan_of(deployment, row), row.state.get("applied")
        if plan is None:
            return row
        outdated = _upgrade.is_outdated(deployment, row)
        if applied is not None and not (
            outdated and _upgrade.may_move(deployment, row, found.instances, self.is_ready)
        ):
            return row
        machine = machine_id(row)
        if self._driver.observe(machine).power != "absent":
            ctx.patch_state(boot_id=None, ready=False)
            self._driver.shutdown(machine, timeout=GRACE)
            ctx.checkpoint("machine stopped")
        if applied is not None and applied["local_storage"] != plan["local_storage"]:
            self._driver.remove(machine)
            self._files.forget_disk(machine)
        ctx.patch_state(applied=plan, boot_id=None, ready=False)
        return ctx.row

    def _suspend(self, row: Resource, ctx: Context) -> Converged:
        """Have the machine stopped, and its disk made."""
        machine = machine_id(row)
        if self._driver.observe(machine).power != "absent":
            self._driver.shutdown(machine, timeout=GRACE)
            ctx.checkpoint("machine stopped")
        self._ensure_disk(row)
        ctx.checkpoint("disk made")
        ctx.patch_state(boot_id=None, ready=False)
        return Converged()

    def _run(self, row: Resource, ctx: Context, found: _World) -> Converged | Retry:
        machine = machine_id(row)
        if self.obstacle(row) is not None:
            return Converged()
        seen = self._driver.observe(machine)
        if seen.power in ("absent", "stopped") or row.state.get("boot_id") != self._boot_id:
            if (pause := _pause(seen)) > 0:
                return Retry(pause)
            return self._start(row, ctx, found)
        if row.state.get("reboots", 0) != row.goal["reboots"]:
            ctx.patch_state(ready=False)
            self._driver.restart(machine)
            ctx.checkpoint("machine restarted")
            ctx.patch_state(reboots=row.goal["reboots"])
        self._match_network(row, ctx, found)
        if row.state.get("endpoints") != _asked(row, found, self._shares_ports):
            return self._move_endpoints(row, ctx, found)
        return Converged()

    def _match_network(self, row: Resource, ctx: Context, found: _World) -> None:
        """Tell a running machine's network of other DNS servers."""
        network = self._network(row, found)
        told = network and _private_networks.as_state(network)
        if network is not None and told != row.state.get("network"):
            self._driver.set_network(machine_id(row), network)
            ctx.checkpoint("network changed")
            ctx.patch_state(network=told)

    def _start(self, row: Resource, ctx: Context, found: _World) -> Converged | Retry:
        forwards = self._forwards(row, ctx, found)
        if forwards is None:
            return Retry(PORT_POLL)
        machine, applied = machine_id(row), row.state["applied"]
        self._ensure_disk(row)
        certificates = ctx.read(lambda reader: _certificates(reader, row, found))
        self._files.write_settings(machine, settings_files(applied, self._identity(row, found), certificates))
        ctx.checkpoint("settings written")
        network = self._network(row, found)
        system, data = self._files.disks(machine, applied["package"], applied["name"])
        self._driver.start(
            MachineSpec(
                id=machine,
                name=row.key,
                cores=applied["cores"],
                memory_mb=applied["memory_mb"],
                os_disk=system,
                data_disks=data,
                forwards=forwards,
                network=network,
            )
        )
        ctx.checkpoint("machine started")
        asked = _asked(row, found, self._shares_ports)
        told = network and _private_networks.as_state(network)
        ctx.patch_state(boot_id=self._boot_id, reboots=row.goal["reboots"], endpoints=asked, network=told)
        return Converged()

    def _move_endpoints(self, row: Resource, ctx: Context, found: _World) -> Converged | Retry:
        """Close the endpoints that are not asked for any more, so that others may have them, then open new ones."""
        if row.state.get("endpoints"):
            self._driver.set_forwards(machine_id(row), ())
            ctx.checkpoint("endpoints closed")
            ctx.patch_state(endpoints=[], ports={}, wanted=[])
        forwards = self._forwards(ctx.row, ctx, found)
        if forwards is None:
            return Retry(PORT_POLL)
        self._driver.set_forwards(machine_id(row), forwards)
        ctx.checkpoint("endpoints opened")
        ctx.patch_state(endpoints=_asked(row, found, self._shares_ports))
        return Converged()

    # -- what a machine is made of --------------------------------------------------------------------------

    def obstacle(self, row: Resource) -> str | None:
        """Why this cloud cannot run an instance's role, or None."""
        applied = row.state.get("applied")
        if applied is None or "boots" not in self._driver.capabilities or not applied["needs_windows"]:
            return None
        return f"The role {applied['name']} cannot run here: {applied['needs_windows']}."

    @property
    def _shares_ports(self) -> bool:
        return "networks" in self._driver.capabilities

    def _ensure_disk(self, row: Resource) -> None:
        if self._files.image is None:
            raise errors.NO_ROLE_IMAGE()
        storage = sum(one["size_mb"] for one in row.state["applied"]["local_storage"])
        self._files.ensure_disk(machine_id(row), storage * _MIB)

    def _identity(self, row: Resource, found: _World) -> Instance:
        assert found.deployment is not None
        goal = row.goal
        return Instance(
            name=name_of(row),
            deployment_id=found.deployment.goal["private_id"],
            upgrade_domain=goal["upgrade_domain"],
            fault_domain=goal["fault_domain"],
            address=self.address(row),
            public_ports={one[0]: one[2] for one in _asked(row, found, self._shares_ports)},
        )

    def address(self, row: Resource) -> str:
        """The address that an instance's guest has."""
        return str(row.goal["address"]) if self._shares_ports else GUEST_ADDRESS

    def _network(self, row: Resource, found: _World) -> Network | None:
        """The private network of the deployment, in which its instances reach each other by name."""
        deployment = found.deployment
        if not self._shares_ports or deployment is None:
            return None
        return _private_networks.place(deployment, found.site, row.goal, name_of(row))

    def _forwards(self, row: Resource, ctx: Context, found: _World) -> tuple[Forward, ...] | None:
        """The machine's endpoints on the deployment's address; None while another instance still has one of them.

        A port that cannot be had there is replaced by a free one, as for virtual machines; instances that share
        an endpoint have the same.
        """
        if found.address is None:
            raise errors.NO_VIRTUAL_IP()
        asked = _asked(row, found, self._shares_ports)
        chosen: dict[str, int] = {}
        with self._gate:
            peers = ctx.read(lambda reader: _World(reader, row)).peers(row)
            for entry in asked:
                port = _shared_port(entry, peers) or self._own_port(row, entry, found)
                if port is None:
                    return None
                chosen[entry[0]] = port
            ctx.patch_state(ports=chosen, wanted=asked)
        return tuple(
            Forward(name, protocol, address, chosen[name], local_port, Probe(**probe) if probe else None)
            for name, protocol, _, local_port, address, probe in asked
        )

    def _own_port(self, row: Resource, entry: list[Any], found: _World) -> int | None:
        name, protocol, asked, _, address, _ = entry
        known = row.state.get("ports", {}).get(name) if entry in row.state.get("wanted", ()) else None
        port: int = asked if known is None else known
        if can_bind(address, port, protocol):
            return port
        if found.is_held(row, [protocol, port, address]):
            return None
        free = _virtual_ips.free_port(address, protocol)
        log.warning(
            "endpoint %s of %s: port %s cannot be had on %s; %s is used instead",
            *(name, row.key, asked, address, free),
        )
        return free

    # -- looking --------------------------------------------------------------------------------------------

    def _has_drifted(self, row: Resource, found: _World, seen: MachineState) -> bool:
        deployment = found.deployment
        assert deployment is not None
        if _upgrade.is_outdated(deployment, row) and _upgrade.may_move(
            deployment, row, found.instances, self.is_ready
        ):
            return True
        if not row.goal["running"] or self.obstacle(row) is not None:
            return False
        return (
            row.state.get("boot_id") != self._boot_id
            or seen.power in ("absent", "stopped")
            or row.state.get("endpoints") != _asked(row, found, self._shares_ports)
        )

    def _look_at(self, instances: list[Resource]) -> None:
        """Have the engine look at instances when it can: it may be their turn."""
        for one in instances:
            if self._engine is not None:
                self._engine.poke(*one.ref)


def _let_outdated_go_on(tx: Tx, deployment_key: str) -> None:
    """When an operation lets go of a deployment, its outdated instances are driven on."""
    deployment = tx.get("deployment", deployment_key)
    if deployment is None or not deployment.present:
        return
    for one in tx.list(KIND, parent=deployment.key):
        if one.present and one.settled and _upgrade.is_outdated(deployment, one):
            tx.set_goal(KIND, one.key, one.goal)


class _World:
    """What an instance belongs to: its deployment, that one's address and its other instances."""

    def __init__(self, reader: Reader, row: Resource) -> None:
        deployment = reader.get("deployment", row.parent or "")
        self.deployment = deployment if deployment is not None and deployment.present else None
        self.site = self.deployment and _private_networks.site_of(reader, self.deployment)
        self.address = _virtual_ips.address_of(reader, row.parent or "")
        self.instances = reader.list(KIND, parent=row.parent)
        self._all = reader.list(KIND, row.subscription)

    def peers(self, row: Resource) -> list[Resource]:
        """The other instances of the role."""
        role = row.goal["role"]
        return [
            one for one in self.instances if one.present and one.goal["role"] == role and one.key != row.key
        ]

    def is_held(self, row: Resource, place: list[Any]) -> bool:
        """Whether another instance has a protocol, port and address now."""
        others = (one for one in self._all if one.key != row.key)
        return any(
            [entry[1], entry[2], entry[4]] == place
            for one in others
            if one.state.get("boot_id") is not None
            for entry in one.state.get("endpoints") or ()
        )


def _certificates(reader: Reader, row: Resource, found: _World) -> list[GuestCertificate]:
    """The service's certificates that an instance's role names; they stay while a deployment names them."""
    service = (found.deployment and found.deployment.parent) or ""
    named = row.state["applied"].get("certificates", ())
    return [service_certificates.find(reader, service, one["thumbprint"]) for one in named]


def _asked(row: Resource, found: _World, shared: bool) -> list[list[Any]]:
    """What an instance's endpoints are to be: name, protocol, public port, guest's port, address, probe.

    All instances of a role share its input endpoints. Those of UDP, and all where the driver cannot share, are the
    first instance's alone: they have no probe.
    """
    asked = []
    is_first = all(row.goal["index"] < one.goal["index"] for one in found.peers(row))
    for one in row.state["applied"]["endpoints"]:
        port, probe = one["port"], None
        if one["kind"] == "InstanceInput":
            port = one["ports"][0] + row.goal["index"]
        elif one["kind"] != "Input":
            continue
        elif shared and one["probe"] is not None:
            probe = one["probe"]
        elif not is_first:
            continue
        asked.append([one["name"], one["protocol"], port, one["local_port"], found.address, probe])
    return asked


def _shared_port(entry: list[Any], peers: list[Resource]) -> int | None:
    """The port that other instances have for an endpoint that they share, if they have any."""
    for one in peers if entry[5] is not None else ():
        if entry in one.state.get("wanted", ()) and entry[0] in one.state.get("ports", {}):
            return int(one.state["ports"][entry[0]])
    return None


def _pause(seen: MachineState) -> float:
    """How long a machine that has stopped by itself is to rest before it is started again."""
    if seen.power != "stopped" or seen.cause not in _BY_ITSELF:
        return 0.0
    return HEAL_PAUSE - (datetime.now(UTC) - seen.since).total_seconds()
