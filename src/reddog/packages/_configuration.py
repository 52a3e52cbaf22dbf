"""The service configuration (.cscfg): how many instances each role has, and the values of its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from lxml import etree

from reddog.packages._definition import PLUGIN_SETTINGS, RoleDefinition, ServiceDefinition
from reddog.packages._error import PackageError
from reddog.packages._xml import attribute, child, children, number, parse

MOST_INSTANCES = 1000
_WHAT = "The service configuration"
_THUMBPRINT = re.compile(r"[0-9A-F]{40}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class RoleConfiguration:
    """A role's instance count, the values of its settings, the thumbprints of its certificates by name, its subnets."""

    name: str
    instances: int
    settings: Mapping[str, str]
    certificates: Mapping[str, str]
    subnets: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceConfiguration:
    """A configuration.

    os_version: `*` for the newest. reserved_ip, virtual_network: the names it asks for. dns_servers: names and
    addresses.
    """

    service_name: str
    roles: tuple[RoleConfiguration, ...]
    os_family: int = 1
    os_version: str = "*"
    reserved_ip: str | None = None
    virtual_network: str | None = None
    dns_servers: tuple[tuple[str, str], ...] = ()

    def role(self, name: str) -> RoleConfiguration | None:
        """The configuration of a role, the case of whose name does not matter."""
        return next((role for role in self.roles if role.name.lower() == name.lower()), None)


def parse_configuration(text: str) -> ServiceConfiguration:
    """Read a service configuration.

    :raises PackageError: it is no service configuration, or says something that cannot be.
    """
    root = _parse(text)
    network = child(root, "NetworkConfiguration")
    site = child(network, "VirtualNetworkSite")
    subnets = _subnets(network)
    reserved = child(network, "AddressAssignments", "ReservedIPs", "ReservedIP")
    roles = tuple(_role(node, subnets) for node in children(root, "Role"))
    names = [role.name.lower() for role in roles]
    if len(set(names)) != len(names):
        raise PackageError(f"{_WHAT} has two roles of the same name.", "Remove one.")
    for name in subnets:
        if name not in names:
            raise PackageError(
                f"{_WHAT}: InstanceAddress names the role {name}, which it has not.", "Correct it."
            )
    if subnets and site is None:
        raise PackageError(f"{_WHAT} has an InstanceAddress and no VirtualNetworkSite.", "Add the site.")
    return ServiceConfiguration(
        service_name=root.get("serviceName") or "",
        roles=roles,
        os_family=number(root.get("osFamily") or "1", f"{_WHAT}: osFamily", 1, 4),
        os_version=root.get("osVersion") or "*",
        reserved_ip=attribute(reserved, "name", _WHAT) if reserved is not None else None,
        virtual_network=attribute(site, "name", _WHAT) if site is not None else None,
        dns_servers=tuple(map(_dns_server, children(network, "Dns", "DnsServers", "DnsServer"))),
    )


def check_configuration(definition: ServiceDefinition, configuration: ServiceConfiguration) -> None:
    """Refuse a configuration that is not one of this definition.

    :raises PackageError: a role, setting or certificate is missing or unknown, or there are too many instances.
    """
    for given in configuration.roles:
        if definition.role(given.name) is None:
            names = ", ".join(role.name for role in definition.roles)
            raise PackageError(
                f"{_WHAT} has the role {given.name}, which the service definition has not.",
                f"Remove it, or name it as the definition does: {names}.",
            )
    for role in definition.roles:
        found = configuration.role(role.name)
        if found is None:
            raise PackageError(f"{_WHAT} lacks the role {role.name}.", "Add it with its instance count.")
        _check_role(role, found)


def with_instances(text: str, counts: Mapping[str, int]) -> str:
    """The configuration with other instance counts, by role name; everything else stays as it was written."""
    root = _parse(text)
    lower = {name.lower(): count for name, count in counts.items()}
    for node in children(root, "Role"):
        count = lower.get((node.get("name") or "").lower())
        instances = child(node, "Instances")
        if count is not None and instances is not None:
            instances.set("count", str(count))
    return etree.tostring(root, encoding="unicode")


