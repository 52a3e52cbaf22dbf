"""What filters see of a request and of its answer."""

from __future__ import annotations


class HTTPError(Exception):
    """The service answered with a status of 300 or more.

    status: the status code; respheader: headers as (lower-case name, value); respbody: bytes, or None if
        empty.
    """

    def __init__(
        self, status: int, message: str, respheader: list[tuple[str, str]], respbody: bytes | None
    ) -> None:
        self.status = status
        self.respheader = respheader
        self.respbody = respbody
        super().__init__(message)


class HTTPResponse:
    """An answer: status, message (the reason), headers as (lower-case name, value), body (None if empty)."""

    def __init__(self, status: int, message: str, headers: list[tuple[str, str]], body: bytes | None) -> None:
        self.status = status
        self.message = message
        self.headers = headers
        self.body = body


class HTTPRequest:
    """A request on its way out; a filter may change any of it.

    host: "host" or "host:port".  method: the verb.  path: quoted, with the query string.
    query: the query as (name, value), for reading.  headers: (name, value).  body: bytes.
    protocol_override: "http" or "https" for this request alone.
    """

    def __init__(self) -> None:
        self.host = ""
        self.method = ""
        self.path = ""
        self.query: list[tuple[str, str]] = []
        self.headers: list[tuple[str, str]] = []
        self.body: bytes | str = ""
        self.protocol_override: str | None = None
