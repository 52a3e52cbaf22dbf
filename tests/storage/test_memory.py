"""A server's memory does not grow with what is uploaded to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

SERVE = Path(__file__).parent / "azurite" / "serve.py"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
MEBIBYTE = 1 << 20
CONNECTIONS, SIZE, MOST = 8, 32 * MEBIBYTE, 100 * MEBIBYTE


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The process of a blob service, and its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, str(SERVE), str(tmp_path / "storage"), "blob", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "AZURITE_ACCOUNTS"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdout.readline() == b"ready\n"
    yield process.pid, f"http://127.0.0.1:{port}/devstoreaccount1"
    process.communicate(timeout=30)


def resident(process: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["BlockBlob", "AppendBlob"])
def test_large_uploads_leave_the_memory_as_it_is(served: tuple[int, str], kind: str):
    process, url = served
    client = BlobServiceClient(
        url, credential=KEY, max_single_put_size=2 * SIZE, max_block_size=SIZE, retry_total=0
    )
    container = client.create_container("things")
    container.upload_blob("first", b"1")
    before, most, done = resident(process), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, resident(process))

    watching = threading.Thread(target=watch)
    watching.start()
    data = os.urandom(SIZE)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(
            threads.map(lambda number: container.upload_blob(f"blob{number}", data, kind), range(CONNECTIONS))
        )
    done.set()
    watching.join()
    assert most - before < MOST
    assert container.download_blob(f"blob{CONNECTIONS - 1}").readall() == data
