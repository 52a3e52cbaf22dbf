"""What is answered is on the disk: the server's own system calls say so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddog.storage import _flush
from storage_load import Caller, Servers

TRACED = (
    "openat,mkdir,rename,unlink,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,copy_file_range,ioctl,"
    "fsync,fdatasync,sendto"
)
_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_FILE = re.compile(r"\d+<([^>]*)>")
_QUOTED = re.compile(r'"([^"]*)"')


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0
    )


class Disk:
    """Files and directories below a root that have changed and are not flushed yet."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._flushing: dict[str, str] = {}
        self._known: set[str] = set()
        self.dirty: set[str] = set()
        self.flushes = 0
        self.answers: list[tuple[str, set[str]]] = []

    def feed(self, line: str) -> None:
        if found := _RESUMED.match(line):
            process, name, _ = found.groups()
            if name in ("fsync", "fdatasync"):
                self._flushed(self._flushing.pop(process, ""))
        elif found := _CALL.match(line):
            self._called(*found.groups())

    def _called(self, process: str, name: str, rest: str) -> None:
        named, quoted = _FILE.search(rest), _QUOTED.findall(rest)
        file = named[1] if named else ""
        if name in ("fsync", "fdatasync"):
            if "unfinished" in rest:
                self._flushing[process] = file
            else:
                self._flushed(file)
        elif name == "openat":
            if "O_CREAT" in rest and quoted[0] not in self._known:
                self._known.add(quoted[0])
                self._changed(os.path.dirname(quoted[0]), created=quoted[0])
        elif name in ("mkdir", "rename"):
            self._changed(os.path.dirname(quoted[-1]))
        elif name == "unlink":
            self.dirty.discard(quoted[0])
            self._known.discard(quoted[0])
        elif name == "sendto":
            if quoted and quoted[0].startswith("HTTP/1.1 "):
                self.answers.append((quoted[0][9:12], set(self.dirty)))
        elif name != "ioctl" or "FICLONE" in rest:
            self._changed(_FILE.findall(rest)[-1] if name == "copy_file_range" else file)

    def _changed(self, path: str, created: str = "") -> None:
        """SQLite's index of its log is made anew after a crash, and its file is written from the log."""
        if path.startswith(self._root) and not (created or path).endswith((".db", "-shm", "-journal")):
            self.dirty.add(path)

    def _flushed(self, path: str) -> None:
        self.dirty.discard(path)
        self.flushes += 1


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Caller, Path]]:
    """A client of a server whose system calls are written down, and where."""
    log = tmp_path / "log"
    servers = Servers(
        tmp_path / "storage", ("strace", "-f", "-y", "-s", "200", "-e", f"trace={TRACED}", "-o", str(log))
    )
    ports = servers.start()
    yield Caller(ports), log
    servers.kill(ports)
    servers.end()


def changes(caller: Caller) -> int:
    """One change of every kind; returns how many there were."""
    block, page = {"x_ms_blob_type": "BlockBlob"}, {"x_ms_blob_type": "PageBlob"}
    json, entity = {"content_type": "application/json"}, "rows(PartitionKey='a',RowKey='b')"
    first, message = {"x_ms_range": "bytes=0-511"}, b"<QueueMessage><MessageText/></QueueMessage>"
    done = [
        caller.call("blob", "PUT", "new", "restype=container"),
        caller.call("blob", "PUT", "things/block", body=b"data" * 5000, **block),
        caller.call("blob", "PUT", "things/block", body=b"again", **block),
        caller.call("blob", "PUT", "things/large", body=bytes(9 << 20), **block),
        caller.call("blob", "PUT", "things/blocks", "comp=block&blockid=YQ==", b"block"),
        caller.call("blob", "PUT", "things/blocks", "comp=blocklist", b"<BlockList><Latest>YQ==</Latest></BlockList>"),
        caller.call("blob", "PUT", "things/page", x_ms_blob_content_length="4096", **page),
        caller.call("blob", "PUT", "things/page", "comp=page", bytes(512), x_ms_page_write="update", **first),
        caller.call("blob", "PUT", "things/page", "comp=page", x_ms_page_write="clear", **first),
        caller.call("blob", "PUT", "things/page", "comp=properties", x_ms_blob_content_length="8192"),
        caller.call("blob", "PUT", "things/page", "comp=snapshot"),
        caller.call("blob", "PUT", "things/copy", x_ms_copy_source=caller.url("things/page")),
        caller.call("blob", "PUT", "things/log", x_ms_blob_type="AppendBlob"),
        caller.call("blob", "PUT", "things/log", "comp=appendblock", b"line"),
        caller.call("blob", "PUT", "things/log", "comp=metadata", x_ms_meta_a="b"),
        caller.call("blob", "DELETE", "things/block"),
        caller.call("queue", "PUT", "queue"),
        caller.call("queue", "POST", "queue/messages", body=message),
        caller.call("queue", "GET", "queue/messages"),
        caller.call("queue", "PUT", "queue", "comp=metadata", x_ms_meta_a="b"),
        caller.call("table", "POST", "Tables", "", b'{"TableName": "rows"}', **json),
        caller.call("table", "POST", "rows", "", b'{"PartitionKey": "a", "RowKey": "b"}', **json),
        caller.call("table", "PUT", entity, "", b'{"V": 1}', **json),
        caller.call("table", "DELETE", entity, if_match="*"),
    ]  # fmt: skip
    assert all(200 <= status < 300 for status, _ in done), done
    return len(done)


@pytest.mark.skipif(not can_trace(), reason="strace is not there, or may trace nothing here")
def test_whatever_is_answered_has_been_flushed(traced: tuple[Caller, Path], tmp_path: Path):
    caller, log = traced
    count = changes(caller)
    disk, end = Disk(tmp_path / "storage"), time.monotonic() + 20
    with log.open() as lines:
        while len(disk.answers) < count and time.monotonic() < end:
            for line in lines:
                disk.feed(line)
    assert len(disk.answers) == count
    assert [(status, dirty) for status, dirty in disk.answers if dirty] == []
    assert disk.flushes > count


@given(st.lists(st.integers(0, 3 << 20), max_size=4), st.integers(1, 900), st.integers(0, 9))
def test_bytes_are_written_one_after_another_however_they_come(sizes: list[int], repeats: int, offset: int):
    chunks = [bytes([number]) * size for number, size in enumerate(sizes, 1)] + [b"ab"] * repeats
    whole = b"".join(chunks)
    descriptor = os.memfd_create("written")
    try:
        assert _flush.write_chunks(descriptor, offset, chunks) == offset + len(whole)
        assert os.pread(descriptor, offset + len(whole) + 1, 0) == bytes(offset) + whole
    finally:
        os.close(descriptor)
