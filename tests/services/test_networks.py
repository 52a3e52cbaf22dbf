"""The private network of a deployment, and the endpoints that its roles share."""

from __future__ import annotations

from typing import Any

import pytest

from reddog import wire
from reddog.fabric import AclRule, Probe
from services import bodies
from services.world import World

CREATE = "Create Virtual Machine Deployment"
DEPLOYMENT = {"service": "svc", "deployment": "dep"}


def deployment(world: World) -> Any:
    return world.call("Get Deployment by name", **DEPLOYMENT)


def shared(name: str = "web", port: int = 8080, **values: Any) -> Any:
    """An endpoint of a load-balanced set."""
    return bodies.endpoint(name, port, 80, **({"load_balanced_endpoint_set_name": "web"} | values))


def addresses(world: World) -> dict[str, str]:
    return {one.role_name: one.ip_address for one in deployment(world).role_instance_list}


def web_role(name: str, *endpoints: Any) -> wire.PersistentVMRole:
    return bodies.role(name, network=bodies.network(*endpoints or (shared(),)))


def probe(**values: Any) -> Any:
    return wire.only(wire.LoadBalancerProbe, **values)


def machine(world: World, name: str) -> str:
    """The id of a role's machine."""
    (row,) = [row for row in world.rows("role") if row.goal["name"] == name]
    return f"vm-{row.uid}"


def test_every_role_has_an_address_of_its_own_and_keeps_it(place: World) -> None:
    place.do(CREATE, bodies.deployment(web_role("one"), web_role("two")), service="svc")
    place.do("Add Role", bodies.role("three"), **DEPLOYMENT)
    before = addresses(place)
    network = before["one"].rpartition(".")[0]
    assert network.startswith("10.")
    assert before == {"one": f"{network}.4", "two": f"{network}.5", "three": f"{network}.6"}
    for operation, body in (("Shutdown Role", bodies.shutdown()), ("Start Role", bodies.start())):
        place.do(operation, body, **DEPLOYMENT, role="two")
    assert addresses(place) == before
    place.do("Delete Role", **DEPLOYMENT, role="one")
    place.do("Add Role", bodies.role("four", disk=bodies.system_disk("four.vhd")), **DEPLOYMENT)
    assert addresses(place) == {
        "two": f"{network}.5",
        "three": f"{network}.6",
        "four": f"{network}.4",
    }
    specs = [place.driver.spec(id).network for id in place.driver.list()]
    assert {spec.domain for spec in specs if spec} == {"svc.d1.internal.cloudapp.net"}
    assert len({spec.id for spec in specs if spec}) == 1


def test_machines_of_a_deployment_know_each_other_by_host_name(place: World) -> None:
    two = bodies.role("two", provisioning=bodies.linux(host_name="db"))
    place.do(CREATE, bodies.deployment(web_role("one"), two), service="svc")
    place.do("Create Cloud Service", bodies.service("other"))
    place.do(CREATE, bodies.deployment(bodies.role("stranger")), service="other")
    assert place.driver.resolve(machine(place, "one"), "db") == addresses(place)["two"]
    assert place.driver.resolve(machine(place, "stranger"), "db") is None


def test_a_load_balanced_set_spreads_connections_over_its_roles(place: World) -> None:
    place.do(CREATE, bodies.deployment(web_role("one")), service="svc")
    place.do("Add Role", web_role("two"), **DEPLOYMENT)
    for role in ("one", "two"):
        until_ready(place, role)
    (vip,) = deployment(place).virtual_ips

    def seen() -> set[str | None]:
        return {place.driver.connect(vip.address, 8080) for _ in range(6)}

    assert seen() == {machine(place, "one"), machine(place, "two")}
    place.do("Shutdown Role", bodies.shutdown(), **DEPLOYMENT, role="one")
    assert seen() == {machine(place, "two")}
    place.do("Start Role", bodies.start(), **DEPLOYMENT, role="one")
    assert seen() == {machine(place, "one"), machine(place, "two")}
    alone = wire.only(wire.PersistentVMRole, role_name="two")
    alone.configuration_sets = wire.ConfigurationSets([bodies.network(bodies.endpoint("web", 8081, 80))])
    place.do("Update Role", alone, **DEPLOYMENT, role="two")
    assert seen() == {machine(place, "one")}
    assert place.driver.connect(vip.address, 8081) == machine(place, "two")


def until_ready(world: World, role: str) -> None:
    world.do("Restart Role", bodies.restart(), **DEPLOYMENT, role=role)


