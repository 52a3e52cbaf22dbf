"""The server: sockets, connections, and one HTTP request after the other."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from reddog.frontend._access import Access, thumbprint_of
from reddog.frontend._dispatch import XML, Answer, Dispatcher, Request
from reddog.frontend._log import RequestLog
from reddog.store import DiskFull, StoreError
from reddog.wire import ServiceError, errors

LARGEST_BODY = 4 << 20  # bytes; the largest request of the API, a certificate or custom data, is far smaller
BODY_TIMEOUT = 60.0  # seconds for a body to arrive
KEEP_ALIVE = 120.0  # seconds for the whole head of the next request to arrive
LINGER = 2.0  # seconds in which a client that sends what nobody reads may take its answer
SERVER = "1.0.0 (reddog) Microsoft-HTTPAPI/2.0"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Server": SERVER,
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "x-ms-servedbyregion": "uswest",
}
log = logging.getLogger("reddog.frontend")


class FrontEnd:
    """The management endpoint.

    Args:
        host: The address to listen on; for 127.0.0.1 also ::1, where there is one.
        port: TCP port; 0 for any that is free.
        access: Certificates and what they are good for.
        dispatcher: Answers requests; it is closed with the front end.
        grace: Seconds for requests under way to end when the server stops.
        body_timeout: Seconds for a request's body to arrive.
        keep_alive: Seconds for which a connection without a whole request is kept.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        access: Access,
        dispatcher: Dispatcher,
        grace: float = 10.0,
        body_timeout: float = BODY_TIMEOUT,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self._host = host
        self.port = port
        self._access = access
        self._dispatcher = dispatcher
        self._grace = grace
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive
        self._log = RequestLog()
        self._parts = AsyncExitStack()
        self._stopping = False

    async def start(self) -> None:
        """Listen. `port` is the real one afterwards.

        :raises OSError: the address or the port cannot be had; nothing is left open.
        """
        server = _Server(
            self._handle,
            keepalive_timeout=self._keep_alive,
            lingering_time=LINGER,
            auto_decompress=False,
            access_log=None,
        )
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=self._grace)
        await runner.setup()
        self._parts.push_async_callback(runner.cleanup)
        try:
            for host in self._hosts():
                site = web.TCPSite(runner, host, self.port, ssl_context=self._access.context, backlog=1024)
                await site.start()
                self.port = self.port or runner.addresses[0][1]
        except OSError:
            await self._parts.aclose()
            raise

    async def stop(self) -> None:
        """Take no more requests, let those under way end, close the connections."""
        self._stopping = True
        await self._parts.aclose()
        await asyncio.to_thread(self._dispatcher.close)
        self._log.flush()

    def _hosts(self) -> list[str]:
        return [self._host, "::1"] if self._host == "127.0.0.1" and _has_ipv6() else [self._host]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong is answered in the API's words."""
        began = time.perf_counter()
        request_id = os.urandom(16).hex()
        try:
            answer = await self._answer(request, request_id)
        except ServiceError as error:
            answer = _refusal(error)
        except StoreError as error:
            log.error("%s %s failed: %s (%s)", request.method, _path(request), error, request_id)
            answer = _refusal(errors.DISK_FULL() if isinstance(error, DiskFull) else errors.INTERNAL_ERROR())
        except (ConnectionError, asyncio.CancelledError):
            log.info("%s %s: the client went away (%s)", request.method, _path(request), request_id)
            raise
        except Exception:
            log.exception("%s %s failed (%s)", request.method, _path(request), request_id)
            answer = _refusal(errors.INTERNAL_ERROR())
        elapsed = time.perf_counter() - began
        self._log.add(request.method, _path(request), answer.status, elapsed, request_id)
        return await self._respond(request, request_id, answer)

    async def _answer(self, request: web.BaseRequest, request_id: str) -> Answer:
        if self._stopping:
            raise errors.STOPPING()
        thumbprint = _thumbprint(request)
        body = b""
        if request.body_exists:
            self._access.check_certificate(thumbprint)  # of strangers, no body is read
            body = await self._body(request)
        url = request.rel_url
        asked = Request(
            id=request_id,
            method=request.method,
            path=url.raw_path,
            query={name.lower(): value for name, value in url.query.items()} if url.raw_query_string else {},
            version=request.headers.get("x-ms-version"),
            thumbprint=thumbprint,
            client_ip=request.remote or "",
            body=body,
        )
        return await self._dispatcher.answer(asked)

    async def _body(self, request: web.BaseRequest) -> bytes:
        if (request.content_length or 0) > LARGEST_BODY:
            raise errors.BODY_TOO_LARGE(limit=LARGEST_BODY)
        if (coding := request.headers.get("Content-Encoding", "identity")).lower() != "identity":
            raise errors.INVALID_REQUEST(
                detail=f"the body's Content-Encoding {coding[:40]!r} is not taken. Send it as it is."
            )
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer itself has not begun
        received = bytearray()
        try:
            async with asyncio.timeout(self._body_timeout):
                async for chunk in request.content.iter_any():
                    received += chunk
                    if len(received) > LARGEST_BODY:
                        raise errors.BODY_TOO_LARGE(limit=LARGEST_BODY)
        except TimeoutError:
            raise errors.BODY_TIMED_OUT(seconds=f"{self._body_timeout:g}") from None
        except (web.RequestPayloadError, HttpProcessingError) as error:
            raise errors.INVALID_REQUEST(detail=str(error)) from None
        return bytes(received)

    async def _respond(self, request: web.BaseRequest, request_id: str, answer: Answer) -> web.StreamResponse:
        headers = {**_HEADERS, "x-ms-request-id": request_id}
        if answer.location is not None:
            headers["Location"] = answer.location
        if answer.body:
            headers["Content-Type"] = answer.content_type
        if not isinstance(answer.body, bytes):
            return await self._stream(request, answer.body, answer.status, headers)
        response = web.Response(status=answer.status, headers=headers, body=answer.body)
        if not request.content.is_eof():  # the rest of the body would be taken for the next request
            response.force_close()
        return response

    async def _stream(
        self, request: web.BaseRequest, body: Iterator[bytes], status: int, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send a long list in pieces, made one by one as the client takes them."""
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        async for piece in self._pieces(body):
            await response.write(piece)
        await response.write_eof()
        return response

    async def _pieces(self, body: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._dispatcher.in_worker(partial(next, body, b"")):
            yield piece


class _Connection(web.RequestHandler):
    """A connection; what is no HTTP is refused in the API's words as well.

    thumbprint: SHA-1 of the client's certificate, or an empty string.
    """

    __slots__ = ("thumbprint",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        self.thumbprint = thumbprint_of(der) if der else ""
        super().connection_made(transport)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        request_id = os.urandom(16).hex()
        log.info("A request from %s was refused: %s (%s)", request.remote, type(exc).__name__, request_id)
        failure = errors.INVALID_REQUEST(detail=(message or "").partition("\n")[0].rstrip(":"))
        headers = {**_HEADERS, "x-ms-request-id": request_id, "Content-Type": XML}
        response = web.Response(status=failure.status, headers=headers, body=failure.to_xml())
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> _Connection:
        return _Connection(self, loop=self._loop, **self._kwargs)


def _refusal(error: ServiceError) -> Answer:
    return Answer(error.status, error.to_xml())


def _thumbprint(request: web.BaseRequest) -> str:
    connection = request.protocol
    assert isinstance(connection, _Connection)
    return connection.thumbprint


def _path(request: web.BaseRequest) -> str:
    """As received: percent-encoded, so that it keeps to one line of the log."""
    return request.rel_url.raw_path


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
