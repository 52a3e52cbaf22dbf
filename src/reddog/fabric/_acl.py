"""Access control lists of endpoints: who may connect."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from reddog.fabric.compute import AclRule


def permits(rules: Iterable[AclRule], client: str) -> bool:
    """Whether a client with this IPv4 address may connect.

    The first rule whose subnet it is in decides. A client that is in none may connect if all rules deny, as on Azure:
    a list with a rule that permits shuts out everybody else.
    """
    address, default = IPv4Address(client), True
    for rule in rules:
        if address in _network(rule.subnet):
            return rule.action == "permit"
        default = default and rule.action == "deny"
    return default


@lru_cache(1024)
def _network(subnet: str) -> IPv4Network:
    return IPv4Network(subnet)
