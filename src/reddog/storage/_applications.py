"""The storage services as aiohttp applications."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from reddog.storage._front import AccountFinder, Front, Service
from reddog.storage.blobs._service import BlobService
from reddog.storage.queues._service import QueueService
from reddog.storage.tables._service import TableService


def services(find: AccountFinder, domains: tuple[str, ...]) -> dict[str, Service[Any]]:
    """The services by name: blob, table, queue."""
    return {"blob": BlobService(find, domains), "table": TableService(), "queue": QueueService()}


def applications(find: AccountFinder, domains: tuple[str, ...]) -> dict[str, web.Application]:
    """The applications that serve them, by the same names."""
    known = services(find, domains)
    return {kind: Front(service, find, domains).application() for kind, service in known.items()}
