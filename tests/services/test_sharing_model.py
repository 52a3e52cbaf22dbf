"""Random calls of two subscriptions against a small model: groups, networks, certificates, and images they share."""

from __future__ import annotations

import base64
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from certificates import make_client
from reddog import wire
from reddog.wire import ServiceError, only
from services import bodies
from services.world import IMAGE, OTHER, SUBSCRIPTION, World, leaks, opened, url

SUBSCRIPTIONS = st.sampled_from([SUBSCRIPTION, OTHER])
GROUPS = st.sampled_from(["group-a", "group-b"])
SERVICES = st.sampled_from(["svc-a", "svc-b"])
NETWORKS = st.sampled_from(["net-a", "net-b", "net-c"])
IMAGES = st.sampled_from(["image-1", "image-2"])
KINDS = st.sampled_from(["OS", "VM"])
LOCATIONS = st.lists(st.sampled_from(["West US", "Japan East"]), min_size=1, unique=True)
Image = tuple[str, str, str]  # its kind, subscription and name


class Model(RuleBasedStateMachine):
    """Groups by subscription and name; services: owner and group by name; certificates by service; networks by
    subscription: each site's group; images: locations and permission."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="reddog-model-"))
        self._opened = opened(self.directory / "cloud")
        self.world: World = self._opened.__enter__()
        self.groups: set[tuple[str, str]] = set()
        self.services: dict[str, tuple[str, str | None]] = {}
        self.certificates: set[str] = set()
        self.networks: dict[str, dict[str, str | None]] = {}
        self.images: dict[Image, tuple[tuple[str, ...], str]] = {}
        made = make_client(self.directory, "model").certificate
        self.thumbprint = made.thumbprint
        data = base64.b64encode(made.der).decode()
        self.certificate = only(wire.CertificateFile, data=data, certificate_format="cer", password="")

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)
        shutil.rmtree(self.directory)

    def attempt(self, allowed: bool, operation: str, body: Any = None, /, **values: Any) -> bool:
        """Call an operation that must succeed just when the model allows it."""
        try:
            self.world.do(operation, body, **values)
        except ServiceError as error:
            refusal = error
        else:
            assert allowed, f"{operation} {values} should have been refused"
            return True
        assert not allowed, (operation, values, refusal)
        assert refusal.status in (400, 404, 409)
        return False

    @initialize()
    def begin(self) -> None:
        for owner in SUBSCRIPTION, OTHER:
            account = f"acct{owner[0]}"
            self.world.do("Create Storage Account", bodies.account(account), subscription=owner)
            for name in "image-1", "image-2":
                self.world.put_vhd(url(f"OS-{name}.vhd", account))
                self.world.put_vhd(url(f"VM-{name}.vhd", account))

    # -- Groups, services, certificates, networks ----------------------------------------------------------

    @rule(owner=SUBSCRIPTIONS, name=GROUPS)
    def create_group(self, owner: str, name: str) -> None:
        body = only(wire.CreateAffinityGroup, name=name, label=name, location="West US")
        allowed = (owner, name) not in self.groups
        if self.attempt(allowed, "Create Affinity Group", body, subscription=owner):
            self.groups.add((owner, name))

    @rule(owner=SUBSCRIPTIONS, name=GROUPS)
    def delete_group(self, owner: str, name: str) -> None:
        used = (owner, name) in self.services.values() or name in self.networks.get(owner, {}).values()
        allowed = (owner, name) in self.groups and not used
        if self.attempt(allowed, "Delete Affinity Group", subscription=owner, name=name):
            self.groups.remove((owner, name))

    @rule(owner=SUBSCRIPTIONS, name=SERVICES, group=st.none() | GROUPS)
    def create_service(self, owner: str, name: str, group: str | None) -> None:
        """Names are unique in the whole cloud."""
        place = {"affinity_group": group, "location": None} if group else {}
        allowed = name not in self.services and (group is None or (owner, group) in self.groups)
        body = bodies.service(name, **place)
        if self.attempt(allowed, "Create Cloud Service", body, subscription=owner):
            self.services[name] = owner, group

    @rule(owner=SUBSCRIPTIONS, name=SERVICES)
    def delete_service(self, owner: str, name: str) -> None:
        allowed = self.services.get(name, ("", None))[0] == owner
        if self.attempt(allowed, "Delete Cloud Service", subscription=owner, service=name):
            del self.services[name]
            self.certificates.discard(name)

    @rule(owner=SUBSCRIPTIONS, name=SERVICES)
    def add_certificate(self, owner: str, name: str) -> None:
        allowed = self.services.get(name, ("", None))[0] == owner
        operation = "Add Service Certificate"
        if self.attempt(allowed, operation, self.certificate, subscription=owner, service=name):
            self.certificates.add(name)

    @rule(owner=SUBSCRIPTIONS, name=SERVICES)
    def delete_certificate(self, owner: str, name: str) -> None:
        allowed = self.services.get(name, ("", None))[0] == owner and name in self.certificates
        which = {"service": name, "algorithm": "sha1", "thumbprint": self.thumbprint}
        if self.attempt(allowed, "Delete Service Certificate", subscription=owner, **which):
            self.certificates.remove(name)

    @rule(owner=SUBSCRIPTIONS, sites=st.dictionaries(NETWORKS, st.none() | GROUPS))
    def set_networks(self, owner: str, sites: dict[str, str | None]) -> None:
        made = [
            bodies.site(name, place=f'AffinityGroup="{group}"' if group else 'Location="West US"')
            for name, group in sites.items()
        ]
        allowed = all(group is None or (owner, group) in self.groups for group in sites.values())
        document = bodies.networks(*made)
        if self.attempt(allowed, "Set Network Configuration", document, subscription=owner):
            self.networks[owner] = sites

    # -- Images --------------------------------------------------------------------------------------------

    @rule(kind=KINDS, owner=SUBSCRIPTIONS, name=IMAGES)
    def add_image(self, kind: str, owner: str, name: str) -> None:
        link = url(f"{kind}-{name}.vhd", f"acct{owner[0]}")
        operation, body = (
            ("Add OS Image", bodies.os_image(name, link))
            if kind == "OS"
            else ("Create VM Image", bodies.vm_image(name, link))
        )
        if self.attempt((kind, owner, name) not in self.images, operation, body, subscription=owner):
            self.images[kind, owner, name] = (), "Private"

    @rule(kind=KINDS, owner=SUBSCRIPTIONS, name=IMAGES)
    def delete_image(self, kind: str, owner: str, name: str) -> None:
        image = kind, owner, name
        if self.attempt(image in self.images, f"Delete {kind} Image", subscription=owner, image=name):
            del self.images[image]

    @rule(kind=KINDS, owner=SUBSCRIPTIONS, name=IMAGES, locations=LOCATIONS)
    def replicate(self, kind: str, owner: str, name: str, locations: list[str]) -> None:
        image, body = (kind, owner, name), wire.ReplicationInput(target_locations=locations)
        operation = f"Replicate {kind} Image"
        if self.attempt(image in self.images, operation, body, subscription=owner, image=name):
            self.images[image] = tuple(locations), self.images[image][1]

    @rule(kind=KINDS, owner=SUBSCRIPTIONS, name=IMAGES)
    def withdraw(self, kind: str, owner: str, name: str) -> None:
        image = kind, owner, name
        if self.attempt(image in self.images, f"Unreplicate {kind} Image", subscription=owner, image=name):
            self.images[image] = (), "Private"

    @rule(
        kind=KINDS,
        owner=SUBSCRIPTIONS,
        name=IMAGES,
        permission=st.sampled_from(["Public", "MSDN", "Private"]),
    )
    def share(self, kind: str, owner: str, name: str, permission: str) -> None:
        image, query = (kind, owner, name), {"permission": permission}
        allowed = image in self.images and (permission == "Private" or bool(self.images[image][0]))
        operation = f"Share {kind} Image"
        if self.attempt(allowed, operation, subscription=owner, image=name, query=query):
            self.images[image] = self.images[image][0], permission

    # -- What is told --------------------------------------------------------------------------------------

    @invariant()
    def the_listings_are_the_models(self) -> None:
        world = self.world
        world.rest()
        for owner in SUBSCRIPTION, OTHER:
            own = {"subscription": owner}
            groups = {one.name for one in world.call("List Affinity Groups", **own)}
            assert groups == {name for subscription, name in self.groups if subscription == owner}
            rows = [row for row in world.rows("hosted_service") if row.subscription == owner]
            services = {row.goal["name"]: (owner, row.goal["affinity_group"]) for row in rows}
            assert services == {name: held for name, held in self.services.items() if held[0] == owner}
            sites = {one.name: one.affinity_group for one in world.call("List Virtual Network Sites", **own)}
            assert sites == self.networks.get(owner, {})
            for service in services:
                found = list(world.call("List Service Certificates", service=service, **own))
                assert len(found) == (service in self.certificates)
        for kind in "OS", "VM":
            self.check_images(kind)
        assert leaks(world) == []

    def check_images(self, kind: str) -> None:
        """Both subscriptions see their own images, and all that are public."""
        of_kind = {image: told for image, told in self.images.items() if image[0] == kind}
        public = sorted(
            (name, ";".join(locations))
            for (_, _, name), (locations, permission) in of_kind.items()
            if permission == "Public"
        )
        for owner in SUBSCRIPTION, OTHER:
            listed = [
                one for one in self.world.call(f"List {kind} Images", subscription=owner) if one.name != IMAGE
            ]
            own = sorted(one.name for one in listed if one.category == "User")
            assert own == sorted(name for _, subscription, name in of_kind if subscription == owner)
            told = sorted(
                (one.name.partition("__")[2], one.location) for one in listed if one.category == "Public"
            )
            assert told == public


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
