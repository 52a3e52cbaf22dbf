"""Deployments and roles as the API tells them, from their rows and from what their machines do now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from reddog.engine import Reader, Resource
from reddog.fabric import ComputeDriver, MachineState
from reddog.services import _dns, _media, _private_networks, _rules, _virtual_ips, disks, resource_extensions
from reddog.services._role_reconciler import machine_id
from reddog.wire import (
    ConfigurationSet,
    ConfigurationSets,
    DataVirtualHardDisk,
    DataVirtualHardDisks,
    Deployment,
    FormattedMessage,
    GuestAgentStatus,
    InstanceEndpoint,
    InstanceEndpoints,
    LoadBalancerProbe,
    LoadBalancers,
    OSVirtualHardDisk,
    PersistentVMRole,
    Role,
    RoleInstance,
    RoleInstanceList,
    RoleList,
    VirtualIP,
    VirtualIPs,
    decode,
    only,
)

_MOVING = {"stopping": ("StoppingVM", "Stopping"), "starting": ("StartingVM", "Starting")}
_ENDED = {
    "guest-shutdown": "The guest has shut itself down.",
    "panic": "The guest's kernel has panicked.",
    "killed": "The machine's process was killed.",
    "crashed": "The hypervisor could not run the machine any further.",
}
_CONFIGURATION = (
    '<ServiceConfiguration xmlns="http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration">'
    "{roles}</ServiceConfiguration>"
)


class DeploymentView:
    """Tells of deployments.

    Args:
        driver: Is asked what each machine does now.
    """

    def __init__(self, driver: ComputeDriver) -> None:
        self._driver = driver

    def deployment(self, reader: Reader, row: Resource) -> Deployment:
        """A deployment with its roles and their instances (Get Deployment)."""
        roles = reader.list("role", parent=row.key)
        present = [role for role in roles if role.present]
        address = _virtual_ips.address_of(reader, row.key)
        goal = row.goal
        running = [role for role in present if role.goal["power"] != "deallocated"]
        keeps_address = bool(running or goal.get("reserved_ip"))
        return only(
            Deployment,
            name=goal["name"],
            deployment_slot=goal["slot"],
            private_id=goal["private_id"],
            status=_status(row, present, running),
            label=goal["label"],
            url=f"http://{address}/",
            configuration=_configuration(present),
            role_instance_list=RoleInstanceList([self.instance(role, row, address) for role in present]),
            upgrade_domain_count="1",
            role_list=RoleList([self._listed_role(reader, role, address) for role in present]),
            sdk_version="",
            locked=row.operation is not None,
            rollback_allowed=False,
            virtual_network_name=goal["virtual_network"],
            created_time=_rules.timestamp(row.created),
            last_modified_time=_rules.timestamp(max(item.modified for item in (row, *roles))),
            dns=_dns.shown(row),
            extended_properties={},
            virtual_ips=VirtualIPs([_virtual_ip(goal, address)] if keeps_address and address else []),
            reserved_ip_name=goal.get("reserved_ip"),
            internal_dns_suffix=_private_networks.domain_of(row),
            load_balancers=LoadBalancers(),
        )

    def role(self, reader: Reader, row: Resource) -> PersistentVMRole:
        """A role by itself (Get Role)."""
        shown = only(PersistentVMRole, **_role(reader, row, None))
        for network in shown.configuration_sets or ():
            network.subnet_names = network.subnet_names or None  # Get Deployment shows it empty
        return shown

    def instance(self, role: Resource, deployment: Resource, address: str | None) -> RoleInstance:
        """A role's instance, as its machine is now."""
        seen = self._driver.observe(machine_id(role))
        status, power, details = _instance_state(role, seen)
        deallocated = status == "StoppedDeallocated"
        failed = role.failure is not None and power == "Stopped"
        host_key = seen.ssh_host_key or role.state.get("ssh_host_key") or ""
        return only(
            RoleInstance,
            role_name=role.goal["name"],
            instance_name=role.goal["name"],
            instance_status=status,
            instance_upgrade_domain=None if deallocated else 0,
            instance_fault_domain=None if deallocated else 0,
            instance_size=None if deallocated else role.goal["size"],
            instance_state_details=None if deallocated else details,
            instance_error_code="VM-AzureInternalError" if failed else None,
            ip_address=None if deallocated else role.goal["address"],
            instance_endpoints=None if deallocated else _instance_endpoints(role, address),
            power_state=power,
            host_name=seen.host_name or role.goal["host_name"],
            remote_access_certificate_thumbprint=host_key.replace(":", "") or None,
            guest_agent_status=_guest_agent(role, seen) if role.goal["provision_guest_agent"] else None,
            resource_extension_status_list=None
            if deallocated
            else resource_extensions.statuses(role.goal["name"], role.goal.get("extensions", ())),
        )

    def status(self, role: Resource) -> str:
        """The instance status of a role now."""
        return _instance_state(role, self._driver.observe(machine_id(role)))[0]

    def _listed_role(self, reader: Reader, role: Resource, address: str | None) -> Role:
        return only(Role, **_role(reader, role, address))


def _status(row: Resource, present: Sequence[Resource], running: Sequence[Resource]) -> str:
    if not row.present:
        return "Deleting"
    if any(not role.settled and "starts" not in role.state for role in present):
        return "Deploying"
    return "Running" if running or not present else "Suspended"