def test_a_set_whose_port_cannot_be_had_gets_one_port_for_all(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reddog.services._endpoints.can_bind", lambda address, port, protocol: port != 8080)
    place.do(CREATE, bodies.deployment(web_role("one"), web_role("two")), service="svc")
    place.do("Add Role", web_role("three"), **DEPLOYMENT)
    ports = {one.instance_endpoints[0].public_port for one in deployment(place).role_instance_list}
    assert len(ports) == 1
    assert ports != {"8080"}


def test_probes_have_defaults_and_are_told(place: World) -> None:
    given = shared(
        load_balancer_probe=probe(path="status", protocol="HTTP"),
        load_balancer_distribution="sourceIP",
        idle_timeout_in_minutes=10,
    )
    place.do(CREATE, bodies.deployment(web_role("one", given)), service="svc")
    (told,) = place.call("Get Role", **DEPLOYMENT, role="one").configuration_sets[0].input_endpoints
    assert (told.load_balanced_endpoint_set_name, told.load_balancer_distribution) == ("web", "sourceIP")
    assert told.idle_timeout_in_minutes == 10
    asked = told.load_balancer_probe
    assert (asked.path, asked.port, asked.protocol) == ("/status", "80", "http")
    assert (asked.interval_in_seconds, asked.timeout_in_seconds) == (15, 31)
    (forward,) = place.driver.spec(machine(place, "one")).forwards
    assert forward.probe == Probe("http", 80, "/status", 15, 31)
    assert forward.distribution == "sourceIP"


def acl(*rules: tuple[int, str, str]) -> Any:
    made = [
        wire.only(wire.AclRule, order=order, action=action, remote_subnet=subnet)
        for order, action, subnet in rules
    ]
    return wire.only(wire.EndpointAcl, rules=wire.AclRules(made))


def test_access_control_lists_and_idle_timeouts_count(place: World) -> None:
    rules = acl((200, "deny", "0.0.0.0/0"), (100, "Permit", "10.1.2.3/8"))
    ssh = bodies.endpoint(endpoint_acl=rules, idle_timeout_in_minutes=5)
    place.do(CREATE, bodies.deployment(web_role("one", ssh)), service="svc")
    told = place.call("Get Role", **DEPLOYMENT, role="one").configuration_sets[0].input_endpoints[0]
    assert [rule.order for rule in told.endpoint_acl.rules] == [200, 100]
    (forward,) = place.driver.spec(machine(place, "one")).forwards
    assert forward.acl == (AclRule("permit", "10.0.0.0/8"), AclRule("deny", "0.0.0.0/0"))
    assert forward.idle_timeout == 300
    plain = wire.only(wire.PersistentVMRole, role_name="one")
    plain.configuration_sets = wire.ConfigurationSets([bodies.network(bodies.endpoint())])
    place.do("Update Role", plain, **DEPLOYMENT, role="one")
    (changed,) = place.driver.spec(machine(place, "one")).forwards
    assert (changed.acl, changed.idle_timeout, changed.port) == ((), None, forward.port)


def test_a_set_gets_an_access_control_list_in_all_its_roles(place: World) -> None:
    place.do(CREATE, bodies.deployment(web_role("one"), web_role("two")), service="svc")
    body = one_set(endpoint_acl=acl((0, "deny", "192.0.2.0/24")))
    place.do("Update Load-Balanced Endpoint Set", body, **DEPLOYMENT)
    for name in ("one", "two"):
        assert place.driver.spec(machine(place, name)).forwards[0].acl == (AclRule("deny", "192.0.2.0/24"),)


@pytest.mark.parametrize(
    ("code", "endpoint"),
    [
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="udp"))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="http"))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="http", path="/a b"))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="tcp", path="/"))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="tcp", interval_in_seconds=4))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="tcp", timeout_in_seconds=10))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="http", path="/a\tb"))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="tcp", interval_in_seconds=2**31))),
        ("InvalidXmlRequest", shared(load_balancer_probe=probe(protocol="tcp", timeout_in_seconds=10**400))),
        ("BadRequest", shared(load_balancer_probe=probe(protocol="tcp", port="70000"))),
        ("InvalidXmlRequest", shared(load_balancer_distribution="sometimes")),
        ("InvalidXmlRequest", shared(idle_timeout_in_minutes=31)),
        ("NotImplemented", shared(load_balancer_name="inside")),
        ("InvalidXmlRequest", shared(endpoint_acl=acl((1, "allow", "10.0.0.0/8")))),
        ("InvalidXmlRequest", shared(endpoint_acl=acl((1, "deny", "10.0.0.0/33")))),
        ("InvalidXmlRequest", shared(endpoint_acl=acl((1, "deny", "2001:db8::/32")))),
        (
            "InvalidXmlRequest",
            shared(endpoint_acl=acl((1, "deny", "10.0.0.0/8"), (1, "permit", "10.0.0.0/9"))),
        ),
        ("InvalidXmlRequest", shared(endpoint_acl=acl(*[(n, "deny", "10.0.0.0/8") for n in range(51)]))),
    ],
)
def test_endpoints_that_cannot_be_are_refused(place: World, code: str, endpoint: Any) -> None:
    place.refuses(code, CREATE, bodies.deployment(web_role("one", endpoint)), service="svc")


