"""A request to the table service: what it is for, and what its signature leaves over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from aiohttp import web

from reddog.storage import _auth
from reddog.storage._errors import StorageError
from reddog.storage._listing import endpoint
from reddog.storage._request import StorageRequest
from reddog.storage.tables import _atom, _entity
from reddog.storage.tables._atom import AtomDocuments
from reddog.storage.tables._documents import ATOM, Documents, wanted_form
from reddog.storage.tables._edm import invalid_input
from reddog.storage.tables._entity import Draft
from reddog.storage.tables._json import JsonDocuments
from reddog.storage.tables._ranges import Key, Span

LARGEST_BODY = 4 << 20  # bytes
_RESOURCE = re.compile(r"(?P<name>[^()]*)(?:\((?P<keys>.*)\))?", re.DOTALL)
_TABLE = re.compile(r"\s*'(?P<name>[^']*)'\s*")
_KEYS = re.compile(r"\s*(PartitionKey|RowKey)\s*=\s*'((?:[^']|'')*)'\s*(,|$)")
_TUNNELLED = ("PUT", "MERGE", "PATCH", "DELETE")


@dataclass(frozen=True)
class Place:
    """What a path means. level: service, tables, table (its entry), entities (of a table), entity, or batch."""

    level: str = "service"
    table: str = ""
    key: Key | None = None

    @classmethod
    def read(cls, path: list[str]) -> Place:
        """The place of a path below the account. InvalidInput, InvalidUri."""
        path = path[:-1] if path and not path[-1] else path
        if not path:
            return cls()
        match = _RESOURCE.fullmatch(path[0])
        if len(path) > 1 or match is None:
            raise StorageError(
                "InvalidUri", 400, "The request URI is not valid: there are only tables in an account."
            )
        name, keys = match["name"], (match["keys"] or "").strip()
        if name == "$batch" and not keys:
            return cls("batch")
        if name != "Tables":
            return cls("entity", name, _key(keys)) if keys else cls("entities", name)
        if not keys:
            return cls("tables")
        table = _TABLE.fullmatch(keys)
        if table is None:
            raise invalid_input("A table is named as in Tables('NAME').")
        return cls("table", table["name"])


def _key(text: str) -> Key:
    found, place = dict[str, str](), 0
    while place < len(text):
        match = _KEYS.match(text, place)
        if match is None or match[1] in found:
            break
        found[match[1]] = match[2].replace("''", "'")
        place = match.end()
    if place < len(text) or len(found) != 2:
        message = "The number of keys specified in the URI does not match number of key properties for the resource."
        raise invalid_input(f"{message} They are named as in (PartitionKey='...',RowKey='...').")
    return found["PartitionKey"], found["RowKey"]


@dataclass
class Ask:
    """One operation on a table or its entities, whether it came by itself or in a batch. query: names in lower case."""

    method: str
    place: Place
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    documents: Documents
    identity: _auth.Identity

    @property
    def if_match(self) -> str | None:
        """The condition on an entity's ETag."""
        return self.headers.get("If-Match")

    @property
    def is_atom(self) -> bool:
        """Whether the body is in Atom."""
        kind = self.headers.get("Content-Type", "")
        return "xml" in kind or ("json" not in kind and self.body.lstrip()[:1] == b"<")

    @property
    def wants_content(self) -> bool:
        """Whether what is made is to be shown in the answer."""
        return self._preference != "return-no-content"

    @property
    def preference_applied(self) -> dict[str, str]:
        """The header that says that a preference was heeded."""
        known = self._preference in ("return-content", "return-no-content")
        return {"Preference-Applied": self._preference} if known else {}

    @property
    def _preference(self) -> str:
        return self.headers.get("Prefer", "").strip().lower()

    def draft(self) -> Draft:
        """What the body says of an entity."""
        return _atom.read_entity(self.body) if self.is_atom else _entity.read_json(self.body)

    def table_name(self) -> str:
        """The name in the body of a table to be made. InvalidInput."""
        if self.is_atom:
            return _atom.read_table_name(self.body)
        name = _entity.read_object(self.body).get("TableName")
        if not isinstance(name, str):
            raise invalid_input("The body names no table: it has no TableName.")
        return name

    # -- What a shared access signature leaves over ------------------------------------------------------

    @property
    def needed(self) -> str:
        """The letters of a signature that are needed for an operation on entities."""
        if self.method in ("GET", "HEAD"):
            return "r"
        if self.method in ("PUT", "MERGE", "PATCH"):
            return "au" if self.if_match is None else "u"
        return "d" if self.method == "DELETE" else "a"

    def permit(self) -> None:
        """Whether the caller may use this table, in this way. StorageError (403): no."""
        identity = self.identity
        if identity.owner:
            return
        if identity.table and identity.table != self.place.table.lower():
            raise _auth.refused("The shared access signature is for another table.")
        if not set(self.needed) <= set(identity.permissions):
            raise _auth.not_permitted()
        if self.place.key is not None:
            self.permit_key(self.place.key)

    def permit_key(self, key: Key) -> None:
        """Whether the caller may use the entity with this key. AuthorizationPermissionMismatch (403)."""
        bounds = self.bounds
        if bounds is not None and not bounds.holds(key):
            raise _auth.not_permitted()

    @property
    def bounds(self) -> Span | None:
        """The first and the last key that a signature is for; None: it is for all."""
        given = self.identity.key_range
        if not given:
            return None
        end = (given["epk"], given.get("erk")) if "epk" in given else None
        return Span((given.get("spk", ""), given.get("srk", "")), end)


