"""The storage service as the cloud's other parts use it."""

from __future__ import annotations

import base64
import errno
import os
import threading
import uuid
from pathlib import Path

import pytest

from reddog import vhd
from reddog.storage import (
    AccountNotFound,
    BlobAddress,
    BlobExists,
    BlobNotFound,
    ContainerNotFound,
    LeaseConflict,
    NoSpace,
    Storage,
    _account,
)
from reddog.storage.blobs._index import Blob

MEBIBYTE = 1 << 20
DISK = BlobAddress("acct", "vhds", "disk.vhd")
DOMAINS = ("core.localhost", "core.windows.net")


def key() -> str:
    return base64.b64encode(os.urandom(64)).decode()


@pytest.fixture
def disks(storage: Storage) -> Storage:
    """An account with a container for disks."""
    storage.ensure_account("acct", key(), key())
    storage.ensure_container("acct", "vhds")
    return storage


@pytest.fixture
def lease() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A sparse fixed VHD of 64 MiB with 8 KiB of data."""
    path = tmp_path / "image.vhd"
    with path.open("wb") as file:
        file.write(b"boot" * 1024)
        file.seek(32 * MEBIBYTE)
        file.write(b"data" * 1024)
        file.truncate(64 * MEBIBYTE)
    vhd.write_footer(path)
    return path


def data_files(root: Path) -> list[Path]:
    return [path for path in (root / "storage" / "acct" / "data").rglob("*") if path.is_file()]


def occupied(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_a_disk_is_a_leased_fixed_vhd_that_takes_no_space(disks: Storage, lease: str):
    disks.create_disk(DISK, 1 << 30, lease_id=lease)
    found = disks.properties(DISK)
    assert found is not None
    assert (found.blob_type, found.lease_state, found.lease_id) == ("PageBlob", "leased", lease)
    assert found.size == (1 << 30) + vhd.FOOTER_SIZE
    assert vhd.verify(disks.page_file(DISK)).size == 1 << 30
    assert occupied(disks.page_file(DISK)) < MEBIBYTE


def test_a_copy_is_equal_and_as_sparse_as_its_source(disks: Storage, image: Path, lease: str):
    disks.copy_in(image, DISK, lease_id=lease)
    copy = disks.page_file(DISK)
    assert copy.read_bytes() == image.read_bytes()
    assert occupied(copy) < MEBIBYTE


def test_a_copy_shares_nothing_with_its_source(disks: Storage, image: Path, lease: str):
    disks.copy_in(image, DISK, lease_id=lease)
    other = BlobAddress("acct", "vhds", "other.vhd")
    disks.copy_in(DISK, other, lease_id=None)
    with disks.page_file(DISK).open("r+b") as file:
        file.write(b"changed")
    assert disks.page_file(other).read_bytes() == image.read_bytes()


def test_a_copy_into_more_space_has_one_footer_at_its_end(disks: Storage, image: Path, lease: str):
    disks.copy_in(image, DISK, lease_id=lease, size=128 * MEBIBYTE)
    copy = disks.page_file(DISK)
    assert vhd.verify(copy).size == 128 * MEBIBYTE
    with copy.open("rb") as file:
        assert file.read(64 * MEBIBYTE) == image.read_bytes()[: 64 * MEBIBYTE]
        assert not any(file.read(vhd.FOOTER_SIZE))


def test_copying_again_with_the_same_lease_does_nothing(disks: Storage, image: Path, lease: str):
    disks.copy_in(image, DISK, lease_id=lease)
    with disks.page_file(DISK).open("r+b") as file:
        file.write(b"the machine wrote this")
    disks.copy_in(image, DISK, lease_id=lease)
    assert disks.page_file(DISK).read_bytes().startswith(b"the machine wrote this")


@pytest.mark.parametrize("second", [None, "11111111-1111-1111-1111-111111111111"])
def test_what_somebody_else_put_there_is_not_replaced(disks: Storage, image: Path, lease: str, second):
    disks.create_disk(DISK, MEBIBYTE, lease_id=lease)
    with pytest.raises(BlobExists):
        disks.copy_in(image, DISK, lease_id=second)
    found = disks.properties(DISK)
    assert found is not None
    assert (found.size, found.lease_id) == (MEBIBYTE + vhd.FOOTER_SIZE, lease)


def test_of_many_copies_to_one_place_one_arrives(disks: Storage, image: Path, tmp_path: Path):
    outcomes: list[str] = []

    def copy(identity: str) -> None:
        try:
            disks.copy_in(image, DISK, lease_id=identity)
            outcomes.append(identity)
        except BlobExists:
            outcomes.append("")

    threads = [threading.Thread(target=copy, args=(str(uuid.uuid4()),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [one for one in outcomes if one]
    found = disks.properties(DISK)
    assert found is not None
    assert winners == [found.lease_id]
    assert len(data_files(tmp_path)) == 1


def test_a_full_disk_is_told_and_leaves_nothing(
    disks: Storage, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_account, "copy_sparse", full)
    with pytest.raises(NoSpace):
        disks.copy_in(image, DISK, lease_id=None)
    assert disks.properties(DISK) is None
    assert data_files(tmp_path) == []


def test_missing_accounts_and_containers_are_named(disks: Storage, image: Path):
    with pytest.raises(AccountNotFound):
        disks.copy_in(image, BlobAddress("nobody", "vhds", "a"), lease_id=None)
    with pytest.raises(ContainerNotFound):
        disks.copy_in(image, BlobAddress("acct", "nowhere", "a"), lease_id=None)


def test_a_lease_is_one_holders_until_released(disks: Storage, lease: str):
    disks.create_disk(DISK, MEBIBYTE, lease_id=None)
    disks.lease(DISK, lease)
    disks.lease(DISK, lease)
    with pytest.raises(LeaseConflict):
        disks.lease(DISK, str(uuid.uuid4()))
    disks.release(DISK, str(uuid.uuid4()))
    found = disks.properties(DISK)
    assert found is not None
    assert found.lease_id == lease
    disks.release(DISK, lease)
    found = disks.properties(DISK)
    assert found is not None
    assert (found.lease_state, found.lease_id) == ("available", None)


def test_deleting_needs_the_lease_and_frees_the_file(disks: Storage, lease: str, tmp_path: Path):
    disks.create_disk(DISK, MEBIBYTE, lease_id=lease)
    with pytest.raises(LeaseConflict):
        disks.delete_blob(DISK)
    disks.delete_blob(DISK, lease_id=lease)
    disks.delete_blob(DISK, lease_id=lease)
    assert disks.properties(DISK) is None
    assert data_files(tmp_path) == []


def test_everything_is_there_after_a_restart(disks: Storage, image: Path, lease: str, tmp_path: Path):
    disks.copy_in(image, DISK, lease_id=lease)
    disks.close()
    again = Storage(tmp_path / "storage", domains=DOMAINS)
    found = again.properties(DISK)
    assert found is not None
    assert found.lease_id == lease
    assert again.page_file(DISK).read_bytes() == image.read_bytes()
    again.close()


def test_what_a_killed_process_left_is_cleaned_away(disks: Storage, lease: str, tmp_path: Path):
    disks.create_disk(DISK, MEBIBYTE, lease_id=lease)
    kept = disks.page_file(DISK)
    disks.close()
    orphan = kept.with_name(uuid.uuid4().hex)
    orphan.write_bytes(b"half a copy")
    half_made = tmp_path / "storage" / f".other.{uuid.uuid4().hex}"
    half_made.mkdir()
    again = Storage(tmp_path / "storage", domains=DOMAINS)
    assert kept.exists()
    assert not orphan.exists()
    assert not half_made.exists()
    again.close()


def test_removing_an_account_frees_its_disk(disks: Storage, image: Path, tmp_path: Path):
    disks.copy_in(image, DISK, lease_id=None)
    disks.remove_account("acct")
    disks.remove_account("acct")
    assert list((tmp_path / "storage").iterdir()) == []
    with pytest.raises(AccountNotFound):
        disks.properties(DISK)
    disks.ensure_account("acct", key(), key())
    assert disks.properties(DISK) is None


def test_nobody_else_on_the_machine_can_look_inside(disks: Storage, lease: str, tmp_path: Path):
    disks.create_disk(DISK, MEBIBYTE, lease_id=lease)
    for path in (tmp_path / "storage").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "storage").stat().st_mode & 0o777 == 0o700


def test_a_source_that_is_deleted_while_it_is_copied_is_told(
    disks: Storage, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, copy = BlobAddress("acct", "vhds", "source.vhd"), _account.copy_sparse
    disks.copy_in(image, source, lease_id=None)

    def delete_first(origin: Path, target: Path) -> None:
        disks.delete_blob(source)
        copy(origin, target)

    monkeypatch.setattr(_account, "copy_sparse", delete_first)
    with pytest.raises(BlobNotFound):
        disks.copy_in(source, DISK, lease_id=None)
    assert disks.properties(DISK) is None
    assert data_files(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        disks.copy_in(tmp_path / "none.vhd", DISK, lease_id=None)


def test_blobs_of_any_type_are_written_out_whole(disks: Storage, image: Path, tmp_path: Path):
    disks.copy_in(image, DISK, lease_id=None)
    account = disks.find("acct")
    file, path = account.new_file()
    path.write_bytes(b"..one")
    other, rest = account.new_file()
    rest.write_bytes(b"two")
    block = BlobAddress("acct", "vhds", "block")
    segments: list[list[object]] = [[file, 2, 3], [other, 0, 3]]
    account.put(Blob("vhds", "block", "BlockBlob", size=6, segments=segments))
    disks.copy_out(DISK, tmp_path / "disk")
    disks.copy_out(block, tmp_path / "block")
    assert (tmp_path / "disk").read_bytes() == image.read_bytes()
    assert (tmp_path / "block").read_bytes() == b"onetwo"
    assert (tmp_path / "block").stat().st_mode & 0o777 == 0o600


def test_blobs_that_are_not_there_are_not_written_out(disks: Storage, tmp_path: Path):
    for address, error in (
        (DISK, BlobNotFound),
        (BlobAddress("acct", "nosuch", "disk"), ContainerNotFound),
        (BlobAddress("none", "vhds", "disk"), AccountNotFound),
    ):
        with pytest.raises(error):
            disks.copy_out(address, tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
