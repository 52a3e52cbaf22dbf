"""Conditions, ranges and digests of requests; and the rarer things that clients ask of blobs."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    ContainerClient,
    ContentSettings,
    generate_blob_sas,
)
from azure.storage.blob.aio import BlobServiceClient as AsyncBlobServiceClient

import signing

SECTOR = 512
HOUR = timedelta(hours=1)
SAME, OTHER = MatchConditions.IfNotModified, MatchConditions.IfModified
PRESENT, MISSING = MatchConditions.IfPresent, MatchConditions.IfMissing


def refused(action, *arguments, **options) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as error:
        action(*arguments, **options)
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


CHANGES = {
    "upload": lambda blob, **how: blob.upload_blob(b"2", overwrite=True, **how),
    "commit": lambda blob, **how: blob.commit_block_list([BlobBlock("a")], **how),
    "metadata": lambda blob, **how: blob.set_blob_metadata({"a": "b"}, **how),
    "properties": lambda blob, **how: blob.set_http_headers(ContentSettings("text/plain"), **how),
    "snapshot": lambda blob, **how: blob.create_snapshot(**how),
    "lease": lambda blob, **how: blob.acquire_lease(**how),
    "delete": lambda blob, **how: blob.delete_blob(**how),
}


@pytest.fixture
def blob(container: ContainerClient) -> BlobClient:
    found = container.upload_blob("blob", b"1")
    found.stage_block("a", b"3")
    return found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("by", ["etag", "time"])
def test_a_change_is_made_when_its_condition_holds_and_only_then(blob: BlobClient, change: str, by: str):
    found, make = blob.get_blob_properties(), CHANGES[change]
    earlier, later = found.last_modified - HOUR, found.last_modified + HOUR
    if by == "etag":
        not_met = ({"etag": found.etag, "match_condition": OTHER}, {"etag": '"0x1"', "match_condition": SAME})
        met = {"etag": found.etag, "match_condition": SAME}
    else:
        not_met = ({"if_modified_since": later}, {"if_unmodified_since": earlier})
        met = {"if_modified_since": earlier, "if_unmodified_since": later}
    for condition in not_met:
        assert refused(make, blob, **condition) == (412, "ConditionNotMet")
    after = blob.get_blob_properties()
    assert (after.etag, after.lease.state) == (found.etag, "available")
    make(blob, **met)


def test_a_blob_is_made_only_where_none_is_or_replaced_only_where_one_is(container: ContainerClient):
    container.upload_blob("blob", b"1")
    blob, none = container.get_blob_client("blob"), container.get_blob_client("none")
    assert refused(none.upload_blob, b"1", overwrite=True, match_condition=PRESENT)[0] == 412
    assert refused(blob.upload_blob, b"2", overwrite=True, match_condition=MISSING) == (
        409,
        "BlobAlreadyExists",
    )
    assert not none.exists()
    blob.upload_blob(b"2", overwrite=True, match_condition=PRESENT)


def test_what_was_not_modified_is_not_sent_again(blob: BlobClient):
    found = blob.get_blob_properties()
    for condition in (
        {"etag": found.etag, "match_condition": OTHER},
        {"if_modified_since": found.last_modified},
    ):
        assert refused(blob.get_blob_properties, **condition)[0] == 304
        assert refused(blob.download_blob, **condition)[0] == 304
    assert refused(blob.download_blob, etag='"0x1"', match_condition=SAME)[0] == 412
    assert blob.download_blob(etag=found.etag, match_condition=SAME).readall() == b"1"


def test_a_copy_depends_on_its_source_and_on_its_target(container: ContainerClient, blob: BlobClient):
    target = container.get_blob_client("target")
    etag = blob.get_blob_properties().etag
    bad = {"source_etag": '"0x1"', "source_match_condition": SAME}
    assert refused(target.start_copy_from_url, blob.url, **bad)[0] == 412
    good = {"source_etag": etag, "source_match_condition": SAME}
    target.start_copy_from_url(blob.url, **good)
    assert refused(target.start_copy_from_url, blob.url, match_condition=MISSING)[0] in (409, 412)


@pytest.mark.parametrize(("start", "length"), [(0, 1), (0, 10_000), (9_999, 1), (9_990, 100), (4_000, 3)])
def test_a_range_is_sent_with_its_digest(server, container: ContainerClient, start: int, length: int):
    data = os.urandom(10_000)
    container.upload_blob("blob", data)
    found = container.download_blob("blob", offset=start, length=length, validate_content=True)
    assert found.readall() == data[start : start + length]
    assert found.properties.content_settings.content_md5 == bytearray(hashlib.md5(data).digest())


def test_digests_of_what_is_sent_are_checked(server, container: ContainerClient):
    container.upload_blob("block", b"1" * 1000, validate_content=True)
    log, page = container.get_blob_client("log"), container.get_blob_client("page")
    log.create_append_blob()
    log.append_block(b"line", validate_content=True)
    page.create_page_blob(SECTOR)
    page.upload_page(b"p" * SECTOR, 0, SECTOR, validate_content=True)
    wrong = {"headers": {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}}
    assert refused(log.append_block, b"more", **wrong) == (400, "Md5Mismatch")
    assert refused(page.upload_page, b"x" * SECTOR, 0, SECTOR, **wrong) == (400, "Md5Mismatch")
    assert refused(log.append_block, b"more", headers={"Content-MD5": "AAAA"}) == (400, "InvalidMd5")
    assert log.download_blob().readall() == b"line"
    assert page.download_blob().readall() == b"p" * SECTOR


def test_page_ranges_tell_what_changed_since_a_snapshot(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(8 << 20)
    for offset in (0, SECTOR, 4 << 20):
        blob.upload_page(b"1" * SECTOR, offset, SECTOR)
    before = blob.create_snapshot()["snapshot"]
    blob.upload_page(b"2" * SECTOR, SECTOR, SECTOR)
    blob.clear_page(4 << 20, SECTOR)
    blob.upload_page(b"3" * SECTOR * 2, (8 << 20) - 2 * SECTOR, 2 * SECTOR)
    written, cleared = blob.get_page_ranges(previous_snapshot_diff=before)
    assert written == [{"start": 512, "end": 1023}, {"start": (8 << 20) - 1024, "end": (8 << 20) - 1}]
    assert cleared == [{"start": 4 << 20, "end": (4 << 20) + 511}]
    assert blob.get_page_ranges(0, SECTOR, previous_snapshot_diff=before) == ([], [])
    assert refused(blob.get_page_ranges, previous_snapshot_diff="2020-01-01T00:00:00.0000000Z")[0] == 409


def test_a_whole_terabyte_is_cleared_at_once(server, container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(1 << 40)
    blob.upload_page(b"1" * SECTOR, 512 << 30, SECTOR)
    blob.clear_page(0, 1 << 40)
    assert blob.get_page_ranges() == ([], [])
    (file,) = server.files()
    assert file.stat().st_blocks * 512 < 1 << 20


def test_sequence_numbers_go_where_they_are_sent(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(SECTOR, sequence_number=7)
    for action, number, expected in (
        ("update", "3", 3),
        ("max", "9", 9),
        ("max", "2", 9),
        ("increment", None, 10),
    ):
        assert blob.set_sequence_number(action, number)["blob_sequence_number"] == expected
    page = b"1" * SECTOR
    for condition in (
        {"if_sequence_number_lte": 9},
        {"if_sequence_number_lt": 10},
        {"if_sequence_number_eq": 9},
    ):
        found = refused(blob.upload_page, page, 0, SECTOR, **condition)
        assert found == (412, "SequenceNumberConditionNotMet")
    blob.upload_page(
        page, 0, SECTOR, if_sequence_number_lte=10, if_sequence_number_lt=11, if_sequence_number_eq=10
    )


def test_a_smaller_page_blob_loses_its_end_for_good(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(2 * SECTOR)
    blob.upload_page(b"1" * 2 * SECTOR, 0, 2 * SECTOR)
    blob.resize_blob(SECTOR)
    blob.resize_blob(2 * SECTOR)
    assert blob.download_blob().readall() == b"1" * SECTOR + bytes(SECTOR)
    assert refused(blob.upload_page, bytes(SECTOR), 2 * SECTOR, SECTOR) == (416, "InvalidPageRange")


def test_one_types_operations_are_refused_by_the_others(container: ContainerClient):
    block, page, log = (container.get_blob_client(name) for name in ("block", "page", "log"))
    block.upload_blob(b"1")
    page.create_page_blob(SECTOR)
    log.create_append_blob()
    wrong = (409, "InvalidBlobType")
    assert refused(block.append_block, b"1") == wrong
    assert refused(block.upload_page, bytes(SECTOR), 0, SECTOR) == wrong
    assert refused(page.stage_block, "a", b"1") == wrong
    assert refused(log.commit_block_list, []) == wrong
    assert refused(page.get_block_list) == wrong
    assert refused(block.get_page_ranges) == wrong


def test_properties_that_are_set_replace_all_and_metadata_stays(container: ContainerClient):
    blob = container.upload_blob(
        "blob",
        b"1",
        metadata={"a": "1"},
        content_settings=ContentSettings("text/plain", content_encoding="gzip"),
    )
    blob.set_http_headers(
        ContentSettings(content_language="ja", content_disposition="inline", cache_control="no")
    )
    found = blob.get_blob_properties()
    assert (found.content_settings.content_language, found.content_settings.content_encoding) == ("ja", None)
    assert (found.content_settings.content_disposition, found.content_settings.cache_control) == (
        "inline",
        "no",
    )
    assert found.metadata == {"a": "1"}
    blob.set_blob_metadata()
    assert blob.get_blob_properties().metadata == {}


def test_a_snapshot_is_read_and_never_changed(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", metadata={"a": "1"})
    moment = blob.create_snapshot(metadata={"b": "2"})["snapshot"]
    blob.upload_blob(b"2", overwrite=True)
    old = container.get_blob_client("blob", snapshot=moment)
    assert (old.download_blob().readall(), old.get_blob_properties().metadata) == (b"1", {"b": "2"})
    container.get_blob_client("restored").start_copy_from_url(old.url)
    blob.delete_blob("include")
    assert container.download_blob("restored").readall() == b"1"
    assert refused(old.download_blob) == (404, "BlobNotFound")


def test_a_listing_tells_how_a_blob_was_copied(container: ContainerClient):
    source = container.upload_blob("source", b"1")
    container.get_blob_client("target").start_copy_from_url(source.url)
    (target,) = container.list_blobs("target", include=["copy"])
    assert (target.copy.status, target.copy.source, target.copy.progress) == ("success", source.url, "1/1")


# -- Access ----------------------------------------------------------------------------------------------


def test_a_public_root_container_opens_nothing_but_itself(server, service):
    service.create_container("$root", public_access="container").upload_blob("file.txt", b"open")
    service.create_container("secret")
    port = server.ports["blob"]
    assert signing.ask(port, "GET", "/acct/file.txt", {})[::2] == (200, b"open")
    for path in ("?comp=list", "?comp=properties&restype=service", "/secret?restype=container&comp=list"):
        status, headers, _ = signing.ask(port, "GET", f"/acct{path}", {})
        assert (status, headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
    assert signing.ask(port, "PUT", "/acct/file.txt", {"x-ms-blob-type": "BlockBlob"}, b"")[0] == 401


def test_a_public_blob_is_read_and_nothing_else(server, service):
    things = service.create_container("things", public_access="blob")
    things.upload_blob("blob", b"open")
    port = server.ports["blob"]
    assert signing.ask(port, "GET", "/acct/things/blob", {})[::2] == (200, b"open")
    for method, path in (
        *(
            ("PUT", "/acct/things/blob"),
            ("DELETE", "/acct/things/blob"),
            ("PUT", "/acct/things/blob?comp=lease"),
        ),
        *(("PUT", "/acct/things?restype=container&comp=acl"), ("DELETE", "/acct/things?restype=container")),
    ):
        assert signing.ask(port, method, path, {"x-ms-blob-type": "BlockBlob"})[0] == 401
    assert signing.ask(port, "GET", "/acct/things?restype=container&comp=list", {})[0] in (401, 404)
    assert signing.ask(port, "GET", "/acct/things?restype=container&comp=acl", {})[0] in (401, 404)


def test_a_snapshots_signature_is_for_that_snapshot(server, container: ContainerClient, blob: BlobClient):
    moment = blob.create_snapshot()["snapshot"]
    blob.upload_blob(b"2", overwrite=True)
    expiry = datetime.now(UTC) + HOUR
    sas = generate_blob_sas(
        "acct",
        "things",
        "blob",
        snapshot=moment,
        account_key=server.keys[0],
        permission=BlobSasPermissions(read=True),
        expiry=expiry,
    )
    old = BlobClient(server.url(), "things", "blob", snapshot=moment, credential=sas, retry_total=0)
    assert old.download_blob().readall() == b"1"
    assert signing.ask(server.ports["blob"], "GET", f"/acct/things/blob?{sas}", {})[0] == 403


def test_headers_that_a_signature_prescribes_are_answered(
    server, container: ContainerClient, blob: BlobClient
):
    sas = generate_blob_sas(
        "acct",
        "things",
        "blob",
        account_key=server.keys[0],
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + HOUR,
        content_type="text/html",
        content_disposition="attachment",
    )
    _, headers, _ = signing.ask(server.ports["blob"], "GET", f"/acct/things/blob?{sas}", {})
    assert (headers["content-type"], headers["content-disposition"]) == ("text/html", "attachment")


def test_lines_within_a_signature_are_refused(server, container: ContainerClient, blob: BlobClient):
    expiry = f"{datetime.now(UTC) + HOUR:%Y-%m-%dT%H:%MZ}"
    fields = [
        "r",
        "",
        expiry,
        "/acct/things/blob",
        "",
    ]  # what 2012-02-12 signs, with a line in the permission
    for permission in ("r", "r\nw"):
        text = "\n".join([permission, *fields[1:], "2012-02-12"])
        query = {"sp": permission, "se": expiry, "sr": "b", "sv": "2012-02-12"}
        query["sig"] = signing.digest(server.keys[0], text)
        path = "/acct/things/blob?" + "&".join(f"{name}={quote(one)}" for name, one in query.items())
        expected = 200 if permission == "r" else 403
        assert signing.ask(server.ports["blob"], "GET", path, {})[0] == expected


async def test_the_asynchronous_client_does_all_three_types(server, container: ContainerClient):
    data = os.urandom(3 << 20)
    async with AsyncBlobServiceClient(
        server.url(), credential=server.keys[0], max_single_put_size=1 << 20, max_block_size=1 << 20
    ) as client:
        things = client.get_container_client("things")
        await things.upload_blob("block", data, max_concurrency=2)
        assert await (await things.download_blob("block", max_concurrency=2)).readall() == data
        page, log = things.get_blob_client("page"), things.get_blob_client("log")
        await page.create_page_blob(SECTOR)
        await page.upload_page(b"p" * SECTOR, 0, SECTOR)
        await log.upload_blob(b"one", blob_type="AppendBlob")
        await log.upload_blob(b"two", blob_type="AppendBlob", overwrite=False)
        lease = await page.acquire_lease()
        with pytest.raises(HttpResponseError):
            await page.delete_blob()
        await page.delete_blob(lease=lease)
        names = [one.name async for one in things.list_blobs(results_per_page=1)]
    assert names == ["block", "log"]


def test_the_digest_of_a_block_list_is_checked(container: ContainerClient, blob: BlobClient):
    wrong = {"headers": {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}}
    assert refused(blob.commit_block_list, [BlobBlock("a")], **wrong) == (400, "Md5Mismatch")
    blob.commit_block_list([BlobBlock("a")], validate_content=True)
    assert blob.download_blob().readall() == b"3"
