"""A storage request, as the services' handlers see it, and how their answers are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, TypeVar

from aiohttp import web
from lxml import etree

from reddog.storage._account import Account
from reddog.storage._auth import Identity
from reddog.storage._errors import StorageError, bad_header, not_met
from reddog.storage.blobs import _leases, _tags
from reddog.storage.blobs._index import Blob, Container

XML = "application/xml"
LARGEST_DOCUMENT = 4 << 20  # bytes of an XML body
LARGEST_AT_ONCE = 64 << 10  # bytes of a body that are read without a thread
MOST_DIGITS = 19
_ANY = ("*", '"*"')  # an ETag that is like all of them
T = TypeVar("T")


@dataclass
class StorageRequest:
    """A request to one of an account's services.

    service: blob, table or queue. path: what follows the account, decoded, by segments. query: names in lower
    case. path_style: the account stands in the path. secondary: the account's secondary is asked. identity: who calls.
    """

    raw: web.Request
    account: Account
    service: str
    path: list[str]
    query: Mapping[str, str]
    path_style: bool = False
    secondary: bool = False
    identity: Identity = field(default_factory=lambda: Identity(anonymous=True))

    @property
    def level(self) -> str:
        """What the operation is on; every service has others, and `service` for itself."""
        return "service"

    @property
    def comp(self) -> str:
        """The component of the resource that is meant."""
        return self.query.get("comp", "").lower()

    @property
    def restype(self) -> str:
        """The type of resource that is meant."""
        return self.query.get("restype", "").lower()

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""
        return self.raw.headers

    @property
    def overrides(self) -> Mapping[str, str]:
        """The headers of the answer that a shared access signature prescribes."""
        return self.identity.overrides

    @property
    def permissions(self) -> str | None:
        """The letters of the caller's shared access signature; None for the owner, who may do everything."""
        return None if self.identity.owner else self.identity.permissions

    def number(self, name: str, default: int | None = None) -> int:
        """A header's number, not negative."""
        value = self.headers.get(name)
        if value is None:
            if default is None:
                raise StorageError("MissingRequiredHeader", 400, f"The header {name} is required.")
            return default
        if not value.isascii() or not value.isdigit() or len(value) > MOST_DIGITS:
            raise bad_header(name, value)
        return int(value)

    @property
    def body_size(self) -> int:
        """The bytes of the body, which every write has to tell."""
        if self.raw.content_length is None:
            if not self.raw.body_exists:
                return 0
            message = "The content length header is required."
            raise StorageError("MissingContentLengthHeader", 411, message)
        return self.raw.content_length

    async def document(self) -> bytes:
        """A small body. RequestBodyTooLarge."""
        received = bytearray()
        while chunk := await self.raw.content.readany():
            received += chunk
            if len(received) > LARGEST_DOCUMENT:
                raise StorageError("RequestBodyTooLarge", 413, "The request body is too large.")
        return bytes(received)


@dataclass(frozen=True)
class Source:
    """A part of another blob, from start to end (exclusive), that stands for a request's body."""

    account: Account
    blob: Blob
    start: int
    end: int


@dataclass
class BlobRequest(StorageRequest):
    """A request to the blob service. source: where its body comes from, if it does not have it."""

    container: str = ""
    blob: str = ""
    source: Source | None = None

    @property
    def body_size(self) -> int:
        """The bytes of the body, wherever it comes from."""
        return super().body_size if self.source is None else self.source.end - self.source.start

    @property
    def level(self) -> str:
        """`service`, `container` or `blob`."""
        return "blob" if self.blob else "container" if self.container else "service"

    @property
    def lease_id(self) -> str | None:
        """The lease that the caller holds."""
        return self.headers.get("x-ms-lease-id")

    @property
    def snapshot(self) -> str:
        """The snapshot that is meant; empty for the blob itself."""
        return self.query.get("snapshot", "")


async def made_of(data: bytes, read: Callable[[bytes], T]) -> T:
    """What `read` makes of a body; of a large one in a thread, so that others are served meanwhile."""
    return read(data) if len(data) <= LARGEST_AT_ONCE else await asyncio.to_thread(read, data)


def parse_xml(data: bytes) -> etree._Element:
    """A body's document. InvalidXmlDocument (400): it is none, or it has a document type."""
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise StorageError(
            "InvalidXmlDocument", 400, "The XML specified is not syntactically valid."
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise StorageError("InvalidXmlDocument", 400, "The XML specified may not have a document type.")
    return root


def http_date(moment: float) -> str:
    """A time as HTTP writes it."""
    return formatdate(moment, usegmt=True)


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status, headers=headers)


