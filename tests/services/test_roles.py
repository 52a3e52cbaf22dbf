"""Roles: add, remove, start, stop, restart and capture them, and how they are told whatever their machines do."""

from __future__ import annotations

import math
from typing import Any

import pytest

from reddog import wire
from reddog.services._role_reconciler import RoleReconciler
from reddog.storage import NoSpace
from services import bodies
from services.world import GIB, IMAGE, OTHER, World, url

CREATE = "Create Virtual Machine Deployment"
DEPLOYMENT = {"service": "svc", "deployment": "dep"}
ROLE = {**DEPLOYMENT, "role": "vm"}
MEDIA = {"comp": "media"}


@pytest.fixture
def vm(place: World) -> World:
    """A machine with a system disk and a data disk is running."""
    role = bodies.role(
        disk=bodies.system_disk(disk_name="sys"),
        data=(bodies.data_disk(4, disk_name="data"),),
        network=bodies.network(bodies.endpoint(port=2222)),
    )
    place.do(CREATE, bodies.deployment(role), service="svc")
    place.eventually(lambda: status(place) == ("ReadyRole", "Started"))
    return place


def deployment(world: World) -> Any:
    return world.call("Get Deployment by name", **DEPLOYMENT)


def instance(world: World, role: str = "vm") -> Any:
    (found,) = (one for one in deployment(world).role_instance_list if one.role_name == role)
    return found


def status(world: World, role: str = "vm") -> tuple[str, str]:
    found = instance(world, role)
    return found.instance_status, found.power_state


def boots(world: World, role: str = "vm") -> int:
    line = world.driver.console(world.machine(role)).decode().splitlines()[0]
    return int(line.rsplit(" ", 1)[1])


def several(kind: type, *names: str, **values: Any) -> Any:
    return wire.only(kind, operation_type=kind.__name__, roles=list(names), **values)


# -- Power -------------------------------------------------------------------------------------------------


def test_what_a_guest_has_told_is_kept_when_it_is_shut_down_at_once(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RoleReconciler, "observe", lambda self, row, ctx: None)
    place.do(CREATE, bodies.deployment(bodies.role()), service="svc")
    place.eventually(lambda: status(place) == ("ReadyRole", "Started"))
    told = instance(place).remote_access_certificate_thumbprint
    place.do("Shutdown Role", bodies.shutdown(), **ROLE)
    assert instance(place).remote_access_certificate_thumbprint == told
    assert told
    row = place.row("role", "svc/dep/vm")
    assert row is not None
    assert row.state["provisioning"] is None


def test_a_stopped_machine_keeps_its_place_and_starts_again(vm: World) -> None:
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    assert status(vm) == ("StoppedVM", "Stopped")
    assert (instance(vm).ip_address or "").startswith("10.")
    assert deployment(vm).status == "Running"
    assert len(deployment(vm).virtual_ips) == 1
    vm.do("Start Role", bodies.start(), **ROLE)
    assert status(vm) == ("ReadyRole", "Started")
    assert boots(vm) == 2


def test_a_deallocated_machine_gives_its_place_up(vm: World) -> None:
    address = deployment(vm).virtual_ips[0].address
    vm.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **ROLE)
    told = instance(vm)
    assert (told.instance_status, told.power_state) == ("StoppedDeallocated", "Stopped")
    assert told.ip_address is told.instance_size is told.instance_endpoints is None
    assert told.instance_upgrade_domain is told.instance_fault_domain is None
    assert deployment(vm).status == "Suspended"
    assert list(deployment(vm).virtual_ips) == []
    assert vm.driver.list() == []
    vm.do("Shutdown Role", bodies.shutdown("Stopped"), **ROLE)
    assert status(vm) == ("StoppedDeallocated", "Stopped")
    vm.do("Start Role", bodies.start(), **ROLE)
    assert status(vm) == ("ReadyRole", "Started")
    assert deployment(vm).virtual_ips[0].address == address
    assert vm.row("role", "svc/dep/vm").state["provisioning"] is None  # type: ignore[union-attr]


def test_stopping_and_starting_twice_changes_nothing(vm: World) -> None:
    vm.do("Start Role", bodies.start(), **ROLE)
    assert boots(vm) == 1
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.do("Shutdown Role", bodies.shutdown("stopped"), **ROLE)
    assert status(vm) == ("StoppedVM", "Stopped")
    vm.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **ROLE)
    vm.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **ROLE)
    assert status(vm) == ("StoppedDeallocated", "Stopped")


