"""``reddog cert``: management certificates."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

import typer

from reddog.cli import _running
from reddog.cli._api import connect
from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, Format, show_record

app = typer.Typer(help="Make and register management certificates.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="File name without its ending.")] = "mycert",
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how many days it is valid.")] = 365,
    force: Annotated[bool, typer.Option(help="Overwrite existing files.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Make a management certificate: NAME.pem for the client and NAME.cer to register."""
    from reddog import pki

    stem = name.removesuffix(".pem").removesuffix(".cer")
    if not Path(stem).name:
        raise CommandError("The certificate needs a name.", "For example: reddog cert create mycert")
    pem, cer = Path(f"{stem}.pem"), Path(f"{stem}.cer")
    taken = [str(path) for path in (pem, cer) if path.exists()]
    if taken and not force:
        raise CommandError(f"{' and '.join(taken)} exist already.", "Choose another name, or use --force.")
    try:
        certificate = pki.create_management_certificate(pem, cer, common_name=pem.stem, days=days)
    except OSError as error:
        raise CommandError(f"{pem} cannot be written: {error.strerror}.", "Choose another place.") from None
    except pki.CertificateError as error:
        raise CommandError(error.message, error.remedy) from None
    show_record({"pem": str(pem), "cer": str(cer), "thumbprint": certificate.thumbprint}, output)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The .cer (or .pem) file; private keys are never sent.")],
    data_dir: DataDir = None,
    output: Output = Format.TABLE,
) -> None:
    """Register a certificate with the running cloud's subscription."""
    from reddog import pki

    try:
        certificate = pki.load_certificate(file)
    except pki.CertificateError as error:
        raise CommandError(error.message, error.remedy) from None
    running = _running.require(resolve(data_dir))
    with connect(running) as client:
        client.add_management_certificate(
            certificate.public_key,
            certificate.thumbprint,
            base64.b64encode(certificate.der).decode(),
        )
    for warning in certificate.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    record = {"subscription_id": running.summary["subscription_id"], "thumbprint": certificate.thumbprint}
    show_record(record, output)
