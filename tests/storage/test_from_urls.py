"""Blobs, blocks and pages that are written from other blobs."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings, generate_blob_sas

DATA = os.urandom(3 << 20)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def source(container: ContainerClient) -> BlobClient:
    settings = ContentSettings(content_type="text/plain", cache_control="no-store")
    return container.upload_blob("source", DATA, content_settings=settings, tags={"a": "b"})


def signed(server, blob: BlobClient, permission: str = "r") -> str:
    name = blob.blob_name
    sas = generate_blob_sas(
        "acct", "things", name, account_key=server.keys[0], permission=permission, expiry=soon()
    )
    return f"{blob.url}?{sas}"


def test_a_blob_is_put_from_another(container: ContainerClient, source: BlobClient):
    target = container.get_blob_client("target")
    target.upload_blob_from_url(source.url, source_content_md5=hashlib.md5(DATA).digest())
    found = target.get_blob_properties()
    assert target.download_blob().readall() == DATA
    assert (found.content_settings.content_type, found.content_settings.cache_control) == (
        "text/plain",
        "no-store",
    )
    with pytest.raises(HttpResponseError) as error:
        target.upload_blob_from_url(source.url, overwrite=True, source_content_md5=hashlib.md5(b"").digest())
    assert error.value.error_code == "Md5Mismatch"
    target.upload_blob_from_url(
        source.url,
        overwrite=True,
        headers={"x-ms-copy-source-tag-option": "COPY"},
        content_settings=ContentSettings(content_type="image/png"),
    )
    assert target.get_blob_tags() == {"a": "b"}
    assert target.get_blob_properties().content_settings.content_type == "image/png"


def test_blocks_come_from_ranges_of_another_blob(container: ContainerClient, source: BlobClient):
    target, half = container.get_blob_client("target"), len(DATA) // 2
    target.stage_block_from_url("a", source.url, half, len(DATA) - half)
    target.stage_block_from_url("b", source.url, 0, half)
    target.commit_block_list([BlobBlock("b"), BlobBlock("a")])
    assert target.download_blob().readall() == DATA


def test_appended_blocks_and_pages_come_from_another_blob(container: ContainerClient, source: BlobClient):
    log, disk = container.get_blob_client("log"), container.get_blob_client("disk")
    log.create_append_blob()
    log.append_block_from_url(source.url, source_offset=100, source_length=50)
    log.append_block_from_url(source.url, source_offset=0, source_length=10)
    assert log.download_blob().readall() == DATA[100:150] + DATA[:10]
    disk.create_page_blob(4096)
    disk.upload_pages_from_url(source.url, offset=1024, length=2048, source_offset=512)
    assert disk.download_blob().readall() == bytes(1024) + DATA[512 : 512 + 2048] + bytes(1024)


def test_a_source_of_another_account_has_to_be_readable(
    server, container: ContainerClient, source: BlobClient
):
    key = base64.b64encode(os.urandom(64)).decode()
    server.storage.ensure_account("other", key, key)
    server.storage.ensure_container("other", "things")
    target = server.client(key, "other").get_blob_client("things", "target")
    for url in (source.url, signed(server, source, "w")):
        with pytest.raises(HttpResponseError) as error:
            target.stage_block_from_url("a", url)
        assert error.value.status_code == 403
    target.stage_block_from_url("a", signed(server, source))
    target.commit_block_list([BlobBlock("a")])
    assert target.download_blob().readall() == DATA


def test_sources_elsewhere_and_outside_of_their_blob_are_refused(
    container: ContainerClient, source: BlobClient
):
    target = container.get_blob_client("target")
    with pytest.raises(HttpResponseError) as error:
        target.stage_block_from_url("a", "https://example.com/things/blob")
    assert error.value.error_code == "CannotVerifyCopySource"
    with pytest.raises(HttpResponseError) as error:
        target.stage_block_from_url("a", source.url, len(DATA), 10)
    assert error.value.error_code == "InvalidRange"
    with pytest.raises(HttpResponseError) as error:
        target.upload_blob_from_url(source.url, source_if_unmodified_since=datetime(2020, 1, 1, tzinfo=UTC))
    assert (error.value.status_code, error.value.error_code) == (412, "SourceConditionNotMet")
