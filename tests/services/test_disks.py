"""Disks: which blobs may become one, and what becomes of the blob."""

from __future__ import annotations

import pytest

from reddog import vhd, wire
from services import bodies
from services.world import GIB, MIB, OTHER, World, url


def broken(kind: str) -> bytes:
    """The bytes of what is no usable VHD."""
    footer = bytearray(vhd.make_footer(MIB))
    if kind == "dynamic":
        footer[60:64] = (3).to_bytes(4, "big")
        footer[64:68] = bytes(4)
        footer[64:68] = (~sum(footer) & 0xFFFFFFFF).to_bytes(4, "big")
    if kind == "damaged":
        footer[40] ^= 0xFF
    length = {"cut off": MIB // 2, "too long": 2 * MIB}.get(kind, MIB)
    return bytes(length) + (bytes(512) if kind == "none" else bytes(footer))


def test_an_added_disk_is_told_and_its_blob_leased(place: World) -> None:
    place.put_vhd(url("own.vhd"), 3 * MIB)
    told = place.call("Add Disk", bodies.disk("Own", url("own.vhd"), os="linux"))
    assert told == place.call("Get Disk", disk="oWN")
    assert (told.name, told.label, told.os, told.media_link) == ("Own", "Own", "Linux", url("own.vhd"))
    assert (told.logical_disk_size_in_gb, told.location, told.attached_to) == (1, "West US", None)
    assert [one.name for one in place.call("List Disks")] == ["Own"]
    assert place.blobs() == {"vhds/own.vhd": True}


@pytest.mark.parametrize("kind", ["none", "dynamic", "damaged", "cut off", "too long"])
def test_a_blob_that_is_no_whole_fixed_vhd_is_refused(place: World, kind: str) -> None:
    place.put_blob(url("bad.vhd"), broken(kind))
    message = place.refuses("BadRequest", "Add Disk", bodies.disk("bad", url("bad.vhd")))
    assert "qemu-img" in message
    assert url("bad.vhd") in message
    assert place.blobs() == {"vhds/bad.vhd": False}


def test_a_blob_smaller_than_a_footer_and_an_empty_disk_are_refused(place: World) -> None:
    place.put_blob(url("tiny.vhd"), b"x")
    place.put_blob(url("empty.vhd"), vhd.make_footer(512)[:512])
    for name in "tiny.vhd", "empty.vhd":
        place.refuses("BadRequest", "Add Disk", bodies.disk("bad", url(name)))


def test_a_block_blob_is_refused(place: World) -> None:
    place.put_blob(url("block.vhd"), broken(""), "BlockBlob")
    message = place.refuses("BadRequest", "Add Disk", bodies.disk("bad", url("block.vhd")))
    assert "reddog vhd upload" in message


def test_media_links_that_lead_nowhere_are_refused(place: World) -> None:
    place.do("Create Storage Account", bodies.account("theirs"), subscription=OTHER)
    place.put_vhd(url("a.vhd", "theirs"))
    for link, part in (
        (url("absent.vhd"), "no blob"),
        (url("a.vhd", "nobody"), "does not have"),
        (url("a.vhd", "theirs"), "does not have"),
        ("https://example.com/vhds/a.vhd", "not a blob's URL"),
        ("no url", "not a blob's URL"),
        ("https://acct.blob.core.windows.net/", "not a blob's URL"),
    ):
        assert part in place.refuses("BadRequest", "Add Disk", bodies.disk("d", link))


@pytest.mark.parametrize("name", ["-first", "with space", "dot.", "a/b", "x" * 513, "ü"])
def test_invalid_names_are_refused(place: World, name: str) -> None:
    place.put_vhd(url("a.vhd"))
    place.refuses("BadRequest", "Add Disk", bodies.disk(name, url("a.vhd")))


def test_an_unknown_system_is_refused(place: World) -> None:
    place.put_vhd(url("a.vhd"))
    place.refuses("InvalidXmlRequest", "Add Disk", bodies.disk("a", url("a.vhd"), os="Plan9"))


def test_names_and_blobs_are_used_once(place: World) -> None:
    place.put_vhd(url("a.vhd"))
    place.put_vhd(url("b.vhd"))
    place.do("Add Disk", bodies.disk("one", url("a.vhd")))
    place.refuses("ConflictError", "Add Disk", bodies.disk("ONE", url("b.vhd")))
    message = place.refuses("BadRequest", "Add Disk", bodies.disk("two", url("a.vhd")))
    assert message == f"A lease conflict occurred with the blob {url('a.vhd')}."
    assert place.blobs() == {"vhds/a.vhd": True, "vhds/b.vhd": False}


def test_another_subscriptions_disk_is_not_there(place: World) -> None:
    place.put_vhd(url("a.vhd"))
    place.do("Add Disk", bodies.disk("one", url("a.vhd")))
    place.refuses("ResourceNotFound", "Get Disk", disk="one", subscription=OTHER)
    place.refuses("ResourceNotFound", "Delete Disk", disk="one", subscription=OTHER)
    assert list(place.call("List Disks", subscription=OTHER)) == []


def test_an_update_gives_another_label_and_nothing_else(place: World) -> None:
    place.put_vhd(url("a.vhd"), mark=b"content")
    place.do("Add Disk", bodies.disk("one", url("a.vhd")))
    place.do("Update Disk", wire.only(wire.Disk, name="one", label="new"), disk="one")
    told = place.call("Get Disk", disk="one")
    assert (told.label, told.media_link) == ("new", url("a.vhd"))
    assert place.read_disk(url("a.vhd"), 7) == b"content"
    bigger = wire.only(wire.Disk, name="one", label="new", resized_size_in_gb=2)
    place.refuses("NotImplemented", "Update Disk", bigger, disk="one")


def test_a_deleted_disk_leaves_its_blob_unless_asked(place: World) -> None:
    place.put_vhd(url("a.vhd"))
    place.do("Add Disk", bodies.disk("one", url("a.vhd")))
    place.do("Delete Disk", disk="one")
    assert place.blobs() == {"vhds/a.vhd": False}
    place.refuses("ResourceNotFound", "Get Disk", disk="one")
    place.do("Add Disk", bodies.disk("one", url("a.vhd")))
    place.do("Delete Disk", disk="one", query={"comp": "media"})
    assert place.blobs() == {}


def test_a_disk_is_big_as_it_is(place: World) -> None:
    place.put_vhd(url("a.vhd"), 2 * GIB + MIB)
    assert place.call("Add Disk", bodies.disk("one", url("a.vhd"))).logical_disk_size_in_gb == 3


def test_a_disk_that_vanishes_between_check_and_lease_fails_cleanly(place: World) -> None:
    place.put_vhd(url("a.vhd"))
    address = place.storage.parse_url(url("a.vhd"))
    checked = place.storage.properties

    def vanish(asked: object) -> object:
        found = checked(address)
        if found is not None and asked == address and place.rows("disk"):
            place.storage.delete_blob(address)
        return found

    place.storage.properties = vanish  # type: ignore[method-assign, assignment]
    with pytest.raises(wire.ServiceError, match="no blob"):
        place.call("Add Disk", bodies.disk("one", url("a.vhd")))
    assert place.rows("disk") == []
