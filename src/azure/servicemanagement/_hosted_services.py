"""Methods about hosted (cloud) services and their certificates."""

from __future__ import annotations

from collections.abc import Mapping

from reddog import wire

from ._common_error import _require
from ._storage_accounts import _properties, _require_one_place
from .models import (
    AsynchronousOperationResult,
    AvailabilityResponse,
    Certificate,
    Certificates,
    HostedService,
    HostedServices,
)
from .servicemanagementclient import _ServiceManagementClient


class _HostedServiceMethods(_ServiceManagementClient):
    def list_hosted_services(self) -> HostedServices:
        """List the hosted services of the subscription, without their deployments (List Cloud Services)."""
        return self._get(HostedServices, "List Cloud Services")

    def get_hosted_service_properties(self, service_name: str, embed_detail: bool = False) -> HostedService:
        """Return a hosted service (Get Cloud Service Properties).

        service_name: its name.  embed_detail: with its deployments.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(service_name=service_name, embed_detail=embed_detail)
        query = [("embed-detail", str(embed_detail).lower())]
        params = {"service": service_name}
        return self._get(HostedService, "Get Cloud Service Properties", params, query=query)

    def create_hosted_service(
        self,
        service_name: str,
        label: str,
        description: str | None = None,
        location: str | None = None,
        affinity_group: str | None = None,
        extended_properties: Mapping[str, str] | None = None,
    ) -> AsynchronousOperationResult:
        """Make a hosted service (Create Cloud Service).

        service_name: letters, digits and hyphens, unique in the cloud; it becomes part of a DNS name.
        label: up to 100 characters.  description: up to 1024 characters.
        location, affinity_group: where; exactly one of the two.
        extended_properties: up to 50 names (letters, digits, underscores; 64) with values (255 characters).

        Returns the operation's request id.  Raises ValueError when the place is missing or given twice,
        AzureConflictHttpError when the name is taken.
        """
        _require(service_name=service_name, label=label)
        _require_one_place(location, affinity_group)
        body = wire.CreateHostedService(
            service_name=service_name,
            label=label,
            description=description,
            location=location,
            affinity_group=affinity_group,
            extended_properties=_properties(extended_properties),
        )
        return self._start("Create Cloud Service", body=body)

    def update_hosted_service(
        self,
        service_name: str,
        label: str | None = None,
        description: str | None = None,
        extended_properties: Mapping[str, str] | None = None,
    ) -> None:
        """Change a hosted service's label, description or properties (Update Cloud Service).

        service_name: its name.  The others as in `create_hosted_service`; None leaves a value as it is.

        Raises AzureMissingResourceHttpError when there is none, AzureHttpError 400 when nothing is given.
        """
        _require(service_name=service_name)
        body = wire.UpdateHostedService(
            label=label, description=description, extended_properties=_properties(extended_properties)
        )
        self._perform("Update Cloud Service", {"service": service_name}, body)

    def delete_hosted_service(self, service_name: str, complete: bool = False) -> AsynchronousOperationResult:
        """Delete a hosted service (Delete Cloud Service).

        service_name: its name.
        complete: also its deployments, their disks and the blobs under them.

        Raises AzureMissingResourceHttpError when there is none, AzureHttpError while it has a deployment and
        `complete` is not true.
        """
        _require(service_name=service_name)
        name = "Delete Cloud Service and its media" if complete else "Delete Cloud Service"
        return self._start(name, {"service": service_name})

    def check_hosted_service_name_availability(self, service_name: str) -> AvailabilityResponse:
        """Say whether a service of this name could be made (Check Cloud Service Name Availability).

        service_name: the name.

        Returns `result` (bool) and `reason` (text when it could not).  Raises AzureHttpError 400
        when the name is not valid.
        """
        _require(service_name=service_name)
        return self._get(
            AvailabilityResponse, "Check Cloud Service Name Availability", {"service": service_name}
        )

    # -- Certificates for the machines of a service -------------------------------------------------------

    def list_service_certificates(self, service_name: str) -> Certificates:
        """List the certificates of a hosted service (List Service Certificates).

        service_name: the service's name.

        Raises AzureMissingResourceHttpError when there is no such service.
        """
        _require(service_name=service_name)
        return self._get(Certificates, "List Service Certificates", {"service": service_name})

    def get_service_certificate(self, service_name: str, thumbalgorithm: str, thumbprint: str) -> Certificate:
        """Return the public part of a service's certificate (Get Service Certificate).

        service_name: the service's name.  thumbalgorithm: sha1.  thumbprint: in hexadecimal.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(
            Certificate, "Get Service Certificate", _certificate(service_name, thumbalgorithm, thumbprint)
        )

    def add_service_certificate(
        self, service_name: str, data: str, certificate_format: str, password: str | None = None
    ) -> AsynchronousOperationResult:
        """Start to add a certificate to a hosted service (Add Service Certificate).

        service_name: the service's name.  data: the .pfx or .cer file, in base64.
        certificate_format: pfx or cer.  password: of the .pfx file; an empty text where there is none.

        Returns the operation's request id.  Raises ValueError when a parameter, the password too, is None.
        """
        _require(
            service_name=service_name, data=data, certificate_format=certificate_format, password=password
        )
        body = wire.CertificateFile(data=data, certificate_format=certificate_format, password=password)
        return self._start("Add Service Certificate", {"service": service_name}, body)

    def delete_service_certificate(
        self, service_name: str, thumbalgorithm: str, thumbprint: str
    ) -> AsynchronousOperationResult:
        """Start to delete a certificate of a hosted service (Delete Service Certificate).

        service_name: the service's name.  thumbalgorithm: sha1.  thumbprint: in hexadecimal.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is none.
        """
        params = _certificate(service_name, thumbalgorithm, thumbprint)
        return self._start("Delete Service Certificate", params)


def _certificate(service_name: str, thumbalgorithm: str, thumbprint: str) -> dict[str, object]:
    _require(service_name=service_name, thumbalgorithm=thumbalgorithm, thumbprint=thumbprint)
    return {"service": service_name, "algorithm": thumbalgorithm, "thumbprint": thumbprint}
