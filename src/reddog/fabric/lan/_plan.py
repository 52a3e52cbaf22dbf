"""What a private network consists of, as its driver tells its process."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reddog.fabric.compute import AclRule, Forward, Probe

LAN_SOCKET = "lan.sock"  # the machine's network card
UPLINK_SOCKET = "uplink.sock"  # its way out
PLATFORM = "168.63.129.16"  # what classic guests look for in DHCP option 245


@dataclass(frozen=True)
class Subnet:
    """A part of a network, and who is who in it: as in Azure, machines begin at the fifth address."""

    network: ipaddress.IPv4Network

    @classmethod
    def of(cls, address: str, subnet: str) -> Subnet:
        """The subnet in which an address lies; the /24 around it by default."""
        return cls(ipaddress.IPv4Network(subnet or f"{address}/24", strict=False))

    @property
    def mask(self) -> str:
        """Tells its addresses from others."""
        return str(self.network.netmask)

    @property
    def gateway(self) -> str:
        """The way out, and who gives addresses."""
        return str(self.network[1])

    @property
    def prober(self) -> str:
        """Who asks machines whether they take connections."""
        return str(self.network[2])

    @property
    def name_server(self) -> str:
        """Who knows the machines' names, and asks the host's name server for all others."""
        return str(self.network[3])


Place = tuple[str, str, int]


@dataclass(frozen=True)
class Backend:
    """A machine's part in what listens at an endpoint: a load-balanced set, or the machine alone.

    name, address, port: the endpoint. guest_port: the machine's. host_port: where the host reaches that. probe: tells
    whether the machine takes connections, None: it always does; probe_port: where the host reaches the port that an
    HTTP probe asks. distribution, acl, idle_timeout, protocol: as in `compute.Forward`.
    """

    name: str
    address: str
    port: int
    guest_port: int
    host_address: str
    host_port: int
    probe: Probe | None
    probe_port: int
    distribution: str = ""
    acl: tuple[AclRule, ...] = ()
    idle_timeout: float | None = None
    protocol: str = "tcp"

    @property
    def place(self) -> Place:
        """Where the endpoint is: protocol, address and port."""
        return self.protocol, self.address, self.port

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Backend:
        """A backend as `Member.to_json` wrote it."""
        probe = Probe(**document["probe"]) if document["probe"] else None
        return cls(**{**document, "probe": probe, "acl": tuple(AclRule(**rule) for rule in document["acl"])})


@dataclass(frozen=True)
class Member:
    """A machine in the network. directory: where its sockets are. The rest is as in `compute.Network`."""

    id: str
    directory: str
    address: str
    host_name: str
    domain: str
    dns_servers: tuple[str, ...] = ()
    subnet: str = ""
    backends: tuple[Backend, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The member as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Member:
        """A member as `to_json` wrote it."""
        backends = tuple(map(Backend.from_json, document["backends"]))
        return cls(**{**document, "dns_servers": tuple(document["dns_servers"]), "backends": backends})


def endpoint(name: str, place: Place) -> Forward:
    """A forward at a place, to tell of."""
    protocol, address, port = place
    return Forward(name, "udp" if protocol == "udp" else "tcp", address, port, 1)


def mac_of(id: str) -> bytes:
    """The hardware address of a machine's network card: locally administered, and always the same."""
    return b"\x02" + hashlib.sha256(id.encode()).digest()[:5]


def packed(address: str) -> bytes:
    """An IPv4 address as four bytes."""
    return ipaddress.IPv4Address(address).packed
