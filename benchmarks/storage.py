"""How fast a blob of 64 MiB goes in and comes out, and how many pages are written in a second.

Each is shown beside a bare aiohttp server that keeps the same bytes: it writes the body into a file, flushes it
(fdatasync) and answers; reading, it sends the file in pieces of the same size. It knows no account, no signature,
no digest and no index, so it is the limit to approach. A page written by the blob service is two flushes, of the
page and of its new ETag. The two servers take turns, round by round, in processes of their own.

    python benchmarks/storage.py [--rounds N] [--size MIB] [--pages N] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.client
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from reddog.storage import Storage

PIECE = 1 << 20
PAGE = 4096
LEAST = {"PUT": 0.35, "GET": 0.6, "pages": 0.15}  # of the bare server, with room for a busy machine
KEY = base64.b64encode(bytes(64)).decode()


def bare(directory: Path) -> web.Application:
    """Keeps one body in one file."""
    path = directory / "bare"

    async def put(request: web.Request) -> web.Response:
        with path.open("wb") as file:
            async for chunk in request.content.iter_chunked(PIECE):
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fdatasync, file.fileno())
        return web.Response(status=201)

    async def put_page(request: web.Request) -> web.Response:
        data = await request.read()
        await asyncio.to_thread(write_page, int(request.headers["x-ms-range"][6:].partition("-")[0]), data)
        return web.Response(status=201)

    def write_page(offset: int, data: bytes) -> None:
        descriptor = os.open(directory / "bare-pages", os.O_WRONLY | os.O_CREAT)
        os.pwrite(descriptor, data, offset)
        os.fdatasync(descriptor)
        os.close(descriptor)

    async def get(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = path.stat().st_size
        await response.prepare(request)
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                await response.write(piece)
        await response.write_eof()
        return response

    application = web.Application(client_max_size=0)
    application.router.add_put("/acct/things/page", put_page)
    application.router.add_put("/{path:.*}", put)
    application.router.add_get("/{path:.*}", get)
    return application


def ours(directory: Path) -> web.Application:
    """The blob service with one account and one container."""
    storage = Storage(directory / "storage", domains=("core.localhost",))
    storage.ensure_account("acct", KEY, KEY)
    storage.ensure_container("acct", "things")
    return storage.applications()["blob"]


def serve(make: Callable[[Path], web.Application], directory: Path, port: Connection) -> None:
    """Serve until the process is ended; tells the port."""

    async def run() -> None:
        runner = web.AppRunner(make(directory), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def start(make: Callable[[Path], web.Application], directory: Path) -> tuple[multiprocessing.Process, int]:
    """A server in a process of its own, and its port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(make, directory, there), daemon=True)
    process.start()
    if not here.poll(30):
        raise SystemExit("The server did not start.")
    return process, here.recv()


def transfer(port: int, method: str, path: str, data: bytes | None, size: int) -> float:
    """Seconds of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begin = time.perf_counter()
    connection.request(method, path, data, {"x-ms-blob-type": "BlockBlob"})
    answer = connection.getresponse()
    received = sum(map(len, iter(lambda: answer.read(PIECE), b"")))
    seconds = time.perf_counter() - begin
    connection.close()
    if answer.status not in (200, 201) or (data is None and received != size):
        raise SystemExit(f"{method} was answered with {answer.status} and {received} bytes.")
    return seconds


def write_pages(port: int, query: str, count: int) -> list[float]:
    """Seconds of each page of so many, written over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times = []
    for number in range(count):
        first = number % 256 * PAGE
        headers = {"x-ms-page-write": "update", "x-ms-range": f"bytes={first}-{first + PAGE - 1}"}
        begin = time.perf_counter()
        connection.request("PUT", f"/acct/things/page?comp=page&{query}", os.urandom(PAGE), headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - begin)
        if answer.status != 201:
            raise SystemExit(f"A page was answered with {answer.status}.")
    connection.close()
    return times


def make_page_blob(port: int, query: str) -> None:
    """An empty page blob of 1 MiB."""
    headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(256 * PAGE)}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("PUT", f"/acct/things/page?{query}", b"", headers)
    if connection.getresponse().status != 201:
        raise SystemExit("The page blob was not made.")
    connection.close()


def measure(ports: dict[str, int], options: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """Seconds of every transfer, by what it is and whose; the first round is not counted."""
    data = os.urandom(options.size << 20)
    permission = ContainerSasPermissions(read=True, write=True, create=True)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas("acct", "things", account_key=KEY, permission=permission, expiry=expiry)
    make_page_blob(ports["reddog"], sas)
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds + 1):
        for who, port in ports.items():
            path = f"/acct/things/blob?{sas}"
            found = {
                "PUT": [transfer(port, "PUT", path, data, len(data))],
                "GET": [transfer(port, "GET", path, None, len(data))],
                "pages": write_pages(port, sas, options.pages),
            }
            for what, seconds in found.items() if number else ():
                times.setdefault((what, who), []).extend(seconds)
    return times


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and a ratio is too small."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="transfers of each kind")
    parser.add_argument("--size", type=int, default=64, help="MiB of the blob")
    parser.add_argument("--pages", type=int, default=100, help="pages of 4 KiB in each round")
    parser.add_argument("--check", action="store_true", help="fail when a ratio is too small")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-storage-") as name:
        servers = {"bare": start(bare, Path(name)), "reddog": start(ours, Path(name))}
        times = measure({who: port for who, (_process, port) in servers.items()}, options)
        for process, _port in servers.values():
            process.terminate()
            process.join()
    missed = False
    for what, least in LEAST.items():
        limit, found = (statistics.median(times[what, who]) for who in ("bare", "reddog"))
        unit, amount = ("pages/s", 1) if what == "pages" else ("MiB/s", options.size)
        print(
            f"{what:<6} bare {amount / limit:7.0f} {unit}  reddog {amount / found:7.0f} {unit}"
            f"  {limit / found:5.2f} of the bare server (at least {least:.2f})"
        )
        missed |= limit / found < least
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
