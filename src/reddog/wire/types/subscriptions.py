"""Subscriptions, locations, sizes, certificates, affinity groups, operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reddog.wire._schema import (
    PARAMETERS_NAMESPACE,
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
    pairs,
    strings,
    text,
)

if TYPE_CHECKING:
    from reddog.wire.types.hosted_services import HostedServices
    from reddog.wire.types.storage_accounts import StorageServices


@model
class ComputeCapabilities(WireType):
    """The element ``ComputeCapabilities``."""

    web_worker_role_sizes: list[str] | None = strings("WebWorkerRoleSizes", "RoleSize")
    virtual_machines_role_sizes: list[str] | None = strings("VirtualMachinesRoleSizes", "RoleSize")


@model
class OperationError(WireType):
    """The element ``Error``."""

    _xml_name = "Error"

    code: str | None = text("Code", "")
    message: str | None = text("Message", "")
    configuration_warnings: ConfigurationWarnings | None = element(
        "ConfigurationWarnings", "ConfigurationWarnings", absent=True
    )
    conflicting_operation_id: str | None = text("ConflictingOperationId")
    extended_code: str | None = text("ExtendedCode")
    message_template: str | None = text("MessageTemplate")
    parameters: str | None = text("Parameters")
    inner_errors: str | None = text("InnerErrors")


@model
class ConfigurationWarnings(Collection["ConfigurationWarning"]):
    """The element ``ConfigurationWarnings``."""

    configuration_warnings: list[ConfigurationWarning] = elements("ConfigurationWarning")


@model
class ConfigurationWarning(WireType):
    """The element ``ConfigurationWarning``."""

    warning_code: str | None = text("WarningCode")
    warning_message: str | None = text("WarningMessage")


@model
class Operation(WireType):
    """The element ``Operation``."""

    id: str | None = text("ID", "")
    status: str | None = text("Status", "")
    http_status_code: str | None = number("HttpStatusCode", "")
    error: OperationError | None = element("Error", "OperationError")


@model
class AvailabilityResponse(WireType):
    """The element ``AvailabilityResponse``."""

    result: bool | None = boolean("Result", False)
    reason: str | None = text("Reason", "")


@model
class Subscriptions(Collection["Subscription"]):
    """The element ``Subscriptions``."""

    subscriptions: list[Subscription] = elements("Subscription")


@model
class Subscription(WireType):
    """The element ``Subscription``."""

    subscription_id: str | None = text("SubscriptionID", "")
    subscription_name: str | None = text("SubscriptionName", "")
    subscription_status: str | None = text("SubscriptionStatus", "")
    account_admin_live_email_id: str | None = text("AccountAdminLiveEmailId", "")
    service_admin_live_email_id: str | None = text("ServiceAdminLiveEmailId", "")
    max_core_count: int | None = integer("MaxCoreCount", 0)
    max_storage_accounts: int | None = integer("MaxStorageAccounts", 0)
    max_hosted_services: int | None = integer("MaxHostedServices", 0)
    current_core_count: int | None = integer("CurrentCoreCount", 0)
    current_hosted_services: int | None = integer("CurrentHostedServices", 0)
    current_storage_accounts: int | None = integer("CurrentStorageAccounts", 0)
    max_virtual_network_sites: int | None = integer("MaxVirtualNetworkSites", 0)
    current_virtual_network_sites: int | None = integer("CurrentVirtualNetworkSites", 0)
    max_local_network_sites: int | None = integer("MaxLocalNetworkSites", 0)
    current_local_network_sites: int | None = integer("CurrentLocalNetworkSites")
    max_dns_servers: int | None = integer("MaxDnsServers", 0)
    current_dns_servers: int | None = integer("CurrentDnsServers")
    offer_categories: str | None = text("OfferCategories")
    current_extra_vip_count: int | None = integer("CurrentExtraVIPCount")
    max_extra_vip_count: int | None = integer("MaxExtraVIPCount")
    aad_tenant_id: str | None = text("AADTenantID", "")
    created_time: str | None = text("CreatedTime", "")
    max_reserved_ips: int | None = integer("MaxReservedIPs")
    current_reserved_ips: int | None = integer("CurrentReservedIPs")
    current_public_ip_count: int | None = integer("CurrentPublicIPCount")
    max_public_ip_count: int | None = integer("MaxPublicIPCount")
    current_network_security_groups: int | None = integer("CurrentNetworkSecurityGroups")
    max_network_security_groups: int | None = integer("MaxNetworkSecurityGroups")
    max_network_security_rules_per_group: int | None = integer("MaxNetworkSecurityRulesPerGroup")
    max_route_tables: int | None = integer("MaxRouteTables")
    max_routes_per_route_table: int | None = integer("MaxRoutesPerRouteTable")


@model
class SubscriptionOperationCollection(WireType):
    """The element ``SubscriptionOperationCollection``."""

    subscription_operations: SubscriptionOperations | None = element(
        "SubscriptionOperations", "SubscriptionOperations"
    )
    continuation_token: str | None = text("ContinuationToken", "")


@model
class SubscriptionOperations(Collection["SubscriptionOperation"]):
    """The element ``SubscriptionOperations``."""

    subscription_operations: list[SubscriptionOperation] = elements("SubscriptionOperation")


@model
class SubscriptionOperation(WireType):
    """The element ``SubscriptionOperation``."""

    operation_id: str | None = text("OperationId", "")
    operation_object_id: str | None = text("OperationObjectId", "")
    operation_name: str | None = text("OperationName", "")
    operation_parameters: dict[str, str] | None = pairs(
        "OperationParameters", "OperationParameter", namespace=PARAMETERS_NAMESPACE
    )
    operation_caller: OperationCaller | None = element("OperationCaller", "OperationCaller")
    operation_status: SubscriptionOperationStatus | None = element(
        "OperationStatus", "SubscriptionOperationStatus"
    )
    operation_started_time: str | None = text("OperationStartedTime", "")
    operation_completed_time: str | None = text("OperationCompletedTime", "")
    operation_kind: str | None = text("OperationKind", "")


@model
class SubscriptionOperationStatus(WireType):
    """The element ``OperationStatus``."""

    _xml_name = "OperationStatus"

    status_id: str | None = text("ID", "")
    status: str | None = text("Status", "")
    http_status_code: int | None = integer("HttpStatusCode", 0)
    error: OperationError | None = element("Error", "OperationError", absent=True)


@model
class OperationCaller(WireType):
    """The element ``OperationCaller``."""

    used_service_management_api: bool | None = boolean("UsedServiceManagementApi", False)
    user_email_address: str | None = text("UserEmailAddress", "")
    subscription_certificate_thumbprint: str | None = text("SubscriptionCertificateThumbprint", "")
    client_ip: str | None = text("ClientIP", "")


@model
class SubscriptionCertificates(Collection["SubscriptionCertificate"]):
    """The element ``SubscriptionCertificates``."""

    subscription_certificates: list[SubscriptionCertificate] = elements("SubscriptionCertificate")


@model
class SubscriptionCertificate(WireType):
    """The element ``SubscriptionCertificate``."""

    subscription_certificate_public_key: str | None = data(
        "SubscriptionCertificatePublicKey", "", required=True
    )
    subscription_certificate_thumbprint: str | None = text(
        "SubscriptionCertificateThumbprint", "", required=True
    )
    subscription_certificate_data: str | None = data("SubscriptionCertificateData", "", required=True)
    created: str | None = text("Created", "")


@model
class Locations(Collection["Location"]):
    """The element ``Locations``."""

    locations: list[Location] = elements("Location")


@model
class Location(WireType):
    """The element ``Location``."""

    name: str | None = text("Name", "")
    display_name: str | None = text("DisplayName", "")
    available_services: list[str] | None = strings("AvailableServices", "AvailableService")
    compute_capabilities: ComputeCapabilities | None = element("ComputeCapabilities", "ComputeCapabilities")
    storage_capabilities: StorageCapabilities | None = element(
        "StorageCapabilities", "StorageCapabilities", absent=True
    )


@model
class StorageCapabilities(WireType):
    """The element ``StorageCapabilities``."""

    storage_account_types: list[str] | None = strings(
        "StorageAccountTypes", "StorageAccountType", absent=True
    )


@model
class RoleSizes(Collection["RoleSize"]):
    """The element ``RoleSizes``."""

    role_sizes: list[RoleSize] = elements("RoleSize")


@model
class RoleSize(WireType):
    """The element ``RoleSize``."""

    name: str | None = text("Name", "")
    label: str | None = text("Label", "")
    cores: int | None = integer("Cores", 0)
    memory_in_mb: int | None = integer("MemoryInMb", 0)
    supported_by_web_worker_roles: bool | None = boolean("SupportedByWebWorkerRoles", False)
    supported_by_virtual_machines: bool | None = boolean("SupportedByVirtualMachines", False)
    max_data_disk_count: int | None = integer("MaxDataDiskCount", 0)
    web_worker_resource_disk_size_in_mb: int | None = integer("WebWorkerResourceDiskSizeInMb", 0)
    virtual_machine_resource_disk_size_in_mb: int | None = integer("VirtualMachineResourceDiskSizeInMb", 0)


@model
class OperatingSystems(Collection["OperatingSystem"]):
    """The element ``OperatingSystems``."""

    operating_systems: list[OperatingSystem] = elements("OperatingSystem")


@model
class OperatingSystem(WireType):
    """The element ``OperatingSystem``."""

    version: str | None = text("Version", "")
    label: str | None = encoded("Label", "")
    is_default: bool | None = boolean("IsDefault", True)
    is_active: bool | None = boolean("IsActive", True)
    family: int | None = integer("Family", 0)
    family_label: str | None = encoded("FamilyLabel", "")


@model
class OperatingSystemFamilies(Collection["OperatingSystemFamily"]):
    """The element ``OperatingSystemFamilies``."""

    operating_system_families: list[OperatingSystemFamily] = elements("OperatingSystemFamily")


@model
class OperatingSystemFamily(WireType):
    """The element ``OperatingSystemFamily``."""

    name: str | None = text("Name", "")
    label: str | None = encoded("Label", "")
    operating_systems: OperatingSystems | None = element("OperatingSystems", "OperatingSystems")


@model
class AffinityGroups(Collection["AffinityGroup"]):
    """The element ``AffinityGroups``."""

    affinity_groups: list[AffinityGroup] = elements("AffinityGroup")


@model
class AffinityGroup(WireType):
    """The element ``AffinityGroup``."""

    name: str | None = text("Name", "")
    label: str | None = encoded("Label", "")
    description: str | None = text("Description", "")
    location: str | None = text("Location", "")
    hosted_services: HostedServices | None = element("HostedServices", "HostedServices")
    storage_services: StorageServices | None = element("StorageServices", "StorageServices")
    capabilities: list[str] | None = strings("Capabilities", "Capability")
    created_time: str | None = text("CreatedTime")
    compute_capabilities: ComputeCapabilities | None = element(
        "ComputeCapabilities", "ComputeCapabilities", absent=True
    )


@model
class CreateAffinityGroup(WireType):
    """The element ``CreateAffinityGroup`` of a request."""

    name: str | None = text("Name", required=True)
    label: str | None = encoded("Label", required=True)
    description: str | None = text("Description")
    location: str | None = text("Location", required=True)


@model
class UpdateAffinityGroup(WireType):
    """The element ``UpdateAffinityGroup`` of a request."""

    label: str | None = encoded("Label", required=True)
    description: str | None = text("Description")
    location_constraint: str | None = text("LocationConstraint")
