"""Decodes the Atom feeds that the Service Bus answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from lxml import etree

from ._http import HTTPResponse
from ._plain_models import children, decode_node, element_name, parse
from ._service_bus_models import ServiceBusNamespace, ServiceBusRegion
from .models import AvailabilityResponse

__all__ = ["FeedList", "availability", "decode_feed", "entity", "metric", "namespace", "parse", "region"]

T = TypeVar("T")

_METADATA = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
_CONTINUATION = "x-ms-continuation-"


class HeaderDict(dict[str, str]):
    """Headers by name, read without regard to case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


class FeedList(list[T]):
    """The entries of a feed; `x_ms_continuation` is there when the service has more."""

    x_ms_continuation: HeaderDict


def decode_feed(response: HTTPResponse, decode_entry: Callable[[etree._Element], T]) -> FeedList[T]:
    """Decode every entry of a feed, or the one entry that an answer is."""
    root = parse(response.body)
    entries = [root] if etree.QName(root).localname == "entry" else children(root, "entry")
    result = FeedList(decode_entry(entry) for entry in entries)
    more = {
        name[len(_CONTINUATION) :]: value for name, value in response.headers if "x-ms-continuation" in name
    }
    if more:
        result.x_ms_continuation = HeaderDict(more)
    return result


def region(entry: etree._Element) -> ServiceBusRegion:
    """Decode an entry that describes a region."""
    result = ServiceBusRegion()
    for node in _content(entry, "RegionCodeDescription"):
        result.code = _text(node, "Code") or result.code
        result.fullname = _text(node, "FullName") or result.fullname
    return result


def namespace(entry: etree._Element) -> ServiceBusNamespace:
    """Decode an entry that describes a namespace."""
    result = ServiceBusNamespace()
    for node in _content(entry, "NamespaceDescription"):
        for item in fields(ServiceBusNamespace):
            element = "ServiceBusEndpoint" if item.name == "servicebus_endpoint" else element_name(item.name)
            value = _text(node, element)
            if value is not None:
                setattr(result, item.name, value.lower() == "true" if item.name == "enabled" else value)
    return result


def availability(entry: etree._Element) -> AvailabilityResponse:
    """Decode an entry that says whether a name is available."""
    result = AvailabilityResponse()
    for node in _content(entry, "NamespaceAvailability"):
        value = _text(node, "Result")
        if value is not None:
            result.result = value.lower() == "true"
    return result


def entity(entry: etree._Element, cls: type[T]) -> T:
    """Decode an entry that describes a queue, topic, hub or relay; its title is its `name`."""
    result = cls()
    for node in _content(entry, cls.__name__):
        result = decode_node(cls, node)
    for name, value in _properties(entry).items():
        setattr(result, name, value)
    for title in children(entry, "title"):
        vars(result)["name"] = title.text
    return result


def metric(entry: etree._Element, cls: type[T]) -> T:
    """Decode an entry about a metric: its properties carry their types."""
    result = cls()
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for node in _content(entry, "properties"):
        for name in names:
            for child in children(node, element_name(name))[:1]:
                setattr(result, name, _typed(child))
    properties = _properties(entry)
    for item in children(entry, "id"):
        properties["name"] = _readable(item.text or "")
    for name, value in properties.items():
        if name not in names:
            setattr(result, name, value)
    return result


def _content(entry: etree._Element, name: str) -> list[etree._Element]:
    content = children(entry, "content")
    return children(content[0], name) if content else []


def _text(node: etree._Element, name: str) -> str | None:
    found = children(node, name)
    return found[0].text or None if found else None


def _properties(entry: etree._Element) -> dict[str, Any]:
    result: dict[str, Any] = {}
    etag = entry.get(f"{{{_METADATA}}}etag")
    if etag:
        result["etag"] = etag
    for node in children(entry, "updated"):
        result["updated"] = node.text
    for author in children(entry, "author"):
        for node in children(author, "name"):
            if node.text is not None:
                result["author"] = node.text
    return result


def _typed(node: etree._Element) -> Any:
    kind = node.get(f"{{{_METADATA}}}type") or ""
    text = node.text or ""
    if kind in ("Edm.Single", "Edm.Double"):
        return float(text)
    return int(text) if "Edm.Int" in kind else text


def _readable(identifier: str) -> str:
    """The path of an id that is a URL, else the id."""
    _, separator, rest = identifier.partition("//")
    _, slash, path = rest.partition("/")
    return path if separator and slash else identifier
