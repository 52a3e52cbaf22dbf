"""Services on a simulated fabric, driven as the front end drives them, and a look at what they leave behind."""

from __future__ import annotations

import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from reddog import vhd
from reddog.engine import EngineSettings, Locked, OperationRecord, Resource
from reddog.fabric.simulated import SimulatedDriver
from reddog.services import (
    Call,
    PlatformImage,
    Reply,
    Services,
    ServicesSettings,
    _instance_reconciler,
    _role_reconciler,
    _upgrade,
    _virtual_ips,
)
from reddog.storage import BlobAddress, Storage
from reddog.storage.blobs._index import Blob
from reddog.store import Store
from reddog.wire import OPERATIONS, ServiceError, decode, encode

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
MIB = 1 << 20
GIB = 1 << 30
IMAGE = "tiny-linux"
PATIENCE = 20.0
LASTING = 5.0  # seconds for which a leak is there to be one
RESOURCES = (
    "affinity_group",
    "hosted_service",
    "storage_account",
    "disk",
    "os_image",
    "vm_image",
    "deployment",
    "role",
    "role_instance",
    "package",
)
KINDS = (
    *RESOURCES,
    "virtual_ip",
    "service_certificate",
    "reserved_ip",
    "network_configuration",
    "virtual_network_site",
)


def url(blob: str, account: str = "acct", container: str = "vhds") -> str:
    """A media link."""
    return f"https://{account}.blob.core.windows.net/{container}/{blob}"


def make_vhd(path: Path, size: int = MIB, mark: bytes = b"") -> Path:
    """A fixed VHD that begins with some bytes."""
    with path.open("wb") as file:
        file.write(mark)
        file.truncate(size)
    vhd.write_footer(path)
    return path


