"""Deployments of virtual machines: create, read, delete, and what becomes of disks, blobs, addresses and ports."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from reddog import wire
from reddog.engine import Locked
from reddog.fabric import MachineError
from services import bodies
from services.world import GIB, OTHER, World, make_vhd, opened, url

CREATE = "Create Virtual Machine Deployment"
DEPLOYMENT = {"service": "svc", "deployment": "dep"}
MEDIA = {"comp": "media"}


def get(world: World, **params: str) -> Any:
    return world.call("Get Deployment by name", **(params or DEPLOYMENT))


def instance(world: World) -> Any:
    return get(world).role_instance_list[0]


def blob(world: World, link: str) -> bytes:
    return world.read_disk(link, 9)


def test_a_deployment_is_told_by_name_and_by_slot(place: World) -> None:
    role = bodies.role("Web", network=bodies.network(bodies.endpoint(port=2222)), availability_set_name="set")
    place.do(CREATE, bodies.deployment(role, name="Dep", label="my label"), service="SVC")
    told = get(place)
    place.eventually(lambda: instance(place).instance_status == "ReadyRole")
    told = get(place)
    assert told == place.call("Get Deployment by slot", service="svc", slot="production")
    assert (told.name, told.label, told.deployment_slot, told.status) == (
        *("Dep", "my label", "Production", "Running"),
    )
    assert (told.locked, told.sdk_version, told.upgrade_domain_count) == (False, "", "1")
    (vip,) = told.virtual_ips
    assert told.url == f"http://{vip.address}/"
    assert vip.name == "DepContractContract"
    (one,) = told.role_instance_list
    assert (one.instance_status, one.power_state, one.host_name) == ("ReadyRole", "Started", "host")
    assert (one.instance_endpoints[0].public_port, one.instance_endpoints[0].vip) == ("2222", vip.address)
    (listed,) = told.role_list
    assert (listed.role_name, listed.role_size, listed.availability_set_name) == ("Web", "Small", "set")
    assert listed.os_virtual_hard_disk.source_image_name == "tiny-linux"
    place.refuses("ResourceNotFound", "Get Deployment by slot", service="svc", slot="staging")
    place.refuses("ResourceNotFound", "Get Deployment by name", service="svc", deployment="other")
    place.refuses("ResourceNotFound", "Get Deployment by name", **DEPLOYMENT, subscription=OTHER)


def test_a_new_machine_gets_new_leased_disks_and_an_address(place: World) -> None:
    role = bodies.role(data=(bodies.data_disk(2, 3, disk_label="data"),), role_size="ExtraSmall")
    place.do(CREATE, bodies.deployment(role), service="svc")
    assert place.blobs() == {"vhds/vm.vhd": True, "vhds/data2.vhd": True}
    assert blob(place, url("vm.vhd")) == b"platform"[:8] + b"\0"
    spec = place.driver.spec(place.machine("vm"))
    assert [(disk.lun, disk.size) for disk in spec.data_disks] == [(2, 3 * GIB)]
    assert (spec.cores, spec.memory_mb) == (1, 768)
    system, data = sorted(place.call("List Disks"), key=lambda one: one.media_link, reverse=True)
    assert system.attached_to.role_name == "vm"
    assert system.attached_to.deployment_name == "dep"
    assert (data.label, data.logical_disk_size_in_gb, data.os) == ("data", 3, None)
    assert place.call("Get Role", **DEPLOYMENT, role="vm").data_virtual_hard_disks[0].lun == 2


def test_media_links_are_made_up_in_an_account_of_the_location(place: World) -> None:
    place.do("Create Storage Account", bodies.account("aaa", location="East US"))
    place.do(CREATE, bodies.deployment(bodies.role(disk=bodies.system_disk(None))), service="svc")
    assert list(place.blobs("aaa")) == []
    (name,) = place.blobs("acct")
    assert name.startswith("vhds/svc-vm-0-")


def test_without_any_account_no_media_link_can_be_made_up(world: World) -> None:
    world.do("Create Cloud Service", bodies.service())
    role = bodies.role(disk=bodies.system_disk(None))
    message = world.refuses("BadRequest", CREATE, bodies.deployment(role), service="svc")
    assert "Create one first" in message


@pytest.mark.parametrize("comp", [{}, MEDIA])
def test_a_deleted_deployment_frees_everything_and_keeps_disks_unless_asked(
    place: World, comp: dict[str, str]
) -> None:
    place.put_vhd(url("own.vhd"))
    place.do("Add Disk", bodies.disk("own", url("own.vhd")))
    data = (bodies.data_disk(0), bodies.data_disk(1, None, disk_name="own"))
    place.do(CREATE, bodies.deployment(bodies.role(data=data)), service="svc")
    place.do("Delete Deployment by name", **DEPLOYMENT, query=comp)
    place.refuses("ResourceNotFound", "Get Deployment by name", **DEPLOYMENT)
    assert place.driver.list() == []
    assert place.rows("virtual_ip") == []
    disks = list(place.call("List Disks"))
    assert len(disks) == (0 if comp else 3)
    assert all(one.attached_to is None for one in disks)
    assert set(place.blobs()) == (set() if comp else {"vhds/vm.vhd", "vhds/data0.vhd", "vhds/own.vhd"})
    place.do("Delete Cloud Service", service="svc")


def test_a_deployment_can_be_deleted_by_slot(place: World) -> None:
    place.do(CREATE, bodies.deployment(deployment_slot="Staging"), service="svc")
    place.refuses("ResourceNotFound", "Delete Deployment by slot", service="svc", slot="Production")
    place.do("Delete Deployment by slot", service="svc", slot="staging", query=MEDIA)
    assert place.blobs() == {}


def test_a_detached_disk_starts_another_machine_with_what_it_holds(place: World) -> None:
    place.do(CREATE, bodies.deployment(bodies.role(disk=bodies.system_disk(disk_name="sys"))), service="svc")
    place.do("Delete Deployment by name", **DEPLOYMENT)
    with place.storage.page_file(place.storage.parse_url(url("os.vhd"))).open("r+b") as file:
        file.write(b"written")
    disk = bodies.system_disk(None, source_image_name=None, disk_name="SYS")
    place.do(CREATE, bodies.deployment(bodies.role("again", disk=disk, provisioning=None)), service="svc")
    assert blob(place, url("os.vhd"))[:7] == b"written"
    assert place.call("Get Disk", disk="sys").attached_to.role_name == "again"


def test_disks_and_services_in_use_are_not_deleted(place: World) -> None:
    disk = bodies.system_disk(disk_name="sys")
    place.do(CREATE, bodies.deployment(bodies.role(disk=disk)), service="svc")
    assert place.refuses("BadRequest", "Delete Disk", disk="sys") == (
        "A disk with name sys is currently in use by virtual machine vm running within hosted service svc, "
        "deployment dep."
    )
    assert "dep" in place.refuses("ConflictError", "Delete Cloud Service", service="svc")
    place.refuses("BadRequest", "Delete Storage Account", account="acct")
    taken = bodies.role(
        disk=bodies.system_disk(None, source_image_name=None, disk_name="sys"), provisioning=None
    )
    place.do("Create Cloud Service", bodies.service("two"))
    message = place.refuses("BadRequest", CREATE, bodies.deployment(taken), service="two")
    assert message.startswith("A disk with name sys is currently in use")


def test_slots_and_names_are_used_once(place: World) -> None:
    place.do(CREATE, bodies.deployment(), service="svc")
    second = bodies.role("vm2")
    message = place.refuses("ConflictError", CREATE, bodies.deployment(second, name="two"), service="svc")
    assert message == "The specified deployment slot Production is occupied."
    same = bodies.deployment(second, name="DEP", deployment_slot="Staging")
    place.refuses("ConflictError", CREATE, same, service="svc")
    place.do(CREATE, bodies.deployment(second, name="two", deployment_slot="Staging"), service="svc")
    addresses = {row.key for row in place.rows("virtual_ip")}
    assert len(addresses) == 2


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("InvalidXmlRequest", {"deployment_slot": "Moon"}),
        ("BadRequest", {"name": "-dep"}),
        ("BadRequest", {"label": "x" * 101}),
        ("BadRequest", {"virtual_network_name": "net"}),
        ("BadRequest", {"reserved_ip_name": "ip"}),
    ],
)
def test_invalid_deployments_are_refused(place: World, code: str, values: dict[str, Any]) -> None:
    place.refuses(code, CREATE, bodies.deployment(**values), service="svc")
    place.refuses("ResourceNotFound", CREATE, bodies.deployment(), service="none")
    place.refuses("ResourceNotFound", CREATE, bodies.deployment(), service="svc", subscription=OTHER)


def linux(**values: Any) -> Any:
    return bodies.role(provisioning=bodies.linux(**values))


def system(**values: Any) -> Any:
    return bodies.role(disk=bodies.system_disk(**values))


def data(*disks: Any, **values: Any) -> Any:
    return bodies.role(data=disks, **values)


def ports(*endpoints: Any) -> Any:
    return bodies.role(network=bodies.network(*endpoints))


DISK, ENDPOINT = bodies.data_disk, bodies.endpoint
INVALID_ROLES: dict[str, tuple[str, Any]] = {
    "name": ("BadRequest", bodies.role("-vm", disk=bodies.system_disk())),
    "long name": ("BadRequest", bodies.role("v" * 65, disk=bodies.system_disk())),
    "size": ("BadRequest", bodies.role(role_size="Gigantic")),
    "image": ("ResourceNotFound", system(source_image_name="none")),
    "VM image": ("ResourceNotFound", bodies.role(vm_image_name="none")),
    "no disk": ("InvalidXmlRequest", system(source_image_name=None)),
    "disk": ("ResourceNotFound", system(source_image_name=None, disk_name="none")),
    "disk name": ("BadRequest", system(disk_name="-x")),
    "caching": ("InvalidXmlRequest", system(host_caching="Much")),
    "data caching": ("InvalidXmlRequest", data(DISK(host_caching="Much"))),
    "too small": ("BadRequest", system(resized_size_in_gb=2000)),
    "foreign account": ("BadRequest", system(media_link=url("a.vhd", "theirs"))),
    "no account": ("BadRequest", system(media_link=url("a.vhd", "nobody"))),
    "no blob": ("BadRequest", system(media_link="https://acct.blob.core.windows.net/")),
    "remote": (
        "BadRequest",
        system(source_image_name=None, remote_source_image_link=url("no.vhd"), os="Linux"),
    ),
    "remote OS": (
        "InvalidXmlRequest",
        system(source_image_name=None, remote_source_image_link=url("good.vhd"), os="OS/2"),
    ),
    "blob there": ("ConflictError", system(media_link=url("good.vhd"))),
    "same blob": ("ConflictError", data(DISK(0, media_link=url("x.vhd")), DISK(1, media_link=url("x.vhd")))),
    "LUN": ("BadRequest", data(DISK(16))),
    "negative LUN": ("BadRequest", data(DISK(-1))),
    "LUN twice": ("BadRequest", data(DISK(3), DISK(3, media_link=url("x.vhd")))),
    "no size": ("InvalidXmlRequest", data(DISK(0, None))),
    "negative size": ("BadRequest", data(DISK(0, -1))),
    "too big": ("BadRequest", data(DISK(0, 1024))),
    "too many disks": ("BadRequest", data(DISK(0), DISK(1), DISK(2), role_size="Small")),
    "absent data blob": ("BadRequest", data(DISK(0, None, source_media_link=url("no.vhd")))),
    "bad data blob": ("BadRequest", data(DISK(0, None, source_media_link=url("bad.vhd")))),
    "leased data blob": ("BadRequest", data(DISK(0, None, source_media_link=url("leased.vhd")))),
    "provisioning": ("BadRequest", bodies.role(provisioning=None)),
    "host name": ("BadRequest", linux(host_name="-x")),
    "long host name": ("BadRequest", linux(host_name="x" * 65)),
    "user": ("BadRequest", linux(user_name="root")),
    "long user": ("BadRequest", linux(user_name="x" * 33)),
    "short password": ("BadRequest", linux(user_password="12345")),
    "long password": ("BadRequest", linux(user_password="x" * 73)),
    "foreign password": ("BadRequest", linux(user_password="pässwörd")),
    "no password": ("BadRequest", linux(user_password=None)),
    "no password and no key": (
        "BadRequest",
        linux(user_password=None, disable_ssh_password_authentication=True),
    ),
    "custom data": ("BadRequest", linux(custom_data="QUFB" * 21846)),
    "custom data's coding": ("InvalidXmlRequest", linux(custom_data="A")),
    "SSH key": (
        "BadRequest",
        linux(ssh=wire.SSH(public_keys=wire.PublicKeys([wire.PublicKey("A" * 40, "/home/jo/.ssh/keys")]))),
    ),
    "port": ("BadRequest", ports(ENDPOINT(port=70000))),
    "no port": ("InvalidXmlRequest", ports(ENDPOINT(port="x"))),
    "local port": ("BadRequest", ports(ENDPOINT(local_port=0))),
    "protocol": ("BadRequest", ports(ENDPOINT(protocol="sctp"))),
    "endpoint name": ("InvalidXmlRequest", ports(ENDPOINT(name=""))),
    "endpoint twice": ("BadRequest", ports(ENDPOINT(), ENDPOINT(port=23))),
    "idle timeout": ("InvalidXmlRequest", ports(ENDPOINT(idle_timeout_in_minutes=31))),
}


@pytest.mark.parametrize("name", INVALID_ROLES)
def test_invalid_roles_are_refused_before_anything_is_made(place: World, name: str) -> None:
    code, role = INVALID_ROLES[name]
    place.do("Create Storage Account", bodies.account("theirs"), subscription=OTHER)
    place.put_vhd(url("good.vhd"))
    place.put_blob(url("bad.vhd"), bytes(512))
    before = place.blobs()
    if "leased" in name:
        place.put_vhd(url("leased.vhd"))
        place.do("Add Disk", bodies.disk("leased", url("leased.vhd")))
        before = place.blobs()
    message = place.refuses(code, CREATE, bodies.deployment(role), service="svc")
    assert bodies.PASSWORD not in message
    assert "pässwörd" not in message
    assert place.blobs() == before
    assert place.rows("virtual_ip") == place.rows("role") == []


def test_an_image_bigger_than_the_wanted_disk_is_refused(place: World) -> None:
    place.put_vhd(url("big.vhd"), 2 * GIB)
    place.do("Add OS Image", bodies.os_image("big", url("big.vhd")))
    role = system(source_image_name="big", resized_size_in_gb=1)
    assert "needs 2 GB" in place.refuses("BadRequest", CREATE, bodies.deployment(role), service="svc")
    role = system(source_image_name="big", resized_size_in_gb=4)
    place.do(CREATE, bodies.deployment(role), service="svc")
    assert place.driver.spec(place.machine("vm")).os_disk.size == 4 * GIB


def test_a_windows_image_wants_windows_words(place: World) -> None:
    place.put_vhd(url("win.vhd"))
    place.do("Add OS Image", bodies.os_image("win", url("win.vhd"), os="Windows"))

    def role(**values: Any) -> Any:
        given = {"computer_name": "pc", "admin_username": "jo", "admin_password": "Passw0rd!"} | values
        words = wire.only(
            wire.WindowsConfigurationSet, configuration_set_type="WindowsProvisioningConfiguration", **given
        )
        return bodies.role(disk=bodies.system_disk(source_image_name="win"), provisioning=words)

    for values in (
        {"computer_name": "x" * 16},
        {"admin_username": "Administrator"},
        {"admin_password": "Pass0!"},
        {"admin_password": "password"},
    ):
        place.refuses("BadRequest", CREATE, bodies.deployment(role(**values)), service="svc")
    linux_words = bodies.role(disk=bodies.system_disk(source_image_name="win"))
    place.refuses("BadRequest", CREATE, bodies.deployment(linux_words), service="svc")
    place.do(CREATE, bodies.deployment(role()), service="svc")
    assert instance(place).host_name == "pc"


def test_disks_can_be_made_from_a_blob_and_of_a_blob(place: World) -> None:
    place.put_vhd(url("origin.vhd"), mark=b"origin")
    place.put_vhd(url("data.vhd"), mark=b"data")
    system_disk = bodies.system_disk("copy.vhd", source_image_name=None, os="Linux")
    system_disk.remote_source_image_link = url("origin.vhd")
    role = bodies.role(disk=system_disk, data=(bodies.data_disk(1, None, source_media_link=url("data.vhd")),))
    place.do(CREATE, bodies.deployment(role), service="svc")
    assert place.blobs() == {"vhds/origin.vhd": False, "vhds/copy.vhd": True, "vhds/data.vhd": True}
    assert blob(place, url("copy.vhd"))[:6] == b"origin"


def test_a_port_given_twice_fails_the_operation_and_rolls_everything_back(place: World) -> None:
    place.put_vhd(url("own.vhd"))
    place.do("Add Disk", bodies.disk("own", url("own.vhd")))
    endpoints = bodies.network(bodies.endpoint("a", 80), bodies.endpoint("b", 80, 81))
    role = bodies.role(network=endpoints, data=(DISK(0), DISK(1, None, disk_name="own")))
    code, message = place.fails(CREATE, bodies.deployment(role), service="svc")
    assert code == "BadRequest"
    assert message.startswith("Port 80 is already in use by one of the endpoints in this deployment. ")
    place.refuses("ResourceNotFound", "Get Deployment by name", **DEPLOYMENT)
    assert place.blobs() == {"vhds/own.vhd": True}
    assert place.call("Get Disk", disk="own").attached_to is None
    place.do("Delete Cloud Service", service="svc")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MachineError("StartFailed", "It does not start."), "InternalError"),
        (MachineError("NoSpace", "It is full."), "InternalError"),
        (MachineError("PortInUse", "It is taken."), "BadRequest"),
        (MachineError("InvalidSpec", "It is odd."), "BadRequest"),
    ],
)
def test_a_machine_that_does_not_start_fails_the_operation_and_rolls_everything_back(
    place: World, error: MachineError, code: str
) -> None:
    place.driver.fail_next_start(error)
    found = place.fails(CREATE, bodies.deployment(), service="svc")
    assert found[0] == code
    assert error.message in found[1]
    assert place.blobs() == {}
    assert place.driver.list() == place.rows("virtual_ip") == place.rows("disk") == []
    place.do(CREATE, bodies.deployment(), service="svc")


def test_of_two_deployments_that_want_one_blob_one_is_made_whole(place: World) -> None:
    place.do("Create Cloud Service", bodies.service("two"))
    body = bodies.deployment(bodies.role(disk=bodies.system_disk("same.vhd")))
    checked, both = place.storage.properties, threading.Barrier(2, timeout=10)

    def properties(address: Any) -> Any:
        found = checked(address)
        if threading.current_thread().name.startswith("creator"):
            both.wait()
        return found

    place.storage.properties = properties  # type: ignore[method-assign]
    ended: list[Any] = []

    def create(service: str) -> None:
        ended.append(place.ended(place.begin(CREATE, body, service=service)))

    threads = [
        threading.Thread(target=create, args=[name], name=f"creator {name}") for name in ("svc", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.status for record in ended) == ["Failed", "Succeeded"]
    assert len(place.driver.list()) == len(place.rows("disk")) == len(place.rows("virtual_ip")) == 1


def test_a_port_that_cannot_be_had_is_replaced_and_told(place: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.77.1.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        endpoints = bodies.network(bodies.endpoint("a", port, 80), bodies.endpoint("b", None, 81))
        place.do(CREATE, bodies.deployment(bodies.role(network=endpoints)), service="svc")
    a, b = instance(place).instance_endpoints
    told = [int(one.public_port) for one in (a, b)]
    assert port not in told
    assert told[1] >= 49152
    assert [forward.port for forward in place.driver.spec(place.machine("vm")).forwards] == told
    listed = place.call("Get Role", **DEPLOYMENT, role="vm").configuration_sets[0].input_endpoints
    assert [one.port for one in listed] == [str(port), str(told[1])]


def test_a_locked_deployment_refuses_other_changes_until_it_is_free(place: World) -> None:
    gate = threading.Event()
    start = place.driver.start
    place.driver.start = lambda spec: (gate.wait(10), start(spec))[1]  # type: ignore[method-assign]
    id = place.begin(CREATE, bodies.deployment(), service="svc")
    place.eventually(lambda: get(place).status == "Deploying")
    assert get(place).locked
    for operation, body, params in (
        ("Delete Deployment by name", None, DEPLOYMENT),
        ("Delete Cloud Service and its media", None, {"service": "svc"}),
        ("Shutdown Role", bodies.shutdown(), {**DEPLOYMENT, "role": "vm"}),
        ("Add Role", bodies.role("more"), DEPLOYMENT),
    ):
        with pytest.raises(Locked) as caught:
            place.call(operation, body, patience=0, **params)
        assert caught.value.operation_id == id
    gate.set()
    assert place.ended(id).status == "Succeeded"
    place.do("Delete Deployment by name", **DEPLOYMENT)


def test_a_service_goes_with_its_deployments_disks_and_blobs(place: World) -> None:
    place.do(CREATE, bodies.deployment(bodies.role(data=(DISK(0),))), service="svc")
    place.do(CREATE, bodies.deployment(bodies.role("s"), name="s", deployment_slot="Staging"), service="svc")
    place.do("Delete Cloud Service and its media", service="svc", query=MEDIA)
    place.refuses("ResourceNotFound", "Get Cloud Service Properties", service="svc")
    assert place.blobs() == {}
    assert list(place.call("List Disks")) == []


def test_addresses_are_unique_and_run_out_and_come_back(place: World) -> None:
    networks = place.services.handlers[CREATE].__self__._networks  # type: ignore[attr-defined]
    networks[:] = ["127.77.1"]
    for number in range(3):
        place.do("Create Cloud Service", bodies.service(f"s{number}"))
        place.do(CREATE, bodies.deployment(bodies.role(f"vm{number}")), service=f"s{number}")
    used = [row.key for row in place.rows("virtual_ip")]
    assert len(set(used)) == 3
    networks.clear()
    message = place.refuses("ConflictError", CREATE, bodies.deployment(bodies.role("x")), service="svc")
    assert "No virtual IP is free" in message
    networks[:] = ["127.77.1"]
    place.do("Delete Deployment by name", service="s1", deployment="dep")
    place.do(CREATE, bodies.deployment(bodies.role("x")), service="svc")
    assert sorted(row.key for row in place.rows("virtual_ip")) == sorted(used)


def test_a_removal_that_is_given_up_lets_go_of_the_disks(place: World) -> None:
    place.do(CREATE, bodies.deployment(bodies.role(disk=bodies.system_disk(disk_name="sys"))), service="svc")
    remove = place.driver.remove

    def broken(id: str) -> None:
        raise MachineError("DriverFailed", "It hangs.")

    place.driver.remove = broken  # type: ignore[method-assign]
    code, _ = place.fails("Delete Deployment by name", **DEPLOYMENT)
    assert code == "InternalError"
    place.driver.remove = remove  # type: ignore[method-assign]
    place.eventually(lambda: place.call("Get Disk", disk="sys").attached_to is None, 60)


def test_passwords_are_gone_when_the_guest_is_ready_and_are_never_told(
    place: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    place.driver.boot_time = 0.3
    place.do(CREATE, bodies.deployment(), service="svc")
    row = place.row("role", "svc/dep/vm")
    assert row is not None
    secret: str = row.state["provisioning"]
    assert secret  # it is needed for as long as the guest has not read it
    assert secret not in repr(row)
    get(place)
    place.call("Get Role", **DEPLOYMENT, role="vm")
    place.eventually(lambda: instance(place).instance_status == "ReadyRole")
    place.eventually(lambda: (found := place.row("role", "svc/dep/vm")) and not found.state["provisioning"])
    place.driver.fail_next_start()
    second = bodies.deployment(bodies.role("b"), deployment_slot="Staging", name="b")
    place.fails(CREATE, second, service="svc")
    everything = b"".join(place.answers) + caplog.text.encode()
    for word in (bodies.PASSWORD.encode(), secret.encode()):
        assert word not in everything
    assert not list(place.directory.rglob("ovf-env.xml"))


def test_the_password_of_a_guest_that_is_ready_at_once_is_gone_too(place: World) -> None:
    place.driver.boot_time = 0
    place.do(CREATE, bodies.deployment(), service="svc")
    row = place.row("role", "svc/dep/vm")
    assert row is not None
    assert row.state["provisioning"] is None


def test_passwords_are_gone_from_the_files(tmp_path: Any) -> None:
    with opened(tmp_path / "cloud") as world:
        world.do("Create Storage Account", bodies.account())
        world.do("Create Cloud Service", bodies.service())
        world.do(CREATE, bodies.deployment(), service="svc")
        world.eventually(lambda: not world.rows("role")[0].state["provisioning"])
    secret = bodies.PASSWORD.encode()
    for path in (tmp_path / "cloud").rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
            assert b"PFVzZXJQYXNzd29yZD5" not in path.read_bytes(), path  # "<UserPassword>" in base64


def test_machines_are_adopted_after_a_restart_and_started_after_the_hosts(tmp_path: Any) -> None:
    with opened(tmp_path / "cloud") as world:
        world.do("Create Storage Account", bodies.account())
        world.do("Create Cloud Service", bodies.service())
        roles = bodies.role("on"), bodies.role("off")
        world.do(CREATE, bodies.deployment(*roles), service="svc")
        world.do("Shutdown Role", bodies.shutdown("StoppedDeallocated"), **DEPLOYMENT, role="off")
        machine = world.machine("on")
        world.rest()
    with opened(tmp_path / "cloud") as world:
        world.eventually(lambda: world.driver.observe(machine).ready)
        assert (
            world.driver.console(machine).decode().startswith("reddog: simulated machine svc/dep/on, boot 1")
        )
        world.driver.kill(machine)
    with opened(tmp_path / "cloud", boot_id="second") as world:
        world.eventually(lambda: world.driver.observe(machine).ready)
        world.rest()
        assert world.driver.list() == [machine]
        assert (
            world.driver.console(machine).decode().startswith("reddog: simulated machine svc/dep/on, boot 2")
        )


def test_scratch_copies_of_an_earlier_process_are_deleted(tmp_path: Any) -> None:
    with opened(tmp_path / "cloud"):
        left = tmp_path / "cloud" / "storage" / ".copies" / "9-0.vhd"
        left.write_bytes(b"x")
    with opened(tmp_path / "cloud"):
        assert not left.exists()


def test_a_platform_image_may_be_replaced_while_its_machines_live(place: World) -> None:
    place.do(CREATE, bodies.deployment(), service="svc")
    image = place.directory.parent / "tiny.vhd"
    image.unlink()
    place.do("Delete Deployment by name", **DEPLOYMENT)
    make_vhd(image)