def test_a_restart_boots_once_more_and_ends_when_the_guest_is_ready(vm: World) -> None:
    vm.do("Restart Role", bodies.restart(), **ROLE)
    assert status(vm) == ("ReadyRole", "Started")
    assert boots(vm) == 2
    vm.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **ROLE)
    vm.do("Restart Role", bodies.restart(), **ROLE)
    assert status(vm) == ("ReadyRole", "Started")


def test_several_roles_are_stopped_and_started_together(vm: World) -> None:
    vm.do("Add Role", bodies.role("two"), **DEPLOYMENT)
    stop = several(wire.ShutdownRolesOperation, "vm", "TWO", post_shutdown_action="Stopped")
    vm.do("Shutdown Roles", stop, **DEPLOYMENT)
    assert status(vm) == status(vm, "two") == ("StoppedVM", "Stopped")
    vm.do("Start Roles", several(wire.StartRolesOperation, "vm", "two"), **DEPLOYMENT)
    vm.eventually(lambda: status(vm) == status(vm, "two") == ("ReadyRole", "Started"))
    unknown = several(wire.StartRolesOperation, "vm", "three")
    vm.refuses("ResourceNotFound", "Start Roles", unknown, **DEPLOYMENT)


def test_unknown_roles_and_actions_are_refused(vm: World) -> None:
    vm.refuses("InvalidXmlRequest", "Shutdown Role", bodies.shutdown("Explode"), **ROLE)
    message = vm.refuses("ResourceNotFound", "Start Role", bodies.start(), **DEPLOYMENT, role="none")
    assert message == "Role none was not found in the currently deployed service."
    vm.refuses("ResourceNotFound", "Start Role", bodies.start(), **(ROLE | {"deployment": "none"}))
    vm.refuses("ResourceNotFound", "Start Role", bodies.start(), **(ROLE | {"service": "none"}))
    vm.refuses("ResourceNotFound", "Get Role", **ROLE, subscription=OTHER)


@pytest.mark.parametrize("fault", ["kill", "guest_shutdown", "panic"])
def test_a_machine_that_goes_by_itself_shows_so_and_starts_again(vm: World, fault: str) -> None:
    getattr(vm.driver, fault)(vm.machine("vm"))
    assert status(vm) == ("StoppedVM", "Stopped")
    assert instance(vm).instance_state_details
    assert "StoppedVM" in vm.answers[-1].decode()
    vm.rest()
    assert status(vm) == ("StoppedVM", "Stopped")  # nobody starts it behind the owner's back
    vm.do("Start Role", bodies.start(), **ROLE)
    assert status(vm) == ("ReadyRole", "Started")
    assert instance(vm).instance_state_details == ""


def test_a_guest_that_is_not_ready_yet_shows_so(place: World) -> None:
    place.driver.boot_time = math.inf
    place.do(CREATE, bodies.deployment(), service="svc")
    assert status(place) == ("RoleStateUnknown", "Starting")
    place.driver.guest_shutdown(place.machine("vm"))
    place.driver.boot_time = 0.01
    place.do("Start Role", bodies.start(), **ROLE)
    assert status(place) == ("ReadyRole", "Started")


