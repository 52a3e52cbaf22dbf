"""The client for SQL Database servers, their firewall rules and databases."""

from __future__ import annotations

from typing import Any

from ._common_error import _require
from ._endpoint import DEFAULT_HOST
from ._plain_models import WINDOWS_AZURE, decode, decode_resources, document, parse
from ._sql_database_models import (
    CreateServerResponse,
    Database,
    EventLog,
    FirewallRule,
    ServerQuota,
    Servers,
    ServiceObjective,
)
from .constants import DEFAULT_HTTP_TIMEOUT
from .servicemanagementclient import _ServiceManagementClient

_SQL_AZURE = "http://schemas.microsoft.com/sqlazure/2010/12/"


class SqlDatabaseManagementService(_ServiceManagementClient):
    """Manages the SQL Database servers of one subscription.

    All methods raise `azure.common.AzureHttpError` for an answer of 300 and more, as those of
    ServiceManagementService do.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        cert_file: str | None = None,
        host: str = DEFAULT_HOST,
        request_session: Any = None,
        timeout: float | None = DEFAULT_HTTP_TIMEOUT,
    ) -> None:
        """Make a client; the parameters are those of ServiceManagementService."""
        super().__init__(subscription_id, cert_file, host, request_session, timeout)
        self.content_type = "application/xml"

    # -- Servers ------------------------------------------------------------------------------------------

    def create_server(self, admin_login: str, admin_password: str, location: str) -> CreateServerResponse:
        """Make a server.

        admin_login, admin_password: of its administrator.  location: a name from `list_locations`.

        Returns `server_name` and `fully_qualified_domain_name`.
        """
        _require(admin_login=admin_login, admin_password=admin_password, location=location)
        values = [
            ("AdministratorLogin", admin_login),
            ("AdministratorLoginPassword", admin_password),
            ("Location", location),
        ]
        response = self.perform_post(self._servers(), document("Server", _SQL_AZURE, values))
        root = parse(response.body)
        name, domain = root.text or "", root.get("FullyQualifiedDomainName", "")
        return CreateServerResponse(server_name=name, fully_qualified_domain_name=domain)

    def set_server_admin_password(self, server_name: str, admin_password: str) -> None:
        """Change the administrator's password of a server.

        server_name: the server.  admin_password: the new password.
        """
        _require(server_name=server_name, admin_password=admin_password)
        body = document("AdministratorLoginPassword", _SQL_AZURE, [], admin_password)
        self.perform_post(self._servers(server_name) + "?op=ResetPassword", body)

    def delete_server(self, server_name: str) -> None:
        """Delete a server with its databases.

        server_name: the server.
        """
        _require(server_name=server_name)
        self.perform_delete(self._servers(server_name))

    def list_servers(self) -> Servers:
        """List the servers of the subscription."""
        return decode(Servers, self.perform_get(self._servers()).body)

    def list_quotas(self, server_name: str) -> list[ServerQuota]:
        """List the limits of a server.

        server_name: the server.
        """
        _require(server_name=server_name)
        return self._resources(ServerQuota, self._servers(server_name, "/serverquotas"))

    def get_server_event_logs(
        self, server_name: str, start_date: str, interval_size_in_minutes: int, event_types: str = ""
    ) -> list[EventLog]:
        """List the events of a server.

        server_name: the server.  start_date: begin of the period, such as "2015-06-01 12:00:00" (UTC).
        interval_size_in_minutes: 5, 60 or 1440.  event_types: names, separated by commas; all when empty.
        """
        _require(
            server_name=server_name,
            start_date=start_date,
            interval_size_in_minutes=interval_size_in_minutes,
            event_types=event_types,
        )
        period = f"startDate={start_date}&intervalSizeInMinutes={interval_size_in_minutes}"
        query = f"?{period}&eventTypes={event_types}"
        return self._resources(EventLog, self._servers(server_name, "/events") + query)

    # -- Firewall rules -----------------------------------------------------------------------------------

    def create_firewall_rule(
        self, server_name: str, name: str, start_ip_address: str, end_ip_address: str
    ) -> None:
        """Let a range of addresses reach a server.

        server_name: the server.  name: of the rule.  start_ip_address, end_ip_address: the range, both
            included.
        """
        body = _firewall_rule(server_name, name, start_ip_address, end_ip_address)
        self.perform_post(self._servers(server_name, "/firewallrules"), body)

    def update_firewall_rule(
        self, server_name: str, name: str, start_ip_address: str, end_ip_address: str
    ) -> None:
        """Change a firewall rule; the parameters are those of `create_firewall_rule`."""
        body = _firewall_rule(server_name, name, start_ip_address, end_ip_address)
        self.perform_put(self._servers(server_name, "/firewallrules", name), body)

    def delete_firewall_rule(self, server_name: str, name: str) -> None:
        """Delete a firewall rule.

        server_name: the server.  name: of the rule.
        """
        _require(server_name=server_name, name=name)
        self.perform_delete(self._servers(server_name, "/firewallrules", name))

    def list_firewall_rules(self, server_name: str) -> list[FirewallRule]:
        """List the firewall rules of a server.

        server_name: the server.
        """
        _require(server_name=server_name)
        return self._resources(FirewallRule, self._servers(server_name, "/firewallrules"))

    def list_service_level_objectives(self, server_name: str) -> list[ServiceObjective]:
        """List the levels of service that databases of a server can have.

        server_name: the server.
        """
        _require(server_name=server_name)
        return self._resources(ServiceObjective, self._servers(server_name, "/serviceobjectives"))

    # -- Databases ----------------------------------------------------------------------------------------

    def create_database(
        self,
        server_name: str,
        name: str,
        service_objective_id: str,
        edition: str | None = None,
        collation_name: str | None = None,
        max_size_bytes: int | None = None,
    ) -> None:
        """Make a database.

        server_name: the server.  name: of the database.
        service_objective_id: id from `list_service_level_objectives`.  edition: Web, Business, Basic,
            Standard or
        Premium.  collation_name: its collation.  max_size_bytes: its largest size, in bytes.
        """
        _require(server_name=server_name, name=name, service_objective_id=service_objective_id)
        values = [
            ("Name", name),
            ("Edition", edition),
            ("CollationName", collation_name),
            ("MaxSizeBytes", max_size_bytes),
            ("ServiceObjectiveId", service_objective_id),
        ]
        body = document("ServiceResource", WINDOWS_AZURE, values)
        self.perform_post(self._servers(server_name, "/databases"), body)

    def update_database(
        self,
        server_name: str,
        name: str,
        new_database_name: str | None = None,
        service_objective_id: str | None = None,
        edition: str | None = None,
        max_size_bytes: int | None = None,
    ) -> None:
        """Change a database; None leaves a value as it is.

        server_name, name: the database.  new_database_name: its new name.  The others as in
            `create_database`.
        """
        _require(server_name=server_name, name=name)
        values = [
            ("Name", new_database_name),
            ("Edition", edition),
            ("MaxSizeBytes", max_size_bytes),
            ("ServiceObjectiveId", service_objective_id),
        ]
        body = document("ServiceResource", WINDOWS_AZURE, values)
        self.perform_put(self._servers(server_name, "/databases", name), body)

    def delete_database(self, server_name: str, name: str) -> None:
        """Delete a database.

        server_name, name: the database.
        """
        self.perform_delete(self._servers(server_name, "/databases", name))

    def list_databases(self, name: str) -> list[Database]:
        """List the databases of a server.

        name: of the server.
        """
        path = f"/{self.subscription_id}/services/sqlservers/servers//{name}/databases?contentview=generic"
        return self._resources(Database, path)

    def _servers(self, server_name: str | None = None, below: str = "", name: str | None = None) -> str:
        path = f"/{self.subscription_id}/services/sqlservers/servers"
        if server_name is not None:
            path += f"/{server_name}{below}"
        return f"{path}/{name}" if name else path

    def _resources(self, cls: type[Any], path: str) -> list[Any]:
        return decode_resources(cls, self.perform_get(path).body)


def _firewall_rule(server_name: str, name: str, start_ip_address: str, end_ip_address: str) -> bytes:
    _require(
        server_name=server_name, name=name, start_ip_address=start_ip_address, end_ip_address=end_ip_address
    )
    values = [("Name", name), ("StartIPAddress", start_ip_address), ("EndIPAddress", end_ip_address)]
    return document("ServiceResource", WINDOWS_AZURE, values)
