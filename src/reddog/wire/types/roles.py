"""Roles: what a virtual machine is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reddog.wire._schema import (
    Collection,
    WireType,
    boolean,
    data,
    element,
    elements,
    encoded,
    integer,
    model,
    number,
    strings,
    text,
)

if TYPE_CHECKING:
    from reddog.wire.types.hosted_services import Certificates


@model
class RoleList(Collection["Role"]):
    """The element ``RoleList``."""

    roles: list[Role] = elements("Role")


@model
class Role(WireType):
    """The element ``Role``."""

    _instance_type = "PersistentVMRole"

    role_name: str | None = text("RoleName", "", required=True)
    os_version: str | None = text("OsVersion", "")
    role_type: str | None = text("RoleType", "")
    configuration_sets: ConfigurationSets | None = element("ConfigurationSets", "ConfigurationSets")
    resource_extension_references: ResourceExtensionReferences | None = element(
        "ResourceExtensionReferences", "ResourceExtensionReferences", absent=True
    )
    vm_image_name: str | None = text("VMImageName")
    media_location: str | None = text("MediaLocation")
    availability_set_name: str | None = text("AvailabilitySetName", "")
    data_virtual_hard_disks: DataVirtualHardDisks | None = element(
        "DataVirtualHardDisks", "DataVirtualHardDisks"
    )
    label: str | None = encoded("Label")
    os_virtual_hard_disk: OSVirtualHardDisk | None = element("OSVirtualHardDisk", "OSVirtualHardDisk")
    role_size: str | None = text("RoleSize", "")
    default_win_rm_certificate_thumbprint: str | None = text("DefaultWinRmCertificateThumbprint", "")
    provision_guest_agent: bool | None = boolean("ProvisionGuestAgent")
    vm_image_input: VMImageInput | None = element("VMImageInput", "VMImageInput", absent=True)
    debug_settings: DebugSettings | None = element("DebugSettings", "DebugSettings", absent=True)
    license_type: str | None = text("LicenseType")
    migration_state: str | None = text("MigrationState")


@model
class PersistentVMRole(WireType):
    """The element ``PersistentVMRole``."""

    role_name: str | None = text("RoleName", "")
    os_version: str | None = text("OsVersion", "")
    role_type: str | None = text("RoleType", "")
    configuration_sets: ConfigurationSets | None = element("ConfigurationSets", "ConfigurationSets")
    resource_extension_references: ResourceExtensionReferences | None = element(
        "ResourceExtensionReferences", "ResourceExtensionReferences", absent=True
    )
    vm_image_name: str | None = text("VMImageName")
    media_location: str | None = text("MediaLocation")
    availability_set_name: str | None = text("AvailabilitySetName", "")
    data_virtual_hard_disks: DataVirtualHardDisks | None = element(
        "DataVirtualHardDisks", "DataVirtualHardDisks"
    )
    label: str | None = encoded("Label")
    os_virtual_hard_disk: OSVirtualHardDisk | None = element("OSVirtualHardDisk", "OSVirtualHardDisk")
    role_size: str | None = text("RoleSize", "")
    default_win_rm_certificate_thumbprint: str | None = text("DefaultWinRmCertificateThumbprint", "")
    provision_guest_agent: bool | None = boolean("ProvisionGuestAgent")
    vm_image_input: VMImageInput | None = element("VMImageInput", "VMImageInput", absent=True)
    debug_settings: DebugSettings | None = element("DebugSettings", "DebugSettings", absent=True)
    license_type: str | None = text("LicenseType")
    migration_state: str | None = text("MigrationState")


@model
class ConfigurationSets(Collection["ConfigurationSet"]):
    """The element ``ConfigurationSets``."""

    configuration_sets: list[ConfigurationSet] = elements("ConfigurationSet")


@model
class ConfigurationSet(WireType):
    """The element ``NetworkConfigurationSet``."""

    _unordered = True
    _instance_type = "NetworkConfigurationSet"

    configuration_set_type: str | None = text("ConfigurationSetType", "NetworkConfiguration", required=True)
    input_endpoints: ConfigurationSetInputEndpoints | None = element(
        "InputEndpoints", "ConfigurationSetInputEndpoints"
    )
    subnet_names: list[str] | None = strings("SubnetNames", "SubnetName")
    virtual_ip_groups: str | None = text("VirtualIPGroups")
    static_virtual_network_ip_address: str | None = text("StaticVirtualNetworkIPAddress")
    public_ips: PublicIPs | None = element("PublicIPs", "PublicIPs")
    network_interfaces: NetworkInterfaces | None = element(
        "NetworkInterfaces", "NetworkInterfaces", absent=True
    )
    network_security_group: str | None = text("NetworkSecurityGroup")
    ip_forwarding: str | None = text("IPForwarding")
    role_type: str | None = text("RoleType", "")


@model
class ConfigurationSetInputEndpoints(Collection["ConfigurationSetInputEndpoint"]):
    """The element ``InputEndpoints``."""

    _xml_name = "InputEndpoints"

    input_endpoints: list[ConfigurationSetInputEndpoint] = elements(
        "InputEndpoint", "ConfigurationSetInputEndpoint"
    )


@model
class ConfigurationSetInputEndpoint(WireType):
    """The element ``InputEndpoint``."""

    _xml_name = "InputEndpoint"
    _order = (
        "load_balanced_endpoint_set_name",
        "local_port",
        "name",
        "port",
        "load_balancer_probe",
        "protocol",
        "vip",
        "enable_direct_server_return",
        "endpoint_acl",
        "load_balancer_name",
        "idle_timeout_in_minutes",
        "load_balancer_distribution",
        "virtual_ip_name",
    )

    name: str | None = text("Name", "", required=True)
    protocol: str | None = text("Protocol", "", required=True)
    port: str | None = number("Port", "")
    local_port: str | None = number("LocalPort", "", required=True)
    load_balanced_endpoint_set_name: str | None = text("LoadBalancedEndpointSetName", "")
    enable_direct_server_return: bool | None = boolean("EnableDirectServerReturn", False)
    idle_timeout_in_minutes: int | None = integer("IdleTimeoutInMinutes", 4)
    load_balancer_probe: LoadBalancerProbe | None = element("LoadBalancerProbe", "LoadBalancerProbe")
    vip: str | None = text("Vip")
    endpoint_acl: EndpointAcl | None = element("EndpointAcl", "EndpointAcl", absent=True)
    load_balancer_name: str | None = text("LoadBalancerName")
    load_balancer_distribution: str | None = text("LoadBalancerDistribution")
    virtual_ip_name: str | None = text("VirtualIPName")


@model
class LoadBalancedEndpointList(Collection["LoadBalancedEndpoint"]):
    """The element ``LoadBalancedEndpointList`` of a request."""

    input_endpoints: list[LoadBalancedEndpoint] = elements("InputEndpoint", "LoadBalancedEndpoint")


@model
class LoadBalancedEndpoint(WireType):
    """The element ``InputEndpoint`` of a ``LoadBalancedEndpointList``: what all members of a set have in common."""

    _xml_name = "InputEndpoint"

    load_balanced_endpoint_set_name: str | None = text("LoadBalancedEndpointSetName", required=True)
    local_port: str | None = number("LocalPort")
    port: str | None = number("Port")
    load_balancer_probe: LoadBalancerProbe | None = element("LoadBalancerProbe", "LoadBalancerProbe")
    protocol: str | None = text("Protocol")
    enable_direct_server_return: bool | None = boolean("EnableDirectServerReturn")
    endpoint_acl: EndpointAcl | None = element("EndpointAcl", "EndpointAcl", absent=True)
    idle_timeout_in_minutes: int | None = integer("IdleTimeoutInMinutes")
    load_balancer_distribution: str | None = text("LoadBalancerDistribution")


@model
class LoadBalancerProbe(WireType):
    """The element ``LoadBalancerProbe``."""

    path: str | None = text("Path", "")
    port: str | None = number("Port", "")
    protocol: str | None = text("Protocol", "")
    interval_in_seconds: int | None = integer("IntervalInSeconds")
    timeout_in_seconds: int | None = integer("TimeoutInSeconds")


@model
class EndpointAcl(WireType):
    """The element ``EndpointAcl``."""

    rules: AclRules | None = element("Rules", "AclRules", absent=True, required=True)


@model
class AclRules(Collection["AclRule"]):
    """The element ``AclRules``."""

    rules: list[AclRule] = elements("Rule", "AclRule")


@model
class AclRule(WireType):
    """The element ``AclRule``."""

    order: int | None = integer("Order", required=True)
    action: str | None = text("Action", required=True)
    remote_subnet: str | None = text("RemoteSubnet", required=True)
    description: str | None = text("Description")


@model
class PublicIPs(Collection["PublicIP"]):
    """The element ``PublicIPs``."""

    public_ips: list[PublicIP] = elements("PublicIP")


@model
class PublicIP(WireType):
    """The element ``PublicIP``."""

    name: str | None = text("Name", "", required=True)
    address: str | None = text("Address")
    idle_timeout_in_minutes: int | None = integer("IdleTimeoutInMinutes", 4)
    domain_name_label: str | None = text("DomainNameLabel")
    fqdns: list[str] | None = strings("Fqdns", "Fqdn", absent=True)


@model
class NetworkInterfaces(Collection["NetworkInterface"]):
    """The element ``NetworkInterfaces``."""

    network_interfaces: list[NetworkInterface] = elements("NetworkInterface")


@model
class NetworkInterface(WireType):
    """The element ``NetworkInterface``."""

    name: str | None = text("Name", required=True)
    ip_configurations: IPConfigurations | None = element(
        "IPConfigurations", "IPConfigurations", absent=True, required=True
    )
    network_security_group: str | None = text("NetworkSecurityGroup")
    ip_forwarding: str | None = text("IPForwarding")


@model
class IPConfigurations(Collection["IPConfiguration"]):
    """The element ``IPConfigurations``."""

    ip_configurations: list[IPConfiguration] = elements("IPConfiguration")


@model
class IPConfiguration(WireType):
    """The element ``IPConfiguration``."""

    subnet_name: str | None = text("SubnetName", required=True)
    static_virtual_network_ip_address: str | None = text("StaticVirtualNetworkIPAddress")


@model
class ResourceExtensionReferences(Collection["ResourceExtensionReference"]):
    """The element ``ResourceExtensionReferences``."""

    resource_extension_references: list[ResourceExtensionReference] = elements("ResourceExtensionReference")


@model
class ResourceExtensionReference(WireType):
    """The element ``ResourceExtensionReference``."""

    reference_name: str | None = text("ReferenceName", "", required=True)
    publisher: str | None = text("Publisher", "")
    name: str | None = text("Name", "")
    version: str | None = text("Version", "")
    resource_extension_parameter_values: ResourceExtensionParameterValues | None = element(
        "ResourceExtensionParameterValues", "ResourceExtensionParameterValues"
    )
    state: str | None = text("State", "")
    force_update: bool | None = boolean("ForceUpdate")
    certificates: Certificates | None = element("Certificates", "Certificates")


@model
class ResourceExtensionParameterValues(Collection["ResourceExtensionParameterValue"]):
    """The element ``ResourceExtensionParameterValues``."""

    resource_extension_parameter_values: list[ResourceExtensionParameterValue] = elements(
        "ResourceExtensionParameterValue"
    )


@model
class ResourceExtensionParameterValue(WireType):
    """The element ``ResourceExtensionParameterValue``."""

    key: str | None = text("Key", "")
    value: str | None = data("Value", "")
    type: str | None = text("Type", "")


@model
class DataVirtualHardDisks(Collection["DataVirtualHardDisk"]):
    """The element ``DataVirtualHardDisks``."""

    data_virtual_hard_disks: list[DataVirtualHardDisk] = elements("DataVirtualHardDisk")


@model
class DataVirtualHardDisk(WireType):
    """The element ``DataVirtualHardDisk``."""

    _order = (
        "host_caching",
        "disk_label",
        "disk_name",
        "lun",
        "logical_disk_size_in_gb",
        "media_link",
        "source_media_link",
        "io_type",
    )

    media_link: str | None = text("MediaLink", "")
    host_caching: str | None = text("HostCaching")
    disk_label: str | None = text("DiskLabel", "")
    disk_name: str | None = text("DiskName", "")
    lun: int | None = integer("Lun", 0)
    logical_disk_size_in_gb: int | None = integer("LogicalDiskSizeInGB", 0)
    source_media_link: str | None = text("SourceMediaLink")
    io_type: str | None = text("IOType")


@model
class OSVirtualHardDisk(WireType):
    """The element ``OSVirtualHardDisk``."""

    _order = (
        "host_caching",
        "disk_label",
        "disk_name",
        "media_link",
        "source_image_name",
        "os",
        "remote_source_image_link",
        "io_type",
        "resized_size_in_gb",
    )

    source_image_name: str | None = text("SourceImageName")
    media_link: str | None = text("MediaLink")
    host_caching: str | None = text("HostCaching")
    disk_label: str | None = text("DiskLabel")
    disk_name: str | None = text("DiskName")
    os: str | None = text("OS")
    remote_source_image_link: str | None = text("RemoteSourceImageLink")
    io_type: str | None = text("IOType")
    resized_size_in_gb: int | None = integer("ResizedSizeInGB")


@model
class VMImageInput(WireType):
    """The element ``VMImageInput`` of a request."""

    os_disk_configuration: OSDiskResize | None = element("OSDiskConfiguration", "OSDiskResize", absent=True)
    data_disk_configurations: DataDiskResizes | None = element(
        "DataDiskConfigurations", "DataDiskResizes", absent=True
    )


@model
class OSDiskResize(WireType):
    """The element ``OSDiskResize`` of a request."""

    resized_size_in_gb: int | None = integer("ResizedSizeInGB")


@model
class DataDiskResizes(Collection["DataDiskResize"]):
    """The element ``DataDiskResizes`` of a request."""

    data_disk_configurations: list[DataDiskResize] = elements("DataDiskConfiguration", "DataDiskResize")


@model
class DataDiskResize(WireType):
    """The element ``DataDiskResize`` of a request."""

    name: str | None = text("Name")
    resized_size_in_gb: int | None = integer("ResizedSizeInGB")


@model
class DebugSettings(WireType):
    """The element ``DebugSettings``."""

    boot_diagnostics_enabled: bool | None = boolean("BootDiagnosticsEnabled")
    console_screenshot_blob_uri: str | None = text("ConsoleScreenshotBlobUri")
    serial_output_blob_uri: str | None = text("SerialOutputBlobUri")
