"""DNS servers as the goal of a deployment holds them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from reddog.engine import Resource
from reddog.wire import Dns, DnsServer, DnsServers, errors, only

Server = dict[str, str]
"""Its name and its address."""

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]{0,78}[A-Za-z0-9])?")


def goal_of(given: Any) -> Server:
    """A DNS server of a request.

    :raises ServiceError: its name or address is missing or not valid.
    """
    for element, value in (("Name", given.name), ("Address", given.address)):
        if not value:
            raise errors.MISSING_ELEMENT(element=element, parent="DnsServer")
    if not _NAME.fullmatch(given.name):
        rule = "use 1 to 80 letters, digits, hyphens and underscores, with a letter first."
        raise errors.INVALID_NAME(name=given.name, what="a DNS server", rule=rule)
    try:
        address = ipaddress.IPv4Address(given.address)
    except ValueError:
        raise errors.INVALID_ELEMENT(
            element="Address", expected="an IPv4 address, such as 10.0.0.4"
        ) from None
    return {"name": given.name, "address": str(address)}


def goals_of(given: Dns | None) -> list[Server]:
    """All DNS servers of a request for a deployment.

    :raises ServiceError: one of them is not valid, or two have the same name.
    """
    servers = [goal_of(one) for one in (given.dns_servers if given is not None else None) or ()]
    for server in servers:
        if find(servers, server["name"]) is not server:
            raise errors.DNS_SERVER_EXISTS(name=server["name"])
    return servers


def find(servers: Iterable[Server], name: str) -> Server | None:
    """The server of that name, whatever the case."""
    return next((one for one in servers if one["name"].lower() == name.lower()), None)


def shown(deployment: Resource) -> Dns | None:
    """A deployment's DNS servers as the API tells them; left out where there are none."""
    servers = [only(DnsServer, **server) for server in deployment.goal.get("dns", ())]
    return only(Dns, dns_servers=DnsServers(servers)) if servers else None
