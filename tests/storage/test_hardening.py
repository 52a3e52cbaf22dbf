"""What a caller must not get, what must not be lost, and what must not stay behind."""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import http.client
import os
import socket
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_container_sas,
)
from lxml import etree

import signing
from reddog import vhd
from reddog.storage import BlobAddress, BlobUrlError, NoSpace, Storage, StorageError
from reddog.storage.blobs import _blobs, _copies
from reddog.storage.tables import _entity

MEBIBYTE = 1 << 20


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    found = error.value.error_code
    return error.value.status_code, str(getattr(found, "value", found))


def signature(server, name: str = "things", **permissions: bool) -> str:
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return generate_container_sas(
        "acct",
        name,
        account_key=server.keys[0],
        permission=ContainerSasPermissions(**permissions),
        expiry=expiry,
    )


def get(server, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["blob"], timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


# -- What a caller must not get --------------------------------------------------------------------------


def test_a_containers_signature_copies_nothing_out_of_another_container(server, service, container):
    secret = service.create_container("secret").upload_blob("blob", b"secret")
    guest = server.client(signature(server, read=True, write=True, create=True)).get_blob_client(
        "things", "stolen"
    )
    with pytest.raises(HttpResponseError) as error:
        guest.start_copy_from_url(secret.url)
    assert code(error) == (403, "CannotVerifyCopySource")
    guest.start_copy_from_url(f"{secret.url}?{signature(server, 'secret', read=True)}")
    assert guest.download_blob().readall() == b"secret"


def test_a_containers_signature_does_not_delete_the_container(server, container: ContainerClient):
    guest = server.client(signature(server, delete=True, write=True, read=True)).get_container_client(
        "things"
    )
    for change in (guest.delete_container, lambda: guest.set_container_metadata({"a": "b"})):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert error.value.status_code == 403
    assert container.exists()


def test_leave_to_create_is_not_leave_to_overwrite(server, container: ContainerClient):
    container.upload_blob("blob", b"old")
    guest = server.client(signature(server, create=True, read=True)).get_container_client("things")
    guest.upload_blob("new", b"1")
    with pytest.raises(HttpResponseError) as error:
        guest.upload_blob("blob", b"new", overwrite=True)
    assert code(error) == (403, "UnauthorizedBlobOverwrite")
    source = f"{container.get_blob_client('new').url}?{signature(server, read=True)}"
    with pytest.raises(HttpResponseError) as error:
        guest.get_blob_client("blob").start_copy_from_url(source)
    assert code(error) == (403, "UnauthorizedBlobOverwrite")
    assert container.download_blob("blob").readall() == b"old"


def test_a_signature_for_objects_lists_no_container(server, container: ContainerClient):
    expiry = datetime.now(UTC) + timedelta(hours=1)
    permission = AccountSasPermissions(list=True)
    sas = generate_account_sas("acct", server.keys[0], ResourceTypes(object=True), permission, expiry)
    with pytest.raises(HttpResponseError) as error:
        list(server.client(sas).get_container_client("things").list_blobs())
    assert code(error) == (403, "AuthorizationResourceTypeMismatch")


def test_a_refused_url_keeps_its_signature_to_itself(storage: Storage):
    with pytest.raises(BlobUrlError) as error:
        storage.parse_url("https://acct.blob.example.org/vhds/a.vhd?sig=secret")
    assert "secret" not in str(error.value)


# -- What must not be lost -------------------------------------------------------------------------------


def test_a_blob_replaced_while_it_is_read_breaks_off_rather_than_lies(server, container: ContainerClient):
    blob, block = container.get_blob_client("large"), os.urandom(8 * MEBIBYTE)
    for name in "abcd":
        blob.stage_block(name, block)
    blob.commit_block_list([BlobBlock(name) for name in "abcd"])
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.ports["blob"]))
        path = f"/acct/things/large?{signature(server, read=True)}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(16).startswith(b"HTTP/1.1 200")
        blob.upload_blob(b"small", overwrite=True)
        connection.settimeout(20)
        received = bytearray()
        try:
            while data := connection.recv(MEBIBYTE):
                received += data
        except ConnectionResetError:
            pass
    body = bytes(received).partition(b"\r\n\r\n")[2]
    assert len(body) < 4 * len(block)
    assert (block * 4).startswith(body)


