"""Locations: where services and accounts may be; here they are all this machine (behaviours.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from reddog.services._call import Call, Handler, Reply
from reddog.services.role_sizes import all_sizes
from reddog.wire import ComputeCapabilities, Location, StorageCapabilities, errors
from reddog.wire import Locations as LocationList

NAMES = (
    "West Europe",
    "North Europe",
    "Southeast Asia",
    "East Asia",
    "Central US",
    "North Central US",
    "South Central US",
    "West US",
    "East US",
    "Japan East",
    "Japan West",
    "Brazil South",
    "Australia East",
    "Australia Southeast",
)
AVAILABLE_SERVICES = ("Compute", "Storage", "PersistentVMRole", "HighMemory")
STORAGE_ACCOUNT_TYPES = ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGRS", "Premium_LRS")
_BY_NAME = {name.lower(): name for name in NAMES}


class Locations:
    """List locations."""

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"List Locations": self.list}

    def list(self, call: Call) -> Reply:
        """List Locations."""
        return Reply(LocationList([_location(name) for name in NAMES]), lasting=True)


@cache
def compute_capabilities() -> ComputeCapabilities:
    """The role sizes that a location offers, the same everywhere."""
    sizes = all_sizes()
    return ComputeCapabilities(
        [str(size.name) for size in sizes if size.supported_by_web_worker_roles],
        [str(size.name) for size in sizes if size.supported_by_virtual_machines],
    )


def require_location(name: str) -> str:
    """The location's name as it is written.

    :raises ServiceError: there is no such location.
    """
    found = _BY_NAME.get(name.lower())
    if found is None:
        raise errors.LOCATION_NOT_FOUND(location=name)
    return found


def _location(name: str) -> Location:
    return Location(
        name=name,
        display_name=name,
        available_services=list(AVAILABLE_SERVICES),
        compute_capabilities=compute_capabilities(),
        storage_capabilities=StorageCapabilities(list(STORAGE_ACCOUNT_TYPES)),
    )
