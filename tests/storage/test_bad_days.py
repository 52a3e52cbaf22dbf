"""Clients that go away, and requests that make no sense."""

from __future__ import annotations

import gc
import http.client
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

import signing
from reddog.storage import NoSpace, _account
from reddog.storage.blobs import _transfer


def signature(server) -> str:
    everything = ContainerSasPermissions(read=True, write=True, create=True, list=True, add=True, delete=True)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return generate_container_sas(
        "acct", "things", account_key=server.keys[0], permission=everything, expiry=expiry
    )


def ask(server, method: str, path: str, kind: str = "blob", body: bytes | None = None, **headers: str):
    """Status, headers and body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.ports[kind], timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("query", ["", "&comp=block&blockid=YQ=="])
def test_a_client_that_goes_away_half_way_leaves_nothing(server, container: ContainerClient, query: str):
    head = (
        f"PUT /acct/things/half?{signature(server)}{query} HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\n"
        f"Content-Length: {8 << 20}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.ports["blob"])) as connection:
        connection.sendall(head.encode() + b"x" * (2 << 20))
        wait_until(server.files)
    wait_until(lambda: not server.files())
    assert not container.get_blob_client("half").exists()
    assert list(container.list_blobs(include=["uncommittedblobs"])) == []


@pytest.mark.parametrize("work", ["write", "digest"])
def test_a_large_body_that_cannot_be_kept_is_refused_once(server, container, monkeypatch, caplog, work):
    done = getattr(_transfer._Draft, work)

    def fail(draft: object, chunks: list[bytes]) -> None:
        done(draft, chunks)
        raise NoSpace

    monkeypatch.setattr(_transfer._Draft, work, fail)
    with pytest.raises(AzureError):  # the answer, or a connection that is closed while more is sent
        container.upload_blob("large", bytes(24 << 20), max_concurrency=1)
    wait_until(lambda: not server.files())
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_what_a_large_blob_was_is_deleted_when_it_is_replaced(server, container: ContainerClient):
    container.upload_blob("large", bytes(_account.LARGE))
    (before,) = server.files()
    container.upload_blob("large", b"small", overwrite=True)
    wait_until(lambda: len(server.files()) == 1)
    assert before not in server.files()
    assert container.download_blob("large").readall() == b"small"


def test_a_replaced_blob_stays_when_its_replacement_breaks_off(server, container: ContainerClient):
    container.upload_blob("half", b"before")
    before = server.files()
    head = (
        f"PUT /acct/things/half?{signature(server)} HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\n"
        f"Content-Length: {8 << 20}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.ports["blob"])) as connection:
        connection.sendall(head.encode() + b"x" * (2 << 20))
        wait_until(lambda: server.files() != before)
    wait_until(lambda: server.files() == before)
    assert container.download_blob("half").readall() == b"before"


def test_errors_have_the_services_shape(server, container: ContainerClient):
    status, headers, body = ask(
        server, "GET", f"/acct/things/nothing?{signature(server)}", x_ms_version="2021-08-06"
    )
    assert (status, headers["x-ms-error-code"]) == (404, "BlobNotFound")
    assert ElementTree.fromstring(body).findtext("Code") == "BlobNotFound"
    assert headers["x-ms-request-id"]
    assert headers["x-ms-version"] == "2021-08-06"
    assert headers["Date"]


def test_an_unknown_account_is_told(server):
    status, headers, _ = ask(server, "GET", "/nobody/things/blob")
    assert (status, headers["x-ms-error-code"]) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("PUT", "blob", {}),
        ("PUT", "blob", {"x_ms_blob_type": "CubeBlob"}),
        ("PUT", "blob", {"x_ms_blob_type": "PageBlob"}),
        ("PUT", "blob", {"x_ms_blob_type": "PageBlob", "x_ms_blob_content_length": "511"}),
        ("PUT", "blob", {"x_ms_blob_type": "PageBlob", "x_ms_blob_content_length": "-512"}),
        ("PUT", "blob?comp=block", {}),
        ("PUT", "blob?comp=block&blockid=%25", {}),
        ("PUT", "blob?comp=nonsense", {}),
        ("PUT", "blob?comp=blocklist", {}),
        ("GET", "?restype=container&comp=list&maxresults=0", {}),
        ("GET", "?restype=container&comp=list&maxresults=x", {}),
        ("GET", "?restype=nonsense", {}),
        ("PUT", "there?comp=lease", {}),
        ("PUT", "there?comp=lease", {"x_ms_lease_action": "acquire", "x_ms_lease_duration": "5"}),
        ("PUT", "there?comp=lease", {"x_ms_lease_action": "acquire", "x_ms_proposed_lease_id": "x"}),
        ("PUT", "there?comp=metadata", {"x_ms_meta_1a": "x"}),
    ],
)
def test_requests_that_make_no_sense_are_the_callers_mistake(server, container, method, path, headers):
    container.upload_blob("there", b"1")
    joint = "&" if "?" in path else "?"
    status, answer, body = ask(server, method, f"/acct/things/{path}{joint}{signature(server)}", **headers)
    assert status == 400
    assert ElementTree.fromstring(body).findtext("Code") == answer["x-ms-error-code"]


@pytest.mark.parametrize("body", [b"", b"<", b"<Other/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_a_block_list_that_is_none_is_refused(server, container: ContainerClient, body: bytes):
    path = f"/acct/things/blob?comp=blocklist&{signature(server)}"
    status, headers, _ = ask(server, "PUT", path, body=body)
    assert (status, headers["x-ms-error-code"]) == (400, "InvalidXmlDocument")


def test_what_is_not_there_yet_is_told(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    with pytest.raises(HttpResponseError) as error:
        blob.undelete_blob()
    assert error.value.status_code == 501


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("?restype=service&comp=properties", "StorageServiceProperties"),
        ("/things?restype=container&comp=acl", "SignedIdentifiers"),
        ("/things/blob?comp=blocklist", "BlockList"),
    ],
)
@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE {0} [<!ENTITY a "b">]><{0}><Cors>&a;</Cors></{0}>',
        '<!DOCTYPE {0} SYSTEM "file:///etc/passwd"><{0}/>',
        '<?xml version="1.0" encoding="none"?><{0}/>',
        "<{0}>" * 2000,
        "<Wrong/>",
    ],
)
def test_documents_that_are_none_are_refused(server, container, path: str, root: str, document: str):
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2021-08-06"}
    body = document.format(root).encode()
    query = path.partition("?")[2]
    resource = f"/acct/acct{path.partition('?')[0]}"
    headers["content-length"] = str(len(body))
    headers["authorization"] = signing.shared_key(server.keys[0], "PUT", resource, query, headers)
    status, answer, _ = signing.ask(server.ports["blob"], "PUT", f"/acct{path}", headers, body)
    assert (status, answer["x-ms-error-code"]) == (400, "InvalidXmlDocument")
