"""Operations on containers, and the listing of what is in them."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from reddog.storage import _address, _policies
from reddog.storage._errors import StorageError, bad_header, bad_query
from reddog.storage._listing import DECLARATION, NOT_XML, asked_of, endpoint, shown_metadata
from reddog.storage._request import (
    MOST_DIGITS,
    BlobRequest,
    check_conditions,
    document,
    empty,
    http_date,
    lease_headers,
    made_of,
    metadata_headers,
    metadata_of,
    tags,
)
from reddog.storage.blobs import _leases, _tags
from reddog.storage.blobs._blobs import tier_headers
from reddog.storage.blobs._index import Blob, Container, marker_of, tagged_marker_of

LARGEST_PAGE = 5000
PUBLIC = ("", "blob", "container")
_PAGE = 1000
_MASK = "!"  # what a marker begins with that is not a name
T = TypeVar("T")


async def create(request: BlobRequest) -> web.StreamResponse:
    """Create Container."""
    if not 3 <= len(request.container) <= 63:
        message = "The specified resource name length is not within the permissible limits."
        raise StorageError("OutOfRangeInput", 400, message)
    if not _address.is_container_name(request.container):
        raise StorageError(
            "InvalidResourceName", 400, "The specified resource name contains invalid characters."
        )
    public, metadata = _public(request), metadata_of(request.headers)

    def work() -> Container:
        index = request.account.index
        with index.transaction(write=True):
            if index.container(request.container) is not None:
                raise StorageError("ContainerAlreadyExists", 409, "The specified container already exists.")
            etag, modified = index.new_tag()
            container = Container(request.container, etag, modified, metadata, public)
            index.put_container(container)
            return container

    return empty(201, tags(await asyncio.to_thread(work)))


async def get(request: BlobRequest) -> web.StreamResponse:
    """Get Container Properties, and Get Container Metadata."""
    found = await _loaded(request)
    headers = {**tags(found), **metadata_headers(found.metadata), **lease_headers(found.lease)}
    if found.public:
        headers["x-ms-blob-public-access"] = found.public
    headers |= {"x-ms-has-immutability-policy": "false", "x-ms-has-legal-hold": "false"}
    return empty(200, headers)


async def set_metadata(request: BlobRequest) -> web.StreamResponse:
    """Set Container Metadata."""
    metadata = metadata_of(request.headers)

    def edit(container: Container) -> None:
        _leases.check_read(container.lease, request.lease_id, "Container")
        check_conditions(request, container)
        container.metadata = metadata

    return empty(200, tags(await _changed(request, edit)))


async def delete(request: BlobRequest) -> web.StreamResponse:
    """Delete Container with all its blobs. A blob that is leased for ever, as a disk is, keeps it."""

    def work() -> None:
        account = request.account
        with account.index.transaction(write=True) as freed:
            container = account.container(request.container)
            _leases.check_write(container.lease, request.lease_id, "Container")
            check_conditions(request, container)
            for blob in account.index.blobs(request.container, "", "", -1):
                if blob.lease.get("duration") == _leases.INFINITE and _leases.is_active(blob.lease):
                    message = (
                        "There is currently a lease on a blob of the container and no lease ID was specified."
                    )
                    raise StorageError("LeaseIdMissing", 412, message)
            account.index.delete_container(request.container)
        account.discard(freed)

    await asyncio.to_thread(work)
    return empty(202)


async def lease(request: BlobRequest) -> web.StreamResponse:
    """Lease Container."""
    answer: tuple[int, Mapping[str, str]] = (200, {})

    def edit(container: Container) -> None:
        nonlocal answer
        check_conditions(request, container)
        container.lease, status, headers = _leases.act(container.lease, request.headers, "Container")
        answer = status, headers

    container = await _changed(request, edit, touch=False)
    return empty(answer[0], {**tags(container), **answer[1]})


# -- Access ----------------------------------------------------------------------------------------------


async def get_acl(request: BlobRequest) -> web.StreamResponse:
    """Get Container ACL."""
    found = await _loaded(request)
    headers = {**tags(found), **({"x-ms-blob-public-access": found.public} if found.public else {})}
    return _policies.shown(found.policies, headers)


async def set_acl(request: BlobRequest) -> web.StreamResponse:
    """Set Container ACL: public access, and up to five stored access policies."""
    policies, public = await made_of(await request.document(), _policies.read), _public(request)

    def edit(container: Container) -> None:
        _leases.check_read(container.lease, request.lease_id, "Container")
        check_conditions(request, container)
        container.policies, container.public = policies, public

    return empty(200, tags(await _changed(request, edit)))


def _public(request: BlobRequest) -> str:
    public = request.headers.get("x-ms-blob-public-access", "").lower()
    if public not in PUBLIC:
        raise bad_header("x-ms-blob-public-access", public)
    return public


# -- Listings --------------------------------------------------------------------------------------------


@dataclass
class _Listing:
    """One page of a listing: its entries, and where the next page begins."""

    entries: list[Blob | str] = field(default_factory=list)
    next: str = ""


async def list_blobs(request: BlobRequest) -> web.StreamResponse:
    """List Blobs: by prefix and delimiter, page by page, with what `include` names."""
    query = request.query
    prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", "")
    include = {part.strip().lower() for part in query.get("include", "").split(",")}
    limit = page_size(query)

    def work() -> tuple[str, str]:
        with request.account.index.transaction():
            request.account.container(request.container)
            page = _page(request, prefix, delimiter, marker, include, limit)
        return "".join(_entry(entry, include) for entry in page.entries), page.next

    shown, following = await asyncio.to_thread(work)
    asked = asked_of(query, ("Prefix", "Marker", "MaxResults", "Delimiter"))
    attributes = (
        f"ServiceEndpoint={quoteattr(endpoint(request))} ContainerName={quoteattr(request.container)}"
    )
    next_marker = f"<NextMarker>{escape(following)}</NextMarker>" if following else "<NextMarker/>"
    body = f"{DECLARATION}<EnumerationResults {attributes}>{asked}<Blobs>{shown}</Blobs>{next_marker}"
    return document(f"{body}</EnumerationResults>")


def _page(
    request: BlobRequest, prefix: str, delimiter: str, marker: str, include: set[str], limit: int
) -> _Listing:
    page = _Listing()
    seen = ""
    for blob in _found(request, prefix, _unmasked(marker), include):
        rest = blob.name[len(prefix) :]
        if delimiter and delimiter in rest:
            folder = prefix + rest.partition(delimiter)[0] + delimiter
            if folder == seen:
                continue
            entry: Blob | str = folder
        else:
            entry = blob
        if len(page.entries) == limit:
            page.next = _next_marker(page.entries[-1], blob)
            break
        page.entries.append(entry)
        seen = entry if isinstance(entry, str) else seen
    return page


def _found(request: BlobRequest, prefix: str, marker: str, include: set[str]) -> Iterator[Blob]:
    """The blobs of a listing, in order, read some hundreds at a time."""
    index, with_snapshots = request.account.index, "snapshots" in include
    waiting = (
        [
            Blob(request.container, name, "BlockBlob", etag='"0x0"')
            for name in index.uncommitted(request.container, prefix)
        ]
        if "uncommittedblobs" in include
        else []
    )
    waiting = [blob for blob in waiting if marker_of(blob) >= marker]
    while True:
        blobs = index.blobs(request.container, prefix, marker, _PAGE + 1, snapshots=with_snapshots)
        for blob in blobs[:_PAGE]:
            while waiting and waiting[0].name < blob.name:
                yield waiting.pop(0)
            yield blob
        if len(blobs) <= _PAGE:
            yield from waiting
            return
        marker = marker_of(blobs[_PAGE])


def _next_marker(last: Blob | str, following: Blob) -> str:
    """Where the next page begins: after a blob's name, if that says it, or with the one that follows."""
    if (
        isinstance(last, Blob)
        and not last.snapshot
        and last.name[0] != _MASK
        and not NOT_XML.search(last.name)
    ):
        return last.name
    return _masked(marker_of(following))


