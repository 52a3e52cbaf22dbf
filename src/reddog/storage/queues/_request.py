"""A request to the queue service: what it names, its numbers and its message; and how messages are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from aiohttp import web

from reddog.storage._errors import StorageError, bad_query, out_of_range
from reddog.storage._listing import DECLARATION
from reddog.storage._request import StorageRequest, document, http_date, made_of, parse_xml
from reddog.storage.queues._store import Message

NEWEST = "9999"
LONGEST_MESSAGE, LONGEST_MESSAGE_BEFORE_2011 = 64 << 10, 8 << 10  # bytes
_NAME = re.compile("[a-z0-9](-?[a-z0-9])*")
_NUMBER = re.compile("-?[0-9]{1,19}")


@dataclass
class QueueRequest(StorageRequest):
    """A request to the queue service. message: the id of a message."""

    queue: str = ""
    message: str = ""

    @property
    def level(self) -> str:
        """`service`, `queue`, `messages` (of a queue) or `message`."""
        if len(self.path) > 1:
            return "message" if self.message else "messages"
        return "queue" if self.queue else "service"

    @property
    def comp(self) -> str:
        """The component that is meant; looking at messages without taking them counts as one."""
        if self.level == "messages" and self.query.get("peekonly", "").lower() == "true":
            return "peekonly"
        return super().comp

    @property
    def version(self) -> str:
        """The version of the service that the caller knows: a date; the newest where none is given."""
        return self.headers.get("x-ms-version") or self.query.get("sv") or NEWEST

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter's number. OutOfRangeQueryParameterValue."""
        value = self.query.get(name)
        if value is None:
            return default
        if _NUMBER.fullmatch(value) is None:
            raise bad_query(name, value)
        if not least <= int(value) <= most:
            raise out_of_range(name, value, least, most)
        return int(value)

    def required(self, name: str) -> str:
        """A query parameter that has to be there. MissingRequiredQueryParameter."""
        value = self.query.get(name)
        if value is None:
            message = f"The query parameter {name} is required for this request."
            raise StorageError("MissingRequiredQueryParameter", 400, message)
        return value

    async def text(self) -> str:
        """The text of the message in the body. InvalidXmlDocument; RequestBodyTooLarge, MessageTooLarge."""
        return await made_of(await self.document(), self._text)

    def _text(self, data: bytes) -> str:
        root = parse_xml(data)
        node = root.find("MessageText")
        if root.tag != "QueueMessage" or node is None or len(node):
            text = "The XML specified is no QueueMessage document with a MessageText that is only text."
            raise StorageError("InvalidXmlDocument", 400, text)
        text = node.text or ""
        self._check_size(len(text.encode()))
        return text

    def _check_size(self, size: int) -> None:
        if self.version < "2011-08-18" and size > LONGEST_MESSAGE_BEFORE_2011:
            message = "The message exceeds the maximum allowed size: 8 KiB before version 2011-08-18."
            raise StorageError("MessageTooLarge", 400, message)
        if size > LONGEST_MESSAGE:
            message = "The request body is too large and exceeds the maximum permissible limit."
            raise StorageError("RequestBodyTooLarge", 413, f"{message} A message has up to 64 KiB.")


def check_name(name: str) -> None:
    """Refuse what no queue can be named. OutOfRangeInput, InvalidResourceName."""
    if not 3 <= len(name) <= 63:
        text = "The specified resource name length is not within the permissible limits."
        raise StorageError("OutOfRangeInput", 400, f"{text} A queue's name has 3 to 63 characters.")
    if _NAME.fullmatch(name) is None:
        text = "The specified resource name contains invalid characters."
        rule = "A queue's name has lower-case letters, digits, and single hyphens between them."
        raise StorageError("InvalidResourceName", 400, f"{text} {rule}")


def shown(messages: Iterable[Message], names: tuple[str, ...], status: int = 200) -> web.Response:
    """An answer that tells these of the messages' properties."""
    entries = "".join(
        f"<QueueMessage>{''.join(f'<{name}>{_SHOWN[name](message)}</{name}>' for name in names)}</QueueMessage>"
        for message in messages
    )
    answer = document(f"{DECLARATION}<QueueMessagesList>{entries}</QueueMessagesList>")
    answer.set_status(status)
    return answer


def _text(message: Message) -> str:
    return escape(message.text, {"\r": "&#13;"})  # else its readers would take it for a line feed


_SHOWN = {
    "MessageId": lambda message: message.id,
    "InsertionTime": lambda message: http_date(message.inserted),
    "ExpirationTime": lambda message: http_date(message.expires),
    "PopReceipt": lambda message: message.pop_receipt,
    "TimeNextVisible": lambda message: http_date(message.visible),
    "DequeueCount": lambda message: str(message.dequeued),
    "MessageText": _text,
}
