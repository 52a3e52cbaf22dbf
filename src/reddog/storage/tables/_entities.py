"""Operations on entities as handlers of requests."""

from __future__ import annotations

from aiohttp import web

from reddog.storage._request import LARGEST_AT_ONCE, made_of
from reddog.storage.tables import _queries
from reddog.storage.tables._changes import change
from reddog.storage.tables._request import TableRequest


async def query(request: TableRequest) -> web.StreamResponse:
    """Query Entities, page by page."""
    answer = await request.account.tables.read(_queries.entities(request.ask_of()))
    return answer.response()


async def get(request: TableRequest) -> web.StreamResponse:
    """Query Entities, for the one with a key."""
    return (await request.account.tables.glance(_queries.entity(request.ask_of()))).response()


async def write(request: TableRequest) -> web.StreamResponse:
    """Insert, Update, Merge, Insert Or Replace, Insert Or Merge, and Delete Entity."""
    ask, tables = await request.ask(), request.account.tables
    found = await made_of(ask.body, lambda _: change(ask))
    write = tables.write_briefly if len(ask.body) <= LARGEST_AT_ONCE else tables.write
    return (await write(found.make)).response()
