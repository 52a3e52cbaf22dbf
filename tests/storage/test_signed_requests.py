"""Requests that are signed by hand: the versions of 2012 and 2015, the short form, clocks that are off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from azure.storage.blob import ContainerClient

import signing

Sign = Callable[[str, str, str, str, dict[str, str]], str]


def send(
    server,
    method: str,
    name: str = "things/blob",
    query: str = "",
    body: bytes = b"",
    *,
    sign: Sign = signing.shared_key,
    key: str = "",
    **more: str,
) -> tuple[int, dict[str, str], bytes]:
    """A signed request; keywords are headers."""
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2012-02-12", "content-length": str(len(body))}
    headers |= {header.replace("_", "-"): value for header, value in more.items()}
    headers = {header: value for header, value in headers.items() if value}
    path = f"/acct/{name}"
    headers["authorization"] = sign(key or server.keys[0], method, f"/acct{path}", query, headers)
    whole = f"{path}?{query}" if query else path
    return signing.ask(server.ports["blob"], method, whole, headers, body)


@pytest.mark.parametrize("sign", [signing.shared_key, signing.shared_key_lite])
@pytest.mark.parametrize("version", ["2009-09-19", "2012-02-12", "2014-02-14"])
def test_clients_of_the_old_versions_make_and_read_blobs(server, sign: Sign, version: str):
    assert send(server, "PUT", "old", "restype=container", sign=sign, x_ms_version=version)[0] == 201
    status, headers, _ = send(
        server,
        "PUT",
        "old/a%20blob",
        body=b"data",
        sign=sign,
        x_ms_version=version,
        x_ms_blob_type="BlockBlob",
        x_ms_meta_kind="old",
        content_type="text/plain",
    )
    assert (status, headers["x-ms-version"]) == (201, version)
    status, headers, body = send(server, "GET", "old/a%20blob", sign=sign, x_ms_version=version)
    assert (status, body, headers["x-ms-meta-kind"]) == (200, b"data", "old")
    assert headers["content-type"] == "text/plain"
    status, _, body = send(
        server, "GET", "old", "restype=container&comp=list&prefix=a%20", sign=sign, x_ms_version=version
    )
    assert status == 200
    assert b"<Name>a blob</Name>" in body


def test_a_length_of_zero_is_signed_as_nothing_since_2015(server, container: ContainerClient):
    for version, length, expected in (
        ("2014-02-14", "0", 201),
        ("2015-02-21", "", 201),
        ("2015-02-21", "0", 403),
        ("2014-02-14", "", 403),
    ):

        def sign(
            key: str, method: str, resource: str, query: str, headers: dict[str, str], as_=length
        ) -> str:
            return signing.shared_key(key, method, resource, query, {**headers, "content-length": as_})

        found = send(server, "PUT", sign=sign, x_ms_version=version, x_ms_blob_type="BlockBlob")
        assert found[0] == expected, (version, length)


@pytest.mark.parametrize("sign", [signing.shared_key, signing.shared_key_lite])
def test_the_date_may_stand_in_the_date_header(server, container: ContainerClient, sign: Sign):
    found = send(server, "GET", "things", "restype=container", sign=sign, x_ms_date="", date=signing.now())
    assert found[0] == 200


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (lambda now: format_datetime(now - timedelta(minutes=14), usegmt=True), 200),
        (lambda now: format_datetime(now + timedelta(minutes=14), usegmt=True), 200),
        (lambda now: format_datetime(now - timedelta(minutes=16), usegmt=True), 403),
        (lambda now: format_datetime(now + timedelta(minutes=16), usegmt=True), 403),
        (lambda now: "yesterday", 403),
        (lambda now: "Mon, 01 Jan 0001 00:00:00 -2359", 403),
        (lambda now: "", 403),
    ],
)
def test_a_clock_that_is_off_by_a_quarter_of_an_hour_is_refused(server, container, date, expected: int):
    given = date(datetime.now(UTC))
    status, headers, body = send(server, "GET", "things", "restype=container", x_ms_date=given)
    assert status == expected
    if expected == 403:
        assert headers["x-ms-error-code"] == "AuthenticationFailed"
        assert b"date" in body


@pytest.mark.parametrize("sign", [signing.shared_key, signing.shared_key_lite])
@pytest.mark.parametrize("change", ["key", "method", "resource", "header"])
def test_what_was_signed_cannot_be_changed(server, container: ContainerClient, sign: Sign, change: str):
    container.upload_blob("blob", b"1")

    def other(key: str, method: str, resource: str, query: str, headers: dict[str, str]) -> str:
        given = {"key": key, "method": method, "resource": resource}
        given |= {"key": signing.new_key()} if change == "key" else {}
        given |= {"method": "HEAD"} if change == "method" else {}
        given |= {"resource": "/acct/acct/things/other"} if change == "resource" else {}
        signed = {**headers, "x-ms-meta-a": "b"} if change == "header" else headers
        return sign(given["key"], given["method"], given["resource"], query, signed)

    status, headers, _ = send(server, "GET", sign=other)
    assert (status, headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


def test_another_accounts_name_is_refused(server, container: ContainerClient):
    server.storage.ensure_account("other", *server.keys)

    def sign(*arguments) -> str:
        return signing.shared_key(*arguments).replace("SharedKey acct:", "SharedKey other:")

    assert send(server, "GET", "things", "restype=container", sign=sign)[0] == 403


@pytest.mark.parametrize(
    "value",
    ["SharedKey", "SharedKey acct", "SharedKey acct:", "Basic YTpi", "Bearer abc", "SharedKey :=", ""],
)
def test_an_authorization_header_that_is_none_is_refused(server, container, value: str):
    status, headers, _ = send(server, "GET", "things", "restype=container", sign=lambda *_: value)
    assert status in (400, 403)
    assert headers["x-ms-error-code"] in ("InvalidAuthenticationInfo", "AuthenticationFailed")


def test_metadata_of_any_name_is_signed_in_the_clients_order(container: ContainerClient):
    names = ["a_b", "ab", "a1", "a_1", "aB2", "a", "a__", "z9", "_x"]
    metadata = {name: str(number) for number, name in enumerate(names)}
    blob = container.upload_blob("blob", b"1", metadata=metadata)
    assert blob.get_blob_properties().metadata == metadata


def test_the_words_of_a_signature_without_one_open_nothing(server, container):
    path = "/acct/things/blob?sv=2012-02-12&sr=b&sp=r&se=2099-01-01&sig="
    for sig in ("", "AAAA", "%00", "%FF"):
        status, headers, _ = signing.ask(server.ports["blob"], "GET", path + sig, {})
        assert (status, headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


def test_the_account_may_stand_in_the_host_of_a_signed_request(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2012-02-12"}
    headers["host"] = f"acct.blob.core.localhost:{server.ports['blob']}"
    headers["authorization"] = signing.shared_key(server.keys[0], "GET", "/acct/things/blob", "", headers)
    assert signing.ask(server.ports["blob"], "GET", "/things/blob", headers)[::2] == (200, b"1")
