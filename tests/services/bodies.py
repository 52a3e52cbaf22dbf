"""Requests, with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from reddog import wire
from services.world import IMAGE, url

PASSWORD = "Secr3t!passw0rd"


def service(name: str = "svc", **values: Any) -> wire.CreateHostedService:
    values = {"label": name, "location": "West US", **values}
    return wire.only(wire.CreateHostedService, service_name=name, **values)


def account(name: str = "acct", **values: Any) -> wire.CreateStorageServiceInput:
    values = {"label": name, "location": "West US", **values}
    return wire.only(wire.CreateStorageServiceInput, service_name=name, **values)


def linux(**values: Any) -> wire.LinuxConfigurationSet:
    given: dict[str, Any] = {
        "host_name": "host",
        "user_name": "jo",
        "user_password": PASSWORD,
        "disable_ssh_password_authentication": False,
        "configuration_set_type": "LinuxProvisioningConfiguration",
    }
    return wire.only(wire.LinuxConfigurationSet, **(given | values))


def endpoint(
    name: str = "ssh", port: int | str | None = 22, local_port: int | str = 22, **values: Any
) -> Any:
    given: dict[str, Any] = {"protocol": "tcp", "port": None if port is None else str(port)}
    given |= {"local_port": str(local_port)}
    return wire.only(wire.ConfigurationSetInputEndpoint, name=name, **(given | values))


def network(*endpoints: Any) -> wire.ConfigurationSet:
    return wire.only(
        wire.ConfigurationSet,
        configuration_set_type="NetworkConfiguration",
        input_endpoints=wire.ConfigurationSetInputEndpoints(list(endpoints)),
    )


def system_disk(blob: str | None = "os.vhd", **values: Any) -> wire.OSVirtualHardDisk:
    given: dict[str, Any] = {"source_image_name": IMAGE, "media_link": url(blob) if blob else None}
    return wire.only(wire.OSVirtualHardDisk, **(given | values))


def data_disk(lun: int | None = 0, gib: int | None = 1, **values: Any) -> wire.DataVirtualHardDisk:
    given: dict[str, Any] = {"lun": lun, "logical_disk_size_in_gb": gib}
    if gib and "media_link" not in values:
        given["media_link"] = url(f"data{lun}.vhd")
    return wire.only(wire.DataVirtualHardDisk, **(given | values))


def role(
    name: str = "vm",
    *,
    disk: Any = None,
    data: tuple[Any, ...] = (),
    provisioning: Any = "default",
    network: Any = None,
    **values: Any,
) -> wire.PersistentVMRole:
    """A role; `disk` None takes the platform image into NAME.vhd."""
    given: dict[str, Any] = {"role_type": "PersistentVMRole", "role_size": "Small"}
    if disk is None and "vm_image_name" not in values:
        disk = system_disk(f"{name}.vhd")
    sets = [linux() if provisioning == "default" else provisioning, network]
    given["configuration_sets"] = wire.ConfigurationSets([one for one in sets if one is not None])
    given["data_virtual_hard_disks"] = wire.DataVirtualHardDisks(list(data)) if data else None
    return wire.only(wire.PersistentVMRole, role_name=name, os_virtual_hard_disk=disk, **(given | values))


def deployment(*roles: Any, name: str = "dep", **values: Any) -> Any:
    """A deployment of these roles, or of one."""
    given: dict[str, Any] = {"deployment_slot": "Production", "label": name}
    return wire.only(
        wire.DeploymentRequest,
        name=name,
        role_list=wire.RoleList(list(roles or (role(),))),
        **(given | values),
    )


def networks(*sites: str, more: str = "") -> bytes:
    """A network configuration of sites, which `site` makes, and perhaps of more."""
    inner = f"{more}<VirtualNetworkSites>{''.join(sites)}</VirtualNetworkSites>"
    namespace = "http://schemas.microsoft.com/ServiceHosting/2011/07/NetworkConfiguration"
    configuration = f"<VirtualNetworkConfiguration>{inner}</VirtualNetworkConfiguration>"
    return f'<NetworkConfiguration xmlns="{namespace}">{configuration}</NetworkConfiguration>'.encode()


def site(
    name: str = "net",
    *subnets: str,
    prefix: str = "10.0.0.0/8",
    place: str = 'Location="West US"',
    more: str = "",
) -> str:
    """A virtual network site; subnets are written as NAME=PREFIX."""
    made = [
        f'<Subnet name="{one}"><AddressPrefix>{space}</AddressPrefix></Subnet>'
        for one, _, space in (subnet.partition("=") for subnet in subnets)
    ]
    return (
        f'<VirtualNetworkSite name="{name}" {place}>'
        f"<AddressSpace><AddressPrefix>{prefix}</AddressPrefix></AddressSpace>"
        f"<Subnets>{''.join(made)}</Subnets>{more}</VirtualNetworkSite>"
    )


def disk(name: str, link: str, **values: Any) -> wire.Disk:
    return wire.only(wire.Disk, name=name, media_link=link, label=values.pop("label", name), **values)


def os_image(name: str, link: str, **values: Any) -> wire.OSImage:
    given: dict[str, Any] = {"label": name, "os": "Linux"}
    return wire.only(wire.OSImage, name=name, media_link=link, **(given | values))


def vm_image(name: str, link: str, *data: Any, **values: Any) -> wire.VMImage:
    system = wire.only(
        wire.OSDiskConfiguration,
        os_state="Specialized",
        os="Linux",
        media_link=link,
        host_caching="ReadWrite",
    )
    return wire.only(
        wire.VMImage,
        name=name,
        label=name,
        os_disk_configuration=values.pop("system", system),
        data_disk_configurations=wire.DataDiskConfigurations(list(data)) if data else None,
        **values,
    )


def image_data_disk(lun: int | None, link: str) -> wire.DataDiskConfiguration:
    return wire.only(wire.DataDiskConfiguration, lun=lun, media_link=link)


def shutdown(action: str | None = None) -> wire.ShutdownRoleOperation:
    return wire.only(
        wire.ShutdownRoleOperation, operation_type="ShutdownRoleOperation", post_shutdown_action=action
    )


def start() -> wire.StartRoleOperation:
    return wire.only(wire.StartRoleOperation, operation_type="StartRoleOperation")


def restart() -> wire.RestartRoleOperation:
    return wire.only(wire.RestartRoleOperation, operation_type="RestartRoleOperation")


def capture(name: str, state: str = "Specialized", **values: Any) -> wire.CaptureRoleAsVMImageOperation:
    return wire.only(
        wire.CaptureRoleAsVMImageOperation,
        operation_type="CaptureRoleAsVMImageOperation",
        os_state=state,
        vm_image_name=name,
        vm_image_label=values.pop("vm_image_label", name),
        **values,
    )


def capture_role(name: str, action: str = "Delete", provisioning: Any = None) -> wire.CaptureRoleOperation:
    return wire.only(
        wire.CaptureRoleOperation,
        operation_type="CaptureRoleOperation",
        post_capture_action=action,
        provisioning_configuration=provisioning,
        target_image_label=name,
        target_image_name=name,
    )


# -- Packages ------------------------------------------------------------------------------------------------


def package_deployment(configuration: str, name: str = "dep", **values: Any) -> wire.CreateDeployment:
    given: dict[str, Any] = {"package_url": url("app.cspkg"), "label": name}
    return wire.only(wire.CreateDeployment, name=name, configuration=configuration, **(given | values))


def change(configuration: str, mode: str | None = None, **values: Any) -> wire.ChangeConfiguration:
    return wire.only(wire.ChangeConfiguration, configuration=configuration, mode=mode, **values)


def upgrade(configuration: str, mode: str = "Auto", **values: Any) -> wire.UpgradeDeployment:
    given: dict[str, Any] = {"package_url": url("app.cspkg"), "label": "upgraded", "force": False}
    return wire.only(wire.UpgradeDeployment, configuration=configuration, mode=mode, **(given | values))


def status(value: str) -> wire.UpdateDeploymentStatus:
    return wire.only(wire.UpdateDeploymentStatus, status=value)


def rollback(mode: str = "Auto", force: bool = False) -> wire.RollbackUpdateOrUpgrade:
    return wire.only(wire.RollbackUpdateOrUpgrade, mode=mode, force=force)


def walk(domain: int) -> wire.WalkUpgradeDomain:
    return wire.only(wire.WalkUpgradeDomain, upgrade_domain=domain)
