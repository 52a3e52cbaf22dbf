"""Blob Batch: up to 256 requests, to delete blobs or to set their tiers, in the body of one."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from reddog.storage._errors import StorageError, bad_header, missing_header
from reddog.storage._multipart import Part, divided, split
from reddog.storage._request import XML, BlobRequest

MOST_PARTS = 256
_MIXED = re.compile(r'multipart/mixed\s*;\s*boundary\s*=\s*"?([^";\s]+)"?', re.IGNORECASE)
_OPERATIONS = (("DELETE", ""), ("PUT", "tier"))  # method and comp
Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def submit(request: BlobRequest, respond: Respond) -> web.StreamResponse:
    """Blob Batch. Each request in it is authorized, carried out and answered for itself.

    `respond` answers one. A batch that cannot be read is answered with one refusal in the place of the answers.
    """
    data = await request.document()
    if "Content-Type" not in request.headers:
        raise missing_header("Content-Type")
    try:
        parts = await asyncio.to_thread(_parts, request.headers["Content-Type"], data)
    except StorageError as error:
        answers = [_answer(_refusal(error), None)]
    else:
        answers = [
            _answer(await _carry_out(request, part, respond), part[0].get("Content-ID", str(number)))
            for number, part in enumerate(parts)
        ]
    boundary = f"batchresponse_{uuid.uuid4()}"
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), answer) for answer in answers)
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
    return web.Response(status=202, headers=headers, body=body + f"--{boundary}--\r\n".encode())


def _parts(kind: str, data: bytes) -> list[Part]:
    """The parts of a batch. InvalidHeaderValue, InvalidInput: it is none."""
    if kind.lower().count("boundary=") > 1:
        raise _invalid("The Content-Type has more than one boundary.")
    found = _MIXED.fullmatch(kind.strip())
    if found is None:
        raise bad_header("Content-Type", kind)
    parts = split(found[1], data, MOST_PARTS)
    if not 1 <= len(parts) <= MOST_PARTS:
        raise _invalid(f"A batch has 1 to {MOST_PARTS} requests between its boundaries.")
    return parts


def _invalid(message: str) -> StorageError:
    return StorageError("InvalidInput", 400, message)


async def _carry_out(request: BlobRequest, part: Part, respond: Respond) -> web.StreamResponse:
    try:
        return await respond(_sub_request(request, part))
    except StorageError as error:
        return _refusal(error)


def _refusal(error: StorageError) -> web.Response:
    headers = {"x-ms-error-code": error.code}
    return web.Response(status=error.status, body=error.to_xml(), headers=headers, content_type=XML)


def _sub_request(request: BlobRequest, part: Part) -> web.Request:
    """The request that a part holds, as if it had come by itself. InvalidInput: it holds none that may be there."""
    head, _ = divided(part[1].lstrip())
    line, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = line.split(" ")
    if part[0].get_content_type() != "application/http" or len(words) != 3:
        raise _invalid(
            "A part is a request such as DELETE /CONTAINER/BLOB HTTP/1.1, of type application/http."
        )
    try:
        url = URL(words[1], encoded=True)
        query = {name.lower(): value for name, value in url.query.items()}
    except ValueError:
        raise _invalid("A part's request has no good URL.") from None
    if (words[0], query.get("comp", "").lower()) not in _OPERATIONS:
        raise _invalid("A batch can delete blobs and set their tiers; it holds another operation.")
    if request.container and not unquote(url.raw_path).startswith(_path(request)):
        raise _invalid(f"The batch is for blobs of the container {request.container}; one is of another.")
    headers = CIMultiDict(_header(one) for one in lines if one)
    headers.popall("Content-Length", None)  # without a body there is none to be signed
    headers["Host"] = request.raw.host
    return request.raw.clone(method=words[0], rel_url=url, headers=headers)


def _path(request: BlobRequest) -> str:
    """What the paths of a container's blobs begin with."""
    return unquote(request.raw.raw_path.partition("?")[0]).rstrip("/") + "/"


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise _invalid("A part's request has a header without a colon.")
    return name.strip(), value.strip()


def _answer(response: web.StreamResponse, identity: str | None) -> bytes:
    """An answer as a part of the batch's answer."""
    named = f"Content-ID: {identity}\r\n" if identity is not None else ""
    lines = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    head = f"Content-Type: application/http\r\n{named}\r\nHTTP/1.1 {response.status} {response.reason}\r\n{lines}\r\n"
    body = response.body if isinstance(response, web.Response) else None
    return head.encode("utf-8", "replace") + (body if isinstance(body, bytes) else b"")
