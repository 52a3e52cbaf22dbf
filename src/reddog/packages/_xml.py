"""XML from strangers: no document types, no entities, no network, and one error for all that is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from reddog.packages._error import PackageError

LARGEST = 16 << 20  # bytes of one document
SERVICE_HOSTING = "http://schemas.microsoft.com/ServiceHosting/2008/10"


def parse(data: bytes, what: str, root: str) -> etree._Element:
    """The root element of a document, which must have that local name.

    :raises PackageError: it is too large, not well-formed, has a document type, or is something else.
    """
    if len(data) > LARGEST:
        raise PackageError(f"{what} is larger than {LARGEST} bytes.", "Make it smaller.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        found = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PackageError(
            f"{what} is not well-formed XML: {getattr(error, 'msg', error)}.", "Correct it."
        ) from None
    if str(getattr(found.getroottree().docinfo, "doctype", "")):
        raise PackageError(f"{what} has a document type declaration, which is not allowed.", "Remove it.")
    if local_name(found) != root:
        raise PackageError(f"{what} begins with {local_name(found)}, not with {root}.", "Is it another file?")
    return found


def local_name(node: etree._Element) -> str:
    """An element's name without its namespace; empty for processing instructions."""
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def children(node: etree._Element | None, *path: str) -> Iterator[etree._Element]:
    """The elements at a path of local names below a node."""
    if node is None or not path:
        return
    for child in node:
        if local_name(child) == path[0]:
            if len(path) == 1:
                yield child
            else:
                yield from children(child, *path[1:])


def child(node: etree._Element | None, *path: str) -> etree._Element | None:
    """The first element at a path of local names below a node."""
    return next(children(node, *path), None)


def attribute(node: etree._Element, name: str, what: str) -> str:
    """An attribute that must be there and not empty."""
    value = (node.get(name) or "").strip()
    if not value:
        raise PackageError(f"{what}: {local_name(node)} lacks the attribute {name}.", "Add it.")
    return value


def number(text: str, what: str, least: int, most: int) -> int:
    """A whole number between two others."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise PackageError(f"{what} is {text!r}.", f"Use a number from {least} to {most}.")
    return value


def truth(text: str | None, default: bool = False) -> bool:
    """An XML boolean."""
    return default if text is None else text.strip().lower() in ("true", "1")
