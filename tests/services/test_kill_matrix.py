"""kill -9 at every step of every kind of operation that works on machines and storage, and at random times."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import killing
from certificates import make_client
from reddog import wire
from reddog.fabric.simulated import SimulatedDriver
from reddog.sparse import copy_sparse
from reddog.storage.blobs._index import Index
from reddog.wire import ServiceError
from services import bodies
from services.world import KINDS, World, leaks, opened, url

OPERATION = "b" * 32
INSIDE = 5  # kills inside the steps of each operation
RANDOM = ("primary", "secondary", "private_id", "id")
Summary = dict[str, Any]
Step = Callable[[World], object]


def nothing(world: World) -> None: ...


def accounts(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    world.put_vhd(url("own.vhd"), mark=b"own")


def services(world: World) -> None:
    accounts(world)
    world.do("Create Cloud Service", bodies.service())


def image(world: World) -> None:
    accounts(world)
    world.do("Add OS Image", bodies.os_image("img", url("own.vhd")))


def disk(world: World) -> None:
    accounts(world)
    world.do("Add Disk", bodies.disk("own", url("own.vhd"), os="Linux"))


def disk_and_service(world: World) -> None:
    disk(world)
    world.do("Create Cloud Service", bodies.service())


def networks(world: World) -> None:
    world.do("Set Network Configuration", bodies.networks(bodies.site("old"), bodies.site("kept")))


def machine(world: World, *more: Any) -> None:
    services(world)
    world.do("Add Disk", bodies.disk("own", url("own.vhd")))
    world.do("Create Virtual Machine Deployment", vm_deployment(*more), service="svc")
    world.rest()


def two_machines(world: World) -> None:
    machine(world, bodies.role("other", disk=bodies.system_disk("other.vhd", disk_name="other-os")))


def stopped(world: World) -> None:
    machine(world)
    world.do("Shutdown Role", bodies.shutdown(), service="svc", deployment="dep", role="vm")


def detached(world: World) -> None:
    machine(world)
    world.do("Delete Data Disk", service="svc", deployment="dep", role="vm", lun="1")
    world.rest()


def reserved(world: World) -> None:
    machine(world)
    ip = wire.only(wire.ReservedIP, name="addr", location="West US")
    world.do("Create Reserved IP Address", ip)


def associated(world: World) -> None:
    reserved(world)
    world.do("Associate Reserved IP Address", ASSOCIATION, ip="addr")
    world.rest()


def with_dns_server(world: World) -> None:
    machine(world)
    world.do("Add DNS Server", DNS_SERVER, **DEPLOYMENT)
    world.rest()


def sharing(world: World) -> None:
    """A machine whose endpoint is a load-balanced set's."""
    machine(world)
    world.do("Update Role", updated(configuration_sets=shared_endpoint()), **ROLE)


def shared_endpoint() -> Any:
    shared = bodies.endpoint("web", 8080, 80, load_balanced_endpoint_set_name="web")
    return wire.ConfigurationSets([bodies.network(shared)])


def updated(**values: Any) -> Any:
    return wire.only(wire.PersistentVMRole, role_name="vm", role_type="PersistentVMRole", **values)


def other_endpoints() -> Any:
    network = bodies.network(bodies.endpoint(port=2222), bodies.endpoint("third", 2224))
    return wire.ConfigurationSets([network])


DNS_SERVER = wire.DnsServer("one", "192.0.2.53")
ASSOCIATION = wire.ReservedIPAssociation("svc", "dep")


def vm_deployment(*more: Any, port: int = 2222) -> Any:
    """A new system disk, a new data disk, a disk that is there, and an endpoint."""
    role = bodies.role(
        disk=bodies.system_disk("os.vhd", disk_name="vm-os"),
        data=(bodies.data_disk(0, disk_name="vm-data"), bodies.data_disk(1, None, disk_name="own")),
        network=bodies.network(bodies.endpoint(port=port), bodies.endpoint("second", 2223)),
    )
    return bodies.deployment(role, *more)


def fail_next_start(driver: SimulatedDriver) -> None:
    driver.fail_next_start()


