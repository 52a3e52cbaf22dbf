"""Update Role: endpoints change under the running machine, the size by a restart."""

from __future__ import annotations

import pytest

from reddog import wire
from reddog.fabric import MachineSpec
from services import bodies
from services.world import World, url

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


# -- Disks -------------------------------------------------------------------------------------------------


@pytest.fixture
def disks(place: World) -> World:
    """The role `vm` runs with the data disks `a` and `b`."""
    data = (bodies.data_disk(0, disk_name="a"), bodies.data_disk(1, disk_name="b"))
    role = bodies.role(disk=bodies.system_disk(disk_name="sys"), data=data)
    place.do("Create Virtual Machine Deployment", bodies.deployment(role), service="svc")
    return place


def told(world: World) -> wire.PersistentVMRole:
    return world.call("Get Role", **ROLE)


def data(*given: wire.DataVirtualHardDisk) -> wire.DataVirtualHardDisks:
    return wire.DataVirtualHardDisks(list(given))


def test_a_role_may_be_sent_back_as_it_was_read(disks: World) -> None:
    before = told(disks)
    disks.do("Update Role", before, **ROLE)
    assert told(disks) == before


def test_caching_and_luns_of_disks_change(disks: World) -> None:
    named = wire.only(wire.DataVirtualHardDisk, disk_name="B", lun=0, host_caching="ReadOnly")
    other = wire.only(wire.DataVirtualHardDisk, disk_name="a", lun=1)
    system = wire.only(wire.OSVirtualHardDisk, host_caching="ReadOnly")
    update(disks, data_virtual_hard_disks=data(named, other), os_virtual_hard_disk=system)
    found = {one.disk_name: (one.lun or 0, one.host_caching) for one in told(disks).data_virtual_hard_disks}
    assert found == {"a": (1, "None"), "b": (0, "ReadOnly")}
    assert told(disks).os_virtual_hard_disk.host_caching == "ReadOnly"
    lun_of_b = next(disk.lun for disk in spec(disks).data_disks if "data1" in _blob(disks, disk.path))
    assert lun_of_b == 0
    update(disks, data_virtual_hard_disks=data(wire.only(wire.DataVirtualHardDisk, disk_name="a")))
    assert [one.disk_name for one in told(disks).data_virtual_hard_disks] == ["a", "b"]  # b was left out


def _blob(world: World, path: object) -> str:
    """The name of the blob in a file."""
    for name in world.blobs():
        if world.storage.page_file(world.storage.parse_url(url(name.partition("/")[2]))) == path:
            return name
    return ""


def test_data_disks_are_added(disks: World) -> None:
    """A new one, and one that is there, together with other changes; those that are left out stay."""
    disks.put_vhd(url("spare.vhd"))
    disks.do("Add Disk", bodies.disk("spare", url("spare.vhd")))
    spare = wire.only(wire.DataVirtualHardDisk, disk_name="spare", lun=3, host_caching="ReadOnly")
    new = bodies.data_disk(None, 2, media_link=url("new.vhd"))
    update(disks, data_virtual_hard_disks=data(spare, new), role_size="Large")
    found = {one.lun or 0: one for one in told(disks).data_virtual_hard_disks}
    assert sorted(found) == [0, 1, 2, 3]
    assert (found[3].disk_name, found[3].host_caching) == ("spare", "ReadOnly")
    assert (found[2].media_link, found[2].logical_disk_size_in_gb) == (url("new.vhd"), 2)
    assert [disk.lun for disk in spec(disks).data_disks] == [0, 1, 3, 2]
    assert disks.call("Get Disk", disk="spare").attached_to.role_name == "vm"
    disks.do("Delete Data Disk", **ROLE, lun="3")
    assert disks.call("Get Disk", disk="spare").attached_to is None


def test_more_data_disks_than_the_size_takes_are_refused(disks: World) -> None:
    more = data(*(bodies.data_disk(None, media_link=url(f"more{number}.vhd")) for number in range(2)))
    body = wire.only(wire.PersistentVMRole, role_name="vm", data_virtual_hard_disks=more)
    assert "Small" in disks.refuses("BadRequest", "Update Role", body, **ROLE)
    update(
        disks,
        data_virtual_hard_disks=data(bodies.data_disk(None, media_link=url("x.vhd"))),
        role_size="Medium",
    )
    again = wire.only(wire.PersistentVMRole, role_name="vm", role_size="Small")
    assert "Small" in disks.refuses("BadRequest", "Update Role", again, **ROLE)


def test_disks_that_cannot_be_are_refused(disks: World) -> None:
    def refused(code: str, **values: object) -> None:
        body = wire.only(wire.PersistentVMRole, role_name="vm", **values)
        disks.refuses(code, "Update Role", body, **ROLE)

    same = [wire.only(wire.DataVirtualHardDisk, disk_name=name, lun=3) for name in ("a", "b")]
    refused("BadRequest", data_virtual_hard_disks=data(*same))
    refused(
        "BadRequest", data_virtual_hard_disks=data(wire.only(wire.DataVirtualHardDisk, disk_name="a", lun=16))
    )
    refused("BadRequest", data_virtual_hard_disks=data(bodies.data_disk(1, media_link=url("new.vhd"))))
    unknown = wire.only(wire.DataVirtualHardDisk, disk_name="unknown", lun=2)
    refused("ResourceNotFound", data_virtual_hard_disks=data(unknown), role_size="Large")
    refused("NotImplemented", os_virtual_hard_disk=wire.only(wire.OSVirtualHardDisk, disk_name="other"))
    bad = wire.only(wire.OSVirtualHardDisk, host_caching="Much")
    refused("InvalidXmlRequest", os_virtual_hard_disk=bad)
