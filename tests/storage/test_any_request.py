"""Whatever is asked, the answer is the service's, and never its breakdown."""

from __future__ import annotations

import socket
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_from_bytes, unquote

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import signing

COMPS = (
    *("list", "properties", "metadata", "acl", "lease", "snapshot", "block", "blocklist", "page"),
    "nonsense",
)
# Method, what it is for, comp, and headers with which it is a good request.
REQUESTS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("GET", "", "list", {}),
    ("GET", "service", "properties", {}),
    ("PUT", "service", "properties", {}),
    ("PUT", "container", "", {}),
    ("GET", "container", "", {}),
    ("GET", "container", "list", {}),
    ("GET", "container", "acl", {}),
    ("PUT", "container", "acl", {}),
    ("PUT", "container", "metadata", {"x-ms-meta-a": "b"}),
    ("PUT", "container", "lease", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "15"}),
    ("GET", "", "", {}),
    ("GET", "", "", {"x-ms-range": "bytes=0-2", "x-ms-range-get-content-md5": "true"}),
    ("HEAD", "", "", {}),
    ("DELETE", "", "", {"x-ms-delete-snapshots": "include"}),
    ("PUT", "", "", {"x-ms-blob-type": "BlockBlob"}),
    ("PUT", "", "", {"x-ms-blob-type": "AppendBlob"}),
    ("PUT", "", "", {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "1024"}),
    ("PUT", "", "", {"x-ms-copy-source": "http://127.0.0.1/acct/things/block"}),
    ("PUT", "", "metadata", {"x-ms-meta-a": "b"}),
    ("PUT", "", "properties", {"x-ms-blob-content-type": "text/plain"}),
    ("PUT", "", "properties", {"x-ms-blob-content-length": "2048"}),
    ("PUT", "", "properties", {"x-ms-sequence-number-action": "increment"}),
    ("PUT", "", "lease", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}),
    ("PUT", "", "lease", {"x-ms-lease-action": "break"}),
    ("PUT", "", "snapshot", {}),
    ("PUT", "", "block", {}),
    ("PUT", "", "blocklist", {}),
    ("GET", "", "blocklist", {}),
    ("PUT", "", "appendblock", {}),
    ("PUT", "", "page", {"x-ms-page-write": "update", "x-ms-range": "bytes=0-511"}),
    ("PUT", "", "page", {"x-ms-page-write": "clear", "x-ms-range": "bytes=512-1023"}),
    ("GET", "", "pagelist", {}),
)
HEADERS = (
    *(
        "x-ms-blob-type",
        "x-ms-blob-content-length",
        "x-ms-blob-sequence-number",
        "x-ms-sequence-number-action",
    ),
    *("x-ms-lease-action", "x-ms-lease-duration", "x-ms-lease-id", "x-ms-proposed-lease-id"),
    *("x-ms-lease-break-period", "x-ms-range", "Range", "x-ms-page-write", "x-ms-copy-source", "x-ms-meta-a"),
    *("x-ms-version", "x-ms-client-request-id", "If-Match", "If-None-Match", "If-Modified-Since"),
    *("If-Unmodified-Since", "Content-MD5", "x-ms-content-crc64", "x-ms-blob-public-access", "Date"),
    *("x-ms-delete-snapshots", "x-ms-blob-condition-appendpos", "x-ms-blob-condition-maxsize"),
    *("x-ms-if-sequence-number-le", "x-ms-range-get-content-md5", "x-ms-blob-content-type"),
)
VALUES = (
    *(
        "BlockBlob",
        "PageBlob",
        "AppendBlob",
        "512",
        "0",
        "-1",
        "1",
        str(1 << 63),
        "9" * 400,
        "increment",
        "max",
    ),
    *("acquire", "renew", "change", "release", "break", "11111111-2222-3333-4444-555555555555", "update"),
    *(
        "clear",
        "bytes=0-511",
        "bytes=0-",
        "bytes=511-0",
        "bytes=-5",
        "bytes=0-99999999999999999999",
        "*",
        '"a"',
    ),
    *("AAAAAAAAAAAAAAAAAAAAAA==", "AAAA", "include", "only", "container", "blob", "true", "private"),
    *("Mon, 01 Jan 0001 00:00:00 -2359", "Fri, 31 Dec 9999 23:59:59 GMT", "Sun, 06 Nov 1994 08:49:37"),
    *(
        "http://127.0.0.1/acct/things/block",
        "http://127.0.0.1/acct/things/page?snapshot=x",
        "http://[",
        "SharedKey",
    ),
    *("http://127.0.0.1/acct/things/block?sv=a&ss=b&sig=c", "SharedKey acct:AAAA", "SharedKeyLite acct:é"),
)
QUERIES = (
    "restype",
    "snapshot",
    "prevsnapshot",
    "prefix",
    "delimiter",
    "marker",
    "maxresults",
    "include",
    "blockid",
)
BODIES = (b"", b"x", bytes(512), b"<BlockList><Latest>YQ==</Latest></BlockList>", b"<a", b"<!DOCTYPE a><a/>")

