"""Random calls against a small model: after each, the services list what the model holds, and nothing leaks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reddog.wire import DataVirtualHardDisk, ReservedIP, ReservedIPAssociation, ServiceError, only
from services import bodies
from services.world import IMAGE, SUBSCRIPTION, World, leaks, opened, url

SERVICES = st.sampled_from(["svc-a", "svc-b"])
ACCOUNTS = st.sampled_from(["aaaa", "bbbb"])
DISKS = st.sampled_from(["disk-1", "disk-2", "disk-3"])
SLOTS = st.sampled_from(["Production", "Staging"])
LUNS = st.sampled_from([0, 1])  # as many data disks as a Small role may have
IPS = st.sampled_from(["ip-1", "ip-2"])
IMAGES = st.sampled_from(["image-1", "image-2"])
PLACES = st.runner().flatmap(lambda model: likely(model.deployments, st.tuples(SERVICES, SLOTS)))
KNOWN_IPS = st.runner().flatmap(lambda model: likely(model.ips, IPS))
ATTACHED = st.runner().flatmap(
    lambda model: likely(
        [(place, lun) for place, used in model.deployments.items() for lun in used if lun is not None],
        st.tuples(PLACES, LUNS),
    )
)
FREE_DISKS = st.runner().flatmap(
    lambda model: likely([name for name, (_, user) in model.disks.items() if user is None], DISKS)
)
CREATE = "Create Virtual Machine Deployment"
STATUS = {"started": "ReadyRole", "stopped": "StoppedVM", "deallocated": "StoppedDeallocated"}
ENOUGH = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def likely(there: Iterable[Any], others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is there, mostly, so that calls get beyond its being there."""
    found = sorted(there)
    return st.one_of(st.sampled_from(found), st.sampled_from(found), others) if found else others


def machine(place: tuple[str, str]) -> dict[str, str]:
    """The machine of a deployment, as calls name it."""
    service, slot = place
    return {"service": service, "deployment": slot, "role": "vm"}