def _instance_state(role: Resource, seen: MachineState) -> tuple[str, str, str]:
    """Instance status, power state and details (behaviours.md, section 12)."""
    wanted = role.goal["power"]
    if not role.present:
        return "DeletingVM", "Stopping", ""
    if wanted == "deallocated":
        return ("StoppedDeallocated", "Stopped", "") if role.settled else ("StoppingVM", "Stopping", "")
    if seen.power == "running":
        return ("ReadyRole", "Started", "") if seen.ready else ("RoleStateUnknown", "Starting", "")
    if seen.power in _MOVING:
        return (*_MOVING[seen.power], "")
    if wanted == "started" and not role.settled:
        return "CreatingVM", "Starting", ""
    return "StoppedVM", "Stopped", _ended(role, seen)


def _ended(role: Resource, seen: MachineState) -> str:
    if role.goal["power"] == "stopped":
        return ""
    return _ENDED.get(seen.cause or "", seen.message)


def _instance_endpoints(role: Resource, address: str | None) -> InstanceEndpoints | None:
    if not role.goal["endpoints"]:
        return None
    ports: Mapping[str, int] = role.state.get("ports", {})
    return InstanceEndpoints(
        [
            only(
                InstanceEndpoint,
                name=endpoint["name"],
                vip=address,
                public_port=str(ports.get(endpoint["name"], endpoint["port"])),
                local_port=str(endpoint["local_port"]),
                protocol=endpoint["protocol"],
                idle_timeout_in_minutes=endpoint["idle_timeout"],
            )
            for endpoint in role.goal["endpoints"]
        ]
    )


def _guest_agent(role: Resource, seen: MachineState) -> GuestAgentStatus:
    """What is known of the guest agent: nothing, for no guest here talks to one."""
    text = f"Status not available for role {role.goal['name']}."
    if seen.power == "stopped":
        text = f"VM Agent is unresponsive. Status was last reported at {_rules.timestamp(seen.since)}."
    message = only(FormattedMessage, language="en-US", message=text)
    return only(
        GuestAgentStatus,
        protocol_version="1.0",
        timestamp=_rules.timestamp(),
        guest_agent_version="Unknown",
        status="NotReady",
        formatted_message=message,
    )


def _virtual_ip(goal: Mapping[str, Any], address: str) -> VirtualIP:
    reserved = goal.get("reserved_ip")
    return only(
        VirtualIP,
        address=address,
        is_dns_programmed=True,
        name=reserved or f"{goal['name']}ContractContract",
        is_reserved=True if reserved else None,
        reserved_ip_name=reserved,
    )


def _role(reader: Reader, row: Resource, address: str | None) -> dict[str, Any]:
    goal = row.goal
    system, *data = goal["disks"]
    rows = {one["name"]: disks.find(reader, row.subscription, one["name"]) for one in goal["disks"]}
    return {
        "role_name": goal["name"],
        "os_version": "",
        "role_type": "PersistentVMRole",
        "configuration_sets": ConfigurationSets(_network(goal, address)),
        "resource_extension_references": resource_extensions.shown(goal.get("extensions", ())),
        "availability_set_name": goal["availability_set"],
        "data_virtual_hard_disks": DataVirtualHardDisks(
            [shown_data_disk(one, rows[one["name"]]) for one in data]
        ),
        "label": goal["label"],
        "os_virtual_hard_disk": _system_disk(system, rows[system["name"]], goal["os"]),
        "role_size": goal["size"],
        "provision_guest_agent": goal["provision_guest_agent"],
    }


def _network(goal: Mapping[str, Any], address: str | None) -> list[ConfigurationSet]:
    if goal["network"] is None:
        return []
    network = decode(ConfigurationSet, goal["network"].encode())
    known = {endpoint["name"]: endpoint for endpoint in goal["endpoints"]}
    for endpoint in network.input_endpoints or ():
        endpoint.port = str(known[endpoint.name]["port"])
        endpoint.load_balancer_probe = _probe(known[endpoint.name].get("probe"))
        endpoint.load_balanced_endpoint_set_name = endpoint.load_balanced_endpoint_set_name or None
        endpoint.vip = address
    if goal["subnet_name"]:
        network.subnet_names = [goal["subnet_name"]]
    network.static_virtual_network_ip_address = goal["static_address"]
    network.configuration_set_type = "NetworkConfiguration"
    network.role_type = None
    network.input_endpoints = network.input_endpoints or None
    return [network]


def _probe(probe: Mapping[str, Any] | None) -> LoadBalancerProbe | None:
    if probe is None:
        return None
    return only(
        LoadBalancerProbe,
        path=probe["path"],
        port=str(probe["port"]),
        protocol=probe["protocol"],
        interval_in_seconds=probe["interval"],
        timeout_in_seconds=probe["timeout"],
    )


def _system_disk(one: Mapping[str, Any], disk: Resource | None, os: str) -> OSVirtualHardDisk:
    return only(
        OSVirtualHardDisk,
        host_caching=one["caching"],
        disk_label=disk and disk.goal["label"],
        disk_name=one["name"],
        media_link=disk and disk.goal["media_link"],
        source_image_name=disk and disk.goal["source_image"],
        os=os,
        io_type="Standard",
    )


def shown_data_disk(one: Mapping[str, Any], disk: Resource | None) -> DataVirtualHardDisk:
    """A data disk of a role as the API tells it."""
    return only(
        DataVirtualHardDisk,
        host_caching=one["caching"],
        disk_label=disk and disk.goal["label"],
        disk_name=one["name"],
        lun=one["lun"] or None,  # LUN 0 is left out (behaviours.md, section 13)
        logical_disk_size_in_gb=disk and _media.in_gib(disk.goal["size"]),
        media_link=disk and disk.goal["media_link"],
        io_type="Standard",
    )


def _configuration(roles: Sequence[Resource]) -> str:
    """The service configuration that a deployment of virtual machines would have."""
    listed = "".join(
        f'<Role name={quoteattr(role.goal["name"])}><Instances count="1" /></Role>' for role in roles
    )
    return _CONFIGURATION.format(roles=listed)