@dataclass
class Case:
    """An operation, what there is before it, and how it must end.

    gone, made: which resources and blobs it takes away, and which it adds. arm: called with the driver whenever
    a process opens the cloud.
    """

    before: Step
    name: str
    body: Callable[[Path], Any] = lambda directory: None
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    status: str = "Succeeded"
    arm: Callable[[SimulatedDriver], object] = lambda driver: None


ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}
DEPLOYMENT = {"service": "svc", "deployment": "dep"}
MEDIA = {"comp": "media"}
SUB = "11111111-2222-3333-4444-555555555555"
VM = ("deployment svc/dep", "role svc/dep/vm", "virtual_ip 127.77.1.1")
VM_DISKS = (f"disk {SUB}/vm-os", f"disk {SUB}/vm-data")
OS_BLOBS = ("blob vhds/os.vhd", "blob vhds/data0.vhd")
DAY = "YYYY-MM-DD"


def certificate(directory: Path) -> Any:
    return certificate_file(make_client(directory, "ssh").certificate.der, "cer")


def private_key(directory: Path) -> Any:
    """The certificate of `certificate.cer`, with its private key."""
    made = make_client(directory, "ssh")
    (directory / "certificate.cer").write_bytes(made.certificate.der)
    return certificate_file(made.pfx("secret"), "pfx")


def certificate_file(data: bytes, form: str) -> Any:
    encoded = base64.b64encode(data).decode()
    return wire.only(wire.CertificateFile, data=encoded, certificate_format=form, password="secret")


def without_private_key(world: World) -> None:
    services(world)
    public = (world.directory.parent / "certificate.cer").read_bytes()
    world.do("Add Service Certificate", certificate_file(public, "cer"), service="svc")


