"""Blob tags: as headers and documents give them, and the expressions that ask for them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from lxml import etree

from reddog.storage._errors import StorageError, bad_header, bad_query

MOST_TAGS = 10
LONGEST_KEY, LONGEST_VALUE = 128, 256
DEEPEST = 50  # parentheses within parentheses
_ALLOWED = re.compile(r"[A-Za-z0-9 +\-./:=_]*")
_TOKEN = re.compile(
    r"""\s*(?:(?P<operator><>|>=|<=|=|>|<)|(?P<parenthesis>[()])|'(?P<value>(?:[^']|'')*)'"""
    r"""|"(?P<quoted>(?:[^"]|"")*)"|(?P<word>[^\s=<>()'"]+))"""
)
_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_ENDS = {"=": "both", ">": "lower", ">=": "lower", "<": "upper", "<=": "upper"}


def from_header(value: str) -> dict[str, str]:
    """The tags of an `x-ms-tags` header, which has them as a URL has its query."""
    pairs = parse_qsl(value, keep_blank_values=True)
    if value and len(pairs) != value.count("&") + 1:
        raise bad_header("x-ms-tags", value)
    return _checked(pairs)


def from_document(root: etree._Element) -> dict[str, str]:
    """The tags of a `Tags` document. InvalidXmlDocument, InvalidTags."""
    entries = root.findall("TagSet/Tag")
    if root.tag != "Tags" or root.find("TagSet") is None:
        raise StorageError("InvalidXmlDocument", 400, "The XML specified is no list of tags.")
    return _checked([(entry.findtext("Key") or "", entry.findtext("Value") or "") for entry in entries])


