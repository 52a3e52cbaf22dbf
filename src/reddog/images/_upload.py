"""Uploading to storage: a fixed VHD as a page blob, of which only what holds data is sent, and whole files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlencode, urlsplit

import requests

from reddog import vhd
from reddog.images._error import ImageError
from reddog.sparse import data_ranges

_VERSION = "2015-02-21"
_PAGE = 512
_CHUNK = 4 << 20  # the largest write that the service takes
_GAP = 64 << 10  # zeros shorter than this are sent along
_CONNECTIONS = 4
_TIMEOUT = 60.0
_FORM = "Use a URL like http://ACCOUNT.blob.DOMAIN/CONTAINER/NAME.vhd."
_SIGNED = ("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date")
_CONDITIONS = ("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range")


def account_of(media_link: str) -> str:
    """The storage account that a media link is in: the first label of its host, or of its path on an address.

    Raises ImageError for a URL that is no blob's.
    """
    return _split(media_link)[0]


def upload_vhd(
    file: Path,
    media_link: str,
    *,
    account_key: str,
    progress: Callable[[int, int], None],
    overwrite: bool = False,
) -> None:
    """Upload a fixed VHD to its media link; holes and zeros are not sent.

    Args:
        file: The VHD.
        media_link: The URL of the page blob.
        overwrite: Replace a blob that is there.
        account_key: A key of the storage account (base64).
        progress: Told how many bytes of how many are dealt with.

    Raises:
        VhdError: The file is not a whole fixed VHD of whole mebibytes.
        ImageError: The URL, the key or the container is wrong, or the service cannot be reached.
        OSError: The file cannot be read.
    """
    vhd.verify(file)
    total = file.stat().st_size
    blob = _Blob(media_link, account_key)
    try:
        blob.create(total, overwrite=overwrite)
        try:
            _send(file, total, blob, progress)
        except BaseException:
            blob.delete()
            raise
    finally:
        blob.close()


def upload_file(file: Path, url: str, *, account_key: str, overwrite: bool = False) -> None:
    """Upload a file, such as a service package, as a block blob; its container is made if need be.

    Args:
        file: The file; it has to fit into memory.
        url: The URL of the blob.
        account_key: A key of the storage account (base64).
        overwrite: Replace a blob that is there.

    Raises:
        ImageError: The URL or the key is wrong, there is such a blob, or the service cannot be reached.
        OSError: The file cannot be read.
    """
    data = file.read_bytes()
    blob = _Blob(url, account_key)
    try:
        blob.put({"x-ms-blob-type": "BlockBlob"}, data, overwrite=overwrite)
    finally:
        blob.close()


def _send(file: Path, total: int, blob: _Blob, progress: Callable[[int, int], None]) -> None:
    """Send the data in order, a few writes at a time; the footer comes last, so no half is ever a VHD."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            pending = []
            for start, length in _extents(descriptor, total - vhd.FOOTER_SIZE):
                pending.append(
                    (start + length, pool.submit(blob.write, os.pread(descriptor, length, start), start))
                )
                if len(pending) >= 2 * _CONNECTIONS:
                    done, write = pending.pop(0)
                    write.result()
                    progress(done, total)
            for done, write in pending:
                write.result()
                progress(done, total)
        blob.write(os.pread(descriptor, vhd.FOOTER_SIZE, total - vhd.FOOTER_SIZE), total - vhd.FOOTER_SIZE)
        progress(total, total)
    finally:
        os.close(descriptor)


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and length of what holds data, in whole pages and pieces that one write can carry."""
    position = 0
    for begin, finish in data_ranges(descriptor, size):
        begin = max(position, begin // _PAGE * _PAGE)  # noqa: PLW2901
        position = max(begin, min(size, -(-finish // _PAGE) * _PAGE))
        for offset in range(begin, position, _CHUNK):
            length = min(_CHUNK, position - offset)
            yield from _without_zeros(os.pread(descriptor, length, offset), offset)


def _without_zeros(data: bytes, offset: int) -> Iterator[tuple[int, int]]:
    """The parts of the data that are not long runs of zeros."""
    first: int | None = None
    last = 0
    for position in range(0, len(data), _PAGE):
        if data.count(0, position, position + _PAGE) == min(_PAGE, len(data) - position):
            continue
        if first is not None and position - last > _GAP:
            yield offset + first, last - first
            first = None
        first = position if first is None else first
        last = min(position + _PAGE, len(data))
    if first is not None:
        yield offset + first, last - first


class _Blob:
    """A blob that is written with the account's key."""

    def __init__(self, media_link: str, account_key: str) -> None:
        self._account, self._path, self._prefix = _split(media_link)
        self._link = media_link
        try:
            self._key = base64.b64decode(account_key, validate=True)
        except binascii.Error:
            message = "The account key is not base64."
            raise ImageError(message, "Copy the whole key of the storage account.") from None
        self._session = requests.Session()
        self._session.trust_env = False

    def create(self, size: int, *, overwrite: bool) -> None:
        """Make a page blob, all zeros."""
        headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
        self.put(headers, b"", overwrite=overwrite)

    def put(self, headers: Mapping[str, str], data: bytes, *, overwrite: bool) -> None:
        """Make the blob, and its container if need be."""
        if not overwrite:
            headers = {**headers, "If-None-Match": "*"}
        try:
            self._send("PUT", data=data, headers=headers)
        except _ContainerMissing:
            container = self._path[: self._path.index("/", self._prefix)]
            self._send("PUT", {"restype": "container"}, path=container)
            self._send("PUT", data=data, headers=headers)

    def write(self, data: bytes, offset: int) -> None:
        """Write whole pages."""
        span = f"bytes={offset}-{offset + len(data) - 1}"
        self._send("PUT", {"comp": "page"}, data, headers={"x-ms-page-write": "update", "x-ms-range": span})

    def delete(self) -> None:
        """Remove what was made, if that is still possible."""
        try:
            self._send("DELETE")
        except ImageError:
            return

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(
        self,
        method: str,
        query: Mapping[str, str] = MappingProxyType({}),
        data: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        path: str | None = None,
    ) -> None:
        path = path or self._path
        signed = {**headers, "x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
        signed["Content-Length"] = str(len(data))
        signed["Authorization"] = f"SharedKey {self._account}:{self._signature(method, path, query, signed)}"
        url = urlsplit(self._link)._replace(path=path, query=urlencode(query)).geturl()
        try:
            answer = self._session.request(method, url, data=data, headers=signed, timeout=_TIMEOUT)
        except requests.RequestException as error:
            message = (
                f"The storage service at {urlsplit(self._link).netloc} cannot be reached: {_reason(error)}."
            )
            raise ImageError(message, "Start the cloud with `reddog up`, and check the URL.") from None
        if not answer.ok:
            raise self._refused(answer)

    def _signature(self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str]) -> str:
        """Shared Key, as services of this version check it: an absent or zero length is signed as nothing."""
        length = headers["Content-Length"]
        plain = [
            "" if name == "Content-Length" else headers.get(name, "") for name in (*_SIGNED, *_CONDITIONS)
        ]
        plain[_SIGNED.index("Content-Length")] = length if length != "0" else ""
        own = sorted(f"{name.lower()}:{value}" for name, value in headers.items() if name.startswith("x-ms-"))
        resource = f"/{self._account}{path}" + "".join(f"\n{name}:{query[name]}" for name in sorted(query))
        text = "\n".join([method, *plain, *own, resource])
        return base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()

    def _refused(self, answer: requests.Response) -> ImageError:
        code = answer.headers.get("x-ms-error-code", f"{answer.status_code} {answer.reason}")
        message = f"The storage service refused {self._link}: {code}."
        kind = _ContainerMissing if code == "ContainerNotFound" else ImageError
        return kind(message, _REMEDIES.get(answer.status_code, "See the cloud's log for the reason."))