CASES: dict[str, Case] = {
    "create storage account": Case(
        nothing,
        "Create Storage Account",
        lambda directory: bodies.account(),
        made=("storage_account acct",),
    ),
    "delete storage account": Case(
        accounts,
        "Delete Storage Account",
        params={"account": "acct"},
        gone=("storage_account acct", "blob vhds/own.vhd"),
    ),
    "regenerate keys": Case(
        accounts,
        "Regenerate Storage Account Keys",
        lambda directory: wire.only(wire.RegenerateKeys, key_type="Primary"),
        params={"account": "acct"},
    ),
    "create cloud service": Case(
        nothing, "Create Cloud Service", lambda directory: bodies.service(), made=("hosted_service svc",)
    ),
    "add service certificate": Case(
        services,
        "Add Service Certificate",
        certificate,
        params={"service": "svc"},
        made=("service_certificate",),
    ),
    "add a private key": Case(
        without_private_key,
        "Add Service Certificate",
        private_key,
        params={"service": "svc"},
        made=("private key",),
    ),
    "add OS image": Case(
        accounts,
        "Add OS Image",
        lambda directory: bodies.os_image("img", url("own.vhd")),
        made=(f"os_image {SUB}/img",),
    ),
    "delete OS image": Case(image, "Delete OS Image", params={"image": "img"}, gone=(f"os_image {SUB}/img",)),
    "delete OS image and blob": Case(
        image,
        "Delete OS Image",
        params={"image": "img"},
        query=MEDIA,
        gone=(f"os_image {SUB}/img", "blob vhds/own.vhd"),
    ),
    "replicate OS image": Case(
        image,
        "Replicate OS Image",
        lambda directory: wire.ReplicationInput(target_locations=["West US"]),
        params={"image": "img"},
    ),
    "set network configuration": Case(
        networks,
        "Set Network Configuration",
        lambda directory: bodies.networks(bodies.site("kept", "sub=10.1.0.0/16"), bodies.site("new")),
        gone=(f"virtual_network_site {SUB}/old",),
        made=(f"virtual_network_site {SUB}/new",),
    ),
    "create VM image": Case(
        accounts,
        "Create VM Image",
        lambda directory: bodies.vm_image("img", url("own.vhd")),
        made=(f"vm_image {SUB}/img",),
    ),
    "add disk": Case(
        accounts,
        "Add Disk",
        lambda directory: bodies.disk("own", url("own.vhd")),
        made=(f"disk {SUB}/own",),
    ),
    "delete disk": Case(disk, "Delete Disk", params={"disk": "own"}, gone=(f"disk {SUB}/own",)),
    "delete disk and blob": Case(
        disk,
        "Delete Disk",
        params={"disk": "own"},
        query=MEDIA,
        gone=(f"disk {SUB}/own", "blob vhds/own.vhd"),
    ),
    "create deployment": Case(
        disk_and_service,
        "Create Virtual Machine Deployment",
        lambda directory: vm_deployment(),
        params={"service": "svc"},
        made=(*VM, *VM_DISKS, *OS_BLOBS),
    ),
    "create deployment, which fails": Case(
        disk_and_service,
        "Create Virtual Machine Deployment",
        lambda directory: vm_deployment(port=2223),
        params={"service": "svc"},
        status="Failed",
    ),
    "delete deployment": Case(machine, "Delete Deployment by name", params=DEPLOYMENT, gone=VM),
    "delete deployment and media": Case(
        machine,
        "Delete Deployment by name",
        params=DEPLOYMENT,
        query=MEDIA,
        gone=(*VM, *VM_DISKS, *OS_BLOBS, f"disk {SUB}/own", "blob vhds/own.vhd"),
    ),
    "delete service and media": Case(
        machine,
        "Delete Cloud Service and its media",
        params={"service": "svc"},
        query=MEDIA,
        gone=(*VM, *VM_DISKS, *OS_BLOBS, f"disk {SUB}/own", "blob vhds/own.vhd", "hosted_service svc"),
    ),
    "add role": Case(
        machine,
        "Add Role",
        lambda directory: bodies.role("more", disk=bodies.system_disk("more.vhd", disk_name="more-os")),
        params=DEPLOYMENT,
        made=("role svc/dep/more", f"disk {SUB}/more-os", "blob vhds/more.vhd"),
    ),
    "delete role": Case(two_machines, "Delete Role", params=ROLE, gone=("role svc/dep/vm",)),
    "stop role": Case(machine, "Shutdown Role", lambda directory: bodies.shutdown("Stopped"), params=ROLE),
    "deallocate role": Case(
        machine, "Shutdown Role", lambda directory: bodies.shutdown("StoppedDeallocated"), params=ROLE
    ),
    "start role": Case(stopped, "Start Role", lambda directory: bodies.start(), params=ROLE),
    "start role, which fails": Case(
        stopped,
        "Start Role",
        lambda directory: bodies.start(),
        params=ROLE,
        status="Failed",
        arm=fail_next_start,
    ),
    "restart role": Case(machine, "Restart Role", lambda directory: bodies.restart(), params=ROLE),
    "add data disk": Case(
        detached,
        "Add Data Disk",
        lambda directory: bodies.data_disk(5, disk_name="more"),
        params=ROLE,
        made=(f"disk {SUB}/more", "blob vhds/data5.vhd"),
    ),
    "attach data disk": Case(
        detached, "Add Data Disk", lambda directory: bodies.data_disk(5, None, disk_name="own"), params=ROLE
    ),
    "detach data disk": Case(machine, "Delete Data Disk", params={**ROLE, "lun": "1"}),
    "delete data disk": Case(
        machine,
        "Delete Data Disk",
        params={**ROLE, "lun": "1"},
        query=MEDIA,
        gone=(f"disk {SUB}/own", "blob vhds/own.vhd"),
    ),
    "change endpoints": Case(
        machine,
        "Update Role",
        lambda directory: updated(configuration_sets=other_endpoints()),
        params=ROLE,
    ),
    "change size": Case(machine, "Update Role", lambda directory: updated(role_size="Medium"), params=ROLE),
    "associate reserved IP": Case(
        reserved, "Associate Reserved IP Address", lambda directory: ASSOCIATION, params={"ip": "addr"}
    ),
    "disassociate reserved IP": Case(
        associated,
        "Disassociate Reserved IP Address",
        lambda directory: ASSOCIATION,
        params={"ip": "addr"},
    ),
    "add DNS server": Case(machine, "Add DNS Server", lambda directory: DNS_SERVER, params=DEPLOYMENT),
    "delete DNS server": Case(
        with_dns_server, "Delete DNS Server", params={**DEPLOYMENT, "dns_server": "one"}
    ),
    "join a load-balanced set": Case(
        sharing,
        "Add Role",
        lambda directory: bodies.role(
            "other",
            disk=bodies.system_disk("other.vhd", disk_name="other-os"),
            network=shared_endpoint()[0],
        ),
        params=DEPLOYMENT,
        made=("role svc/dep/other", f"disk {SUB}/other-os", "blob vhds/other.vhd"),
    ),
    "capture specialized": Case(
        machine,
        "Capture VM Image",
        lambda directory: bodies.capture("cap"),
        params=ROLE,
        made=(
            f"vm_image {SUB}/cap",
            *(f"blob vhds/cap-{part}-{DAY}.vhd" for part in ("os", "datadisk-0", "datadisk-1")),
        ),
    ),
    "capture generalized": Case(
        stopped,
        "Capture VM Image",
        lambda directory: bodies.capture("cap", "Generalized"),
        params=ROLE,
        gone=VM,
        made=(
            f"vm_image {SUB}/cap",
            *(f"blob vhds/cap-{part}-{DAY}.vhd" for part in ("os", "datadisk-0", "datadisk-1")),
        ),
    ),
    "capture role and set it up anew": Case(
        stopped,
        "Capture Role",
        lambda directory: bodies.capture_role("cap", "Reprovision", bodies.linux(host_name="renamed")),
        params=ROLE,
        made=(f"os_image {SUB}/cap", f"blob vhds/cap-os-{DAY}.vhd"),
    ),
    "capture role": Case(
        stopped,
        "Capture Role",
        lambda directory: bodies.capture_role("cap"),
        params=ROLE,
        gone=VM,
        made=(f"os_image {SUB}/cap", f"blob vhds/cap-os-{DAY}.vhd"),
    ),
}


