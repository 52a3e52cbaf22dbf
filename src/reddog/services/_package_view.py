"""Deployments of packages and their instances as the API tells them (behaviours.md, section 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reddog.engine import Reader, Resource
from reddog.fabric import ComputeDriver, MachineError, MachineState
from reddog.services import _dns, _rules, _upgrade, _virtual_ips
from reddog.services._instance_reconciler import (
    KIND,
    InstanceReconciler,
    machine_id,
    name_of,
)
from reddog.wire import (
    ConfigurationSet,
    ConfigurationSets,
    Deployment,
    InputEndpoint,
    InputEndpoints,
    InstanceEndpoint,
    InstanceEndpoints,
    LoadBalancers,
    Role,
    RoleInstance,
    RoleInstanceList,
    RoleList,
    UpgradeStatus,
    VirtualIP,
    VirtualIPs,
    only,
)

BACK_END_VIP = "__PseudoBackEndContractVip"  # of packages without public endpoints
Ports = Mapping[tuple[str, str], int]
State = tuple[str, str, str]
_CONSOLE_TAIL = 4096
_SAID = re.compile(rb"reddog: role: ([^\r\n]+)")


class PackageView:
    """Tells of deployments of packages.

    Args:
        driver: Is asked what each machine does now.
        instances: Knows what keeps a role from running.
    """

    def __init__(self, driver: ComputeDriver, instances: InstanceReconciler) -> None:
        self._driver = driver
        self._instances = instances

    def deployment(self, reader: Reader, row: Resource) -> Deployment:
        """A deployment with its roles and their instances (Get Deployment)."""
        rows = reader.list(KIND, parent=row.key)
        rows.sort(key=lambda one: (one.goal["role"].lower(), one.goal["index"]))
        present = [one for one in rows if one.present]
        address = _virtual_ips.address_of(reader, row.key)
        goal = row.goal
        current = goal["current"]
        underway = row.present and _upgrade.is_underway(row, rows)
        status = _status(row, present, underway)
        deploying = status == "Deploying"
        ports = _ports(present)
        return only(
            Deployment,
            name=goal["name"],
            deployment_slot=goal["slot"],
            private_id=goal["private_id"],
            status=status,
            label=current["label"],
            virtual_network_name=goal["virtual_network"],
            url=f"http://{address}/",
            configuration=current["configuration"],
            role_instance_list=RoleInstanceList(
                [self._instance(one, row, address, ports) for one in present]
            ),
            upgrade_status=self._upgrade_status(row, rows) if underway and goal["running"] else None,
            upgrade_domain_count=str(_domains(current)),
            role_list=RoleList([_role(name, current) for name in current["roles"]]),
            sdk_version=current["sdk_version"],
            input_endpoint_list=_input_endpoints(current, address, ports),
            locked=row.operation is not None,
            rollback_allowed=underway and goal["previous"] is not None,
            created_time=_rules.timestamp(row.created),
            last_modified_time=_rules.timestamp(max(one.modified for one in (row, *rows))),
            dns=_dns.shown(row),
            extended_properties=goal["extended_properties"],
            virtual_ips=VirtualIPs([] if deploying or address is None else [_virtual_ip(goal, address)]),
            reserved_ip_name=goal.get("reserved_ip"),
            load_balancers=LoadBalancers(),
        )

    def _instance(
        self, row: Resource, deployment: Resource, address: str | None, ports: Ports
    ) -> RoleInstance:
        """An instance, as its machine is now."""
        status, power, details = self._state(row)
        plan = row.state.get("applied") or _upgrade.plan_of(deployment, row) or {}
        return only(
            RoleInstance,
            role_name=row.goal["role"],
            instance_name=name_of(row),
            instance_status=status,
            instance_upgrade_domain=row.goal["upgrade_domain"],
            instance_fault_domain=row.goal["fault_domain"],
            instance_size=plan.get("size", ""),
            instance_state_details=details,
            ip_address=self._instances.address(row),
            instance_endpoints=_endpoints(row, plan, address, ports),
            power_state=power,
        )

    def _upgrade_status(self, row: Resource, rows: list[Resource]) -> UpgradeStatus:
        domain, state = _upgrade.current_domain(row, rows, self._instances.is_ready)
        upgrade = row.goal["upgrade"] or {"type": "Auto"}
        return only(
            UpgradeStatus,
            upgrade_type=upgrade["type"],
            current_upgrade_domain_state=state,
            current_upgrade_domain=str(domain),
        )

    def _state(self, row: Resource) -> State:
        """Instance status, power state and details (behaviours.md, section 12)."""
        if not row.present:
            return "DeletingVM", "Stopping", ""
        seen = self._driver.observe(machine_id(row))
        if not row.goal["running"]:
            return self._suspended(row, seen)
        if seen.power == "running":
            return self._running(row, seen)
        return self._hindered(row) or self._coming(row, seen)

    def _hindered(self, row: Resource) -> State | None:
        obstacle = self._instances.obstacle(row)
        if obstacle is not None:
            return "FailedStartingRole", "Stopped", obstacle
        if row.failure is not None:
            return "FailedStartingVM", "Stopped", str(row.failure["message"])
        return None

    def _coming(self, row: Resource, seen: MachineState) -> State:
        if seen.power == "absent" and not row.state.get("boot_id"):
            return "CreatingVM", "Stopped", ""
        return "StartingVM", "Starting", seen.message if seen.power == "stopped" else ""

    def _suspended(self, row: Resource, seen: MachineState) -> State:
        if seen.power in ("running", "starting", "stopping"):
            return "StoppingVM", "Stopping", ""
        made = row.settled or seen.power == "stopped"
        return ("StoppedVM" if made else "CreatingVM"), "Stopped", ""

    def _running(self, row: Resource, seen: MachineState) -> State:
        if self._instances.is_ready(row):
            return "ReadyRole", "Started", ""
        said = self._last_words(machine_id(row))
        if said is None:
            return "StartingVM", "Starting", ""
        return ("CyclingRole" if "ended" in said else "BusyRole"), "Started", said

    def _last_words(self, machine: str) -> str | None:
        """What the guest has said of its role since its last start, if anything."""
        try:
            console = self._driver.console(machine)[-_CONSOLE_TAIL:]
        except MachineError:
            return None
        said = _SAID.findall(console)
        return said[-1].decode("ascii", "replace") if said else None


def _status(row: Resource, present: list[Resource], underway: bool) -> str:
    if not row.present:
        return "Deleting"
    if row.operation is not None and not any("applied" in one.state for one in present):
        return "Deploying"
    base = "Running" if row.goal["running"] else "Suspended"
    changing = underway or (row.operation is not None and not all(_is_made(one) for one in present))
    return f"{base}Transitioning" if changing else base


def _is_made(instance: Resource) -> bool:
    """Whether an instance has its machine, which has been started if it is to run."""
    started = instance.state.get("boot_id") is not None or not instance.goal["running"]
    return started and "applied" in instance.state


def _domains(current: Mapping[str, Any]) -> int:
    """How many upgrade domains are used: not more than the largest role has instances."""
    counts = [int(plan["count"]) for plan in current["roles"].values()]
    return min(int(current["upgrade_domains"]), max(counts, default=1))


def _role(name: str, current: Mapping[str, Any]) -> Role:
    network = only(
        ConfigurationSet,
        configuration_set_type="NetworkConfiguration",
        subnet_names=current["roles"][name].get("subnets", []),
    )
    return only(
        Role,
        role_name=name,
        os_version=current["os_version"],
        configuration_sets=ConfigurationSets([network]),
    )


def _ports(present: list[Resource]) -> Ports:
    """The public ports that instances have, by role and endpoint; they can differ from those asked for."""
    return {
        (one.goal["role"], name): port
        for one in reversed(present)
        for name, port in one.state.get("ports", {}).items()
    }


def _input_endpoints(current: Mapping[str, Any], address: str | None, ports: Ports) -> InputEndpoints | None:
    found = [
        only(
            InputEndpoint,
            role_name=name,
            vip=address,
            port=str(ports.get((name, one["name"]), one["port"])),
        )
        for name, plan in current["roles"].items()
        for one in plan["endpoints"]
        if one["kind"] == "Input"
    ]
    return InputEndpoints(found) if found else None


def _endpoints(
    row: Resource, plan: Mapping[str, Any], address: str | None, ports: Ports
) -> InstanceEndpoints | None:
    shown = [
        only(
            InstanceEndpoint,
            name=one["name"],
            vip=address,
            public_port=str(_public_port(row, one, ports)),
            local_port=str(one["local_port"]),
            protocol=one["shown_protocol"],
        )
        for one in plan.get("endpoints", ())
        if one["kind"] != "Internal"
    ]
    return InstanceEndpoints(shown) if shown else None


def _public_port(row: Resource, endpoint: Mapping[str, Any], ports: Ports) -> int:
    name = endpoint["name"]
    if endpoint["ports"]:  # an instance input endpoint: each instance has a port of its own
        asked = int(endpoint["ports"][0] + row.goal["index"])
        return int(row.state.get("ports", {}).get(name, asked))
    return int(ports.get((row.goal["role"], name), endpoint["port"]))


def _virtual_ip(goal: Mapping[str, Any], address: str) -> VirtualIP:
    reserved, current = goal.get("reserved_ip"), goal["current"]
    return only(
        VirtualIP,
        address=address,
        is_dns_programmed=True,
        name=f"{current['service_definition']}ContractContract" if current["has_input"] else BACK_END_VIP,
        is_reserved=True if reserved else None,
        reserved_ip_name=reserved,
    )
