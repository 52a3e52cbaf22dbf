"""The server: sockets, connections, and one HTTP request after the other."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from aiohttp import web

from reddog.frontend._access import Access
from reddog.frontend._dispatch import Answer, Dispatcher, Request
from reddog.wire import ServiceError, errors

LARGEST_BODY = 4 << 20  # bytes; the largest request of the API, a certificate or custom data, is far smaller
BODY_TIMEOUT = 60.0  # seconds for a body to arrive
KEEP_ALIVE = 120.0  # seconds for which an idle connection is kept
WORKERS = 32
SERVER = "1.0.0 (reddog) Microsoft-HTTPAPI/2.0"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Server": SERVER,
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
_XML = "application/xml; charset=utf-8"
log = logging.getLogger("reddog.frontend")
T = TypeVar("T")


class FrontEnd:
    """The management endpoint.

    Args:
        host: The address to listen on; for 127.0.0.1 also ::1, where there is one.
        port: TCP port.
        access: Certificates and what they are good for.
        dispatcher: Answers requests.
        grace: Seconds for requests under way to end when the server stops.
    """

    def __init__(
        self, host: str, port: int, *, access: Access, dispatcher: Dispatcher, grace: float = 10.0
    ) -> None:
        self._host = host
        self._port = port
        self._access = access
        self._dispatcher = dispatcher
        self._grace = grace
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="request")
        self._thumbprints: WeakKeyDictionary[asyncio.BaseTransport, str] = WeakKeyDictionary()
        self._parts = AsyncExitStack()
        self._stopping = False

    async def start(self) -> None:
        """Listen. OSError: the address or the port cannot be had."""
        server = web.Server(self._handle, keepalive_timeout=KEEP_ALIVE, access_log=None)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=self._grace)
        await runner.setup()
        self._parts.push_async_callback(runner.cleanup)
        for host in self._hosts():
            site = web.TCPSite(runner, host, self._port, ssl_context=self._access.context, backlog=1024)
            await site.start()

    async def stop(self) -> None:
        """Take no more requests, let those under way end, close the connections."""
        self._stopping = True
        await self._parts.aclose()
        self._workers.shutdown(wait=True)

    def _hosts(self) -> list[str]:
        return [self._host, "::1"] if self._host == "127.0.0.1" and _has_ipv6() else [self._host]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong is answered in the API's words."""
        began = time.perf_counter()
        request_id = uuid.uuid4().hex
        try:
            answer = await self._answer(request, request_id)
        except ServiceError as error:
            answer = Answer(error.status, error.to_xml())
        except (ConnectionError, asyncio.CancelledError):
            log.info("%s %s: the client went away (%s)", request.method, request.path, request_id)
            raise
        except Exception:
            log.exception("%s %s failed (%s)", request.method, request.path, request_id)
            failure = errors.INTERNAL_ERROR()
            answer = Answer(failure.status, failure.to_xml())
        milliseconds = 1000 * (time.perf_counter() - began)
        log.info(
            "%s %s %s %.1f ms (%s)", request.method, request.path, answer.status, milliseconds, request_id
        )
        return await self._respond(request, request_id, answer)

    async def _answer(self, request: web.BaseRequest, request_id: str) -> Answer:
        if self._stopping:
            raise errors.STOPPING()
        body = await self._body(request)
        asked = Request(
            id=request_id,
            method=request.method,
            path=request.rel_url.raw_path,
            query={name.lower(): value for name, value in request.query.items()},
            version=request.headers.get("x-ms-version"),
            thumbprint=self._thumbprint(request),
            client_ip=request.remote or "",
            body=body,
        )
        match = self._dispatcher.match(asked)
        run = partial(self._dispatcher.run, asked, match)
        if self._dispatcher.is_quick(match):
            return run()
        return await self._in_worker(run)

    async def _in_worker(self, run: Callable[[], T]) -> T:
        """Run something that may wait in a thread; it goes on to its end even when the client goes away."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, run)

    async def _body(self, request: web.BaseRequest) -> bytes:
        if not request.body_exists:
            return b""
        if (request.content_length or 0) > LARGEST_BODY:
            raise errors.BODY_TOO_LARGE(limit=LARGEST_BODY)
        received = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for chunk in request.content.iter_any():
                    received += chunk
                    if len(received) > LARGEST_BODY:
                        raise errors.BODY_TOO_LARGE(limit=LARGEST_BODY)
        except TimeoutError:
            raise errors.BODY_TIMED_OUT(seconds=int(BODY_TIMEOUT)) from None
        return bytes(received)

    def _thumbprint(self, request: web.BaseRequest) -> str:
        """SHA-1 of the caller's certificate, or an empty string; worked out once a connection."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        found = self._thumbprints.get(transport)
        if found is None:
            tls = transport.get_extra_info("ssl_object")
            der = tls.getpeercert(binary_form=True) if tls is not None else None
            found = hashlib.sha1(der).hexdigest().upper() if der else ""  # noqa: S324 - the API's identifier
            self._thumbprints[transport] = found
        return found

    async def _respond(self, request: web.BaseRequest, request_id: str, answer: Answer) -> web.StreamResponse:
        headers = {**_HEADERS, "x-ms-request-id": request_id}
        if answer.location is not None:
            headers["Location"] = answer.location
        if answer.body:
            headers["Content-Type"] = _XML
        if isinstance(answer.body, bytes):
            response = web.Response(status=answer.status, headers=headers, body=answer.body)
            if answer.status in (400, 408, 413) and not request.content.is_eof():
                response.force_close()
            return response
        return await self._stream(request, answer, headers)

    async def _stream(
        self, request: web.BaseRequest, answer: Answer, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send a long list in pieces, made one by one as the client takes them."""
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        assert not isinstance(answer.body, bytes)
        async for piece in self._pieces(answer.body):
            await response.write(piece)
        await response.write_eof()
        return response

    async def _pieces(self, body: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._in_worker(partial(next, body, b"")):
            yield piece


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