def _masked(marker: str) -> str:
    """A marker as text that XML and URLs can hold."""
    return _MASK + urlsafe_b64encode(marker.encode()).decode()


def _unmasked(marker: str) -> str:
    if not marker.startswith(_MASK):
        return f"{marker}\0~~" if marker else ""  # after the blob itself, which comes after its snapshots
    try:
        return urlsafe_b64decode(marker[1:].encode()).decode()
    except ValueError:
        raise bad_query("marker", marker) from None


def _name(name: str) -> str:
    """A blob's name, in percent signs where XML cannot hold it."""
    if NOT_XML.search(name):
        return f'<Name Encoded="true">{quote(name)}</Name>'
    return f"<Name>{escape(name)}</Name>"


def _entry(entry: Blob | str, include: set[str]) -> str:
    return _blob(entry, include) if isinstance(entry, Blob) else f"<BlobPrefix>{_name(entry)}</BlobPrefix>"


def _blob(blob: Blob, include: set[str]) -> str:
    properties = {
        "Creation-Time": http_date(blob.created),
        "Last-Modified": http_date(blob.modified),
        "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.size),
        "Content-Type": blob.headers.get("Content-Type", ""),
        "Content-Encoding": blob.headers.get("Content-Encoding", ""),
        "Content-Language": blob.headers.get("Content-Language", ""),
        "Content-MD5": blob.headers.get("Content-MD5", ""),
        "Cache-Control": blob.headers.get("Cache-Control", ""),
        "Content-Disposition": blob.headers.get("Content-Disposition", ""),
    }
    if blob.type == "PageBlob":
        properties["x-ms-blob-sequence-number"] = str(blob.sequence)
    properties["BlobType"] = blob.type
    properties |= _tier(blob)
    if blob.type == "AppendBlob":
        properties["Sealed"] = str(blob.sealed).lower()
    if blob.tags:
        properties["TagCount"] = str(len(blob.tags))
    properties |= _lease(blob.lease)
    if "copy" in include and blob.copy:
        names = {"id": "CopyId", "status": "CopyStatus", "source": "CopySource", "progress": "CopyProgress"}
        properties |= {names[name]: value for name, value in blob.copy.items() if name in names}
    properties["ServerEncrypted"] = "false"
    shown = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in properties.items())
    when = f"<Snapshot>{blob.snapshot}</Snapshot>" if blob.snapshot else ""
    metadata = shown_metadata(blob.metadata) if "metadata" in include else ""
    tagged = _tags.to_xml(blob.tags) if "tags" in include and blob.tags else ""
    return f"<Blob>{_name(blob.name)}{when}<Properties>{shown}</Properties>{metadata}{tagged}</Blob>"


