"""Reading answers that are written as the service writes them, without a tree of nodes in between.

An answer that has the expected namespaces on its root, no white space between elements, every element in its place and
no reference like ``&lt;`` matches expressions made from the declarations, and is read by them. It is well-formed then:
the expressions allow nothing else (ampersands are seen to before). Whatever does not match to its last character is
left to the ordinary reader, which gives the same objects, and the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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

WORTHWHILE = 256 << 10  # bytes of answers of one type, after which a reader of its own is made
Run = list[tuple[str, Member]]
Convert = Callable[[str], Any]
Document = Callable[[Any], Any]  # an answer; the object, or None
Reader = Callable[[str, int], tuple[Any, int]]  # text, where to begin; the object, and where it ended
Defaults = Callable[[type[Any]], tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]]

_DECLARED = f'xmlns="{NAMESPACE}" xmlns:i="{INSTANCE_NAMESPACE}"'
_ROOT = re.compile(rf"<(\w++) {re.escape(_DECLARED)}>")
_TEXT = r"[\t\n -;=?-\ufffd\U00010000-\U0010ffff]*+"  # all but < and > and what XML does not have
_OTHER_REFERENCE = re.compile("&(?!(?:amp|quot|apos);)")
_TYPE = r'(?: i:type="\w++")?+'
_DEEPEST = 2  # lists in lists that one expression reads: it reads what is in them once more for each
_LONGEST = 800  # characters of an expression for one element; making a longer one takes too long
_NETWORK = "<ConfigurationSetType>NetworkConfiguration</ConfigurationSetType>"


class _OtherwiseError(Exception):
    """The answer is not written as expected."""


OTHERWISE = (_OtherwiseError, ValueError, RecursionError)
"""What readers raise when an answer is not written as expected."""


class _Documents(dict[Any, Document]):
    """Readers of answers by type. They raise one of `OTHERWISE`, or return None, when an answer is not as expected."""

    def __init__(self, first: Callable[[Any], Document]) -> None:
        super().__init__()
        self._first = first

    def __missing__(self, cls: Any) -> Document:
        self[cls] = made = self._first(cls)
        return made


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
        self.documents = _Documents(self._first_document)
        self._document: Callable[[Any], Document] = cache(self._make_document)
        self._reader: Callable[[Any], Reader] = cache(self._make_reader)

    def read(self, cls: type[Any], data: bytes) -> Any:
        """The object that an answer is, or None when it is not written as expected."""
        try:
            return self._document(cls)(data)
        except OTHERWISE:
            return None

    def _first_document(self, cls: type[Any]) -> Document:
        """Stands for a reader that is not made yet: it takes milliseconds, which few answers would not save."""
        left = WORTHWHILE

        def count(data: Any) -> Any:
            nonlocal left
            left -= len(data)
            if left > 0:
                return None
            self.documents[cls] = reader = self._document(cls)
            return reader(data)

        return count

    def _make_document(self, cls: type[Any]) -> Document:
        """A reader of answers, see `_Documents`."""
        if issubclass(cls, Scalar):
            return lambda data: None
        source = _Source(self._defaults, self._conversions)
        root = cls.xml_name()
        head, close = f"<{root} {_DECLARED}>", f"</{root}>"
        source.names |= {"head": head, "close": close, "other": self._other_root(cls)}
        source.add(
            "def made(data):",
            "    text = data.decode()",
            "    if '&' in text: text = referred(text)",
            "    if not text.startswith(head): return other(text)",
        )
        first, *rest = _runs(members(cls)) or [[]]
        if isinstance(first, list) and (not rest or _is_last_element(rest)):  # one expression reads it whole
            whole = source.name(re.compile(_pattern(first, grouped=True) + close).fullmatch)
            source.add(f"    found = {whole}(text, {len(head)})", "    if found is not None:")
            source.add_object(cls, "value", "        ")
            source.add_run(first, "value", "        ")
            source.add("        return value")
        if rest or not isinstance(first, list):
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
        source = _Source(self._defaults, self._conversions)
        source.add("def made(text, position):")
        self._add_members(source, cls)
        source.add("    return value, position")
        return source.compiled(cls)

    def _add_members(self, source: _Source, cls: type[Any]) -> None:
        """Make the object, from what stands at `position`."""
        source.add_object(cls, "value")
        for run in _runs(members(cls)):
            if isinstance(run, list):
                match = source.name(re.compile(_pattern(run, grouped=True)).match)
                source.add(f"    found = {match}(text, position)", "    position = found.end()")
                source.add_run(run, "value")
            else:
                self._add_items(source, *run)

    def _add_items(self, source: _Source, name: str, member: Member) -> None:
        """Read an element, or several, one by one."""
        cls, run = wire_type(member.type), members(wire_type(member.type))
        is_list = member.kind == "elements"
        source.add(*["    items = []"] * is_list, f"    while text.startswith('<{member.tag}', position):")
        if member.type != "ConfigurationSet" and all(_is_plain(one) for _, one in run):
            match = source.name(re.compile(_element(member, grouped=True)).match)
            source.add(
                f"        found = {match}(text, position)",
                "        if found is None: break",
                "        position = found.end()",
            )
            source.add_object(cls, "item", "        ")
            source.add_run(run, "item", "        ")
        else:
            self._add_item(source, member, cls)
        if is_list:
            source.add("        items.append(item)", f"    value_[{name!r}] = items")
        else:
            source.add(f"        value_[{name!r}] = item", "        break")

    def _add_item(self, source: _Source, member: Member, cls: type[Any]) -> None:
        """Read one element by the reader of its type, which also makes what an empty one is."""
        head = source.name(re.compile(f"<{member.tag}{_TYPE}(/?+)>").match)
        opening, closing, inner = f"<{member.tag}>", f"</{member.tag}>", source.name()

        def first(text: str, position: int) -> tuple[Any, int]:
            """Types may contain themselves: their readers are made when they are needed."""
            source.names[inner] = reader = self._reader(cls)
            return reader(text, position)

        source.names[inner] = first
        source.add(
            f"        if text.startswith({opening!r}, position): found, position = None, position + {len(opening)}",
            "        else:",
            f"            found = {head}(text, position)",
            "            if found is None: break",
            "            position = found.end()",
            f"        if found is not None and found[1]: item, _ = {inner}('', 0)",
            "        else:",
        )
        if member.type == "ConfigurationSet":
            source.add("            if not text.startswith(network, position): raise otherwise")
        source.add(
            f"            item, position = {inner}(text, position)",
            f"            if not text.startswith({closing!r}, position): raise otherwise",
            f"            position += {len(closing)}",
        )


def _referred(text: str) -> str:
    """Put in the characters that references stand for, where these cannot be taken for markup."""
    if _OTHER_REFERENCE.search(text):
        raise _OtherwiseError
    return text.replace("&quot;", '"').replace("&apos;", "'").replace("&amp;", "&")


class _Source:
    """The source of a function `made`, and what it refers to."""

    def __init__(self, defaults: Defaults, conversions: dict[str, Convert]) -> None:
        self._defaults = defaults
        self._conversions = conversions
        self._lines: list[str] = []
        self._variables = 0
        self.names: dict[str, Any] = {
            "new": object.__new__,
            "network": _NETWORK,
            "referred": _referred,
            "otherwise": _OtherwiseError,
        }

    def add(self, *lines: str) -> None:
        """Add lines, indented as they are."""
        self._lines += lines

    def name(self, value: Any = None) -> str:
        """A name by which the function refers to a value."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def variable(self) -> str:
        """A variable of the function."""
        self._variables += 1
        return f"v{self._variables}"

    def add_object(self, cls: type[Any], value: str, indent: str = "    ") -> None:
        """Make an object, with its attributes as they are without elements; they are in the variable `value`_."""
        constants, factories = self._defaults(cls)
        set_anyhow = {name for name, member in members(cls) if member.kind in ("elements", "names")}
        self.add(
            f"{indent}{value}_ = {self.name(constants.copy)}()",
            f"{indent}{value} = new({self.name(cls)})",
            f"{indent}{value}.__dict__ = {value}_",
            *(
                f"{indent}{value}_[{name!r}] = {self.name(factory)}()"
                for name, factory in factories
                if name not in set_anyhow
            ),
        )

    def add_run(self, run: Run, value: str, indent: str = "    ") -> None:
        """Set an object's attributes to what `found`, a match of a run's pattern, holds."""
        groups = self._groups(run)
        if groups:
            self.add(f"{indent}{', '.join(groups)}, = found.groups('')")
        self._add_run(run, iter(groups), value, indent)

    def _add_run(self, run: Run, groups: Iterator[str], value: str, indent: str) -> None:
        for name, member in run:
            attribute, group = f"{value}_[{name!r}]", next(groups)
            if member.kind == "element":
                self._add_element(member, group, groups, attribute, indent)
            elif member.kind == "elements":
                self._add_list(member, group, attribute, indent)
            elif member.kind == "names":
                self.add(f"{indent}{attribute} = {self._meaning(member, group)} if {group} else []")
            else:
                self.add(f"{indent}if {group}: {attribute} = {self._meaning(member, group)}")

    def _add_element(
        self, member: Member, group: str, groups: Iterator[str], attribute: str, indent: str
    ) -> None:
        item, cls = self.variable(), wire_type(member.type)
        self.add(f"{indent}if {group}:")
        self.add_object(cls, item, f"{indent}    ")
        self.add(f"{indent}    {attribute} = {item}")
        self._add_run(members(cls), groups, item, f"{indent}    ")

    def _add_list(self, member: Member, group: str, attribute: str, indent: str) -> None:
        items, item, cls = self.variable(), self.variable(), wire_type(member.type)
        find, groups = (
            self.name(re.compile(_element(member, grouped=True)).findall),
            self._groups(members(cls)),
        )
        self.add(
            f"{indent}{attribute} = {items} = []",
            f"{indent}for {', '.join(groups) or '_'} in {find}({group}) if {group} else ():",
        )
        self.add_object(cls, item, f"{indent}    ")
        self.add(f"{indent}    {items}.append({item})")
        self._add_run(members(cls), iter(groups), item, f"{indent}    ")

    def _groups(self, run: Run) -> list[str]:
        """A variable for each group of a run's pattern."""
        groups = []
        for _, member in run:
            groups.append(self.variable())
            if member.kind == "element":
                groups += self._groups(members(wire_type(member.type)))
        return groups

    def _meaning(self, member: Member, group: str) -> str:
        """An expression for what the text of an element means."""
        if member.kind in _FINDS:
            find = self.name(re.compile(_FINDS[member.kind](member)).findall)
            return f"dict({find}({group}))" if member.kind == "pairs" else f"{find}({group})"
        content = f"{group}[{len(member.tag) + 2}:{-len(member.tag) - 3}]"
        convert = self._conversions.get(member.kind)
        return content if convert is None else f"{self.name(convert)}({content})"

    def compiled(self, cls: type[Any]) -> Callable[..., Any]:
        """The function."""
        code = compile("\n".join(self._lines), f"<reader of {cls.__name__}>", "exec")
        exec(code, self.names)  # noqa: S102 - made of the declarations alone
        made: Callable[..., Any] = self.names["made"]
        return made


