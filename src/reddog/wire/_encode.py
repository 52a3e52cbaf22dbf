"""Writing wire types as XML: no declaration, no white space, both namespaces on the root, elements in order.

``None`` is left out, ``NIL`` is written as ``i:nil``, everything else is written.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from reddog.wire import errors
from reddog.wire._schema import (
    INSTANCE_NAMESPACE,
    NAMESPACE,
    NIL,
    PARAMETERS_NAMESPACE,
    SERIALIZATION_NAMESPACE,
    Member,
    Scalar,
    WireType,
    members,
)

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARED = f'xmlns="{NAMESPACE}" xmlns:i="{INSTANCE_NAMESPACE}"'
Encoder = Callable[[Any, list[str], bool], None]
Writer = Callable[[str, Any, list[str], bool], None]  # tag, value, parts, response


def encode(value: WireType, root: str | None = None, *, response: bool = False) -> bytes:
    """Write one document.

    :param value: the object; attributes that are ``None`` are left out.
    :param root: the root's name, where it is not the type's own.
    :param response: mark polymorphic elements with ``i:type``, as the service does in answers.
    :raises ServiceError: 400; a text has a character that XML cannot hold.
    """
    name = root or value.xml_name()
    if isinstance(value, Scalar):
        return _encode_scalar(name, value)
    parts = [f"<{name} {_DECLARED}>"]
    _encoder(cast(Any, type(value)))(value, parts, response)
    if len(parts) == 1:
        parts = [f"<{name} {_DECLARED}/>"]
    else:
        parts.append(f"</{name}>")
    return _checked("".join(parts))


def _encode_scalar(name: str, value: Scalar) -> bytes:
    ((attribute, member),) = members(type(value))
    content, parts = getattr(value, attribute), list[str]()
    _writer(member)(name, "" if content is None else content, parts, True)
    return _checked(parts[0].replace(f"<{name}", f'<{name} xmlns="{SERIALIZATION_NAMESPACE}"', 1))


def encode_item(value: WireType, tag: str | None = None, *, response: bool = True) -> bytes:
    """Write one element of a list that is sent in pieces, without namespace declarations."""
    parts: list[str] = []
    _write_element(tag or value.xml_name(), value, parts, response)
    return _checked("".join(parts))


def _checked(document: str) -> bytes:
    found = None if document.isprintable() else _FORBIDDEN.search(document)
    if found:
        raise errors.FORBIDDEN_CHARACTER(character=f"U+{ord(found.group()):04X}")
    return document.encode("utf-8")


@cache
def _encoder(cls: type[WireType]) -> Encoder:
    writers = [(name, member.tag, _writer(member)) for name, member in members(cls)]

    def write(value: Any, parts: list[str], response: bool) -> None:
        attributes = value.__dict__
        for name, tag, writer in writers:
            content = attributes.get(name)
            if content is None:
                continue
            if content is NIL:
                parts.append(f'<{tag} i:nil="true"/>')
            else:
                writer(tag, content, parts, response)

    return write


def _writer(member: Member) -> Writer:
    if member.kind == "strings":
        return lambda tag, value, parts, response: _write_strings(tag, member.item, value, parts)
    if member.kind == "pairs":
        return lambda tag, value, parts, response: _write_pairs(tag, member, value, parts)
    return _WRITERS.get(member.kind, _write_plain)


def _write_plain(tag: str, value: Any, parts: list[str], response: bool) -> None:
    text = str(value)
    parts.append(f"<{tag}>{_escape(text)}</{tag}>" if text else f"<{tag}/>")


def _write_boolean(tag: str, value: Any, parts: list[str], response: bool) -> None:
    parts.append(f"<{tag}>{'true' if value else 'false'}</{tag}>")


def _write_integer(tag: str, value: Any, parts: list[str], response: bool) -> None:
    parts.append(f"<{tag}>{value}</{tag}>")


def _write_encoded(tag: str, value: Any, parts: list[str], response: bool) -> None:
    text = _base64(value)
    parts.append(f"<{tag}>{text}</{tag}>" if text else f"<{tag}/>")


def _base64(value: Any) -> str:
    return base64.b64encode(str(value).encode("utf-8", "surrogatepass")).decode("ascii")


def _escape(value: str) -> str:
    if value.isalnum():  # the most of what is written, and the quickest to tell
        return value
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if ">" in value:
        value = value.replace(">", "&gt;")
    return value.replace("\r", "&#13;") if "\r" in value else value


def _write_text(tag: str, value: str, parts: list[str]) -> None:
    parts.append(f"<{tag}>{_escape(value)}</{tag}>" if value else f"<{tag}/>")


def _write_element(tag: str, value: Any, parts: list[str], response: bool) -> None:
    marked = response and value._instance_type and (tag != "Role" or value.role_type)
    attributes = f' i:type="{value._instance_type}"' if marked else ""
    start = len(parts)
    parts.append(f"<{tag}{attributes}>")
    _encoder(cast(Any, type(value)))(value, parts, response)
    if len(parts) == start + 1:
        parts[start] = f"<{tag}{attributes}/>"
    else:
        parts.append(f"</{tag}>")


def _write_all(tag: str, values: Any, parts: list[str], response: bool) -> None:
    for value in values:
        _write_element(tag, value, parts, response)


def _write_names(tag: str, values: Any, parts: list[str], response: bool = False) -> None:
    for value in values:
        _write_text(tag, str(value), parts)


def _write_strings(tag: str, item: str, values: Any, parts: list[str]) -> None:
    if not values:
        parts.append(f"<{tag}/>")
        return
    parts.append(f"<{tag}>")
    _write_names(item, values, parts)
    parts.append(f"</{tag}>")


def _write_pairs(tag: str, member: Member, values: dict[str, str], parts: list[str]) -> None:
    prefix, declared = ("", "")
    if member.namespace == PARAMETERS_NAMESPACE:
        prefix, declared = "a:", f' xmlns:a="{PARAMETERS_NAMESPACE}"'
    if not values:
        parts.append(f"<{tag}/>")
        return
    parts.append(f"<{tag}{declared}>")
    name_tag, value_tag = f"{prefix}Name", f"{prefix}Value"
    for name, value in values.items():
        parts.append(f"<{member.item}>")
        _write_plain(name_tag, name, parts, True)
        _write_plain(value_tag, value, parts, True)
        parts.append(f"</{member.item}>")
    parts.append(f"</{tag}>")


_WRITERS: dict[str, Writer] = {
    "boolean": _write_boolean,
    "integer": _write_integer,
    "encoded": _write_encoded,
    "element": _write_element,
    "elements": _write_all,
    "names": _write_names,
}
