"""DNS servers of a deployment: told, counted, and given to its machines."""

from __future__ import annotations

from typing import Any

import pytest

from reddog import wire
from reddog.services.virtual_networks import dns_servers_of
from services import bodies
from services.world import SUBSCRIPTION, World

CREATE = "Create Virtual Machine Deployment"
DEPLOYMENT = {"service": "svc", "deployment": "dep"}


def server(name: str = "one", address: str = "192.0.2.1") -> wire.DnsServer:
    return wire.DnsServer(name, address)


def dns(*servers: wire.DnsServer) -> wire.Dns:
    return wire.only(wire.Dns, dns_servers=wire.DnsServers(list(servers)))


def told(world: World) -> list[tuple[str, str]]:
    found = world.call("Get Deployment by name", **DEPLOYMENT)
    return [(one.name, one.address) for one in found.dns.dns_servers] if found.dns else []


def asked(world: World) -> set[tuple[str, ...]]:
    """What the deployment's machines ask."""
    networks = (world.driver.spec(id).network for id in world.driver.list())
    return {network.dns_servers for network in networks if network is not None}


@pytest.fixture
def deployed(place: World) -> World:
    """Two machines."""
    place.do(CREATE, bodies.deployment(bodies.role("a"), bodies.role("b")), service="svc")
    return place


def test_they_come_and_go_while_machines_run(deployed: World) -> None:
    assert (told(deployed), asked(deployed)) == ([], {()})
    deployed.do("Add DNS Server", server(), **DEPLOYMENT)
    deployed.do("Add DNS Server", server("two", "192.0.2.2"), **DEPLOYMENT)
    assert told(deployed) == [("one", "192.0.2.1"), ("two", "192.0.2.2")]
    assert asked(deployed) == {("192.0.2.1", "192.0.2.2")}
    deployed.do("Update DNS Server", server("ONE", "192.0.2.9"), **DEPLOYMENT, dns_server="One")
    assert told(deployed)[0] == ("one", "192.0.2.9")
    deployed.do("Delete DNS Server", **DEPLOYMENT, dns_server="one")
    assert asked(deployed) == {("192.0.2.2",)}
    deployed.do("Delete DNS Server", **DEPLOYMENT, dns_server="two")
    assert (told(deployed), asked(deployed)) == ([], {()})


def test_machines_that_did_not_run_meanwhile_ask_them_too(deployed: World) -> None:
    role = {**DEPLOYMENT, "role": "a"}
    for operation in ("Start Role", "Restart Role"):
        deployed.do("Shutdown Role", bodies.shutdown(), **role)
        deployed.do("Add DNS Server", server(operation[:5], "192.0.2.7"), **DEPLOYMENT)
        deployed.do(operation, bodies.start() if operation[0] == "S" else bodies.restart(), **role)
        assert len(asked(deployed)) == 1


def test_a_deployment_can_have_them_from_the_beginning(place: World) -> None:
    servers = dns(server(), server("two", "192.0.2.2"))
    place.do(CREATE, bodies.deployment(dns=servers), service="svc")
    assert told(place) == [("one", "192.0.2.1"), ("two", "192.0.2.2")]
    assert asked(place) == {("192.0.2.1", "192.0.2.2")}


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("InvalidXmlRequest", server("one", "2001:db8::1")),
        ("InvalidXmlRequest", server("one", "somewhere")),
        ("InvalidXmlRequest", server("", "192.0.2.1")),
        ("InvalidXmlRequest", server("one", "")),
        ("BadRequest", server("1 one", "192.0.2.1")),
    ],
)
def test_what_is_no_dns_server_is_refused(deployed: World, code: str, given: Any) -> None:
    deployed.refuses(code, "Add DNS Server", given, **DEPLOYMENT)
    deployed.refuses(code, CREATE, bodies.deployment(name="next", dns=dns(given)), service="svc")


def test_names_are_unique_and_known(deployed: World) -> None:
    deployed.do("Add DNS Server", server(), **DEPLOYMENT)
    deployed.refuses("ConflictError", "Add DNS Server", server("ONE", "192.0.2.2"), **DEPLOYMENT)
    twice = bodies.deployment(name="next", dns=dns(server(), server()))
    deployed.refuses("ConflictError", CREATE, twice, service="svc")
    other = {**DEPLOYMENT, "dns_server": "other"}
    deployed.refuses("ResourceNotFound", "Update DNS Server", server("other"), **other)
    deployed.refuses("ResourceNotFound", "Delete DNS Server", **other)
    deployed.refuses(
        "BadRequest", "Update DNS Server", server("new", "192.0.2.2"), **{**other, "dns_server": "one"}
    )
    deployed.refuses("ResourceNotFound", "Add DNS Server", server(), service="svc", deployment="none")
    assert told(deployed) == [("one", "192.0.2.1")]


def test_they_count_against_the_subscriptions_limit(deployed: World) -> None:
    configured = "<DnsServer name='n0' IPAddress='192.0.2.1'/>"
    more = f"<Dns><DnsServers>{configured}</DnsServers></Dns>"
    deployed.do("Set Network Configuration", bodies.networks(more=more))
    for number in range(19):
        deployed.do("Add DNS Server", server(f"n{number}"), **DEPLOYMENT)
    used = deployed.store.read(lambda reader: dns_servers_of(reader, SUBSCRIPTION))
    assert used == 20
    message = deployed.refuses("ConflictError", "Add DNS Server", server("more"), **DEPLOYMENT)
    assert "limit of 20 dns servers" in message
    two = bodies.networks(more=more.replace(configured, configured + configured.replace("n0", "n1")))
    deployed.refuses("ConflictError", "Set Network Configuration", two)
    deployed.do("Delete DNS Server", **DEPLOYMENT, dns_server="n3")
    deployed.do("Set Network Configuration", two)
