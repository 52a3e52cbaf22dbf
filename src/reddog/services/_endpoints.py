"""Endpoints: what a role's network configuration asks for, and what its machine gets (behaviours.md, section 12)."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from reddog.engine import Context, Reader, Resource
from reddog.fabric import AclRule, Forward, Probe
from reddog.fabric.ports import can_bind
from reddog.services import _virtual_ips
from reddog.wire import ConfigurationSet, encode, errors

PROTOCOLS = ("tcp", "udp")
DEFAULT_PROBES = {
    "tcp": "tcp",
    "udp": "none",
}  # of sets without a probe, by protocol: nothing answers at a port of UDP
PROBE_PROTOCOLS = ("tcp", "http")
DISTRIBUTIONS = {"": "", "none": "", "sourceip": "sourceIP", "sourceipprotocol": "sourceIP"}
IDLE_TIMEOUTS = range(4, 31)  # minutes
ACTIONS = ("permit", "deny")
MOST_RULES = 50  # of an access control list
INTERVAL, SHORTEST_INTERVAL = 15, 5  # seconds between two probes
TIMEOUT, SHORTEST_TIMEOUT = 31, 11  # seconds without an answer
LONGEST = 2**31 - 1  # seconds, of both
_DYNAMIC_PORTS = range(49152, 65536)
_log = logging.getLogger("reddog.services")


def network_goal(network: ConfigurationSet | None) -> dict[str, Any]:
    """The part of a role's goal that its network configuration decides.

    :raises ServiceError: an endpoint is not valid, or asks for what is not supported.
    """
    return {
        "network": encode(network).decode() if network is not None else None,
        "endpoints": list(_endpoints(network)),
        "subnet_name": next(iter((network and network.subnet_names) or ()), None),
        "static_address": (network and network.static_virtual_network_ip_address) or None,
    }


def _endpoints(network: ConfigurationSet | None) -> Iterator[dict[str, Any]]:
    given = (network.input_endpoints if network is not None else None) or ()
    names = [endpoint.name for endpoint in given]
    taken = {_port(endpoint.port) for endpoint in given if endpoint.port}
    if len(set(names)) != len(names):
        raise errors.A_PARAMETER_WAS_INCORRECT()
    for endpoint in given:
        _check(endpoint)
        port = _port(endpoint.port) if endpoint.port else _free(taken)
        taken.add(port)
        local_port = _port(endpoint.local_port)
        yield {
            "name": endpoint.name,
            "protocol": (endpoint.protocol or "").lower(),
            "port": port,
            "local_port": local_port,
            "set": endpoint.load_balanced_endpoint_set_name or None,
            "probe": _probe(endpoint.load_balancer_probe, local_port),
            "distribution": DISTRIBUTIONS[(endpoint.load_balancer_distribution or "").lower()],
            "idle_timeout": endpoint.idle_timeout_in_minutes,
            "acl": _acl(endpoint.endpoint_acl),
        }


def _check(endpoint: Any) -> None:
    if (endpoint.protocol or "").lower() not in PROTOCOLS or not endpoint.name:
        raise errors.A_PARAMETER_WAS_INCORRECT()
    if endpoint.idle_timeout_in_minutes not in (None, *IDLE_TIMEOUTS):
        raise errors.INVALID_ELEMENT(element="IdleTimeoutInMinutes", expected="4 to 30")
    if (endpoint.load_balancer_distribution or "").lower() not in DISTRIBUTIONS:
        expected = "none, sourceIP or sourceIPProtocol"
        raise errors.INVALID_ELEMENT(element="LoadBalancerDistribution", expected=expected)
    if endpoint.load_balancer_name:
        raise errors.NOT_SUPPORTED(operation="Endpoints of an internal load balancer")


def _acl(given: Any) -> list[dict[str, str]]:
    """The rules of an access control list, in the order in which they count."""
    rules = (given.rules if given is not None else None) or ()
    if len(rules) > MOST_RULES or len({rule.order for rule in rules}) != len(rules):
        expected = f"up to {MOST_RULES} rules, each with an Order of its own"
        raise errors.INVALID_ELEMENT(element="EndpointAcl", expected=expected)
    for rule in rules:
        if (rule.action or "").lower() not in ACTIONS:
            raise errors.INVALID_ELEMENT(element="Action", expected="permit or deny")
    ordered = sorted(rules, key=lambda rule: rule.order)
    return [{"action": rule.action.lower(), "subnet": _subnet(rule.remote_subnet)} for rule in ordered]


def _subnet(given: str) -> str:
    try:
        return str(IPv4Network((given or "").strip(), strict=False))
    except ValueError:
        expected = "an IPv4 subnet such as 10.0.0.0/8"
        raise errors.INVALID_ELEMENT(element="RemoteSubnet", expected=expected) from None


def _probe(probe: Any, local_port: int) -> dict[str, Any] | None:
    """What a probe asks, with the defaults filled in; None where none was given."""
    if probe is None:
        return None
    protocol = (probe.protocol or "").lower()
    if protocol not in PROBE_PROTOCOLS:
        raise errors.INVALID_ELEMENT(element="Protocol", expected="tcp or http in a LoadBalancerProbe")
    path = probe.path or None
    plain = path is None or (path.isascii() and path.isprintable() and " " not in path)
    if (protocol == "http") != (path is not None) or not plain:
        expected = "a path such as /status for an http probe, and nothing for a tcp probe"
        raise errors.INVALID_ELEMENT(element="Path", expected=expected)
    return {
        "protocol": protocol,
        "port": _port(probe.port) if probe.port else local_port,
        "path": path and (path if path.startswith("/") else f"/{path}"),
        "interval": _seconds(probe.interval_in_seconds, INTERVAL, SHORTEST_INTERVAL, "IntervalInSeconds"),
        "timeout": _seconds(probe.timeout_in_seconds, TIMEOUT, SHORTEST_TIMEOUT, "TimeoutInSeconds"),
    }


def _seconds(given: int | None, default: int, least: int, element: str) -> int:
    if given is not None and not least <= given <= LONGEST:
        raise errors.INVALID_ELEMENT(element=element, expected=f"{least} to {LONGEST}")
    return default if given is None else given


def _free(taken: set[int]) -> int:
    return random.choice([port for port in _DYNAMIC_PORTS if port not in taken])  # noqa: S311 - no secret


def _port(value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = 0
    if not 1 <= port <= 65535:
        raise errors.A_PARAMETER_WAS_INCORRECT()
    return port


class EndpointPorts:
    """Gives machines their endpoints on their deployment's address.

    A port that cannot be had there (a privileged one, or one that a program of the host occupies) is replaced
    by a free one, which the role instance's endpoint then tells; all members of a load-balanced set get the
    same.

    Args:
        runs: Whether a role's machine runs.
    """

    def __init__(self, runs: Callable[[Resource], bool]) -> None:
        self._runs = runs
        self._gate = threading.Lock()  # of roles of one deployment, each sees what the others have been given

    def forwards(self, row: Resource, ctx: Context, *, running: bool) -> tuple[Forward, ...]:
        """The machine's endpoints; the ports given to them are kept in the role's state.

        running: the machine has those that its state tells.

        :raises ServiceError: a port is used twice, or there is no address.
        """
        with self._gate:
            roles, address = ctx.read(lambda reader: _deployment(reader, row))
            _check_ports(roles)
            if address is None:
                raise errors.NO_VIRTUAL_IP()
            others = [role for role in roles if role.key != row.key and self._is_up(role)]
            endpoints = row.goal["endpoints"]
            ports = [self._port(row, one, address, others, running=running) for one in endpoints]
            ctx.patch_state(
                ports={one["name"]: port for one, port in zip(endpoints, ports, strict=True)},
                places=[[*_place(one, address), port] for one, port in zip(endpoints, ports, strict=True)],
            )
        return tuple(_forward(one, address, port) for one, port in zip(endpoints, ports, strict=True))

    def _is_up(self, role: Resource) -> bool:
        """Whether a role has a machine, or is about to have one."""
        return role.goal["power"] == "started" and (not role.settled or self._runs(role))

    def _port(
        self,
        row: Resource,
        endpoint: Mapping[str, Any],
        address: str,
        others: list[Resource],
        *,
        running: bool,
    ) -> int:
        place = _place(endpoint, address)
        own, protocol = _given(row, place), endpoint["protocol"]
        open_now = [entry[1:4] for entry in row.state.get("endpoints", [])] if running else []
        if own is not None and place in open_now:
            return own
        if endpoint["set"] is not None:
            shared = (_given(role, place) for role in others)
            if (port := next(filter(None, shared), None)) is not None:
                return port
        wanted: int = own or endpoint["port"]
        if can_bind(address, wanted, protocol):
            return wanted
        port = _virtual_ips.free_port(address, protocol)
        _log.warning(
            "endpoint %s of role %s: port %s cannot be had on %s; %s is used instead",
            *(endpoint["name"], row.key, endpoint["port"], address, port),
        )
        return port


def asked(row: Resource, address: str | None) -> list[list[Any]]:
    """What a role's endpoints are to be: name, protocol, public port, address, and all else."""
    return [
        [
            *(one["name"], one["protocol"], one["port"], address),
            *(one["local_port"], one["set"], one.get("probe"), one.get("distribution")),
            *(one.get("acl", []), one["idle_timeout"]),
        ]
        for one in row.goal["endpoints"]
    ]


