"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from reddog.store._errors import StoreError


class DirectoryLock:
    """Holds a data directory until `release`, or until the process ends in whatever way.

    Args:
        directory: An existing directory. The file `lock` in it names the holder's process id.

    Raises:
        StoreError: Another cloud, of this or another process, holds it.
    """

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StoreError(
                f"{directory} is in use by the process with pid {holder}.",
                "Stop that process, or choose another directory with --data-dir.",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the directory."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
