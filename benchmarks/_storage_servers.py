"""The servers that benchmarks/storage.py compares, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from reddog.storage import Storage

AZURITE = "3.37.0"
ACCOUNT = "devstoreaccount1"  # the account that Azurite has, with its well-known key
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = ("blob", "queue", "table")
PIECE = 1 << 20


@dataclass(frozen=True)
class Server:
    """A server that runs: the process it is in, and the ports of its services."""

    process: int
    ports: dict[str, int]


def bare(directory: Path) -> dict[str, web.Application]:
    """A server that keeps the same bytes and knows nothing of them: each body in a file, flushed before the answer.

    A body replaces what its file was when it is there whole.
    """
    path = directory / "bare"

    async def put(request: web.Request) -> web.Response:
        if request.query.get("comp") == "blocklist":
            return web.Response(status=201)
        block = request.query.get("blockid")
        draft = directory / "draft"
        with draft.open("wb") as file:
            async for chunk in request.content.iter_chunked(PIECE):
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fdatasync, file.fileno())
        draft.replace(path if block is None else directory / block)
        return web.Response(status=201)

    async def put_page(request: web.Request) -> web.Response:
        first = int(request.headers["x-ms-range"].removeprefix("bytes=").partition("-")[0])
        await asyncio.to_thread(write_page, first, await request.read())
        return web.Response(status=201)

    def write_page(offset: int, data: bytes) -> None:
        descriptor = os.open(directory / "pages", os.O_WRONLY | os.O_CREAT)
        os.pwrite(descriptor, data, offset)
        os.fdatasync(descriptor)
        os.close(descriptor)

    async def get(request: web.Request) -> web.StreamResponse:
        response, source = (
            web.StreamResponse(),
            directory / "pages" if request.path.endswith("disk") else path,
        )
        response.content_length = source.stat().st_size
        await response.prepare(request)
        with source.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                await response.write(piece)
        await response.write_eof()
        return response

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await get(request)
        return await (put_page if request.query.get("comp") == "page" else put)(request)

    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", handle)
    return {"blob": application}


def reddog(directory: Path) -> dict[str, web.Application]:
    """Our services."""
    storage = Storage(directory / "reddog", domains=("core.localhost",))
    storage.ensure_account(ACCOUNT, KEY, KEY)
    return storage.applications()


def _serve(make: Callable[[Path], dict[str, web.Application]], directory: Path, answer: Connection) -> None:
    async def run() -> None:
        ports = {}
        for name, application in make(directory).items():
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ports[name] = runner.addresses[0][1]
        answer.send(ports)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def python_server(make: Callable[[Path], dict[str, web.Application]], directory: Path) -> Iterator[Server]:
    """One of the servers above."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(make, directory, there), daemon=True
    )
    process.start()
    try:
        if not here.poll(60):
            raise SystemExit("A server did not start.")
        yield Server(process.pid or 0, here.recv())
    finally:
        process.terminate()
        process.join()


def find_azurite() -> Path | None:
    """Azurite's program, installed once into the user's cache; None where there is no npm."""
    if shutil.which("npm") is None:
        return None
    home = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "reddog-bench"
        / f"azurite-{AZURITE}"
    )
    program = home / "node_modules" / ".bin" / "azurite"
    if not program.exists():
        print(f"installing azurite {AZURITE} into {home}", flush=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(home)]
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, f"azurite@{AZURITE}"], check=True)
    return program


@contextlib.contextmanager
def azurite_server(program: Path, directory: Path) -> Iterator[Server]:
    """Azurite, as it is started by default."""
    ports = {name: _free_port() for name in SERVICES}
    listening = [part for name, port in ports.items() for part in (f"--{name}Port", str(port))]
    command = [str(program), "--silent", "--skipApiVersionCheck", "--disableTelemetry", *listening]
    process = subprocess.Popen(
        [*command, "--location", str(directory / "azurite")], stdout=subprocess.DEVNULL
    )
    try:
        for port in ports.values():
            _await(port, process)
        yield Server(process.pid, ports)
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("Azurite did not start.")