def _checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise _invalid("a key is there twice")
    if len(tags) > MOST_TAGS:
        raise _invalid(f"a blob has up to {MOST_TAGS}")
    for key, value in pairs:
        if not 1 <= len(key) <= LONGEST_KEY:
            raise _invalid(f"a key has 1 to {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise _invalid(f"a value has up to {LONGEST_VALUE} characters")
        if not _ALLOWED.fullmatch(key + value):
            raise _invalid("keys and values consist of letters, digits, spaces and + - . / : = _")
    return tags


def _invalid(why: str) -> StorageError:
    return StorageError("InvalidTags", 400, f"The tags specified are invalid: {why}.")


def to_xml(tags: Mapping[str, str]) -> str:
    """The `Tags` element."""
    entries = (
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in tags.items()
    )
    return f"<Tags><TagSet>{''.join(entries)}</TagSet></Tags>"


# -- Expressions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """One tag is compared with a value; where there is no such tag, it does not hold."""

    key: str
    operator: str
    value: str

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether it holds for these tags."""
        found = tags.get(self.key)
        return found is not None and _HOLDS[self.operator](found, self.value)


@dataclass(frozen=True)
class AnyOf:
    """It holds when all parts of one of its alternatives do."""

    alternatives: list[list[Comparison | AnyOf]]

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether it holds for these tags."""
        return any(all(part.holds(tags) for part in parts) for parts in self.alternatives)


def condition(text: str) -> AnyOf:
    """What an `x-ms-if-tags` header asks for. InvalidHeaderValue."""
    try:
        return _Parser(text).whole()
    except _SyntaxError:
        raise bad_header("x-ms-if-tags", text) from None


def query(text: str) -> list[Comparison]:
    """What Find Blobs by Tags asks for: comparisons, one at least, all of which have to hold.

    `@container` may be one of the keys. InvalidQueryParameterValue.
    """
    try:
        found = _flattened(_Parser(text, searches=True).whole())
    except _SyntaxError as error:
        message = f"Error parsing query at or near character position {error.position}: {error}"
        raise StorageError("InvalidQueryParameterValue", 400, message) from None
    keys = {one.key for one in found} - {"@container"}
    if len(keys) > MOST_TAGS:
        message = f"Error parsing query: there can be at most {MOST_TAGS} unique tags in a query"
        raise StorageError("InvalidQueryParameterValue", 400, message)
    if not keys:
        raise bad_query("where", text)
    _check_ranges(found)
    return found


def _flattened(condition: AnyOf) -> list[Comparison]:
    found: list[Comparison] = []
    for part in condition.alternatives[0]:
        found += _flattened(part) if isinstance(part, AnyOf) else [part]
    return found


def _check_ranges(comparisons: list[Comparison]) -> None:
    seen: dict[str, set[str]] = {}
    for one in comparisons:
        ends, end = seen.setdefault(one.key, set()), _ENDS[one.operator]
        if end in ends or "both" in ends or (end == "both" and ends):
            message = (
                "Error parsing query: there can't be multiple conditions for a tag unless they define a range"
            )
            raise StorageError("InvalidQueryParameterValue", 400, message)
        ends.add(end)


class _SyntaxError(Exception):
    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


@dataclass
class _Parser:
    """Reads an expression. `searches`: it is one of Find Blobs by Tags, where less is allowed."""

    text: str
    searches: bool = False
    position: int = 0
    depth: int = 0
    token: re.Match[str] | None = field(default=None, init=False)

    def whole(self) -> AnyOf:
        """The whole text."""
        found = self._any_of()
        if self.text[self.position :].strip():
            raise self._error(f"unexpected {self.text[self.position :].strip()[:20]!r}")
        return found

    def _any_of(self) -> AnyOf:
        alternatives = [[self._part()]]
        while (word := self._word("and", "or")) is not None:
            if word == "and":
                alternatives[-1].append(self._part())
            elif self.searches:
                raise self._error("unexpected or")
            else:
                alternatives.append([self._part()])
        return AnyOf(alternatives)

    def _word(self, *wanted: str) -> str | None:
        """The next word, if it is one of these."""
        token = _TOKEN.match(self.text, self.position)
        word = (token["word"] or "").lower() if token else ""
        if token is None or word not in wanted:
            return None
        self.position = token.end()
        return word

    def _next(self, expected: str) -> re.Match[str]:
        token = _TOKEN.match(self.text, self.position)
        if token is None:
            raise self._error(f"expecting {expected}")
        self.position = token.end()
        return token

    def _part(self) -> Comparison | AnyOf:
        token = self._next("a tag")
        if token["parenthesis"] == "(":
            self.depth += 1
            if self.depth > DEEPEST:
                raise self._error("too many parentheses")
            inner = self._any_of()
            if self._next("a closing parenthesis")["parenthesis"] != ")":
                raise self._error("expecting a closing parenthesis")
            self.depth -= 1
            return inner
        key = self._key(token)
        sign = self._next("an operator")["operator"]
        if sign is None or (self.searches and sign == "<>"):
            raise self._error("expecting an operator")
        return Comparison(key, sign, self._value(self._next("tag value")))

    def _key(self, token: re.Match[str]) -> str:
        word, quoted = token["word"], token["quoted"]
        if word == "@container" and self.searches:
            return "@container"
        if word is not None and word.startswith("@"):
            raise self._error(f"unsupported parameter {word!r}")
        if word is not None and not re.fullmatch("[A-Za-z0-9_]+", word):
            raise self._error(f"unexpected {word!r}")
        key = word if word is not None else quoted
        if key is None:
            raise self._error("expecting a tag")
        key = key.replace('""', '"')
        if self.searches and not 1 <= len(key) <= LONGEST_KEY:
            raise self._error(f"tag must be between 1 and {LONGEST_KEY} characters in length")
        return self._allowed(key)

    def _value(self, token: re.Match[str]) -> str:
        if token["value"] is None:
            raise self._error("expecting tag value")
        value = token["value"].replace("''", "'")
        if self.searches and len(value) > LONGEST_VALUE:
            raise self._error(f"tag value must be between 0 and {LONGEST_VALUE} characters in length")
        return self._allowed(value)

    def _allowed(self, text: str) -> str:
        if not _ALLOWED.fullmatch(text):
            raise self._error("a character is not permitted in tag name or value")
        return text

    def _error(self, message: str) -> _SyntaxError:
        return _SyntaxError(self.position, message)
