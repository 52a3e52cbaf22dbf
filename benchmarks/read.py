"""How many cloud services per second the management endpoint tells of, over mutual TLS with keep-alive.

Beside it stands a bare aiohttp handler that answers the same bytes under the same TLS conditions. Each server is
a process of its own, and they are measured in turns, so that a busy machine does not favor one of them. The
processor time that a server spends on a request is shown too: it tells more on a busy machine.

    python benchmarks/read.py [--seconds S] [--rounds N] [--connections N] [--services N] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging.handlers
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from reddog import pki
from reddog.engine import Engine, OperationRequest, Tx
from reddog.frontend import Access, Dispatcher, FrontEnd, Subject
from reddog.services.hosted_services import HostedServices
from reddog.store import Store

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
NAME = "service00005"
LEAST = 0.5  # of the bare handler's rate
URL = "https://localhost"


# -- Servers ----------------------------------------------------------------------------------------------
def make_access(directory: Path) -> Access:
    """The same TLS context for all servers."""
    access = Access(pki.Authority(directory, hosts=["127.0.0.1"]).server_certificate)
    found = pki.load_certificate(directory / "client.cer")
    subject = Subject(SUBSCRIPTION, found.thumbprint, found.der, found.not_before, found.not_after)
    access.update([SUBSCRIPTION], [subject])
    return access


def fill(engine: Engine, count: int) -> None:
    """Make cloud services."""

    def insert(tx: Tx) -> None:
        for number in range(count):
            goal = {
                "name": f"Service{number:05}",
                "label": f"service {number}",
                "description": "what it does",
                "location": "West US",
                "affinity_group": None,
                "extended_properties": {"owner": "benchmark"},
                "reverse_dns": None,
            }
            tx.insert("hosted_service", f"service{number:05}", subscription=SUBSCRIPTION, goal=goal)

    engine.accept(OperationRequest(uuid.uuid4().hex, "Fill", SUBSCRIPTION), insert)


async def serve_front_end(directory: Path, services: int) -> None:
    """The management endpoint with so many cloud services, and with its log of requests."""
    handler = logging.handlers.RotatingFileHandler(directory / f"{services}.log", maxBytes=10 << 20)
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    with tempfile.TemporaryDirectory(dir=directory) as data:
        engine = Engine(Store(Path(data)))
        fill(engine, services)
        access = make_access(directory)
        handlers = HostedServices(engine, URL, lambda reader, key: []).handlers()
        dispatcher = Dispatcher(access, handlers, engine)
        front_end = FrontEnd("127.0.0.1", 0, access=access, dispatcher=dispatcher)
        await front_end.start()
        await until_told_to_stop(front_end.port)
        await front_end.stop()


async def serve_bare(directory: Path, body: bytes) -> None:
    """A handler that does nothing but answer."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": "application/xml; charset=utf-8"})

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=make_access(directory).context).start()
    await until_told_to_stop(runner.addresses[0][1])


async def until_told_to_stop(port: int) -> None:
    """Tell the port, then the processor time at every line read, until the input ends."""
    print(port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        used = resource.getrusage(resource.RUSAGE_SELF)
        memory = used.ru_maxrss
        print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "memory": memory}), flush=True)


# -- The client -------------------------------------------------------------------------------------------
@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    memory: int = 0  # KiB

    @classmethod
    def start(cls, directory: Path, *arguments: str) -> Server:
        command = [sys.executable, __file__, "--directory", str(directory), "--serve", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    def usage(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.memory = answer["memory"]
        return float(answer["cpu"])

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


@dataclass
class Line:
    """What is measured: how fast a server tells of one cloud service, or of each of them in turn."""

    name: str
    server: Server
    services: int = 1
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)  # seconds of processor time for a request


class Connection:
    """A connection with keep-alive, as cheap as possible for the client."""

    def __init__(self, directory: Path, port: int) -> None:
        context = ssl.create_default_context(cafile=directory / "ca.pem")
        context.load_cert_chain(directory / "client.pem")
        self._socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1"
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str) -> bytes:
        """One request; returns the body."""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-ms-version: 2014-10-01\r\n"
            "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"
        )
        self._socket.sendall(request.encode())
        received = self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), received
        pieces, length = [body], len(body)
        if b"\r\nTransfer-Encoding: chunked" in head:
            while not pieces[-1].endswith(b"0\r\n\r\n"):
                pieces.append(self._socket.recv(65536))
            return b"".join(pieces)
        wanted = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        while length < wanted:
            pieces.append(self._socket.recv(65536))
            length += len(pieces[-1])
        return b"".join(pieces)


