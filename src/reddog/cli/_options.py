"""The options that several commands share."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from reddog.cli._output import Format

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="REDDOG_DATA_DIR", help="The directory that holds the cloud's state."),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]


def hint(directory: Path) -> str:
    """The option that names this directory to a command, where it is not the one that is meant anyway."""
    named = os.environ.get("REDDOG_DATA_DIR")
    meant = resolve(Path(named) if named else None)
    return "" if directory == meant else f" --data-dir {shlex.quote(str(directory))}"


def resolve(data_dir: Path | None) -> Path:
    """The data directory that was asked for, or the user's default one."""
    return (data_dir or Path(platformdirs.user_data_dir("reddog"))).expanduser().resolve()
