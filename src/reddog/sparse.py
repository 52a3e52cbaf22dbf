"""Sparse files: copied without their holes, and looked into for where they hold data."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # share the extents, on file systems that can


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file, sharing extents where the file system can, else only the parts that hold data.

    `target` is made 0600, or replaced. Nothing is flushed to the disk here.
    """
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            size = os.fstat(read.fileno()).st_size
            os.ftruncate(write.fileno(), size)
            for start, end in data_ranges(read.fileno(), size):
                _copy_range(read.fileno(), write.fileno(), start, end)


def data_ranges(descriptor: int, size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """The stretches of a file, from `start` up to `size`, that are not holes: where each begins and ends."""
    end = start
    while end < size:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: there is no more data
            return
        if begin >= size:
            return
        end = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
        yield begin, end


def _copy_range(read: int, write: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(read, min(_CHUNK, end - start), start)
        if not data:
            return
        if data.count(0) != len(data):
            os.pwrite(write, data, start)
        start += len(data)
