"""Models of the SQL Database client."""

from __future__ import annotations

from typing import ClassVar

from reddog.wire import model

from ._plain_models import Collection, Model, many


@model
class Server(Model):
    """A SQL Database server."""

    name: str = ""
    administrator_login: str = ""
    location: str = ""
    geo_paired_region: str = ""
    fully_qualified_domain_name: str = ""
    version: str = ""


@model
class Servers(Collection):
    """The SQL Database servers of a subscription."""

    _items: ClassVar[str] = "server"
    server: list[Server] = many(Server)


@model
class ServerQuota(Model):
    """A limit of a server."""

    name: str = ""
    type: str = ""
    state: str = ""
    self_link: str = ""
    parent_link: str = ""
    value: int = 0


@model
class EventLog(Model):
    """An event of a server."""

    name: str = ""
    type: str = ""
    state: str = ""
    self_link: str = ""
    parent_link: str = ""
    database_name: str = ""
    start_time_utc: str = ""
    interval_size_in_minutes: int = 0
    event_category: str = ""
    event_type: str = ""
    event_subtype: int = 0
    event_subtype_description: str = ""
    number_of_events: int = 0
    severity: int = 0
    description: str = ""
    additional_data: str = ""


@model
class CreateServerResponse(Model):
    """The name of a new server."""

    server_name: str = ""
    fully_qualified_domain_name: str = ""


@model
class Database(Model):
    """A database."""

    name: str = ""
    type: str = ""
    state: str = ""
    self_link: str = ""
    parent_link: str = ""
    id: int = 0
    edition: str = ""
    collation_name: str = ""
    creation_date: str = ""
    is_federation_root: bool = False
    is_system_object: bool = False
    max_size_bytes: int = 0


@model
class FirewallRule(Model):
    """Addresses that may reach a server."""

    name: str = ""
    type: str = ""
    state: str = ""
    self_link: str = ""
    parent_link: str = ""
    start_ip_address: str = ""
    end_ip_address: str = ""


@model
class ServiceObjective(Model):
    """A level of service for databases."""

    name: str = ""
    type: str = ""
    state: str = ""
    self_link: str = ""
    parent_link: str = ""
    id: str = ""
    is_default: bool = False
    is_system: bool = False
    description: str = ""
    enabled: bool = False
