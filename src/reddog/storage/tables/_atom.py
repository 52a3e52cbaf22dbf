"""Tables and entities in Atom, as clients before 2013 know them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from reddog.storage._request import parse_xml
from reddog.storage.tables import _edm
from reddog.storage.tables._documents import Documents, link, shown
from reddog.storage.tables._edm import Kept, invalid_input
from reddog.storage.tables._entity import Draft, Entity

_ATOM = "http://www.w3.org/2005/Atom"
_DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"
_METADATA = f"{_DATA}/metadata"
_DECLARATION = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>'
_NAMESPACES = f'xmlns:d="{_DATA}" xmlns:m="{_METADATA}" xmlns="{_ATOM}"'
_NEVER = "1970-01-01T00:00:00Z"  # tables do not know when they were made
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACED = "\ufffd"
_BOOLEANS = {True: "true", False: "false"}
_NOT_FINITE = {"Infinity": "INF", "-Infinity": "-INF"}


@dataclass(frozen=True)
class AtomDocuments(Documents):
    """See `Documents`."""

    @property
    def content_type(self) -> str:
        """See `Documents.content_type`."""
        return "application/atom+xml;charset=utf-8"

    @property
    def version(self) -> str:
        """See `Documents.version`."""
        return "1.0;"

    def tables(self, names: Sequence[str]) -> bytes:
        """See `Documents.tables`."""
        return self._feed("Tables", [self._table(name, "") for name in names])

    def table(self, name: str) -> bytes:
        """See `Documents.table`."""
        return (_DECLARATION + self._table(name, self._root)).encode()

    def entities(self, table: str, entities: Sequence[Entity], select: Sequence[str]) -> bytes:
        """See `Documents.entities`."""
        return self._feed(table, [self._entity(table, entity, select, "") for entity in entities])

    def entity(self, table: str, entity: Entity, select: Sequence[str]) -> bytes:
        """See `Documents.entity`."""
        return (_DECLARATION + self._entity(table, entity, select, self._root)).encode()

    def error(self, code: str, message: str) -> bytes:
        """See `Documents.error`."""
        told = f'<code>{_text(code)}</code><message xml:lang="en-US">{_text(message)}</message>'
        return f'{_DECLARATION}<error xmlns="{_METADATA}">{told}</error>'.encode("utf-8", "replace")

    @property
    def _root(self) -> str:
        """The attributes of a document's first element."""
        return f" xml:base={quoteattr(self.base)} {_NAMESPACES}"

    def _feed(self, what: str, entries: Sequence[str]) -> bytes:
        head = (
            f'<title type="text">{what}</title><id>{escape(self.base + what)}</id><updated>{_NEVER}</updated>'
        )
        head += f'<link rel="self" title="{what}" href="{what}"/>'
        return f"{_DECLARATION}<feed{self._root}>{head}{''.join(entries)}</feed>".encode()

    def _table(self, name: str, attributes: str) -> str:
        place = f"Tables('{name}')"
        return self._entry(place, "Tables", _NEVER, attributes, f"<d:TableName>{name}</d:TableName>")

    def _entity(self, table: str, entity: Entity, select: Sequence[str], attributes: str) -> str:
        properties = "".join(_property(name, value) for name, value in shown(entity, select).items())
        attributes += f" m:etag={quoteattr(_edm.etag(entity.stamp))}"
        place = link(table, entity.partition, entity.row)
        return self._entry(place, table, _edm.timestamp(entity.stamp), attributes, properties)

    def _entry(self, place: str, kind: str, updated: str, attributes: str, properties: str) -> str:
        return (
            f"<entry{attributes}><id>{escape(self.base + place)}</id>"
            f'<category term="{self.account}.{kind}" scheme="{_DATA}/scheme"/>'
            f'<link rel="edit" title="{kind}" href={quoteattr(place)}/>'
            f"<title/><updated>{updated}</updated><author><name/></author>"
            f'<content type="application/xml"><m:properties>{properties}</m:properties></content></entry>'
        )


def _property(name: str, value: Kept | None) -> str:
    if value is None:
        return f'<d:{name} m:null="true"/>'
    kind = _edm.kind_of(value)
    text = _written(value)
    attributes = "" if kind == _edm.STRING else f' m:type="{kind}"'
    if text != text.strip():
        attributes += ' xml:space="preserve"'
    return f"<d:{name}{attributes}>{_text(text)}</d:{name}>"


def _written(value: Kept) -> str:
    if isinstance(value, list):
        return _NOT_FINITE.get(value[1], value[1]) if value[0] == _edm.DOUBLE else value[1]
    return _BOOLEANS[value] if isinstance(value, bool) else str(value)


def _text(text: str) -> str:
    """Text as XML has it; what XML cannot hold at all is replaced."""
    return escape(_NOT_XML.sub(_REPLACED, text), {"\r": "&#13;"})


# -- Bodies of requests ----------------------------------------------------------------------------------


def read_entity(data: bytes) -> Draft:
    """What an entry says of an entity. StorageError: it is none."""
    draft = Draft()
    for node in _properties(data):
        if node.get(f"{{{_METADATA}}}null") == "true":
            continue
        kind = node.get(f"{{{_METADATA}}}type") or _edm.STRING
        draft.put(etree.QName(node).localname, node.text or "", kind)
    return draft


def read_table_name(data: bytes) -> str:
    """The name of the table in an entry. InvalidInput."""
    for node in _properties(data):
        if etree.QName(node).localname == "TableName":
            return node.text or ""
    raise invalid_input("The body names no table.")


def _properties(data: bytes) -> list[etree._Element]:
    found = parse_xml(data).find(f"{{{_ATOM}}}content/{{{_METADATA}}}properties")
    if found is None:
        raise invalid_input("The body is no Atom entry with properties.")
    return list(found.iterchildren("*"))
