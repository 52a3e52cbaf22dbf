"""Writing into files, durably."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reddog.storage._errors import NoSpace

_MOST_CHUNKS = 512  # that are written in one call
_PIECE = (
    1 << 20
)  # bytes that are written in one call: for more, the kernel takes larger pages, at a higher cost


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tell of a full disk in the storage service's words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace from None
        raise


def write_at(path: Path, offset: int, chunks: Sequence[bytes]) -> None:
    """Write into a file, durably. NoSpace."""
    start_write(path, offset, chunks)()


def copy_at(path: Path, offset: int, source: Path) -> None:
    """Write what another file holds into a file, durably. NoSpace."""
    with disk_errors(), source.open("rb") as origin, path.open("r+b") as target:
        target.seek(offset)
        shutil.copyfileobj(origin, target, _PIECE)
        target.flush()
        os.fdatasync(target.fileno())


def start_write(path: Path, offset: int, chunks: Sequence[bytes]) -> Callable[[], None]:
    """Write into a file, and give what has it on the disk, to be called once. NoSpace."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        with disk_errors():
            write_chunks(descriptor, offset, chunks)
    except BaseException:
        os.close(descriptor)
        raise
    return lambda: _flush_and_close(descriptor)


def write_chunks(descriptor: int, offset: int, chunks: Iterable[bytes]) -> int:
    """Write into an open file; returns the offset behind what was written."""
    for together in _pieces(chunks):
        offset = _write_together(descriptor, offset, together)
    return offset


def _pieces(chunks: Iterable[bytes]) -> Iterator[list[memoryview]]:
    """The same bytes, as they are written."""
    piece: list[memoryview] = []
    room = _PIECE
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            part, rest = rest[:room], rest[room:]
            piece.append(part)
            room -= len(part)
            if not room or len(piece) == _MOST_CHUNKS:
                yield piece
                piece, room = [], _PIECE
    if piece:
        yield piece


def _write_together(descriptor: int, offset: int, chunks: Sequence[memoryview]) -> int:
    written = os.pwritev(descriptor, chunks, offset)
    if written == sum(map(len, chunks)):
        return offset + written
    rest, offset = memoryview(b"".join(chunks))[written:], offset + written
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
    return offset


def _flush_and_close(descriptor: int) -> None:
    try:
        with disk_errors():
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
