"""Objects of every wire type for hypothesis, built from the declarations alone."""

from __future__ import annotations

import base64
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from reddog import wire
from reddog.wire._schema import Member, members, wire_type

TYPES: list[type[wire.WireType]] = [
    value
    for name in sorted(wire.types.__all__)
    if isinstance(value := getattr(wire, name), type) and members(value)
]
DEPTH = 2  # of optional elements; required ones go as deep as they must

XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("<>&'\"\t\n\r ]]>"),
    max_size=12,
)
NAMES = XML_TEXT.filter(bool)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "text": XML_TEXT,
    "number": st.integers(-(10**17), 10**17).map(str),
    "integer": st.integers(-(10**17), 10**17),
    "boolean": st.booleans(),
    "encoded": st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
    "data": st.binary(max_size=9).map(lambda value: base64.b64encode(value).decode()),
}
CONFIGURATION_SETS = {
    "LinuxConfigurationSet": "LinuxProvisioningConfiguration",
    "WindowsConfigurationSet": "WindowsProvisioningConfiguration",
    "ConfigurationSet": "NetworkConfiguration",
}


def requests(cls: type[Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Objects as the service reads them: what is absent is ``None``, what is required is there."""
    return st.builds(
        lambda values: wire.only(cls, **values),
        st.fixed_dictionaries(
            {name: _request_value(cls, name, member, depth) for name, member in members(cls)}
        ),
    )


def _request_value(cls: type[Any], name: str, member: Member, depth: int) -> st.SearchStrategy[Any]:
    if name == "configuration_set_type":
        return st.just(CONFIGURATION_SETS[cls.__name__])
    if issubclass(cls, wire.Scalar):
        return _value(member, depth, requests)
    repeated = member.kind in ("elements", "names")
    value = _value(member, depth, requests, least=int(repeated or member.required))
    if member.required:
        return value.filter(lambda found: found != "")
    if depth >= DEPTH and (repeated or member.kind == "element"):
        return st.none()
    return st.none() | value


def answers(cls: type[Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Objects as the clients read them: what has no element has its default."""
    return st.builds(
        lambda values: _with(cls, values),
        st.fixed_dictionaries(
            {name: _answer_value(cls, name, member, depth) for name, member in members(cls)}
        ),
    )


def _with(cls: type[Any], values: dict[str, Any]) -> Any:
    made = cls()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _answer_value(cls: type[Any], name: str, member: Member, depth: int) -> st.SearchStrategy[Any]:
    if name == "configuration_set_type":
        return st.just(CONFIGURATION_SETS[cls.__name__])
    if member.kind == "pairs" and _default(cls, name) is None:
        return st.none() | _value(member, depth, answers)
    if member.kind == "element":
        return st.none() if depth >= DEPTH else st.none() | _value(member, depth, answers)
    if member.kind == "elements":
        return st.just([]) if depth >= DEPTH else _value(member, depth, answers)
    if member.kind == "strings":
        return st.none() | _value(member, depth, answers)
    return _value(member, depth, answers)


def _default(cls: type[Any], name: str) -> Any:
    return next(item.default for item in fields(cls) if item.name == name)


def _value(member: Member, depth: int, build: Any, least: int = 0) -> st.SearchStrategy[Any]:
    if member.kind in SCALARS:
        return SCALARS[member.kind]
    if member.kind in ("names", "strings"):
        return st.lists(XML_TEXT, min_size=least, max_size=3)
    if member.kind == "pairs":
        return st.dictionaries(NAMES, XML_TEXT, max_size=3)
    choices = CONFIGURATION_SETS if member.type == "ConfigurationSet" else (member.type,)
    element = st.one_of(
        [st.deferred(lambda name=name: build(wire_type(name), depth + 1)) for name in choices]
    )
    return element if member.kind == "element" else st.lists(element, min_size=least, max_size=2)
