"""Accounts share nothing: not names, not keys, not signatures, not files; and they go away whole."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccessPolicy,
    AccountSasPermissions,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

import signing
from reddog.storage import AccountNotFound
from reddog.storage._account import Account
from reddog.storage.blobs._index import Blob
from storage_load import held

MANY = 10_000
EVERYTHING = AccountSasPermissions.from_string("rwdlacup")
KINDS = ResourceTypes(service=True, container=True, object=True)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def refused(action: Callable[[], object]) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as error:
        action()
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


@pytest.fixture
def other(server, container: ContainerClient) -> BlobServiceClient:
    """Another account, with the same keys, a container of the same name, and a blob of the same name."""
    container.upload_blob("blob", b"mine")
    server.storage.ensure_account("other", *server.keys)
    client: BlobServiceClient = server.client(account="other")
    client.create_container("things").upload_blob("blob", b"theirs")
    return client


def signatures(key: str, account: str) -> dict[str, str]:
    """Every kind of signature that an account can give for its blob."""
    permission = ContainerSasPermissions(read=True, write=True, delete=True, list=True)
    return {
        "account": generate_account_sas(account, key, KINDS, EVERYTHING, soon()),
        "container": generate_container_sas(account, "things", key, permission=permission, expiry=soon()),
        "blob": generate_blob_sas(
            account,
            "things",
            "blob",
            account_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=soon(),
        ),
    }


@pytest.mark.parametrize("kind", ["account", "container", "blob"])
def test_a_signature_of_one_account_opens_nothing_of_another_with_the_same_key(server, other, kind: str):
    sas = signatures(server.keys[0], "acct")[kind]
    read = server.client(sas).get_blob_client("things", "blob").download_blob
    assert read().readall() == b"mine"
    guest = server.client(sas, "other")
    blob, things = guest.get_blob_client("things", "blob"), guest.get_container_client("things")
    for action in (
        blob.download_blob,
        blob.get_blob_properties,
        lambda: blob.upload_blob(b"", overwrite=True),
        blob.delete_blob,
        lambda: list(things.list_blobs()),
        guest.get_service_properties,
    ):
        assert refused(action)[0] == 403
    assert other.get_blob_client("things", "blob").download_blob().readall() == b"theirs"


def test_a_stored_policy_of_one_account_means_nothing_in_another(server, container, other):
    policy = AccessPolicy(ContainerSasPermissions(read=True), soon(), datetime.now(UTC) - timedelta(hours=1))
    container.set_container_access_policy({"readers": policy})
    sas = generate_container_sas("other", "things", server.keys[0], policy_id="readers")
    assert refused(server.client(sas, "other").get_blob_client("things", "blob").download_blob) == (
        403,
        "AuthenticationFailed",
    )


def test_a_public_container_of_one_account_makes_none_of_another_public(server, container, other):
    container.set_container_access_policy({}, public_access="container")
    assert server.client(None).get_blob_client("things", "blob").download_blob().readall() == b"mine"
    assert refused(server.client(None, "other").get_blob_client("things", "blob").download_blob)[0] in (
        401,
        404,
    )


def test_a_key_of_one_account_does_not_sign_for_another(server, other):
    server.storage.ensure_account("other", "b" * 86 + "==", "c" * 86 + "==")
    named = {"account_name": "acct", "account_key": server.keys[0]}
    for credential in (server.keys[0], named):
        assert refused(server.client(credential, "other").get_service_properties) == (
            403,
            "AuthenticationFailed",
        )


def test_listings_show_an_accounts_own(service, other):
    other.create_container("more")
    assert [one.name for one in service.list_containers()] == ["things"]
    assert [one.name for one in other.list_containers()] == ["more", "things"]


@pytest.mark.parametrize("kind", ["block", "page", "blocks"])
def test_a_copy_from_another_account_has_bytes_of_its_own(server, container, other, kind: str):
    source, data = container.get_blob_client("source"), os.urandom(4096)
    if kind == "page":
        source.upload_blob(data, blob_type="PageBlob", length=4096)
    elif kind == "blocks":
        source.stage_block("a", data[:1000])
        source.stage_block("b", data[1000:])
        source.commit_block_list(["a", "b"])
    else:
        source.upload_blob(data)
    sas = signatures(server.keys[0], "acct")["container"]
    target = other.get_blob_client("things", "copy")
    assert refused(lambda: target.start_copy_from_url(source.url)) == (403, "CannotVerifyCopySource")
    target.start_copy_from_url(f"{source.url}?{sas}")
    if kind == "page":
        source.upload_page(bytes(4096), 0, 4096)
    server.storage.remove_account("acct")
    assert target.download_blob().readall() == data
    assert all(path.is_relative_to(server.root / "other") for path in server.root.rglob("*/data/*/*"))


def fill(account: Account, count: int) -> None:
    """Put many small blobs at once, as they would be after as many uploads."""
    with account.index.transaction(write=True):
        for number in range(count):
            file, path = account.new_file()
            path.write_bytes(b"x" * 100)
            etag, modified = account.index.new_tag()
            blob = Blob("things", f"{number:05}", "BlockBlob", size=100, segments=[[file, 0, 100]])
            blob.etag, blob.modified, blob.created = etag, modified, modified
            account.index.put_blob(blob)


def listed(server, prefix: str = "") -> Iterator[list[str]]:
    """The names of the blobs, page by page."""
    sas, marker = generate_account_sas("acct", server.keys[0], KINDS, EVERYTHING, soon()), ""
    while True:
        query = f"restype=container&comp=list&prefix={prefix}&marker={quote(marker)}&{sas}"
        status, _, body = signing.ask(server.ports["blob"], "GET", f"/acct/things?{query}", {})
        assert status == 200
        root = ElementTree.fromstring(body)
        yield [name.text or "" for name in root.iter("Name")]
        marker = root.findtext("NextMarker") or ""
        if not marker:
            return


@pytest.mark.timeout(120)
def test_an_account_of_ten_thousand_blobs_is_listed_and_leaves_nothing(server, container, tmp_path: Path):
    server.storage.ensure_account("other", *server.keys)
    other = server.client(account="other").create_container("things")
    other.upload_blob("kept", b"kept")
    fill(server.storage.find("acct"), MANY)
    assert len(server.files()) == MANY
    pages = [*listed(server)]
    assert [len(page) for page in pages] == [5000, 5000]
    assert [name for page in pages for name in page] == [f"{number:05}" for number in range(MANY)]
    assert [name for page in listed(server, "0999") for name in page] == [
        f"{n:05}" for n in range(9990, MANY)
    ]
    server.storage.remove_account("acct")
    assert [path.name for path in server.root.iterdir()] == ["other"]
    assert other.download_blob("kept").readall() == b"kept"
    with pytest.raises(AccountNotFound):
        server.storage.find("acct")
    server.storage.ensure_account("acct", *server.keys)
    assert refused(lambda: list(container.list_blobs())) == (404, "ContainerNotFound")


def test_what_requests_hold_of_a_removed_account_is_freed_when_they_end(server, container):
    container.upload_blob("large", os.urandom(8 << 20))
    server.queues().create_queue("queue").send_message("a")
    with socket.create_connection(("127.0.0.1", server.ports["blob"]), timeout=10) as connection:
        sas = signatures(server.keys[0], "acct")["container"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /acct/things/large?{sas} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        server.storage.remove_account("acct")
        assert list(server.root.iterdir()) == []
    end = time.monotonic() + 20
    while held(server.root):
        assert time.monotonic() < end, held(server.root)
        time.sleep(0.05)