def test_a_lease_taken_while_a_copy_runs_keeps_the_disk(server, container: ContainerClient, monkeypatch):
    target, source = container.get_blob_client("disk"), container.get_blob_client("source")
    target.create_page_blob(512)
    source.create_page_blob(1024)
    address, lease = BlobAddress("acct", "things", "disk"), str(uuid.uuid4())
    before, copy = server.storage.page_file(address), _copies.copy_sparse

    def attach_meanwhile(origin: Path, draft: Path) -> None:
        server.storage.lease(address, lease)
        copy(origin, draft)

    monkeypatch.setattr(_copies, "copy_sparse", attach_meanwhile)
    with pytest.raises(HttpResponseError) as error:
        target.start_copy_from_url(source.url)
    assert code(error) == (412, "LeaseIdMissing")
    assert server.storage.page_file(address) == before
    assert before.exists()


def test_a_block_sent_again_while_the_list_is_committed_stays_whole(server, container, monkeypatch):
    blob = container.get_blob_client("blocks")
    blob.stage_block("a", b"first")
    account = server.storage.find("acct")
    put, again = account.put, threading.Thread(target=blob.stage_block, args=("a", b"second"))

    def slow_put(*arguments: object, **options: object) -> object:
        again.start()
        again.join(1)  # it has to wait; were it let in, the block's file would be gone by now
        return put(*arguments, **options)

    monkeypatch.setattr(account, "put", slow_put)
    blob.commit_block_list([BlobBlock("a")])
    again.join(10)
    assert blob.download_blob().readall() == b"first"


def test_a_disk_never_shrinks(storage: Storage, tmp_path: Path):
    image = tmp_path / "image.vhd"
    image.write_bytes(b"x" * 2 * MEBIBYTE)
    vhd.write_footer(image)
    storage.ensure_account("acct", "", "")
    storage.ensure_container("acct", "vhds")
    with pytest.raises(StorageError, match="only grow"):
        storage.copy_in(image, BlobAddress("acct", "vhds", "disk"), lease_id=None, size=MEBIBYTE)


def test_a_callers_encryption_key_is_not_ignored(container: ContainerClient):
    with pytest.raises(HttpResponseError) as error:
        container.upload_blob("blob", b"secret", headers={"x-ms-encryption-key": "a2V5"})
    assert code(error) == (501, "NotImplemented")
    assert not container.get_blob_client("blob").exists()


def test_a_checksum_is_compared(server, container: ContainerClient):
    right = base64.b64encode(0xAE8B14860A799888.to_bytes(8, "little")).decode()
    container.upload_blob("blob", b"123456789", headers={"x-ms-content-crc64": right})
    page = container.get_blob_client("page")
    page.create_page_blob(512)
    sends = (
        lambda **more: container.upload_blob("other", b"1", **more),
        lambda **more: page.upload_page(bytes(512), 0, 512, **more),
    )
    for send in sends:
        with pytest.raises(HttpResponseError) as error:
            send(headers={"x-ms-content-crc64": right})
        assert code(error) == (400, "Crc64Mismatch")
    assert [blob.name for blob in container.list_blobs()] == ["blob", "page"]


# -- What must not stay behind, and what must not be answered with 500 -----------------------------------


@pytest.mark.parametrize("where", [_copies, _blobs])
def test_a_full_disk_leaves_no_half_copy(server, container: ContainerClient, monkeypatch, where):
    source = container.get_blob_client("source")
    source.create_page_blob(512)
    before = server.files()

    def full(origin: Path, draft: Path) -> None:
        draft.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(where, "copy_sparse", full)
    copy = container.get_blob_client("copy")
    fill = source.create_snapshot if where is _blobs else lambda: copy.start_copy_from_url(source.url)
    with pytest.raises(HttpResponseError) as error:
        fill()
    assert code(error) == (507, "InsufficientStorage")
    assert server.files() == before


def test_names_that_xml_cannot_hold_are_listed(container: ContainerClient):
    names = ["a\x01/b", "a\x01/c", "d\x02", "e\ufffe"]
    for name in names:
        container.upload_blob(name, b"")
    assert [blob.name for blob in container.list_blobs()] == names
    pages = container.list_blobs(results_per_page=1).by_page()
    assert [blob.name for page in pages for blob in page] == names