# -- Expressions -----------------------------------------------------------------------------------------


@cache
def _is_plain(member: Member) -> bool:
    """Whether an expression can read an element: not those that contain their own type, deep lists, or too much."""
    return _is_shallow(member, _DEEPEST, ()) and len(_part(member, grouped=True)) <= _LONGEST


def _is_shallow(member: Member, lists: int, outer: tuple[str, ...]) -> bool:
    if member.kind not in ("element", "elements"):
        return True
    if member.type in (*outer, "ConfigurationSet") or (member.kind == "elements" and not lists):
        return False
    lists -= member.kind == "elements"
    inner = members(wire_type(member.type))
    return all(_is_shallow(one, lists, (*outer, member.type)) for _, one in inner)


def _is_last_element(rest: list[Run | tuple[str, Member]]) -> bool:
    """Whether nothing but an element may follow, which is taken to be absent mostly: an error, for one."""
    (one, *more) = rest
    return not more and not isinstance(one, list) and one[1].kind == "element"


def _runs(all_members: Run) -> list[Run | tuple[str, Member]]:
    """Members in order: those that one expression reads together, every other one by itself."""
    runs: list[Run | tuple[str, Member]] = []
    for name, member in all_members:
        if member.kind == "elements" or not _is_plain(member):
            runs.append((name, member))
        elif runs and isinstance(runs[-1], list):
            runs[-1].append((name, member))
        else:
            runs.append([(name, member)])
    return runs


