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

from reddog.wire._schema import (
    INSTANCE_NAMESPACE,
    NAMESPACE,
    PARAMETERS_NAMESPACE,
    Member,
    Scalar,
    members,
    wire_type,
)

LARGEST = 4 << 20  # bytes; XML parsers have limits of their own for what is larger
Convert = Callable[[str], Any]
Document = Callable[[Any], Any]  # an answer; the object, or None
Reader = Callable[[str, int], tuple[Any, int]]  # text, where to begin; the object, and where it ended
Step = Callable[[str, int, dict[str, Any]], int]  # text, where to begin, attributes; where it ended
Defaults = Callable[[type[Any]], tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]]

_DECLARED = f'xmlns="{NAMESPACE}" xmlns:i="{INSTANCE_NAMESPACE}"'
_ROOT = re.compile(rf"<(\w++) {re.escape(_DECLARED)}>")
_TEXT = r"[^<>&\x00-\x08\x0b-\x1f\ufffe\uffff]*+"
_NETWORK = "<ConfigurationSetType>NetworkConfiguration</ConfigurationSetType>"


class _OtherwiseError(Exception):
    """The answer is not written as expected."""


OTHERWISE = (_OtherwiseError, UnicodeDecodeError, RecursionError)
"""What readers raise when an answer is not written as expected."""