def _place(endpoint: Mapping[str, Any], address: str) -> list[Any]:
    """What an endpoint asks for: protocol, public port, address."""
    return [endpoint["protocol"], endpoint["port"], address]


def _given(role: Resource, place: list[Any]) -> int | None:
    """The port that a role has been given for a place."""
    return next((port for *asked_for, port in role.state.get("places", []) if asked_for == place), None)


def _deployment(reader: Reader, role: Resource) -> tuple[list[Resource], str | None]:
    """The roles of a role's deployment, and its address."""
    return reader.list("role", parent=role.parent), _virtual_ips.address_of(reader, role.parent or "")


def _check_ports(roles: list[Resource]) -> None:
    """Refuse public ports that two endpoints of a deployment want, unless they are of one set."""
    seen: dict[tuple[int, str], str | None] = {}
    for role in roles:
        for endpoint in role.goal["endpoints"] if role.present else ():
            port, protocol = endpoint["port"], endpoint["protocol"]
            taken, mine = (port, protocol) in seen, endpoint["set"]
            if taken and (mine is None or seen[port, protocol] != mine):
                raise errors.PORT_IN_USE(port=port)
            seen[port, protocol] = endpoint["set"]


def _forward(endpoint: Mapping[str, Any], address: str, port: int) -> Forward:
    protocol, local_port = endpoint["protocol"], endpoint["local_port"]
    given = endpoint.get("probe") or {"protocol": DEFAULT_PROBES[protocol], "port": local_port}
    probe = None
    if endpoint["set"] is not None:
        probe = Probe(
            given["protocol"],
            given["port"],
            given.get("path") or "/",
            given.get("interval", INTERVAL),
            given.get("timeout", TIMEOUT),
        )
    idle_timeout = endpoint["idle_timeout"]
    return Forward(
        endpoint["name"],
        protocol,
        address,
        port,
        local_port,
        probe,
        endpoint.get("distribution", "") if probe else "",
        acl=tuple(AclRule(**rule) for rule in endpoint.get("acl", ())),
        idle_timeout=idle_timeout and idle_timeout * 60,
    )
