"""Requests signed by hand, as old and home-made clients sign them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl

SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)


def new_key() -> str:
    return base64.b64encode(os.urandom(64)).decode()


def now() -> str:
    return format_datetime(datetime.now(UTC), usegmt=True)


def digest(key: str, text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()


def marked(headers: dict[str, str]) -> str:
    names = sorted(name for name in headers if name.startswith("x-ms-"))
    return "".join(f"{name}:{headers[name]}\n" for name in names)


def shared_key(key: str, method: str, resource: str, query: str, headers: dict[str, str]) -> str:
    """The Authorization header of a request with these lower-case headers."""
    lines = [method, *(headers.get(name, "") for name in SIGNED)]
    parameters = "".join(f"\n{name}:{value}" for name, value in sorted(parse_qsl(query)))
    return f"SharedKey acct:{digest(key, chr(10).join(lines) + chr(10) + marked(headers) + resource + parameters)}"


def shared_key_lite(key: str, method: str, resource: str, query: str, headers: dict[str, str]) -> str:
    """The same in the short form."""
    lines = [method, *(headers.get(name, "") for name in ("content-md5", "content-type", "date"))]
    comp = dict(parse_qsl(query)).get("comp")
    suffix = f"?comp={comp}" if comp else ""
    return f"SharedKeyLite acct:{digest(key, chr(10).join(lines) + chr(10) + marked(headers) + resource + suffix)}"


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Send exactly these headers; status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found