def summary(world: World) -> Summary:
    """Everything that there is, but for what is random."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        for row in world.rows(kind):
            goal = {key: value for key, value in row.goal.items() if key not in RANDOM}
            key = "" if kind == "service_certificate" else f" {row.key}"
            found[f"{kind}{key}"] = (json.dumps(goal, sort_keys=True), row.parent, row.failure)
    for row in world.rows("service_certificate"):
        if row.state["private_key"]:
            found["private key"] = row.state["private_key"]
    for account in world.rows("storage_account"):
        found |= {f"blob {name}": leased for name, leased in world.blobs(account.key).items()}
    for machine_id in world.driver.list():
        state = world.driver.observe(machine_id)
        found[f"machine {machine_id}"] = (state.power, world.driver.spec(machine_id).forwards)
    return {_undated(key): _undated(value) for key, value in found.items()}


def _undated(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_undated(one) for one in value)
    if not isinstance(value, str):
        return value
    value = re.sub(r"\b[0-9a-f]{32}\b", "ID", re.sub(r"\d{4}-\d\d-\d\d", DAY, value))
    return re.sub(r"\b10\.\d+\.\d+\.", "10.X.Y.", value)


def perform(case: Case, body: Any, directory: Path, checkpoint: killing.Checkpoint) -> None:
    with opened(directory, checkpoint=checkpoint, workers=2, boot_time=0.005, arm=case.arm) as world:
        if world.services.engine.operation(OPERATION) is None:
            world.call(case.name, body, id=OPERATION, query=case.query, **case.params)
        world.services.engine.wait(OPERATION, killing.LIMIT)
        world.rest()


def look(directory: Path) -> tuple[str, Summary, list[str]]:
    """How the operation ended, what there is, and what does not belong there."""
    with opened(directory) as world:
        record = world.services.engine.operation(OPERATION)
        world.rest()
        return record.status if record else "", summary(world), leaks(world)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_killed_between_two_steps_ends_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    with prepared(CASES[name], tmp_path) as (scenario, verify, seen):
        assert killing.matrix(scenario, verify, tmp_path) >= 2
    assert all(found == seen[-1] for found in seen)  # the last one was not killed


@pytest.mark.parametrize("name", CASES)
def test_an_operation_killed_inside_a_step_ends_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    """At some of the changes of files and of accounts' indexes; at others the next time."""
    with prepared(CASES[name], tmp_path) as (plain, verify, seen):

        def scenario(directory: Path, checkpoint: killing.Checkpoint) -> None:
            def watched() -> None:
                killing.watch_effects(directory, checkpoint)
                transaction = Index.transaction

                def counted(index: Index, *, write: bool = False) -> AbstractContextManager[list[str]]:
                    if write:
                        checkpoint("index")
                    return transaction(index, write=write)

                Index.transaction = counted  # type: ignore[method-assign]

            plain(directory, lambda name: None, watched)

        killing.sample(scenario, verify, tmp_path, kills=INSIDE)
    assert all(found == seen[0] for found in seen)


