"""Deployments of packages in virtual networks, and with DNS servers of their own, as their configurations say."""

from __future__ import annotations

from typing import Any

import pytest

from service_packages import cscfg, csdef, role_xml
from services import bodies
from services.test_package_deployments import DEP, SLOT, create, get, ready, upload
from services.world import World

CHANGE = "Change Deployment Configuration by name"
SET = "Set Network Configuration"
TWO_ROLES = csdef(role_xml("Web"), role_xml("Work"))


@pytest.fixture
def site(place: World) -> World:
    """A site with three subnets, of which two take machines, and an uploaded package with two roles."""
    subnets = "front=10.1.0.0/24", "back=10.1.1.0/29", "tiny=10.1.2.0/30"
    place.do(SET, bodies.networks(bodies.site("net", *subnets, prefix="10.1.0.0/16")))
    upload(place, TWO_ROLES)
    return place


def configuration(
    *subnets: str, web: int = 1, work: int = 1, name: str | None = "NET", dns: dict[str, str] | None = None
) -> str:
    """A configuration whose role Work is in these subnets."""
    named = f'<VirtualNetworkSite name="{name}" />' if name else ""
    places = "".join(f'<Subnet name="{subnet}" />' for subnet in subnets)
    address = f'<InstanceAddress roleName="Work"><Subnets>{places}</Subnets></InstanceAddress>'
    assigned = f"<AddressAssignments>{address}</AddressAssignments>" if subnets else ""
    servers = "".join(f'<DnsServer name="{server}" IPAddress="{at}" />' for server, at in (dns or {}).items())
    inside = f"<Dns><DnsServers>{servers}</DnsServers></Dns>{named}{assigned}"
    return cscfg({"Web": web, "Work": work}, inside=f"<NetworkConfiguration>{inside}</NetworkConfiguration>")


def addresses(world: World) -> dict[str, str]:
    return {one.instance_name: one.ip_address for one in get(world).role_instance_list}


def machines(world: World) -> dict[str, Any]:
    """The specification of each instance's machine."""
    rows = world.rows("role_instance")
    return {f"{row.goal['role']}_{row.goal['index']}": world.driver.spec(f"ri-{row.uid}") for row in rows}


def test_instances_are_in_the_subnets_of_their_role(site: World) -> None:
    create(site, configuration("back", web=2), start_deployment=True)
    ready(site)
    assert addresses(site) == {"Web_IN_0": "10.1.0.4", "Web_IN_1": "10.1.0.5", "Work_IN_0": "10.1.1.4"}
    found = get(site)
    assert found.virtual_network_name == "net"
    shown = {role.role_name: list(role.configuration_sets[0].subnet_names) for role in found.role_list}
    assert shown == {"Web": [], "Work": ["back"]}
    places = {name: spec.network for name, spec in machines(site).items()}
    assert len({one.id for one in places.values()}) == 1
    assert {name: one.subnet for name, one in places.items()} == {
        "Web_0": "10.1.0.0/24",
        "Web_1": "10.1.0.0/24",
        "Work_0": "10.1.1.0/29",
    }
    (listed,) = site.call("List Virtual Network Sites")
    assert listed.in_use
    assert "in use" in site.refuses("BadRequest", SET, bodies.networks())


def test_virtual_machines_and_instances_find_each_other(site: World) -> None:
    create(site, configuration("back"), start_deployment=True)
    site.do("Create Cloud Service", bodies.service("two"))
    site.do("Create Virtual Machine Deployment", bodies.deployment(virtual_network_name="net"), service="two")
    (row,) = site.rows("role")
    machine = f"vm-{row.uid}"
    assert row.goal["address"] == "10.1.0.5"
    assert site.driver.resolve(machine, "Work_IN_0.svc.d1.internal.cloudapp.net") == "10.1.1.4"


def test_roles_with_several_subnets_fill_them_in_turn(site: World) -> None:
    create(site, configuration("back", "front", work=5))
    names = addresses(site)
    assert [names[f"Work_IN_{index}"] for index in range(5)] == [
        "10.1.1.4",
        "10.1.1.5",
        "10.1.1.6",
        "10.1.0.5",
        "10.1.0.6",
    ]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("virtual network none does not exist", configuration(name="none")),
        ("no subnet for 'side'", configuration("side")),
        ("no subnet for 'tiny'", configuration("tiny")),
        ("up to 3", configuration("back", work=4)),
        ("no VirtualNetworkSite", configuration("back", name=None)),
        ("IPv4 address", configuration(dns={"own": "a.b"})),
    ],
)
def test_places_that_are_not_there_are_refused(site: World, words: str, given: str) -> None:
    body = bodies.package_deployment(given)
    message = site.refuses("BadRequest", "Create Deployment (package)", body, **SLOT)
    site.rest()
    assert words in message
    assert site.rows("deployment") == site.rows("role_instance") == site.rows("package") == []


def test_two_dns_servers_of_one_name_are_refused(site: World) -> None:
    body = bodies.package_deployment(configuration(dns={"own": "10.1.0.9", "OWN": "10.1.0.8"}))
    site.refuses("ConflictError", "Create Deployment (package)", body, **SLOT)


def test_service_and_site_have_one_location(site: World) -> None:
    site.do("Create Cloud Service", bodies.service("far", location="East US"))
    body = bodies.package_deployment(configuration())
    message = site.refuses(
        "BadRequest", "Create Deployment (package)", body, service="far", slot="production"
    )
    assert "East US" in message


def test_a_change_keeps_the_place(site: World) -> None:
    create(site, configuration("back"))
    before = addresses(site)
    for words, given in (
        ("the virtual network net, the configuration names none", configuration(name=None)),
        ("in the subnets back", configuration("front")),
        ("in the subnets back", configuration()),
    ):
        assert words in site.refuses("BadRequest", CHANGE, bodies.change(given), **DEP)
    site.do(CHANGE, bodies.change(configuration("Back", work=2)), **DEP)
    site.rest()
    assert addresses(site) == before | {"Work_IN_1": "10.1.1.5"}


def test_dns_servers_are_those_of_the_configuration(site: World) -> None:
    def told() -> set[tuple[str, ...]]:
        return {spec.network.dns_servers for spec in machines(site).values()}

    def shown() -> list[tuple[str, str]]:
        return [(server.name, server.address) for server in get(site).dns.dns_servers]

    create(site, configuration(dns={"own": "10.1.0.9"}), start_deployment=True)
    ready(site)
    assert (told(), shown()) == ({("10.1.0.9",)}, [("own", "10.1.0.9")])
    changed = configuration(dns={"own": "10.1.0.9", "two": "10.1.0.8"}, work=2)
    site.do(CHANGE, bodies.change(changed), **DEP)
    ready(site)
    site.eventually(lambda: told() == {("10.1.0.9", "10.1.0.8")})
    assert len(shown()) == 2
    site.do("Delete DNS Server", service="svc", deployment="dep", **{"dns-server": "two"})
    site.do(CHANGE, bodies.change(configuration(dns={"own": "10.1.0.9", "two": "10.1.0.8"})), **DEP)
    assert shown() == [("own", "10.1.0.9")]
