"""The storage service as the cloud's other parts use it: accounts, disks, leases."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from reddog import vhd
from reddog.storage import _address
from reddog.storage._account import Account, copy_disk, empty_disk
from reddog.storage._address import BlobAddress
from reddog.storage._applications import applications, services
from reddog.storage._errors import (
    AccountDamaged,
    AccountNotFound,
    BlobNotFound,
    LeaseConflict,
    StorageError,
    wrong_type,
)
from reddog.storage._flush import disk_errors
from reddog.storage.blobs import _leases
from reddog.storage.blobs._index import Blob
from reddog.storage.blobs._transfer import read
from reddog.store import StoreError

MOST_WAITING = 128  # requests


@dataclass(frozen=True)
class BlobProperties:
    """What is known of a blob: its type and size in bytes, its lease, its ETag, and when it changed last."""

    blob_type: str
    size: int
    lease_state: str
    lease_id: str | None
    etag: str
    last_modified: float


async def _let_many_wait(_: web.Application) -> None:
    """Requests wait in threads, for their account's turn and for the disk; those of other accounts go on meanwhile."""
    threads = ThreadPoolExecutor(MOST_WAITING, thread_name_prefix="reddog-storage")
    asyncio.get_running_loop().set_default_executor(threads)


class Storage:
    """All storage accounts of a cloud. Thread-safe; every method may be called again after a crash.

    Raises AccountDamaged, with nothing left open, when the files of one cannot be used.

    Args:
        root: Their directory (made 0700).
        domains: The domains of account host names, ``ACCOUNT.blob.DOMAIN``.
    """

    def __init__(self, root: Path, *, domains: Sequence[str]) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        self._root = root
        self.domains = tuple(domain.lower() for domain in domains)
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        for path in sorted(root.iterdir()):
            if path.name.startswith(".") and len(path.name) > 33:  # half made, or half removed
                shutil.rmtree(path, ignore_errors=True)
            elif _address.is_account_name(path.name) and path.is_dir():
                self._accounts[path.name] = self._opened(path)

    def _opened(self, path: Path) -> Account:
        try:
            return Account(path.name, path)
        except (sqlite3.DatabaseError, StoreError, ValueError, KeyError, OSError) as error:
            self.close()
            raise AccountDamaged(path, error) from error

    def close(self) -> None:
        """Close all accounts."""
        with self._lock:
            for account in self._accounts.values():
                account.close()
            self._accounts.clear()

    def applications(self) -> dict[str, web.Application]:
        """The services that clients talk to, by name: blob, table, queue."""
        found = applications(self.find, self.domains)
        for application in found.values():
            application.on_startup.append(_let_many_wait)
        return found

    def coverage(self) -> dict[str, tuple[list[str], list[str]]]:
        """By service: the names of its operations, and of what it refuses by name."""
        known = services(self.find, self.domains)
        return {kind: (service.supported(), service.refused()) for kind, service in known.items()}

    # -- Accounts ----------------------------------------------------------------------------------------

    def ensure_account(self, name: str, primary_key: str, secondary_key: str) -> None:
        """Create the account, or give it these keys (base64 of 64 bytes); the old ones stop working at once.

        :raises ValueError: no account may have that name.
        """
        if not _address.is_account_name(name):
            raise ValueError(f"{name!r} is no name of a storage account.")
        keys = primary_key, secondary_key
        with self._lock:
            if name in self._accounts:
                self._accounts[name].set_keys(keys)
            else:
                self._accounts[name] = Account.make(name, self._root / name, keys)

    def remove_account(self, name: str) -> None:
        """Delete the account with everything in it."""
        with self._lock:
            account = self._accounts.pop(name, None)
        if account is not None:
            account.remove()

    def find(self, name: str) -> Account:
        """The account of that name. AccountNotFound."""
        account = self._accounts.get(name)
        if account is None:
            raise AccountNotFound(name)
        return account

    # -- Blobs -------------------------------------------------------------------------------------------

    def parse_url(self, url: str) -> BlobAddress:
        """The blob that a URL means, with the account in its host or in its path.

        :raises BlobUrlError: it means none of this cloud.
        """
        return _address.parse_url(url, self.domains)

    def properties(self, address: BlobAddress) -> BlobProperties | None:
        """What is known of the blob; None when there is none (nor its container). AccountNotFound."""
        blob = self.find(address.account).find(address.container, address.blob)
        if blob is None:
            return None
        state = _leases.state(blob.lease)
        identity = blob.lease["id"] if _leases.is_active(blob.lease) else None
        return BlobProperties(blob.type, blob.size, state, identity, blob.etag, blob.modified)

    def ensure_container(self, account: str, container: str) -> None:
        """Make a private container unless it is there. AccountNotFound."""
        self.find(account).ensure_container(container)

    def copy_in(
        self,
        source: Path | BlobAddress,
        target: BlobAddress,
        *,
        lease_id: str | None,
        size: int | None = None,
    ) -> None:
        """Copy a fixed VHD into a new page blob, leased from the beginning; only its data takes space.

        Args:
            source: A file, or a page blob.
            target: The new blob; its container is there.
            lease_id: The id of the infinite lease on it; None for no lease.
            size: Bytes of the new disk, footer excluded; not less than the source's. None: as the source.

        Raises:
            BlobExists: There is another blob. One with this lease is the work of an earlier call.
            StorageError: A container, account or source is missing, or the disk is full.
        """
        if isinstance(source, BlobAddress):
            try:
                self._copy_file(self.page_file(source), target, lease_id, size)
            except FileNotFoundError:  # deleted while it was copied
                raise BlobNotFound from None
        else:
            self._copy_file(source, target, lease_id, size)

    def _copy_file(self, origin: Path, target: BlobAddress, lease_id: str | None, size: int | None) -> None:
        least = origin.stat().st_size - vhd.FOOTER_SIZE
        length = least if size is None else size
        if length < least:
            message = f"A disk of {least} bytes cannot be copied into one of {length}: disks only grow."
            raise StorageError("InvalidBlobSize", 400, message)
        account = self.find(target.account)
        account.add_disk(target.container, target.blob, length, lease_id, copy_disk(origin))

    def create_disk(self, target: BlobAddress, size: int, *, lease_id: str | None) -> None:
        """Make an empty fixed VHD of `size` bytes in a new page blob; otherwise like `copy_in`."""
        self.find(target.account).add_disk(target.container, target.blob, size, lease_id, empty_disk)

    def lease(self, address: BlobAddress, lease_id: str) -> None:
        """Take an infinite lease. LeaseConflict: there is another one. BlobNotFound."""

        def edit(blob: Blob) -> None:
            if _leases.is_active(blob.lease) and blob.lease["id"] != lease_id.lower():
                raise LeaseConflict
            blob.lease = _leases.infinite(lease_id)

        self.find(address.account).change(address.container, address.blob, edit, touch=False)

    def release(self, address: BlobAddress, lease_id: str) -> None:
        """End that lease, if it is still there. BlobNotFound."""

        def edit(blob: Blob) -> None:
            if blob.lease.get("id") == lease_id.lower():
                blob.lease = {}

        self.find(address.account).change(address.container, address.blob, edit, touch=False)

    def delete_blob(self, address: BlobAddress, *, lease_id: str | None = None) -> None:
        """Delete a blob with its snapshots, if it is there.

        :raises LeaseConflict: there is a lease, and it is not this one.
        """
        account = self.find(address.account)
        with account.index.transaction(write=True) as freed:
            blob = account.index.blob(address.container, address.blob)
            if blob is None:
                return
            if _leases.is_active(blob.lease) and blob.lease["id"] != (lease_id or "").lower():
                raise LeaseConflict
            for one in (*account.index.snapshots(address.container, address.blob), blob):
                account.index.delete_blob(one)
        account.discard(freed)

    def copy_out(self, source: BlobAddress, target: Path) -> None:
        """Write a blob of any type into a new file, 0600. BlobNotFound, also if it is replaced meanwhile."""
        account = self.find(source.account)
        with account.index.transaction():
            blob = account.blob(source.container, source.blob)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with disk_errors(), os.fdopen(descriptor, "wb") as file:
            try:
                for piece in read(account, blob, 0, blob.size):
                    file.write(piece)
            except FileNotFoundError:
                raise BlobNotFound from None

    def page_file(self, address: BlobAddress) -> Path:
        """The file of a page blob: for a fixed VHD the disk's bytes and the footer. BlobNotFound."""
        account = self.find(address.account)
        with account.index.transaction():
            blob = account.blob(address.container, address.blob)
        if blob.type != "PageBlob":
            raise wrong_type()
        return account.path(blob.segments[0][0])