class Model(RuleBasedStateMachine):
    """Accounts and services by name; disks: account and user by name; deployments by place: their disks by LUN (None:
    the system's); power: of each deployment's machine; reserved IPs: user by name; images: account by name."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="reddog-model-"))
        self._opened = opened(self.directory / "cloud")
        self.world: World = self._opened.__enter__()
        self.accounts: set[str] = set()
        self.services: set[str] = set()
        self.disks: dict[str, tuple[str, tuple[str, str] | None]] = {}
        self.deployments: dict[tuple[str, str], dict[int | None, str]] = {}
        self.power: dict[tuple[str, str], str] = {}
        self.ips: dict[str, tuple[str, str] | None] = {}
        self.images: dict[str, str] = {}
        self.captured: dict[str, str] = {}
        self.blobs: set[str] = set()

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)
        shutil.rmtree(self.directory)

    def attempt(self, allowed: bool, name: str, body: Any = None, **values: Any) -> bool:
        """Call an operation that must succeed just when the model allows it."""
        try:
            self.world.do(name, body, **values)
        except ServiceError as error:
            refusal = error
        else:
            assert allowed, f"{name} {values} should have been refused"
            return True
        assert not allowed, (name, values, refusal)
        assert refusal.status in (400, 404, 409)
        return False

    @initialize()
    def begin(self) -> None:
        """With enough there that most calls can succeed."""
        self.create_account("aaaa")
        self.create_service("svc-a")
        self.add_disk("disk-1", "aaaa")
        self.add_disk("disk-2", "aaaa")
        self.create_ip("ip-1")
        self.add_image("image-1", "aaaa")
        self.create_deployment("svc-a", "Production", "disk-1", "aaaa", None, None)

    @rule(name=ACCOUNTS)
    def create_account(self, name: str) -> None:
        if self.attempt(name not in self.accounts, "Create Storage Account", bodies.account(name)):
            self.accounts.add(name)

    @rule(name=ACCOUNTS)
    def delete_account(self, name: str) -> None:
        used = name in {*self.images.values(), *(account for account, _ in self.disks.values())}
        if self.attempt(name in self.accounts and not used, "Delete Storage Account", account=name):
            self.accounts.remove(name)
            self.blobs = {blob for blob in self.blobs if not blob.startswith(f"{name}/")}

    @rule(name=SERVICES)
    def create_service(self, name: str) -> None:
        if self.attempt(name not in self.services, "Create Cloud Service", bodies.service(name)):
            self.services.add(name)

    @rule(name=SERVICES)
    def delete_service(self, name: str) -> None:
        used = name in {service for service, _ in self.deployments}
        if self.attempt(name in self.services and not used, "Delete Cloud Service", service=name):
            self.services.remove(name)

    @rule(name=SERVICES)
    def delete_service_and_media(self, name: str) -> None:
        if self.attempt(
            name in self.services, "Delete Cloud Service and its media", service=name, query={"comp": "media"}
        ):
            self.services.remove(name)
            for place in [place for place in self.deployments if place[0] == name]:
                self.forget(place, delete=True)

    @rule(name=DISKS, account=ACCOUNTS)
    def add_disk(self, name: str, account: str) -> None:
        blob = f"{account}/vhds/{name}.vhd"
        link = url(f"{name}.vhd", account)
        if account in self.accounts and blob not in self.blobs:
            self.world.put_vhd(link)
            self.blobs.add(blob)
        if self.attempt(
            account in self.accounts and name not in self.disks,
            "Add Disk",
            bodies.disk(name, link, os="Linux"),
        ):
            self.disks[name] = account, None

    @rule(name=DISKS, media=st.booleans())
    def delete_disk(self, name: str, media: bool) -> None:
        allowed = name in self.disks and self.disks[name][1] is None
        query = {"comp": "media"} if media else {}
        if self.attempt(allowed, "Delete Disk", disk=name, query=query):
            account, _ = self.disks.pop(name)
            if media:
                self.blobs.remove(f"{account}/vhds/{name}.vhd")

    @rule(name=IMAGES, account=ACCOUNTS)
    def add_image(self, name: str, account: str) -> None:
        blob = f"{account}/vhds/{name}.vhd"
        link = url(f"{name}.vhd", account)
        if account in self.accounts and blob not in self.blobs:
            self.world.put_vhd(link)
            self.blobs.add(blob)
        allowed = account in self.accounts and name not in self.images
        if self.attempt(allowed, "Add OS Image", bodies.os_image(name, link)):
            self.images[name] = account

    @rule(name=IMAGES, media=st.booleans())
    def delete_image(self, name: str, media: bool) -> None:
        query = {"comp": "media"} if media else {}
        if self.attempt(name in self.images, "Delete OS Image", image=name, query=query):
            account = self.images.pop(name)
            blob = self.captured.pop(name, f"{account}/vhds/{name}.vhd")
            if media:
                self.blobs.remove(blob)

    @rule(name=IPS)
    def create_ip(self, name: str) -> None:
        body = only(ReservedIP, name=name, location="West US")
        if self.attempt(name not in self.ips, "Create Reserved IP Address", body):
            self.ips[name] = None

    @rule(name=KNOWN_IPS)
    def delete_ip(self, name: str) -> None:
        allowed = name in self.ips and self.ips[name] is None
        if self.attempt(allowed, "Delete Reserved IP Address", ip=name):
            del self.ips[name]

    @rule(name=KNOWN_IPS, place=PLACES)
    def associate_ip(self, name: str, place: tuple[str, str]) -> None:
        free = name in self.ips and self.ips[name] is None
        allowed = free and place in self.deployments and place not in self.ips.values()
        if self.attempt(allowed, "Associate Reserved IP Address", ReservedIPAssociation(*place), ip=name):
            self.ips[name] = place

    @rule(name=KNOWN_IPS, place=PLACES)
    def disassociate_ip(self, name: str, place: tuple[str, str]) -> None:
        allowed = self.ips.get(name) == place
        if self.attempt(allowed, "Disassociate Reserved IP Address", ReservedIPAssociation(*place), ip=name):
            self.ips[name] = None

    @rule(place=PLACES, action=st.sampled_from([None, "Stopped", "StoppedDeallocated"]))
    def shut_down(self, place: tuple[str, str], action: str | None) -> None:
        if self.attempt(
            place in self.deployments, "Shutdown Role", bodies.shutdown(action), **machine(place)
        ):
            gone = action == "StoppedDeallocated" or self.power[place] == "deallocated"
            self.power[place] = "deallocated" if gone else "stopped"

    @rule(place=PLACES, again=st.booleans())
    def start(self, place: tuple[str, str], again: bool) -> None:
        operation, body = ("Restart Role", bodies.restart()) if again else ("Start Role", bodies.start())
        if self.attempt(place in self.deployments, operation, body, **machine(place)):
            self.power[place] = "started"

    @rule(place=PLACES, name=IMAGES)
    def capture(self, place: tuple[str, str], name: str) -> None:
        """The machine goes, and its deployment with it; the system disk's copy is an image."""
        stopped = self.power.get(place) in ("stopped", "deallocated")
        if self.attempt(
            stopped and name not in self.images, "Capture Role", bodies.capture_role(name), **machine(place)
        ):
            self.images[name] = account = self.disks[self.deployments[place][None]][0]
            self.world.rest()
            row = self.world.row("os_image", f"{SUBSCRIPTION}/{name}")
            assert row is not None
            self.captured[name] = f"{account}/vhds/{row.goal['media'][0]['blob']}"
            self.blobs.add(self.captured[name])
            self.forget(place, delete=False)

    @rule(place=PLACES, name=FREE_DISKS, lun=LUNS)
    def attach(self, place: tuple[str, str], name: str, lun: int) -> None:
        used = self.deployments.get(place, {lun: ""})
        allowed = lun not in used and name in self.disks and self.disks[name][1] is None
        body = only(DataVirtualHardDisk, disk_name=name, lun=lun)
        if self.attempt(allowed, "Add Data Disk", body, **machine(place)):
            self.deployments[place][lun] = name
            self.disks[name] = self.disks[name][0], place

    @rule(attached=ATTACHED, media=st.booleans())
    def detach(self, attached: tuple[tuple[str, str], int], media: bool) -> None:
        place, lun = attached
        values = {**machine(place), "lun": str(lun)}
        query = {"comp": "media"} if media else {}
        allowed = lun in self.deployments.get(place, {})
        if self.attempt(allowed, "Delete Data Disk", query=query, **values):
            self.free(self.deployments[place].pop(lun), delete=media)

    @rule(
        service=SERVICES,
        slot=SLOTS,
        name=DISKS,
        account=ACCOUNTS,
        data=st.none() | FREE_DISKS,
        ip=st.none() | KNOWN_IPS,
    )
    def create_deployment(
        self, service: str, slot: str, name: str, account: str, data: str | None, ip: str | None
    ) -> None:
        """With the system disk of that name, made unless it is there, perhaps a data disk and a reserved IP."""
        blob = f"{account}/vhds/{name}.vhd"
        there = name in self.disks
        free = self.disks[name][1] is None if there else account in self.accounts and blob not in self.blobs
        free_data = data is None or (data != name and self.disks.get(data, ("", ("", "")))[1] is None)
        source = {"source_image_name": None} if there else {}
        link = None if there else url(f"{name}.vhd", account)
        disk = bodies.system_disk(None, disk_name=name, **source)
        disk.media_link = link
        more = (bodies.data_disk(1, None, disk_name=data),) if data else ()
        role = bodies.role(disk=disk, data=more)
        body = bodies.deployment(role, name=slot, deployment_slot=slot, reserved_ip_name=ip)
        free_ip = ip is None or self.ips.get(ip, ("", "")) is None
        allowed = service in self.services and (service, slot) not in self.deployments
        allowed = allowed and free and free_data and free_ip
        if self.attempt(allowed, CREATE, body, service=service):
            if not there:
                self.blobs.add(blob)
                self.disks[name] = account, None
            used: dict[int | None, str] = {None: name, **({1: data} if data else {})}
            self.deployments[service, slot] = used
            self.power[service, slot] = "started"
            for one in used.values():
                self.disks[one] = self.disks[one][0], (service, slot)
            if ip:
                self.ips[ip] = service, slot

    @rule(service=SERVICES, slot=SLOTS)
    def fail_to_create_a_deployment(self, service: str, slot: str) -> None:
        if not self.accounts or service not in self.services or (service, slot) in self.deployments:
            return
        self.world.driver.fail_next_start()
        disk = bodies.system_disk(None, disk_name="broken")
        disk.media_link = url("broken.vhd", min(self.accounts))
        body = bodies.deployment(bodies.role(disk=disk), name=slot, deployment_slot=slot)
        assert self.world.fails(CREATE, body, service=service)[0] == "InternalError"

    @rule(place=PLACES, media=st.booleans())
    def delete_deployment(self, place: tuple[str, str], media: bool) -> None:
        service, slot = place
        allowed = (service, slot) in self.deployments
        query = {"comp": "media"} if media else {}
        if self.attempt(allowed, "Delete Deployment by slot", service=service, slot=slot, query=query):
            self.forget((service, slot), delete=media)

    def forget(self, place: tuple[str, str], *, delete: bool) -> None:
        del self.power[place]
        for name in self.deployments.pop(place).values():
            self.free(name, delete=delete)
        self.ips = {name: None if used == place else used for name, used in self.ips.items()}

    def free(self, name: str, *, delete: bool) -> None:
        account, _ = self.disks[name]
        self.disks[name] = account, None
        if delete:
            del self.disks[name]
            self.blobs.remove(f"{account}/vhds/{name}.vhd")

    @invariant()
    def the_listings_are_the_models(self) -> None:
        world = self.world
        world.rest()  # a disk that goes with its blob goes when its detaching has succeeded
        assert {one.service_name for one in world.call("List Storage Accounts")} == self.accounts
        assert {row.goal["name"] for row in world.rows("hosted_service")} == self.services
        told = {}
        for one in world.call("List Disks"):
            used = one.attached_to
            account = one.media_link.split("/")[2].split(".")[0]
            told[one.name] = account, used and (used.hosted_service_name, used.deployment_name)
        assert told == self.disks
        ips = {
            one.name: (one.service_name, one.deployment_name) if one.in_use else None
            for one in world.call("List Reserved IP Addresses")
        }
        assert ips == self.ips
        assert {one.name for one in world.call("List OS Images")} - {IMAGE} == set(self.images)
        for (service, slot), used in self.deployments.items():
            role = world.call("Get Role", **machine((service, slot)))
            shown = {one.lun or 0: one.disk_name for one in role.data_virtual_hard_disks}
            shown |= {None: role.os_virtual_hard_disk.disk_name}
            assert shown == used
            self.check_machine((service, slot))
        for service in self.services:
            found = world.call(
                "Get Cloud Service Properties", service=service, query={"embed-detail": "true"}
            )
            slots = {one.deployment_slot for one in found.deployments}
            assert slots == {slot for owner, slot in self.deployments if owner == service}
        blobs = {f"{name}/{blob}" for name in self.accounts for blob in world.blobs(name)}
        assert blobs == self.blobs
        assert leaks(world) == []

    def check_machine(self, place: tuple[str, str]) -> None:
        """A machine that was started is booted after a moment."""
        service, slot = place
        power = self.power[place]
        expected = STATUS[power], "Suspended" if power == "deallocated" else "Running"

        def told() -> tuple[str, str]:
            found = self.world.call("Get Deployment by name", service=service, deployment=slot)
            return found.role_instance_list[0].instance_status, found.status

        self.world.eventually(lambda: told() == expected)


TestModel = Model.TestCase
TestModel.settings = ENOUGH
