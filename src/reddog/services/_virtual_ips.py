"""Virtual IPs: every deployment has an address of its own in the host's loopback network 127.0.0.0/8."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

from reddog.engine import Reader, Tx
from reddog.wire import errors

KIND = "virtual_ip"
_BLOCKS = 16  # of 254 addresses each


def blocks_of(data_dir: Path) -> list[str]:
    """The networks (three numbers of an address) from which the cloud of a data directory takes addresses.

    Derived from the directory, so that two clouds on one host seldom meet.
    """
    digest = hashlib.sha256(str(data_dir.resolve()).encode()).digest()
    first, second = 1 + digest[0] % 254, digest[1] % 240
    return [f"127.{first}.{second + block}" for block in range(_BLOCKS)]


def allocate(tx: Tx, blocks: list[str], subscription: str, deployment_key: str | None) -> str:
    """Take a free address, for a deployment or to be reserved. ConflictError: there is none left."""
    used = {row.key for row in tx.list(KIND)}
    address = next((address for address in _addresses(blocks) if address not in used), None)
    if address is None:
        raise errors.NO_VIRTUAL_IP()
    tx.insert(
        KIND, address, subscription=subscription, parent=deployment_key, goal={"deployment": deployment_key}
    )
    return address


def address_of(reader: Reader, deployment_key: str) -> str | None:
    """The address that a deployment has: the reserved one that it uses, else its own."""
    deployment = reader.get("deployment", deployment_key)
    name = deployment.goal.get("reserved_ip") if deployment is not None else None
    if deployment is not None and name:
        reserved = reader.get("reserved_ip", f"{deployment.subscription}/{name}".lower())
        if reserved is not None:
            return str(reserved.goal["address"])
    return next((row.key for row in reader.list(KIND, parent=deployment_key)), None)


def free_port(address: str, protocol: str) -> int:
    """A port of the address that nobody listens on now."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _addresses(blocks: list[str]) -> Iterator[str]:
    return (f"{block}.{host}" for block in blocks for host in range(1, 255))
