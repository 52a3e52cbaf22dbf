"""Blob tags, and the expressions that find blobs by them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobSasPermissions, ContainerClient, generate_blob_sas
from hypothesis import given
from hypothesis import strategies as st

from reddog.storage import StorageError
from reddog.storage.blobs import _tags

WORDS = st.text("abcXYZ019 +-./:=_", max_size=8)
TAGS = st.dictionaries(st.sampled_from(["a", "b", "c d", "e-f"]), WORDS, max_size=4)
COMPARISONS = st.tuples(
    st.sampled_from(["a", "b", "c d", "e-f"]), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), WORDS
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    max_leaves=8,
)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def written(expression: tuple) -> str:
    if expression[0] in ("and", "or"):
        return "(" + f" {expression[0]} ".join(map(written, expression[1])) + ")"
    key, sign, value = expression
    return f"\"{key}\" {sign}'{value}'"


def holds(expression: tuple, tags: dict[str, str]) -> bool:
    if expression[0] in ("and", "or"):
        results = [holds(one, tags) for one in expression[1]]
        return all(results) if expression[0] == "and" else any(results)
    key, sign, value = expression
    if key not in tags:
        return False
    found = tags[key]
    return {
        "=": found == value,
        "<>": found != value,
        "<": found < value,
        "<=": found <= value,
        ">": found > value,
        ">=": found >= value,
    }[sign]


@given(EXPRESSIONS, TAGS)
def test_conditions_hold_as_they_are_written(expression: tuple, tags: dict[str, str]):
    assert _tags.condition(written(expression)).holds(tags) == holds(expression, tags)


@given(st.text())
def test_whatever_is_written_is_understood_or_refused(text: str):
    for read in (_tags.condition, _tags.query, _tags.from_header):
        with contextlib.suppress(StorageError):
            read(text)


def test_deep_parentheses_are_refused():
    with pytest.raises(StorageError):
        _tags.condition("(" * 5000 + "a='b'" + ")" * 5000)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a", 1),
        ("a=1", 3),
        ("a<>'b'", 3),
        ("a='b' or c='d'", 8),
        ("'a b'='c'", 5),
        ("a='@'", 5),
        ("@b='c'", 2),
    ],
)
def test_a_query_that_is_none_is_told_where(text: str, position: int):
    with pytest.raises(StorageError) as error:
        _tags.query(text)
    assert (error.value.code, error.value.status) == ("InvalidQueryParameterValue", 400)
    assert f"position {position}:" in error.value.message


@pytest.mark.parametrize("text", ["a='1' and a='2'", "a>'1' and a>='2'", "@container='things'", ""])
def test_a_query_asks_for_ranges_of_tags(text: str):
    with pytest.raises(StorageError) as error:
        _tags.query(text)
    assert error.value.code == "InvalidQueryParameterValue"


def test_tags_come_with_a_blob_and_stay_with_its_snapshots(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", tags={"kind": "first", "a b": "c/d"})
    etag = blob.get_blob_properties().etag
    old = container.get_blob_client("blob", snapshot=blob.create_snapshot()["snapshot"])
    blob.set_blob_tags({"kind": "second"})
    assert blob.get_blob_tags() == {"kind": "second"}
    assert old.get_blob_tags() == {"kind": "first", "a b": "c/d"}
    properties = blob.get_blob_properties()
    assert (properties.etag, properties.tag_count) == (etag, 1)
    listed = {one.snapshot: one.tags for one in container.list_blobs(include=["tags", "snapshots"])}
    assert listed[None] == {"kind": "second"}


@pytest.mark.parametrize(
    "tags",
    [{str(number): "" for number in range(11)}, {"k" * 129: ""}, {"k": "v" * 257}, {"k": "#"}, {"": "v"}],
)
def test_tags_have_limits(container: ContainerClient, tags: dict[str, str]):
    blob = container.upload_blob("blob", b"1")
    for change in (
        lambda: blob.set_blob_tags(tags),
        lambda: blob.upload_blob(b"2", overwrite=True, tags=tags),
    ):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert error.value.status_code == 400
    assert (blob.get_blob_tags(), blob.download_blob().readall()) == ({}, b"1")


def test_blobs_are_found_by_their_tags(service, container: ContainerClient):
    other = service.create_container("others")
    for number in range(5):
        container.upload_blob(f"blob{number}", b"", tags={"number": str(number), "kind": "x"})
    other.upload_blob("blob2", b"", tags={"number": "2"})
    found = service.find_blobs_by_tags("\"number\" >= '1' and number < '3'")
    names = [(one.container_name, one.name, one.tags) for one in found]
    assert names == [
        *(("others", "blob2", {"number": "2"}), ("things", "blob1", {"number": "1"})),
        ("things", "blob2", {"number": "2"}),
    ]
    where = "@container = 'things' and kind = 'x'"
    pages = service.find_blobs_by_tags(where, results_per_page=2).by_page()
    assert [[one.name for one in page] for page in pages] == [
        ["blob0", "blob1"],
        ["blob2", "blob3"],
        ["blob4"],
    ]
    container.delete_blob("blob0")
    container.get_blob_client("blob1").set_blob_tags({})
    container.upload_blob("blob2", b"", overwrite=True)
    assert [one.name for one in container.find_blobs_by_tags("kind='x'")] == ["blob3", "blob4"]
    service.delete_container("things")
    assert list(service.find_blobs_by_tags("kind='x'")) == []


def test_a_condition_on_tags_keeps_a_blob_as_it_is(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", tags={"state": "new"})
    blob.set_blob_metadata({"a": "b"}, if_tags_match_condition="state = 'new' or state = 'old'")
    for change in (blob.delete_blob, blob.get_blob_properties, lambda **it: blob.set_blob_tags({}, **it)):
        with pytest.raises(HttpResponseError) as error:
            change(if_tags_match_condition="state <> 'new'")
        assert error.value.status_code == 412
    blob.delete_blob(if_tags_match_condition="state = 'new'")


def test_a_signature_has_to_permit_tags(server, container: ContainerClient):
    container.upload_blob("blob", b"1", tags={"a": "b"})
    permissions = [BlobSasPermissions(write=True, read=True), BlobSasPermissions(write=True, tag=True)]
    without, allowed = (
        BlobClient.from_blob_url(
            f"{server.url()}/things/blob",
            generate_blob_sas(
                "acct", "things", "blob", account_key=server.keys[0], permission=one, expiry=soon()
            ),
        )
        for one in permissions
    )
    for change in (without.get_blob_tags, lambda: without.upload_blob(b"2", overwrite=True, tags={"a": "c"})):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert error.value.error_code == "AuthorizationPermissionMismatch"
    allowed.upload_blob(b"2", overwrite=True, tags={"a": "c"})
    assert allowed.get_blob_tags() == {"a": "c"}


def test_a_condition_may_be_long(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", tags={"state": "new"})
    condition = " and ".join(f"state <> '{number}'" for number in range(700))
    assert blob.get_blob_tags(if_tags_match_condition=condition) == {"state": "new"}
