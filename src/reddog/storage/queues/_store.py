"""The queues of an account and their messages, in SQLite."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reddog.storage._database import AccountDatabase
from reddog.storage._errors import MessageNotFound, QueueNotFound, pop_receipt_mismatch

NEVER = 253402300799.0  # the last second of the year 9999
SWEPT_AT_ONCE = 1000  # messages
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, metadata TEXT NOT NULL, policies TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, nonce INTEGER NOT NULL, receipt INTEGER NOT NULL,
  inserted REAL NOT NULL, expires REAL NOT NULL, visible REAL NOT NULL, dequeued INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible, seq, expires);
CREATE INDEX IF NOT EXISTS messages_by_expiry ON messages (queue, expires);
CREATE TABLE IF NOT EXISTS dropped (queue INTEGER PRIMARY KEY);
"""
_COLUMNS = "seq, nonce, receipt, inserted, expires, visible, dequeued, text"
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RECEIPT = re.compile("[0-9a-f]{32}")
_RANDOM_BITS = 62


@dataclass
class Queue:
    """A queue. `policies` are the stored access policies by id."""

    id: int
    name: str
    metadata: dict[str, str] = field(default_factory=dict)
    policies: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Message:
    """A message. inserted, expires, visible: times. dequeued: how often it was got. nonce, receipt: random."""

    seq: int
    nonce: int
    receipt: int
    inserted: float
    expires: float
    visible: float
    dequeued: int
    text: str

    @property
    def id(self) -> str:
        """The message's id, a UUID; it says where the message is."""
        return str(uuid.UUID(int=self.seq << 80 | 8 << 76 | 2 << _RANDOM_BITS | self.nonce))

    @property
    def pop_receipt(self) -> str:
        """What proves that one has got the message last; it says of which message it is."""
        return f"{self.seq:016x}{self.receipt:016x}"