def _tier(blob: Blob) -> dict[str, str]:
    names = {
        "x-ms-access-tier": "AccessTier",
        "x-ms-access-tier-inferred": "AccessTierInferred",
        "x-ms-access-tier-change-time": "AccessTierChangeTime",
    }
    return {names[name]: value for name, value in tier_headers(blob).items() if value != "false"}


def _lease(lease: Mapping[str, object]) -> dict[str, str]:
    names = {
        "x-ms-lease-status": "LeaseStatus",
        "x-ms-lease-state": "LeaseState",
        "x-ms-lease-duration": "LeaseDuration",
    }
    found = lease_headers(lease)
    return {tag: found[name] for name, tag in names.items() if name in found}


async def find_blobs(request: BlobRequest) -> web.StreamResponse:
    """Find Blobs by Tags, in the account or in one container."""
    text = request.query.get("where", "")
    wanted = [(one.key, one.operator, one.value) for one in _tags.query(text)]
    if request.container:
        wanted.append(("@container", "=", request.container))
    limit, marker = page_size(request.query), _unmasked(request.query.get("marker", ""))

    def work() -> list[Blob]:
        index = request.account.index
        with index.transaction():
            if request.container:
                request.account.container(request.container)
            return index.tagged(wanted, marker, limit + 1)

    found = await asyncio.to_thread(work)
    keys = {key for key, _sign, _value in wanted}
    shown = "".join(_found_blob(blob, keys) for blob in found[:limit])
    following = _masked(tagged_marker_of(found[limit])) if len(found) > limit else ""
    asked = asked_of(request.query, ("Where",))
    body = f"{asked}<Blobs>{shown}</Blobs><NextMarker>{following}</NextMarker>"
    attributes = f"ServiceEndpoint={quoteattr(endpoint(request))}"
    return document(f"{DECLARATION}<EnumerationResults {attributes}>{body}</EnumerationResults>")


