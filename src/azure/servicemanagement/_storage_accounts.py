"""Methods about storage accounts."""

from __future__ import annotations

from collections.abc import Mapping

from reddog import wire

from ._common_error import _require
from .models import AsynchronousOperationResult, AvailabilityResponse, StorageService, StorageServices
from .servicemanagementclient import _ServiceManagementClient


class _StorageAccountMethods(_ServiceManagementClient):
    def list_storage_accounts(self) -> StorageServices:
        """List the storage accounts of the subscription (List Storage Accounts)."""
        return self._get(StorageServices, "List Storage Accounts")

    def get_storage_account_properties(self, service_name: str) -> StorageService:
        """Return a storage account: location, label, status, endpoints (Get Storage Account Properties).

        service_name: the account's name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(service_name=service_name)
        return self._get(StorageService, "Get Storage Account Properties", {"account": service_name})

    def get_storage_account_keys(self, service_name: str) -> StorageService:
        """Return a storage account's keys (Get Storage Account Keys).

        They are `storage_service_keys.primary` and `storage_service_keys.secondary` of the result.

        service_name: the account's name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(service_name=service_name)
        return self._get(StorageService, "Get Storage Account Keys", {"account": service_name})

    def regenerate_storage_account_keys(self, service_name: str, key_type: str) -> StorageService:
        """Replace one key of a storage account and return both (Regenerate Storage Account Keys).

        service_name: the account's name.  key_type: Primary or Secondary.

        The old key is refused from then on.  Raises AzureMissingResourceHttpError when there is no such
        account.
        """
        _require(service_name=service_name, key_type=key_type)
        body = wire.RegenerateKeys(key_type=key_type)
        return self._get(StorageService, "Regenerate Storage Account Keys", {"account": service_name}, body)

    def create_storage_account(
        self,
        service_name: str,
        description: str,
        label: str,
        affinity_group: str | None = None,
        location: str | None = None,
        geo_replication_enabled: bool | None = None,
        extended_properties: Mapping[str, str] | None = None,
        account_type: str = "Standard_GRS",
    ) -> AsynchronousOperationResult:
        """Start to make a storage account (Create Storage Account).

        service_name: 3 to 24 lower-case letters and digits, unique in the cloud.
        description: up to 1024 characters.  label: up to 100 characters.
        affinity_group, location: where; exactly one of the two.
        geo_replication_enabled: False means account_type "Standard_LRS"; of old.
        extended_properties: up to 50 names (letters, digits, underscores; 64) with values (255 characters).
        account_type: Standard_LRS, Standard_ZRS, Standard_GRS or Standard_RAGRS.

        Returns the operation's request id.  Raises ValueError when the place is missing or given twice,
        AzureConflictHttpError when the name is taken.
        """
        _require(service_name=service_name, description=description, label=label)
        _require_one_place(location, affinity_group)
        body = wire.CreateStorageServiceInput(
            service_name=service_name,
            description=description,
            label=label,
            affinity_group=affinity_group,
            location=location,
            extended_properties=_properties(extended_properties),
            account_type=_account_type(geo_replication_enabled, account_type),
        )
        return self._start("Create Storage Account", body=body)

    def update_storage_account(
        self,
        service_name: str,
        description: str | None = None,
        label: str | None = None,
        geo_replication_enabled: bool | None = None,
        extended_properties: Mapping[str, str] | None = None,
        account_type: str = "Standard_GRS",
    ) -> None:
        """Change a storage account's description, label, properties or kind (Update Storage Account).

        The parameters are those of `create_storage_account`; None leaves a value as it is.  Note that
        `account_type` is always sent.

        Raises AzureMissingResourceHttpError when there is no such account.
        """
        _require(service_name=service_name)
        body = wire.UpdateStorageServiceInput(
            description=description,
            label=label,
            extended_properties=_properties(extended_properties),
            account_type=_account_type(geo_replication_enabled, account_type),
        )
        self._perform("Update Storage Account", {"account": service_name}, body)

    def delete_storage_account(self, service_name: str) -> AsynchronousOperationResult:
        """Delete a storage account with all its data (Delete Storage Account).

        service_name: the account's name.

        Raises AzureMissingResourceHttpError when there is none, AzureConflictHttpError or AzureHttpError 400
        while a disk or an image lies in it.
        """
        _require(service_name=service_name)
        return self._start("Delete Storage Account", {"account": service_name})

    def check_storage_account_name_availability(self, service_name: str) -> AvailabilityResponse:
        """Say whether an account of this name could be made (Check Storage Account Name Availability).

        service_name: the name.

        Returns `result` (bool) and `reason` (text when it could not).  Raises AzureHttpError 400
        when the name is not valid.
        """
        _require(service_name=service_name)
        return self._get(
            AvailabilityResponse, "Check Storage Account Name Availability", {"account": service_name}
        )


def _require_one_place(location: str | None, affinity_group: str | None) -> None:
    if affinity_group is None and location is None:
        raise ValueError("location or affinity_group must be specified")
    if affinity_group is not None and location is not None:
        raise ValueError("Only one of location or affinity_group needs to be specified")


def _account_type(geo_replication_enabled: bool | None, account_type: str) -> str:
    return "Standard_LRS" if geo_replication_enabled is False else account_type


def _properties(given: Mapping[str, str] | None) -> dict[str, str] | None:
    return dict(given) if given else None
