"""``reddog image`` and ``reddog vhd``: platform images and disks to upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from reddog.cli import _running
from reddog.cli._api import connect
from reddog.cli._blobs import writable
from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, Format, show_record, show_rows
from reddog.settings import Settings

app = typer.Typer(help="Build and list platform images.", no_args_is_help=True)
vhd_app = typer.Typer(help="Work with VHD files.", no_args_is_help=True)


def ensure_platform_image(settings: Settings) -> None:
    """Make the platform image that ``reddog up`` offers, unless it is there already.

    :raises CommandError: it cannot be built; the message says what is missing.
    """
    from reddog import images

    try:
        there = images.catalogue(settings.images_dir)
        if any(image.runs_roles or settings.fabric == "simulated" for image in there):
            return
        if settings.fabric == "simulated":
            images.build_blank(settings.images_dir)
            return
    except images.ImageError as error:
        raise CommandError(error.message, error.remedy) from None
    _build(settings)


def _build(settings: Settings) -> Path:
    from reddog import images

    with _progress("Building the platform image") as progress:
        try:
            cache = settings.images_dir / "packages"
            return images.build(settings.images_dir, cache=cache, progress=progress).path
        except images.ImageError as error:
            raise CommandError(error.message, error.remedy) from None


@app.command()
def build(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Build the tiny Linux platform image from Debian packages (no root needed)."""
    from reddog.cli import _data_dir

    directory = resolve(data_dir)
    _data_dir.prepare(directory)
    settings = Settings(directory)
    settings.images_dir.mkdir(mode=0o700, exist_ok=True)
    path = _build(settings)
    show_record({"image": path.stem, "path": str(path), "size": path.stat().st_size}, output)


@app.command("list")
def list_images(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """List the OS images that virtual machines can be created from."""
    with connect(_running.require(resolve(data_dir))) as client:
        rows = [
            {"name": image.name, "label": image.label, "os": image.os, "category": image.category}
            for image in client.list_os_images()
        ]
    show_rows(rows, ["name", "label", "os", "category"], output)


@vhd_app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="A fixed VHD.")],
    media_link: Annotated[
        str, typer.Argument(help="The URL of the page blob to make: .../CONTAINER/NAME.vhd")
    ],
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option(help="Replace a blob that is there.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Upload a fixed VHD as a page blob, sending only the parts that hold data."""
    from reddog import images
    from reddog.vhd import VhdError

    running = _running.require(resolve(data_dir))
    try:
        url, key = writable(media_link, running)
        with _progress(f"Uploading {file.name}") as progress:
            images.upload_vhd(file, url, account_key=key, progress=_mebibytes(progress), overwrite=force)
    except (images.ImageError, VhdError) as error:
        raise CommandError(error.message, error.remedy) from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror or error}.", "Check the path.") from None
    show_record({"media_link": media_link, "size": file.stat().st_size}, output)


def _mebibytes(progress: Callable[[str, float], None]) -> Callable[[int, int], None]:
    return lambda done, total: progress(f"{done >> 20} of {total >> 20} MiB", done / total)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str, float], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[phase]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=1.0, phase="")
        yield lambda phase, done: progress.update(task, completed=done, phase=phase)