def test_a_guest_that_never_reports_does_not_keep_a_start_from_ending(
    vm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reddog.services._role_reconciler.LONGEST_WAIT", 0.3)
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.driver.boot_time = math.inf
    vm.do("Start Role", bodies.start(), **ROLE)
    assert status(vm) == ("RoleStateUnknown", "Starting")


def test_a_start_that_fails_leaves_the_role_as_it_was(vm: World) -> None:
    for action, expected in (("Stopped", "StoppedVM"), ("StoppedDeallocated", "StoppedDeallocated")):
        vm.do("Shutdown Role", bodies.shutdown(action), **ROLE)
        vm.driver.fail_next_start()
        code, message = vm.fails("Start Role", bodies.start(), **ROLE)
        assert code == "InternalError"
        assert "The simulated start failed." in message
        assert status(vm) == (expected, "Stopped")
    vm.do("Start Role", bodies.start(), **ROLE)


# -- More and fewer roles ----------------------------------------------------------------------------------


def test_roles_are_added_and_removed(vm: World) -> None:
    vm.do("Add Role", bodies.role("two", network=bodies.network(bodies.endpoint(port=2223))), **DEPLOYMENT)
    assert {one.role_name for one in deployment(vm).role_list} == {"vm", "two"}
    vm.do("Delete Role", **DEPLOYMENT, role="vm")
    vm.refuses("ResourceNotFound", "Get Role", **ROLE)
    assert vm.call("Get Disk", disk="sys").attached_to is None
    assert set(vm.blobs()) == {"vhds/os.vhd", "vhds/data4.vhd", "vhds/two.vhd"}
    message = vm.refuses("BadRequest", "Delete Role", **DEPLOYMENT, role="two")
    assert message.startswith("Role two is the only role present in the deployment and so cannot be removed.")


def test_a_role_is_removed_with_its_disks_and_blobs(vm: World) -> None:
    vm.do("Add Role", bodies.role("two"), **DEPLOYMENT)
    vm.do("Delete Role", **DEPLOYMENT, role="vm", query=MEDIA)
    assert set(vm.blobs()) == {"vhds/two.vhd"}
    vm.refuses("ResourceNotFound", "Get Disk", disk="sys")


def test_a_roles_name_and_ports_are_used_once(vm: World) -> None:
    vm.refuses("ConflictError", "Add Role", bodies.role("VM"), **DEPLOYMENT)
    clash = bodies.role("two", network=bodies.network(bodies.endpoint("x", 2222, 80)))
    code, message = vm.fails("Add Role", clash, **DEPLOYMENT)
    assert (code, message[:27]) == ("BadRequest", "Port 2222 is already in use")
    assert [one.role_name for one in deployment(vm).role_list] == ["vm"]
    assert "vhds/two.vhd" not in vm.blobs()
    assert status(vm) == ("ReadyRole", "Started")
    vm.refuses("ResourceNotFound", "Add Role", bodies.role("two"), service="svc", deployment="none")


def test_a_role_is_told_without_its_secrets(vm: World) -> None:
    told = vm.call("Get Role", **ROLE)
    assert (told.role_name, told.role_size, told.role_type) == ("vm", "Small", "PersistentVMRole")
    assert told.os_virtual_hard_disk.disk_name == "sys"
    assert [disk.disk_name for disk in told.data_virtual_hard_disks] == ["data"]
    assert [one.configuration_set_type for one in told.configuration_sets] == ["NetworkConfiguration"]
    assert bodies.PASSWORD.encode() not in vm.answers[-1]


# -- Captures ----------------------------------------------------------------------------------------------


def write(world: World, link: str, data: bytes) -> None:
    with world.storage.page_file(world.storage.parse_url(link)).open("r+b") as file:
        file.write(data)


def images(world: World) -> dict[str, Any]:
    return {image.name: image for image in world.call("List VM Images")}


@pytest.mark.parametrize("action", [None, "Stopped", "StoppedDeallocated"])
def test_a_specialized_image_leaves_the_machine_and_makes_others_like_it(
    vm: World, action: str | None
) -> None:
    write(vm, url("os.vhd"), b"installed")
    write(vm, url("data4.vhd"), b"database")
    if action:
        vm.do("Shutdown Role", bodies.shutdown(action), **ROLE)
    before = status(vm)
    vm.do("Capture VM Image", bodies.capture("cap", vm_image_label="Label", image_family="F"), **ROLE)
    assert status(vm) == before
    told = images(vm)["cap"]
    assert (told.label, told.image_family, told.vm_image_state) == ("Label", "F", "VMImageReadyForUse")
    assert (told.service_name, told.deployment_name, told.role_name) == ("svc", "dep", "vm")
    assert (told.role_state_on_capture, told.role_size_on_capture) == (before[0], "Small")
    assert told.os_disk_configuration.os_state == "Specialized"
    assert [disk.lun for disk in told.data_disk_configurations] == [4]
    assert vm.read_disk(told.os_disk_configuration.media_link, 9) == b"installed"
    assert vm.read_disk(told.data_disk_configurations[0].media_link, 8) == b"database"
    vm.do("Create Cloud Service", bodies.service("two"))
    copy = bodies.role(
        "copy", vm_image_name="CAP", provisioning=None, media_location=url("", container="new")
    )
    vm.do(CREATE, bodies.deployment(copy), service="two")
    spec = vm.driver.spec(vm.machine("copy", "two/dep"))
    assert [(disk.lun, disk.size) for disk in spec.data_disks] == [(4, GIB)]
    assert spec.os_disk.path.read_bytes()[:9] == b"installed"  # a small disk
    assert sum(name.startswith("new/") for name in vm.blobs()) == 2


def test_a_generalized_image_takes_the_machine_with_it(vm: World) -> None:
    message = vm.refuses("BadRequest", "Capture VM Image", bodies.capture("cap", "Generalized"), **ROLE)
    assert "Shut it down" in message
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.do("Capture VM Image", bodies.capture("cap", "Generalized"), **ROLE)
    vm.rest()
    vm.refuses("ResourceNotFound", "Get Deployment by name", **DEPLOYMENT)
    assert vm.driver.list() == vm.rows("virtual_ip") == []
    assert vm.call("Get Disk", disk="sys").attached_to is None
    needs = bodies.role(vm_image_name="cap", provisioning=None)
    vm.refuses("BadRequest", CREATE, bodies.deployment(needs), service="svc")
    vm.do(CREATE, bodies.deployment(bodies.role("again", vm_image_name="cap")), service="svc")


def test_capturing_one_role_of_two_leaves_the_other(vm: World) -> None:
    vm.do("Add Role", bodies.role("two"), **DEPLOYMENT)
    vm.driver.guest_shutdown(vm.machine("two"))
    vm.do("Capture VM Image", bodies.capture("cap", "Generalized"), **DEPLOYMENT, role="two")
    vm.rest()
    assert [one.role_name for one in deployment(vm).role_list] == ["vm"]
    assert status(vm) == ("ReadyRole", "Started")


def test_a_captured_role_becomes_an_os_image(vm: World) -> None:
    write(vm, url("os.vhd"), b"installed")
    vm.refuses("BadRequest", "Capture Role", bodies.capture_role("cap"), **ROLE)
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.refuses("InvalidXmlRequest", "Capture Role", bodies.capture_role("cap", "Keep"), **ROLE)
    vm.refuses("ConflictError", "Capture Role", bodies.capture_role(IMAGE), **ROLE)
    vm.do("Capture Role", bodies.capture_role("cap"), **ROLE)
    vm.rest()
    told = vm.call("Get OS Image", image="cap")
    assert (told.label, told.category, told.os, told.os_state) == ("cap", "User", "Linux", "Generalized")
    assert vm.read_disk(told.media_link, 9) == b"installed"
    assert told.media_link.startswith(url("cap-os-"))
    vm.refuses("ResourceNotFound", "Get Deployment by name", **DEPLOYMENT)
    again = bodies.role("again", disk=bodies.system_disk("again.vhd", source_image_name="cap"))
    vm.do(CREATE, bodies.deployment(again), service="svc")
    vm.do("Update OS Image", wire.only(wire.OSImage, label="new"), image="cap")
    assert status(vm, "again")[1] in ("Starting", "Started")  # it is not captured once more


def test_a_captured_role_is_set_up_anew_and_starts_as_another_machine(vm: World) -> None:
    write(vm, url("os.vhd"), b"installed")
    vm.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **ROLE)
    vm.refuses("BadRequest", "Capture Role", bodies.capture_role("cap", "Reprovision"), **ROLE)
    bad = bodies.capture_role("cap", "Reprovision", bodies.linux(user_password="short"))
    vm.refuses("BadRequest", "Capture Role", bad, **ROLE)
    body = bodies.capture_role("cap", "Reprovision", bodies.linux(host_name="renamed"))
    vm.do("Capture Role", body, **ROLE)
    vm.eventually(lambda: status(vm) == ("ReadyRole", "Started"))
    assert vm.read_disk(vm.call("Get OS Image", image="cap").media_link, 9) == b"installed"
    assert instance(vm).host_name == "renamed"
    assert vm.driver.spec(vm.machine("vm")).identity == 1
    row = vm.row("role", "svc/dep/vm")
    assert row is not None
    vm.eventually(lambda: not (vm.row("role", "svc/dep/vm") or row).state["provisioning"])
    disk = vm.call("Get Disk", disk="sys")
    assert disk.attached_to.role_name == "vm"
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.do("Capture Role", bodies.capture_role("cap2", "reprovision", bodies.linux()), **ROLE)
    assert vm.driver.spec(vm.machine("vm")).identity == 2


