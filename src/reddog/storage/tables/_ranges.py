"""Where to look: ranges of keys, and in which order entities are in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MOST_RANGES = 200
LAST = None
Key = tuple[str, str]


class Range(NamedTuple):
    """Partition keys from `first` to `last`, row keys from `low` to `high`, with both; None: to the end."""

    first: str = ""
    last: str | None = LAST
    low: str = ""
    high: str | None = LAST

    @property
    def is_empty(self) -> bool:
        """Whether no key can be in it."""
        return not (_is_ordered(self.first, self.last) and _is_ordered(self.low, self.high))


class Span(NamedTuple):
    """Entities in their order, by partition key and row key: from `start` to `end`, with both.

    end: None, the last entity; with None for the row key, the last one of that partition.
    """

    start: Key = ("", "")
    end: tuple[str, str | None] | None = None

    def holds(self, key: Key) -> bool:
        """Whether a key is in it."""
        return self.start <= key and _reaches(self.end, key)


EVERYTHING = Range()


def _is_ordered(first: str, last: str | None) -> bool:
    return last is None or first <= last


def _lower(one: str | None, other: str | None) -> str | None:
    return other if one is None else one if other is None else min(one, other)


def at(name: str, comparison: str, value: str) -> list[Range]:
    """The keys that a comparison with a property leaves over: `ge`, `gt`, `le`, `lt` and `eq` with a key."""
    first = value if comparison in ("eq", "ge", "gt") else ""
    last = value if comparison in ("eq", "le", "lt") else LAST
    if name == "PartitionKey":
        return [Range(first=first, last=last)]
    if name == "RowKey":
        return [Range(low=first, high=last)]
    return [EVERYTHING]


def intersected(ones: list[Range], others: list[Range]) -> list[Range]:
    """What is in both; a bit more where that would be too many ranges."""
    if len(ones) * len(others) > MOST_RANGES:
        return ones if len(ones) > len(others) else others
    found = [
        Range(
            max(one.first, other.first),
            _lower(one.last, other.last),
            max(one.low, other.low),
            _lower(one.high, other.high),
        )
        for one in ones
        for other in others
    ]
    return [one for one in found if not one.is_empty]


def spans(ranges: Iterable[Range], start: Key = ("", ""), bounds: Span | None = None) -> list[Span]:
    """Ranges as spans in their order, none of which overlap.

    start: where to begin. bounds: what all have to be within.
    """
    limits = bounds or Span()
    first = max(start, limits.start)
    found: list[Span] = []
    for span in sorted((_span(one) for one in ranges), key=lambda one: one.start):
        clipped = Span(max(span.start, first), _sooner(span.end, limits.end))
        if not _reaches(clipped.end, clipped.start):
            continue
        if found and _reaches(found[-1].end, clipped.start):
            found[-1] = Span(found[-1].start, _later(found[-1].end, clipped.end))
        else:
            found.append(clipped)
    return found


def _span(one: Range) -> Span:
    """The span that a range is within; row keys bound it where there is only one partition."""
    if one.last is None:
        return Span((one.first, one.low))
    return Span((one.first, one.low), (one.last, one.high))


End = tuple[str, str | None] | None


def _reaches(end: End, key: Key) -> bool:
    """Whether a key is not behind an end."""
    if end is None or end[0] != key[0]:
        return end is None or end[0] > key[0]
    return end[1] is None or end[1] >= key[1]


def _order(end: End) -> tuple[bool, str, bool, str]:
    if end is None:
        return True, "", True, ""
    return False, end[0], end[1] is None, end[1] or ""


def _sooner(one: End, other: End) -> End:
    return min(one, other, key=_order)


def _later(one: End, other: End) -> End:
    return max(one, other, key=_order)