class _ContainerMissing(ImageError):  # noqa: N818 - a state, read as `except _ContainerMissing`
    """The account has no such container."""


_REMEDIES = {
    403: "Check that the key belongs to this storage account.",
    404: "Check the account in the URL.",
    409: "Another blob is at this URL: choose another name, or replace it with --force.",
    412: "The blob is leased, as the disk of a machine or an image: choose another name.",
}


def _reason(error: requests.RequestException) -> str:
    return "it did not answer in time" if isinstance(error, requests.Timeout) else "the connection failed"


def _split(media_link: str) -> tuple[str, str, int]:
    """The account, the path as it is signed, and where in it the container's name begins."""
    try:
        url = urlsplit(media_link)
    except ValueError:
        raise _no_blob(media_link) from None
    host = url.hostname or ""
    parts = [unquote(part) for part in url.path.split("/") if part]
    account, prefix = host.partition(".")[0], 1
    if _is_address(host):
        account, parts = (parts[0], parts[1:]) if parts else ("", [])
        prefix = len(account) + 2
    if url.scheme not in ("http", "https") or not account or len(parts) < 2 or url.query:
        raise _no_blob(media_link)
    return account, url.path, prefix


def _no_blob(link: str) -> ImageError:
    return ImageError(f"{link.partition('?')[0]} is not the URL of a blob.", _FORM)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
