"""Images are published: to locations, and to other subscriptions, which then make machines of them."""

from __future__ import annotations

from typing import Any

import pytest

from reddog import wire
from services import bodies
from services.world import IMAGE, MIB, OTHER, World, url

KINDS = ("OS", "VM")


def replication(*locations: str, version: str = "1.0.0", **values: str) -> wire.ReplicationInput:
    given = {"offer": "an-offer", "sku": "a.sku", "version": version} | values
    attributes = wire.only(wire.ComputeImageAttributes, **given)
    return wire.only(
        wire.ReplicationInput, target_locations=list(locations), compute_image_attributes=attributes
    )


@pytest.fixture
def images(place: World) -> World:
    """The images `mine`, one of each kind, and another subscription's service and account."""
    place.do("Add OS Image", bodies.os_image("mine", place.put_vhd(url("os.vhd"), 2 * MIB, b"mine")))
    place.do("Create VM Image", bodies.vm_image("mine", place.put_vhd(url("vm.vhd"), MIB, b"vm")))
    place.do("Create Storage Account", bodies.account("others"), subscription=OTHER)
    place.do("Create Cloud Service", bodies.service("other"), subscription=OTHER)
    return place


def publish(world: World, kind: str, *locations: str) -> str:
    """Replicate and share; returns the published name."""
    name = world.call(f"Replicate {kind} Image", replication(*locations, offer=kind), image="mine").value
    world.do(f"Share {kind} Image", image="mine", query={"permission": "Public"})
    return str(name)


