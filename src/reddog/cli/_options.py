"""The options that several commands share."""

from __future__ import annotations

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


def resolve(data_dir: Path | None) -> Path:
    """The data directory that was asked for, or the user's default one."""
    return (data_dir or Path(platformdirs.user_data_dir("reddog"))).expanduser().absolute()
