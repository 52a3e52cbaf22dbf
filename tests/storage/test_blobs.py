"""Blobs of every type, through Azure's own client."""

from __future__ import annotations

import hashlib
import os

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient, ContentSettings
from azure.storage.blob.aio import BlobServiceClient as AsyncBlobServiceClient

from reddog.storage import BlobAddress

SECTOR = 512


def refused(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


def test_a_block_blob_comes_back_with_its_properties(container: ContainerClient):
    blob = container.get_blob_client("a folder/ünï code?.txt")
    settings = ContentSettings(content_type="text/plain", content_language="ja", cache_control="no-store")
    blob.upload_blob(b"hello", metadata={"Kind": "greeting"}, content_settings=settings)
    found = blob.get_blob_properties()
    assert blob.download_blob().readall() == b"hello"
    assert (found.size, found.metadata) == (5, {"Kind": "greeting"})
    assert (found.content_settings.content_type, found.content_settings.content_language) == (
        "text/plain",
        "ja",
    )
    assert bytes(found.content_settings.content_md5) == hashlib.md5(b"hello").digest()


def test_an_empty_blob_is_a_blob(container: ContainerClient):
    container.upload_blob("empty", b"")
    assert container.download_blob("empty").readall() == b""


def test_blocks_are_put_together_in_the_order_of_the_list(container: ContainerClient):
    blob = container.get_blob_client("blocks")
    for name in "abc":
        blob.stage_block(name, name.encode() * 3)
    committed, uncommitted = blob.get_block_list("all")
    assert (committed, [block.id for block in uncommitted]) == ([], ["a", "b", "c"])
    blob.commit_block_list([BlobBlock("c"), BlobBlock("a"), BlobBlock("c")])
    assert blob.download_blob().readall() == b"cccaaaccc"
    committed, uncommitted = blob.get_block_list("all")
    assert ([block.id for block in committed], uncommitted) == (["c", "a", "c"], [])


def test_a_list_of_unknown_blocks_changes_nothing(container: ContainerClient):
    blob = container.get_blob_client("blocks")
    blob.upload_blob(b"before")
    with pytest.raises(HttpResponseError) as error:
        blob.commit_block_list([BlobBlock("none")])
    assert refused(error) == (400, "InvalidBlockList")
    assert blob.download_blob().readall() == b"before"


def test_large_blobs_go_in_blocks_and_come_in_ranges(server, container: ContainerClient):
    data = os.urandom(5 << 20)
    small = BlobServiceClient(
        server.url(),
        credential=server.keys[0],
        max_single_put_size=1 << 20,
        max_block_size=1 << 20,
        max_single_get_size=1 << 20,
        max_chunk_get_size=1 << 20,
    )
    blob = small.get_blob_client("things", "large")
    blob.upload_blob(data, max_concurrency=3)
    assert blob.download_blob(max_concurrency=3).readall() == data
    assert len(blob.get_block_list()[0]) == 5
    across = blob.download_blob(offset=(1 << 20) - 7, length=20).readall()
    assert across == data[(1 << 20) - 7 : (1 << 20) + 13]


def test_a_range_outside_of_the_blob_is_refused(container: ContainerClient):
    container.upload_blob("short", b"12345")
    with pytest.raises(HttpResponseError) as error:
        container.download_blob("short", offset=5, length=1)
    assert refused(error) == (416, "InvalidRange")


def test_a_large_block_is_appended_and_leaves_no_file_behind(server, container: ContainerClient):
    blob = container.get_blob_client("log")
    blob.create_append_blob()
    blob.append_block(b"one ")
    large = os.urandom(5 << 20)
    assert blob.append_block(large, validate_content=True)["blob_append_offset"] == "4"
    for refused in ({"maxsize_condition": 10}, {"appendpos_condition": 3}):
        with pytest.raises(HttpResponseError):
            blob.append_block(large, **refused)
    assert blob.append_block(b" two")["blob_committed_block_count"] == 3
    assert blob.download_blob().readall() == b"one " + large + b" two"
    assert len(server.files()) == 1


def test_appended_blocks_follow_each_other(container: ContainerClient):
    blob = container.get_blob_client("log")
    blob.create_append_blob()
    assert blob.append_block(b"one ")["blob_append_offset"] == "0"
    assert blob.append_block(b"two")["blob_committed_block_count"] == 2
    assert blob.download_blob().readall() == b"one two"
    with pytest.raises(HttpResponseError) as error:
        blob.append_block(b"!", appendpos_condition=3)
    assert refused(error) == (412, "AppendPositionConditionNotMet")


def test_pages_are_written_cleared_and_listed(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(1 << 20)
    assert blob.get_page_ranges() == ([], [])
    blob.upload_page(b"a" * SECTOR * 3, SECTOR, SECTOR * 3)
    blob.clear_page(SECTOR * 2, SECTOR)
    ranges, _ = blob.get_page_ranges()
    assert ranges == [{"start": 512, "end": 1023}, {"start": 1536, "end": 2047}]
    expected = bytes(512) + b"a" * 512 + bytes(512) + b"a" * 512
    assert blob.download_blob(offset=0, length=2048).readall() == expected


def test_a_page_blob_is_resized_and_numbered(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(SECTOR, sequence_number=3)
    blob.resize_blob(SECTOR * 4)
    blob.set_sequence_number("increment")
    found = blob.get_blob_properties()
    assert (found.size, found.page_blob_sequence_number) == (2048, 4)
    with pytest.raises(HttpResponseError) as error:
        blob.upload_page(b"a" * SECTOR, 0, SECTOR, if_sequence_number_lt=4)
    assert refused(error) == (412, "SequenceNumberConditionNotMet")


@pytest.mark.parametrize(("offset", "length"), [(1, 512), (0, 100)])
def test_pages_have_512_bytes(container: ContainerClient, offset: int, length: int):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(4096)
    with pytest.raises((HttpResponseError, ValueError)):
        blob.upload_page(b"a" * length, offset, length)
    assert blob.get_page_ranges() == ([], [])


def test_what_a_machine_wrote_into_its_disk_is_read_at_once(server, container: ContainerClient):
    address = BlobAddress("acct", "things", "disk.vhd")
    server.storage.create_disk(address, 1 << 20, lease_id="11111111-2222-3333-4444-555555555555")
    blob = container.get_blob_client("disk.vhd")
    with server.storage.page_file(address).open("r+b") as file:
        file.write(b"m" * SECTOR)
    assert blob.download_blob(offset=0, length=SECTOR).readall() == b"m" * SECTOR
    assert blob.get_page_ranges()[0][0] == {"start": 0, "end": 511}
    assert blob.get_blob_properties().lease.state == "leased"
    with pytest.raises(HttpResponseError) as error:
        blob.upload_page(b"x" * SECTOR, 0, SECTOR)
    assert refused(error) == (412, "LeaseIdMissing")


def test_a_snapshot_keeps_what_was(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(SECTOR)
    blob.upload_page(b"1" * SECTOR, 0, SECTOR)
    moment = blob.create_snapshot()["snapshot"]
    blob.upload_page(b"2" * SECTOR, 0, SECTOR)
    old = container.get_blob_client("disk", snapshot=moment)
    assert old.download_blob().readall() == b"1" * SECTOR
    assert blob.download_blob().readall() == b"2" * SECTOR


def test_a_blob_with_snapshots_is_deleted_only_when_told_so(server, container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    blob.create_snapshot()
    with pytest.raises(ResourceExistsError) as error:
        blob.delete_blob()
    assert refused(error) == (409, "SnapshotsPresent")
    blob.delete_blob("only")
    assert [one.snapshot for one in container.list_blobs(include=["snapshots"])] == [None]
    blob.create_snapshot()
    blob.delete_blob("include")
    assert list(container.list_blobs(include=["snapshots"])) == []
    assert server.files() == set()


@pytest.mark.parametrize("kind", ["block", "append", "page"])
def test_a_copy_lives_on_without_its_source(container: ContainerClient, kind: str):
    source, target = container.get_blob_client("source"), container.get_blob_client("target")
    data = os.urandom(SECTOR * 8)
    source.upload_blob(data, blob_type=f"{kind.title()}Blob", metadata={"from": "source"})
    assert target.start_copy_from_url(source.url)["copy_status"] == "success"
    source.delete_blob()
    found = target.get_blob_properties()
    assert target.download_blob().readall() == data
    assert (found.metadata, found.copy.status) == ({"from": "source"}, "success")
    with pytest.raises(HttpResponseError) as error:
        target.abort_copy(found.copy.id)
    assert refused(error) == (409, "NoPendingCopyOperation")


def test_overwriting_needs_to_be_wanted(container: ContainerClient):
    container.upload_blob("blob", b"1")
    with pytest.raises(ResourceExistsError) as error:
        container.upload_blob("blob", b"2")
    assert refused(error) == (409, "BlobAlreadyExists")
    assert container.download_blob("blob").readall() == b"1"


def test_an_old_etag_changes_nothing(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    old = blob.get_blob_properties().etag
    blob.set_blob_metadata({"a": "b"})
    with pytest.raises(ResourceModifiedError) as error:
        blob.upload_blob(b"2", overwrite=True, etag=old, match_condition=MatchConditions.IfNotModified)
    assert refused(error) == (412, "ConditionNotMet")


def test_a_wrong_digest_is_refused_and_nothing_stays(server, container: ContainerClient):
    with pytest.raises(HttpResponseError) as error:
        container.upload_blob("blob", b"data", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert refused(error) == (400, "Md5Mismatch")
    assert server.files() == set()


def test_a_lease_keeps_others_out(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    lease = blob.acquire_lease()
    for change in (blob.delete_blob, lambda: blob.upload_blob(b"2", overwrite=True)):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert refused(error) == (412, "LeaseIdMissing")
    with pytest.raises(ResourceExistsError) as error:
        blob.acquire_lease()
    assert refused(error) == (409, "LeaseAlreadyPresent")
    blob.upload_blob(b"2", overwrite=True, lease=lease)
    lease.change("11111111-2222-3333-4444-555555555555")
    lease.renew()
    assert next(iter(container.list_blobs())).lease.state == "leased"
    assert lease.break_lease(0) == 0
    assert blob.get_blob_properties().lease.state == "broken"
    blob.delete_blob()


def test_what_is_missing_is_told(service: BlobServiceClient, container: ContainerClient):
    with pytest.raises(ResourceNotFoundError) as error:
        container.download_blob("nothing")
    assert refused(error) == (404, "BlobNotFound")
    with pytest.raises(ResourceNotFoundError) as error:
        service.get_blob_client("nowhere", "nothing").upload_blob(b"1")
    assert refused(error) == (404, "ContainerNotFound")


async def test_the_asynchronous_client_works_too(server, container: ContainerClient):
    async with AsyncBlobServiceClient(server.url(), credential=server.keys[0]) as client:
        blob = client.get_blob_client("things", "async")
        await blob.upload_blob(b"data")
        assert await (await blob.download_blob()).readall() == b"data"
        names = [one.name async for one in client.get_container_client("things").list_blobs()]
        assert names == ["async"]