@contextmanager
def prepared(case: Case, tmp_path: Path) -> Iterator[tuple[Any, Callable[[Path], None], list[Summary]]]:
    """The scenario of a case, how it must end, and the list of what each run left."""
    body = case.body(tmp_path)
    before = tmp_path / "before"
    with opened(before) as world:
        case.before(world)
        world.rest()
        old = summary(world)
        assert leaks(world) == []
    expected = (set(old) - set(case.gone)) | set(case.made)

    def scenario(
        directory: Path, checkpoint: killing.Checkpoint, ready: Callable[[], None] = lambda: None
    ) -> None:
        if not (directory / "data").exists():
            copy(before, directory)
        ready()
        perform(case, body, directory, checkpoint)

    seen: list[Summary] = []

    def verify(directory: Path) -> None:
        status, found, wrong = look(directory)
        assert status == case.status
        assert wrong == []
        assert {key for key in found if not key.startswith("machine ")} == {
            key for key in expected if not key.startswith("machine ")
        }
        seen.append(found)

    yield scenario, verify, seen


def _copy_sparse(source: str, target: str) -> None:
    with suppress(FileExistsError):
        copy_sparse(Path(source), Path(target))


def copy(before: Path, directory: Path) -> None:
    """Copy a cloud; its machines' files lie in the copy, too."""
    shutil.copytree(before, directory, dirs_exist_ok=True, copy_function=_copy_sparse)
    for path in (directory / "machines").glob("*/machine.json"):
        path.write_text(path.read_text().replace(f"{before}/", f"{directory}/"))


@pytest.mark.slow
def test_a_cloud_that_is_killed_at_random_times_leaks_nothing(tmp_path: Path) -> None:
    def scenario(directory: Path, checkpoint: killing.Checkpoint) -> None:
        with opened(directory, checkpoint=checkpoint, workers=3, boot_time=0.005) as world:
            world.rest()
            for name, body in (
                ("Create Storage Account", bodies.account()),
                ("Create Cloud Service", bodies.service()),
            ):
                with suppress(ServiceError):
                    world.do(name, body)
            done = len(world.store.read(lambda reader: reader.operations(SUB)))
            for number in range(done, 500):
                _change_something(world, number)
            world.rest()

    def verify(directory: Path) -> None:
        with opened(directory) as world:
            world.rest()
            assert leaks(world) == []
            records = world.store.read(lambda reader: reader.operations(SUB))
            assert len({record.name for record in records if record.status == "Succeeded"}) >= 7

    assert killing.soak(scenario, verify, tmp_path, seconds=15, longest=0.5) >= 5


def _change_something(world: World, number: int) -> None:
    data = bodies.data_disk(0, media_link=url(f"{number}-data.vhd"))
    role = bodies.role("vm", disk=bodies.system_disk(f"{number}.vhd"), data=(data,) * (number % 2))
    choices = (
        ("Create Virtual Machine Deployment", bodies.deployment(role), {"service": "svc"}, {}),
        ("Create Virtual Machine Deployment", bodies.deployment(role), {"service": "svc"}, {}),
        ("Shutdown Role", bodies.shutdown(), ROLE, {}),
        ("Start Role", bodies.start(), ROLE, {}),
        ("Restart Role", bodies.restart(), ROLE, {}),
        ("Capture VM Image", bodies.capture(f"img{number}"), ROLE, {}),
        ("Capture VM Image", bodies.capture(f"img{number}", "Generalized"), ROLE, {}),
        ("Delete Deployment by name", None, DEPLOYMENT, MEDIA),
        ("Delete Deployment by name", None, DEPLOYMENT, {}),
        ("Delete VM Image", None, {"image": f"img{number - 3}"}, MEDIA),
    )
    name, body, params, query = random.choice(choices)
    with suppress(ServiceError):
        world.ended(world.begin(name, body, query=query, **params))
