"""`$filter`: a small OData language, read into what tells whether something is wanted, and where to look for it.

filter     = or
or         = and ("or" and)*
and        = not ("and" not)*
not        = "not" not | comparison
comparison = operand [("eq" | "ne" | "gt" | "ge" | "lt" | "le") operand]
operand    = name | literal | "(" or ")"
"""

from __future__ import annotations

import base64
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from reddog.storage._errors import StorageError, not_available
from reddog.storage.tables import _edm
from reddog.storage.tables._edm import Comparable, Kept, comparable, invalid_input
from reddog.storage.tables._ranges import EVERYTHING, Range, at, intersected

LONGEST_FILTER = 32 << 10  # characters
DEEPEST = 100  # parentheses, or nots, in each other
Find = Callable[[str], Kept | None]
"""Finds a property's value by its name."""
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<typed>(?:datetime|guid|binary|X|x)'[^']*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?[lLdDfFmM]?(?![\w.]))
      | (?P<name>[^\W\d]\w*)
      | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_WORDS = {*_COMPARISONS, "and", "or", "not"}


@dataclass(frozen=True)
class Constant:
    """A literal."""

    value: Comparable

    def get(self, find: Find) -> Comparable | None:
        """Its value."""
        return self.value


@dataclass(frozen=True)
class Name:
    """The name of a property."""

    name: str

    def get(self, find: Find) -> Comparable | None:
        """The property's value; None: there is none."""
        value = find(self.name)
        return None if value is None else comparable(value)


@dataclass(frozen=True)
class Comparison:
    """Two operands compared. It does not hold where a property is missing, or of another type."""

    left: Constant | Name
    operator: str
    right: Constant | Name

    def holds(self, find: Find) -> bool:
        """Whether it is so."""
        left, right = self.left.get(find), self.right.get(find)
        if left is None or right is None or left[0] != right[0]:
            return False
        return _COMPARISONS[self.operator](left[1], right[1])

    def ranges(self) -> list[Range]:
        """The keys among which everything is that this holds for."""
        left, right, kind = self.left, self.right, self.operator
        if isinstance(left, Constant):
            left, right, kind = right, left, _MIRRORED.get(kind, kind)
        if not isinstance(left, Name) or not isinstance(right, Constant) or right.value[0] != "text":
            return [EVERYTHING]
        return at(left.name, kind, str(right.value[1]))


@dataclass(frozen=True)
class Truth:
    """An operand that is a condition by itself: a boolean."""

    operand: Constant | Name

    def holds(self, find: Find) -> bool:
        """Whether it is there and true."""
        return self.operand.get(find) == ("boolean", True)

    def ranges(self) -> list[Range]:
        """See `Comparison.ranges`."""
        return [] if self.operand == Constant(("boolean", False)) else [EVERYTHING]


@dataclass(frozen=True)
class Not:
    """A condition turned round."""

    condition: Condition

    def holds(self, find: Find) -> bool:
        """Whether the condition does not hold."""
        return not self.condition.holds(find)

    def ranges(self) -> list[Range]:
        """See `Comparison.ranges`."""
        return [EVERYTHING]


@dataclass(frozen=True)
class And:
    """All of some conditions."""

    conditions: Sequence[Condition]

    def holds(self, find: Find) -> bool:
        """Whether all hold."""
        return all(condition.holds(find) for condition in self.conditions)

    def ranges(self) -> list[Range]:
        """See `Comparison.ranges`."""
        found = [EVERYTHING]
        for condition in self.conditions:
            found = intersected(found, condition.ranges())
        return found


@dataclass(frozen=True)
class Or:
    """Any of some conditions."""

    conditions: Sequence[Condition]

    def holds(self, find: Find) -> bool:
        """Whether one holds."""
        return any(condition.holds(find) for condition in self.conditions)

    def ranges(self) -> list[Range]:
        """See `Comparison.ranges`."""
        return [one for condition in self.conditions for one in condition.ranges()]


Condition = Comparison | Truth | Not | And | Or


def parse(text: str) -> Condition | None:
    """Read a filter; None for an empty one. StorageError: it is none (InvalidInput), or has functions (501)."""
    if not text.strip():
        return None
    if len(text) > LONGEST_FILTER:
        raise invalid_input(f"A $filter has up to {LONGEST_FILTER} characters.")
    parser = _Parser(list(_tokens(text)))
    found = parser.condition()
    parser.end()
    return found


