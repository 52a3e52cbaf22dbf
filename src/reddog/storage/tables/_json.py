"""Tables and entities in JSON, with as much metadata as the caller wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from reddog.storage.tables import _edm
from reddog.storage.tables._documents import FULL, MINIMAL, NONE, Documents, link, shown
from reddog.storage.tables._entity import Entity


@dataclass(frozen=True)
class JsonDocuments(Documents):
    """See `Documents`. level: of metadata: none, minimal or full."""

    level: str = MINIMAL

    @property
    def content_type(self) -> str:
        """See `Documents.content_type`."""
        return f"application/json;odata={self.level};streaming=true;charset=utf-8"

    @property
    def version(self) -> str:
        """See `Documents.version`."""
        return "3.0;"

    def tables(self, names: Sequence[str]) -> bytes:
        """See `Documents.tables`."""
        return _dumped({**self._metadata("Tables"), "value": [self._table(name) for name in names]})

    def table(self, name: str) -> bytes:
        """See `Documents.table`."""
        return _dumped({**self._metadata("Tables/@Element"), **self._table(name)})

    def entities(self, table: str, entities: Sequence[Entity], select: Sequence[str]) -> bytes:
        """See `Documents.entities`."""
        listed = [self._entity(table, entity, select) for entity in entities]
        return _dumped({**self._metadata(table), "value": listed})

    def entity(self, table: str, entity: Entity, select: Sequence[str]) -> bytes:
        """See `Documents.entity`."""
        return _dumped({**self._metadata(f"{table}/@Element"), **self._entity(table, entity, select)})

    def error(self, code: str, message: str) -> bytes:
        """See `Documents.error`."""
        return _dumped({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})

    def _metadata(self, what: str) -> dict[str, str]:
        return {} if self.level == NONE else {"odata.metadata": f"{self.base}$metadata#{what}"}

    def _table(self, name: str) -> dict[str, str]:
        return {**self._described("Tables", f"Tables('{name}')"), "TableName": name}

    def _described(self, kind: str, place: str) -> dict[str, str]:
        if self.level != FULL:
            return {}
        return {
            "odata.type": f"{self.account}.{kind}",
            "odata.id": f"{self.base}{place}",
            "odata.editLink": place,
        }

    def _entity(self, table: str, entity: Entity, select: Sequence[str]) -> dict[str, object]:
        found: dict[str, object] = {}
        if self.level != NONE:
            if self.level == FULL:
                found.update(self._described(table, link(table, entity.partition, entity.row)))
            found["odata.etag"] = _edm.etag(entity.stamp)
        for name, value in shown(entity, select).items():
            if not isinstance(value, list):
                found[name] = value
                continue
            if self.level == FULL or (self.level == MINIMAL and name != "Timestamp"):
                found[f"{name}@odata.type"] = value[0]
            found[name] = value[1]
        return found


def _dumped(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