def _pattern(run: Run, *, grouped: bool) -> str:
    """An expression for elements in their order, each of which may be absent.

    grouped: with a group for each, which is empty where it is absent.
    """
    return "".join(_part(member, grouped=grouped) for _, member in run)


def _part(member: Member, *, grouped: bool) -> str:
    group, tag = "(" if grouped else "(?:", member.tag
    if member.kind == "element":
        return f"(?:{_element(member, grouped=grouped, named=grouped)})?"
    if member.kind == "elements":
        return f"{group}(?:{_element(member, grouped=False)})*+)"
    if member.kind == "names":
        return f"{group}(?:{_leaf(tag)})*+)"
    if member.kind in ("strings", "pairs"):
        declared = f' xmlns:a="{re.escape(PARAMETERS_NAMESPACE)}"' if member.namespace != NAMESPACE else ""
        item = _FINDS[member.kind](member).replace(f"({_TEXT})", _TEXT)
        return f"{group}<{tag}(?:/>|{declared}>(?:{item})*+</{tag}>))?+"
    return f"{group}{_leaf(tag)})?+"


def _element(member: Member, *, grouped: bool, named: bool = False) -> str:
    """An expression for one element with what it contains; named: its name is a group, too."""
    name = f"(<{member.tag})" if named else f"<{member.tag}"
    inner = _pattern(members(wire_type(member.type)), grouped=grouped)
    return f"{name}{_TYPE}(?:/>|>{inner}</{member.tag}>)"


def _leaf(tag: str, text: str = _TEXT) -> str:
    """An expression for an element with text."""
    return f"<{tag}(?:/>|>{text}</{tag}>)"


def _pair(member: Member) -> str:
    prefix = "a:" if member.namespace != NAMESPACE else ""
    name, value = _leaf(f"{prefix}Name", f"({_TEXT})"), _leaf(f"{prefix}Value", f"({_TEXT})")
    return f"<{member.item}>{name}{value}</{member.item}>"


_FINDS: dict[str, Callable[[Member], str]] = {
    "names": lambda member: _leaf(member.tag, f"({_TEXT})"),
    "strings": lambda member: _leaf(member.item, f"({_TEXT})"),
    "pairs": _pair,
}
"""Expressions whose groups are what an element with texts contains, by its kind."""
