"""Declares and decodes the models of the Service Bus, website, SQL Database and scheduler clients.

Their elements belong to other services and to no operation of the table, so `reddog.wire` does not know them.
A model is a dataclass; an attribute's element is its name in capitals-first form, its kind follows from its
default: text (""), number (0), truth value (False), or one of the helpers below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field, fields
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from lxml import etree

from reddog.wire import WireType, model

T = TypeVar("T")
Reader = Callable[[etree._Element, Any], Any]

_ACRONYMS = {"start_ip_address": "StartIPAddress", "end_ip_address": "EndIPAddress"}
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


@model
class Model(WireType):
    """Base of the models."""


class Collection(Model):
    """A model that is read like a list; `_items` names the attribute with the list."""

    _items: ClassVar[str]

    def __iter__(self) -> Iterator[Any]:
        return iter(getattr(self, self._items))

    def __len__(self) -> int:
        return len(getattr(self, self._items))

    def __getitem__(self, index: int) -> Any:
        return getattr(self, self._items)[index]


def many(cls: type, element: str | None = None) -> Any:
    """A list of models, one for each child element (default: named as the class)."""
    return field(default_factory=list, metadata={"read": _many(cls, element or cls.__name__)})


def texts(element: str) -> Any:
    """A list of texts in `element`s below the attribute's own element; None when that is absent."""
    return field(default_factory=list, metadata={"read": _texts(element)})


def child(cls: type[T]) -> Any:
    """A model; None when its element is absent."""
    return field(default_factory=cls, metadata={"read": _child(cls)})


def attribute(name: str) -> Any:
    """The text of an XML attribute; None when it is absent."""
    return field(default=None, metadata={"read": lambda _: lambda node, __: node.get(name)})


def _many(cls: type, element: str) -> Callable[[str], Reader]:
    return lambda _: lambda node, __: [decode_node(cls, item) for item in children(node, element)]


def _texts(element: str) -> Callable[[str], Reader]:
    def reader(own: str) -> Reader:
        def read(node: etree._Element, _: Any) -> list[str] | None:
            found = children(node, own)
            return [item.text or "" for item in children(found[0], element)] if found else None

        return read

    return reader


def _child(cls: type) -> Callable[[str], Reader]:
    def reader(own: str) -> Reader:
        def read(node: etree._Element, _: Any) -> Any:
            found = children(node, own)
            return decode_node(cls, found[0]) if found else None

        return read

    return reader


def children(node: etree._Element, name: str) -> list[etree._Element]:
    """The child elements called `name` in any namespace."""
    return list(node.iterchildren("{*}" + name))


def element_name(attribute_name: str) -> str:
    """The element of an attribute: self_link is SelfLink."""
    return _ACRONYMS.get(attribute_name) or "".join(part.capitalize() for part in attribute_name.split("_"))


def _scalar(own: str, default: Any) -> Reader:
    kind = type(default)

    def read(node: etree._Element, current: Any) -> Any:
        found = children(node, own)
        if not found or not found[0].text:
            return current
        return found[0].text.lower() != "false" if kind is bool else kind(found[0].text)

    return read


@cache
def _readers(cls: type) -> tuple[tuple[str, Reader], ...]:
    return tuple((item.name, _reader(item)) for item in fields(cls))


def _reader(item: Any) -> Reader:
    own = element_name(item.name)
    read: Callable[[str], Reader] | None = item.metadata.get("read")
    return read(own) if read else _scalar(own, item.default)


def decode_node(cls: type[T], node: etree._Element) -> T:
    """Return a `cls` with what the children of `node` say."""
    result = cls()
    for name, read in _readers(cast(Any, cls)):
        setattr(result, name, read(node, getattr(result, name)))
    return result


def parse(data: bytes | None) -> etree._Element:
    """Parse an answer, without DTD, entities or network."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(data or b"", parser)


def decode(cls: type[T], data: bytes | None) -> T:
    """Decode an answer whose root is the model."""
    return decode_node(cls, parse(data))


def decode_resources(cls: type[T], data: bytes | None) -> list[T]:
    """Decode the ServiceResource elements of an answer."""
    return [decode_node(cls, item) for item in children(parse(data), "ServiceResource")]


def document(root: str, namespace: str, values: list[tuple[str, Any]], text: str | None = None) -> bytes:
    """Encode a body of plain elements, leaving out those whose value is None, or of `text` alone."""
    top = etree.Element(f"{{{namespace}}}{root}", nsmap=unprefixed(namespace))
    top.text = text
    append(top, values)
    return etree.tostring(top)


def unprefixed(namespace: str) -> Any:
    """The namespace map that makes a namespace the default one."""
    return {None: namespace}


def append(parent: etree._Element, values: list[tuple[str, Any]]) -> None:
    """Add plain elements to `parent`, leaving out those whose value is None."""
    namespace = etree.QName(parent).namespace
    for name, value in values:
        if value is not None:
            etree.SubElement(parent, f"{{{namespace}}}{name}").text = str(value)


WINDOWS_AZURE = "http://schemas.microsoft.com/windowsazure"
