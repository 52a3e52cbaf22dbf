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
_TEXTS = ("text", "number", "data")
Encoder = Callable[[Any, list[str], bool], None]
Writer = Callable[[str, Any, list[str], bool], None]  # tag, value, parts, response


def encode(value: WireType, root: str | None = None, *, response: bool = False) -> bytes:
    """Write one document.

    :param value: the object; attributes that are ``None`` are left out.
    :param root: the root's name, where it is not the type's own.
    :param response: mark polymorphic elements with ``i:type``, as the service does in answers.
    :raises ServiceError: 400; a text has a character that XML cannot hold.
    """
    name, head, tail, write = _document(cast(Any, type(value)))
    if root is not None and root != name:
        name, head, tail = root, f"<{root} {_DECLARED}>", f"</{root}>"
    if write is None:
        return _encode_scalar(name, value)
    parts = [head]
    write(value, parts, response)
    if len(parts) == 1:
        return f"{head[:-1]}/>".encode()
    parts.append(tail)
    return "".join(parts).encode()


@cache
def _document(cls: type[WireType]) -> tuple[str, str, str, Encoder | None]:
    """A type's own root, how it begins and ends, and its encoder; none for a document that is one value."""
    name = cls.xml_name()
    write = None if issubclass(cls, Scalar) else _encoder(cast(Any, cls))
    return name, f"<{name} {_DECLARED}>", f"</{name}>", write


def _encode_scalar(name: str, value: WireType) -> bytes:
    ((attribute, member),) = members(type(value))
    content, parts = getattr(value, attribute), list[str]()
    _writer(member)(name, "" if content is None else content, parts, True)
    return parts[0].replace(f"<{name}", f'<{name} xmlns="{SERIALIZATION_NAMESPACE}"', 1).encode()


def encode_item(value: WireType, tag: str | None = None, *, response: bool = True) -> bytes:
    """Write one element of a list that is sent in pieces, without namespace declarations."""
    parts: list[str] = []
    _write_element(tag or value.xml_name(), value, parts, response)
    return "".join(parts).encode()


@cache
def _encoder(cls: type[WireType]) -> Encoder:
    """A type's encoder: made as source, as dataclasses make their methods, for a loop over the members is slower."""
    names: dict[str, Any] = {"nil": NIL, "escape": _escape}
    lines = ["def write(value, parts, response):", "    get, add = value.__dict__.get, parts.append"]
    for number, (name, member) in enumerate(members(cls)):
        names[f"write{number}"] = _writer(member)
        tag = member.tag
        lines += [
            f"    value = get({name!r})",
            "    if value is None: pass",
            f"    elif value is nil: add('<{tag} i:nil=\"true\"/>')",
        ]
        if member.kind in _TEXTS:
            lines += [
                "    elif value.__class__ is str:",
                f"        if value.isalnum(): add(f'<{tag}>{{value}}</{tag}>')",
                f"        else: add(f'<{tag}>{{escape(value)}}</{tag}>' if value else '<{tag}/>')",
            ]
        elif member.kind == "integer":
            lines += [f"    elif value.__class__ is int: add(f'<{tag}>{{value}}</{tag}>')"]
        lines += [f"    else: write{number}({tag!r}, value, parts, response)"]
    exec(compile("\n".join(lines), f"<encoder of {cls.__name__}>", "exec"), names)  # noqa: S102 - declarations alone
    made: Encoder = names["write"]
    return made


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


def _write_encoded(tag: str, value: Any, parts: list[str], response: bool) -> None:
    text = _base64(value)
    parts.append(f"<{tag}>{text}</{tag}>" if text else f"<{tag}/>")


def _base64(value: Any) -> str:
    return base64.b64encode(str(value).encode("utf-8", "surrogatepass")).decode("ascii")


def _escape(value: str) -> str:
    if value.isalnum():  # the most of what is written, and the quickest to tell
        return value
    found = None if value.isprintable() else _FORBIDDEN.search(value)
    if found:
        raise errors.FORBIDDEN_CHARACTER(character=f"U+{ord(found.group()):04X}")
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
    "encoded": _write_encoded,
    "element": _write_element,
    "elements": _write_all,
    "names": _write_names,
}
