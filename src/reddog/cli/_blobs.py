"""Blobs of the running cloud, as commands write them."""

from __future__ import annotations

from urllib.parse import quote

from reddog.cli._api import connect
from reddog.cli._output import CommandError
from reddog.cli._running import RunningCloud


def writable(media_link: str, running: RunningCloud) -> tuple[str, str]:
    """The URL at which this machine reaches a blob of the running cloud, and a key of the blob's account.

    A link as on Azure (``ACCOUNT.blob.core.windows.net``) means the local account of that name.

    :raises CommandError: it is no blob's URL.
    """
    from reddog.cloud import AZURE_DOMAIN
    from reddog.storage import BlobUrlError, parse_url

    try:
        address = parse_url(media_link, (running.summary["storage_domain"], AZURE_DOMAIN))
    except BlobUrlError as error:
        example = f"{running.summary['blob_endpoint']}/ACCOUNT/CONTAINER/NAME.vhd"
        raise CommandError(error.message, f"In this cloud, blobs are at {example}") from None
    with connect(running) as client:
        keys = client.get_storage_account_keys(address.account).storage_service_keys
    path = quote(f"{address.account}/{address.container}/{address.blob}")
    return f"{running.summary['blob_endpoint']}/{path}", str(keys.primary) if keys is not None else ""
