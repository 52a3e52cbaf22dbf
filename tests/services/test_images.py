"""OS images and VM images."""

from __future__ import annotations

import pytest

from reddog import wire
from services import bodies
from services.world import IMAGE, MIB, OTHER, World, url

MEDIA = {"comp": "media"}


@pytest.fixture
def images(place: World) -> World:
    """Two VHDs to make images of."""
    place.put_vhd(url("a.vhd"), 2 * MIB)
    place.put_vhd(url("b.vhd"))
    return place


def names(images: object) -> list[str]:
    return [image.name for image in images]  # type: ignore[attr-defined]


def test_the_platforms_images_are_listed_and_nobodys_to_change(images: World) -> None:
    (told,) = images.call("List OS Images")
    assert (told.name, told.category, told.media_link, told.os) == (IMAGE, "Public", None, "Linux")
    assert "Japan East" in told.location.split(";")
    assert images.call("Get OS Image", image=IMAGE.upper()).name == IMAGE
    images.refuses("ForbiddenError", "Delete OS Image", image=IMAGE)
    images.refuses("ForbiddenError", "Get OS Image Details", image=IMAGE)
    images.refuses("ConflictError", "Add OS Image", bodies.os_image(IMAGE.upper(), url("a.vhd")))


def test_an_added_image_is_told_and_its_blob_leased(images: World) -> None:
    body = bodies.os_image("Mine", url("a.vhd"), description="d", eula="", os="LINUX")
    told = images.call("Add OS Image", body)
    assert told == images.call("Get OS Image", image="mine")
    assert (told.name, told.os, told.category, told.location) == ("Mine", "Linux", "User", "West US")
    assert (told.logical_size_in_gb, told.os_state, told.description) == (1, "Generalized", "d")
    assert names(images.call("List OS Images")) == [IMAGE, "Mine"]
    assert images.call("Get OS Image Details", image="Mine").media_link == url("a.vhd")
    assert images.blobs() == {"vhds/a.vhd": True, "vhds/b.vhd": False}


def test_names_and_blobs_are_used_once(images: World) -> None:
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd")))
    images.refuses("ConflictError", "Add OS Image", bodies.os_image("ONE", url("b.vhd")))
    images.refuses("BadRequest", "Add OS Image", bodies.os_image("two", url("a.vhd")))
    images.refuses("BadRequest", "Add OS Image", bodies.os_image("-two", url("b.vhd")))
    images.refuses("BadRequest", "Add OS Image", bodies.os_image("two", url("absent.vhd")))
    images.refuses("InvalidXmlRequest", "Add OS Image", bodies.os_image("two", url("b.vhd"), os="BeOS"))
    images.do("Add OS Image", bodies.os_image("two", url("b.vhd")))


def test_an_update_keeps_what_it_leaves_out(images: World) -> None:
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd"), description="d", eula="e"))
    body = wire.only(wire.OSImage, name="other", label="new", eula="f", os="Windows", media_link=url("b.vhd"))
    told = images.call("Update OS Image", body, image="one")
    assert (told.name, told.label, told.description, told.eula) == ("one", "new", "d", "f")
    assert (told.os, told.media_link) == ("Linux", url("a.vhd"))
    images.refuses("ResourceNotFound", "Update OS Image", body, image="none")


def test_other_subscriptions_images_are_not_there(images: World) -> None:
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd")))
    images.do("Create VM Image", bodies.vm_image("two", url("b.vhd")))
    for operation in "Get OS Image", "Delete OS Image":
        images.refuses("ResourceNotFound", operation, image="one", subscription=OTHER)
    images.refuses("ResourceNotFound", "Delete VM Image", image="two", subscription=OTHER)
    assert names(images.call("List OS Images", subscription=OTHER)) == [IMAGE]
    assert names(images.call("List VM Images", subscription=OTHER)) == []


