"""The ``reddog`` command: which commands there are, and how they end."""

from __future__ import annotations

import sys

import typer

from reddog.cli import _cert_commands, _cloud_commands, _images_commands, _package_commands, _vm_commands
from reddog.cli._doctor import doctor
from reddog.cli._output import CommandError, show_error

app = typer.Typer(
    name="reddog",
    help="The classic Azure Service Management API on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
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
