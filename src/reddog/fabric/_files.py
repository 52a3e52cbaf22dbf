"""Files that appear whole: private, atomic, sparse."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from reddog.durable import sync_directory, sync_file
from reddog.fabric.compute import MachineError


def private_dir(path: Path) -> Path:
    """Make the directory 0700; an existing one is tightened."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def partial(target: Path) -> Path:
    """Where `target` grows until it is whole; deterministic, so that a repetition finds what a crash left."""
    return target.with_name(f".{target.name}.partial")


def create_private(path: Path) -> int:
    """Open a new, empty file that only its owner may read."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace the file's content at once, 0600. durable: it survives a power cut when this returns."""
    draft = partial(path)
    descriptor = create_private(draft)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    if durable:
        sync_directory(path.parent)


def publish(target: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` write a draft, then let it appear as `target`; after a failure nothing is left.

    :raises MachineError: NoSpace.
    """
    draft = partial(target)
    try:
        fill(draft)
        sync_file(draft)
        draft.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise disk_error(error, target) from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def disk_error(error: OSError, path: Path) -> MachineError:
    """What a failed file operation is called."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(
            "NoSpace", f"There is no space left for {path}.", "Free some disk space and try again."
        )
    if error.errno == errno.ENOENT:
        return MachineError("DiskMissing", f"There is no file {error.filename or path}.")
    return MachineError("DriverFailed", f"{path}: {error.strerror or error}.")


def hold_directory(path: Path) -> int:
    """Take the directory for one driver alone, until the returned descriptor is closed.

    :raises MachineError: DriverFailed when another driver holds it.
    """
    descriptor = os.open(private_dir(path) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise MachineError(
            "DriverFailed",
            f"The machines in {path} are in the hands of another driver.",
            "Stop the other cloud (or close its driver) first.",
        ) from error
    return descriptor
