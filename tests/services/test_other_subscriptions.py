"""What a request's body names is the subscription's own: other subscriptions' resources cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reddog import wire
from reddog.wire import ServiceError
from service_packages import cscfg
from services import bodies
from services.test_package_deployments import upload
from services.world import OTHER, World, url

CREATE = "Create Virtual Machine Deployment"
SLOT = {"service": "other", "slot": "production"}
OWN = url("new.vhd", account="theirs")


@pytest.fixture
def owner(place: World) -> World:
    """The subscription has one of everything; the other one has a cloud service and a storage account."""
    place.do("Create Affinity Group", wire.only(wire.CreateAffinityGroup, name="group", **PLACE))
    place.do("Create Reserved IP Address", wire.only(wire.ReservedIP, name="addr", location="West US"))
    place.do("Set Network Configuration", bodies.networks(bodies.site("net", "one=10.1.0.0/24")))
    place.do("Add Disk", bodies.disk("disk", place.put_vhd(url("disk.vhd")), os="Linux"))
    place.do("Add Disk", bodies.disk("data", place.put_vhd(url("data.vhd"))))
    place.do("Add OS Image", bodies.os_image("image", place.put_vhd(url("image.vhd"))))
    place.do("Create VM Image", bodies.vm_image("vmimage", place.put_vhd(url("vmimage.vhd"))))
    place.put_vhd(url("free.vhd"))
    upload(place)
    place.do("Create Storage Account", bodies.account("theirs"), subscription=OTHER)
    place.do("Create Cloud Service", bodies.service("other"), subscription=OTHER)
    return place


PLACE = {"label": "group", "location": "West US"}


def machine(*data: Any, disk: Any = None, **values: Any) -> Any:
    """A deployment in the other subscription, of a role that takes nothing else of the owner's."""
    disk = disk or bodies.system_disk(None, media_link=OWN)
    role = bodies.role(disk=disk, data_virtual_hard_disks=wire.DataVirtualHardDisks(list(data)))
    return bodies.deployment(role, **values)


def system_disk(**values: Any) -> Any:
    return bodies.system_disk(None, **{"source_image_name": None, "media_link": OWN} | values)


def vm_image(**values: Any) -> Any:
    role = bodies.role()
    role.os_virtual_hard_disk, role.vm_image_name = None, "vmimage"
    return bodies.deployment(role, **values)


USES: dict[str, tuple[str, Callable[[], Any], dict[str, str]]] = {
    "a media link for a system disk": (
        CREATE,
        lambda: machine(disk=bodies.system_disk("new.vhd")),
        {"service": "other"},
    ),
    "an OS image": (
        CREATE,
        lambda: machine(disk=system_disk(source_image_name="image")),
        {"service": "other"},
    ),
    "a VM image": (CREATE, vm_image, {"service": "other"}),
    "a blob as the image": (
        CREATE,
        lambda: machine(disk=system_disk(remote_source_image_link=url("free.vhd"), os="Linux")),
        {"service": "other"},
    ),
    "a system disk": (
        CREATE,
        lambda: machine(disk=system_disk(disk_name="disk", media_link=None)),
        {"service": "other"},
    ),
    "a data disk": (
        CREATE,
        lambda: machine(bodies.data_disk(gib=None, disk_name="data")),
        {"service": "other"},
    ),
    "a blob as a data disk": (
        CREATE,
        lambda: machine(bodies.data_disk(gib=None, source_media_link=url("free.vhd"))),
        {"service": "other"},
    ),
    "a media link for a data disk": (CREATE, lambda: machine(bodies.data_disk()), {"service": "other"}),
    "a reserved IP": (CREATE, lambda: machine(reserved_ip_name="addr"), {"service": "other"}),
    "a virtual network": (CREATE, lambda: machine(virtual_network_name="net"), {"service": "other"}),
    "a package": ("Create Deployment (package)", lambda: bodies.package_deployment(cscfg()), SLOT),
    "an affinity group for a service": (
        "Create Cloud Service",
        lambda: bodies.service("third", location=None, affinity_group="group"),
        {},
    ),
    "an affinity group for an account": (
        "Create Storage Account",
        lambda: bodies.account("third", location=None, affinity_group="group"),
        {},
    ),
    "an affinity group for a network": (
        "Set Network Configuration",
        lambda: bodies.networks(bodies.site("mine", place='AffinityGroup="group"')),
        {},
    ),
    "a blob for a disk": ("Add Disk", lambda: bodies.disk("mine", url("free.vhd")), {}),
    "a blob for an OS image": ("Add OS Image", lambda: bodies.os_image("mine", url("free.vhd")), {}),
    "a blob for a VM image": ("Create VM Image", lambda: bodies.vm_image("mine", url("free.vhd")), {}),
}


@pytest.mark.parametrize("what", USES)
def test_what_is_anothers_cannot_be_used(owner: World, what: str) -> None:
    operation, body, where = USES[what]
    with pytest.raises(ServiceError, match=r"does not (exist|have)") as caught:
        owner.call(operation, body(), subscription=OTHER, **where)
    assert caught.value.status in (400, 404), caught.value
    for kind in ("deployment", "role", "package"):
        assert [row for row in owner.rows(kind) if row.subscription == OTHER] == []


def test_requests_that_come_together_cannot_pass_a_limit(place: World) -> None:
    """Twelve machines of four cores each, all at once: five fit into twenty cores."""
    names = [f"svc{number}" for number in range(12)]
    for name in names:
        place.do("Create Cloud Service", bodies.service(name))

    def deploy(name: str) -> bool:
        role = bodies.role(role_size="Large", disk=bodies.system_disk(f"{name}.vhd"))
        try:
            place.do(CREATE, bodies.deployment(role), service=name)
        except ServiceError as error:
            return error.code != "ConflictError"
        return True

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(deploy, names)) == 5