class QueueReader:
    """One consistent look at an account's queues. Expired messages are not there any more.

    Methods that name a queue raise QueueNotFound.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock

    def queue(self, name: str) -> Queue:
        """The queue of that name."""
        sql = "SELECT id, name, metadata, policies FROM queues WHERE name=?"
        row = self._connection.execute(sql, (name,)).fetchone()
        if row is None:
            raise QueueNotFound
        return _queue(row)

    def queues(self, prefix: str, marker: str, limit: int) -> list[Queue]:
        """Queues whose names begin with `prefix`, from `marker` on."""
        rows = self._connection.execute(
            "SELECT id, name, metadata, policies FROM queues WHERE name>=? AND name>=? AND name<? "
            "ORDER BY name LIMIT ?",
            (marker, prefix, prefix + "\U0010ffff", limit),
        )
        return [_queue(row) for row in rows]

    def count(self, queue: Queue) -> int:
        """How many messages there are, visible or not."""
        sql = "SELECT count(*) FROM messages INDEXED BY messages_by_expiry WHERE queue=? AND expires>?"
        return int(self._connection.execute(sql, (queue.id, self._clock())).fetchone()[0])

    def peek(self, name: str, limit: int) -> list[Message]:
        """The first messages that are visible, by the time when they became so."""
        return self._visible(self._id(name), self._clock(), limit)

    def _id(self, name: str) -> int:
        row = self._connection.execute("SELECT id FROM queues WHERE name=?", (name,)).fetchone()
        if row is None:
            raise QueueNotFound
        return int(row[0])

    def _visible(self, queue: int, now: float, limit: int) -> list[Message]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE seq IN "  # noqa: S608 - a constant
            "(SELECT seq FROM messages INDEXED BY messages_by_visibility "
            "WHERE queue=? AND visible<=? AND expires>? ORDER BY visible, seq LIMIT ?) ORDER BY visible, seq",
            (queue, now, now, limit),
        )
        return [Message(*row) for row in rows]


class QueueWriter(QueueReader):
    """Changes of an account's queues, inside one transaction.

    Args:
        connection: That of the writer's thread.
        clock: Seconds since 1970.
        sweep: Asks for what is gone of a queue, by its id, to be deleted later on.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], float],
        sweep: Callable[[int], None],
    ) -> None:
        super().__init__(connection, clock)
        self._sweep = sweep

    # -- Queues ------------------------------------------------------------------------------------------

    def create(self, name: str, metadata: Mapping[str, str]) -> bool:
        """Add a queue; False when it is there already."""
        sql = "INSERT INTO queues (name, metadata, policies) VALUES (?, ?, '{}') ON CONFLICT DO NOTHING"
        return self._connection.execute(sql, (name, json.dumps(metadata))).rowcount == 1

    def set_metadata(self, name: str, metadata: Mapping[str, str]) -> None:
        """Replace a queue's metadata."""
        sql = "UPDATE queues SET metadata=? WHERE id=?"
        self._connection.execute(sql, (json.dumps(metadata), self._id(name)))

    def set_policies(self, name: str, policies: Mapping[str, Mapping[str, str]]) -> None:
        """Replace a queue's stored access policies."""
        sql = "UPDATE queues SET policies=? WHERE id=?"
        self._connection.execute(sql, (json.dumps(policies), self._id(name)))

    def delete(self, name: str) -> None:
        """Delete a queue; its messages are out of reach at once, and deleted little by little."""
        queue = self._id(name)
        self._connection.execute("DELETE FROM queues WHERE id=?", (queue,))
        self._connection.execute("INSERT INTO dropped VALUES (?)", (queue,))
        self._sweep(queue)

    def clear(self, name: str) -> None:
        """Delete all messages of a queue, as `delete` does."""
        queue = self.queue(name)
        self.delete(name)
        self.create(name, queue.metadata)
        self.set_policies(name, queue.policies)

    # -- Messages ----------------------------------------------------------------------------------------

    def put(self, name: str, text: str, hidden: float, lasts: float | None) -> Message:
        """Add a message. hidden: seconds until it is visible. lasts: seconds until it expires; None: never."""
        queue, now = self._id(name), self._clock()
        self._notice(queue, now)
        expires = NEVER if lasts is None else min(now + lasts, NEVER)
        nonce, receipt = _random(), _random()
        cursor = self._connection.execute(
            "INSERT INTO messages (queue, nonce, receipt, inserted, expires, visible, dequeued, text) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (queue, nonce, receipt, now, expires, now + hidden, text),
        )
        return Message(cursor.lastrowid or 0, nonce, receipt, now, expires, now + hidden, 0, text)

    def get(self, name: str, limit: int, hidden: float) -> list[Message]:
        """Take the first visible messages, at most `limit`, and hide them for `hidden` seconds."""
        queue, now = self._id(name), self._clock()
        self._notice(queue, now)
        messages = self._visible(queue, now, limit)
        for message in messages:
            message.receipt, message.visible = _random(), now + hidden
            message.dequeued += 1
        self._connection.executemany(
            "UPDATE messages SET receipt=?, visible=?, dequeued=? WHERE seq=?",
            [(one.receipt, one.visible, one.dequeued, one.seq) for one in messages],
        )
        return messages

    def update(self, name: str, identity: str, receipt: str, hidden: float, text: str | None) -> Message:
        """Hide a message for other `hidden` seconds, and give it another text unless that is None.

        MessageNotFound, and PopReceiptMismatch: the receipt is none, or another message's.
        """
        message = self._own(name, identity, receipt)
        message.receipt, message.visible = _random(), self._clock() + hidden
        message.text = message.text if text is None else text
        self._connection.execute(
            "UPDATE messages SET receipt=?, visible=?, text=? WHERE seq=?",
            (message.receipt, message.visible, message.text, message.seq),
        )
        return message

    def remove(self, name: str, identity: str, receipt: str) -> None:
        """Delete a message. MessageNotFound, PopReceiptMismatch: see `update`."""
        message = self._own(name, identity, receipt)
        self._connection.execute("DELETE FROM messages WHERE seq=?", (message.seq,))

    def _own(self, name: str, identity: str, receipt: str) -> Message:
        """The message whose last receipt this is. A receipt that is not the last one finds nothing."""
        queue = self._id(name)
        if _RECEIPT.fullmatch(receipt) is None:
            raise pop_receipt_mismatch()
        if _ID.fullmatch(identity) is None:
            raise MessageNotFound
        sql = f"SELECT {_COLUMNS} FROM messages WHERE seq=? AND queue=? AND expires>?"  # noqa: S608
        seq = uuid.UUID(identity).int >> 80
        row = self._connection.execute(sql, (seq, queue, self._clock())).fetchone()
        message = Message(*row) if row is not None else None
        if message is None or message.id != identity:
            raise MessageNotFound
        if int(receipt[:16], 16) != seq:
            raise pop_receipt_mismatch()
        if message.pop_receipt != receipt:
            raise MessageNotFound
        return message

    # -- What is gone ------------------------------------------------------------------------------------

    def _notice(self, queue: int, now: float) -> None:
        sql = "SELECT 1 FROM messages INDEXED BY messages_by_expiry WHERE queue=? AND expires<=? LIMIT 1"
        if self._connection.execute(sql, (queue, now)).fetchone() is not None:
            self._sweep(queue)

    def sweep(self, queue: int) -> bool:
        """Delete some of a queue's expired messages, or of all if it was deleted; False when none is left."""
        dropped = self._connection.execute("SELECT 1 FROM dropped WHERE queue=?", (queue,)).fetchone()
        until = self._clock() if dropped is None else NEVER
        swept = self._connection.execute(
            "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages INDEXED BY messages_by_expiry "
            "WHERE queue=? AND expires<=? LIMIT ?)",
            (queue, until, SWEPT_AT_ONCE),
        ).rowcount
        if swept == SWEPT_AT_ONCE:
            return True
        self._connection.execute("DELETE FROM dropped WHERE queue=?", (queue,))
        return False

    def sweep_all(self) -> None:
        """Ask for everything to be deleted that an earlier process has left."""
        for (queue,) in self._connection.execute("SELECT queue FROM dropped").fetchall():
            self._sweep(queue)
        for (queue,) in self._connection.execute("SELECT id FROM queues").fetchall():
            self._notice(queue, self._clock())


class QueueStore(AccountDatabase[QueueReader, QueueWriter]):
    """An account's queues. See `AccountDatabase`.

    Args:
        path: The database.
        account: Whose it is.
        clock: Seconds since 1970.
    """

    def __init__(self, path: Path, account: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(
            path,
            account,
            _SCHEMA,
            lambda connection: QueueReader(connection, clock),
            lambda connection, sweep: QueueWriter(connection, clock, sweep),
        )


def _queue(row: tuple[int, str, str, str]) -> Queue:
    return Queue(row[0], row[1], json.loads(row[2]), json.loads(row[3]))


def _random() -> int:
    return secrets.randbits(_RANDOM_BITS)
