"""Reading answers that are written as the service writes them, without a tree of nodes in between.

An answer that has the expected namespaces on its root, no white space between elements, every element in its place and
no reference like ``&amp;`` matches expressions made from the declarations, and is read by them. It is well-formed then:
the expressions allow nothing else. Whatever does not match to its last character is left to the ordinary reader, which
gives the same objects, and the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from reddog.wire._schema import INSTANCE_NAMESPACE, NAMESPACE, Member, members, wire_type

LARGEST = 4 << 20  # bytes; XML parsers have limits of their own for what is larger
Convert = Callable[[str], Any]
Reader = Callable[[str, int], tuple[Any, int]]  # text, where to begin; the object, and where it ended
Step = Callable[[str, int, dict[str, Any]], int]  # text, where to begin, attributes; where it ended
Defaults = Callable[[type[Any]], tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]]

_ROOT = re.compile(rf'<(\w++) xmlns="{re.escape(NAMESPACE)}" xmlns:i="{re.escape(INSTANCE_NAMESPACE)}">')
_TEXT = r"[^<>&\x00-\x08\x0b-\x1f\ufffe\uffff]*+"
_NETWORK = "<ConfigurationSetType>NetworkConfiguration</ConfigurationSetType>"


class _OtherwiseError(Exception):
    """The answer is not written as expected."""


class Scanner:
    """Readers of wire types.

    Args:
        defaults: Gives what a type's attributes are when there are no elements: constants, and factories.
        conversions: What the text of an element means, by the kind of member; other kinds stay text.
    """

    def __init__(self, defaults: Defaults, conversions: dict[str, Convert]) -> None:
        self._defaults = defaults
        self._conversions = conversions
        self._reader: Callable[[Any], Reader] = cache(self._make_reader)

    def read(self, cls: type[Any], data: bytes) -> Any:
        """The object that an answer is, or None when it is not written as expected."""
        if len(data) > LARGEST or b"&" in data:
            return None
        try:
            text = data.decode("utf-8")
            root = _ROOT.match(text)
            if root is None:
                return None
            made, end = self._reader(cls)(text, root.end())
        except (UnicodeDecodeError, _OtherwiseError, RecursionError):
            return None
        close = f"</{root[1]}>"
        return made if end + len(close) == len(text) and text.endswith(close) else None

    def _make_reader(self, cls: type[Any]) -> Reader:
        constants, factories = self._defaults(cls)
        steps = self._steps(cls)
        new = object.__new__

        def read(text: str, position: int) -> tuple[Any, int]:
            values = constants.copy()
            for step in steps:
                position = step(text, position, values)
            for name, factory in factories:
                if name not in values:
                    values[name] = factory()
            made = new(cls)
            made.__dict__ = values
            return made, position

        return read

    def _steps(self, cls: type[Any]) -> list[Step]:
        """One step for each run of elements that hold text, and one for each other element."""
        steps: list[Step] = []
        run: list[tuple[str, Member]] = []
        for name, member in members(cls):
            special = self._special(name, member)
            if special is None:
                run.append((name, member))
                continue
            if run:
                steps.append(self._texts(run))
                run = []
            steps.append(special)
        return [*steps, self._texts(run)] if run else steps

    def _special(self, name: str, member: Member) -> Step | None:
        if member.kind == "element":
            return self._element(name, member)
        if member.kind == "elements":
            return self._elements(name, member)
        if member.kind == "names":
            return _names(name, member)
        if member.kind == "strings":
            return _strings(name, member)
        return _pairs(name, member) if member.kind == "pairs" else None

    def _texts(self, run: list[tuple[str, Member]]) -> Step:
        pattern = "".join(f"(<{one.tag}/>|<{one.tag}>{_TEXT}</{one.tag}>)?+" for _, one in run)
        match = re.compile(pattern).match
        parts = [
            (name, len(member.tag) + 2, -len(member.tag) - 3, self._conversions.get(member.kind))
            for name, member in run
        ]

        def step(text: str, position: int, values: dict[str, Any]) -> int:
            found = match(text, position)
            assert found is not None  # all is optional
            for (name, start, end, convert), element in zip(parts, found.groups(), strict=True):
                if element is not None:
                    content = element[start:end]
                    values[name] = content if convert is None else convert(content)
            return found.end()

        return step

    def _element(self, name: str, member: Member) -> Step:
        read = self._one(member)

        def step(text: str, position: int, values: dict[str, Any]) -> int:
            found = read(text, position)
            if found is None:
                return position
            values[name], position = found
            return position

        return step

    def _elements(self, name: str, member: Member) -> Step:
        read = self._one(member)

        def step(text: str, position: int, values: dict[str, Any]) -> int:
            items = []
            while found := read(text, position):
                item, position = found
                items.append(item)
            if items:
                values[name] = items
            return position

        return step

    def _one(self, member: Member) -> Callable[[str, int], tuple[Any, int] | None]:
        """A reader of one element, or of none."""
        opening, closing = f"<{member.tag}>", f"</{member.tag}>"
        width, end_width = len(opening), len(closing)
        typed = re.compile(rf'<{member.tag}(?: i:type="\w++")?+(/?+)>').match
        choice = member.type == "ConfigurationSet"
        made: list[Reader] = []

        def read(text: str, position: int) -> tuple[Any, int] | None:
            if text.startswith(opening, position):
                position += width
            else:
                head = typed(text, position)
                if head is None:
                    return None
                position = head.end()
                if head[1]:
                    return made_reader()("", 0)[0], position
            if choice and not text.startswith(_NETWORK, position):
                raise _OtherwiseError
            value, position = (made[0] if made else made_reader())(text, position)
            if not text.startswith(closing, position):
                raise _OtherwiseError
            return value, position + end_width

        def made_reader() -> Reader:  # at first use: types may contain themselves
            made.append(self._reader(wire_type(member.type)))
            return made[0]

        return read


def _leaf(tag: str) -> str:
    """An expression for an element with text; the text is its group."""
    return f"<{tag}(?:/>|>({_TEXT})</{tag}>)"


def _whole(pattern: str) -> str:
    """An expression without groups."""
    return pattern.replace(f"({_TEXT})", _TEXT)


def _names(name: str, member: Member) -> Step:
    leaf = _leaf(member.tag)
    match, items = re.compile(f"(?:{_whole(leaf)})*+").match, re.compile(leaf).findall

    def step(text: str, position: int, values: dict[str, Any]) -> int:
        found = match(text, position)
        if found and found[0]:
            values[name] = items(found[0])
        return found.end() if found else position

    return step


def _strings(name: str, member: Member) -> Step:
    return _listed(name, member.tag, _leaf(member.item), list)


def _pairs(name: str, member: Member) -> Step:
    pair = f"<{member.item}>{_leaf('Name')}{_leaf('Value')}</{member.item}>"
    return _listed(name, member.tag, pair, dict)


def _listed(name: str, tag: str, item: str, collect: Callable[[Any], Any]) -> Step:
    """An element around repeated items."""
    match = re.compile(f"<{tag}(?:/>|>((?:{_whole(item)})*+)</{tag}>)").match
    items = re.compile(item).findall

    def step(text: str, position: int, values: dict[str, Any]) -> int:
        found = match(text, position)
        if found is None:
            return position
        values[name] = collect(items(found[1] or ""))
        return found.end()

    return step
