"""What an account holds, in SQLite: containers, blobs, uncommitted blocks, and the files that they are made of."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from reddog.storage.blobs._transactions import Transactions

_SCHEMA = """
CREATE TABLE IF NOT EXISTS properties (service TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS containers (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blobs (
  container TEXT NOT NULL, name TEXT NOT NULL, snapshot TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (container, name, snapshot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
  container TEXT NOT NULL, name TEXT NOT NULL, block TEXT NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
  PRIMARY KEY (container, name, block)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
  container TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (container, name, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tagged ON tags (key, value, container, name);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, uses INTEGER NOT NULL) WITHOUT ROWID;
"""
_SIGNS = {sign: sign for sign in ("=", ">", ">=", "<", "<=")}
_ORDER = "CASE snapshot WHEN '' THEN '~' ELSE snapshot END"


@dataclass
class Container:
    """A container. `policies` are the stored access policies by id; `lease` is empty when there is none."""

    name: str
    etag: str = ""
    modified: float = 0.0
    metadata: dict[str, str] = field(default_factory=dict)
    public: str = ""  # "", "blob" or "container"
    policies: dict[str, dict[str, str]] = field(default_factory=dict)
    lease: dict[str, Any] = field(default_factory=dict)


@dataclass
class Blob:
    """A blob, or a snapshot of one.

    segments: where its bytes are: (file, offset, length), in order. A page blob is one segment. blocks: the
    ids and sizes of its committed blocks. headers: content properties by header name. tier: as it was set, else
    empty; tier_changed: when it was set on a blob that was there. sealed: nothing can be appended any more.
    """

    container: str
    name: str
    type: str
    snapshot: str = ""
    etag: str = ""
    created: float = 0.0
    modified: float = 0.0
    size: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    segments: list[list[Any]] = field(default_factory=list)
    blocks: list[list[Any]] = field(default_factory=list)
    sequence: int = 0
    lease: dict[str, Any] = field(default_factory=dict)
    copy: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    tier: str = ""
    tier_changed: float = 0.0
    sealed: bool = False

    def files(self) -> set[str]:
        """The names of the files that hold its bytes."""
        return {segment[0] for segment in self.segments}


@dataclass(frozen=True)
class Block:
    """An uncommitted block."""

    id: str
    size: int
    file: str


_CONTAINER_FIELDS = [item.name for item in fields(Container) if item.name != "name"]
_BLOB_FIELDS = [item.name for item in fields(Blob) if item.name not in ("container", "name", "snapshot")]


class _Now(threading.local):
    """A thread's own transaction: what it runs on, and the files that it has freed."""

    connection: sqlite3.Connection
    freed: list[str]


class Index:
    """One account's index. Every method but `transaction` is to be called inside of one.

    A change that was answered survives kill -9 and power loss.
    """

    def __init__(self, path: Path, account: str) -> None:
        self._transactions = Transactions(path, account, _SCHEMA)
        self._now = _Now()
        self._last_tag = 0
        path.chmod(0o600)

    def close(self) -> None:
        """Close the database."""
        self._transactions.close()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[list[str]]:
        """One consistent look at the account, or one change of it, all or nothing and durable.

        Gives a list that names, once the block has ended, the files that nothing uses any more.

        :raises AccountNotFound: the account was removed meanwhile.
        """
        freed: list[str] = []
        try:
            with self._transactions.writing() if write else self._transactions.reading() as connection:
                self._now.connection, self._now.freed = connection, freed
                yield freed
        except BaseException:
            freed.clear()
            raise

    def new_tag(self) -> tuple[str, float]:
        """A new ETag, never given before, and the time that goes with it."""
        now = time.time()
        self._last_tag = max(self._last_tag + 1, int(now * 1e7))
        return f'"0x{self._last_tag:X}"', now

    # -- Service properties ------------------------------------------------------------------------------

    def properties(self, service: str) -> str | None:
        """The service properties document, as it was set."""
        row = self._one("SELECT document FROM properties WHERE service=?", service)
        return None if row is None else str(row[0])

    def set_properties(self, service: str, document: str) -> None:
        """Keep the service properties document."""
        self._do("INSERT OR REPLACE INTO properties VALUES (?, ?)", service, document)

    # -- Containers --------------------------------------------------------------------------------------

    def container(self, name: str) -> Container | None:
        """The container, or None."""
        row = self._one("SELECT document FROM containers WHERE name=?", name)
        return None if row is None else Container(name, **json.loads(row[0]))

    def put_container(self, container: Container) -> None:
        """Add or replace a container."""
        document = json.dumps({name: getattr(container, name) for name in _CONTAINER_FIELDS})
        self._do("INSERT OR REPLACE INTO containers VALUES (?, ?)", container.name, document)

    def containers(self, prefix: str, marker: str, limit: int) -> list[Container]:
        """Containers whose names begin with `prefix`, after the one that `marker` names."""
        rows = self._all(
            "SELECT name, document FROM containers WHERE name>? AND name>=? AND name<? ORDER BY name LIMIT ?",
            *(marker, prefix, _after(prefix), limit),
        )
        return [Container(name, **json.loads(document)) for name, document in rows]

    def delete_container(self, name: str) -> None:
        """Delete a container with all that is in it."""
        for blob in self.blobs(name, "", "", -1):
            self._release(blob.files())
        for (file,) in self._all("SELECT file FROM blocks WHERE container=?", name):
            self._release({file})
        for table in ("blobs", "blocks", "tags"):
            self._do(f"DELETE FROM {table} WHERE container=?", name)  # noqa: S608 - a constant
        self._do("DELETE FROM containers WHERE name=?", name)

    # -- Blobs -------------------------------------------------------------------------------------------

    def blob(self, container: str, name: str, snapshot: str = "") -> Blob | None:
        """The blob or snapshot, or None."""
        row = self._one(
            "SELECT document FROM blobs WHERE container=? AND name=? AND snapshot=?",
            *(container, name, snapshot),
        )
        if row is None:
            return None
        return Blob(container=container, name=name, snapshot=snapshot, **json.loads(row[0]))

    def put_blob(self, blob: Blob) -> None:
        """Add or replace a blob; files that the old one alone used are freed."""
        before = self.blob(blob.container, blob.name, blob.snapshot)
        old = before.files() if before else set[str]()
        self._acquire(blob.files() - old)
        document = json.dumps({name: getattr(blob, name) for name in _BLOB_FIELDS})
        self._do(
            "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
            *(blob.container, blob.name, blob.snapshot, document),
        )
        self._release(old - blob.files())
        if not blob.snapshot and blob.tags != (before.tags if before else {}):
            self._drop_tags(blob)
            for key, value in blob.tags.items():
                self._do("INSERT INTO tags VALUES (?, ?, ?, ?)", blob.container, blob.name, key, value)

    def _drop_tags(self, blob: Blob) -> None:
        self._do("DELETE FROM tags WHERE container=? AND name=?", blob.container, blob.name)

    def delete_blob(self, blob: Blob) -> None:
        """Delete a blob or a snapshot."""
        self._do(
            "DELETE FROM blobs WHERE container=? AND name=? AND snapshot=?",
            *(blob.container, blob.name, blob.snapshot),
        )
        self._release(blob.files())
        if blob.tags and not blob.snapshot:
            self._drop_tags(blob)

    def blobs(
        self, container: str, prefix: str, marker: str, limit: int, *, snapshots: bool = True
    ) -> list[Blob]:
        """Blobs, and snapshots if asked, in the order of names; a blob's snapshots come before it.

        `marker` (see `marker_of`) is the first one wanted. A limit of -1 is none.
        """
        name, _, snapshot = marker.partition("\0")
        which = "" if snapshots else "AND snapshot=''"
        rows = self._all(
            "SELECT name, snapshot, document FROM blobs WHERE container=? AND name>=? AND name<? AND name>=? "  # noqa: S608
            f"AND (name>? OR {_ORDER}>=?) {which} ORDER BY name, {_ORDER} LIMIT ?",
            *(container, prefix, _after(prefix), name, name, snapshot, limit),
        )
        return [Blob(container=container, name=row[0], snapshot=row[1], **json.loads(row[2])) for row in rows]

    def snapshots(self, container: str, name: str) -> list[Blob]:
        """A blob's snapshots, oldest first."""
        rows = self._all(
            "SELECT snapshot, document FROM blobs WHERE container=? AND name=? AND snapshot<>'' ORDER BY snapshot",
            *(container, name),
        )
        return [Blob(container=container, name=name, snapshot=row[0], **json.loads(row[1])) for row in rows]

    def tagged(self, wanted: Sequence[tuple[str, str, str]], marker: str, limit: int) -> list[Blob]:
        """Blobs whose tags meet all comparisons (key, operator, value), by container and name.

        The key `@container` stands for the container's name. `marker` (see `tagged_marker_of`) is the first one
        wanted.
        """
        container, _, name = marker.partition("\0")
        parts, values = [], list[object]()
        for key, sign, value in wanted:
            column, given = (
                ("container", (value,)) if key == "@container" else ("key=? AND value", (key, value))
            )
            parts.append(
                f"SELECT container, name FROM tags WHERE {column}{_SIGNS[sign]}? AND (container, name)>=(?, ?)"  # noqa: S608
            )
            values += [*given, container, name]
        statement = f"{' INTERSECT '.join(parts)} ORDER BY container, name LIMIT ?"
        found = (self.blob(*row) for row in self._all(statement, *values, limit))
        return [blob for blob in found if blob is not None]

    # -- Uncommitted blocks ------------------------------------------------------------------------------

    def blocks(self, container: str, name: str) -> dict[str, Block]:
        """A blob's uncommitted blocks by id."""
        rows = self._all(
            "SELECT block, size, file FROM blocks WHERE container=? AND name=? ORDER BY block",
            container,
            name,
        )
        return {row[0]: Block(*row) for row in rows}

    def put_block(self, container: str, name: str, block: Block) -> None:
        """Add or replace an uncommitted block."""
        before = self._one(
            "SELECT file FROM blocks WHERE container=? AND name=? AND block=?", container, name, block.id
        )
        self._acquire({block.file})
        self._do(
            "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
            *(container, name, block.id, block.size, block.file),
        )
        if before is not None:
            self._release({before[0]})

    def block_counts(self, container: str, name: str) -> tuple[int, int]:
        """How many uncommitted blocks a blob has, and how long their ids are, without their padding."""
        row = self._one(
            "SELECT count(*), max(length(rtrim(block, '='))) FROM blocks WHERE container=? AND name=?",
            *(container, name),
        )
        return (row[0], row[1] or 0) if row else (0, 0)

    def drop_blocks(self, container: str, name: str) -> None:
        """Forget a blob's uncommitted blocks."""
        self._release({block.file for block in self.blocks(container, name).values()})
        self._do("DELETE FROM blocks WHERE container=? AND name=?", container, name)

    def uncommitted(self, container: str, prefix: str) -> list[str]:
        """The names of blobs that consist of uncommitted blocks only."""
        rows = self._all(
            "SELECT DISTINCT name FROM blocks b WHERE container=? AND name>=? AND name<? AND NOT EXISTS "
            "(SELECT 1 FROM blobs WHERE container=b.container AND name=b.name AND snapshot='') ORDER BY name",
            *(container, prefix, _after(prefix)),
        )
        return [row[0] for row in rows]

    # -- Files -------------------------------------------------------------------------------------------

    def files(self) -> set[str]:
        """The names of all files in use."""
        return {row[0] for row in self._all("SELECT name FROM files")}

    def holds(self, names: set[str]) -> bool:
        """Whether all these files are in use."""
        return all(self._one("SELECT 1 FROM files WHERE name=?", name) for name in names)

    def _acquire(self, names: set[str]) -> None:
        for name in names:
            self._do("INSERT INTO files VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET uses=uses+1", name)

    def _release(self, names: set[str]) -> None:
        for name in names:
            self._do("UPDATE files SET uses=uses-1 WHERE name=?", name)
            if self._one("SELECT 1 FROM files WHERE name=? AND uses<=0", name):
                self._do("DELETE FROM files WHERE name=?", name)
                self._now.freed.append(name)

    def _do(self, statement: str, *values: object) -> None:
        self._now.connection.execute(statement, values)

    def _one(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._now.connection.execute(statement, values).fetchone()
        return row

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._now.connection.execute(statement, values).fetchall()


def marker_of(blob: Blob) -> str:
    """Where a listing goes on that begins with this blob."""
    return f"{blob.name}\0{blob.snapshot or '~'}"


def tagged_marker_of(blob: Blob) -> str:
    """Where a search by tags goes on that begins with this blob."""
    return f"{blob.container}\0{blob.name}"


def _after(prefix: str) -> str:
    """A text that comes after everything that begins with `prefix`."""
    return prefix + "\U0010ffff"
