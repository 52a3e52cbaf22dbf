"""Entities in every form: what is told of them is read as the same entity."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddog.storage import StorageError
from reddog.storage.tables import _atom, _edm
from reddog.storage.tables._atom import AtomDocuments
from reddog.storage.tables._documents import FULL, MINIMAL, NONE
from reddog.storage.tables._edm import Kept, canonical_time, comparable, kept, kind_of, size_of
from reddog.storage.tables._entity import LARGEST_ENTITY, Draft, Entity, check_size, dump, load, read_json
from reddog.storage.tables._json import JsonDocuments

BASE = "http://127.0.0.1/acct/"
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
in_xml = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
).flatmap(lambda text: st.sampled_from([text, f" {text}\n", f"\t{text}\r"]))
keys = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\#?\ufffe\uffff"), max_size=8
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("PartitionKey", "RowKey", "Timestamp")
)
times = st.datetimes(datetime(1601, 1, 1), datetime(9999, 12, 31)).map(lambda moment: moment.isoformat())


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Kept]:
    return st.one_of(
        texts,
        st.booleans(),
        st.integers(-(2**31), 2**31 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["NaN", "Infinity", "-Infinity"]).map(lambda text: [_edm.DOUBLE, text]),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: [_edm.INT64, str(number)]),
        st.uuids().map(lambda guid: [_edm.GUID, str(guid)]),
        st.binary(max_size=20).map(lambda data: [_edm.BINARY, base64.b64encode(data).decode()]),
        times.map(lambda text: [_edm.DATETIME, canonical_time(text)]),
    )


def entities(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Entity]:
    properties = st.dictionaries(names, values(texts), max_size=6)
    return st.builds(Entity, keys, keys, st.integers(0, 10**17), properties)


def same(draft: Draft, entity: Entity) -> bool:
    return (draft.partition, draft.row, draft.properties) == (entity.partition, entity.row, entity.properties)


@settings(max_examples=200, deadline=None)
@given(entities(anything), st.sampled_from([MINIMAL, FULL]))
def test_json_with_metadata_tells_all_of_an_entity(entity: Entity, level: str):
    document = JsonDocuments(BASE, "acct", level)
    assert same(read_json(document.entity("Things", entity, ())), entity)
    listed = json.loads(document.entities("Things", [entity, entity], ()))["value"]
    assert [same(read_json(json.dumps(one).encode()), entity) for one in listed] == [True, True]


@settings(max_examples=100, deadline=None)
@given(entities(anything))
def test_json_without_metadata_tells_values_alone(entity: Entity):
    found = json.loads(JsonDocuments(BASE, "acct", NONE).entity("Things", entity, ()))
    plain = {
        name: value[1] if isinstance(value, list) else value for name, value in entity.properties.items()
    }
    shown = {
        "PartitionKey": entity.partition,
        "RowKey": entity.row,
        "Timestamp": _edm.timestamp(entity.stamp),
    }
    assert found == {**shown, **plain}


@settings(max_examples=200, deadline=None)
@given(entities(in_xml))
def test_atom_tells_all_of_an_entity(entity: Entity):
    assert same(_atom.read_entity(AtomDocuments(BASE, "acct").entity("Things", entity, ())), entity)


@settings(max_examples=50, deadline=None)
@given(entities(anything))
def test_atom_is_a_document_whatever_the_texts_are(entity: Entity):
    assert (
        _atom.read_entity(AtomDocuments(BASE, "acct").entity("Things", entity, ())).partition
        == entity.partition
    )


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, values(anything), max_size=6))
def test_what_is_stored_comes_back(properties: dict[str, Kept]):
    assert load(dump(properties)) == properties


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        anything, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2)
    ),
    st.sampled_from([None, "Edm.Nothing", *_edm._READERS]),
)
def test_any_value_is_of_its_type_or_is_refused(value: object, kind: str | None):
    try:
        found = kept(value, kind)
    except StorageError as refusal:
        found = None
        assert refusal.status == 400  # noqa: PT017 - either is right
    if found is not None:
        assert kind in (None, kind_of(found))
        assert kept(found[1] if isinstance(found, list) else found, kind_of(found)) == found
        assert size_of(found) >= 1
        assert comparable(found)[0] in ("text", "boolean", "number", "time", "guid", "bytes")


@given(st.lists(st.datetimes(datetime(1601, 1, 1), datetime(9998, 12, 31)), min_size=2, max_size=2))
def test_times_are_in_the_order_of_the_clock(moments: list[datetime]):
    first, second = (comparable([_edm.DATETIME, canonical_time(one.isoformat())]) for one in moments)
    assert (first < second) == (moments[0] < moments[1])


@given(st.integers(0, 10**17))
def test_a_stamp_is_told_to_the_tick(stamp: int):
    shown = _edm.timestamp(stamp)
    moment = datetime.fromisoformat(shown[:19]).replace(tzinfo=UTC)
    assert moment == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp // _edm.TICKS)
    assert int(shown[20:27]) == stamp % _edm.TICKS


def test_a_number_that_no_int32_holds_is_a_double():
    assert kept(2**31 - 1, None) == 2**31 - 1
    assert kept(2**31, None) == 2147483648.0
    assert kind_of(kept(2**31, None)) == _edm.DOUBLE
    assert math.isclose(float(str(kept(1.5, None))), 1.5)


@pytest.mark.parametrize("extra", [0, 1])
def test_an_entity_has_up_to_a_mebibyte(extra: int):
    full = {f"a{number:02}": "x" * 32000 for number in range(16)}
    used = 4 + 2 + 2 + sum(8 + 2 * len(name) + 4 + 2 * len(text) for name, text in full.items())
    rest = LARGEST_ENTITY - used - (8 + 2 * len("rest") + 4)
    entity = Entity("p", "1", 0, {**full, "rest": "x" * (rest // 2 + extra)})
    if extra:
        with pytest.raises(StorageError) as error:
            check_size(entity)
        assert error.value.code == "EntityTooLarge"
    else:
        check_size(entity)
