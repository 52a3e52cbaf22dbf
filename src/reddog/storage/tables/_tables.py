"""Operations on tables: list, create, delete, and who may use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from reddog.storage import _policies
from reddog.storage._errors import StorageError
from reddog.storage._request import empty, made_of
from reddog.storage.tables import _filter
from reddog.storage.tables._queries import limit_of, shown_token, token_of
from reddog.storage.tables._request import Answer, Ask, TableRequest, done, told
from reddog.storage.tables._store import Table, TableReader, check_table_name, entity_not_found

_PERMISSIONS = frozenset("raud")


async def list_tables(request: TableRequest) -> web.StreamResponse:
    """Query Tables."""
    ask = request.ask_of()
    condition = _filter.parse(request.query.get("$filter", ""))
    start, limit = token_of(request.query, "nexttablename") or "", limit_of(request.query)

    def look(tables: TableReader) -> _Names:
        found = _Names()
        for table in tables.tables(start):
            if condition is not None and not condition.holds(_names(table)):
                continue
            if len(found.names) == limit:
                found.following = table.name.lower()
                break
            found.names.append(table.name)
        return found

    found = await request.account.tables.read(look)
    headers = {"x-ms-continuation-NextTableName": shown_token(found.following)} if found.following else {}
    return told(ask, 200, ask.documents.tables(found.names), headers).response()


@dataclass
class _Names:
    """The names of some tables, and of the one after them."""

    names: list[str] = field(default_factory=list)
    following: str = ""


def _names(table: Table) -> Callable[[str], str | None]:
    return {"TableName": table.name}.get


async def get(request: TableRequest) -> web.StreamResponse:
    """Query Tables, for one of them."""
    ask = request.ask_of()
    name = request.place.table

    def look(tables: TableReader) -> str | None:
        return next(
            (table.name for table in tables.tables(name.lower()) if table.name.lower() == name.lower()), None
        )

    found = await request.account.tables.read(look)
    if found is None:
        raise entity_not_found()
    return told(ask, 200, ask.documents.table(found)).response()


async def create(request: TableRequest) -> web.StreamResponse:
    """Create Table."""
    ask = await request.ask()
    name = await made_of(ask.body, lambda _: ask.table_name())
    check_table_name(name)
    await request.account.tables.write(lambda tables: tables.create(name))
    return _created(ask, name).response()


def _created(ask: Ask, name: str) -> Answer:
    place = f"{ask.documents.base}Tables('{name}')"
    headers = {"Location": place, **ask.preference_applied}
    if not ask.wants_content:
        return done({**headers, "DataServiceId": place})
    return told(ask, 201, ask.documents.table(name), headers)


async def delete(request: TableRequest) -> web.StreamResponse:
    """Delete Table with all its entities."""
    name = request.place.table
    await request.account.tables.write(lambda tables: tables.delete(name))
    return done().response()


async def get_acl(request: TableRequest) -> web.StreamResponse:
    """Get Table ACL."""
    name = request.place.table
    table = await request.account.tables.read(lambda tables: tables.table(name))
    return _policies.shown(table.policies)


async def set_acl(request: TableRequest) -> web.StreamResponse:
    """Set Table ACL: up to five stored access policies."""
    name, policies = request.place.table, await made_of(await request.document(), _policies.read)
    if not all(_PERMISSIONS.issuperset(policy.get("permission", "")) for policy in policies.values()):
        message = "The permissions of a table's stored access policy are among r, a, u and d."
        raise StorageError("InvalidXmlDocument", 400, message)
    await request.account.tables.write(lambda tables: tables.set_policies(name, policies))
    return empty(204)