def test_a_role_that_cannot_start_anew_is_left_as_it_was(vm: World) -> None:
    vm.do("Shutdown Role", bodies.shutdown(), **ROLE)
    vm.driver.fail_next_start()
    body = bodies.capture_role("cap", "Reprovision", bodies.linux(host_name="renamed"))
    assert vm.fails("Capture Role", body, **ROLE)[0] == "InternalError"
    vm.rest()
    assert status(vm) == ("StoppedVM", "Stopped")
    vm.refuses("ResourceNotFound", "Get OS Image", image="cap")
    row = vm.row("role", "svc/dep/vm")
    assert row is not None
    assert (row.state["provisioning"], row.goal["host_name"]) == (None, "host")
    vm.do("Start Role", bodies.start(), **ROLE)
    assert instance(vm).host_name == "host"


def test_names_of_captures_are_checked_and_used_once(vm: World) -> None:
    vm.do("Capture VM Image", bodies.capture("cap"), **ROLE)
    vm.refuses("ConflictError", "Capture VM Image", bodies.capture("CAP"), **ROLE)
    vm.refuses("BadRequest", "Capture VM Image", bodies.capture("-cap"), **ROLE)
    vm.refuses("InvalidXmlRequest", "Capture VM Image", bodies.capture("two", "Solid"), **ROLE)
    vm.refuses("ResourceNotFound", "Capture VM Image", bodies.capture("two"), **DEPLOYMENT, role="none")
    vm.do("Delete VM Image", image="cap")
    vm.do("Capture VM Image", bodies.capture("cap"), **ROLE)  # the blobs of the first are still there
    assert len([name for name in vm.blobs() if "cap-os" in name]) == 2


