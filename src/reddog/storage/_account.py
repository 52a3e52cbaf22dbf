"""One storage account on disk: its keys, its index, and the files of its blobs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from reddog import vhd
from reddog.durable import sync_directory, sync_new
from reddog.sparse import copy_sparse
from reddog.storage._errors import BlobExists, BlobNotFound, ContainerNotFound, replaced_meanwhile
from reddog.storage._flush import disk_errors
from reddog.storage.blobs import _leases
from reddog.storage.blobs._index import Blob, Container, Index
from reddog.storage.queues._store import QueueStore
from reddog.storage.tables._store import TableStore

_KEYS = "account.json"
_INDEX = "index.db"
_QUEUES = "queues.db"
_TABLES = "tables.db"
_DATA = "data"
MOST_FLUSHES = 16  # of files, at the same time
LARGE = 16 << 20  # bytes of a blob whose file takes long to delete
log = logging.getLogger("reddog.storage")


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Delete a new file when the block fails."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class Account:
    """A storage account in `directory`. Thread-safe.

    A change is durable when its method returns: data first, then the index.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._data = directory / _DATA
        self._keys: tuple[str, str] = _load_keys(directory)
        self._locks: dict[tuple[str, str], tuple[threading.Lock, int]] = {}
        self._locks_gate = threading.Lock()
        self.index = Index(directory / _INDEX, name)
        self.flushes = ThreadPoolExecutor(MOST_FLUSHES, thread_name_prefix="reddog-flush")
        self.queues = QueueStore(directory / _QUEUES, name)
        self.tables = TableStore(directory / _TABLES, name)
        self._clean()

    @classmethod
    def make(cls, name: str, directory: Path, keys: tuple[str, str]) -> Account:
        """Make the account's directory, whole or not at all, and open it."""
        draft = directory.with_name(f".{name}.{uuid.uuid4().hex}")
        (draft / _DATA).mkdir(mode=0o700, parents=True)
        draft.chmod(0o700)
        _save_keys(draft, keys)
        draft.rename(directory)
        sync_directory(directory.parent)
        return cls(name, directory)

    @property
    def keys(self) -> tuple[str, str]:
        """The primary and the secondary key, base64."""
        return self._keys

    def set_keys(self, keys: tuple[str, str]) -> None:
        """Take other keys; the old ones are worthless at once."""
        if keys != self._keys:
            _save_keys(self._directory, keys)
            self._keys = keys

    def close(self) -> None:
        """Close the databases."""
        self.index.close()
        self.queues.close()
        self.tables.close()

    def remove(self) -> None:
        """Delete the account with everything in it. It is gone at once, whatever happens meanwhile."""
        self.close()
        gone = self._directory.with_name(f".{self.name}.{uuid.uuid4().hex}")
        self._directory.rename(gone)
        sync_directory(self._directory.parent)
        shutil.rmtree(gone, ignore_errors=True)

    # -- Files -------------------------------------------------------------------------------------------

    def new_file(self) -> tuple[str, Path]:
        """A name for a file, and its path; it belongs to nothing until a blob in the index names it."""
        name = uuid.uuid4().hex
        folder = self._data / name[:2]
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self._data)
        return name, folder / name

    @contextmanager
    def drafting(self) -> Iterator[tuple[str, Path]]:
        """A new file's name and path; when the block fails, the file is gone."""
        file, path = self.new_file()
        with keeping(path):
            yield file, path

    def path(self, file: str) -> Path:
        """Where a file is."""
        return self._data / file[:2] / file

    def discard(self, files: list[str]) -> None:
        """Delete files that nothing uses any more."""
        for file in files:
            self.path(file).unlink(missing_ok=True)

    @contextmanager
    def changing(self, container: str, name: str = "") -> Iterator[None]:
        """Keep other changes of the same blob away while this one has more than one step."""
        key = container, name
        with self._locks_gate:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            self._leave(key)

    def _leave(self, key: tuple[str, str]) -> None:
        """Forget a blob's lock when nobody uses or awaits it."""
        with self._locks_gate:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = lock, users - 1

    def _clean(self) -> None:
        """Delete what a process that was killed has left half done."""
        with self.index.transaction():
            known = self.index.files()
        for path in self._data.glob("*/*"):
            if path.name not in known:
                path.unlink()

    # -- Containers and blobs ----------------------------------------------------------------------------

    def container(self, name: str) -> Container:
        """The container (inside of a transaction). ContainerNotFound."""
        found = self.index.container(name)
        if found is None:
            raise ContainerNotFound
        return found

    def blob(self, container: str, name: str, snapshot: str = "") -> Blob:
        """The blob (inside of a transaction). ContainerNotFound, BlobNotFound."""
        found = self.index.blob(container, name, snapshot)
        if found is None:
            self.container(container)
            raise BlobNotFound
        return found

    def find(self, container: str, name: str, snapshot: str = "") -> Blob | None:
        """The blob, or None."""
        with self.index.transaction():
            return self.index.blob(container, name, snapshot)

    def ensure_container(self, name: str) -> None:
        """Make a private container unless it is there."""
        with self.index.transaction(write=True):
            if self.index.container(name) is None:
                etag, modified = self.index.new_tag()
                self.index.put_container(Container(name, etag, modified))

    def change(
        self,
        container: str,
        name: str,
        edit: Callable[[Blob], None],
        *,
        touch: bool = True,
        snapshot: str = "",
    ) -> Blob:
        """Change the entry of a blob or snapshot; with `touch` it gets a new ETag and time."""
        with self.index.transaction(write=True) as freed:
            blob = self.blob(container, name, snapshot)
            edit(blob)
            if touch:
                blob.etag, blob.modified = self.index.new_tag()
            self.index.put_blob(blob)
        self.discard(freed)
        return blob

    def put(
        self, blob: Blob, check: Callable[[Blob | None], None] = lambda present: None, *, shared: bool = False
    ) -> Blob:
        """Add or replace a blob whose files are complete; its uncommitted blocks are forgotten.

        `check` gets the blob that is there now, and may refuse. A lease that is there stays. `shared`: the
        files are those of other blobs or blocks, which may have been deleted meanwhile (ServerBusy).
        """
        present = None
        try:
            with self.index.transaction(write=True) as freed:
                self.container(blob.container)
                present = self.index.blob(blob.container, blob.name)
                check(present)
                if shared and not self.index.holds(blob.files()):
                    raise replaced_meanwhile()
                if present is not None:
                    blob.lease, blob.created = present.lease, present.created
                blob.etag, blob.modified = self.index.new_tag()
                blob.created = blob.created or blob.modified
                self.index.put_blob(blob)
                self.index.drop_blocks(blob.container, blob.name)
        except BaseException:
            if not shared:
                self.discard(list(blob.files()))
            raise
        if present is not None and present.size >= LARGE:
            self.flushes.submit(self._discard_beside, freed)
        else:
            self.discard(freed)
        return blob

    def _discard_beside(self, files: list[str]) -> None:
        """Delete what a blob was before, which can take long; after a crash, the next start does it."""
        try:
            self.discard(files)
        except OSError as error:
            log.warning("Files of a blob that was replaced cannot be deleted: %s", error)

    # -- Disks -------------------------------------------------------------------------------------------

    def add_disk(
        self, container: str, name: str, size: int, lease: str | None, fill: Callable[[Path], None]
    ) -> None:
        """Add a page blob that holds a fixed VHD of `size` bytes and its footer; whole or not at all.

        `fill` makes the file. Nothing happens when the blob is there with this lease already.

        :raises BlobExists: another blob is there.
        """
        with self.changing(container, name):
            present = self.find(container, name)
            if present is not None:
                if lease is not None and present.lease == _leases.infinite(lease):
                    return
                raise BlobExists
            file, path = self.new_file()
            try:
                with disk_errors():
                    fill(path)
                    length = finish_disk(path, size)
                blob = Blob(container, name, "PageBlob", size=length, segments=[[file, 0, length]])
                blob.headers = {"Content-Type": "application/octet-stream"}
                blob.lease = _leases.infinite(lease) if lease else {}
                self.put(blob, _refuse)
            except BaseException:
                path.unlink(missing_ok=True)
                raise


def _refuse(present: Blob | None) -> None:
    if present is not None:
        raise BlobExists


def finish_disk(path: Path, size: int) -> int:
    """Make a file a fixed VHD of `size` bytes, durably; returns the file's length."""
    length = path.stat().st_size
    if length != size + vhd.FOOTER_SIZE:
        if length >= vhd.FOOTER_SIZE:  # the old footer must not stay in the middle of the disk
            os.truncate(path, length - vhd.FOOTER_SIZE)
        os.truncate(path, size)
        vhd.write_footer(path)
    sync_new(path)
    return size + vhd.FOOTER_SIZE


def copy_disk(source: Path) -> Callable[[Path], None]:
    """What fills a new disk with a copy of another file."""
    return lambda target: copy_sparse(source, target)


def empty_disk(target: Path) -> None:
    """What fills a new disk with nothing."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _load_keys(directory: Path) -> tuple[str, str]:
    document = json.loads((directory / _KEYS).read_text(encoding="utf-8"))
    return document["primary"], document["secondary"]


def _save_keys(directory: Path, keys: tuple[str, str]) -> None:
    draft = directory / f".{_KEYS}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"primary": keys[0], "secondary": keys[1]}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / _KEYS)
    sync_directory(directory)
