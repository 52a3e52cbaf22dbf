"""Update Role: endpoints change under the running machine, the size by a restart."""

from __future__ import annotations

import pytest

from reddog import wire
from reddog.fabric import MachineSpec
from services import bodies
from services.world import World

ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}


@pytest.fixture
def machine(place: World) -> World:
    """The role `vm` runs with an endpoint `ssh`."""
    role = bodies.role(network=bodies.network(bodies.endpoint("ssh", 2200)))
    place.do("Create Virtual Machine Deployment", bodies.deployment(role), service="svc")
    return place


def spec(world: World) -> MachineSpec:
    (machine,) = world.driver._machines.values()
    return machine.spec


def update(world: World, **values: object) -> None:
    body = wire.only(wire.PersistentVMRole, role_name="vm", role_type="PersistentVMRole", **values)
    world.do("Update Role", body, **ROLE)


def sets(*endpoints: object) -> wire.ConfigurationSets:
    return wire.ConfigurationSets([bodies.network(*endpoints)])


def instance(world: World) -> wire.RoleInstance:
    return world.call("Get Deployment by name", service="svc", deployment="dep").role_instance_list[0]


def test_endpoints_open_and_close_under_the_running_machine(machine: World) -> None:
    update(machine, configuration_sets=sets(bodies.endpoint("ssh", 2200), bodies.endpoint("web", 8080, 80)))
    assert [(one.name, one.port, one.guest_port) for one in spec(machine).forwards] == [
        ("ssh", 2200, 22),
        ("web", 8080, 80),
    ]
    assert [one.name for one in instance(machine).instance_endpoints] == ["ssh", "web"]
    update(machine, configuration_sets=sets(bodies.endpoint("web", 8081, 80)))
    assert [(one.name, one.port) for one in spec(machine).forwards] == [("web", 8081)]
    role = machine.call("Get Role", **ROLE)
    (listed,) = role.configuration_sets[0].input_endpoints
    assert (listed.name, listed.port) == ("web", "8081")


def test_another_size_restarts_the_machine_with_it(machine: World) -> None:
    update(machine, role_size="Medium")
    assert (spec(machine).cores, spec(machine).memory_mb) == (2, 3584)
    assert instance(machine).instance_size == "Medium"
    assert [one.name for one in instance(machine).instance_endpoints] == ["ssh"]


def test_what_is_left_out_stays(machine: World) -> None:
    update(machine, availability_set_name="together")
    role = machine.call("Get Role", **ROLE)
    assert (role.availability_set_name, role.role_size) == ("together", "Small")
    assert len(spec(machine).forwards) == 1


def test_a_port_of_another_role_fails_the_operation_and_changes_nothing(machine: World) -> None:
    other = bodies.role("two", network=bodies.network(bodies.endpoint("ssh", 2201)))
    machine.do("Add Role", other, service="svc", deployment="dep")
    body = wire.only(
        wire.PersistentVMRole,
        role_name="vm",
        role_type="PersistentVMRole",
        configuration_sets=sets(bodies.endpoint("ssh", 2201)),
    )
    code, message = machine.fails("Update Role", body, **ROLE)
    assert (code, "Port 2201 is already in use" in message) == ("BadRequest", True)
    role = machine.call("Get Role", **ROLE)
    assert role.configuration_sets[0].input_endpoints[0].port == "2200"


def test_sizes_and_endpoints_are_checked(machine: World) -> None:
    body = wire.only(wire.PersistentVMRole, role_name="vm", role_size="Gigantic")
    machine.refuses("BadRequest", "Update Role", body, **ROLE)
    body = wire.only(wire.PersistentVMRole, role_name="vm", configuration_sets=sets(bodies.endpoint("x", 0)))
    machine.refuses("BadRequest", "Update Role", body, **ROLE)
