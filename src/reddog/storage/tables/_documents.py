"""Documents: in which form tables and entities are told, and what the forms have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from reddog.storage._errors import StorageError
from reddog.storage.tables import _edm
from reddog.storage.tables._edm import Kept
from reddog.storage.tables._entity import Entity

MINIMAL, FULL, NONE, ATOM = "minimalmetadata", "fullmetadata", "nometadata", "atom"
JSON_SINCE = "2013-08-15"  # before, there was no JSON as it is here
NO_ATOM_SINCE = "2015-12-11"
_ANYTHING = ("", "*/*")
Properties = dict[str, Kept | None]


@dataclass(frozen=True)
class Documents(ABC):
    """Writes documents for one caller.

    base: the URL of the account's table service, with a slash at its end. account: its name.
    """

    base: str
    account: str

    @property
    @abstractmethod
    def content_type(self) -> str:
        """Of the documents."""

    @property
    @abstractmethod
    def version(self) -> str:
        """The DataServiceVersion of the documents."""

    @abstractmethod
    def tables(self, names: Sequence[str]) -> bytes:
        """A list of tables."""

    @abstractmethod
    def table(self, name: str) -> bytes:
        """One table."""

    @abstractmethod
    def entities(self, table: str, entities: Sequence[Entity], select: Sequence[str]) -> bytes:
        """A list of entities; of the properties those that are selected, or all."""

    @abstractmethod
    def entity(self, table: str, entity: Entity, select: Sequence[str]) -> bytes:
        """One entity."""

    @abstractmethod
    def error(self, code: str, message: str) -> bytes:
        """A refusal."""


def link(table: str, partition: str, row: str) -> str:
    """Where an entity is, below the service's URL."""
    return f"{table}(PartitionKey='{_in_link(partition)}',RowKey='{_in_link(row)}')"


def _in_link(key: str) -> str:
    return quote(key.replace("'", "''"), safe="'")


def shown(entity: Entity, select: Sequence[str]) -> Properties:
    """An entity's properties, those of the system first; with `select` what it names, None where there is none."""
    found: Properties = {
        "PartitionKey": entity.partition,
        "RowKey": entity.row,
        "Timestamp": [_edm.DATETIME, _edm.timestamp(entity.stamp)],
        **entity.properties,
    }
    return {name: found.get(name) for name in select} if select else found


def wanted_form(headers: Mapping[str, str], query: Mapping[str, str], *, reads: bool) -> str:
    """The form that a caller asks for; one who asks for nothing gets what was usual in the version that it knows.

    :raises StorageError: AtomFormatNotSupported (415): it reads, and that version has no Atom.
    """
    version = headers.get("x-ms-version", "")
    accepted = (query.get("$format") or headers.get("Accept", "")).lower()
    for form in (NONE, FULL, MINIMAL):
        if f"odata={form}" in accepted.replace(" ", ""):
            return form
    if "json" in accepted:
        return MINIMAL
    if (
        "atom" in accepted
        or "" < version < JSON_SINCE
        or (accepted in _ANYTHING and "" < version < NO_ATOM_SINCE)
    ):
        if version >= NO_ATOM_SINCE and not reads:
            return MINIMAL
        if version >= NO_ATOM_SINCE:
            message = (
                f"The Atom format is not supported since version {NO_ATOM_SINCE}: accept application/json."
            )
            raise StorageError("AtomFormatNotSupported", 415, message)
        return ATOM
    return MINIMAL