@dataclass
class TableRequest(StorageRequest):
    """A request to the table service."""

    place: Place = field(default_factory=Place)

    @property
    def level(self) -> str:
        """See `Place`."""
        return self.place.level

    @cached_property
    def method(self) -> str:
        """What is to be done: a POST can stand for what some proxies let nobody ask for."""
        tunnelled = self.headers.get("X-HTTP-Method")
        if tunnelled is None:
            return self.raw.method
        if self.raw.method != "POST":
            raise StorageError("XMethodNotUsingPost", 400, "X-HTTP-Method is for POST requests.")
        if tunnelled.upper() not in _TUNNELLED:
            raise StorageError("XMethodIncorrectValue", 400, "X-HTTP-Method is PUT, MERGE, PATCH or DELETE.")
        return tunnelled.upper()

    @cached_property
    def documents(self) -> Documents:
        """What answers are written with. AtomFormatNotSupported."""
        reads = self.method == "GET"
        return documents(endpoint(self), self.account.name, self.headers, self.query, reads=reads)

    async def ask(self) -> Ask:
        """The request with its body. RequestBodyTooLarge."""
        body = await self.document() if self.raw.body_exists else b""
        return self.ask_of(body)

    def ask_of(self, body: bytes = b"") -> Ask:
        """The request with this body."""
        return Ask(self.method, self.place, self.headers, self.query, body, self.documents, self.identity)


def documents(
    base: str, account: str, headers: Mapping[str, str], query: Mapping[str, str], *, reads: bool = False
) -> Documents:
    """What answers to a caller are written with. AtomFormatNotSupported (415): it reads, and cannot have them."""
    form = wanted_form(headers, query, reads=reads)
    return AtomDocuments(base, account) if form == ATOM else JsonDocuments(base, account, form)


@dataclass
class Answer:
    """An answer, whether it goes out by itself or in a batch."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def response(self) -> web.Response:
        """The answer by itself."""
        return web.Response(status=self.status, headers=self.headers, body=self.body)


def told(ask: Ask, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a document."""
    described = {
        "Content-Type": ask.documents.content_type,
        "DataServiceVersion": ask.documents.version,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Answer(status, {**described, **(headers or {})}, body)


def failed(shown: Documents, error: StorageError, request_id: str, number: int | None = None) -> Answer:
    """A refusal; `number` says which request of a batch it is of."""
    place = "" if number is None else f"{number}:"
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    message = f"{place}{error.message}\nRequestId:{request_id}\nTime:{now}"
    headers = {
        "Content-Type": shown.content_type,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Answer(error.status, headers, shown.error(error.code, message))


def shown_errors(request: web.Request) -> Documents:
    """What refusals are written with, to a caller of whom nothing is known yet."""
    try:
        return documents("", "", request.headers, request.query)
    except StorageError:
        return JsonDocuments("", "")


def done(headers: Mapping[str, str] | None = None) -> Answer:
    """An answer without a document."""
    described = {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
        "DataServiceVersion": "1.0;",
    }
    return Answer(204, {**described, **(headers or {})})
