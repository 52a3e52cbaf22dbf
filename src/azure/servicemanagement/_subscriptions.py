"""Methods about the subscription: what it may use, its certificates, its affinity groups, its history."""

from __future__ import annotations

from reddog import wire

from ._bodies import only
from ._common_error import _require
from .models import (
    AffinityGroup,
    AffinityGroups,
    Locations,
    OperatingSystemFamilies,
    OperatingSystems,
    RoleSizes,
    Subscription,
    SubscriptionCertificate,
    SubscriptionCertificates,
    SubscriptionOperationCollection,
    Subscriptions,
)
from .servicemanagementclient import _ServiceManagementClient


class _SubscriptionMethods(_ServiceManagementClient):
    def list_role_sizes(self) -> RoleSizes:
        """List the sizes that virtual machines can have here (List Role Sizes).

        Each RoleSize has `name`, `cores`, `memory_in_mb` and `max_data_disk_count`.
        """
        return self._get(RoleSizes, "List Role Sizes")

    def list_subscriptions(self) -> Subscriptions:
        """List the subscriptions that the caller may use (List Subscriptions).

        The public service wanted an Active Directory token for it, so a `request_session` that carries one.
        """
        return self._get(Subscriptions, "List Subscriptions")

    def get_subscription(self) -> Subscription:
        """Return the subscription with its limits and what of them is used (Get Subscription)."""
        return self._get(Subscription, "Get Subscription")

    def list_subscription_operations(
        self,
        start_time: str | None = None,
        end_time: str | None = None,
        object_id_filter: str | None = None,
        operation_result_filter: str | None = None,
        continuation_token: str | None = None,
    ) -> SubscriptionOperationCollection:
        """List the changes made in a period (List Subscription Operations).

        start_time, end_time: the period, in UTC, such as "2015-06-01" or "2015-06-01T12:00:00Z".
        object_id_filter: only changes of this object, such as
            "/<subscription-id>/services/hostedservices/<name>".
        operation_result_filter: Succeeded, Failed or InProgress.
        continuation_token: of the page before, to get the next one.
        """
        query = {
            "StartTime": start_time,
            "EndTime": end_time,
            "ObjectIdFilter": object_id_filter,
            "OperationResultFilter": operation_result_filter,
            "ContinuationToken": continuation_token,
        }
        given = [(name, value) for name, value in query.items() if value]
        return self._get(SubscriptionOperationCollection, "List Subscription Operations", query=given)

    def list_locations(self) -> Locations:
        """List the places where services and storage accounts can be made (List Locations).

        Each Location has `name`, `display_name`, `available_services` and `compute_capabilities`.
        """
        return self._get(Locations, "List Locations")

    def list_operating_systems(self) -> OperatingSystems:
        """List the guest operating systems of web and worker roles (List Operating Systems)."""
        return self._get(OperatingSystems, "List Operating Systems")

    def list_operating_system_families(self) -> OperatingSystemFamilies:
        """List the guest operating systems by family (List Operating System Families)."""
        return self._get(OperatingSystemFamilies, "List Operating System Families")

    # -- Management certificates --------------------------------------------------------------------------

    def list_management_certificates(self) -> SubscriptionCertificates:
        """List the certificates that may manage the subscription (List Management Certificates)."""
        return self._get(SubscriptionCertificates, "List Management Certificates")

    def get_management_certificate(self, thumbprint: str) -> SubscriptionCertificate:
        """Return one management certificate (Get Management Certificate).

        thumbprint: the SHA-1 digest of the certificate, in hexadecimal.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(thumbprint=thumbprint)
        return self._get(SubscriptionCertificate, "Get Management Certificate", {"thumbprint": thumbprint})

    def add_management_certificate(self, public_key: str, thumbprint: str, data: str) -> None:
        """Let one more certificate manage the subscription (Add Management Certificate).

        public_key: the certificate's public key, in base64.  thumbprint: its SHA-1 digest, in hexadecimal.
        data: the certificate (DER, as in a .cer file), in base64.

        Raises AzureConflictHttpError when it is registered, AzureHttpError 400 when it is no certificate.
        """
        _require(public_key=public_key, thumbprint=thumbprint, data=data)
        body = only(
            wire.SubscriptionCertificate,
            subscription_certificate_public_key=public_key,
            subscription_certificate_thumbprint=thumbprint,
            subscription_certificate_data=data,
        )
        self._perform("Add Management Certificate", body=body)

    def delete_management_certificate(self, thumbprint: str) -> None:
        """Take the right to manage the subscription from a certificate (Delete Management Certificate).

        thumbprint: its SHA-1 digest, in hexadecimal.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(thumbprint=thumbprint)
        self._perform("Delete Management Certificate", {"thumbprint": thumbprint})

    # -- Affinity groups ----------------------------------------------------------------------------------

    def list_affinity_groups(self) -> AffinityGroups:
        """List the affinity groups (List Affinity Groups)."""
        return self._get(AffinityGroups, "List Affinity Groups")

    def get_affinity_group_properties(self, affinity_group_name: str) -> AffinityGroup:
        """Return one affinity group with its services and accounts (Get Affinity Group Properties).

        affinity_group_name: its name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(affinity_group_name=affinity_group_name)
        return self._get(AffinityGroup, "Get Affinity Group Properties", {"name": affinity_group_name})

    def create_affinity_group(
        self, name: str, label: str, location: str, description: str | None = None
    ) -> None:
        """Make an affinity group (Create Affinity Group).

        name: unique in the subscription.  label: up to 100 characters.  location: a name from
            `list_locations`.
        description: up to 1024 characters.

        Raises AzureConflictHttpError when the name is taken, AzureHttpError 400 for a bad value.
        """
        _require(name=name, label=label, location=location)
        body = wire.CreateAffinityGroup(name=name, label=label, description=description, location=location)
        self._perform("Create Affinity Group", body=body)

    def update_affinity_group(
        self, affinity_group_name: str, label: str, description: str | None = None
    ) -> None:
        """Change label and description of an affinity group (Update Affinity Group).

        affinity_group_name: its name.  label: up to 100 characters.  description: up to 1024 characters.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(affinity_group_name=affinity_group_name, label=label)
        body = wire.UpdateAffinityGroup(label=label, description=description)
        self._perform("Update Affinity Group", {"name": affinity_group_name}, body)

    def delete_affinity_group(self, affinity_group_name: str) -> None:
        """Delete an affinity group (Delete Affinity Group).

        affinity_group_name: its name.

        Raises AzureMissingResourceHttpError when there is none, AzureConflictHttpError or AzureHttpError 400
        while it is used.
        """
        _require(affinity_group_name=affinity_group_name)
        self._perform("Delete Affinity Group", {"name": affinity_group_name})