def listed(world: World, kind: str, **values: Any) -> dict[str, Any]:
    return {image.name: image for image in world.call(f"List {kind} Images", **values)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_replicated_image_is_in_its_locations_at_once(images: World, kind: str) -> None:
    before = images.call(f"Get {kind} Image Details", image="mine")
    assert list(before.replication_progress) == []
    name = images.call(f"Replicate {kind} Image", replication("west us", "Japan East"), image="MINE").value
    prefix, _, rest = name.partition("__")
    assert (len(prefix), int(prefix, 16) > 0, rest) == (32, True, "mine")
    details = images.call(f"Get {kind} Image Details", image="mine")
    told = [(one.location, one.progress) for one in details.replication_progress]
    assert told == [("West US", 100), ("Japan East", 100)]
    assert details.compute_image_attributes.offer == "an-offer"
    images.call(f"Replicate {kind} Image", replication("East US"), image="mine")
    details = images.call(f"Get {kind} Image Details", image="mine")
    assert [one.location for one in details.replication_progress] == ["East US"]
    images.do(f"Unreplicate {kind} Image", image="mine")
    assert list(images.call(f"Get {kind} Image Details", image="mine").replication_progress) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_replicated_is_refused(images: World, kind: str) -> None:
    operation = f"Replicate {kind} Image"
    images.refuses("BadRequest", operation, replication("Atlantis"), image="mine")
    images.refuses("InvalidXmlRequest", operation, replication("West US", version="1.0"), image="mine")
    images.refuses("InvalidXmlRequest", operation, replication("West US", offer="an offer"), image="mine")
    images.refuses("InvalidXmlRequest", operation, replication("West US", sku="s" * 65), image="mine")
    images.refuses("ResourceNotFound", operation, replication("West US"), image="none")
    images.refuses("ResourceNotFound", operation, replication("West US"), image="mine", subscription=OTHER)
    other = "VM" if kind == "OS" else "OS"
    images.call(f"Replicate {other} Image", replication("West US"), image="mine")
    images.refuses("ConflictError", operation, replication("West US", offer="AN-OFFER"), image="mine")
    images.call(operation, replication("West US", version="1.0.1"), image="mine")
    images.call(operation, replication("West US", version="1.0.1"), image="mine")


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_image_is_everybodys_under_its_published_name(images: World, kind: str) -> None:
    assert "mine" not in listed(images, kind, subscription=OTHER)
    name = publish(images, kind, "West US", "Japan East")
    found = listed(images, kind, subscription=OTHER)[name]
    assert (found.category, found.location) == ("Public", "West US;Japan East")
    assert found.publisher_name
    assert url("") not in wire.encode(found).decode(), "where it is stored is the owner's business"
    assert {"mine", name} <= set(listed(images, kind))
    images.do(f"Share {kind} Image", image="mine", query={"permission": "private"})
    assert name not in listed(images, kind, subscription=OTHER)
    images.do(f"Share {kind} Image", image="mine", query={"permission": "MSDN"})
    assert name not in listed(images, kind, subscription=OTHER)
    assert name == publish(images, kind, "West US")
    images.do(f"Unreplicate {kind} Image", image="mine")
    assert name not in listed(images, kind, subscription=OTHER)
    images.call(f"Replicate {kind} Image", replication("West US"), image="mine")
    assert name not in listed(images, kind, subscription=OTHER), "sharing has to be asked for again"


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_shared_is_refused(images: World, kind: str) -> None:
    operation = f"Share {kind} Image"
    public = {"permission": "Public"}
    assert "Replicate it first" in images.refuses("BadRequest", operation, image="mine", query=public)
    images.refuses(
        "MissingOrInvalidRequiredQueryParameter", operation, image="mine", query={"permission": "All"}
    )
    images.refuses("ResourceNotFound", operation, image="none", query=public)
    images.do(operation, image="mine", query={"permission": "Private"})


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_publisher_changes_what_is_published(images: World, kind: str) -> None:
    name = publish(images, kind, "West US")
    for values in {"subscription": OTHER}, {}:
        images.refuses(
            "ForbiddenError", f"Replicate {kind} Image", replication("East US"), image=name, **values
        )
        images.refuses("ForbiddenError", f"Unreplicate {kind} Image", image=name, **values)
        images.refuses(
            "ForbiddenError", f"Share {kind} Image", image=name, query={"permission": "Public"}, **values
        )
        images.refuses("ForbiddenError", f"Get {kind} Image Details", image=name, **values)
        images.refuses("ForbiddenError", f"Delete {kind} Image", image=name, **values)
    body = wire.only(wire.OSImage if kind == "OS" else wire.VMImage, label="other")
    images.refuses("ForbiddenError", f"Update {kind} Image", body, image=name, subscription=OTHER)
    images.do(f"Delete {kind} Image", image="mine")
    assert name not in listed(images, kind, subscription=OTHER)


def test_the_platforms_images_are_the_platforms_to_publish(images: World) -> None:
    images.refuses("ForbiddenError", "Replicate OS Image", replication("West US"), image=IMAGE)
    images.refuses("ForbiddenError", "Unreplicate OS Image", image=IMAGE)
    for operation in "Share OS Image", "Share OS Image (older, synchronous)":
        images.refuses("ForbiddenError", operation, image=IMAGE, query={"permission": "Public"})


def test_an_image_is_shared_with_or_without_waiting(images: World) -> None:
    images.call("Replicate OS Image", replication("West US"), image="mine")
    public = {"permission": "Public"}
    answer = images.call("Share OS Image", image="mine", query=public)
    assert wire.encode(answer) == (
        b'<boolean xmlns="http://schemas.microsoft.com/2003/10/Serialization/">false</boolean>'
    )
    images.rest()
    assert images.call("Share OS Image (older, synchronous)", image="mine", query=public) is None


def test_another_subscription_makes_machines_of_public_images(images: World) -> None:
    os_name, vm_name = publish(images, "OS", "West US"), publish(images, "VM", "West US")
    assert images.call("Get OS Image", image=os_name, subscription=OTHER).category == "Public"
    roles = (
        bodies.role("one", disk=bodies.system_disk(None, source_image_name=os_name)),
        bodies.role("two", vm_image_name=vm_name, provisioning=None),
    )
    body = bodies.deployment(*roles)
    images.do("Create Virtual Machine Deployment", body, service="other", subscription=OTHER)
    found = {
        one.attached_to.role_name: one.media_link for one in images.call("List Disks", subscription=OTHER)
    }
    assert all(".blob." in link and link.startswith("https://others.") for link in found.values())
    assert images.read_disk(found["one"], 4) == b"mine"
    assert images.read_disk(found["two"], 2) == b"vm"
