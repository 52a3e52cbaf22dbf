"""Media links: the blobs in which disks and images live, and the leases that protect them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reddog.engine import Reader, Resource, Tx
from reddog.services import _rules
from reddog.storage import (
    AccountNotFound,
    BlobAddress,
    BlobExists,
    BlobNotFound,
    BlobUrlError,
    ContainerNotFound,
    LeaseConflict,
    NoSpace,
    Storage,
)
from reddog.vhd import FOOTER_SIZE, VhdError, verify
from reddog.wire import errors

GIB = 1 << 30
LARGEST_DISK = 1023  # GB
CACHING = ("None", "ReadOnly", "ReadWrite")
_LEASES = uuid.UUID("6f1d5a52-97f5-4f0c-8a43-3a1c9b0a2d11")  # namespace of the lease ids made here


def lease_id(row: Resource, index: int = 0) -> str:
    """The id of the lease that a row holds on its blob; the same after a crash, and never another row's."""
    return str(uuid.uuid5(_LEASES, f"{row.kind}/{row.uid}/{row.created.isoformat()}/{index}"))


def as_goal(address: BlobAddress) -> dict[str, str]:
    """An address as goals keep it."""
    return {"account": address.account, "container": address.container, "blob": address.blob}


def from_goal(media: Mapping[str, str]) -> BlobAddress:
    """The address that a goal keeps."""
    return BlobAddress(media["account"], media["container"], media["blob"])


def in_gib(size: int) -> int:
    """A size in bytes as the API tells it: whole GiB, rounded up."""
    return math.ceil(size / GIB)


def in_bytes(gib: int) -> int:
    """A new disk's size. BadRequest: it is not between 1 and 1023 GB."""
    if not 1 <= gib <= LARGEST_DISK:
        raise errors.INVALID_DISK_SIZE(size=gib, limit=LARGEST_DISK)
    return gib * GIB


def caching(given: str | None, default: str) -> str:
    """`None`, `ReadOnly` or `ReadWrite`, however it was written."""
    found = {name.lower(): name for name in CACHING}.get((given or default).lower())
    if found is None:
        raise errors.INVALID_ELEMENT(element="HostCaching", expected=", ".join(CACHING))
    return found


def hold_accounts(tx: Tx, media: Iterable[Mapping[str, str]]) -> None:
    """Refuse blobs in an account that is on its way out."""
    for one in media:
        row = tx.get("storage_account", one["account"])
        if row is None or not row.present:
            raise errors.STORAGE_ACCOUNT_NOT_FOUND(name=one["account"])


class MediaLinks:
    """Reads media links, and checks what they lead to."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def parse(self, reader: Reader, url: str, subscription: str) -> tuple[Resource, BlobAddress]:
        """The storage account and the blob that a media link means.

        :raises ServiceError: it is no blob's URL, or leads to no account of the subscription.
        :raises Locked: the account is still being created.
        """
        try:
            address = self.storage.parse_url(url)
        except BlobUrlError as error:
            raise errors.INVALID_MEDIA_LINK(url=url, detail=str(error)) from None
        account = _rules.find(reader, "storage_account", address.account, subscription)
        if account is None:
            raise errors.MEDIA_ACCOUNT_NOT_FOUND(name=address.account, url=url)
        if not account.settled:
            raise _rules.locked(account)
        return account, address

    def vhd_size(self, url: str, address: BlobAddress) -> int:
        """The size of the disk in a blob, in bytes, footer excluded.

        :raises ServiceError: the blob is absent, no page blob, or no whole fixed VHD.
        """
        with storage_errors(url):
            found = self.storage.properties(address)
            if found is None:
                raise errors.MEDIA_NOT_FOUND(url=url)
            if found.blob_type != "PageBlob":
                raise errors.MEDIA_NOT_A_PAGE_BLOB(url=url, kind=found.blob_type)
            return self._verified(url, self.storage.page_file(address))

    def require_free(self, url: str, address: BlobAddress) -> None:
        """Refuse a media link at which there is a blob already."""
        with storage_errors(url):
            if self.storage.properties(address) is not None:
                raise errors.MEDIA_EXISTS(url=url)

    def is_free(self, media: Mapping[str, str]) -> bool:
        """Whether there is no blob."""
        return self.storage.properties(from_goal(media)) is None

    def require_unleased(self, url: str, address: BlobAddress) -> None:
        """Refuse a blob that something else holds."""
        with storage_errors(url):
            found = self.storage.properties(address)
            if found is not None and found.lease_state == "leased":
                raise errors.LEASE_CONFLICT(url=url)

    def _verified(self, url: str, path: Path) -> int:
        try:
            return verify(path, alignment=512).size
        except VhdError as error:
            raise errors.MEDIA_NOT_A_VHD(url=url, detail=error.message, remedy=error.remedy) from None


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Tell the storage service's refusals in the management API's words."""
    try:
        yield
    except LeaseConflict:
        raise errors.LEASE_CONFLICT(url=url) from None
    except BlobExists:
        raise errors.MEDIA_EXISTS(url=url) from None
    except (BlobNotFound, ContainerNotFound):
        raise errors.MEDIA_NOT_FOUND(url=url) from None
    except AccountNotFound as error:
        raise errors.MEDIA_ACCOUNT_NOT_FOUND(name=error.name, url=url) from None
    except NoSpace as error:
        raise errors.NO_SPACE(detail=str(error)) from None


def give_back(storage: Storage, row: Resource, media: Mapping[str, str], index: int, *, delete: bool) -> None:
    """End a row's lease on its blob, and delete the blob if asked; leaves a blob that is not the row's alone."""
    address, lease = from_goal(media), lease_id(row, index)
    try:
        found = storage.properties(address)
        if found is None or found.lease_id != lease:
            return
        if delete:
            storage.delete_blob(address, lease_id=lease)
        else:
            storage.release(address, lease)
    except (AccountNotFound, ContainerNotFound, BlobNotFound):
        return


def fill(storage: Storage, row: Resource, index: int, disk: Mapping[str, Any]) -> None:
    """Make the blob of a disk what its goal says: adopted, empty, or copied; leased by the row either way.

    `disk` has `media_link`, `media`, `size` (bytes, footer excluded) and `source`.
    """
    address, source, lease = from_goal(disk["media"]), disk["source"], lease_id(row, index)
    with storage_errors(disk["media_link"]):
        found = storage.properties(address)
        if found is not None and found.lease_id == lease:
            return  # made before; what it was made from may be gone by now
        if source["type"] == "adopt":
            storage.lease(address, lease)
            return
        storage.ensure_container(address.account, address.container)
        if source["type"] == "empty":
            storage.create_disk(address, disk["size"], lease_id=lease)
            return
        origin = Path(source["path"]) if source["type"] == "file" else from_goal(source["media"])
        storage.copy_in(origin, address, lease_id=lease, size=disk["size"])


def converge(storage: Storage, row: Resource, *, rolling_back: bool) -> None:
    """Make the only blob of a disk or an image while its row is there, and give it back afterwards."""
    media, source = row.goal["media"][0], row.goal["source"]
    if row.present:
        fill(storage, row, 0, {**row.goal, "media": media})
        return
    delete = bool(row.state.get("delete_blob")) or (rolling_back and source["type"] != "adopt")
    give_back(storage, row, media, 0, delete=delete)


def disk_file(storage: Storage, disk: Mapping[str, Any]) -> tuple[Path, int]:
    """The file of a disk, and the bytes of it that the guest sees."""
    with storage_errors(disk["media_link"]):
        path = storage.page_file(from_goal(disk["media"]))
    return path, path.stat().st_size - FOOTER_SIZE
