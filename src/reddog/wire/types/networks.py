"""Extensions, reserved IPs and virtual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reddog.wire._schema import Collection, WireType, boolean, data, element, elements, model, strings, text

if TYPE_CHECKING:
    from reddog.wire.types.deployments import Dns


@model
class ResourceExtensions(Collection["ResourceExtension"]):
    """The element ``ResourceExtensions``."""

    resource_extensions: list[ResourceExtension] = elements("ResourceExtension")


@model
class ResourceExtension(WireType):
    """The element ``ResourceExtension``."""

    publisher: str | None = text("Publisher", "")
    name: str | None = text("Name", "")
    version: str | None = text("Version", "")
    label: str | None = text("Label", "")
    description: str | None = text("Description", "")
    public_configuration_schema: str | None = data("PublicConfigurationSchema", "")
    private_configuration_schema: str | None = data("PrivateConfigurationSchema", "")
    sample_config: str | None = data("SampleConfig", "")
    replication_completed: bool | None = boolean("ReplicationCompleted", False)
    eula: str | None = text("Eula", "")
    privacy_uri: str | None = text("PrivacyUri", "")
    homepage_uri: str | None = text("HomepageUri", "")
    is_json_extension: bool | None = boolean("IsJsonExtension", False)
    is_internal_extension: bool | None = boolean("IsInternalExtension", False)
    disallow_major_version_upgrade: bool | None = boolean("DisallowMajorVersionUpgrade", False)
    supported_os: str | None = text("SupportedOS", "")
    company_name: str | None = text("CompanyName", "")
    published_date: str | None = text("PublishedDate", "")
    regions: str | None = text("Regions")


@model
class ReservedIPs(Collection["ReservedIP"]):
    """The element ``ReservedIPs``."""

    reserved_ips: list[ReservedIP] = elements("ReservedIP")


@model
class ReservedIP(WireType):
    """The element ``ReservedIP``."""

    name: str | None = text("Name", "")
    address: str | None = text("Address", "")
    id: str | None = text("Id", "")
    label: str | None = text("Label", "")
    affinity_group: str | None = text("AffinityGroup")
    state: str | None = text("State", "")
    in_use: bool | None = boolean("InUse", False)
    service_name: str | None = text("ServiceName", "")
    deployment_name: str | None = text("DeploymentName", "")
    location: str | None = text("Location", "")
    virtual_ip_name: str | None = text("VirtualIPName")
    migration_state: str | None = text("MigrationState")


@model
class ReservedIPAssociation(WireType):
    """The element ``ReservedIPAssociation`` of a request."""

    service_name: str | None = text("ServiceName", required=True)
    deployment_name: str | None = text("DeploymentName", required=True)
    virtual_ip_name: str | None = text("VirtualIPName")


@model
class VirtualNetworkSites(Collection["VirtualNetworkSite"]):
    """The element ``VirtualNetworkSites``."""

    virtual_network_sites: list[VirtualNetworkSite] = elements("VirtualNetworkSite")


@model
class VirtualNetworkSite(WireType):
    """The element ``VirtualNetworkSite``."""

    name: str | None = text("Name", "")
    id: str | None = text("Id", "")
    label: str | None = text("Label")
    affinity_group: str | None = text("AffinityGroup", "")
    state: str | None = text("State")
    in_use: bool | None = boolean("InUse")
    address_space: AddressSpace | None = element("AddressSpace", "AddressSpace", absent=True)
    subnets: Subnets | None = element("Subnets", "Subnets")
    dns: Dns | None = element("Dns", "Dns", absent=True)
    gateway: SiteGateway | None = element("Gateway", "SiteGateway", absent=True)
    location: str | None = text("Location")
    migration_state: str | None = text("MigrationState")


@model
class AddressSpace(WireType):
    """The element ``AddressSpace``."""

    address_prefixes: list[str] | None = strings("AddressPrefixes", "AddressPrefix", absent=True)


@model
class Subnets(Collection["Subnet"]):
    """The element ``Subnets``."""

    subnets: list[Subnet] = elements("Subnet")


@model
class Subnet(WireType):
    """The element ``Subnet``."""

    name: str | None = text("Name", "")
    address_prefix: str | None = text("AddressPrefix", "")
    network_security_group: str | None = text("NetworkSecurityGroup")
    route_table_name: str | None = text("RouteTableName")


@model
class SiteGateway(WireType):
    """The element ``SiteGateway``."""

    profile: str | None = text("Profile")
    sites: LocalNetworkSites | None = element("Sites", "LocalNetworkSites", absent=True)
    vpn_client_address_pool: AddressSpace | None = element(
        "VPNClientAddressPool", "AddressSpace", absent=True
    )
    vnet_names: str | None = text("VnetNames")


@model
class LocalNetworkSites(Collection["LocalNetworkSite"]):
    """The element ``LocalNetworkSites``."""

    local_network_sites: list[LocalNetworkSite] = elements("LocalNetworkSite")


@model
class LocalNetworkSite(WireType):
    """The element ``LocalNetworkSite``."""

    name: str | None = text("Name")
    address_space: AddressSpace | None = element("AddressSpace", "AddressSpace", absent=True)
    vpn_gateway_address: str | None = text("VpnGatewayAddress")
    connections: SiteConnections | None = element("Connections", "SiteConnections", absent=True)


@model
class SiteConnections(Collection["SiteConnection"]):
    """The element ``SiteConnections``."""

    connections: list[SiteConnection] = elements("Connection", "SiteConnection")


@model
class SiteConnection(WireType):
    """The element ``SiteConnection``."""

    type: str | None = text("Type")


@model
class AddressAvailabilityResponse(WireType):
    """The element ``AddressAvailabilityResponse``."""

    is_available: bool | None = boolean("IsAvailable")
    available_addresses: list[str] | None = strings("AvailableAddresses", "AvailableAddress")
