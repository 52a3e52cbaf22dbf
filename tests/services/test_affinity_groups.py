"""Affinity groups: who is in them, and what they keep from being deleted."""

from __future__ import annotations

from reddog import wire
from services import bodies
from services.world import OTHER, World


def group(name: str = "Grp", **values: object) -> wire.CreateAffinityGroup:
    given = {"label": "a label", "description": "words", "location": "west us"}
    return wire.only(wire.CreateAffinityGroup, name=name, **(given | values))


def test_a_group_is_told_with_what_is_in_it(world: World) -> None:
    world.do("Create Affinity Group", group())
    world.do("Create Cloud Service", bodies.service(location=None, affinity_group="grp"))
    world.do("Create Storage Account", bodies.account(location=None, affinity_group="GRP"))
    told = world.call("Get Affinity Group Properties", name="gRP")
    assert (told.name, told.label, told.location) == ("Grp", "a label", "West US")
    assert [one.service_name for one in told.hosted_services] == ["svc"]
    assert [one.service_name for one in told.storage_services] == ["acct"]
    assert told.hosted_services[0].hosted_service_properties.affinity_group == "grp"
    (listed,) = world.call("List Affinity Groups")
    assert listed.hosted_services is None
    assert "Small" in listed.compute_capabilities.virtual_machines_role_sizes


def test_a_group_in_use_stays(world: World) -> None:
    world.do("Create Affinity Group", group())
    world.do("Create Cloud Service", bodies.service(location=None, affinity_group="Grp"))
    assert "hosted service svc" in world.refuses("ConflictError", "Delete Affinity Group", name="grp")
    world.do("Delete Cloud Service", service="svc")
    world.do("Delete Affinity Group", name="grp")
    assert "affinity group" in world.refuses("ResourceNotFound", "Get Affinity Group Properties", name="grp")


def test_names_places_and_labels_are_checked(world: World) -> None:
    world.refuses("BadRequest", "Create Affinity Group", group("no good"))
    world.refuses("BadRequest", "Create Affinity Group", group(location="Atlantis"))
    world.refuses("BadRequest", "Create Affinity Group", group(label="x" * 101))
    world.do("Create Affinity Group", group())
    assert "already exists" in world.refuses("ConflictError", "Create Affinity Group", group("GRP"))
    world.do("Create Affinity Group", group(), subscription=OTHER)  # names are the subscription's own


def test_a_group_must_be_there_to_be_used(world: World) -> None:
    nowhere = bodies.service(location=None, affinity_group="grp")
    world.refuses("ResourceNotFound", "Create Cloud Service", nowhere)
    both = bodies.account(affinity_group="grp")
    world.refuses("BadRequest", "Create Storage Account", both)


def test_an_update_replaces_label_and_description(world: World) -> None:
    world.do("Create Affinity Group", group())
    world.do("Update Affinity Group", wire.only(wire.UpdateAffinityGroup, label="other"), name="grp")
    told = world.call("Get Affinity Group Properties", name="grp")
    assert (told.label, told.description) == ("other", "")