def document(body: str | bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer with an XML document."""
    data = body.encode() if isinstance(body, str) else body
    return web.Response(status=200, headers={**(headers or {}), "Content-Type": XML}, body=data)


def tags(item: Blob | Container) -> dict[str, str]:
    """ETag and Last-Modified."""
    return {"ETag": item.etag, "Last-Modified": http_date(item.modified)}


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The metadata in a request's headers; names keep the case they were given with."""
    found = {}
    for name, value in headers.items():
        if name.lower().startswith("x-ms-meta-"):
            key = name[len("x-ms-meta-") :]
            if not key.isascii() or not key.isidentifier():
                message = f"The metadata name {key[:100]!r} is not a valid identifier."
                raise StorageError("InvalidMetadata", 400, message)
            found[key] = value.strip()
    if sum(len(key) + len(value) for key, value in found.items()) > 8192:
        raise StorageError("MetadataTooLarge", 400, "The metadata is larger than 8 KiB.")
    return found


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as the headers of an answer."""
    return {f"x-ms-meta-{name}": value for name, value in metadata.items()}


def lease_headers(lease: Mapping[str, Any]) -> dict[str, str]:
    """A lease's state as the headers of an answer."""
    state = _leases.state(lease)
    headers = {
        "x-ms-lease-state": state,
        "x-ms-lease-status": "locked" if _leases.is_active(lease) else "unlocked",
    }
    if state == "leased":
        headers["x-ms-lease-duration"] = "infinite" if lease["duration"] == _leases.INFINITE else "fixed"
    return headers


def check_conditions(request: BlobRequest, item: Blob | Container | None, prefix: str = "") -> None:
    """The conditional headers of a change. ConditionNotMet (412).

    `prefix` is `x-ms-source-` for those on a copy's source.
    """
    if _failed_condition(request.headers, item, prefix):
        raise not_met()


def check_absence(request: BlobRequest, item: Blob | None) -> None:
    """The condition of a write that may only make a blob, never replace one (`If-None-Match: *`)."""
    if item is not None and _wants_absence(request.headers):
        raise StorageError("BlobAlreadyExists", 409, "The specified blob already exists.")


def is_not_modified(request: BlobRequest, item: Blob | Container) -> bool:
    """Whether a read is to be answered with 304. ConditionNotMet (412) for the other conditions."""
    if _wants_absence(request.headers):
        message = "The request includes an unsatisfiable condition for this operation."
        raise StorageError("UnsatisfiableCondition", 400, message)
    failed = _failed_condition(request.headers, item, "")
    if failed in ("If-None-Match", "If-Modified-Since"):
        return True
    if failed:
        raise not_met()
    return False


def _wants_absence(headers: Mapping[str, str]) -> bool:
    return headers.get("If-None-Match", "").strip() in _ANY


def _failed_condition(headers: Mapping[str, str], item: Blob | Container | None, prefix: str) -> str | None:
    match, none_match = headers.get(f"{prefix}If-Match"), headers.get(f"{prefix}If-None-Match")
    if match is not None and (item is None or not _is_among(item.etag, match)):
        return "If-Match"
    if none_match in _ANY:
        none_match = None  # that is for writes which make blobs: `check_absence`
    if none_match is not None and item is not None and _is_among(item.etag, none_match):
        return "If-None-Match"
    asked = headers.get(f"{prefix or 'x-ms-'}if-tags")
    if asked is not None and not (isinstance(item, Blob) and _tags.condition(asked).holds(item.tags)):
        return "x-ms-if-tags"
    unmodified = _time(headers, f"{prefix}If-Unmodified-Since")
    if unmodified is not None and item is not None and int(item.modified) > unmodified:
        return "If-Unmodified-Since"
    modified = _time(headers, f"{prefix}If-Modified-Since")
    if modified is not None and item is not None and int(item.modified) <= modified and none_match is None:
        return "If-Modified-Since"
    return None


def _is_among(etag: str, value: str) -> bool:
    """Whether a condition's value, one or several tags or `*`, names the tag."""
    given = (tag.strip().removeprefix("W/") for tag in value.split(","))
    return any(tag in _ANY or etag.strip('"') == tag.strip('"') for tag in given)


def _time(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None  # HTTP ignores dates that are none
