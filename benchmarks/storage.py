"""How fast a blob of 64 MiB goes in and comes out, beside a bare aiohttp server that keeps the same bytes.

The bare server writes the body into a file, flushes it (fdatasync) and answers; reading, it sends the file in
the same pieces. It knows no account, no signature, no digest and no index, so it is the limit to approach.
The two take turns, round by round, in processes of their own.

    python benchmarks/storage.py [--rounds N] [--size MIB]
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


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="transfers of each kind")
    parser.add_argument("--size", type=int, default=64, help="MiB of the blob")
    options = parser.parse_args()
    data = os.urandom(options.size << 20)
    permission = ContainerSasPermissions(read=True, write=True, create=True)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas("acct", "things", account_key=KEY, permission=permission, expiry=expiry)
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="reddog-storage-") as name:
        servers = {"bare": start(bare, Path(name)), "reddog": start(ours, Path(name))}
        for _ in range(options.rounds + 1):
            for method, body in (("PUT", data), ("GET", None)):
                for who, (_process, port) in servers.items():
                    path = f"/acct/things/blob?{sas}"
                    times.setdefault((method, who), []).append(transfer(port, method, path, body, len(data)))
        for process, _port in servers.values():
            process.terminate()
            process.join()
    for method in ("PUT", "GET"):
        limit, found = (statistics.median(times[method, who][1:]) for who in ("bare", "reddog"))
        print(
            f"{method} of {options.size} MiB  bare {options.size / limit:7.0f} MiB/s"
            f"  reddog {options.size / found:7.0f} MiB/s  {limit / found:5.2f} of the bare server"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
