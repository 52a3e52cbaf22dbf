"""Storage accounts: blobs as files that machines use as disks, served to every Azure storage client."""

from reddog.storage._address import BlobAddress, parse_url
from reddog.storage._control import BlobProperties, Storage
from reddog.storage._errors import (
    AccountDamaged,
    AccountNotFound,
    BlobExists,
    BlobNotFound,
    BlobUrlError,
    ContainerNotFound,
    LeaseConflict,
    NoSpace,
    StorageError,
)
from reddog.storage._front import RUNNER_OPTIONS

__all__ = [
    "RUNNER_OPTIONS",
    "AccountDamaged",
    "AccountNotFound",
    "BlobAddress",
    "BlobExists",
    "BlobNotFound",
    "BlobProperties",
    "BlobUrlError",
    "ContainerNotFound",
    "LeaseConflict",
    "NoSpace",
    "Storage",
    "StorageError",
    "parse_url",
]
