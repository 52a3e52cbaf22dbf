"""Where a blob is: account, container and name, as URLs say it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from reddog.storage._errors import BlobUrlError

SERVICES = ("blob", "table", "queue", "file")
LONGEST_BLOB_NAME = 1024
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$root|\$logs|\$web|(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*")


@dataclass(frozen=True)
class BlobAddress:
    """A blob, or where one could be."""

    account: str
    container: str
    blob: str


def is_account_name(name: str) -> bool:
    """Whether a storage account may have that name."""
    return _ACCOUNT.fullmatch(name) is not None


def is_container_name(name: str) -> bool:
    """Whether a container may have that name."""
    return _CONTAINER.fullmatch(name) is not None


def account_in_host(host: str, domains: Sequence[str]) -> str | None:
    """The account in a host name such as ``ACCOUNT.blob.DOMAIN``; None where there is none."""
    name = host.lower().rstrip(".")
    for domain in domains:
        if not name.endswith(f".{domain}"):
            continue
        account, _, service = name[: -len(domain) - 1].partition(".")
        if service in SERVICES and is_account_name(account.removesuffix("-secondary")):
            return account.removesuffix("-secondary")
    return None


def parse_url(url: str, domains: Sequence[str]) -> BlobAddress:
    """Read a blob's URL: ``http://ACCOUNT.blob.DOMAIN/CONTAINER/BLOB`` or ``http://IP:PORT/ACCOUNT/CONTAINER/BLOB``.

    :raises BlobUrlError: it is none of a blob in one of the domains.
    """
    shown = url.partition("?")[0][:200]  # what follows may hold a signature
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise BlobUrlError(f"{shown!r} is not a URL.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BlobUrlError(f"{shown!r} is not an http or https URL.")
    path = [unquote(part) for part in parts.path.lstrip("/").split("/")]
    account = account_in_host(host, domains)
    if account is None and _is_local(host):
        account = path.pop(0)
    if account is None or not is_account_name(account):
        known = " or ".join(f"ACCOUNT.blob.{domain}" for domain in domains)
        raise BlobUrlError(f"{shown!r} names no storage account of this cloud. Its host should be {known}.")
    return _address(shown, account, path)


def _address(url: str, account: str, path: list[str]) -> BlobAddress:
    container, blob = (path[0], "/".join(path[1:])) if len(path) > 1 else ("$root", path[0] if path else "")
    if not is_container_name(container):
        raise BlobUrlError(f"{url!r} has the container name {container!r}, which is not valid.")
    if not blob or len(blob) > LONGEST_BLOB_NAME or "\0" in blob:
        raise BlobUrlError(f"{url!r} names no blob. It should end with /CONTAINER/BLOB.")
    return BlobAddress(account, container, blob)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