words = st.sampled_from(VALUES).map(lambda text: text.encode("latin-1"))
octets = st.binary(max_size=12).map(lambda data: bytes(byte for byte in data if byte not in b"\r\n\0"))
values = st.one_of(words, octets)
names = st.one_of(
    st.sampled_from(
        [b"things/block", b"things/page", b"things/log", b"things/none", b"nowhere/a", b"a/../../b"]
    ),
    st.binary(max_size=20).map(lambda data: b"things/" + quote_from_bytes(data, safe="/").encode()),
)
queries = st.dictionaries(
    st.sampled_from(QUERIES),
    st.one_of(
        st.sampled_from([b"YQ==", b"2", b"0", b"snapshots,metadata", b"/"]),
        st.binary(max_size=8),
    ),
    max_size=3,
)


@pytest.fixture
def port(server, container) -> int:
    container.upload_blob("block", b"1234")
    page, log = container.get_blob_client("page"), container.get_blob_client("log")
    page.create_page_blob(1024)
    log.create_append_blob()
    log.append_block(b"1")
    return server.ports["blob"]


def every_permission(key: str) -> str:
    return generate_account_sas(
        "acct",
        key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions.from_string("rwdlacup"),
        datetime.now(UTC) + timedelta(hours=1),
    )


def received(connection: socket.socket) -> Iterator[bytes]:
    while data := connection.recv(1 << 16):
        yield data


def status_of(port: int, request: bytes) -> int:
    """The status of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b"".join(received(connection))
    return int(answer.split(b" ", 2)[1])


@settings(
    max_examples=350,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    request=st.sampled_from(REQUESTS),
    method=st.sampled_from(
        [None] * 6 + ["GET", "PUT", "HEAD", "DELETE", "POST", "OPTIONS", "PATCH", "MERGE"]
    ),
    comp=st.sampled_from([None] * 10 + [*COMPS]),
    name=names,
    query=queries,
    changed=st.dictionaries(st.sampled_from(HEADERS), values, max_size=2),
    body=st.sampled_from(BODIES),
)
def test_no_request_breaks_the_service(
    server, port, caplog, request, method, comp, name, query, changed, body
):
    usual, kind, usual_comp, given_headers = request
    path = b"acct" if (usual_comp == "list" and not kind) or kind == "service" else b"acct/" + name
    path = path.rpartition(b"/")[0] if kind == "container" else path
    asked = {
        "comp": usual_comp.encode() if comp is None else comp.encode(),
        "restype": kind.encode(),
        **query,
    }
    asked |= {"blockid": b"YQ=="} if usual_comp == "block" and "blockid" not in query else {}
    parts = [f"{key}={quote_from_bytes(value)}" for key, value in asked.items() if value or key in query]
    target = b"/" + path + b"?" + "&".join([*parts, every_permission(server.keys[0])]).encode()
    lines = [(method or usual).encode() + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    headers = {key: value.encode() for key, value in given_headers.items()} | changed
    lines += [key.encode() + b": " + value for key, value in headers.items()]
    sent = body if (method or usual) not in ("GET", "HEAD") else b""
    lines += [f"Content-Length: {len(sent)}".encode()]
    status = status_of(port, b"\r\n".join(lines) + b"\r\n\r\n" + sent)
    assert 200 <= status < 500 or status == 501, (status, caplog.text)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "sig", "rscd"]),
        st.one_of(
            st.sampled_from(
                ["b", "c", "2012-02-12", "2021-08-06", "rwdl", "2099-01-01", "2099-01-01T00:00Z", "AAAA"]
            ),
            st.text(max_size=6),
        ),
    )
)
def test_no_made_up_signature_opens_or_breaks_anything(port, query):
    text = "&".join(
        f"{name}={quote_from_bytes(value.encode('utf-8', 'replace'))}" for name, value in query.items()
    )
    status, _, body = signing.ask(port, "GET", f"/acct/things/block?{text}", {})
    assert (status, b"1234" in body) in ((400, False), (401, False), (403, False))


@pytest.mark.parametrize(
    "name", [string.punctuation.replace("\\", ""), "..a/...", "a//b", "日本語", "x" * 1024]
)
def test_odd_names_are_just_names(server, container, name: str):
    before = set(server.root.parent.iterdir())
    blob = container.upload_blob(name, b"odd")
    assert blob.download_blob().readall() == b"odd"
    assert [one.name for one in container.list_blobs()] == [name]
    assert set(server.root.parent.iterdir()) == before
    assert all(path.is_relative_to(server.root / "acct" / "data") for path in server.files())
    blob.delete_blob()
    assert server.files() == set()


def test_a_backslash_in_a_name_is_a_slash(container):
    container.upload_blob("a\\b", b"1")
    assert container.download_blob("a/b").readall() == b"1"


@pytest.mark.parametrize(
    "name", [".", "../../../../etc/passwd", "%2e%2e/%2e%2e/up", "a/../b", "%2Fetc%2Fpasswd"]
)
def test_a_path_leads_nowhere_but_into_its_container(server, container, name: str):
    before = set(server.root.parent.iterdir())
    sas = every_permission(server.keys[0])
    put = {"x-ms-blob-type": "BlockBlob", "content-length": "3"}
    assert signing.ask(server.ports["blob"], "PUT", f"/acct/things/{name}?{sas}", put, b"odd")[0] == 201
    assert [one.name for one in container.list_blobs()] == [unquote(name)]
    assert signing.ask(server.ports["blob"], "GET", f"/acct/things/{name}?{sas}", {})[::2] == (200, b"odd")
    assert set(server.root.parent.iterdir()) == before
    assert all(path.is_relative_to(server.root / "acct" / "data") for path in server.files())
