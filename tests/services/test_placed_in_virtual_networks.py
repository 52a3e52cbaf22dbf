"""Deployments in virtual networks: subnets, static addresses, and machines of several deployments together."""

from __future__ import annotations

from typing import Any

import pytest

from reddog import wire
from services import bodies
from services.world import World

CREATE = "Create Virtual Machine Deployment"
SET = "Set Network Configuration"
SERVERS = (
    "<Dns><DnsServers><DnsServer name='own' IPAddress='10.1.0.200'/></DnsServers></Dns>",
    "<DnsServersRef><DnsServerRef name='own'/></DnsServersRef>",
)


@pytest.fixture
def site(place: World) -> World:
    """A site with two subnets, and a second service."""
    subnets = "front=10.1.0.0/24", "back=10.1.1.0/29", "tiny=10.1.2.0/30"
    net = bodies.site("net", *subnets, prefix="10.1.0.0/16", more=SERVERS[1])
    place.do(SET, bodies.networks(net, more=SERVERS[0]))
    place.do("Create Cloud Service", bodies.service("two"))
    return place


def in_subnet(name: str, subnet: str | None = None, address: str | None = None) -> wire.PersistentVMRole:
    network = bodies.network()
    network.subnet_names = [subnet] if subnet else None
    network.static_virtual_network_ip_address = address
    return bodies.role(name, network=network)


def create(world: World, *roles: Any, service: str = "svc", **values: Any) -> None:
    body = bodies.deployment(*roles, **({"virtual_network_name": "NET"} | values))
    world.do(CREATE, body, service=service)


def deployment(world: World, service: str = "svc") -> Any:
    return world.call("Get Deployment by name", service=service, deployment="dep")


def addresses(world: World, service: str = "svc") -> dict[str, str]:
    return {one.role_name: one.ip_address for one in deployment(world, service).role_instance_list}


def machine(world: World, name: str) -> Any:
    """What a role's machine is."""
    (row,) = [row for row in world.rows("role") if row.goal["name"] == name]
    return world.driver.spec(f"vm-{row.uid}")


def test_machines_of_several_deployments_are_in_one_network(site: World) -> None:
    create(site, in_subnet("a"), in_subnet("b", "Back"))
    create(site, in_subnet("c"), service="two")
    assert addresses(site) | addresses(site, "two") == {"a": "10.1.0.4", "b": "10.1.1.4", "c": "10.1.0.5"}
    places = {name: machine(site, name).network for name in "abc"}
    assert len({one.id for one in places.values()}) == 1
    assert {one.subnet for one in places.values()} == {"10.1.0.0/24", "10.1.1.0/29"}
    assert {one.dns_servers for one in places.values()} == {("10.1.0.200",)}
    assert site.driver.resolve(machine(site, "a").id, "host.two.d1.internal.cloudapp.net") == "10.1.0.5"
    assert deployment(site).virtual_network_name == "net"
    shown = site.call("Get Role", service="svc", deployment="dep", role="b").configuration_sets[0]
    assert list(shown.subnet_names) == ["Back"]
    (listed,) = site.call("List Virtual Network Sites")
    assert listed.in_use
    without_back = bodies.site("net", "front=10.1.0.0/24", prefix="10.1.0.0/16")
    assert "in use" in site.refuses("BadRequest", SET, bodies.networks(without_back))
    for service in ("svc", "two"):
        site.do("Delete Deployment by name", service=service, deployment="dep")
    site.do(SET, bodies.networks(without_back))


def test_addresses_can_be_asked_for(site: World) -> None:
    create(site, in_subnet("a", None, "10.1.1.6"), in_subnet("b", "front", "10.1.0.9"))
    assert addresses(site) == {"a": "10.1.1.6", "b": "10.1.0.9"}
    role = site.call("Get Role", service="svc", deployment="dep", role="b")
    assert role.configuration_sets[0].static_virtual_network_ip_address == "10.1.0.9"
    for subnet, address in (("front", "10.1.0.9"), ("back", "10.1.0.10"), ("front", "10.1.0.3")):
        body = bodies.deployment(in_subnet("c", subnet, address), virtual_network_name="net")
        assert address in site.refuses("BadRequest", CREATE, body, service="two")


def test_a_full_subnet_takes_no_more(site: World) -> None:
    create(site, *(in_subnet(name, "back") for name in "abc"))
    body = bodies.deployment(in_subnet("d", "back"), virtual_network_name="net")
    assert "up to 3" in site.refuses("BadRequest", CREATE, body, service="two")


