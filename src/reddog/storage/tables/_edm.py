"""The types that properties have: how values are read, kept, compared and measured."""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from reddog.storage._errors import StorageError

Kept = str | bool | int | float | list[str]
"""A value as it is kept: JSON's own types are String, Boolean, Int32 and finite Double; others are [type, text]."""

STRING, BOOLEAN, INT32, INT64 = "Edm.String", "Edm.Boolean", "Edm.Int32", "Edm.Int64"
DOUBLE, DATETIME, GUID, BINARY = "Edm.Double", "Edm.DateTime", "Edm.Guid", "Edm.Binary"
LARGEST_VALUE = 64 << 10  # bytes; two to a character
TICKS = 10_000_000  # a second
_NATIVE: dict[type, str] = {str: STRING, bool: BOOLEAN, int: INT32, float: DOUBLE}
_SIZES = {BOOLEAN: 1, INT32: 4, INT64: 8, DOUBLE: 8, DATETIME: 8, GUID: 16}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NOT_FINITE = {
    "nan": "NaN",
    "infinity": "Infinity",
    "inf": "Infinity",
    "-infinity": "-Infinity",
    "-inf": "-Infinity",
}
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_FIRST_TIME = "1601-01-01T00:00:00"
_EPOCH = datetime(1970, 1, 1)  # of UTC, as all times are here


def invalid_input(detail: str = "") -> StorageError:
    """Something in a request is not what it should be."""
    return StorageError("InvalidInput", 400, f"One of the request inputs is not valid. {detail}".strip())


def _too_large() -> StorageError:
    message = "The property value exceeds the maximum allowed size (64KB). A string is UTF-16 encoded: 32K characters."
    return StorageError("PropertyValueTooLarge", 400, message)


def kept(value: object, kind: str | None) -> Kept:
    """A value from a request as it is kept.

    Args:
        value: A text, a boolean or a number.
        kind: Its type, such as ``Edm.Int64``; None: as JSON tells it.

    Raises:
        StorageError: It is none of that type (InvalidInput), or too large (PropertyValueTooLarge).
    """
    if kind is None:
        kind = _NATIVE.get(type(value), "")
        if kind == INT32 and isinstance(value, int) and not _fits(value, 32):
            kind = DOUBLE  # as the real service takes a number that no Int32 can hold
    read = _READERS.get(kind)
    if read is None:
        raise invalid_input(f"There is no value of type {(kind or type(value).__name__)[:40]!r}.")
    try:
        return read(value)
    except (ValueError, OverflowError, TypeError):
        raise invalid_input(f"{str(value)[:50]!r} is no value of type {kind}.") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _fits(number: int, bits: int) -> bool:
    return -(1 << (bits - 1)) <= number < 1 << (bits - 1)


def _string(value: object) -> str:
    if text_size(_text(value)) > LARGEST_VALUE:
        raise _too_large()
    return _text(value)


def _boolean(value: object) -> bool:
    found = value if isinstance(value, bool) else _BOOLEANS.get(_text(value).strip().lower())
    if found is None:
        raise ValueError
    return found


def _integer(value: object, bits: int) -> int:
    if isinstance(value, bool):
        raise TypeError
    text = str(value) if isinstance(value, int) else _text(value).strip()
    if _INTEGER.fullmatch(text) is None or not _fits(int(text), bits):
        raise ValueError
    return int(text)


def _double(value: object) -> float | list[str]:
    if isinstance(value, str):
        special = _NOT_FINITE.get(value.strip().lower())
        if special is not None:
            return [DOUBLE, special]
        if _NUMBER.fullmatch(value.strip()) is None:
            raise ValueError
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):  # larger than any Double
        raise ValueError
    return number


def _datetime(value: object) -> list[str]:
    return [DATETIME, canonical_time(_text(value).strip())]


def canonical_time(text: str) -> str:
    """A time in UTC, with up to seven digits of a second's fraction and no more than needed. ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError
    day, minute, second, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}")
    if offset and offset not in "Zz":
        moment -= timedelta(hours=int(offset[:3]), minutes=int(offset[0] + offset[-2:]))
    shown = moment.isoformat()
    if shown < _FIRST_TIME:
        raise ValueError
    digits = (fraction or "")[:7].rstrip("0")
    return f"{shown}.{digits}Z" if digits else f"{shown}Z"


def _guid(value: object) -> list[str]:
    return [GUID, str(uuid.UUID(_text(value).strip()))]


def _binary(value: object) -> list[str]:
    text = _text(value).strip()
    data = base64.b64decode(text, validate=True)
    if len(data) > LARGEST_VALUE:
        raise _too_large()
    return [BINARY, base64.b64encode(data).decode()]


_READERS: dict[str, Callable[[object], Kept]] = {
    STRING: _string,
    BOOLEAN: _boolean,
    INT32: lambda value: _integer(value, 32),
    INT64: lambda value: [INT64, str(_integer(value, 64))],
    DOUBLE: _double,
    DATETIME: _datetime,
    GUID: _guid,
    BINARY: _binary,
}


# -- What is kept ----------------------------------------------------------------------------------------


def kind_of(value: Kept) -> str:
    """The type of a value."""
    return value[0] if isinstance(value, list) else _NATIVE[type(value)]


def text_size(text: str) -> int:
    """The bytes of a text in UTF-16."""
    return 2 * len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass"))


def size_of(value: Kept) -> int:
    """The bytes that a value counts for in the size of an entity."""
    if isinstance(value, str):
        return 4 + text_size(value)
    if isinstance(value, list) and value[0] == BINARY:
        return 4 + len(value[1]) // 4 * 3
    return _SIZES[kind_of(value)]


Comparable = tuple[str, str | int | float | bytes]
"""What values are compared by: those of different families are neither equal nor in any order."""


def comparable(value: Kept) -> Comparable:
    """What a value is compared by."""
    if not isinstance(value, list):
        return _FAMILIES[type(value)], value
    kind, text = value
    return _COMPARABLE[kind](text)


def _comparable_time(text: str) -> Comparable:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return "time", f"{seconds}.{fraction:0<7}"


_FAMILIES: dict[type, str] = {str: "text", bool: "boolean", int: "number", float: "number"}
_COMPARABLE: dict[str, Callable[[str], Comparable]] = {
    INT64: lambda text: ("number", int(text)),
    DOUBLE: lambda text: ("number", float(text)),
    DATETIME: _comparable_time,
    GUID: lambda text: ("guid", text),
    BINARY: lambda text: ("bytes", binascii.a2b_base64(text)),
}


# -- When an entity was changed ----------------------------------------------------------------------------


def timestamp(stamp: int) -> str:
    """A time, in ticks of 100 ns since 1970, as entities tell it."""
    seconds, ticks = divmod(stamp, TICKS)
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()}.{ticks:07}Z"


def etag(stamp: int) -> str:
    """The ETag of an entity that was changed last at that time."""
    return f"W/\"datetime'{timestamp(stamp).replace(':', '%3A')}'\""