class Scanner:
    """Readers of wire types.

    Each type's reader is a function made from its declaration as source, as dataclasses make theirs: a loop over the
    members would take longer than all else.

    Args:
        defaults: Gives what a type's attributes are when there are no elements: constants, and factories.
        conversions: What the text of an element means, by the kind of member; other kinds stay text.
    """

    def __init__(self, defaults: Defaults, conversions: dict[str, Convert]) -> None:
        self._defaults = defaults
        self._conversions = conversions
        self.document: Callable[[Any], Document] = cache(self._make_document)
        self._reader: Callable[[Any], Reader] = cache(self._make_reader)

    def read(self, cls: type[Any], data: bytes) -> Any:
        """The object that an answer is, or None when it is not written as expected."""
        try:
            return self.document(cls)(data)
        except OTHERWISE:
            return None

    def _make_document(self, cls: type[Any]) -> Document:
        """A reader of answers; it raises one of `OTHERWISE`, or returns None, when they are not as expected."""
        if issubclass(cls, Scalar):
            return lambda data: None
        source = _Source(self._conversions)
        root = cls.xml_name()
        head, close = f"<{root} {_DECLARED}>", f"</{root}>"
        source.names |= {"head": head, "close": close, "other": self._other_root(cls)}
        source.add(
            "def made(data):",
            f"    if len(data) > {LARGEST}: return None",
            "    text = data.decode()",
            "    if not text.startswith(head): return other(text)",
        )
        if self._is_flat(cls):  # one expression reads the whole answer
            run = members(cls)
            source.names |= {"whole": re.compile(_run_pattern(run) + close).fullmatch}
            source.add(f"    found = whole(text, {len(head)})", "    if found is None: return None")
            source.begin(cls, self._defaults(cls)[0])
            source.add_texts(run)
            source.add("    value.__dict__ = values", "    return value")
        else:
            source.add(f"    position = {len(head)}")
            self._add_members(source, cls)
            source.add("    return value if text[position:] == close else None")
        return source.compiled(cls)

    def _other_root(self, cls: type[Any]) -> Document:
        """A reader of answers whose root has another name than the type's own."""

        def read(text: str) -> Any:
            root = _ROOT.match(text)
            if root is None:
                return None
            value, end = self._reader(cls)(text, root.end())
            close = f"</{root[1]}>"
            return value if end + len(close) == len(text) and text.endswith(close) else None

        return read

    def _make_reader(self, cls: type[Any]) -> Reader:
        source = _Source(self._conversions)
        source.add("def made(text, position):")
        self._add_members(source, cls)
        source.add("    return value, position")
        return source.compiled(cls)

    def _add_members(self, source: _Source, cls: type[Any]) -> None:
        """Make the object, from what stands at `position`."""
        constants, factories = self._defaults(cls)
        source.begin(cls, constants)
        for run in _runs(members(cls)):
            if isinstance(run, list):
                match = source.name(re.compile(_run_pattern(run)).match)
                source.add(f"    found = {match}(text, position)", "    position = found.end()")
                source.add_texts(run)
            else:
                self._add_special(source, *run)
        for name, factory in factories:
            source.add(f"    if {name!r} not in values: values[{name!r}] = {source.name(factory)}()")
        source.add("    value.__dict__ = values")

    def _add_special(self, source: _Source, name: str, member: Member) -> None:
        listed = _special(member)
        if listed is not None and listed is not _one:
            step = source.name(listed(name, member))
            source.add(f"    position = {step}(text, position, values)")
            return
        cls = wire_type(member.type)
        opening = f"<{member.tag}"
        source.add(f"    if text.startswith({opening!r}, position):")
        inner = source.name(None)
        other = source.name(self._other(member, cls, inner, source.names))

        def first(text: str, position: int) -> tuple[Any, int]:
            """Types may contain themselves: their readers are made when they are needed."""
            source.names[inner] = reader = self._reader(cls)
            return reader(text, position)

        source.names[inner] = first
        indent = " " * 8
        if member.kind == "elements":
            source.add(f"{indent}items = []", f"{indent}while text.startswith({opening!r}, position):")
            indent += "    "
        if self._is_flat(cls):
            self._add_flat_item(source, member, cls, indent)
        else:
            self._add_item(source, member, inner, indent)
        self._add_empty_item(source, member, cls, indent)
        source.add(f"{indent}else:", f"{indent}    found = {other}(text, position)")
        if member.kind == "elements":
            source.add(f"{indent}    if found is None: break", f"{indent}    item, position = found")
            source.add(f"{indent}items.append(item)", f"        if items: values[{name!r}] = items")
        else:
            source.add(f"{indent}    item, position = found or (absent, position)")
            source.add(f"        if item is not absent: values[{name!r}] = item")

    def _add_flat_item(self, source: _Source, member: Member, cls: type[Any], indent: str) -> None:
        """One expression reads an element whose elements all hold text."""
        run = members(cls)
        match = source.name(re.compile(f"<{member.tag}>{_run_pattern(run)}</{member.tag}>").match)
        source.add(f"{indent}found = {match}(text, position)", f"{indent}if found is not None:")
        indent += "    "
        source.add(f"{indent}position = found.end()")
        source.begin(cls, self._defaults(cls)[0], indent, "inner", "item")
        source.add_texts(run, indent, "inner")
        source.add(f"{indent}item.__dict__ = inner")

    def _add_item(self, source: _Source, member: Member, inner: str, indent: str) -> None:
        opening, closing = f"<{member.tag}>", f"</{member.tag}>"
        source.add(f"{indent}if text.startswith({opening!r}, position):")
        indent += "    "
        if member.type == "ConfigurationSet":
            source.add(f"{indent}if not text.startswith(network, position + {len(opening)}): raise otherwise")
        source.add(
            f"{indent}item, position = {inner}(text, position + {len(opening)})",
            f"{indent}if not text.startswith({closing!r}, position): raise otherwise",
            f"{indent}position += {len(closing)}",
        )

    def _add_empty_item(self, source: _Source, member: Member, cls: type[Any], indent: str) -> None:
        constants, factories = self._defaults(cls)
        empty = f"<{member.tag}/>"
        source.add(f"{indent}elif text.startswith({empty!r}, position):")
        indent += "    "
        source.add(f"{indent}position += {len(empty)}")
        source.begin(cls, constants, indent, "inner", "item")
        source.add(*(f"{indent}inner[{name!r}] = {source.name(factory)}()" for name, factory in factories))
        source.add(f"{indent}item.__dict__ = inner")

    def _is_flat(self, cls: type[Any]) -> bool:
        """Whether all elements of a type hold text."""
        return not self._defaults(cls)[1] and all(_special(one) is None for _, one in members(cls))

    def _other(
        self, member: Member, cls: type[Any], inner: str, names: dict[str, Any]
    ) -> Callable[[str, int], Any]:
        """A reader of one element that is empty or says its type; None for what is another element."""
        head = re.compile(rf'<{member.tag}(?: i:type="\w++")?+(/?+)>').match
        closing = f"</{member.tag}>"
        constants, factories = self._defaults(cls)

        def read(text: str, position: int) -> tuple[Any, int] | None:
            found = head(text, position)
            if found is None:
                return None
            if found[1]:
                empty = object.__new__(cls)
                empty.__dict__ = {**constants, **{name: factory() for name, factory in factories}}
                return empty, found.end()
            if member.type == "ConfigurationSet" and not text.startswith(_NETWORK, found.end()):
                raise _OtherwiseError
            value, position = names[inner](text, found.end())
            if not text.startswith(closing, position):
                raise _OtherwiseError
            return value, position + len(closing)

        return read