class _Token(NamedTuple):
    kind: str  # typed, text, number, name, mark; or end
    text: str
    place: int


def _tokens(text: str) -> Iterator[_Token]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise _wrong(text[place : place + 20].strip(), place)
        yield _Token(match.lastgroup, match[match.lastgroup], place)
        place = match.end()
    yield _Token("end", "", end)


def _wrong(what: str, place: int) -> StorageError:
    return invalid_input(f"The $filter makes no sense at character {place + 1}: {what!r}.")


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def end(self) -> None:
        """Refuse what follows."""
        if self._next.kind != "end":
            raise _wrong(self._next.text, self._next.place)

    def condition(self) -> Condition:
        """Read an `or`."""
        return _required(self._or(), self._next.place)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _takes(self, *texts: str) -> str | None:
        """Take the next token if it is one of these words or marks."""
        token = self._next
        if token.kind not in ("name", "mark") or token.text not in texts:
            return None
        self._place += 1
        return token.text

    def _or(self) -> Condition | Constant | Name:
        found = self._and()
        if self._next.text != "or":
            return found
        conditions = [_required(found, self._next.place)]
        while self._takes("or"):
            conditions.append(_required(self._and(), self._next.place))
        return Or(conditions)

    def _and(self) -> Condition | Constant | Name:
        found = self._not()
        if self._next.text != "and":
            return found
        conditions = [_required(found, self._next.place)]
        while self._takes("and"):
            conditions.append(_required(self._not(), self._next.place))
        return And(conditions)

    def _not(self) -> Condition | Constant | Name:
        place = self._next.place
        if not self._takes("not"):
            return self._comparison()
        with self._deeper():
            return Not(_required(self._not(), place))

    def _comparison(self) -> Condition | Constant | Name:
        place, left = self._next.place, self._operand()
        kind = self._takes(*_COMPARISONS)
        if kind is None:
            return left
        right = self._operand()
        if isinstance(left, Constant | Name) and isinstance(right, Constant | Name):
            return Comparison(left, kind, right)
        raise _wrong("only properties and literals are compared", place)

    def _operand(self) -> Condition | Constant | Name:
        token = self._next
        if self._takes("("):
            with self._deeper():
                found = self._or()
            if not self._takes(")"):
                raise _wrong(self._next.text or "the end", self._next.place)
            return found
        self._place += 1
        if token.kind == "name" and token.text not in _WORDS:
            if token.text.lower() in ("true", "false"):
                return Constant(("boolean", token.text.lower() == "true"))
            if self._next.text == "(":
                raise not_available(f"The function {token.text[:50]!r} in a $filter")
            return Name(token.text)
        if token.kind in ("typed", "text", "number"):
            return Constant(comparable(_literal(token)))
        raise _wrong(token.text or "the end", token.place)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid_input(f"The $filter is nested more than {DEEPEST} deep.")
        yield
        self._depth -= 1


def _required(found: Condition | Constant | Name, place: int) -> Condition:
    """A condition; a property may be one by itself, and so are `true` and `false`."""
    if isinstance(found, Constant) and found.value[0] != "boolean":
        raise _wrong("a literal is no condition", place)
    return Truth(found) if isinstance(found, Constant | Name) else found


def _literal(token: _Token) -> Kept:
    """The value that a literal means."""
    if token.kind == "text":
        return token.text[1:-1].replace("''", "'")
    if token.kind == "number":
        return _number(token.text)
    kind, _, value = token.text[:-1].partition("'")
    if kind in ("X", "x", "binary"):
        try:
            return [_edm.BINARY, base64.b64encode(bytes.fromhex(value)).decode()]
        except ValueError:
            raise invalid_input(f"{value[:50]!r} in the $filter is not hexadecimal.") from None
    return _edm.kept(value, _edm.DATETIME if kind == "datetime" else _edm.GUID)


def _number(text: str) -> Kept:
    if text[-1] in "lL":
        return _edm.kept(text[:-1], _edm.INT64)
    if text[-1].isdigit() and not set(text) & set(".eE"):
        return _edm.kept(text, _edm.INT64)  # whole numbers are compared as such, whatever their type
    return _edm.kept(text.rstrip("dDfFmM"), _edm.DOUBLE)
