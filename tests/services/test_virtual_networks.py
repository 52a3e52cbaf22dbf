"""The network configuration: set as a whole, told as it was set, and its sites listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from reddog import wire
from reddog.engine import OperationRequest, Tx
from reddog.services import _network_configuration
from reddog.wire import ServiceError
from services import bodies
from services.world import OTHER, SUBSCRIPTION, World

SET, GET, LIST = "Set Network Configuration", "Get Network Configuration", "List Virtual Network Sites"
FULL = bodies.networks(
    bodies.site("net", "front=10.1.0.0/16", "back=10.2.0.0/16"),
    bodies.site(
        "Group rg net",
        prefix="172.16.0.0/12",
        more='<DnsServersRef><DnsServerRef name="DNS"/></DnsServersRef><Gateway profile="Small">'
        "<VPNClientAddressPool><AddressPrefix>192.168.9.0/24</AddressPrefix></VPNClientAddressPool>"
        '<ConnectionsToLocalNetwork><LocalNetworkSiteRef name="office"><Connection type="IPsec"/>'
        "</LocalNetworkSiteRef></ConnectionsToLocalNetwork></Gateway>",
    ),
    more='<Dns><DnsServers><DnsServer name="dns" IPAddress="192.0.2.53"/></DnsServers></Dns><LocalNetworkSites>'
    '<LocalNetworkSite name="office"><AddressSpace><AddressPrefix>192.168.0.0/24</AddressPrefix></AddressSpace>'
    "<VPNGatewayAddress>198.51.100.1</VPNGatewayAddress></LocalNetworkSite></LocalNetworkSites>",
)


def listed(world: World) -> dict[str, wire.VirtualNetworkSite]:
    return {site.name: site for site in world.call(LIST)}


@contextmanager
def used(world: World, site: str) -> Iterator[None]:
    """Have a deployment in a site."""

    def change(tx: Tx) -> None:
        goal = {"name": "dep", "service": "svc", "virtual_network": site.upper()}
        tx.insert("deployment", "svc/dep", subscription=SUBSCRIPTION, goal=goal)

    world.services.engine.accept(OperationRequest("c" * 32, "Test", SUBSCRIPTION), change)
    yield
    remove = OperationRequest("e" * 32, "Test", SUBSCRIPTION)
    world.services.engine.accept(remove, lambda tx: tx.remove("deployment", "svc/dep"))


def test_there_is_none_before_the_first_is_set(world: World) -> None:
    assert world.refuses("ResourceNotFound", GET) == "Network configuration does not exist."
    assert listed(world) == {}
    world.do(SET, bodies.networks())
    assert listed(world) == {}


def test_it_is_told_as_it_was_set(world: World) -> None:
    world.do(SET, FULL)
    told = world.call(GET)
    assert told.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
    assert etree.canonicalize(told.decode()) == etree.canonicalize(FULL.decode())
    assert world.refuses("ResourceNotFound", GET, subscription=OTHER)
    latin = FULL.replace(b"office", b"Buro").decode().encode("utf-16")
    world.do(SET, latin)
    assert b"Buro" in world.call(GET)


def test_its_sites_are_listed(world: World) -> None:
    world.do(SET, FULL)
    net, group = world.call(LIST)
    assert (net.name, net.state, net.location, net.in_use, net.affinity_group) == (
        *("net", "Created", "West US", None, None),
    )
    assert net.address_space.address_prefixes == ["10.0.0.0/8"]
    subnets = [(one.name, one.address_prefix) for one in net.subnets]
    assert subnets == [("front", "10.1.0.0/16"), ("back", "10.2.0.0/16")]
    assert (net.dns, net.gateway) == (None, None)
    assert [(one.name, one.address) for one in group.dns.dns_servers] == [("dns", "192.0.2.53")]
    assert (group.gateway.profile, group.gateway.vpn_client_address_pool.address_prefixes) == (
        *("Small", ["192.168.9.0/24"]),
    )
    (office,) = group.gateway.sites
    assert (office.name, office.vpn_gateway_address, office.connections[0].type) == (
        *("office", "198.51.100.1", "IPsec"),
    )


def test_it_is_replaced_as_a_whole_and_ids_stay(world: World) -> None:
    world.do(SET, FULL)
    before = listed(world)
    assert len({site.id for site in before.values()}) == 2
    world.do(SET, bodies.networks(bodies.site("new"), bodies.site("NET", "other=10.3.0.0/16")))
    after = listed(world)
    assert list(after) == ["new", "NET"]
    assert after["NET"].id == before["net"].id
    assert [one.name for one in after["NET"].subnets] == ["other"]


def test_a_site_in_use_stays(world: World) -> None:
    world.do(SET, FULL)
    with used(world, "net"):
        assert {name: site.in_use for name, site in listed(world).items()} == {
            "net": True,
            "Group rg net": None,
        }
        assert "in use by the deployment dep" in world.refuses("BadRequest", SET, bodies.networks())
        shrunk = bodies.networks(bodies.site("net", "front=10.1.0.0/16"))
        world.refuses("BadRequest", SET, shrunk)
        moved = bodies.site("net", "front=10.1.0.0/16", "back=10.2.0.0/16", place='Location="East US"')
        world.refuses("BadRequest", SET, bodies.networks(moved))
        grown = bodies.site("net", "front=10.1.0.0/16", "back=10.2.0.0/16", "more=10.3.0.0/16")
        world.do(SET, bodies.networks(grown))
        assert len(listed(world)["net"].subnets) == 3
        assert world.call(GET).count(b"Subnet ") == 3
    world.do(SET, bodies.networks())


def test_a_site_may_be_in_an_affinity_group_which_then_stays(world: World) -> None:
    group = wire.only(wire.CreateAffinityGroup, name="group", label="group", location="West US")
    grouped = bodies.networks(bodies.site(place='AffinityGroup="Group"'))
    world.refuses("ResourceNotFound", SET, grouped)
    world.do("Create Affinity Group", group)
    world.do(SET, grouped)
    assert (listed(world)["net"].affinity_group, listed(world)["net"].location) == ("Group", None)
    assert "virtual network site net" in world.refuses("ConflictError", "Delete Affinity Group", name="group")
    world.do(SET, bodies.networks())
    world.do("Delete Affinity Group", name="group")


def test_the_subscription_counts_it(world: World) -> None:
    def insert(tx: Tx) -> None:
        tx.insert("subscription", SUBSCRIPTION, subscription=SUBSCRIPTION, goal={"name": "one"})

    world.services.engine.accept(OperationRequest("d" * 32, "Start", ""), insert)
    told = world.call("Get Subscription")
    assert (told.max_virtual_network_sites, told.max_local_network_sites, told.max_dns_servers) == (
        50,
        20,
        20,
    )
    assert (told.current_virtual_network_sites, told.current_dns_servers) == (None, None)
    world.do(SET, FULL)
    told = world.call("Get Subscription")
    assert (told.current_virtual_network_sites, told.current_dns_servers) == (2, 1)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (b"<", "1,2"),
        (b"", "1,1"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "1,1"),
        (b"<NetworkConfiguration/>", "1,0"),
        (FULL.replace(b"DnsServersRef>", b"DnsServersRefs>"), "1,0"),
        (FULL.replace(b' name="office"', b""), "1,0"),
        (FULL.replace(b"10.1.0.0/16", b"ten"), "1,0"),
        (FULL.replace(b'"IPsec"', b'"ISDN"'), "1,0"),
    ],
)
def test_a_document_that_does_not_follow_the_schema_is_refused(
    world: World, document: bytes, where: str
) -> None:
    message = world.refuses("BadRequest", SET, document)
    assert message.startswith(f"XML Schema validation error in network configuration at line {where}. ")
    assert "{http" not in message


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (bodies.networks(bodies.site(), bodies.site("Net")), "two virtual network sites named Net"),
        (bodies.networks(bodies.site("n", "a=10.1.0.0/16", "A=10.2.0.0/16")), "two subnets of n named A"),
        (bodies.networks(bodies.site("n", "a=10.1.0.0/16", "b=10.1.2.0/24")), "overlap in the subnets of n"),
        (bodies.networks(bodies.site("n", "a=11.0.0.0/8")), "not within the address space"),
        (bodies.networks(bodies.site(prefix="10.1.0.0/8")), "'10.1.0.0/8' is not an address prefix"),
        (bodies.networks(bodies.site(prefix="10.0.0.0/33")), "'10.0.0.0/33' is not an address prefix"),
        (bodies.networks(bodies.site(place="")), "exactly one of Location and AffinityGroup"),
        (FULL.replace(b'"dns"', b'"other"'), "there is no DNS server named DNS"),
        (FULL.replace(b'LocalNetworkSite name="office"', b'LocalNetworkSite name="home"'), "named office"),
        (FULL.replace(b"192.0.2.53", b"192.0.2.553"), "'192.0.2.553' is not an IPv4 address"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(world: World, document: bytes, what: str) -> None:
    assert what in world.refuses("BadRequest", SET, document)
    world.refuses("ResourceNotFound", GET)


def test_unknown_locations_are_refused(world: World) -> None:
    document = bodies.networks(bodies.site(place='Location="Atlantis"'))
    assert "Atlantis" in world.refuses("BadRequest", SET, document)


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_whatever_is_sent_is_refused_in_the_apis_words(document: bytes) -> None:
    with pytest.raises(ServiceError, match="network configuration"):
        _network_configuration.read(document)


@settings(deadline=None)
@given(st.data())
def test_spoiled_documents_never_do_more_than_be_refused(data: st.DataObject) -> None:
    pieces = re.findall(rb"<[^>]+>|[^<]+", FULL)
    at = data.draw(st.integers(0, len(pieces) - 1))
    piece = data.draw(st.sampled_from([b"", b"<a/>", b"\xff", b"&", *pieces]))
    try:
        _network_configuration.read(b"".join([*pieces[:at], piece, *pieces[at + 1 :]]))
    except ServiceError as error:
        assert error.status == 400  # noqa: PT017 - it may also be a valid document