def test_absurd_numbers_are_the_callers_mistake(server, container: ContainerClient):
    sas, digits = signature(server, read=True, list=True), "9" * 5000
    assert get(server, f"/acct/things?restype=container&comp=list&maxresults={digits}&{sas}") == 400
    page = container.get_blob_client("page")
    page.create_page_blob(512)
    for size in (512 * 10**30, 1 << 62):
        with pytest.raises(HttpResponseError) as error:
            page.resize_blob(size)
        assert error.value.status_code == 400


@pytest.mark.parametrize("name", ["n" * 1025, "a%00b"])
def test_names_that_no_blob_can_have_are_refused(server, container: ContainerClient, name: str):
    assert get(server, f"/acct/things/{name}?{signature(server, read=True)}") == 400


def test_headers_that_are_no_text_are_refused(server, container: ContainerClient):
    path = f"/acct/things/blob?{signature(server, write=True)}"
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 0\r\nx-ms-meta-a: "
    )
    with socket.create_connection(("127.0.0.1", server.ports["blob"]), timeout=10) as connection:
        connection.sendall(head.encode() + b"\xff\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert list(container.list_blobs(include=["metadata"])) == []


def test_others_are_served_while_an_account_is_busy(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    server.storage.ensure_account("other", *server.keys)
    answered: list[object] = []

    def change(number: int) -> None:
        answered.append(server.client().get_blob_client("things", str(number)).upload_blob(b"2"))

    changing = [threading.Thread(target=change, args=(number,)) for number in range(40)]
    transactions = server.storage.find("acct").index._transactions
    with server.storage.find("acct").index.transaction(write=True):
        for thread in changing:
            thread.start()
        end = time.monotonic() + 30
        while transactions._waiting < len(changing):
            assert time.monotonic() < end, transactions._waiting
            time.sleep(0.01)
        begin = time.monotonic()
        server.client(account="other").get_service_properties()
        assert container.download_blob("blob").readall() == b"1"
        assert time.monotonic() - begin < 10
        assert answered == []
    for thread in changing:
        thread.join(30)
    assert len(answered) == len(changing)


@pytest.mark.parametrize(
    "ask",
    [
        lambda blob: blob.get_blob_properties(version_id="2026-01-01T00:00:00.0000000Z"),
        lambda blob: blob.upload_blob(b"2", overwrite=True, headers={"x-ms-legal-hold": "true"}),
        lambda blob: blob.undelete_blob(),
    ],
)
def test_what_is_not_there_is_not_ignored(container: ContainerClient, ask):
    blob = container.upload_blob("blob", b"1")
    with pytest.raises(HttpResponseError) as error:
        ask(blob)
    assert code(error) == (501, "NotImplemented")
    assert blob.download_blob().readall() == b"1"


# -- What must not hold up or break the service ----------------------------------------------------------


def put_raw(server, body: bytes, **headers: str) -> int:
    path = f"/acct/things/raw?{signature(server, write=True, create=True)}"
    given = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return signing.ask(server.ports["blob"], "PUT", path, given, body)[0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_body_with_an_encoding_is_kept_as_it_was_sent(server, container: ContainerClient, encoding: str):
    sent = gzip.compress(bytes(1 << 20)) if encoding == "gzip" else b"not compressed at all"
    assert put_raw(server, sent, content_encoding=encoding) == 201
    blob = container.get_blob_client("raw")
    properties = blob.get_blob_properties()
    assert (properties.size, properties.content_settings.content_encoding) == (len(sent), encoding)
    status, _, body = signing.ask(
        server.ports["blob"], "GET", f"/acct/things/raw?{signature(server, read=True)}", {}
    )
    assert (status, body) == (200, sent)


DAY = "Thu, 26 Nov 2026 00:00:00"


@pytest.mark.parametrize(
    "date", [f"{DAY} +99999999999999999999", "Thu, 26 Nov 99999999999999999999 00:00:00 GMT"]
)
@pytest.mark.parametrize("kind", ["blob", "queue", "table"])
def test_a_date_beyond_all_time_is_the_callers_mistake(server, container, kind: str, date: str):
    headers = {"x-ms-date": date, "authorization": "SharedKey acct:AAAA"}
    status, answered, _ = signing.ask(server.ports[kind], "GET", "/acct?comp=list", headers)
    assert (status, answered["x-ms-error-code"]) == (403, "AuthenticationFailed")
    assert put_raw(server, b"1", if_modified_since=date) == 201


@pytest.mark.parametrize(
    "path", [b"/acct/things/a\xed\xa0\x80", b"/acct/things/\xff\xfe", b"/\xff/things/a", b"/acct/th\xe9ngs/a"]
)
@pytest.mark.parametrize("kind", ["blob", "queue", "table"])
def test_paths_that_are_no_text_are_the_callers_mistake(server, container, kind: str, path: bytes):
    for sas in (b"", account_signature(server).encode()):
        with socket.create_connection(("127.0.0.1", server.ports[kind]), timeout=10) as connection:
            connection.sendall(
                b"GET " + path + b"?" + sas + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            status = int(connection.recv(100).split(b" ")[1])
        assert 400 <= status < 500


def account_signature(server) -> str:
    return generate_account_sas(
        "acct",
        server.keys[0],
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, delete=True, add=True, create=True),
        datetime.now(UTC) + timedelta(hours=1),
        services="bqt",
    )


def test_a_refused_change_of_properties_takes_nothing_off_a_page_blob(server, container: ContainerClient):
    page = container.get_blob_client("page")
    page.create_page_blob(2048)
    page.upload_page(b"1" * 2048, 0, 2048)
    path = f"/acct/things/page?comp=properties&{signature(server, write=True)}"
    headers = {"x-ms-blob-content-length": "512", "x-ms-sequence-number-action": "none"}
    assert signing.ask(server.ports["blob"], "PUT", path, {**headers, "content-length": "0"})[0] == 400
    assert page.download_blob().readall() == b"1" * 2048


def test_large_documents_are_read_beside_the_event_loop(server, container: ContainerClient, monkeypatch):
    on_loop: list[bool] = []
    parse, load = etree.fromstring, _entity.read_object

    def watched(read, data, *args):
        if len(data) > 64 << 10:
            on_loop.append(asyncio._get_running_loop() is not None)
        return read(data, *args)

    monkeypatch.setattr(etree, "fromstring", lambda *args: watched(parse, *args))
    monkeypatch.setattr(_entity, "read_object", lambda data: watched(load, data))
    filler = f"<!--{'x' * (1 << 20)}-->".encode()
    documents = [
        ("blob", "things?restype=container&comp=acl", b"<SignedIdentifiers>%b</SignedIdentifiers>"),
        ("blob", "things/blob?comp=blocklist", b"<BlockList>%b</BlockList>"),
        ("blob", "things/blob?comp=tags", b"<Tags><TagSet>%b</TagSet></Tags>"),
        (
            "blob",
            "?restype=service&comp=properties",
            b"<StorageServiceProperties>%b</StorageServiceProperties>",
        ),
    ]
    for kind, path, body in documents:
        assert put_signed(server, kind, path, body % filler) < 300
    server.tables().create_table("Things").create_entity(
        {"PartitionKey": "p", "RowKey": "r", **{f"p{number}": "x" * 9000 for number in range(20)}}
    )
    queue = server.queues().create_queue("queue")
    queue.send_message("&" * 20_000)  # it is sent as &amp;
    assert len(on_loop) >= len(documents) + 2
    assert not any(on_loop)


def put_signed(server, kind: str, path: str, body: bytes) -> int:
    target, _, query = f"/acct/{path}".partition("?")
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2021-12-02", "content-length": str(len(body))}
    headers["authorization"] = signing.shared_key(server.keys[0], "PUT", f"/acct{target}", query, headers)
    return signing.ask(server.ports[kind], "PUT", f"{target}?{query}", headers, body)[0]


def test_a_page_blob_is_cut_off_when_its_new_size_is_on_the_disk(server, container, monkeypatch):
    page = container.get_blob_client("page")
    page.create_page_blob(2048)
    page.upload_page(b"1" * 2048, 0, 2048)

    def full(self: object, blob: object) -> None:
        raise NoSpace

    with monkeypatch.context() as patched:
        patched.setattr(type(server.storage.find("acct").index), "put_blob", full)
        with pytest.raises(HttpResponseError):
            page.resize_blob(512)
    assert page.download_blob().readall() == b"1" * 2048
    page.resize_blob(512)
    (file,) = server.files()
    assert file.stat().st_size == 512
    with file.open("ab") as longer:  # as when the process is killed before it has cut the file
        longer.write(b"1" * 1536)
    page.resize_blob(2048)
    assert page.download_blob().readall() == b"1" * 512 + bytes(1536)
