"""The table service: what it has, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from reddog.storage import _service
from reddog.storage._auth import Signable
from reddog.storage._errors import StorageError
from reddog.storage._front import Key, Operation, Service, request_id
from reddog.storage._request import StorageRequest
from reddog.storage.tables import _batch, _entities, _tables
from reddog.storage.tables._request import Place, TableRequest, failed, shown_errors


class TableService(Service[TableRequest]):
    """The table service of all accounts."""

    def __init__(self) -> None:
        super().__init__("table", _OPERATIONS)

    def read(self, parts: StorageRequest) -> TableRequest:
        """See `Service.read`."""
        return TableRequest(**vars(parts), place=Place.read(parts.path))

    def signable(self, request: TableRequest) -> Signable:
        """See `Service.signable`."""

        def policies(name: str) -> Mapping[str, Mapping[str, str]]:
            try:
                return request.account.tables.look(lambda tables: tables.table(name)).policies
            except StorageError:
                return {}

        return Signable("table", request.place.table, policies=policies)

    def operation(self, request: TableRequest) -> Operation[TableRequest]:
        """See `Service.operation`."""
        return self.find(request.level, request.method, request.comp, request.restype)

    async def permit(self, request: TableRequest, operation: Operation[TableRequest]) -> None:
        """As for every service; then, a signature can be for one table and some of its entities."""
        await super().permit(request, operation)
        if request.level in ("entity", "entities"):
            request.ask_of().permit()

    def refusal_body(self, request: web.Request, error: StorageError) -> web.Response:
        """See `Service.refusal_body`."""
        return failed(shown_errors(request), error, request_id(request)).response()


_OPERATIONS: dict[Key, Operation[TableRequest]] = {
    ("service", "GET", "properties", "service"): Operation(
        "Get Table Service Properties", _service.get_properties, "r", "s"
    ),
    ("service", "PUT", "properties", "service"): Operation(
        "Set Table Service Properties", _service.set_properties, "w", "s"
    ),
    ("service", "GET", "stats", "service"): Operation(
        "Get Table Service Stats", _service.get_stats, "r", "s"
    ),
    ("tables", "GET", "", ""): Operation("Query Tables", _tables.list_tables, "l", "sc"),
    ("tables", "POST", "", ""): Operation("Create Table", _tables.create, "cwa", "c"),
    ("table", "GET", "", ""): Operation("Query Tables", _tables.get, "l", "sc"),
    ("table", "DELETE", "", ""): Operation("Delete Table", _tables.delete, "d", "c"),
    ("entities", "GET", "acl", ""): Operation("Get Table ACL", _tables.get_acl, "", "c"),
    ("entities", "HEAD", "acl", ""): Operation("Get Table ACL", _tables.get_acl, "", "c"),
    ("entities", "PUT", "acl", ""): Operation("Set Table ACL", _tables.set_acl, "", "c"),
    ("entities", "GET", "", ""): Operation("Query Entities", _entities.query, "r"),
    ("entities", "POST", "", ""): Operation("Insert Entity", _entities.write, "a"),
    ("entity", "GET", "", ""): Operation("Query Entities", _entities.get, "r"),
    ("entity", "PUT", "", ""): Operation("Update Entity, Insert Or Replace Entity", _entities.write, "u"),
    ("entity", "MERGE", "", ""): Operation("Merge Entity, Insert Or Merge Entity", _entities.write, "u"),
    ("entity", "PATCH", "", ""): Operation("Merge Entity, Insert Or Merge Entity", _entities.write, "u"),
    ("entity", "DELETE", "", ""): Operation("Delete Entity", _entities.write, "d"),
    ("batch", "POST", "", ""): Operation("Entity Group Transaction", _batch.batch, "raud"),
}