@pytest.mark.parametrize(
    ("words", "role", "values"),
    [
        ("does not exist", in_subnet("a"), {"virtual_network_name": "none"}),
        ("no subnet for 'none'", in_subnet("a", "none"), {}),
        ("no subnet for 'tiny'", in_subnet("a", "tiny"), {}),
        ("no subnet for '10.2.0.9'", in_subnet("a", None, "10.2.0.9"), {}),
        ("in no virtual network", in_subnet("a", "front"), {"virtual_network_name": None}),
        ("in no virtual network", in_subnet("a", None, "10.1.0.9"), {"virtual_network_name": None}),
    ],
)
def test_places_that_are_not_there_are_refused(site: World, words: str, role: Any, values: Any) -> None:
    body = bodies.deployment(role, **({"virtual_network_name": "net"} | values))
    assert words in site.refuses("BadRequest", CREATE, body, service="svc")


def test_service_and_site_have_one_location(site: World) -> None:
    site.do("Create Cloud Service", bodies.service("far", location="East US"))
    body = bodies.deployment(virtual_network_name="net")
    assert "East US" in site.refuses("BadRequest", CREATE, body, service="far")


def test_an_update_keeps_the_place(site: World) -> None:
    create(site, in_subnet("a", "front", "10.1.0.9"))
    role = {"service": "svc", "deployment": "dep", "role": "a"}
    same = wire.only(wire.PersistentVMRole, role_name="a")
    same.configuration_sets = wire.ConfigurationSets([bodies.network(bodies.endpoint(port=2222))])
    site.do("Update Role", same, **role)
    shown = site.call("Get Role", **role).configuration_sets[0]
    assert (list(shown.subnet_names), shown.static_virtual_network_ip_address) == (["front"], "10.1.0.9")
    (machine_row,) = site.rows("role")
    assert machine_row.state.get("rebuilds", 0) == 0, "it was not restarted"


def moved(subnet: str | None = None, address: str | None = None) -> wire.PersistentVMRole:
    role = wire.only(wire.PersistentVMRole, role_name="a")
    network = bodies.network()
    network.subnet_names = [subnet] if subnet else None
    network.static_virtual_network_ip_address = address
    role.configuration_sets = wire.ConfigurationSets([network])
    return role


def test_an_update_moves_a_role(site: World) -> None:
    create(site, in_subnet("a"), in_subnet("b"))
    role = {"service": "svc", "deployment": "dep", "role": "a"}
    for given, address, boots in (
        (moved("front"), "10.1.0.4", 1),  # where it is already
        (moved("back"), "10.1.1.4", 2),
        (moved(None, "10.1.1.4"), "10.1.1.4", 2),
        (moved(None, "10.1.1.6"), "10.1.1.6", 3),
        (moved("front", "10.1.0.77"), "10.1.0.77", 4),
        (moved("back"), "10.1.1.4", 5),
    ):
        site.do("Update Role", given, **role)
        assert addresses(site)["a"] == address
        found = site.driver._machines[site.machine("a")]
        assert found.spec.network is not None
        assert (found.spec.network.address, found.boot) == (address, boots)
    shown = site.call("Get Role", **role).configuration_sets[0]
    assert (list(shown.subnet_names), shown.static_virtual_network_ip_address) == (["back"], None)
    for words, given in (
        ("no subnet for 'none'", moved("none")),
        ("cannot be had", moved("front", "10.1.0.5")),
        ("cannot be had", moved(None, "10.1.0.9")),
    ):
        assert words in site.refuses("BadRequest", "Update Role", given, **role)
    assert addresses(site)["a"] == "10.1.1.4"


def test_it_can_be_asked_which_addresses_are_free(site: World) -> None:
    def asked(address: str) -> tuple[bool, list[str]]:
        query = {"op": "checkavailability", "address": address}
        told = site.call("Check Static IP Availability", vnet="net", query=query)
        return told.is_available, list(told.available_addresses)

    create(site, in_subnet("a", "back"))
    assert asked("10.1.1.5") == (True, [])
    assert asked("10.1.1.4") == (False, ["10.1.1.5", "10.1.1.6"])
    assert asked("10.9.9.9") == (False, [f"10.1.0.{number}" for number in range(4, 9)])
    assert asked("nonsense")[0] is False
    site.refuses("BadRequest", "Check Static IP Availability", vnet="none", query={"address": "10.1.0.4"})
