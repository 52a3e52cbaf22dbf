"""Storage accounts: names, keys, properties, and what keeps one from being deleted."""

from __future__ import annotations

import base64

import pytest

from reddog import wire
from services import bodies
from services.world import OTHER, World, url

KINDS = "Get Storage Account Properties", "Get Storage Account Keys", "Delete Storage Account"


def update(**values: object) -> wire.UpdateStorageServiceInput:
    return wire.only(wire.UpdateStorageServiceInput, **values)


def keys(world: World, account: str = "acct") -> tuple[str, str]:
    found = world.call("Get Storage Account Keys", account=account).storage_service_keys
    return found.primary, found.secondary


def test_a_created_account_is_told_with_its_place_and_endpoints(world: World) -> None:
    body = bodies.account(description="mine", extended_properties={"team": "red"})
    world.do("Create Storage Account", body)
    found = world.call("Get Storage Account Properties", account="acct")
    told = found.storage_service_properties
    assert (told.status, told.location, told.label, told.description) == (
        "Created",
        "West US",
        "acct",
        "mine",
    )
    assert (told.geo_primary_region, told.geo_secondary_region) == ("West US", "East US")
    assert told.account_type == "Standard_GRS"
    assert [endpoint.split("/")[2].split(".")[1] for endpoint in told.endpoints] == ["blob", "queue", "table"]
    assert list(found.extended_properties.items()) == [
        ("team", "red"),
        ("ResourceGroup", "Default-Storage-WestUS"),
        ("ResourceLocation", "West US"),
    ]
    assert [one.service_name for one in world.call("List Storage Accounts")] == ["acct"]


def test_locally_redundant_accounts_have_no_secondary_region(world: World) -> None:
    world.do("Create Storage Account", bodies.account(account_type="Standard_LRS"))
    world.do("Create Storage Account", bodies.account("old", geo_replication_enabled=False))
    for name in "acct", "old":
        told = world.call("Get Storage Account Properties", account=name).storage_service_properties
        assert (told.account_type, told.geo_secondary_region, told.status_of_secondary) == (
            *("Standard_LRS", "", ""),  # empty, as recorded
        )


@pytest.mark.parametrize("name", ["ab", "a" * 25, "Upper", "with-hyphen", "spa ce", "ünicode"])
def test_invalid_names_are_refused(world: World, name: str) -> None:
    world.refuses("BadRequest", "Create Storage Account", bodies.account(name))
    world.refuses("BadRequest", "Check Storage Account Name Availability", account=name)


@pytest.mark.parametrize(
    "values",
    [
        {"label": "x" * 101},
        {"description": "x" * 1025},
        {"location": "Atlantis"},
        {"location": None},
        {"affinity_group": "group"},
        {"extended_properties": {"1st": "x"}},
        {"extended_properties": {"name": "x" * 256}},
        {"extended_properties": {f"n{number}": "" for number in range(51)}},
    ],
)
def test_invalid_values_are_refused(world: World, values: dict[str, object]) -> None:
    world.refuses("BadRequest", "Create Storage Account", bodies.account(**values))
    assert list(world.call("List Storage Accounts")) == []


def test_an_unknown_kind_of_replication_and_an_unknown_affinity_group_are_refused(world: World) -> None:
    body = bodies.account(account_type="Standard_MOON")
    assert "Standard_GRS" in world.refuses("InvalidXmlRequest", "Create Storage Account", body)
    group = bodies.account(location=None, affinity_group="group")
    world.refuses("ResourceNotFound", "Create Storage Account", group)


def test_a_name_is_taken_in_every_subscription(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    world.refuses("ConflictError", "Create Storage Account", bodies.account())
    world.refuses("ConflictError", "Create Storage Account", bodies.account(), subscription=OTHER)
    told = world.call("Check Storage Account Name Availability", account="acct")
    assert not told.result
    assert told.reason == "A storage account named 'acct' already exists in the subscription."
    assert world.call("Check Storage Account Name Availability", account="free").result


def test_another_subscriptions_account_is_not_there(world: World) -> None:
    world.do("Create Storage Account", bodies.account(), subscription=OTHER)
    for operation in KINDS:
        world.refuses("ResourceNotFound", operation, account="acct")
    assert list(world.call("List Storage Accounts")) == []


def test_keys_are_64_random_bytes_and_change_one_at_a_time(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    primary, secondary = keys(world)
    assert len(base64.b64decode(primary)) == len(base64.b64decode(secondary)) == 64
    assert primary != secondary
    body = wire.only(wire.RegenerateKeys, key_type="Secondary")
    told = world.call("Regenerate Storage Account Keys", body, account="acct").storage_service_keys
    assert told.primary == primary
    assert told.secondary not in (primary, secondary)
    assert world.storage.find("acct").keys == (told.primary, told.secondary) == keys(world)
    body.key_type = "Tertiary"
    world.refuses("InvalidXmlRequest", "Regenerate Storage Account Keys", body, account="acct")


def test_an_update_keeps_what_it_leaves_out(world: World) -> None:
    world.do("Create Storage Account", bodies.account(description="old", extended_properties={"a": "1"}))
    before = keys(world)
    world.do("Update Storage Account", update(description="new"), account="acct")
    world.do("Update Storage Account", update(account_type="Standard_LRS"), account="acct")
    found = world.call("Get Storage Account Properties", account="acct")
    told = found.storage_service_properties
    assert (told.label, told.description, told.account_type) == ("acct", "new", "Standard_LRS")
    assert found.extended_properties["a"] == "1"
    assert keys(world) == before
    world.refuses("BadRequest", "Update Storage Account", update(label="x" * 101), account="acct")
    world.refuses("ResourceNotFound", "Update Storage Account", update(label="x"), account="none")


def test_deleting_an_account_deletes_its_data_and_frees_its_name(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    world.put_vhd(url("a.vhd"))
    world.do("Delete Storage Account", account="acct")
    assert not (world.directory / "storage" / "acct").exists()
    world.refuses("ResourceNotFound", "Delete Storage Account", account="acct")
    world.do("Create Storage Account", bodies.account(), subscription=OTHER)
    assert world.blobs() == {}


def test_an_account_with_disks_or_images_is_not_deleted(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    world.put_vhd(url("1.vhd"))
    for operation, body, undo, params in (
        ("Add Disk", bodies.disk("one", url("1.vhd")), "Delete Disk", {"disk": "one"}),
        ("Add OS Image", bodies.os_image("one", url("1.vhd")), "Delete OS Image", {"image": "one"}),
        ("Create VM Image", bodies.vm_image("one", url("1.vhd")), "Delete VM Image", {"image": "one"}),
    ):
        world.do(operation, body)
        message = world.refuses("BadRequest", "Delete Storage Account", account="acct")
        assert message.startswith("Storage account acct has 1 container(s) which have an active image")
        world.do(undo, **params)
    world.do("Delete Storage Account", account="acct")
