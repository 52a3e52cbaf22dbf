"""Storage services in processes that can be killed, and clients that cost little."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

KEY = "a" * 86 + "=="
# Forks a server that has everything imported already whenever a line comes in, and tells its process and ports.
FORK = """
import asyncio, json, os, signal, sys, threading
from pathlib import Path
from aiohttp import web
from reddog.storage import Storage

def make_and_remove(storage):
    while True:
        storage.ensure_account("other", sys.argv[2], sys.argv[2])
        storage.ensure_container("other", "things")
        storage.remove_account("other")

async def serve():
    storage = Storage(Path(sys.argv[1]), domains=("core.localhost",))
    storage.ensure_account("acct", sys.argv[2], sys.argv[2])
    storage.ensure_container("acct", "things")
    if len(sys.argv) > 3:
        threading.Thread(target=make_and_remove, args=(storage,), daemon=True).start()
    told = {"process": os.getpid()}
    for kind, application in storage.applications().items():
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told[kind] = runner.addresses[0][1]
    print(json.dumps(told), flush=True)
    await asyncio.Event().wait()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        asyncio.run(serve())
"""


class Gone(Exception):
    """The server died; nobody knows what became of the last request."""


class Caller:
    """One client: a connection to each service. busy: it is no failure to be told to try again (503)."""

    def __init__(self, ports: dict[str, int], *, busy: bool = False) -> None:
        self._busy = busy
        self._connections = {
            kind: http.client.HTTPConnection("127.0.0.1", ports[kind], timeout=30)
            for kind in ("blob", "table", "queue")
        }
        types = ResourceTypes(service=True, container=True, object=True)
        permissions = AccountSasPermissions.from_string("rwdlacup")
        expiry = datetime.now(UTC) + timedelta(hours=1)
        self._signature = generate_account_sas("acct", KEY, types, permissions, expiry, services="btq")

    def url(self, path: str) -> str:
        """Where a blob can be copied from."""
        return f"http://127.0.0.1/acct/{path}?{self._signature}"

    def call(
        self, kind: str, method: str, path: str, query: str = "", body: bytes = b"", **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of the answer; keywords are headers. Gone."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("x-ms-version", "2021-08-06")
        try:
            connection = self._connections[kind]
            connection.request(method, f"/acct/{path}?{query}&{self._signature}", body, given)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error
        assert answer.status < 500 or (self._busy and answer.status == 503), (method, path, data)
        return answer.status, data


class Servers:
    """Servers of one directory with an account and a container, one after the other.

    under: a command that the processes are started with. coming_and_going: they make and remove another account all the
    time.
    """

    def __init__(self, root: Path, under: tuple[str, ...] = (), *, coming_and_going: bool = False) -> None:
        arguments = [
            *under,
            sys.executable,
            "-c",
            FORK,
            str(root),
            KEY,
            *(["more"] if coming_and_going else []),
        ]
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self) -> dict[str, int]:
        """The next one: its process and its ports."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        told: dict[str, int] = json.loads(self._process.stdout.readline())
        return told

    def kill(self, told: dict[str, int]) -> None:
        """Kill it, and wait until it is gone."""
        os.kill(told["process"], signal.SIGKILL)
        end = time.monotonic() + 30
        while Path(f"/proc/{told['process']}").exists():
            assert time.monotonic() < end
            time.sleep(0.005)

    def end(self) -> None:
        """Start no more."""
        self._process.communicate(timeout=30)


def held(root: Path) -> set[str]:
    """Files below a directory that this process has open, deleted ones too."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry))
    return {path for path in found if path.startswith(str(root))}
