"""Entity group transactions: several changes of one partition, or one query, in a multipart body."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web
from multidict import CIMultiDict

from reddog.storage._errors import StorageError
from reddog.storage._front import request_id
from reddog.storage._listing import endpoint
from reddog.storage._multipart import Part, divided, split
from reddog.storage.tables import _queries
from reddog.storage.tables._changes import BatchError, Change, change, check_together
from reddog.storage.tables._edm import invalid_input
from reddog.storage.tables._request import Answer, Ask, Place, TableRequest, documents, failed
from reddog.storage.tables._store import TableWriter

MOST_CHANGES = 100
_LINE_END = re.compile(rb"\r?\n")
_REQUEST = re.compile(rb"([A-Za-z]+) +(\S+)(?: +HTTP/\d\.\d)? *")


@dataclass
class _Part:
    """A request in a batch. id: its Content-ID."""

    ask: Ask
    id: str | None


async def batch(request: TableRequest) -> web.StreamResponse:
    """Entity Group Transaction."""
    kind = request.headers.get("Content-Type", "")
    parts, is_change = await asyncio.to_thread(_read, kind, await request.document())
    if not is_change:
        answers = [await _queried(request, parts[0])]
    else:
        answers = await _changed(request, parts)
    return _answered(answers, in_changeset=is_change)


def _read(kind: str, body: bytes) -> tuple[list[bytes], bool]:
    """The requests in a batch, and whether they are changes. InvalidInput."""
    outer = _parts(_header(kind), body, 1)
    if len(outer) != 1:
        raise invalid_input("A batch has one changeset, or one query.")
    header, data = outer[0]
    if header.get_content_type() == "application/http":
        return [data], False
    return [request for _, request in _parts(header, data, MOST_CHANGES)], True


def _header(kind: str) -> Message:
    return HeaderParser().parsestr(f"Content-Type: {kind}\n\n")


def _parts(header: Message, body: bytes, most: int) -> list[Part]:
    """The parts of a multipart body; see `split`. InvalidInput: it is none, or has no parts."""
    try:
        boundary = header.get_boundary() or ""
        boundary.encode()
    except UnicodeError:  # a boundary can be in any encoding
        boundary = ""
    if header.get_content_type() != "multipart/mixed" or not boundary:
        raise invalid_input("A batch, and a changeset in it, is multipart/mixed and has a boundary.")
    found = split(boundary, body, most)
    if not found:
        raise invalid_input("There is nothing between the boundaries of the batch.")
    return found


def _part(request: TableRequest, data: bytes) -> _Part:
    """Read a request of a batch. StorageError."""
    head, body = divided(data.lstrip())
    lines = _LINE_END.split(head)
    match = _REQUEST.fullmatch(lines[0])
    if match is None:
        raise invalid_input("A part of the batch does not begin with METHOD URL HTTP/1.1.")
    headers = CIMultiDict[str]()
    for line in lines[1:]:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon:
            raise invalid_input("A part of the batch has a header without a colon.")
        headers[name.strip()] = value.strip()
    place, query = _target(request, match[2].decode("utf-8", "replace"))
    known = CIMultiDict({name: request.headers.get(name, "") for name in ("x-ms-version", "Accept")})
    known.update(headers)
    shown = documents(endpoint(request), request.account.name, known, query)
    method = headers.get("X-HTTP-Method", match[1].decode()).upper()
    ask = Ask(method, place, headers, query, body, shown, request.identity)
    return _Part(ask, headers.get("Content-ID"))


def _target(request: TableRequest, url: str) -> tuple[Place, Mapping[str, str]]:
    """What the URL of a request in a batch means."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise invalid_input("A part of the batch has a URL that is none.") from None
    path = [unquote(segment) for segment in parts.path.lstrip("/").split("/")]
    if len(path) > 1 and path[0].removesuffix("-secondary") == request.account.name:
        path = path[1:]
    query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    return Place.read(path), query


async def _queried(request: TableRequest, data: bytes) -> Answer:
    """Answer the one query of a batch."""
    ask = request.ask_of()
    try:
        part = _part(request, data)
        ask = part.ask
        if ask.method != "GET" or ask.place.level not in ("entity", "entities"):
            raise invalid_input("Outside of a changeset a batch has one query of entities.")
        ask.permit()
        look = _queries.entity(ask) if ask.place.key is not None else _queries.entities(ask)
        return await request.account.tables.read(look)
    except StorageError as error:
        return failed(ask.documents, error, request_id(request.raw), 0)


async def _changed(request: TableRequest, parts: list[bytes]) -> list[Answer]:
    """Make all changes of a batch; or none, and answer for the one that cannot be made."""
    asks: list[_Part] = []
    try:
        changes = await asyncio.to_thread(_changes, request, parts, asks)
        answers = await request.account.tables.write(lambda tables: _made(tables, changes))
    except BatchError as error:
        ask = asks[error.number].ask if error.number < len(asks) else request.ask_of()
        return [failed(ask.documents, error.error, request_id(request.raw), error.number)]
    for part, answer in zip(asks, answers, strict=True):
        if part.id is not None:
            answer.headers["Content-ID"] = part.id
    return answers


def _changes(request: TableRequest, parts: list[bytes], asks: list[_Part]) -> list[Change]:
    """Read the changes; `asks` gets the requests that they are in. BatchError."""
    if len(parts) > MOST_CHANGES:
        message = f"The batch request operation exceeds the maximum {MOST_CHANGES} changes per change set."
        raise BatchError(MOST_CHANGES - 1, StorageError("InvalidInput", 400, message))
    changes = []
    for number, data in enumerate(parts):
        try:
            asks.append(_part(request, data))
            asks[-1].ask.permit()
            changes.append(change(asks[-1].ask))
        except StorageError as error:
            raise BatchError(number, error) from None
    check_together(changes)
    return changes


def _made(tables: TableWriter, changes: list[Change]) -> list[Answer]:
    answers = []
    for number, one in enumerate(changes):
        try:
            answers.append(one.make(tables))
        except StorageError as error:
            raise BatchError(number, error) from None
    return answers


def _answered(answers: list[Answer], *, in_changeset: bool) -> web.Response:
    batch, changeset = f"batchresponse_{uuid.uuid4()}", f"changesetresponse_{uuid.uuid4()}"
    body = _multipart([_written(answer) for answer in answers], changeset if in_changeset else batch)
    if in_changeset:
        body = _multipart(
            [f"Content-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode() + body], batch
        )
    headers = {
        "Content-Type": f"multipart/mixed; boundary={batch}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return web.Response(status=202, headers=headers, body=body)


def _multipart(parts: list[bytes], boundary: str) -> bytes:
    opening = f"--{boundary}\r\n".encode()
    return b"".join(opening + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def _written(answer: Answer) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
    lines.append(f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}")
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + answer.body