def test_ports_are_shared_within_a_set_alone(place: World) -> None:
    place.do(CREATE, bodies.deployment(web_role("one", shared(), shared_udp())), service="svc")
    other = shared(load_balanced_endpoint_set_name="other")
    assert place.fails("Add Role", web_role("two", other), **DEPLOYMENT)[0] == "BadRequest"
    assert (
        place.fails("Add Role", web_role("three", bodies.endpoint("web", 8080)), **DEPLOYMENT)[0]
        == "BadRequest"
    )


def test_a_set_over_udp_is_shared_too(place: World) -> None:
    probed = shared_udp(load_balancer_probe=probe(protocol="tcp", port="99"))
    roles = web_role("one", shared(), shared_udp()), web_role("two", shared(), shared_udp())
    place.do(CREATE, bodies.deployment(*roles), service="svc")
    given = [place.driver.spec(machine(place, name)).forwards[1] for name in ("one", "two")]
    assert {(one.protocol, one.port, one.probe) for one in given} == {
        ("udp", 8080, Probe("none", 80, "/", 15, 31))
    }

    def takers() -> set[str | None]:
        return {place.driver.connect(given[0].address, 8080, "udp") for _ in range(4)}

    place.eventually(lambda: takers() == {machine(place, "one"), machine(place, "two")})
    place.do("Add Role", web_role("three", probed), **DEPLOYMENT)
    (third,) = place.driver.spec(machine(place, "three")).forwards
    assert third.probe == Probe("tcp", 99, "/", 15, 31)


def shared_udp(**values: Any) -> Any:
    return shared(name="dns", protocol="udp", **values)


def one_set(**values: Any) -> Any:
    given = {"load_balanced_endpoint_set_name": "web"} | values
    return wire.LoadBalancedEndpointList([wire.only(wire.LoadBalancedEndpoint, **given)])


def test_a_set_is_changed_in_all_its_roles_at_once(place: World) -> None:
    other = bodies.endpoint("ssh", None, 22)
    place.do(CREATE, bodies.deployment(web_role("one", shared(), other), web_role("two")), service="svc")
    before = place.call("Get Role", **DEPLOYMENT, role="one").configuration_sets[0].input_endpoints
    asked = probe(protocol="http", path="/up", port="8081")
    body = one_set(port="8088", local_port="8080", load_balancer_probe=asked)
    place.do("Update Load-Balanced Endpoint Set", body, **DEPLOYMENT)
    for name in ("one", "two"):
        told, *rest = place.call("Get Role", **DEPLOYMENT, role=name).configuration_sets[0].input_endpoints
        assert (told.port, told.local_port, told.load_balancer_probe.path) == ("8088", "8080", "/up")
        assert [one.port for one in rest] == [one.port for one in before[1:]][: len(rest)]
        first = place.driver.spec(machine(place, name)).forwards[0]
        assert (first.port, first.guest_port, first.probe) == (8088, 8080, Probe("http", 8081, "/up", 15, 31))
    place.do("Update Load-Balanced Endpoint Set", one_set(idle_timeout_in_minutes=20), **DEPLOYMENT)
    told = place.call("Get Role", **DEPLOYMENT, role="two").configuration_sets[0].input_endpoints[0]
    assert (told.idle_timeout_in_minutes, told.load_balancer_probe.path) == (20, "/up")


def test_changes_of_sets_that_cannot_be_are_refused(place: World) -> None:
    place.do(CREATE, bodies.deployment(web_role("one", shared(), bodies.endpoint())), service="svc")
    name = "Update Load-Balanced Endpoint Set"
    place.refuses("ResourceNotFound", name, one_set(load_balanced_endpoint_set_name="none"), **DEPLOYMENT)
    place.refuses("BadRequest", name, one_set(port="0"), **DEPLOYMENT)
    place.refuses("BadRequest", name, wire.LoadBalancedEndpointList([]), **DEPLOYMENT)
    assert place.fails(name, one_set(port="22"), **DEPLOYMENT)[0] == "BadRequest"
    (told, _) = place.call("Get Role", **DEPLOYMENT, role="one").configuration_sets[0].input_endpoints
    assert told.port == "8080"
