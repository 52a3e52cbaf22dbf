"""``reddog up``, ``down``, ``status`` and ``reset``: the life of a cloud."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from reddog.cli import _data_dir, _power, _running, _serve
from reddog.cli._images_commands import ensure_platform_image
from reddog.cli._options import DataDir, Output, hint, resolve
from reddog.cli._output import CommandError, Format, show_record, show_rows
from reddog.cli._power import require_driver
from reddog.settings import Settings, SettingsError, load

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; anything but loopback exposes the cloud.")
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port of the management endpoint; by default the last start's, else 8443, else a free one.",
    ),
]
StoragePort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65533,
        help="Port of the blob endpoint, by default the last start's, else 10000, else a free one; table and queue "
        "take the next two.",
    ),
]


class FabricName(StrEnum):
    """What runs virtual machines."""

    QEMU = "qemu"
    SIMULATED = "simulated"


Fabric = Annotated[FabricName | None, typer.Option(help="What runs virtual machines.")]


def up(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    storage_port: StoragePort = None,
    fabric: Fabric = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Start a cloud on this machine and print how to use it."""
    directory = resolve(data_dir)
    _serve.keep_to_oneself()
    _data_dir.prepare(directory)
    settings = _settings(directory, host=host, port=port, storage_port=storage_port, fabric=fabric)
    if running := _running.find(directory):
        raise CommandError(
            f"A cloud is already running on {directory} (process {running.pid}).",
            f"Use it (`reddog status{hint(directory)}`), stop it (`reddog down{hint(directory)}`), "
            "or choose another --data-dir.",
        )
    require_driver(settings)
    ensure_platform_image(settings)
    if detach:
        _announce(_serve.run_detached(settings, _arguments(settings)), output, detached=True)
    else:
        _serve.run_foreground(settings, lambda summary: _announce(summary, output, detached=False))


def serve(
    data_dir: DataDir = None,
    ready_fd: Annotated[int, typer.Option()] = 1,
    host: Host = None,
    port: Port = None,
    storage_port: StoragePort = None,
    fabric: Fabric = None,
) -> None:
    """Run a cloud for ``reddog up --detach``, answering on a file descriptor."""
    ready, failed = _serve.answer_on(ready_fd)
    try:
        settings = _settings(
            resolve(data_dir), host=host, port=port, storage_port=storage_port, fabric=fabric
        )
        _serve.run_foreground(settings, ready)
    except CommandError as error:
        failed(error)
        raise


def down(
    data_dir: DataDir = None,
    keep_vms: Annotated[
        bool, typer.Option("--keep-vms", help="Leave virtual machines running; the next `up` adopts them.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Stop the cloud and its virtual machines; the next `up` starts them again."""
    directory = resolve(data_dir)
    running = _running.find(directory)
    if running:
        _serve.stop(running)
    stopped = [] if keep_vms else _power.stop_machines(_settings(directory))
    if running is None and not stopped:
        _running.require(directory)
    show_record({"stopped": str(directory), "virtual_machines_stopped": len(stopped)}, output)


def status(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Show where the cloud is and what it runs."""
    running = _running.require(resolve(data_dir))
    from reddog.cli._inventory import machines

    rows = machines(running)
    if output is not Format.TABLE:
        show_record({**running.summary, "pid": running.pid, "virtual_machines": rows}, output)
        return
    show_record({**running.summary, "pid": running.pid}, output)
    if rows:
        sys.stdout.write("\n")
        show_rows(
            rows, ["service", "deployment", "name", "status", "power", "virtual_ip", "endpoints"], output
        )


def reset(
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_images: Annotated[bool, typer.Option(help="Keep the platform images that were built.")] = True,
    output: Output = Format.TABLE,
) -> None:
    """Delete everything in the cloud: services, machines, storage, certificates."""
    directory = resolve(data_dir)
    _data_dir.require_state(directory)
    if not yes and not typer.confirm(f"Delete everything in {directory}?"):
        raise CommandError("Nothing was deleted.")
    if running := _running.find(directory):
        _serve.stop(running)
    _power.stop_machines(_settings(directory), graceful=False)
    _data_dir.clear(directory, keep_images=keep_images)
    show_record({"emptied": str(directory), "next": f"reddog up{hint(directory)}"}, output)


def _settings(directory: Path, **options: Any) -> Settings:
    try:
        return load(directory, **{name: _plain(value) for name, value in options.items()})
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


def _arguments(settings: Settings) -> list[str]:
    return [
        *("--data-dir", str(settings.data_dir)),
        *("--host", settings.host),
        *("--port", str(settings.port)),
        *("--storage-port", str(settings.storage_port)),
        *("--fabric", settings.fabric),
    ]


def _announce(summary: Mapping[str, Any], output: Format, *, detached: bool) -> None:
    if output is not Format.TABLE:
        show_record(summary, output)
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold green]Your cloud is up.[/]\n")
    show_record(summary, output)
    console.print("\nTry it:\n")
    console.print(_snippet(summary), markup=False)
    stop = f"reddog down{hint(Path(summary['data_dir']))}"
    if not detached:
        stop = f"Ctrl-C (virtual machines keep running; `{stop}` stops them too)"
    console.print(f"Stop it with: {stop}", markup=False)


def _snippet(summary: Mapping[str, Any]) -> str:
    return (
        "    from azure.servicemanagement import *\n\n"
        f"    sms = ServiceManagementService({summary['subscription_id']!r},\n"
        f"                                   {summary['certificate']!r})\n"
        "    for location in sms.list_locations():\n"
        "        print(location.name)\n"
    )
