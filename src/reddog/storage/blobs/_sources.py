"""What a request takes from another blob: Copy Blob, and the operations that write from a URL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from reddog.storage import _auth
from reddog.storage._account import Account
from reddog.storage._address import BlobAddress, parse_url
from reddog.storage._auth import blob_signable
from reddog.storage._errors import AccountNotFound, BlobUrlError, StorageError, archived, bad_header, not_met
from reddog.storage._front import AccountFinder
from reddog.storage._request import BlobRequest, Source, check_conditions
from reddog.storage.blobs import _transfer
from reddog.storage.blobs._blobs import TIERS
from reddog.storage.blobs._index import Blob


class Sources:
    """Finds the blobs that requests name as their sources, in all accounts of this cloud."""

    def __init__(self, find: AccountFinder, domains: tuple[str, ...]) -> None:
        self._find = find
        self._domains = domains

    def open(self, request: BlobRequest) -> Source:
        """The part of the source (`x-ms-source-range`) that stands for the request's body."""
        account, blob = self.find(request, request.headers["x-ms-copy-source"])
        if blob.tier == TIERS["archive"]:
            raise archived()
        start, end = _transfer.range_of(request.headers.get("x-ms-source-range"), blob.size) or (0, blob.size)
        return Source(account, blob, start, end)

    def find(self, request: BlobRequest, url: str) -> tuple[Account, Blob]:
        """The account and the blob of a source that the caller may read and that meets the conditions on it.

        :raises StorageError: CannotVerifyCopySource, BlobNotFound, SourceConditionNotMet.
        """
        account, address, snapshot = self._locate(request, url)
        with account.index.transaction():
            found = account.index.blob(address.container, address.blob, snapshot)
        if found is None:
            raise StorageError("BlobNotFound", 404, "The source blob does not exist.")
        try:
            check_conditions(request, found, "x-ms-source-")
        except StorageError:
            raise StorageError("SourceConditionNotMet", 412, not_met().message) from None
        return account, found

    def _locate(self, request: BlobRequest, url: str) -> tuple[Account, BlobAddress, str]:
        """The account, the blob and the snapshot that a copy source means, if the caller may read it."""
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https"):
            raise bad_header("x-ms-copy-source", url.partition("?")[0])
        query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
        try:
            address = parse_url(parts._replace(query="").geturl(), self._domains)
            account = self._find(address.account)
        except (BlobUrlError, AccountNotFound):
            message = "The copy source is no blob of this cloud; others cannot be fetched."
            raise StorageError("CannotVerifyCopySource", 404, message) from None
        if account is not request.account or request.permissions is not None or "sig" in query:
            self._check_readable(request, account, address, query)
        return account, address, query.get("snapshot", "")

    def _check_readable(
        self, request: BlobRequest, account: Account, address: BlobAddress, query: dict[str, str]
    ) -> None:
        if "sig" in query:
            signable = blob_signable(account, address.container, address.blob)
            identity = _auth.identify_signed(request.raw, account, query, signable)
            if "r" in identity.permissions and "o" in identity.resources:
                return
            raise StorageError("CannotVerifyCopySource", 403, _auth.not_permitted().message)
        with account.index.transaction():
            container = account.index.container(address.container)
        if container is None or not container.public:
            message = "The source cannot be read: it is private, and no signature permits it."
            raise StorageError("CannotVerifyCopySource", 403, message)