def path(suffix: str) -> str:
    """A path of the subscription's cloud services."""
    return f"/{SUBSCRIPTION}/services/hostedservices{suffix}"


def load(connection: Connection, services: int, first: int, end: float, counts: list[int]) -> None:
    """Ask until `end`: for one service, or for one after the other."""
    number = first
    while time.perf_counter() < end:
        connection.ask(path(f"/service{number % services:05}" if services > 1 else f"/{NAME}"))
        number += 1
    counts.append(number - first)


def measure(line: Line, directory: Path, seconds: float, connections: int) -> None:
    """Ask one server for some seconds over several connections."""
    server = line.server
    opened = [Connection(directory, server.port) for _ in range(connections)]
    counts: list[int] = []
    used, began = server.usage(), time.perf_counter()
    threads = [
        threading.Thread(target=load, args=(one, line.services, 1237 * number, began + seconds, counts))
        for number, one in enumerate(opened)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(counts)
    line.rates.append(total / (time.perf_counter() - began))
    line.costs.append((server.usage() - used) / total)


def list_all(server: Server, directory: Path) -> str:
    """Take the whole list once; tells how long it took and what it cost in memory."""
    server.usage()
    before, began = server.memory, time.perf_counter()
    size = len(Connection(directory, server.port).ask(path("")))
    took = time.perf_counter() - began
    server.usage()
    grown = (server.memory - before) / 1024
    return f"{size / 2**20:.1f} MiB in {took:.2f} s, {grown:.1f} MiB more memory at its peak"


def show(line: Line, bare: Line) -> float:
    """Print one line; returns the ratio of the rates."""
    rate, cost = statistics.median(line.rates), statistics.median(line.costs)
    ratio = statistics.median(mine / other for mine, other in zip(line.rates, bare.rates, strict=True))
    saved = statistics.median(other / mine for mine, other in zip(line.costs, bare.costs, strict=True))
    print(
        f"{line.name:<32} {rate:7.0f}/s  {ratio:5.2f} of bare   "
        f"{cost * 1e6:5.0f} us of processor time  {saved:5.2f} of bare"
    )
    return ratio


def compare(options: argparse.Namespace, directory: Path) -> int:
    """Start the servers, measure them in turns, print."""
    pki.create_management_certificate(
        directory / "client.pem", directory / "client.cer", common_name="benchmark"
    )
    pki.Authority(directory, hosts=["127.0.0.1"])
    few, many = Server.start(directory, "10"), Server.start(directory, str(options.services))
    (directory / "body").write_bytes(Connection(directory, few.port).ask(path(f"/{NAME}")))
    lines = [
        Line("bare aiohttp handler", Server.start(directory, "bare")),
        Line("one of 10 services", few),
        Line(f"one of {options.services} services", many),
        Line(f"{options.services} services, one by one", many, options.services),
    ]
    for _ in range(options.rounds):
        for line in lines:
            measure(line, directory, options.seconds, options.connections)
    ratios = [show(line, lines[0]) for line in lines]
    print(f"a list of {options.services} services: {list_all(many, directory)}")
    print(f"target: {LEAST} of bare for one service, whether there are few or many")
    for server in {line.server.port: line.server for line in lines}.values():
        server.stop()
    return int(options.check and min(ratios[:3]) < LEAST)


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds for each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server")
    parser.add_argument("--connections", type=int, default=8, help="connections at a time")
    parser.add_argument("--services", type=int, default=10_000, help="cloud services of the large cloud")
    parser.add_argument("--check", action="store_true", help="fail when the target is missed")
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve == "bare":
        asyncio.run(serve_bare(options.directory, (options.directory / "body").read_bytes()))
        return 0
    if options.serve:
        asyncio.run(serve_front_end(options.directory, int(options.serve)))
        return 0
    with tempfile.TemporaryDirectory(prefix="reddog-read-") as name:
        return compare(options, Path(name))


if __name__ == "__main__":
    sys.exit(main())
