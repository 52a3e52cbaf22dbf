"""Storage accounts."""

from __future__ import annotations

from reddog.wire._schema import (
    Collection,
    WireType,
    boolean,
    data,
    element,
    elements,
    encoded,
    model,
    pairs,
    strings,
    text,
)


@model
class StorageServices(Collection["StorageService"]):
    """The element ``StorageServices``."""

    storage_services: list[StorageService] = elements("StorageService")


@model
class StorageService(WireType):
    """The element ``StorageService``."""

    url: str | None = text("Url", "")
    service_name: str | None = text("ServiceName", "")
    storage_service_properties: StorageAccountProperties | None = element(
        "StorageServiceProperties", "StorageAccountProperties"
    )
    storage_service_keys: StorageServiceKeys | None = element("StorageServiceKeys", "StorageServiceKeys")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty")
    capabilities: list[str] | None = strings("Capabilities", "Capability")
    migration_state: str | None = text("MigrationState")


@model
class StorageAccountProperties(WireType):
    """The element ``StorageServiceProperties``."""

    _xml_name = "StorageServiceProperties"

    description: str | None = text("Description", "")
    affinity_group: str | None = text("AffinityGroup", "")
    location: str | None = text("Location", "")
    label: str | None = encoded("Label", "")
    status: str | None = text("Status", "")
    endpoints: list[str] | None = strings("Endpoints", "Endpoint")
    geo_replication_enabled: bool | None = boolean("GeoReplicationEnabled", False)
    geo_primary_region: str | None = text("GeoPrimaryRegion", "")
    status_of_primary: str | None = text("StatusOfPrimary", "")
    geo_secondary_region: str | None = text("GeoSecondaryRegion", "")
    status_of_secondary: str | None = text("StatusOfSecondary", "")
    last_geo_failover_time: str | None = text("LastGeoFailoverTime", "")
    creation_time: str | None = text("CreationTime", "")
    custom_domains: CustomDomains | None = element("CustomDomains", "CustomDomains", absent=True)
    secondary_read_enabled: bool | None = boolean("SecondaryReadEnabled")
    secondary_endpoints: list[str] | None = strings("SecondaryEndpoints", "Endpoint", absent=True)
    account_type: str | None = text("AccountType", "")


@model
class CustomDomains(Collection["CustomDomain"]):
    """The element ``CustomDomains``."""

    custom_domains: list[CustomDomain] = elements("CustomDomain")


@model
class CustomDomain(WireType):
    """The element ``CustomDomain``."""

    name: str | None = text("Name")
    use_sub_domain_name: bool | None = boolean("UseSubDomainName")


@model
class StorageServiceKeys(WireType):
    """The element ``StorageServiceKeys``."""

    primary: str | None = data("Primary", "", secret=True)
    secondary: str | None = data("Secondary", "", secret=True)


@model
class RegenerateKeys(WireType):
    """The element ``RegenerateKeys`` of a request."""

    key_type: str | None = text("KeyType", required=True)


@model
class CreateStorageServiceInput(WireType):
    """The element ``CreateStorageServiceInput`` of a request."""

    service_name: str | None = text("ServiceName", required=True)
    description: str | None = text("Description")
    label: str | None = encoded("Label", required=True)
    affinity_group: str | None = text("AffinityGroup")
    location: str | None = text("Location")
    geo_replication_enabled: bool | None = boolean("GeoReplicationEnabled")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    secondary_read_enabled: bool | None = boolean("SecondaryReadEnabled")
    account_type: str | None = text("AccountType")


@model
class UpdateStorageServiceInput(WireType):
    """The element ``UpdateStorageServiceInput`` of a request."""

    description: str | None = text("Description")
    label: str | None = encoded("Label")
    geo_replication_enabled: bool | None = boolean("GeoReplicationEnabled")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    custom_domains: CustomDomains | None = element("CustomDomains", "CustomDomains", absent=True)
    secondary_read_enabled: bool | None = boolean("SecondaryReadEnabled")
    account_type: str | None = text("AccountType")
