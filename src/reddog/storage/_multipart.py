"""Multipart bodies, in which batches come."""

from __future__ import annotations

import re
from email.message import Message
from email.parser import HeaderParser
from itertools import islice, pairwise

from reddog.storage._errors import StorageError

LARGEST_HEAD = 64 << 10  # bytes of the headers of one part
_BLANK = re.compile(rb"\r?\n\r?\n")
Part = tuple[Message, bytes]


def split(boundary: str, body: bytes, most: int) -> list[Part]:
    """The parts of a body, each with its headers; one more than `most` where there are too many.

    :raises StorageError: the headers of one are too large (InvalidInput).
    """
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    found = []
    for mark, following in pairwise(islice(line.finditer(body), most + 2)):
        if mark[1]:
            break
        head, data = divided(body[mark.end() : following.start()])
        found.append((HeaderParser().parsestr(head.decode("utf-8", "replace").lstrip()), data))
    return found


def divided(data: bytes) -> tuple[bytes, bytes]:
    """Head and body; the line end before the next boundary is none of the body's. InvalidInput."""
    match = _BLANK.search(data)
    head = data.rstrip(b"\r\n") if match is None else data[: match.start()]
    if len(head) > LARGEST_HEAD:
        message = f"The headers of a part have more than {LARGEST_HEAD} bytes."
        raise StorageError("InvalidInput", 400, message)
    return head, b"" if match is None else data[match.end() :]
