"""Operations on queues, and the listing of them."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from reddog.storage import _policies
from reddog.storage._errors import StorageError
from reddog.storage._listing import DECLARATION, asked_of, endpoint, shown_metadata
from reddog.storage._request import document, empty, made_of, metadata_headers, metadata_of
from reddog.storage.queues._request import QueueRequest
from reddog.storage.queues._store import Queue, QueueReader, QueueWriter

LARGEST_PAGE = 5000
_LARGEST_NUMBER = (1 << 31) - 1
_PERMISSIONS = frozenset("raup")


async def list_queues(request: QueueRequest) -> web.StreamResponse:
    """List Queues."""
    query = request.query
    prefix, marker = query.get("prefix", ""), query.get("marker", "")
    limit = min(request.integer("maxresults", LARGEST_PAGE, 1, _LARGEST_NUMBER), LARGEST_PAGE)
    found = await request.account.queues.read(lambda queues: queues.queues(prefix, marker, limit + 1))
    shown = "".join(_shown(request, queue) for queue in found[:limit])
    following = f"<NextMarker>{found[limit].name}</NextMarker>" if len(found) > limit else "<NextMarker/>"
    asked = asked_of(query, ("Prefix", "Marker", "MaxResults"))
    named = "ServiceEndpoint" if request.version >= "2013-08-15" else "AccountName"
    body = f"{asked}<Queues>{shown}</Queues>{following}"
    attributes = f"{named}={quoteattr(endpoint(request))}"
    return document(f"{DECLARATION}<EnumerationResults {attributes}>{body}</EnumerationResults>")


def _shown(request: QueueRequest, queue: Queue) -> str:
    """A queue in a listing, as the caller's version has it."""
    tag = "Name" if request.version >= "2009-09-19" else "QueueName"
    shown = f"<{tag}>{queue.name}</{tag}>"
    if request.version < "2013-08-15":
        shown += f"<Url>{escape(endpoint(request) + queue.name)}</Url>"
    if "metadata" in request.query.get("include", "").lower():
        shown += shown_metadata(queue.metadata)
    return f"<Queue>{shown}</Queue>"


async def create(request: QueueRequest) -> web.StreamResponse:
    """Create Queue. 204: one with the same metadata is there already."""
    name, metadata = request.queue, metadata_of(request.headers)

    def change(queues: QueueWriter) -> int:
        if queues.create(name, metadata):
            return 201
        if _folded(queues.queue(name).metadata) != _folded(metadata):
            raise StorageError("QueueAlreadyExists", 409, "The specified queue already exists.")
        return 204

    return empty(await request.account.queues.write(change))


def _folded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in metadata.items()}


async def delete(request: QueueRequest) -> web.StreamResponse:
    """Delete Queue with all its messages."""
    name = request.queue
    await request.account.queues.write(lambda queues: queues.delete(name))
    return empty(204)


async def get(request: QueueRequest) -> web.StreamResponse:
    """Get Queue Metadata, and how many messages there are."""
    name = request.queue

    def look(queues: QueueReader) -> tuple[Queue, int]:
        queue = queues.queue(name)
        return queue, queues.count(queue)

    queue, count = await request.account.queues.read(look)
    return empty(200, {"x-ms-approximate-messages-count": str(count), **metadata_headers(queue.metadata)})


async def set_metadata(request: QueueRequest) -> web.StreamResponse:
    """Set Queue Metadata."""
    name, metadata = request.queue, metadata_of(request.headers)
    await request.account.queues.write(lambda queues: queues.set_metadata(name, metadata))
    return empty(204)


async def get_acl(request: QueueRequest) -> web.StreamResponse:
    """Get Queue ACL."""
    name = request.queue
    queue = await request.account.queues.read(lambda queues: queues.queue(name))
    return _policies.shown(queue.policies)


async def set_acl(request: QueueRequest) -> web.StreamResponse:
    """Set Queue ACL: up to five stored access policies."""
    name, policies = request.queue, await made_of(await request.document(), _policies.read)
    for policy in policies.values():
        if not _PERMISSIONS.issuperset(policy.get("permission", "")):
            message = "The permissions of a queue's stored access policy are among r, a, u and p."
            raise StorageError("InvalidXmlDocument", 400, message)
    await request.account.queues.write(lambda queues: queues.set_policies(name, policies))
    return empty(204)