@dataclass
class World:
    """A cloud without its front end. Everything that was answered is kept in `answers`."""

    directory: Path
    store: Store
    storage: Storage
    driver: SimulatedDriver
    services: Services
    answers: list[bytes] = field(default_factory=list)

    # -- Calls ---------------------------------------------------------------------------------------------

    def call(
        self,
        name: str,
        body: Any = None,
        /,
        *,
        id: str | None = None,
        subscription: str = SUBSCRIPTION,
        query: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        **params: str,
    ) -> Any:
        """Call an operation as the front end does, and wait for locks as it does; returns the reply's body.

        Names of placeholders have underscores for hyphens. The request goes through the codec and back.
        """
        operation = OPERATIONS[name]
        if body is not None and not isinstance(body, bytes):
            assert operation.request is not None
            body = decode(operation.request, encode(body, operation.request_root), strict=True)
        call = Call(
            operation=operation,
            subscription=subscription,
            request_id=id or uuid.uuid4().hex,
            version="2015-04-01",
            params={key.replace("_", "-"): value for key, value in params.items()},
            query=query or {},
            body=body,
        )
        return self._answer(call, patience).body

    def _answer(self, call: Call, patience: float) -> Reply:
        end = time.monotonic() + patience
        while True:
            try:
                reply = self.services.handlers[call.operation.name](call)
                break
            except Locked:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        if reply.body is not None and not isinstance(reply.body, bytes | Iterator):
            self.answers.append(encode(reply.body, reply.root, response=True))
        return reply

    def begin(self, name: str, body: Any = None, /, **values: Any) -> str:
        """Call an operation, and return its id at once."""
        id = uuid.uuid4().hex
        self.call(name, body, id=id, **values)
        return id

    def ended(self, id: str) -> OperationRecord:
        """The operation when it has closed."""
        record = self.services.engine.wait(id, PATIENCE)
        self.call("Get Operation Status", request_id=id, subscription=record.subscription)
        return record

    def do(self, name: str, body: Any = None, /, **values: Any) -> OperationRecord:
        """Have an operation succeed."""
        record = self.ended(self.begin(name, body, **values))
        assert record.status == "Succeeded", record.failure
        return record

    def fails(self, name: str, body: Any = None, /, **values: Any) -> tuple[str, str]:
        """Have an accepted operation fail; returns code and message."""
        record = self.ended(self.begin(name, body, **values))
        assert record.status == "Failed"
        assert record.failure is not None
        return record.failure["code"], record.failure["message"]

    def refuses(self, code: str, name: str, body: Any = None, /, **values: Any) -> str:
        """Have a call refused with this code, and leave no operation behind; returns the message."""
        id = uuid.uuid4().hex
        with pytest.raises(ServiceError) as caught:
            self.call(name, body, id=id, **values)
        assert caught.value.code == code, caught.value
        assert self.services.engine.operation(id) is None
        return caught.value.message

    # -- Looking inside ------------------------------------------------------------------------------------

    def rows(self, kind: str) -> list[Resource]:
        return self.store.read(lambda reader: reader.list(kind))

    def row(self, kind: str, key: str) -> Resource | None:
        return self.store.read(lambda reader: reader.get(kind, key.lower()))

    def machine(self, role: str, place: str = "svc/dep") -> str:
        """The id of a role's machine."""
        row = self.row("role", f"{place}/{role}")
        assert row is not None
        return f"vm-{row.uid}"

    def blobs(self, account: str = "acct") -> dict[str, bool]:
        """The blobs of an account, and whether they are leased."""
        return {f"{blob.container}/{blob.name}": bool(blob.lease) for blob in self._blobs(account)}

    def _blobs(self, account: str) -> list[Blob]:
        index = self.storage.find(account).index
        with index.transaction():
            found = [index.blobs(one.name, "", "", 1000) for one in index.containers("", "", 1000)]
        return [blob for blobs in found for blob in blobs]

    def read_disk(self, link: str, length: int) -> bytes:
        """The first bytes of a blob's disk."""
        with self.storage.page_file(self.storage.parse_url(link)).open("rb") as file:
            return file.read(length)

    def put_vhd(self, link: str, size: int = MIB, mark: bytes = b"") -> str:
        """Upload a fixed VHD; returns its media link."""
        address = self.storage.parse_url(link)
        self.storage.ensure_container(address.account, address.container)
        source = make_vhd(self.directory / f"{uuid.uuid4().hex}.vhd", size, mark)
        self.storage.copy_in(source, address, lease_id=None)
        source.unlink()
        return link

    def put_blob(self, link: str, data: bytes, type: str = "PageBlob") -> str:
        """Upload any bytes; returns the media link."""
        address: BlobAddress = self.storage.parse_url(link)
        self.storage.ensure_container(address.account, address.container)
        account = self.storage.find(address.account)
        file, path = account.new_file()
        path.write_bytes(data)
        segments: list[list[object]] = [[file, 0, len(data)]]
        account.put(Blob(address.container, address.blob, type, size=len(data), segments=segments))
        return link

    def eventually(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it has not become so"
            time.sleep(0.01)

    def rest(self) -> None:
        """Wait until nothing is under way; updates of packages that wait for somebody may wait on."""
        self.eventually(lambda: not self.store.read(lambda reader: reader.running()))
        self.eventually(lambda: not self._walking() and not self._moving())
        self.eventually(lambda: not self.store.read(lambda reader: reader.unsettled(0, 1)))

    def _moving(self) -> list[str]:
        """Instances whose endpoints are not at their deployment's address yet."""
        rows, address_of = self.rows("role_instance"), _virtual_ips.address_of
        address = {row.parent: self.store.read(lambda r, row=row: address_of(r, row.parent)) for row in rows}
        return [
            row.key
            for row in rows
            if any(entry[4] != address[row.parent] for entry in row.state.get("endpoints", ()))
            and row.goal["running"]
        ]

    def _walking(self) -> list[str]:
        """Deployments with instances that are to change by themselves."""
        return [row.key for row in self.rows("deployment") if _upgrade.is_underway(row, self._let_go(row))]

    def _let_go(self, deployment: Resource) -> list[Resource]:
        """The instances of a deployment that wait for nobody but each other."""
        found = [one for one in self.rows("role_instance") if one.parent == deployment.key]
        upgrade = deployment.goal.get("upgrade")
        if upgrade is not None and upgrade["type"] == "Manual" and deployment.goal["running"]:
            return [one for one in found if one.goal["upgrade_domain"] < upgrade["walked"]]
        return found


def platform_image(directory: Path) -> PlatformImage:
    path = directory / "tiny.vhd"
    if not path.exists():
        make_vhd(path, MIB, b"platform")
    published = datetime(2026, 1, 1, tzinfo=UTC)
    return PlatformImage(
        IMAGE, "Tiny Linux", "Linux", "Tiny", "reddog", "A tiny Linux.", published, MIB, path
    )


@contextmanager
def opened(
    directory: Path,
    *,
    checkpoint: Callable[[str], None] = lambda name: None,
    boot_time: float = 0.02,
    boot_id: str = "first",
    workers: int = 4,
    arm: Callable[[SimulatedDriver], object] = lambda driver: None,
) -> Iterator[World]:
    """Open the world of a directory, as it was left; `arm` gets the driver before anything happens."""
    directory.mkdir(exist_ok=True)
    store = Store(directory / "data")
    storage = Storage(directory / "storage", domains=("core.localhost", "core.windows.net"))
    driver = SimulatedDriver(directory / "machines", boot_time=boot_time)
    arm(driver)
    settings = ServicesSettings(
        base_url="https://localhost:1",
        endpoints=lambda name: [
            f"https://{name}.{kind}.core.windows.net/" for kind in ("blob", "queue", "table")
        ],
        platform_images=[platform_image(directory.parent)],
        networks=["127.77.1"],
        boot_id=boot_id,
        scratch=directory / "storage" / ".copies",
        role_files=directory / "roles",
        engine=EngineSettings(workers=workers),
    )
    services = Services(store, storage, driver, settings, checkpoint=checkpoint)
    with (
        mock.patch.object(_role_reconciler, "READY_POLL", 0.02),
        mock.patch.object(_instance_reconciler, "HEAL_PAUSE", 0.05),
    ):
        services.start()
        try:
            yield World(directory, store, storage, driver, services)
        finally:
            services.stop()
        driver.close()
        storage.close()
        store.close()


# -- Leaks -------------------------------------------------------------------------------------------------


def leaks(world: World) -> list[str]:
    """What does not belong to anything, or is not as the resources say, and stays so.

    A cloud that has just started looks at its machines in the background, and mends what it finds.
    """
    end = time.monotonic() + LASTING
    while (found := _leaks(world)) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def _leaks(world: World) -> list[str]:
    rows = {kind: world.rows(kind) for kind in KINDS}
    return [
        *_unfinished(world, rows),
        *_wrong_machines(world, rows),
        *_wrong_addresses(rows),
        *_wrong_disks(rows),
        *_wrong_leases(world, rows),
        *_wrong_files(world, rows),
        *_wrong_role_files(world, rows),
    ]


Rows = Mapping[str, list[Resource]]


def _unfinished(world: World, rows: Rows) -> Iterator[str]:
    for kind in KINDS:
        for row in rows[kind]:
            if row.operation or row.back or not row.settled or not row.present:
                yield f"{row.ref} is unfinished or locked"
            parents = ("role", "role_instance", "package", "deployment", "service_certificate")
            if kind in parents and not any(
                row.parent == other.key for other in (*rows["deployment"], *rows["hosted_service"])
            ):
                yield f"{row.ref} belongs to nothing"
    yield from (f"operation {one.name} runs" for one in world.store.read(lambda reader: reader.running()))


def _wrong_machines(world: World, rows: Rows) -> Iterator[str]:
    expected = {f"vm-{row.uid}": row.goal["power"] for row in rows["role"]}
    expected = {machine: power for machine, power in expected.items() if power != "deallocated"}
    instances = {f"ri-{row.uid}": row.goal["running"] for row in rows["role_instance"]}
    running = {one for one in world.driver.list() if world.driver.observe(one).power == "running"}
    expected |= {
        one: "any" for one in instances if one in world.driver.list()
    }  # suspended ones may have none
    if {one for one in instances if instances[one]} != {one for one in running if one.startswith("ri-")}:
        yield f"running are {running}, instances are {instances}"
    if sorted(expected) != world.driver.list():
        yield f"machines {world.driver.list()}, not {sorted(expected)}"
    specs = [world.driver.spec(machine) for machine in world.driver.list()]
    forwards = [forward for spec in specs for forward in spec.forwards]
    alone = [(one.address, one.port, one.protocol) for one in forwards if one.probe is None]
    shared = {(one.address, one.port, one.protocol) for one in forwards if one.probe is not None}
    if len({*alone, *shared}) != len(alone) + len(shared):
        yield f"ports are used twice: {alone}, {shared}"
    seats = [(spec.network.id, spec.network.address) for spec in specs if spec.network]
    if len(set(seats)) != len(specs):
        yield f"addresses are used twice, or a machine has none: {seats}"


def _wrong_addresses(rows: Rows) -> Iterator[str]:
    given = sorted(row.parent for row in rows["virtual_ip"] if row.parent is not None)  # others are reserved
    if given != sorted(row.key for row in rows["deployment"]):
        yield f"virtual IPs belong to {given}"


def _wrong_disks(rows: Rows) -> Iterator[str]:
    attached = {row.goal["name"].lower(): row.goal["attached"] for row in rows["disk"]}
    used = {disk["name"].lower(): row.key for row in rows["role"] for disk in row.goal["disks"]}
    found = {name: where["key"] for name, where in attached.items() if where}
    if used != found:
        yield f"disks are attached to {found}, but roles use {used}"


def _wrong_leases(world: World, rows: Rows) -> Iterator[str]:
    held = [
        media
        for kind in ("disk", "os_image", "vm_image")
        for row in rows[kind]
        for media in row.goal["media"]
    ]
    expected = sorted(f"{one['account']}/{one['container']}/{one['blob']}" for one in held)
    found = [
        f"{row.key}/{name}"
        for row in rows["storage_account"]
        for name, leased in world.blobs(row.key).items()
        if leased
    ]
    if expected != sorted(found):
        yield f"leased are {sorted(found)}, not {expected}"


def _wrong_files(world: World, rows: Rows) -> Iterator[str]:
    root = world.directory / "storage"
    expected = sorted(row.key for row in rows["storage_account"])
    there = sorted(path.name for path in root.iterdir() if path.name != ".copies")
    if there != expected:
        yield f"account directories {there}, not {expected}"
    for left in (root / ".copies").iterdir():
        yield f"scratch copy {left.name}"
    for name in expected:
        index = world.storage.find(name).index
        with index.transaction():
            known = index.files()
        files = {path.name for path in (root / name / "data").glob("*/*")}
        if files != known:
            yield f"files of {name}: {sorted(files ^ known)}"
        keys = world.storage.find(name).keys
        row = world.row("storage_account", name)
        if row is None or keys != (row.goal["primary"], row.goal["secondary"]):
            yield f"keys of {name}"


def _wrong_role_files(world: World, rows: Rows) -> Iterator[str]:
    root = world.directory / "roles"
    packages = sorted(path.name for path in (root / "packages").iterdir())
    if packages != sorted(row.key for row in rows["package"]):
        yield f"packages {packages}"
    instances = sorted(path.name for path in (root / "instances").iterdir())
    if instances != sorted(f"ri-{row.uid}" for row in rows["role_instance"]):
        yield f"files of instances {instances}"
    for row in rows["package"]:
        expected = sorted(f"{role.lower()}.tar" for role in row.goal["roles"])
        there = sorted(path.name for path in (root / "packages" / row.key).iterdir())
        if there != expected:
            yield f"files of the package {row.key}: {there}"
    for row in rows["role_instance"]:
        if row.state.get("boot_id") is not None:
            yield from _wrong_certificates(root / "instances" / f"ri-{row.uid}" / "settings.tar", row)
    yield from (f"draft {path}" for path in root.rglob("*.partial"))


def _wrong_certificates(settings: Path, row: Resource) -> Iterator[str]:
    named = {one["thumbprint"] for one in row.state["applied"]["certificates"]}
    with tarfile.open(settings) as archive:
        told = {Path(name).stem for name in archive.getnames() if name.endswith(".crt")}
    if told != named:
        yield f"{row.ref} was told of the certificates {told}, not {named}"
    if settings.stat().st_mode & 0o077:
        yield f"others can read {settings}"
