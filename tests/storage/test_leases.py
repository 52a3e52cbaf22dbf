"""Leases of blobs and containers: every step, and every conflict."""

from __future__ import annotations

import time
import uuid

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobLeaseClient, ContainerClient

from reddog.storage.blobs import _leases


@pytest.fixture(params=["blob", "container"])
def leased(request, container: ContainerClient) -> BlobClient | ContainerClient:
    """What can be leased."""
    return container.upload_blob("blob", b"1") if request.param == "blob" else container


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds leases believe to be later than it is."""
    ahead = [0.0]

    class Ahead:
        @staticmethod
        def time() -> float:
            return time.time() + ahead[0]

    monkeypatch.setattr(_leases, "time", Ahead)
    return ahead


def state(item: BlobClient | ContainerClient) -> str:
    read = item.get_blob_properties if isinstance(item, BlobClient) else item.get_container_properties
    return str(read().lease.state)


def refused(action, *arguments, **options) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as error:
        action(*arguments, **options)
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


def another(item: BlobClient | ContainerClient) -> BlobLeaseClient:
    return BlobLeaseClient(item, lease_id=str(uuid.uuid4()))


def test_a_lease_goes_from_hand_to_hand(leased):
    assert state(leased) == "available"
    first = leased.acquire_lease(60)
    assert state(leased) == "leased"
    new = str(uuid.uuid4())
    first.change(new)
    second = BlobLeaseClient(leased, lease_id=new)
    second.renew()
    second.release()
    assert state(leased) == "available"
    leased.acquire_lease()


def test_whoever_holds_the_lease_may_take_it_again(leased):
    lease = leased.acquire_lease(15)
    assert leased.acquire_lease(-1, lease_id=lease.id).id == lease.id


def test_others_get_conflicts(leased):
    leased.acquire_lease()
    stranger = another(leased)
    assert refused(leased.acquire_lease) == (409, "LeaseAlreadyPresent")
    mismatch = (409, "LeaseIdMismatchWithLeaseOperation")
    assert refused(stranger.renew) == mismatch
    assert refused(stranger.release) == mismatch
    assert refused(stranger.change, str(uuid.uuid4())) == mismatch


def test_without_a_lease_there_is_nothing_to_act_on(leased):
    stranger = another(leased)
    for action in (stranger.renew, stranger.release, lambda: stranger.change(str(uuid.uuid4()))):
        assert refused(action) == (409, "LeaseIdMismatchWithLeaseOperation")
    assert refused(stranger.break_lease) == (409, "LeaseNotPresentWithLeaseOperation")


def test_a_lease_that_is_broken_in_time_cannot_be_renewed_or_changed(leased, clock: list[float]):
    lease = leased.acquire_lease()
    assert lease.break_lease(30) in (29, 30)
    assert state(leased) == "breaking"
    assert refused(lease.renew) == (409, "LeaseIsBrokenAndCannotBeRenewed")
    assert refused(lease.change, str(uuid.uuid4())) == (409, "LeaseIsBreakingAndCannotBeChanged")
    assert refused(leased.acquire_lease) == (409, "LeaseAlreadyPresent")
    assert refused(leased.acquire_lease, lease_id=lease.id) == (409, "LeaseIsBreakingAndCannotBeAcquired")
    assert lease.break_lease(60) <= 30
    clock[0] = 31
    assert state(leased) == "broken"
    assert refused(lease.renew) == (409, "LeaseIsBrokenAndCannotBeRenewed")
    leased.acquire_lease()
    assert state(leased) == "leased"


def test_a_lease_without_an_end_is_broken_at_once(leased):
    lease = leased.acquire_lease()
    assert lease.break_lease() == 0
    assert state(leased) == "broken"
    lease.release()
    assert state(leased) == "available"


def test_a_lease_runs_out_and_is_renewed_by_its_holder(leased, clock: list[float]):
    lease = leased.acquire_lease(15)
    clock[0] = 16
    assert state(leased) == "expired"
    lease.renew()
    assert state(leased) == "leased"
    clock[0] = 32
    leased.acquire_lease()
    assert refused(lease.renew) == (409, "LeaseIdMismatchWithLeaseOperation")


@pytest.mark.parametrize("duration", [14, 61, 0, -2])
def test_a_lease_has_fifteen_to_sixty_seconds_or_no_end(leased, duration: int):
    assert refused(leased.acquire_lease, duration) == (400, "InvalidHeaderValue")


def test_changes_of_a_blob_need_its_lease_and_no_other(container: ContainerClient):
    blob = container.get_blob_client("disk")
    blob.create_page_blob(512)
    lease, stranger = blob.acquire_lease(), str(uuid.uuid4())
    changes = (
        lambda **how: blob.upload_page(bytes(512), 0, 512, **how),
        lambda **how: blob.clear_page(0, 512, **how),
        lambda **how: blob.resize_blob(1024, **how),
        lambda **how: blob.set_blob_metadata({"a": "b"}, **how),
        lambda **how: blob.set_http_headers(None, **how),
        lambda **how: blob.create_page_blob(512, **how),
        blob.delete_blob,
    )
    for change in changes:
        assert refused(change) == (412, "LeaseIdMissing")
        assert refused(change, lease=stranger) == (412, "LeaseIdMismatchWithBlobOperation")
    assert refused(blob.get_blob_properties, lease=stranger)[0] == 412
    assert blob.download_blob(lease=lease).readall() == bytes(512)
    blob.create_snapshot()  # reads only
    for change in changes[:-1]:
        change(lease=lease)
    blob.delete_blob("include", lease=lease)


def test_a_lease_that_is_none_is_told_from_one_that_was_lost(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    assert refused(blob.set_blob_metadata, {}, lease=str(uuid.uuid4())) == (
        412,
        "LeaseNotPresentWithBlobOperation",
    )
    lease = blob.acquire_lease()
    lease.break_lease()
    assert refused(blob.set_blob_metadata, {}, lease=lease) == (412, "LeaseLost")
    blob.set_blob_metadata({})


def test_overwriting_keeps_the_lease(container: ContainerClient):
    blob = container.upload_blob("blob", b"1")
    lease = blob.acquire_lease()
    blob.upload_blob(b"2", overwrite=True, lease=lease)
    blob.stage_block("a", b"3", lease=lease)
    assert refused(blob.stage_block, "b", b"4") == (412, "LeaseIdMissing")
    assert refused(blob.commit_block_list, []) == (412, "LeaseIdMissing")
    assert state(blob) == "leased"
    lease.release()


def test_a_container_that_is_leased_can_be_filled(container: ContainerClient):
    lease = container.acquire_lease()
    container.upload_blob("blob", b"1")
    assert refused(container.set_container_metadata, {}, lease=str(uuid.uuid4()))[0] == 412
    container.set_container_metadata({"a": "b"}, lease=lease)
    assert refused(container.delete_container) == (412, "LeaseIdMissing")
