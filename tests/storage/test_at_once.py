"""Many at once: clients that write and read the same blobs, and accounts that share nothing and go away."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, ContainerClient

from reddog import durable
from reddog.storage import AccountNotFound, Storage, _account
from reddog.storage.blobs import _transfer
from reddog.storage.blobs._digests import Digests

MEBIBYTE = 1 << 20


def refused(action: Callable[[], object]) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as error:
        action()
    code = error.value.error_code
    return error.value.status_code, str(getattr(code, "value", code))


def test_uploads_from_many_threads_all_arrive(server, container: ContainerClient):
    data = {f"blob-{number}": os.urandom(200_000 + number) for number in range(24)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: container.upload_blob(*item), data.items()))
    assert {one.name: one.size for one in container.list_blobs()} == {
        name: len(one) for name, one in data.items()
    }
    assert all(container.download_blob(name).readall() == one for name, one in data.items())
    assert len(server.files()) == len(data)
    assert server.storage.find("acct")._locks == {}


def test_of_uploads_to_one_name_the_last_one_stays_whole(server, container: ContainerClient):
    versions = [bytes([number]) * (300_000 + number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: container.upload_blob("blob", one, overwrite=True), versions))
    assert container.download_blob("blob").readall() in versions
    assert len(server.files()) == 1


def test_of_creations_of_one_name_one_succeeds(container: ContainerClient):
    def create(number: int) -> bool:
        try:
            container.upload_blob("blob", bytes([number]))
        except HttpResponseError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(12))) == 1


def test_appends_of_many_are_neither_lost_nor_mixed(container: ContainerClient):
    blob = container.get_blob_client("log")
    blob.create_append_blob()
    lines = [bytes([65 + number]) * 5000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(blob.append_block, lines))
    found = blob.download_blob().readall()
    assert sorted(found[start : start + 5000] for start in range(0, len(found), 5000)) == lines


def test_readers_of_a_blob_that_is_replaced_all_the_time_see_one_version(container: ContainerClient):
    container.upload_blob("blob", bytes(100_000))
    end, seen = threading.Event(), list[bool]()

    def read() -> None:
        while not end.is_set():
            try:
                seen.append(len(set(container.download_blob("blob").readall())) == 1)
            except HttpResponseError as error:
                seen.append(error.status_code in (412, 503))

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for number in range(40):
            container.upload_blob("blob", bytes([number]) * 100_000, overwrite=True)
        end.set()
        for reader in readers:
            reader.result()
    assert seen
    assert all(seen)


def test_a_copy_whose_source_is_deleted_meanwhile_is_not_made_of_nothing(server, container, monkeypatch):
    source, target = container.upload_blob("source", b"data"), container.get_blob_client("target")
    account = server.storage.find("acct")
    put = account.put

    def put_later(*arguments: object, **options: object) -> object:
        source.delete_blob()
        return put(*arguments, **options)

    monkeypatch.setattr(account, "put", put_later)
    assert refused(lambda: target.start_copy_from_url(source.url)) == (503, "ServerBusy")
    assert not target.exists()
    assert server.files() == set()


def test_a_list_of_blocks_whose_container_goes_away_meanwhile_is_refused(
    server, service, container, monkeypatch
):
    blob, account = container.get_blob_client("blob"), server.storage.find("acct")
    blob.stage_block("a", b"data")
    put = account.put

    def put_later(*arguments: object, **options: object) -> object:
        container.delete_container()
        service.create_container("things")
        return put(*arguments, **options)

    monkeypatch.setattr(account, "put", put_later)
    assert refused(lambda: blob.commit_block_list([BlobBlock("a")])) == (503, "ServerBusy")
    assert list(container.list_blobs(include=["uncommittedblobs"])) == []
    assert server.files() == set()


def test_accounts_share_nothing(server, container: ContainerClient):
    server.storage.ensure_account("other", server.keys[1], server.keys[0])
    other = server.client(server.keys[1], account="other")
    assert list(other.list_containers()) == []
    things = other.create_container("things")
    container.upload_blob("blob", b"1")
    things.upload_blob("blob", b"2")
    assert (container.download_blob("blob").readall(), things.download_blob("blob").readall()) == (b"1", b"2")
    server.storage.remove_account("acct")
    assert things.download_blob("blob").readall() == b"2"
    assert refused(lambda: container.download_blob("blob"))[0] == 404
    assert [path.name for path in server.root.iterdir()] == ["other"]


def test_an_upload_into_an_account_that_is_removed_meanwhile_is_refused(server, container, monkeypatch):
    account = server.storage.find("acct")
    put = account.put

    def remove_meanwhile(*arguments: object, **options: object) -> object:
        server.storage.remove_account("acct")
        return put(*arguments, **options)

    monkeypatch.setattr(account, "put", remove_meanwhile)
    assert refused(lambda: container.upload_blob("blob", b"1")) == (404, "ResourceNotFound")
    assert list(server.root.iterdir()) == []
    server.storage.ensure_account("acct", *server.keys)
    assert refused(lambda: container.upload_blob("blob", b"1")) == (404, "ContainerNotFound")


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "UPPER", "ab", "x" * 25])
def test_what_is_no_accounts_name_makes_no_directory(storage: Storage, tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="name of a storage account"):
        storage.ensure_account(name, "", "")
    assert list((tmp_path / "storage").iterdir()) == []
    with pytest.raises(AccountNotFound):
        storage.find(name)


def test_a_server_that_stops_in_the_middle_of_an_upload_writes_into_no_other_file(tmp_path: Path):
    """A request that is cancelled while a thread writes its body closes no descriptor under that thread."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(_transfer._Draft):
        def write(self, chunks: list[bytes]) -> None:
            with self._gate:
                entered.set()
                leave.wait(10)
                assert not self._file.closed
                self._file.write(b"".join(chunks))

    class Endless:
        headers: dict[str, str] = {}  # noqa: RUF012
        source, body_size = None, 1 << 40
        account = SimpleNamespace(flushes=None)

        class raw:
            class content:
                @staticmethod
                async def iter_any():
                    yield bytes(_transfer.PIECE)
                    await asyncio.Event().wait()

    async def cancelled() -> None:
        writing = asyncio.ensure_future(_transfer._write(Endless(), tmp_path / "body", Digests({})))  # type: ignore[arg-type]
        await asyncio.to_thread(entered.wait, 10)
        writing.cancel()
        await asyncio.sleep(0.05)
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await writing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_transfer, "_Draft", Slow)
        asyncio.run(cancelled())
    assert (tmp_path / "body").stat().st_size == _transfer.PIECE


def test_names_of_new_files_are_durable_with_their_directory(server, container, monkeypatch):
    synced: list[Path] = []
    sync = durable.sync_directory
    for room in (_account, durable):
        monkeypatch.setattr(room, "sync_directory", lambda path: (synced.append(path), sync(path)))
    container.get_blob_client("page").create_page_blob(512)
    data = server.root / "acct" / "data"
    (file,) = server.files()
    assert synced == [data, file.parent]
