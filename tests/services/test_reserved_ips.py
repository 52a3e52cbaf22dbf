"""Reserved IPs: they stay when deployments go, and endpoints move to them and back."""

from __future__ import annotations

import pytest

from reddog import wire
from services import bodies
from services.world import World

ASSOCIATION = wire.ReservedIPAssociation("svc", "dep")


def reserved(name: str = "addr", **values: object) -> wire.ReservedIP:
    return wire.only(wire.ReservedIP, name=name, **({"label": "a label", "location": "West US"} | values))


@pytest.fixture
def ip(place: World) -> World:
    """The reserved IP `addr`."""
    place.do("Create Reserved IP Address", reserved())
    return place


def told(world: World) -> wire.ReservedIP:
    return world.call("Get Reserved IP Address", ip="ADDR")


def deployment(world: World) -> wire.Deployment:
    return world.call("Get Deployment by name", service="svc", deployment="dep")


def addresses(world: World) -> list[str]:
    """Where the machine itself listens."""
    (machine,) = world.driver._machines.values()
    return [forward.address for forward in machine.spec.forwards]


def create(world: World, **values: object) -> None:
    role = bodies.role(network=bodies.network(bodies.endpoint("ssh", 2200)))
    world.do("Create Virtual Machine Deployment", bodies.deployment(role, **values), service="svc")


def test_an_address_is_set_aside_and_told(ip: World) -> None:
    found = told(ip)
    assert (found.name, found.label, found.state, found.in_use) == ("addr", "a label", "Created", None)
    assert found.address.startswith("127.")
    assert [one.name for one in ip.call("List Reserved IP Addresses")] == ["addr"]
    ip.refuses("ConflictError", "Create Reserved IP Address", reserved("Addr"))
    ip.refuses("BadRequest", "Create Reserved IP Address", reserved("x", location="Nowhere"))
    ip.do("Delete Reserved IP Address", ip="addr")
    assert ip.rows("virtual_ip") == []


def test_it_stays_from_one_deployment_to_the_next(ip: World) -> None:
    for _ in range(2):
        create(ip, reserved_ip_name="addr")
        (vip,) = deployment(ip).virtual_ips
        assert (vip.address, vip.is_reserved, vip.name) == (told(ip).address, True, "addr")
        assert addresses(ip) == [told(ip).address]
        assert (told(ip).in_use, told(ip).service_name, told(ip).deployment_name) == (True, "svc", "dep")
        ip.refuses("BadRequest", "Delete Reserved IP Address", ip="addr")
        ip.do("Delete Deployment by name", service="svc", deployment="dep", query={"comp": "media"})
        ip.rest()


def test_endpoints_of_a_running_machine_move_to_it_and_back(ip: World) -> None:
    create(ip)
    before = addresses(ip)
    ip.do("Associate Reserved IP Address", ASSOCIATION, ip="addr")
    assert addresses(ip) == [told(ip).address] != before
    (endpoint,) = deployment(ip).role_instance_list[0].instance_endpoints
    assert endpoint.vip == told(ip).address
    ip.refuses("BadRequest", "Associate Reserved IP Address", ASSOCIATION, ip="addr")
    ip.do("Disassociate Reserved IP Address", ASSOCIATION, ip="addr")
    assert addresses(ip) == before
    assert told(ip).in_use is None
    ip.refuses("BadRequest", "Disassociate Reserved IP Address", ASSOCIATION, ip="addr")


def test_what_is_not_there_is_refused(ip: World) -> None:
    ip.refuses("ResourceNotFound", "Get Reserved IP Address", ip="other")
    ip.refuses("ResourceNotFound", "Associate Reserved IP Address", ASSOCIATION, ip="addr")
    role = bodies.deployment(bodies.role(), reserved_ip_name="other")
    ip.refuses("BadRequest", "Create Virtual Machine Deployment", role, service="svc")