def _found_blob(blob: Blob, keys: set[str]) -> str:
    """A blob that was found by its tags, with those that were asked for."""
    shown = _tags.to_xml({key: value for key, value in blob.tags.items() if key in keys})
    return f"<Blob>{_name(blob.name)}<ContainerName>{blob.container}</ContainerName>{shown}</Blob>"


async def list_containers(request: BlobRequest) -> web.StreamResponse:
    """List Containers."""
    query = request.query
    limit, marker, prefix = page_size(query), query.get("marker", ""), query.get("prefix", "")
    include = query.get("include", "").lower()

    def work() -> list[Container]:
        with request.account.index.transaction():
            return request.account.index.containers(prefix, marker, limit + 1)

    found = await asyncio.to_thread(work)
    shown = "".join(_container(container, "metadata" in include) for container in found[:limit])
    following = (
        f"<NextMarker>{escape(found[limit - 1].name)}</NextMarker>" if len(found) > limit else "<NextMarker/>"
    )
    asked = asked_of(query, ("Prefix", "Marker", "MaxResults"))
    attributes = f"ServiceEndpoint={quoteattr(endpoint(request))}"
    body = f"{DECLARATION}<EnumerationResults {attributes}>{asked}<Containers>{shown}</Containers>{following}"
    return document(f"{body}</EnumerationResults>")


def _container(container: Container, with_metadata: bool) -> str:
    properties = {
        "Last-Modified": http_date(container.modified),
        "Etag": container.etag,
        **_lease(container.lease),
        **({"PublicAccess": container.public} if container.public else {}),
        "HasImmutabilityPolicy": "false",
        "HasLegalHold": "false",
    }
    shown = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in properties.items())
    metadata = shown_metadata(container.metadata) if with_metadata else ""
    return f"<Container><Name>{container.name}</Name><Properties>{shown}</Properties>{metadata}</Container>"


def page_size(query: Mapping[str, str]) -> int:
    """How many entries a page of a listing may have."""
    value = query.get("maxresults", str(LARGEST_PAGE))
    if not value.isascii() or not value.isdigit() or len(value) > MOST_DIGITS or int(value) == 0:
        raise bad_query("maxresults", value)
    return min(int(value), LARGEST_PAGE)


async def _loaded(request: BlobRequest) -> Container:
    def work() -> Container:
        with request.account.index.transaction():
            found = request.account.container(request.container)
        _leases.check_read(found.lease, request.lease_id, "Container")
        return found

    return await asyncio.to_thread(work)


async def _changed(
    request: BlobRequest, edit: Callable[[Container], None], *, touch: bool = True
) -> Container:
    def work() -> Container:
        account = request.account
        with account.index.transaction(write=True):
            container = account.container(request.container)
            edit(container)
            if touch:
                container.etag, container.modified = account.index.new_tag()
            account.index.put_container(container)
            return container

    return await asyncio.to_thread(work)
