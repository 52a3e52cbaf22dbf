"""The record of a running cloud that ``reddog up`` leaves in the data directory for the other commands."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reddog.cli._options import hint
from reddog.cli._output import CommandError, ExitCode
from reddog.profile import ProfileError, read_profile


@dataclass(frozen=True)
class RunningCloud:
    """A cloud that runs: its process and what it tells its users (see ``reddog up --output json``)."""

    pid: int
    process_start: str  # tells a process from a later one with the same number
    summary: Mapping[str, Any]

    def is_alive(self) -> bool:
        """Whether that very process still exists."""
        return _process_start(self.pid) == self.process_start


def record(data_dir: Path, summary: Mapping[str, Any]) -> None:
    """Write down that this process runs the cloud of the data directory."""
    running = {"pid": os.getpid(), "process_start": _process_start(os.getpid()), "summary": dict(summary)}
    temporary = _path(data_dir).with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(running, indent=2))
    temporary.replace(_path(data_dir))


def forget(data_dir: Path) -> None:
    """Remove the record, if it is there."""
    _path(data_dir).unlink(missing_ok=True)


def find(data_dir: Path) -> RunningCloud | None:
    """The cloud that runs on the data directory, or ``None``."""
    try:
        running = RunningCloud(**json.loads(_path(data_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.is_alive() else None


def require(data_dir: Path) -> RunningCloud:
    """The cloud that runs on the data directory.

    :raises CommandError: none does (exit code 3).
    """
    running = find(data_dir)
    if running is None:
        raise CommandError(
            f"No cloud is running on {data_dir}.",
            f"Start one with: reddog up{hint(data_dir)}{_other(data_dir)}",
            ExitCode.NOT_RUNNING,
        )
    return running


def _other(data_dir: Path) -> str:
    """Names the cloud that programs find by themselves, if it runs on another data directory."""
    try:
        profile = read_profile()
    except ProfileError:
        return ""
    if profile is None or Path(profile.data_dir) == data_dir or find(Path(profile.data_dir)) is None:
        return ""
    return f"\nOr use the one that is running: --data-dir {shlex.quote(profile.data_dir)}"


def _path(data_dir: Path) -> Path:
    return data_dir / "running.json"


def _process_start(pid: int) -> str:
    """The start time of a process in clock ticks since boot, or an empty string when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
