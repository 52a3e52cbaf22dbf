"""The data directory: claimed for one cloud, and emptied without touching what is somebody else's."""

from __future__ import annotations

import shutil
from pathlib import Path

from reddog.cli._output import CommandError, ExitCode

KEPT = ("images", "reddog.toml")  # what a reset leaves: built images, and the user's own settings
STATE = (
    *("cloud.db", "cloud.db-shm", "cloud.db-wal", "lock", "logs", "machines", "pki", "ports.json"),
    *("power-cycles", "roles", "running.json", "storage", "known_hosts"),
)


def prepare(directory: Path) -> None:
    """Make the data directory, or check that it is one, and keep other users out of it.

    :raises CommandError: it cannot be made or written, or holds what is not a cloud's.
    """
    try:
        foreign = _names(directory) - {*KEPT, *STATE}
        if foreign and not (directory / "cloud.db").exists():
            raise CommandError(
                f"{directory} is not empty, and not a reddog data directory: it holds {sorted(foreign)[0]}.",
                "Choose an empty or a new one with --data-dir.",
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise CommandError(
            f"The data directory {directory} cannot be used: {error.strerror}.",
            "Choose one that you may write to with --data-dir.",
        ) from None


def require_state(directory: Path) -> None:
    """Make sure that there is a cloud's state to be deleted.

    :raises CommandError: there is none (exit code 4).
    """
    if not (directory / "cloud.db").exists():
        message = f"{directory} is not a reddog data directory, so nothing was deleted."
        raise CommandError(message, "Name the right one with --data-dir.", ExitCode.NOT_FOUND)


def clear(directory: Path, *, keep_images: bool) -> None:
    """Delete a cloud's state and nothing else."""
    for name in (*STATE, *(() if keep_images else ("images",))):
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()} if directory.exists() else set()
