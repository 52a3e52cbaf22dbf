"""Cloud services and their certificates."""

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
    model,
    pairs,
    text,
)

if TYPE_CHECKING:
    from reddog.wire.types.deployments import Deployments
    from reddog.wire.types.subscriptions import ComputeCapabilities


@model
class HostedServices(Collection["HostedService"]):
    """The element ``HostedServices``."""

    hosted_services: list[HostedService] = elements("HostedService")


@model
class HostedService(WireType):
    """The element ``HostedService``."""

    url: str | None = text("Url", "")
    service_name: str | None = text("ServiceName", "")
    hosted_service_properties: HostedServiceProperties | None = element(
        "HostedServiceProperties", "HostedServiceProperties"
    )
    deployments: Deployments | None = element("Deployments", "Deployments")
    is_complete: bool | None = boolean("IsComplete")
    default_win_rm_certificate_thumbprint: str | None = text("DefaultWinRmCertificateThumbprint")
    compute_capabilities: ComputeCapabilities | None = element(
        "ComputeCapabilities", "ComputeCapabilities", absent=True
    )


@model
class HostedServiceProperties(WireType):
    """The element ``HostedServiceProperties``."""

    description: str | None = text("Description", "")
    affinity_group: str | None = text("AffinityGroup", "")
    location: str | None = text("Location", "")
    label: str | None = encoded("Label", "")
    status: str | None = text("Status", "")
    date_created: str | None = text("DateCreated", "")
    date_last_modified: str | None = text("DateLastModified", "")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty")
    guest_agent_type: str | None = text("GuestAgentType")
    reverse_dns_fqdn: str | None = text("ReverseDnsFqdn")


@model
class CreateHostedService(WireType):
    """The element ``CreateHostedService`` of a request."""

    service_name: str | None = text("ServiceName", required=True)
    label: str | None = encoded("Label", required=True)
    description: str | None = text("Description")
    location: str | None = text("Location")
    affinity_group: str | None = text("AffinityGroup")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    reverse_dns_fqdn: str | None = text("ReverseDnsFqdn")


@model
class UpdateHostedService(WireType):
    """The element ``UpdateHostedService`` of a request."""

    label: str | None = encoded("Label")
    description: str | None = text("Description")
    location: str | None = text("Location")
    affinity_group: str | None = text("AffinityGroup")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    guest_agent_type: str | None = text("GuestAgentType")
    reverse_dns_fqdn: str | None = text("ReverseDnsFqdn")


@model
class Certificates(Collection["Certificate"]):
    """The element ``Certificates``."""

    certificates: list[Certificate] = elements("Certificate")


@model
class Certificate(WireType):
    """The element ``Certificate``."""

    certificate_url: str | None = text("CertificateUrl", "")
    thumbprint: str | None = text("Thumbprint", "")
    thumbprint_algorithm: str | None = text("ThumbprintAlgorithm", "")
    data: str | None = data("Data", "")


@model
class CertificateFile(WireType):
    """The element ``CertificateFile`` of a request."""

    data: str | None = data("Data", required=True)
    certificate_format: str | None = text("CertificateFormat", required=True)
    password: str | None = text("Password", secret=True)
