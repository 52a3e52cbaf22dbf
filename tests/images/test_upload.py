"""Uploading VHDs, to a small page blob service that checks signatures as the specification of Shared Key says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from reddog import images, vhd

MIB = 1 << 20
KEY = base64.b64encode(bytes(range(64))).decode()


class _Pages(BaseHTTPRequestHandler):
    """One account's page blobs, in memory."""

    protocol_version = "HTTP/1.1"
    server: Service

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        if not self._signed():
            self._answer(403, "AuthenticationFailed")
        elif self.server.failure is not None:
            self._answer(*self.server.failure)
        elif dict(parse_qsl(url.query)).get("comp") == "page":
            first, last = map(int, re.findall(r"\d+", self.headers["x-ms-range"]))
            assert (first % 512, last % 512, last - first + 1) == (0, 511, len(data))
            assert len(data) <= 4 * MIB
            self.server.blobs[url.path][first : last + 1] = data
            self.server.sent.append(len(data))
            self._answer(201)
        else:
            assert self.headers["x-ms-blob-type"] == "PageBlob"
            self.server.blobs[url.path] = bytearray(int(self.headers["x-ms-blob-content-length"]))
            self._answer(201)
            self.server.failure = self.server.later

    def do_DELETE(self) -> None:
        self.server.blobs.pop(self.path, None)
        self._answer(202)

    def _signed(self) -> bool:
        names = ["Encoding", "Language", "Length", "MD5", "Type"]
        plain = [self.headers.get(f"Content-{name}", "") for name in names]
        plain[2] = "" if plain[2] == "0" else plain[2]
        conditions = [
            "Date",
            "If-Modified-Since",
            "If-Match",
            "If-None-Match",
            "If-Unmodified-Since",
            "Range",
        ]
        plain += [self.headers.get(name, "") for name in conditions]
        own = sorted(f"{k.lower()}:{v}" for k, v in self.headers.items() if k.lower().startswith("x-ms-"))
        url = urlsplit(self.path)
        resource = [f"/acme{url.path}", *(f"{name}:{value}" for name, value in parse_qsl(url.query))]
        text = "\n".join([self.command, *plain, *own, *resource])
        digest = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        return self.headers["Authorization"] == f"SharedKey acme:{base64.b64encode(digest).decode()}"

    def _answer(self, status: int, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if code:
            self.send_header("x-ms-error-code", code)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.blobs: dict[str, bytearray] = {}
        self.sent: list[int] = []
        self.failure: tuple[int, str] | None = None
        self.later: tuple[int, str] | None = None

    def link(self, path: str = "/vhds/my%20disk.vhd") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/acme{path}"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse VHD of 32 MiB: data at both ends, zeros that are no hole, and pieces longer than one write."""
    path = tmp_path / "disk.vhd"
    with path.open("wb") as file:
        file.write(b"first")
        file.seek(7 * MIB + 100)
        file.write(os.urandom(9 * MIB))
        file.seek(20 * MIB)
        file.write(bytes(2 * MIB) + b"x" + bytes(300_000) + b"y")
        file.seek(32 * MIB - 1)
        file.write(b"z")
    vhd.write_footer(path)
    return path


def upload(file: Path, link: str, key: str = KEY) -> list[tuple[int, int]]:
    heard: list[tuple[int, int]] = []
    images.upload_vhd(file, link, account_key=key, progress=lambda done, total: heard.append((done, total)))
    return heard


def test_a_disk_arrives_whole_and_its_zeros_stay_at_home(service: Service, disk: Path) -> None:
    heard = upload(disk, service.link())
    assert service.blobs["/acme/vhds/my%20disk.vhd"] == disk.read_bytes()
    assert sum(service.sent) < 10 * MIB
    size = disk.stat().st_size
    assert heard == sorted(heard)
    assert heard[-1] == (size, size)


def test_an_empty_disk_is_sent_as_its_footer(service: Service, tmp_path: Path) -> None:
    upload(images.build_blank(tmp_path).path, service.link())
    assert service.sent == [512]


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        ((404, "ResourceNotFound"), "Check the account"),
        ((409, "LeaseIdMissing"), "another name"),
        ((412, "LeaseIdMissing"), "leased"),
        ((500, "InternalError"), "log"),
    ],
)
def test_a_refusal_is_told_with_the_next_step(
    service: Service, disk: Path, failure: tuple[int, str], remedy: str
) -> None:
    service.failure = failure
    with pytest.raises(images.ImageError, match=failure[1]) as caught:
        upload(disk, service.link())
    assert remedy in caught.value.remedy


def test_an_upload_that_fails_leaves_nothing(service: Service, disk: Path) -> None:
    service.later = (500, "InternalError")
    with pytest.raises(images.ImageError, match="InternalError"):
        upload(disk, service.link())
    assert service.blobs == {}


def test_a_wrong_key_is_refused_and_not_repeated(service: Service, disk: Path) -> None:
    wrong = base64.b64encode(b"wrong").decode()
    for key in (wrong, "not base64!"):
        with pytest.raises(images.ImageError, match=r"key|AuthenticationFailed") as caught:
            upload(disk, service.link(), key)
        assert key not in str(caught.value)


def test_a_service_that_is_not_there_is_named(disk: Path) -> None:
    with Service() as gone:
        link = gone.link()
    with pytest.raises(images.ImageError, match=r"127\.0\.0\.1"):
        upload(disk, link)


def test_what_is_no_fixed_vhd_is_refused_before_anything_is_sent(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(bytes(MIB))
    with pytest.raises(vhd.VhdError):
        upload(path, service.link())
    assert service.blobs == {}


@pytest.mark.parametrize(
    ("link", "account"),
    [
        ("http://acme.blob.core.localhost:10000/vhds/a.vhd", "acme"),
        ("https://acme.blob.core.windows.net/vhds/deep/a.vhd", "acme"),
        ("http://127.0.0.1:10000/acme/vhds/a.vhd", "acme"),
        ("http://[::1]:10000/acme/vhds/a.vhd", "acme"),
        ("http://localhost:10000/acme/vhds/a.vhd", "acme"),
    ],
)
def test_the_account_is_read_off_the_link(link: str, account: str) -> None:
    assert images.account_of(link) == account


@pytest.mark.parametrize(
    "link",
    [
        "",
        "a.vhd",
        "ftp://acme.blob.x/vhds/a.vhd",
        "http://acme.blob.x/a.vhd",
        "http://127.0.0.1/acme/a.vhd",
        "http://acme.blob.x/vhds/a.vhd?sig=x",
        "http://[broken/vhds/a.vhd",
    ],
)
def test_a_link_to_no_blob_is_refused(link: str) -> None:
    with pytest.raises(images.ImageError, match="not the URL of a blob"):
        images.account_of(link)
