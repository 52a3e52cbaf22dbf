"""SQLite: connections, and its errors in the operator's words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Dialect
from sqlalchemy.dialects import sqlite

from reddog.durable import sync_directory
from reddog.store._errors import DiskFull, StoreError

CACHED_STATEMENTS = 256


def dialect() -> Dialect:
    """The dialect that statements are compiled for; parameters are passed by name."""
    return sqlite.dialect(paramstyle="named")


def create(path: Path) -> None:
    """Make an empty file that only its owner may read. SQLite gives its -wal and -shm files the same mode.

    Its name is on the disk when this returns: SQLite sees to the content of files that it finds, not to that.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    for directory in (path.parent, path.parent.parent):
        sync_directory(directory)


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a connection in autocommit mode, which may be used by one thread at a time."""
    connection = sqlite3.connect(
        path, timeout=30, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # rows hold secrets
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection) -> int | None:
    """The schema version; None for an empty database."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    if not found:
        return None
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(row[0]) if row else None


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """What an error of SQLite means for the operator."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"There is no space left to write {path}.", "Free disk space and try again.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"The database {path} is damaged ({error}).",
            "Stop reddog and restore the file from a backup, or move it away to start with an empty cloud.",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return StoreError(
            f"The database {path} cannot be opened for writing ({error}).",
            "Check the owner and the permissions of the file and its directory.",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"The disk failed while {path} was used ({error}).", "Check the disk and the system's log."
        )
    return StoreError(f"The database {path} refused a statement ({error}).", "See the log for the request.")
