"""``reddog vm``: reaching virtual machines by hand."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from reddog.cli import _running, _terminal
from reddog.cli._inventory import find_machine, machines
from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, ExitCode, Format, show_rows

app = typer.Typer(help="Reach virtual machines: list, console, ssh.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The role's name, or SERVICE/ROLE.")]


@app.command("list")
def list_machines(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """List the virtual machines of the cloud."""
    rows = machines(_running.require(resolve(data_dir)))
    show_rows(rows, ["service", "deployment", "name", "status", "power", "virtual_ip", "endpoints"], output)


@app.command()
def console(
    name: Name,
    data_dir: DataDir = None,
    log: Annotated[
        bool, typer.Option("--log", help="Print what the console has shown so far, and end.")
    ] = False,
) -> None:
    """Use a machine's serial console (leave it with Ctrl-])."""
    from reddog.cloud import CloudError, machine_console

    directory = resolve(data_dir)
    row = find_machine(_running.require(directory), name)
    try:
        machine = machine_console(directory, row["service"], row["deployment"], row["name"])
    except CloudError as error:
        raise CommandError(error.message, error.remedy) from None
    if log or machine.socket is None or not sys.stdin.isatty():
        sys.stdout.buffer.write(machine.log())
        sys.stdout.flush()
        return
    sys.stdout.buffer.write(machine.log()[-4096:])
    _terminal.attach(machine.socket)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def ssh(
    context: typer.Context,
    name: Name,
    user: Annotated[str | None, typer.Option("--user", "-l", help="User name in the machine.")] = None,
    data_dir: DataDir = None,
    show: Annotated[bool, typer.Option("--print", help="Print the command instead of running it.")] = False,
) -> None:
    """Log in over SSH; what follows NAME goes to ssh."""
    directory = resolve(data_dir)
    row = find_machine(_running.require(directory), name)
    command = ssh_command(row, user, directory, context.args)
    if show:
        typer.echo(shlex.join(command))
        return
    if shutil.which("ssh") is None:
        raise CommandError("There is no ssh on this machine.", "Install it: apt install openssh-client")
    os.execvp("ssh", command)  # noqa: S606 - takes the place of this process


def ssh_command(row: dict[str, Any], user: str | None, data_dir: Path, arguments: list[str]) -> list[str]:
    """The ssh command line for a machine with an endpoint to its port 22.

    :raises CommandError: the machine has no such endpoint (exit code 4).
    """
    for endpoint in row["endpoints"].values():
        address, _, target = endpoint.partition("->")
        if target == "22/tcp":
            host, _, port = address.rpartition(":")
            known_hosts = f'UserKnownHostsFile="{data_dir / "known_hosts"}"'
            login = ["-l", user] if user else []
            trust = ["-o", known_hosts, "-o", "StrictHostKeyChecking=accept-new"]
            alias = ["-o", f"HostKeyAlias={row['service']}.{row['deployment']}.{row['name']}"]
            return ["ssh", "-p", port, *login, *trust, *alias, host, *arguments]
    raise CommandError(
        f"{row['name']} has no endpoint for port 22, so nothing outside can reach its SSH.",
        "Create it with a network_config that opens port 22, or use: reddog vm console " + row["name"],
        ExitCode.NOT_FOUND,
    )
