"""Random calls against a small model: after each, the services list what the model holds, and nothing leaks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reddog.wire import ServiceError
from services import bodies
from services.world import World, leaks, opened, url

SERVICES = st.sampled_from(["svc-a", "svc-b"])
ACCOUNTS = st.sampled_from(["aaaa", "bbbb"])
DISKS = st.sampled_from(["disk-1", "disk-2", "disk-3"])
SLOTS = st.sampled_from(["Production", "Staging"])
CREATE = "Create Virtual Machine Deployment"
ENOUGH = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Model(RuleBasedStateMachine):
    """accounts and services by name; disks: account and user by name; deployments: their disks by place."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="reddog-model-"))
        self._opened = opened(self.directory / "cloud")
        self.world: World = self._opened.__enter__()
        self.accounts: set[str] = set()
        self.services: set[str] = set()
        self.disks: dict[str, tuple[str, tuple[str, str] | None]] = {}
        self.deployments: dict[tuple[str, str], list[str]] = {}
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
        self.create_account("aaaa")
        self.create_service("svc-a")

    @rule(name=ACCOUNTS)
    def create_account(self, name: str) -> None:
        if self.attempt(name not in self.accounts, "Create Storage Account", bodies.account(name)):
            self.accounts.add(name)

    @rule(name=ACCOUNTS)
    def delete_account(self, name: str) -> None:
        used = name in {account for account, _ in self.disks.values()}
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

    @rule(service=SERVICES, slot=SLOTS, name=DISKS, account=ACCOUNTS, data=st.none() | DISKS)
    def create_deployment(self, service: str, slot: str, name: str, account: str, data: str | None) -> None:
        """With the system disk of that name, which is made unless it is there, and perhaps a data disk."""
        blob = f"{account}/vhds/{name}.vhd"
        there = name in self.disks
        free = self.disks[name][1] is None if there else account in self.accounts and blob not in self.blobs
        free_data = data is None or (data != name and self.disks.get(data, ("", ("", "")))[1] is None)
        source = {"source_image_name": None} if there else {}
        link = None if there else url(f"{name}.vhd", account)
        disk = bodies.system_disk(None, disk_name=name, **source)
        disk.media_link = link
        more = (bodies.data_disk(1, None, disk_name=data),) if data else ()
        body = bodies.deployment(bodies.role(disk=disk, data=more), name=slot, deployment_slot=slot)
        allowed = service in self.services and (service, slot) not in self.deployments and free and free_data
        if self.attempt(allowed, CREATE, body, service=service):
            if not there:
                self.blobs.add(blob)
                self.disks[name] = account, None
            used = [name, *([data] if data else [])]
            self.deployments[service, slot] = used
            for one in used:
                self.disks[one] = self.disks[one][0], (service, slot)

    @rule(service=SERVICES, slot=SLOTS)
    def fail_to_create_a_deployment(self, service: str, slot: str) -> None:
        if not self.accounts or service not in self.services or (service, slot) in self.deployments:
            return
        self.world.driver.fail_next_start()
        disk = bodies.system_disk(None, disk_name="broken")
        disk.media_link = url("broken.vhd", min(self.accounts))
        body = bodies.deployment(bodies.role(disk=disk), name=slot, deployment_slot=slot)
        assert self.world.fails(CREATE, body, service=service)[0] == "InternalError"

    @rule(service=SERVICES, slot=SLOTS, media=st.booleans())
    def delete_deployment(self, service: str, slot: str, media: bool) -> None:
        allowed = (service, slot) in self.deployments
        query = {"comp": "media"} if media else {}
        if self.attempt(allowed, "Delete Deployment by slot", service=service, slot=slot, query=query):
            self.forget((service, slot), delete=media)

    def forget(self, place: tuple[str, str], *, delete: bool) -> None:
        for name in self.deployments.pop(place):
            account, _ = self.disks[name]
            self.disks[name] = account, None
            if delete:
                del self.disks[name]
                self.blobs.remove(f"{account}/vhds/{name}.vhd")

    @invariant()
    def the_listings_are_the_models(self) -> None:
        world = self.world
        assert {one.service_name for one in world.call("List Storage Accounts")} == self.accounts
        assert {row.goal["name"] for row in world.rows("hosted_service")} == self.services
        told = {}
        for one in world.call("List Disks"):
            used = one.attached_to
            account = one.media_link.split("/")[2].split(".")[0]
            told[one.name] = account, used and (used.hosted_service_name, used.deployment_name)
        assert told == self.disks
        for service in self.services:
            found = world.call(
                "Get Cloud Service Properties", service=service, query={"embed-detail": "true"}
            )
            slots = {one.deployment_slot for one in found.deployments}
            assert slots == {slot for owner, slot in self.deployments if owner == service}
        blobs = {f"{name}/{blob}" for name in self.accounts for blob in world.blobs(name)}
        assert blobs == self.blobs
        assert leaks(world) == []


TestModel = Model.TestCase
TestModel.settings = ENOUGH
