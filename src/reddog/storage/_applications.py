"""The storage services as aiohttp applications."""

from __future__ import annotations

from aiohttp import web

from reddog.storage._blob_service import BlobService
from reddog.storage._errors import StorageError, not_available
from reddog.storage._front import AccountFinder, Front, Operation, Service
from reddog.storage._queue_service import QueueService
from reddog.storage._request import StorageRequest


def applications(find: AccountFinder, domains: tuple[str, ...]) -> dict[str, web.Application]:
    """The services by name: blob, table, queue."""
    blob, table, queue = BlobService(find, domains), _NoService("table"), QueueService()
    return {
        "blob": Front(blob, find, domains).application(),
        "table": Front(table, find, domains).application(),
        "queue": Front(queue, find, domains).application(),
    }


class _NoService(Service[StorageRequest]):
    """A service that is not there: everything is refused with 501."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, {})

    def read(self, parts: StorageRequest) -> StorageRequest:
        raise not_available(f"The {self.kind} service")

    def operation(self, request: StorageRequest) -> Operation[StorageRequest]:
        raise not_available(f"The {self.kind} service")

    def refusal_body(self, request: web.Request, error: StorageError) -> web.Response:
        body = {"odata.error": {"code": error.code, "message": {"lang": "en-US", "value": error.message}}}
        return web.json_response(body, status=error.status)
