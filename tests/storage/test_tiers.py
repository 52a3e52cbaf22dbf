"""Access tiers, and append blobs that are sealed."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, StandardBlobTier


def refusal(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


def test_a_tier_is_hot_until_it_is_set(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    found = blob.get_blob_properties()
    assert (found.blob_tier, found.blob_tier_inferred, found.blob_tier_change_time) == ("Hot", True, None)
    blob.set_standard_blob_tier(StandardBlobTier.COOL)
    found = blob.get_blob_properties()
    assert (found.blob_tier, found.blob_tier_inferred) == ("Cool", False)
    assert found.blob_tier_change_time is not None
    assert [one.blob_tier for one in container.list_blobs()] == ["Cool"]


def test_an_archived_blob_is_read_when_it_is_back(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", standard_blob_tier=StandardBlobTier.ARCHIVE)
    with pytest.raises(HttpResponseError) as error:
        blob.download_blob()
    assert refusal(error) == (409, "BlobArchived")
    copy = container.get_blob_client("copy")
    with pytest.raises(HttpResponseError) as error:
        copy.start_copy_from_url(blob.url)
    assert refusal(error) == (409, "BlobArchived")
    copy.start_copy_from_url(blob.url, standard_blob_tier=StandardBlobTier.HOT)
    blob.set_standard_blob_tier(StandardBlobTier.HOT)
    assert (blob.download_blob().readall(), copy.download_blob().readall()) == (b"1", b"1")


def test_only_block_blobs_have_tiers(container: ContainerClient):
    page, block = container.get_blob_client("page"), container.upload_blob("block", b"1")
    page.create_page_blob(512)
    with pytest.raises(HttpResponseError) as error:
        page.set_standard_blob_tier(StandardBlobTier.COOL)
    assert refusal(error) == (400, "AccessTierNotSupportedForBlobType")
    with pytest.raises(HttpResponseError) as error:
        block.set_standard_blob_tier("Lukewarm")
    assert refusal(error) == (400, "InvalidHeaderValue")


def test_nothing_is_appended_to_a_sealed_blob(container: ContainerClient):
    blob = container.get_blob_client("log")
    blob.create_append_blob()
    blob.append_block(b"one")
    with pytest.raises(HttpResponseError) as error:
        blob.seal_append_blob(appendpos_condition=1)
    assert refusal(error) == (412, "AppendPositionConditionNotMet")
    assert blob.seal_append_blob()["blob_sealed"] is True
    with pytest.raises(HttpResponseError) as error:
        blob.append_block(b"two")
    assert refusal(error) == (409, "BlobIsSealed")
    assert blob.get_blob_properties().is_append_blob_sealed is True
    copies = container.get_blob_client("open"), container.get_blob_client("sealed")
    for copy, sealed in zip(copies, (False, True), strict=True):
        copy.start_copy_from_url(blob.url, seal_destination_blob=sealed)
        assert bool(copy.get_blob_properties().is_append_blob_sealed) is sealed
