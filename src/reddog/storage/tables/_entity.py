"""Entities: what they consist of, what a request may say of them, and how large they may be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from reddog.storage._errors import StorageError
from reddog.storage.tables._edm import DATETIME, DOUBLE, Kept, invalid_input, kept, size_of, text_size

LARGEST_ENTITY = 1 << 20  # bytes
MOST_PROPERTIES = 252
LONGEST_NAME = 255  # characters, of a property
LARGEST_KEY = 1024  # bytes, in UTF-16
SYSTEM = ("PartitionKey", "RowKey", "Timestamp")
_TYPE = "@odata.type"
_NEVER_NULL = (DATETIME, DOUBLE)
_NAME = re.compile(r"[^\W\d]\w*")
_NOT_IN_KEYS = re.compile("[/\\\\#?\0-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Entity:
    """An entity. stamp: when it was changed last, in ticks of 100 ns since 1970."""

    partition: str
    row: str
    stamp: int
    properties: dict[str, Kept] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """What a request says of an entity."""

    partition: str | None = None
    row: str | None = None
    properties: dict[str, Kept] = field(default_factory=dict)

    def put(self, name: str, value: object, kind: str | None) -> None:
        """Add a property; None is no value, and the time of the last change is not the caller's to say.

        None with one of some types is refused: it is what becomes of times and numbers that JSON cannot hold.
        """
        if name in ("PartitionKey", "RowKey"):
            if not isinstance(value, str):
                raise invalid_input(f"The {name} has to be a text.")
            check_key(name, value)
            self.partition, self.row = (
                (value, self.row) if name == "PartitionKey" else (self.partition, value)
            )
        elif name != "Timestamp" and (value is not None or kind in _NEVER_NULL):
            check_name(name)
            self.properties[name] = kept(value, kind)

    def keys(self, given: tuple[str, str] | None = None) -> tuple[str, str]:
        """Partition key and row key: those of the URL, if it has any; what the body says has to be the same.

        :raises StorageError: One is missing (PropertiesNeedValue), or they differ.
        """
        if given is None:
            if self.partition is None or self.row is None:
                message = "The values are not specified for all properties in the entity."
                raise StorageError("PropertiesNeedValue", 400, message)
            return self.partition, self.row
        if self.partition not in (None, given[0]) or self.row not in (None, given[1]):
            raise invalid_input("The keys in the body are not those in the URL.")
        return given


def check_key(name: str, value: str) -> None:
    """Whether a text can be a partition key or a row key. OutOfRangeInput, PropertyValueTooLarge."""
    if text_size(value) > LARGEST_KEY:
        message = (
            f"The property value exceeds the maximum allowed size (1KB): {name} has 512 characters in UTF-16."
        )
        raise StorageError("PropertyValueTooLarge", 400, message)
    if _NOT_IN_KEYS.search(value) or _LONE_SURROGATE.search(value):
        message = f"The '{name}' parameter of value {value[:50]!r} is out of range."
        raise StorageError("OutOfRangeInput", 400, message)


def check_name(name: str) -> None:
    """Whether a property may have that name. PropertyNameTooLong, PropertyNameInvalid."""
    if len(name) > LONGEST_NAME:
        raise StorageError(
            "PropertyNameTooLong", 400, "The property name exceeds the maximum allowed length."
        )
    if _NAME.fullmatch(name) is None:
        raise StorageError("PropertyNameInvalid", 400, f"The property name {name[:50]!r} is invalid.")


def check_size(entity: Entity) -> None:
    """Whether an entity may be that large. TooManyProperties, EntityTooLarge."""
    if len(entity.properties) > MOST_PROPERTIES:
        message = "The entity contains more properties than allowed: 252, and three of the system."
        raise StorageError("TooManyProperties", 400, message)
    size = 4 + text_size(entity.partition) + text_size(entity.row)
    size += sum(8 + text_size(name) + size_of(value) for name, value in entity.properties.items())
    if size > LARGEST_ENTITY:
        message = "The entity is larger than the maximum allowed size (1MB)."
        raise StorageError("EntityTooLarge", 400, message)


def read_object(data: bytes) -> dict[str, object]:
    """The JSON object in a body. InvalidInput."""
    try:
        found = _READER.decode(data.decode(json.detect_encoding(data)))
    except (ValueError, RecursionError):
        raise invalid_input("The body is no JSON document.") from None
    if not isinstance(found, dict):
        raise invalid_input("The body is no JSON object.")
    return found


def _refuse_constant(_: str) -> None:
    raise ValueError


_READER = json.JSONDecoder(parse_constant=_refuse_constant)
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def read_json(data: bytes) -> Draft:
    """What a body in JSON says of an entity; any level of metadata will do. StorageError: it is none."""
    found = read_object(data)
    kinds = {name[: -len(_TYPE)]: kind for name, kind in found.items() if name.endswith(_TYPE)}
    draft = Draft()
    for name, value in found.items():
        if "@odata." in name or name.startswith("odata."):
            continue
        kind = kinds.get(name)
        if kind is not None and not isinstance(kind, str):
            raise invalid_input(f"The type of {name[:50]!r} is no text.")
        draft.put(name, value, kind)
    return draft


def dump(properties: dict[str, Kept]) -> str:
    """Properties as they are stored. InvalidInput: some text is not Unicode."""
    text = _WRITER.encode(properties)
    if _LONE_SURROGATE.search(text):
        raise invalid_input("A text has half of a surrogate pair.")
    return text


def load(text: str) -> dict[str, Kept]:
    """Properties that were stored."""
    found: dict[str, Kept] = json.loads(text)
    return found
