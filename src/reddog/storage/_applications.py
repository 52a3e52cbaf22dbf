"""The storage services as aiohttp applications."""

from __future__ import annotations

from aiohttp import web

from reddog.storage._blob_service import BlobService
from reddog.storage._front import AccountFinder, Front
from reddog.storage._queue_service import QueueService
from reddog.storage.tables._service import TableService


def applications(find: AccountFinder, domains: tuple[str, ...]) -> dict[str, web.Application]:
    """The services by name: blob, table, queue."""
    return {
        "blob": Front(BlobService(find, domains), find, domains).application(),
        "table": Front(TableService(), find, domains).application(),
        "queue": Front(QueueService(), find, domains).application(),
    }