def test_a_capture_without_room_fails_and_leaves_nothing(vm: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_in = vm.storage.copy_in

    def full(source: Any, target: Any, **values: Any) -> None:
        if "datadisk" in target.blob:
            raise NoSpace
        copy_in(source, target, **values)

    before = vm.blobs()
    monkeypatch.setattr(vm.storage, "copy_in", full)
    code, message = vm.fails("Capture VM Image", bodies.capture("cap"), **ROLE)
    assert code == "InternalError"
    assert "Free some space" in message
    assert images(vm) == {}
    assert vm.blobs() == before
    assert status(vm) == ("ReadyRole", "Started")


def test_an_image_is_not_deleted_while_a_machine_is_made_of_it(vm: World) -> None:
    vm.do("Capture VM Image", bodies.capture("cap"), **ROLE)
    copy_in, seen = vm.storage.copy_in, []

    def slow(*args: Any, **values: Any) -> None:
        if not seen:
            seen.append(vm.refuses("ConflictError", "Delete VM Image", image="cap"))
        copy_in(*args, **values)

    vm.storage.copy_in = slow  # type: ignore[method-assign]
    vm.do("Create Cloud Service", bodies.service("two"))
    body = bodies.deployment(bodies.role("copy", vm_image_name="cap", provisioning=None))
    vm.do(CREATE, body, service="two")
    assert "in use by disk" in seen[0]
    vm.do("Delete VM Image", image="cap", query=MEDIA)
    vm.do(
        "Shutdown Role", bodies.shutdown("StoppedDeallocated"), service="two", deployment="dep", role="copy"
    )
    vm.do("Start Role", bodies.start(), service="two", deployment="dep", role="copy")
    vm.do("Delete Deployment by name", service="two", deployment="dep")


def test_a_changed_local_port_keeps_the_public_one(vm: World) -> None:
    before = instance(vm).instance_endpoints[0]
    body = wire.only(wire.PersistentVMRole, role_name="vm")
    changed = bodies.endpoint("renamed", before.public_port, 2222)
    body.configuration_sets = wire.ConfigurationSets([bodies.network(changed)])
    vm.do("Update Role", body, **ROLE)
    (after,) = instance(vm).instance_endpoints
    assert (after.public_port, after.local_port) == (before.public_port, "2222")
