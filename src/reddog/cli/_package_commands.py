"""``reddog package``: service packages, made, looked at and uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reddog.cli import _running
from reddog.cli._blobs import writable
from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, ExitCode, Format, show_record, show_rows

app = typer.Typer(help="Make, look at and upload service packages (.cspkg).", no_args_is_help=True)


@app.command()
def build(
    source: Annotated[Path, typer.Argument(help="A service definition (.csdef), or the directory it is in.")],
    target: Annotated[Path, typer.Option("--output-file", "-o", help="The package to make.")],
    role: Annotated[
        list[str] | None, typer.Option(help="NAME=DIRECTORY: a role's files are in another directory.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", help="How to print the result.")] = Format.TABLE,
) -> None:
    """Make a package of a service definition and the directories of its roles."""
    from reddog import packages

    try:
        found = packages.build(_definition(source), target, dict(_directory(one) for one in role or ()))
    except packages.PackageError as error:
        raise CommandError(error.message, error.remedy) from None
    names = ", ".join(one.name for one in found.roles)
    show_record({"package": str(target), "service": found.name, "roles": names}, output)


@app.command()
def show(package: Annotated[Path, typer.Argument(help="A package.")], output: Output = Format.TABLE) -> None:
    """List the roles of a package, and what each starts."""
    from reddog import packages

    try:
        with packages.Package(package) as found:
            rows = [
                {
                    "role": role.name,
                    "kind": role.kind,
                    "size": role.vm_size,
                    "command": role.command_line or "",
                    "endpoints": ", ".join(f"{one.name} {one.port or ''}".strip() for one in role.endpoints),
                    "files": len(found.files(role.name)),
                }
                for role in found.definition.roles
            ]
    except packages.PackageError as error:
        raise CommandError(f"{package} cannot be used. {error.message}", error.remedy) from None
    except OSError as error:
        raise CommandError(
            f"{package} cannot be read: {error.strerror or error}.", "Check the path."
        ) from None
    show_rows(rows, ["role", "kind", "size", "command", "endpoints", "files"], output)


@app.command()
def upload(
    package: Annotated[Path, typer.Argument(help="A package.")],
    url: Annotated[str, typer.Argument(help="The URL of the blob to make: .../CONTAINER/NAME.cspkg")],
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option(help="Replace a blob that is there.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Upload a package to storage, from where it can be deployed."""
    from reddog import images

    running = _running.require(resolve(data_dir))
    try:
        where, key = writable(url, running)
        images.upload_file(package, where, account_key=key, overwrite=force)
    except images.ImageError as error:
        raise CommandError(error.message, error.remedy) from None
    except OSError as error:
        raise CommandError(
            f"{package} cannot be read: {error.strerror or error}.", "Check the path."
        ) from None
    show_record({"package_url": url, "size": package.stat().st_size}, output)


def _definition(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = sorted(source.glob("*.csdef"))
    if len(found) != 1:
        message = f"{source} holds {len(found)} service definitions."
        raise CommandError(message, "Name the .csdef file.", ExitCode.NOT_FOUND)
    return found[0]


def _directory(given: str) -> tuple[str, Path]:
    name, separator, directory = given.partition("=")
    if not separator:
        raise CommandError(f"{given!r} is not NAME=DIRECTORY.", "Write --role Web=site", ExitCode.USAGE)
    return name, Path(directory)
