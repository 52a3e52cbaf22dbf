"""``reddog up``, ``down``, ``status`` and ``reset``: the life of a cloud."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from reddog.cli import _power, _running, _serve
from reddog.cli._images_commands import ensure_platform_image
from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, Format, show_record, show_rows
from reddog.cli._power import require_driver
from reddog.settings import Settings, SettingsError, load

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; anything but loopback exposes the cloud.")
]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the management endpoint; 0: any.")]
StoragePort = Annotated[
    int | None,
    typer.Option(min=0, max=65533, help="Port of the blob endpoint; table and queue take the next two."),
]
Fabric = Annotated[str | None, typer.Option(help="What runs virtual machines: qemu or simulated.")]


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
    _serve.prepare_data_dir(directory)
    settings = _settings(directory, host=host, port=port, storage_port=storage_port, fabric=fabric)
    if running := _running.find(directory):
        raise CommandError(
            f"A cloud is already running on {directory} (process {running.pid}).",
            "Use it (`reddog status`), stop it (`reddog down`), or choose another --data-dir.",
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
) -> None:
    """Delete everything in the cloud: services, machines, storage, certificates."""
    directory = resolve(data_dir)
    if not directory.exists():
        return
    if (
        not (directory / "cloud.db").exists()
        and any(directory.iterdir())
        and not (directory / "images").exists()
    ):
        raise CommandError(f"{directory} is not a reddog data directory.", "Nothing was deleted.")
    if not yes and not typer.confirm(f"Delete everything in {directory}?"):
        raise CommandError("Nothing was deleted.")
    if running := _running.find(directory):
        _serve.stop(running)
    _power.stop_machines(_settings(directory), graceful=False)
    _empty(directory, keep={"images"} if keep_images else set())


def _empty(directory: Path, keep: set[str]) -> None:
    for entry in directory.iterdir():
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _settings(directory: Path, **options: Any) -> Settings:
    try:
        return load(directory, **options)
    except SettingsError as error:
        raise CommandError(str(error)) from None


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
    stop = (
        "reddog down" if detached else "Ctrl-C (virtual machines keep running; `reddog down` stops them too)"
    )
    console.print(f"Stop it with: {stop}")


def _snippet(summary: Mapping[str, Any]) -> str:
    return (
        "    from azure.servicemanagement import *\n\n"
        f"    sms = ServiceManagementService({summary['subscription_id']!r},\n"
        f"                                   {summary['certificate']!r})\n"
        "    for location in sms.list_locations():\n"
        "        print(location.name)\n"
    )