def test_a_deleted_image_leaves_its_blob_unless_asked(images: World) -> None:
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd")))
    images.do("Create VM Image", bodies.vm_image("two", url("b.vhd")))
    images.do("Delete OS Image", image="one")
    images.do("Delete VM Image", image="two")
    assert images.blobs() == {"vhds/a.vhd": False, "vhds/b.vhd": False}
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd")))
    images.do("Create VM Image", bodies.vm_image("two", url("b.vhd")))
    images.do("Delete OS Image", image="one", query=MEDIA)
    images.do("Delete VM Image", image="two", query=MEDIA)
    assert images.blobs() == {}


def test_a_vm_image_has_a_system_disk_and_data_disks(images: World) -> None:
    images.do(
        "Create VM Image", bodies.vm_image("one", url("a.vhd"), bodies.image_data_disk(3, url("b.vhd")))
    )
    (told,) = images.call("List VM Images")
    assert (told.name, told.category, told.vm_image_state) == ("one", "User", "VMImageReadyForUse")
    assert told.os_disk_configuration.media_link == url("a.vhd")
    (data,) = told.data_disk_configurations
    assert (data.lun, data.media_link, data.host_caching) == (3, url("b.vhd"), "None")
    assert images.blobs() == {"vhds/a.vhd": True, "vhds/b.vhd": True}


def test_a_vm_images_disks_are_checked(images: World) -> None:
    data = bodies.image_data_disk
    images.put_vhd(url("c.vhd"))
    for disks in (
        (data(0, url("b.vhd")), data(0, url("c.vhd"))),
        (data(16, url("b.vhd")),),
        (data(-1, url("b.vhd")),),
        (data(0, url("a.vhd")),),
        (data(0, url("absent.vhd")),),
    ):
        images.refuses("BadRequest", "Create VM Image", bodies.vm_image("one", url("a.vhd"), *disks))
    for values in {"os_state": "Solid"}, {"os": "BeOS"}, {"host_caching": "Much"}:
        given = {"os_state": "Specialized", "os": "Linux", "media_link": url("a.vhd")} | values
        system = wire.only(wire.OSDiskConfiguration, **given)
        body = bodies.vm_image("one", url("a.vhd"), system=system)
        images.refuses("InvalidXmlRequest", "Create VM Image", body)
    assert not any(images.blobs().values())


def test_vm_images_are_listed_by_place_and_category(images: World) -> None:
    images.do("Create VM Image", bodies.vm_image("one", url("a.vhd")))
    for query, found in (
        ({"location": "west us"}, ["one"]),
        ({"location": "East US"}, []),
        ({"category": "User"}, ["one"]),
        ({"category": "Public"}, []),
        ({"publisher": "Cloudera"}, []),
    ):
        assert names(images.call("List VM Images", query=query)) == found


def test_a_vm_images_name_is_taken_once_and_its_words_can_be_changed(images: World) -> None:
    images.do("Create VM Image", bodies.vm_image("one", url("a.vhd"), description="d"))
    images.refuses("ConflictError", "Create VM Image", bodies.vm_image("One", url("b.vhd")))
    images.do("Update VM Image", wire.only(wire.VMImage, label="new"), image="one")
    (told,) = images.call("List VM Images")
    assert (told.label, told.description, told.vm_image_state) == ("new", "d", "VMImageReadyForUse")
    images.refuses("ResourceNotFound", "Update VM Image", wire.only(wire.VMImage, label="x"), image="none")


def test_an_image_can_go_when_machines_have_been_made_of_it(images: World) -> None:
    images.do("Add OS Image", bodies.os_image("one", url("a.vhd")))
    role = bodies.role(disk=bodies.system_disk("os.vhd", source_image_name="one", disk_name="vm-os"))
    images.do("Create Virtual Machine Deployment", bodies.deployment(role), service="svc")
    images.do("Delete OS Image", image="one", query=MEDIA)
    images.do("Update Disk", wire.only(wire.Disk, name="vm-os", label="new"), disk="vm-os")
    images.do("Shutdown Role", bodies.shutdown(), service="svc", deployment="dep", role="vm")
    images.do("Start Role", bodies.start(), service="svc", deployment="dep", role="vm")
    images.do("Delete Deployment by name", service="svc", deployment="dep")
    assert images.call("Get Disk", disk="vm-os").attached_to is None