def _parse(text: str) -> etree._Element:
    return parse(text.lstrip("\ufeff").encode("utf-8", "replace"), _WHAT, "ServiceConfiguration")


def _dns_server(node: etree._Element) -> tuple[str, str]:
    name, address = attribute(node, "name", _WHAT), attribute(node, "IPAddress", _WHAT)
    try:
        return name, str(IPv4Address(address))
    except ValueError:
        raise PackageError(
            f"{_WHAT}: the DNS server {name} has the address {address!r}.",
            "Use an IPv4 address, such as 10.0.0.4.",
        ) from None


def _subnets(network: etree._Element | None) -> dict[str, tuple[str, ...]]:
    """The subnets that roles ask for, by the role's name in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for one in children(network, "AddressAssignments", "InstanceAddress"):
        role = attribute(one, "roleName", _WHAT)
        if role.lower() in found:
            raise PackageError(f"{_WHAT} has two InstanceAddress of the role {role}.", "Remove one.")
        found[role.lower()] = tuple(
            attribute(subnet, "name", _WHAT) for subnet in children(one, "Subnets", "Subnet")
        )
    return found


def _role(node: etree._Element, subnets: Mapping[str, tuple[str, ...]]) -> RoleConfiguration:
    name = attribute(node, "name", _WHAT)
    where = f"{_WHAT}: the role {name}"
    instances = child(node, "Instances")
    if instances is None:
        raise PackageError(f"{where} has no Instances.", 'Add <Instances count="1" />.')
    settings: dict[str, str] = {}
    for setting in children(node, "ConfigurationSettings", "Setting"):
        key, value = attribute(setting, "name", where), setting.get("value")
        if value is None:
            raise PackageError(f"{where}: the setting {key} has no value.", "Add the attribute value.")
        if _CONTROL.search(value):
            raise PackageError(f"{where}: the setting {key} holds a control character.", "Remove it.")
        settings[key] = value
    return RoleConfiguration(
        name,
        number(attribute(instances, "count", where), f"{where}: the instance count", 1, MOST_INSTANCES),
        settings,
        {
            attribute(one, "name", where): _thumbprint(one, where)
            for one in children(node, "Certificates", "Certificate")
        },
        subnets.get(name.lower(), ()),
    )


def _thumbprint(node: etree._Element, where: str) -> str:
    given = attribute(node, "thumbprint", where).replace(" ", "").upper()
    if not _THUMBPRINT.fullmatch(given):
        raise PackageError(f"{where}: {given!r} is no thumbprint.", "Use the 40 digits of its SHA-1 hash.")
    return given


def _check_role(role: RoleDefinition, found: RoleConfiguration) -> None:
    where = f"{_WHAT}: the role {role.name}"
    for name in role.settings:
        if name not in found.settings:
            raise PackageError(f"{where} lacks the setting {name}.", "Add it to its ConfigurationSettings.")
    for name in found.settings:
        if name not in role.settings and not (role.has_imports and name.startswith(PLUGIN_SETTINGS)):
            message = f"{where} has the setting {name}, which the service definition has not."
            raise PackageError(
                message, "Remove it, or declare it in the definition and build the package anew."
            )
    for name in role.certificates:
        if name not in found.certificates:
            raise PackageError(f"{where} lacks the certificate {name}.", "Add it with its thumbprint.")
    for endpoint in role.endpoints:
        if endpoint.public_ports is None:
            continue
        first, last = endpoint.public_ports
        if found.instances > last - first + 1:
            raise PackageError(
                f"{where} has {found.instances} instances, and the endpoint {endpoint.name} only "
                f"{last - first + 1} public ports.",
                "Ask for fewer instances, or widen the range.",
            )
