"""Private networks: every deployment has one, and every instance in it an address and a host name."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from reddog.engine import Resource, Tx
from reddog.fabric import Network
from reddog.wire import errors

_KINDS = ("role", "role_instance")
_MACHINES = range(4, 255)  # of a /24; Azure keeps what is below


def allocate(tx: Tx, deployment_key: str) -> str:
    """The lowest free address in a deployment's network. BadRequest: there is none left.

    Who takes it keeps it until it is deleted.
    """
    deployment = tx.get("deployment", deployment_key)
    assert deployment is not None
    prefix = _prefix(deployment)
    used = {one.goal.get("address") for kind in _KINDS for one in tx.list(kind, parent=deployment_key)}
    address = next((f"{prefix}.{number}" for number in _MACHINES if f"{prefix}.{number}" not in used), None)
    if address is None:
        raise errors.TOO_MANY_INSTANCES(limit=len(_MACHINES))
    return address


def place(deployment: Resource, address: str, host_name: str) -> Network:
    """A machine's place in its deployment's network."""
    return Network(
        id=f"net-{deployment.uid}",
        address=address,
        host_name=host_name,
        domain=domain_of(deployment),
        dns_servers=tuple(server["address"] for server in deployment.goal.get("dns", ())),
    )


def as_state(network: Network) -> dict[str, Any]:
    """A place in a network as the state of a role or an instance holds it."""
    return {**asdict(network), "dns_servers": list(network.dns_servers)}


def domain_of(deployment: Resource) -> str:
    """The domain in which a deployment's host names are known."""
    return f"{deployment.goal['service']}.d1.internal.cloudapp.net"


def changed(tx: Tx, deployment: Resource, **changes: Any) -> None:
    """Change what a deployment's address or network is; its machines follow, running or not."""
    tx.set_goal("deployment", deployment.key, {**deployment.goal, **changes})
    for one in (one for kind in _KINDS for one in tx.list(kind, parent=deployment.key)):
        if one.present:
            moves = one.goal.get("moves", 0) + 1
            tx.set_goal(one.kind, one.key, {**one.goal, "moves": moves}, after=[deployment.ref])


def _prefix(deployment: Resource) -> str:
    """A /24 of 10.0.0.0/8 that stays the deployment's; should another one have it too, they never meet."""
    digest = hashlib.sha256(deployment.goal["private_id"].encode()).digest()
    return f"10.{digest[0]}.{digest[1]}"
