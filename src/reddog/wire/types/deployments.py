"""Deployments and role instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reddog.wire._schema import (
    Collection,
    WireType,
    boolean,
    element,
    elements,
    encoded,
    integer,
    model,
    number,
    pairs,
    strings,
    text,
)

if TYPE_CHECKING:
    from reddog.wire.types.roles import PublicIPs, RoleList


@model
class Deployments(Collection["Deployment"]):
    """The element ``Deployments``."""

    deployments: list[Deployment] = elements("Deployment")


@model
class Deployment(WireType):
    """The element ``Deployment``."""

    name: str | None = text("Name", "")
    deployment_slot: str | None = text("DeploymentSlot", "")
    private_id: str | None = text("PrivateID", "")
    status: str | None = text("Status", "")
    label: str | None = encoded("Label", "")
    url: str | None = text("Url", "")
    configuration: str | None = encoded("Configuration", "")
    role_instance_list: RoleInstanceList | None = element("RoleInstanceList", "RoleInstanceList")
    upgrade_status: UpgradeStatus | None = element("UpgradeStatus", "UpgradeStatus")
    upgrade_domain_count: str | None = number("UpgradeDomainCount", "")
    role_list: RoleList | None = element("RoleList", "RoleList")
    sdk_version: str | None = text("SdkVersion", "")
    input_endpoint_list: InputEndpoints | None = element("InputEndpointList", "InputEndpoints")
    locked: bool | None = boolean("Locked", False)
    rollback_allowed: bool | None = boolean("RollbackAllowed", False)
    virtual_network_name: str | None = text("VirtualNetworkName", "")
    created_time: str | None = text("CreatedTime", "")
    last_modified_time: str | None = text("LastModifiedTime", "")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty")
    dns: Dns | None = element("Dns", "Dns", absent=True)
    persistent_vm_downtime_info: PersistentVMDowntimeInfo | None = element(
        "PersistentVMDowntime", "PersistentVMDowntimeInfo"
    )
    extension_configuration: ExtensionConfiguration | None = element(
        "ExtensionConfiguration", "ExtensionConfiguration", absent=True
    )
    virtual_ips: VirtualIPs | None = element("VirtualIPs", "VirtualIPs")
    reserved_ip_name: str | None = text("ReservedIPName")
    internal_dns_suffix: str | None = text("InternalDnsSuffix")
    load_balancers: LoadBalancers | None = element("LoadBalancers", "LoadBalancers", absent=True)
    virtual_network_id: str | None = text("VirtualNetworkId")


@model
class RoleInstanceList(Collection["RoleInstance"]):
    """The element ``RoleInstanceList``."""

    role_instances: list[RoleInstance] = elements("RoleInstance")


@model
class RoleInstance(WireType):
    """The element ``RoleInstance``."""

    role_name: str | None = text("RoleName", "")
    instance_name: str | None = text("InstanceName", "")
    instance_status: str | None = text("InstanceStatus", "")
    instance_upgrade_domain: int | None = integer("InstanceUpgradeDomain", 0)
    instance_fault_domain: int | None = integer("InstanceFaultDomain", 0)
    instance_size: str | None = text("InstanceSize", "")
    instance_state_details: str | None = text("InstanceStateDetails", "")
    instance_error_code: str | None = text("InstanceErrorCode", "")
    ip_address: str | None = text("IpAddress", "")
    instance_endpoints: InstanceEndpoints | None = element("InstanceEndpoints", "InstanceEndpoints")
    power_state: str | None = text("PowerState", "")
    host_name: str | None = text("HostName", "")
    remote_access_certificate_thumbprint: str | None = text("RemoteAccessCertificateThumbprint")
    guest_agent_status: GuestAgentStatus | None = element("GuestAgentStatus", "GuestAgentStatus", absent=True)
    resource_extension_status_list: ResourceExtensionStatusList | None = element(
        "ResourceExtensionStatusList", "ResourceExtensionStatusList", absent=True
    )
    public_ips: PublicIPs | None = element("PublicIPs", "PublicIPs")
    network_interfaces: InstanceNetworkInterfaces | None = element(
        "NetworkInterfaces", "InstanceNetworkInterfaces", absent=True
    )
    maintenance_status: MaintenanceStatus | None = element(
        "MaintenanceStatus", "MaintenanceStatus", absent=True
    )
    fqdn: str | None = text("Fqdn", "")


@model
class InstanceEndpoints(Collection["InstanceEndpoint"]):
    """The element ``InstanceEndpoints``."""

    instance_endpoints: list[InstanceEndpoint] = elements("InstanceEndpoint")


@model
class InstanceEndpoint(WireType):
    """The element ``InstanceEndpoint``."""

    name: str | None = text("Name", "")
    vip: str | None = text("Vip", "")
    public_port: str | None = number("PublicPort", "")
    local_port: str | None = number("LocalPort", "")
    protocol: str | None = text("Protocol", "")
    idle_timeout_in_minutes: int | None = integer("IdleTimeoutInMinutes")


@model
class GuestAgentStatus(WireType):
    """The element ``GuestAgentStatus``."""

    protocol_version: str | None = text("ProtocolVersion")
    timestamp: str | None = text("Timestamp")
    guest_agent_version: str | None = text("GuestAgentVersion")
    status: str | None = text("Status")
    code: int | None = integer("Code")
    message: GuestAgentMessage | None = element("Message", "GuestAgentMessage", absent=True)
    formatted_message: FormattedMessage | None = element("FormattedMessage", "FormattedMessage", absent=True)


@model
class GuestAgentMessage(WireType):
    """The element ``GuestAgentMessage``."""

    message_resource_id: str | None = text("MessageResourceId")
    param_list: list[str] | None = strings("ParamList", "Param", absent=True)


@model
class FormattedMessage(WireType):
    """The element ``FormattedMessage``."""

    language: str | None = text("Language")
    message: str | None = text("Message")


@model
class ResourceExtensionStatusList(Collection["ResourceExtensionStatus"]):
    """The element ``ResourceExtensionStatusList``."""

    resource_extension_statuses: list[ResourceExtensionStatus] = elements("ResourceExtensionStatus")


@model
class ResourceExtensionStatus(WireType):
    """The element ``ResourceExtensionStatus``."""

    handler_name: str | None = text("HandlerName")
    version: str | None = text("Version")
    status: str | None = text("Status")
    code: int | None = integer("Code")
    message: GuestAgentMessage | None = element("Message", "GuestAgentMessage", absent=True)
    formatted_message: FormattedMessage | None = element("FormattedMessage", "FormattedMessage", absent=True)
    extension_setting_status: ExtensionSettingStatus | None = element(
        "ExtensionSettingStatus", "ExtensionSettingStatus", absent=True
    )


@model
class ExtensionSettingStatus(WireType):
    """The element ``ExtensionSettingStatus``."""

    timestamp: str | None = text("Timestamp")
    configuration_applied_time: str | None = text("ConfigurationAppliedTime")
    name: str | None = text("Name")
    operation: str | None = text("Operation")
    status: str | None = text("Status")
    code: int | None = integer("Code")
    message: GuestAgentMessage | None = element("Message", "GuestAgentMessage", absent=True)
    formatted_message: FormattedMessage | None = element("FormattedMessage", "FormattedMessage", absent=True)
    sub_status_list: SubStatusList | None = element("SubStatusList", "SubStatusList", absent=True)


@model
class SubStatusList(Collection["SubStatus"]):
    """The element ``SubStatusList``."""

    sub_statuses: list[SubStatus] = elements("SubStatus")


@model
class SubStatus(WireType):
    """The element ``SubStatus``."""

    name: str | None = text("Name")
    status: str | None = text("Status")
    code: int | None = integer("Code")
    message: GuestAgentMessage | None = element("Message", "GuestAgentMessage", absent=True)
    formatted_message: FormattedMessage | None = element("FormattedMessage", "FormattedMessage", absent=True)


@model
class MaintenanceStatus(WireType):
    """The element ``MaintenanceStatus``."""

    is_customer_initiated_maintenance_allowed: bool | None = boolean("IsCustomerInitiatedMaintenanceAllowed")
    pre_maintenance_window_start_time: str | None = text("PreMaintenanceWindowStartTime")
    pre_maintenance_window_end_time: str | None = text("PreMaintenanceWindowEndTime")
    maintenance_window_start_time: str | None = text("MaintenanceWindowStartTime")
    maintenance_window_end_time: str | None = text("MaintenanceWindowEndTime")
    last_operation_result_code: str | None = text("LastOperationResultCode")
    last_operation_result_string: str | None = text("LastOperationResultString")


@model
class InstanceNetworkInterfaces(Collection["InstanceNetworkInterface"]):
    """The element ``InstanceNetworkInterfaces``."""

    network_interfaces: list[InstanceNetworkInterface] = elements(
        "NetworkInterface", "InstanceNetworkInterface"
    )


@model
class InstanceNetworkInterface(WireType):
    """The element ``InstanceNetworkInterface``."""

    name: str | None = text("Name")
    mac_address: str | None = text("MacAddress")
    ip_configurations: InstanceIPConfigurations | None = element(
        "IPConfigurations", "InstanceIPConfigurations", absent=True
    )
    network_security_group: str | None = text("NetworkSecurityGroup")
    ip_forwarding: str | None = text("IPForwarding")


@model
class InstanceIPConfigurations(Collection["InstanceIPConfiguration"]):
    """The element ``InstanceIPConfigurations``."""

    ip_configurations: list[InstanceIPConfiguration] = elements("IPConfiguration", "InstanceIPConfiguration")


@model
class InstanceIPConfiguration(WireType):
    """The element ``InstanceIPConfiguration``."""

    subnet_name: str | None = text("SubnetName")
    address: str | None = text("Address")


@model
class UpgradeStatus(WireType):
    """The element ``UpgradeStatus``."""

    upgrade_type: str | None = text("UpgradeType", "")
    current_upgrade_domain_state: str | None = text("CurrentUpgradeDomainState", "")
    current_upgrade_domain: str | None = number("CurrentUpgradeDomain", "")


@model
class InputEndpoints(Collection["InputEndpoint"]):
    """The element ``InputEndpointList``."""

    _xml_name = "InputEndpointList"

    input_endpoints: list[InputEndpoint] = elements("InputEndpoint")


@model
class InputEndpoint(WireType):
    """The element ``DeploymentInputEndpoint``."""

    _xml_name = "DeploymentInputEndpoint"

    role_name: str | None = text("RoleName", "")
    vip: str | None = text("Vip", "")
    port: str | None = number("Port", "")
    idle_timeout_in_minutes: int | None = integer("IdleTimeoutInMinutes")


@model
class Dns(WireType):
    """The element ``DnsSettings``."""

    dns_servers: DnsServers | None = element("DnsServers", "DnsServers", absent=True)


@model
class DnsServers(Collection["DnsServer"]):
    """The element ``DnsServers``."""

    dns_servers: list[DnsServer] = elements("DnsServer")


@model
class DnsServer(WireType):
    """The element ``DnsServer``."""

    name: str | None = text("Name", "", required=True)
    address: str | None = text("Address", "", required=True)


@model
class PersistentVMDowntimeInfo(WireType):
    """The element ``PersistentVMDowntime``."""

    _xml_name = "PersistentVMDowntime"

    start_time: str | None = text("StartTime", "")
    end_time: str | None = text("EndTime", "")
    status: str | None = text("Status", "")


@model
class VirtualIPs(Collection["VirtualIP"]):
    """The element ``VirtualIPs``."""

    virtual_ips: list[VirtualIP] = elements("VirtualIP")


@model
class VirtualIP(WireType):
    """The element ``VirtualIP``."""

    address: str | None = text("Address", "")
    is_dns_programmed: bool | None = boolean("IsDnsProgrammed")
    name: str | None = text("Name")
    is_reserved: bool | None = boolean("IsReserved", False)
    reserved_ip_name: str | None = text("ReservedIPName", "")
    type: str | None = text("Type", "")


@model
class ExtensionConfiguration(WireType):
    """The element ``ExtensionConfiguration``."""

    all_roles: AllRoles | None = element("AllRoles", "AllRoles", absent=True)
    named_roles: NamedRoles | None = element("NamedRoles", "NamedRoles", absent=True)


@model
class AllRoles(Collection["ExtensionRef"]):
    """The element ``AllRoles``."""

    extensions: list[ExtensionRef] = elements("Extension", "ExtensionRef")


@model
class NamedRoles(Collection["NamedRole"]):
    """The element ``NamedRoles``."""

    roles: list[NamedRole] = elements("Role", "NamedRole")


@model
class NamedRole(WireType):
    """The element ``NamedRole``."""

    role_name: str | None = text("RoleName")
    extensions: ExtensionRefs | None = element("Extensions", "ExtensionRefs", absent=True)


@model
class ExtensionRefs(Collection["ExtensionRef"]):
    """The element ``ExtensionRefs``."""

    extensions: list[ExtensionRef] = elements("Extension", "ExtensionRef")


@model
class ExtensionRef(WireType):
    """The element ``ExtensionRef``."""

    id: str | None = text("Id", required=True)
    sequence_number: int | None = integer("SequenceNumber")
    state: str | None = text("State")


@model
class LoadBalancers(Collection["LoadBalancer"]):
    """The element ``LoadBalancers``."""

    load_balancers: list[LoadBalancer] = elements("LoadBalancer")


@model
class LoadBalancer(WireType):
    """The element ``LoadBalancer``."""

    name: str | None = text("Name", required=True)
    frontend_ip_configuration: FrontendIpConfiguration | None = element(
        "FrontendIpConfiguration", "FrontendIpConfiguration", absent=True, required=True
    )


@model
class FrontendIpConfiguration(WireType):
    """The element ``FrontendIpConfiguration``."""

    type: str | None = text("Type", required=True)
    subnet_name: str | None = text("SubnetName")
    static_virtual_network_ip_address: str | None = text("StaticVirtualNetworkIPAddress")
