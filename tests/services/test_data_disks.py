"""Data disks of a role that is there: attached, changed, detached, kept or deleted."""

from __future__ import annotations

import pytest

from reddog import wire
from services import bodies
from services.world import GIB, World, url


@pytest.fixture
def machine(place: World) -> World:
    """The role `vm` runs in the deployment `dep` of the service `svc`."""
    place.do("Create Virtual Machine Deployment", bodies.deployment(), service="svc")
    return place


ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}


def luns(world: World) -> list[int]:
    """The LUNs that the machine itself has."""
    (machine,) = world.driver.list()
    return sorted(disk.lun for disk in world.driver._machines[machine].spec.data_disks)


def test_an_empty_disk_is_added_to_a_running_machine(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(3, 2, disk_label="more"), **ROLE)
    told = machine.call("Get Data Disk", lun="3", **ROLE)
    assert (told.lun, told.logical_disk_size_in_gb, told.disk_label) == (3, 2, "more")
    disk = machine.call("Get Disk", disk=told.disk_name)
    assert disk.attached_to.role_name == "vm"
    assert machine.blobs()["vhds/data3.vhd"] is True
    assert luns(machine) == [3]
    role = machine.call("Get Role", **ROLE)
    assert [one.disk_name for one in role.data_virtual_hard_disks] == [told.disk_name]


def test_the_lowest_free_lun_is_taken_where_none_is_given(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(0), **ROLE)
    machine.do("Add Data Disk", bodies.data_disk(None, media_link=url("next.vhd")), **ROLE)
    assert luns(machine) == [0, 1]


def test_a_detached_disk_keeps_its_blob_and_goes_to_another_lun(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(1), **ROLE)
    name = machine.call("Get Data Disk", lun="1", **ROLE).disk_name
    machine.do("Delete Data Disk", lun="1", **ROLE)
    assert machine.call("Get Disk", disk=name).attached_to is None
    assert luns(machine) == []
    machine.refuses("ResourceNotFound", "Get Data Disk", lun="1", **ROLE)
    again = wire.only(wire.DataVirtualHardDisk, disk_name=name, lun=0)
    machine.do("Add Data Disk", again, **ROLE)
    assert luns(machine) == [0]


def test_a_deleted_disk_goes_with_its_blob(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(1), **ROLE)
    machine.do("Delete Data Disk", lun="1", query={"comp": "media"}, **ROLE)
    machine.rest()
    assert "vhds/data1.vhd" not in machine.blobs()
    assert len(machine.call("List Disks")) == 1


def test_a_lun_in_use_a_missing_size_and_too_many_disks_are_refused(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(0), **ROLE)
    taken = bodies.data_disk(0, media_link=url("b.vhd"))
    machine.refuses("BadRequest", "Add Data Disk", taken, **ROLE)
    machine.refuses("InvalidXmlRequest", "Add Data Disk", bodies.data_disk(1, None), **ROLE)
    machine.do("Add Data Disk", bodies.data_disk(1), **ROLE)
    message = machine.refuses("BadRequest", "Add Data Disk", bodies.data_disk(2), **ROLE)
    assert "takes 2 data disks" in message


def test_another_lun_moves_the_disk(machine: World) -> None:
    machine.do("Add Data Disk", bodies.data_disk(0), **ROLE)
    changed = wire.only(wire.DataVirtualHardDisk, lun=5, host_caching="ReadOnly")
    machine.do("Update Data Disk", changed, lun="0", **ROLE)
    told = machine.call("Get Data Disk", lun="5", **ROLE)
    assert told.host_caching == "ReadOnly"
    assert luns(machine) == [5]


def test_a_disk_added_to_a_stopped_machine_is_there_when_it_starts(machine: World) -> None:
    machine.do("Shutdown Role", wire.ShutdownRoleOperation(), **ROLE)
    machine.do("Add Data Disk", bodies.data_disk(0), **ROLE)
    machine.do("Start Role", wire.StartRoleOperation(), **ROLE)
    assert luns(machine) == [0]
    (spec,) = [one.spec for one in machine.driver._machines.values()]
    assert spec.data_disks[0].size == GIB


def test_capturing_takes_the_data_disks_along(machine: World) -> None:
    machine.do("Shutdown Role", wire.ShutdownRoleOperation(), **ROLE)
    machine.do("Add Data Disk", bodies.data_disk(4), **ROLE)
    capture = wire.only(
        wire.CaptureRoleAsVMImageOperation,
        operation_type="CaptureRoleAsVMImageOperation",
        os_state="Specialized",
        vm_image_name="img",
        vm_image_label="img",
    )
    machine.do("Capture VM Image", capture, **ROLE)
    (image,) = machine.call("List VM Images")
    assert [disk.lun for disk in image.data_disk_configurations] == [4]
