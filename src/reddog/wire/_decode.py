"""Reading XML into wire types: one decoder per class, compiled from its declaration at first use.

Two readers share the declarations. The clients' is tolerant and fast: what is missing keeps its default, and
order does not matter. The service's (strict) is as particular as the real service: what stands out of order
is ignored without an error (behaviours.md, section 1), what is missing is ``None``, and what is wrong is
refused.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, cast

from lxml import etree

from reddog.wire import _scan, errors
from reddog.wire._schema import (
    INSTANCE_NAMESPACE,
    NAMESPACE,
    SERIALIZATION_NAMESPACE,
    Member,
    Scalar,
    members,
    wire_type,
)

T = TypeVar("T")
Node = Any  # lxml's element; its stubs cost more than they tell here
Decoder = Callable[[Node], Any]

_NIL = f"{{{INSTANCE_NAMESPACE}}}nil"
_CHOICES = {
    "LinuxProvisioningConfiguration": "LinuxConfigurationSet",
    "WindowsProvisioningConfiguration": "WindowsConfigurationSet",
}


def decode(cls: type[T], data: bytes, *, strict: bool = False) -> T:
    """Read one document.

    :param cls: the wire type of its root.
    :param data: the document; any encoding that it declares and libxml2 knows.
    :param strict: read it as the service reads a request: everything absent is ``None``.
    :raises ServiceError: 400 ``InvalidXmlRequest``; not well-formed, a document type, and with ``strict``
        also a wrong root, a missing required element, or text that is not of the element's type.
    """
    if not strict:
        try:
            found: T | None = _documents[cls](data)
        except _scan.OTHERWISE:
            found = None
        if found is not None:
            return found
    wanted: Any = cls
    root = parse(data)
    if issubclass(wanted, Scalar):
        return cast(T, _decode_scalar(wanted, root))
    if not strict:
        return cast(T, _decoder(wanted)(root))
    expected = wanted.xml_name()
    if root.tag != f"{{{NAMESPACE}}}{expected}":
        raise errors.WRONG_ROOT(expected=expected, found=_local(root))
    return cast(T, _strict_decoder(wanted)(root))


def _decode_scalar(cls: type[Scalar], root: Node) -> Scalar:
    if root.tag != f"{{{SERIALIZATION_NAMESPACE}}}{cls.xml_name()}":
        raise errors.WRONG_ROOT(expected=cls.xml_name(), found=_local(root))
    ((attribute, member),) = members(cls)
    return cls(**{attribute: _strict_converter(member)(root)})


def parse(data: bytes) -> Node:
    """The root of a document, without entities, document types, comments, or anything fetched.

    :raises ServiceError: 400 ``InvalidXmlRequest``.
    """
    try:
        root = etree.fromstring(data, _parsers.own)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise errors.MALFORMED_XML(
            detail=getattr(error, "msg", str(error)) or "the document is empty"
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise errors.DOCUMENT_TYPE()
    return root


def root_name(data: bytes) -> str:
    """The local name of a document's root."""
    return _local(parse(data))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )


class _Parsers(threading.local):
    """A parser for each thread: one at a time can use it, and making one takes as long as reading a short document."""

    def __init__(self) -> None:
        self.own = _parser()


_parsers = _Parsers()


def _local(node: Node) -> str:
    return str(node.tag).rpartition("}")[2]


# -- The clients' reader ---------------------------------------------------------------------------------


@cache
def _decoder(cls: type[Any]) -> Decoder:
    kinds = {member.kind for _, member in members(cls)}
    if kinds <= {*_TEXT_CONVERSIONS, *_AS_TEXT}:
        return _flat_decoder(cls)
    return _nested_decoder(cls)


class _Names(dict[str, str]):
    """Attribute names by tag; unknown tags go to an attribute that is thrown away."""

    def __missing__(self, tag: object) -> str:
        return ""


def _flat_decoder(cls: type[Any]) -> Decoder:
    """A decoder of a type whose elements all hold text: the bulk of every long list."""
    names = _Names(_by_tag({name: member.tag for name, member in members(cls)}))
    converted = [
        (name, _TEXT_CONVERSIONS[member.kind])
        for name, member in members(cls)
        if member.kind in _TEXT_CONVERSIONS
    ]
    constants, _ = _defaults(cls)
    new = object.__new__

    def decode_flat(node: Node) -> Any:
        found = {names[child.tag]: child.text or "" for child in node}
        for name, convert in converted:
            if name in found:
                found[name] = convert(found[name])
        found.pop("", None)
        made = new(cls)
        made.__dict__ = constants | found
        return made

    return decode_flat


def _by_tag(tags: dict[str, str]) -> dict[str, str]:
    """Attribute names by tag, with and without the namespace."""
    return {key: name for name, tag in tags.items() for key in (f"{{{NAMESPACE}}}{tag}", tag)}


def _nested_decoder(cls: type[Any]) -> Decoder:
    plan = {
        key: (name, None if member.kind in _AS_TEXT else _converter(member), member.kind in _REPEATED)
        for name, member in members(cls)
        for key in (f"{{{NAMESPACE}}}{member.tag}", member.tag)
    }
    find = plan.get
    constants, factories = _defaults(cls)

    def decode_nested(node: Node) -> Any:
        values = constants.copy()
        for child in node:
            found = find(child.tag)
            if found is None:
                continue
            name, convert, repeated = found
            if convert is None:
                values[name] = child.text or ""
            elif not repeated:
                values[name] = convert(child)
            elif name in values:
                values[name].append(convert(child))
            else:
                values[name] = [convert(child)]
        for name, factory in factories:
            if name not in values:
                values[name] = factory()
        made = object.__new__(cls)
        made.__dict__ = values
        return made

    return decode_nested


