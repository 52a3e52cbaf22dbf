"""Lists of any length, made in memory for one page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from reddog.engine import Reader, Resource
from reddog.services._call import Reply
from reddog.wire import Collection, WireType, encode, encode_item

PAGE = 200  # rows
T = TypeVar("T", bound=WireType)
Items = list[tuple[str, T]]  # with the rows' keys


def listed(
    read: Callable[[Callable[[Reader], Items[T]]], Items[T]],
    empty: Collection[T],
    kind: str,
    subscription: str,
    show: Callable[[Reader, Resource], T],
) -> Reply:
    """A subscription's rows of a kind, in the order of their keys, as one document.

    A long list is read page by page while it is sent. A row that is there from beginning to end is in it
    once; one that comes or goes meanwhile may be in it or not.

    Args:
        read: Reads one consistent snapshot (`Store.read`).
        empty: The document without any items.
        kind: The rows' kind.
        subscription: Whose rows.
        show: Makes the item of a row.
    """

    def page(after: str | None) -> Items[T]:
        def rows(reader: Reader) -> Items[T]:
            found = reader.list(kind, subscription, after_key=after, limit=PAGE)
            return [(row.key, show(reader, row)) for row in found]

        return read(rows)

    def pieces() -> Iterator[bytes]:
        items, head = first, opening
        while items:
            yield head + b"".join(encode_item(item) for _, item in items)
            items, head = page(items[-1][0]) if len(items) == PAGE else [], b""
        yield closing

    document = encode(empty, response=True)
    opening, closing = document.removesuffix(b"/>") + b">", f"</{empty.xml_name()}>".encode()
    first = page(None)
    if not first:
        return Reply(document)
    return Reply(pieces() if len(first) == PAGE else b"".join(pieces()))
