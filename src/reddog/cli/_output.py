"""What commands print: tables for people, JSON or YAML for programs, and errors with the next step."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ExitCode:
    """The exit codes of every command; they do not change between releases."""

    OK = 0
    ERROR = 1  # the command could not do what it was asked
    USAGE = 2  # wrong arguments
    NOT_RUNNING = 3  # there is no running cloud on this data directory
    NOT_FOUND = 4  # the named thing does not exist


class CommandError(Exception):
    """A command cannot go on: what happened, what to do next, and the exit code."""

    def __init__(self, message: str, remedy: str = "", exit_code: int = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code


def show_error(error: CommandError) -> None:
    """Print an error and its next step to standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]Error:[/]", end=" ")
    console.print(error.message, markup=False)
    if error.remedy:
        console.print(error.remedy, markup=False)


def show_record(record: Mapping[str, Any], output: Format) -> None:
    """Print one record: ``key  value`` lines, or one JSON or YAML document."""
    if output is not Format.TABLE:
        _show_document(dict(record), output)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in record.items():
        table.add_row(key.replace("_", " "), str(value))
    _console().print(table)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Format) -> None:
    """Print many records with the same columns."""
    if output is not Format.TABLE:
        _show_document([dict(row) for row in rows], output)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " ").upper(), overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(column, "")) for column in columns))
    _console().print(table)


def _console() -> Console:
    """The terminal; where there is none, lines are as long as they are, so that programs can read them."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


def _text(value: object) -> str:
    """A value as a cell of a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return str(value)


def _show_document(document: object, output: Format) -> None:
    if output is Format.JSON:
        text = json.dumps(document, indent=2)
    else:
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
