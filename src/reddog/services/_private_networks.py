"""Private networks, of one deployment or virtual: every instance has an address and a host name there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from reddog.engine import Reader, Resource, Tx
from reddog.fabric import Network
from reddog.services import virtual_networks
from reddog.wire import errors

_KINDS = ("role", "role_instance")
_RESERVED = 4  # addresses at the beginning of a subnet, which Azure keeps as well
_SIZES = range(8, 30)  # lengths of prefixes


def allocate(
    tx: Tx, deployment_key: str, subnet_names: Sequence[str] = (), address: str | None = None
) -> dict[str, str]:
    """An address in a deployment's network, and its subnet; who takes it keeps it until it is deleted.

    subnet_names, address: those asked for, which only a virtual network can give; the first subnet with a free address
    is taken.

    :raises ServiceError: BadRequest; there is no such subnet, or the address is not free there, or none is left.
    """
    deployment = tx.get("deployment", deployment_key)
    assert deployment is not None
    site = site_of(tx, deployment)
    if site is None:
        if subnet_names or address:
            raise errors.NOT_IN_A_VIRTUAL_NETWORK(deployment=deployment.goal["name"])
        subnets, used = [_own_subnet(deployment)], used_in(tx, [deployment])
    else:
        subnets = [_subnet(site, name, address) for name in subnet_names or (None,)]
        used = used_in(tx, virtual_networks.users_of(tx, site))
    if address is not None:
        if not is_free(subnets[0], address, used):
            raise errors.ADDRESS_NOT_FREE(address=address, subnet=subnets[0])
        return {"address": address, "subnet": str(subnets[0])}
    for subnet in subnets:
        for free in free_addresses(subnet, used):
            return {"address": free, "subnet": str(subnet)}
    raise errors.TOO_MANY_INSTANCES(limit=sum(subnet.num_addresses - _RESERVED - 1 for subnet in subnets))


def site_of(reader: Reader, deployment: Resource) -> Resource | None:
    """The virtual network site that a deployment is in, if any."""
    name = deployment.goal.get("virtual_network")
    return virtual_networks.require(reader, deployment.subscription, name) if name else None


def subnets_of(site: Resource) -> dict[str, IPv4Network]:
    """A site's subnets in which machines can be, by name."""
    found = {one["name"]: IPv4Network(one["prefix"]) for one in site.goal["subnets"]}
    return {name: subnet for name, subnet in found.items() if subnet.prefixlen in _SIZES}


def used_in(reader: Reader, deployments: Sequence[Resource]) -> set[str]:
    """The addresses that deployments' instances have."""
    rows = (one for row in deployments for kind in _KINDS for one in reader.list(kind, parent=row.key))
    return {one.goal["address"] for one in rows}


def is_free(subnet: IPv4Network, address: str, used: set[str]) -> bool:
    """Whether a machine can have an address."""
    try:
        number = int(IPv4Address(address)) - int(subnet.network_address)
    except ValueError:
        return False
    return _RESERVED <= number < subnet.num_addresses - 1 and address not in used


def free_addresses(subnet: IPv4Network, used: set[str]) -> Iterator[str]:
    """The addresses that machines can have, the lowest first."""
    numbers = range(_RESERVED, subnet.num_addresses - 1)
    return (address for number in numbers if (address := str(subnet[number])) not in used)


def place(deployment: Resource, site: Resource | None, goal: Mapping[str, Any], host_name: str) -> Network:
    """A machine's place in its network. goal: holds what `allocate` gave."""
    servers = deployment.goal.get("dns") or (site.goal["dns_servers"] if site is not None else ())
    return Network(
        id=f"net-{deployment.uid}" if site is None else f"vnet-{site.uid}",
        address=goal["address"],
        host_name=host_name,
        domain=domain_of(deployment),
        dns_servers=tuple(server["address"] for server in servers),
        subnet=goal["subnet"],
    )


def as_state(network: Network) -> dict[str, Any]:
    """A place in a network as the state of a role or an instance holds it."""
    return {**asdict(network), "dns_servers": list(network.dns_servers)}


def domain_of(deployment: Resource) -> str:
    """The domain in which a deployment's host names are known."""
    return f"{deployment.goal['service']}.d1.internal.cloudapp.net"


def changed(tx: Tx, deployment: Resource, **changes: Any) -> Resource:
    """Change what a deployment's address or network is; its machines follow, running or not."""
    row = tx.set_goal("deployment", deployment.key, {**deployment.goal, **changes})
    for one in (one for kind in _KINDS for one in tx.list(kind, parent=deployment.key)):
        if one.present:
            moves = one.goal.get("moves", 0) + 1
            tx.set_goal(one.kind, one.key, {**one.goal, "moves": moves}, after=[deployment.ref])
    return row


def _own_subnet(deployment: Resource) -> IPv4Network:
    """A /24 of 10.0.0.0/8 that stays the deployment's; should another one have it too, they never meet."""
    digest = hashlib.sha256(deployment.goal["private_id"].encode()).digest()
    return IPv4Network(f"10.{digest[0]}.{digest[1]}.0/24")


def _subnet(site: Resource, name: str | None, address: str | None) -> IPv4Network:
    """The subnet of that name, else the one with the address, else the first."""
    subnets = subnets_of(site)
    if name is not None:
        named = {one.lower(): subnet for one, subnet in subnets.items()}
        found = named.get(name.lower())
    elif address is not None:
        found = next((one for one in subnets.values() if is_free(one, address, set())), None)
    else:
        found = next(iter(subnets.values()), None)
    if found is None:
        raise errors.SUBNET_NOT_FOUND(name=name or address or "", network=site.goal["name"])
    return found