class _Source:
    """The source of a function `made`, and what it refers to."""

    def __init__(self, conversions: dict[str, Convert]) -> None:
        self._conversions = conversions
        self._lines: list[str] = []
        self.names: dict[str, Any] = {
            "new": object.__new__,
            "network": _NETWORK,
            "otherwise": _OtherwiseError,
            "absent": object(),
        }

    def add(self, *lines: str) -> None:
        """Add lines, indented as they are."""
        self._lines += lines

    def name(self, value: Any) -> str:
        """A name by which the function refers to a value."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def begin(
        self,
        cls: type[Any],
        constants: dict[str, Any],
        indent: str = "    ",
        values: str = "values",
        value: str = "value",
    ) -> None:
        """Make the object, and its attributes as they are without elements."""
        self.add(f"{indent}{values} = {self.name(constants.copy)}()")
        self.add(f"{indent}{value} = new({self.name(cls)})")

    def add_texts(
        self, run: list[tuple[str, Member]], indent: str = "    ", values: str = "values", first: str = ""
    ) -> None:
        """Take the texts of a run of elements from the groups of `found`."""
        groups = [f"g{number}" for number in range(len(run))]
        self.add(f"{indent}{first}{', '.join(groups)}, = found.groups()")
        for group, (name, member) in zip(groups, run, strict=True):
            content = f"{group}[{len(member.tag) + 2}:{-len(member.tag) - 3}]"
            convert = self._conversions.get(member.kind)
            if convert is not None:
                content = f"{self.name(convert)}({content})"
            self.add(f"{indent}if {group} is not None: {values}[{name!r}] = {content}")

    def compiled(self, cls: type[Any]) -> Callable[..., Any]:
        """The function."""
        code = compile("\n".join(self._lines), f"<reader of {cls.__name__}>", "exec")
        exec(code, self.names)  # noqa: S102 - made of the declarations alone
        made: Callable[..., Any] = self.names["made"]
        return made


Run = list[tuple[str, Member]] | tuple[str, Member]


def _runs(all_members: list[tuple[str, Member]]) -> list[Run]:
    """Members in order: those that hold text together, every other one by itself."""
    runs: list[Run] = []
    for name, member in all_members:
        if _special(member) is not None:
            runs.append((name, member))
        elif runs and isinstance(runs[-1], list):
            runs[-1].append((name, member))
        else:
            runs.append([(name, member)])
    return runs


def _run_pattern(run: list[tuple[str, Member]]) -> str:
    return "".join(f"(<{one.tag}/>|<{one.tag}>{_TEXT}</{one.tag}>)?+" for _, one in run)


def _special(member: Member) -> Callable[[str, Member], Step] | None:
    """How elements are read that do not hold text alone."""
    return {"element": _one, "elements": _one, "names": _names, "strings": _strings, "pairs": _pairs}.get(
        member.kind
    )


def _one(name: str, member: Member) -> Step:
    """Stands for what readers of other types read."""
    raise NotImplementedError


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
    prefix, declared = "", ""
    if member.namespace == PARAMETERS_NAMESPACE:
        prefix, declared = "a:", f' xmlns:a="{re.escape(PARAMETERS_NAMESPACE)}"'
    pair = f"<{member.item}>{_leaf(prefix + 'Name')}{_leaf(prefix + 'Value')}</{member.item}>"
    return _listed(name, member.tag, pair, dict, declared)


def _listed(name: str, tag: str, item: str, collect: Callable[[Any], Any], declared: str = "") -> Step:
    """An element around repeated items; `declared` follows its name, unless it is empty."""
    match = re.compile(f"<{tag}(?:/>|{declared}>((?:{_whole(item)})*+)</{tag}>)").match
    items = re.compile(item).findall

    def step(text: str, position: int, values: dict[str, Any]) -> int:
        found = match(text, position)
        if found is None:
            return position
        values[name] = collect(items(found[1] or ""))
        return found.end()

    return step
