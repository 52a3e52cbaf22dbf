"""The ``reddog`` command: which commands there are, and how they end."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from reddog.cli import _cert_commands, _cloud_commands, _images_commands, _package_commands, _vm_commands
from reddog.cli._doctor import doctor
from reddog.cli._output import CommandError, show_error

app = typer.Typer(
    name="reddog",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"reddog {version('reddog')}")
        raise typer.Exit


@app.callback()
def common(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """The classic Azure Service Management API on your own machine."""


app.command()(_cloud_commands.up)
app.command()(_cloud_commands.down)
app.command()(_cloud_commands.status)
app.command()(doctor)
app.command()(_cloud_commands.reset)
app.command(hidden=True)(_cloud_commands.serve)
app.add_typer(_cert_commands.app, name="cert")
app.add_typer(_images_commands.app, name="image")
app.add_typer(_images_commands.vhd_app, name="vhd")
app.add_typer(_package_commands.app, name="package")
app.add_typer(_vm_commands.app, name="vm")


def main() -> None:
    """Run the ``reddog`` command and exit with its code (see ``ExitCode``)."""
    try:
        app()
    except CommandError as error:
        show_error(error)
        sys.exit(error.exit_code)