def _defaults(cls: type[Any]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """What attributes are when an answer does not have their elements, as the legacy package has it."""
    constants: dict[str, Any] = {}
    factories = []
    for item in fields(cls):
        member: Member | None = item.metadata.get("member")
        if member is not None and member.kind in _NONE_WHEN_ABSENT:
            constants[item.name] = None
        elif item.default_factory is not MISSING:
            factories.append((item.name, item.default_factory))
        else:
            constants[item.name] = item.default
    return constants, factories


def _converter(member: Member) -> Decoder:
    if member.kind in _TEXT_CONVERSIONS:
        convert = _TEXT_CONVERSIONS[member.kind]
        return lambda node: convert(node.text or "")
    simple: dict[str, Decoder] = {
        "names": lambda node: node.text or "",
        "strings": _strings_reader(member.item),
        "pairs": lambda node: _pairs(node, member.item),
    }
    if member.kind in simple:
        return simple[member.kind]
    if member.type == "ConfigurationSet":
        return lambda node: _decoder(_choose(node))(node)
    made: list[Decoder] = []

    def nested(node: Node) -> Any:  # compiled at first use: types may contain themselves
        if not made:
            made.append(_decoder(wire_type(member.type)))
        return made[0](node)

    return nested


def _strings_reader(item: str) -> Decoder:
    return lambda node: [child.text or "" for child in node if child.tag.rpartition("}")[2] == item]


def _integer(value: str) -> int:
    try:
        return int(value or 0)
    except ValueError:
        return 0


def _encoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode("utf-8")
    except ValueError:
        return value


_NONE_WHEN_ABSENT = ("element", "strings", "encoded")
_REPEATED = ("elements", "names")
_AS_TEXT = ("text", "number", "data")
_TEXT_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "boolean": lambda value: value.strip().lower() != "false",
    "encoded": _encoded,
}


_scanner = _scan.Scanner(
    _defaults, {**_TEXT_CONVERSIONS, "integer": int}
)  # what is no number, it leaves to others
_documents = _scanner.documents


def _pairs(node: Node, item: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in node:
        if child.tag.rpartition("}")[2] == item:
            parts = {part.tag.rpartition("}")[2]: part.text or "" for part in child}
            found[parts.get("Name", "")] = parts.get("Value", "")
    return found


def _choose(node: Node) -> Any:
    kind = node.findtext(f"{{{NAMESPACE}}}ConfigurationSetType") or ""
    return wire_type(_CHOICES.get(kind.strip(), "ConfigurationSet"))


# -- The service's reader --------------------------------------------------------------------------------


@cache
def _strict_decoder(cls: type[Any]) -> Decoder:
    declared = members(cls)
    positions = {
        f"{{{NAMESPACE}}}{member.tag}": (index, name, member, _strict_converter(member))
        for index, (name, member) in enumerate(declared)
    }
    absent = dict.fromkeys(item.name for item in fields(cls))
    required = [(name, member.tag) for name, member in declared if member.required]
    unordered = cls._unordered

    def decode_strictly(node: Node) -> Any:
        values: dict[str, Any] = dict(absent)
        last = -1
        for child in node:
            index, name, member, convert = positions.get(child.tag, (-1, "", None, None))
            repeats = member is not None and member.kind in ("elements", "names")
            if member is None or convert is None or (index < last and not unordered):
                continue
            if repeats:
                values[name] = values[name] or []
                values[name].append(convert(child))
            elif values[name] is None and child.get(_NIL) not in ("true", "1"):
                values[name] = convert(child)
            last = index
        for name, tag in required:
            if values[name] is None or values[name] == "":
                raise errors.MISSING_ELEMENT(element=tag, parent=_local(node))
        made = object.__new__(cls)
        made.__dict__ = values
        return made

    return decode_strictly


def _strict_converter(member: Member) -> Decoder:
    if member.kind in ("text", "names"):
        return _plain
    if member.kind in ("strings", "pairs"):
        return _converter(member)
    if member.kind in ("element", "elements"):
        if member.type == "ConfigurationSet":
            return lambda node: _strict_decoder(_choose(node))(node)
        return lambda node: _strict_decoder(wire_type(member.type))(node)  # noqa: PLW0108 - types may nest
    scalar = _SCALARS[member.kind]

    def checked(node: Node) -> Any:
        value = _plain(node).strip()
        if not value:
            return None if member.kind in ("integer", "boolean", "number") else ""
        try:
            return scalar(value)
        except ValueError:
            raise errors.INVALID_ELEMENT(element=member.tag, expected=_EXPECTED[member.kind]) from None

    return checked


def _plain(node: Node) -> str:
    if len(node):
        raise errors.INVALID_ELEMENT(element=_local(node), expected="text, not elements")
    return node.text or ""


def _strict_integer(value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        raise ValueError(value)
    return int(value)


def _strict_boolean(value: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[value.lower()]


def _boolean_or_error(value: str) -> bool:
    try:
        return _strict_boolean(value)
    except KeyError:
        raise ValueError(value) from None


def _strict_base64(value: str) -> str:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    return value


_SCALARS: dict[str, Callable[[str], Any]] = {
    "integer": _strict_integer,
    "number": lambda value: str(_strict_integer(value)),
    "boolean": _boolean_or_error,
    "data": _strict_base64,
    "encoded": lambda value: base64.b64decode(_strict_base64(value)).decode("utf-8"),
}
_EXPECTED = {
    "integer": "a whole number",
    "number": "a whole number",
    "boolean": "true or false",
    "data": "base64",
    "encoded": "base64 of UTF-8 text",
}
