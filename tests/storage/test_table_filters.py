"""`$filter`: what it wants is what a model of the language wants, wherever the entities are looked for."""

from __future__ import annotations

import base64
import operator
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reddog.storage import StorageError
from reddog.storage.tables._edm import Kept, canonical_time
from reddog.storage.tables._entity import Entity
from reddog.storage.tables._filter import Condition, parse
from reddog.storage.tables._ranges import EVERYTHING, Range, Span, spans
from reddog.storage.tables._store import Page, TableReader, TableStore, TableWriter

OPERATORS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
GUIDS = [str(uuid.UUID(int=number << 90)) for number in range(3)]
TIMES = [
    "2020-01-01T00:00:00Z",
    "2020-01-01T00:00:00.5Z",
    "2020-01-01T00:00:00.1234567Z",
    "1999-12-31T23:59:59Z",
]
Model = Callable[[dict[str, Any]], bool]

# A value of a property: how it is kept, what the model compares, and literals that mean it.
texts = st.text("ab'é🐶 ", max_size=3)
values = st.one_of(
    texts.map(lambda text: (text, ("text", text), "'" + text.replace("'", "''") + "'")),
    st.integers(-3, 3).map(lambda number: (number, ("number", number), str(number))),
    st.integers(-3, 3).map(lambda number: (["Edm.Int64", str(number)], ("number", number), f"{number}L")),
    st.sampled_from([-1.5, 0.0, 1.0, 2.5]).map(lambda number: (number, ("number", number), repr(number))),
    st.booleans().map(lambda truth: (truth, ("boolean", truth), str(truth).lower())),
    st.sampled_from(GUIDS).map(lambda text: (["Edm.Guid", text], ("guid", text), f"guid'{text.upper()}'")),
    st.sampled_from(TIMES).map(
        lambda text: (
            ["Edm.DateTime", text],
            ("time", (text.rstrip("Z") + ("" if "." in text else ".")).ljust(27, "0")),
            f"datetime'{text}'",
        )
    ),
    st.binary(max_size=2).map(
        lambda data: (
            ["Edm.Binary", base64.b64encode(data).decode()],
            ("bytes", data),
            f"X'{data.hex()}'",
        )
    ),
)
keys = st.text("abc'", max_size=2)
names = st.sampled_from(["PartitionKey", "RowKey", "a", "b", "missing"])


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Model]:
    name, kind = draw(names), draw(st.sampled_from(list(OPERATORS)))
    if name in ("PartitionKey", "RowKey"):
        key = draw(keys)
        compared, literal = ("text", key), "'" + key.replace("'", "''") + "'"
    else:
        _, compared, literal = draw(values)

    def holds(entity: dict[str, Any], *, turned: bool = False) -> bool:
        found = entity.get(name)
        if found is None or found[0] != compared[0]:
            return False
        sides = (compared[1], found[1]) if turned else (found[1], compared[1])
        return OPERATORS[kind](*sides)

    if draw(st.booleans()):
        return f"{name} {kind} {literal}", holds
    return f"{literal} {kind} {name}", lambda entity: holds(entity, turned=True)


def joined(
    word: str, test: Callable[[Iterator[bool]], bool], parts: list[tuple[str, Model]]
) -> tuple[str, Model]:
    return f" {word} ".join(f"({text})" for text, _ in parts), lambda entity: test(
        hold(entity) for _, hold in parts
    )


def turned_round(part: tuple[str, Model]) -> tuple[str, Model]:
    text, holds = part
    return f"not ({text})", lambda entity: not holds(entity)


filters = st.recursive(
    st.one_of(
        comparisons(),
        st.just(("true", lambda entity: True)),
        st.just(("false", lambda entity: False)),
        st.just(("a", lambda entity: entity.get("a") == ("boolean", True))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined("and", all, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined("or", any, parts)),
        inner.map(turned_round),
    ),
    max_leaves=6,
)
entities = st.dictionaries(
    st.tuples(keys, keys), st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2), max_size=8
)


def of_model(key: tuple[str, str], properties: dict[str, Any]) -> dict[str, Any]:
    shown = {name: compared for name, (_, compared, _) in properties.items()}
    return {"PartitionKey": ("text", key[0]), "RowKey": ("text", key[1]), **shown}


def finder(entity: Entity) -> Callable[[str], Kept | None]:
    return {"PartitionKey": entity.partition, "RowKey": entity.row, **entity.properties}.get


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TableStore]:
    found = TableStore(tmp_path / "tables.db", "acct")
    yield found
    found.close()


def fill(store: TableStore, found: dict[tuple[str, str], dict[str, Any]]) -> None:
    def change(tables: TableWriter) -> None:
        tables._connection.execute("DELETE FROM tables")
        tables._connection.execute("DELETE FROM entities")
        tables.create("Things")
        for key, properties in found.items():
            tables.insert(
                "things", Entity(*key, 0, {name: kept for name, (kept, _, _) in properties.items()})
            )

    store._opened().write(change)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, found=entities, size=st.integers(1, 4))
def test_a_query_finds_in_order_and_in_pages_what_the_model_wants(store, wanted, found, size):
    text, holds = wanted
    condition = parse(text)
    assert condition is not None
    fill(store, found)
    expected = sorted(key for key, properties in found.items() if holds(of_model(key, properties)))
    seen, start = [], ("", "")
    while True:
        page = store.look(partial(page_of, condition=condition, start=start, size=size))
        seen += [(one.partition, one.row) for one in page.entities]
        if page.following is None:
            break
        assert page.following > start or start == ("", "")
        start = page.following
    assert seen == expected


def page_of(tables: TableReader, condition: Condition, start: tuple[str, str], size: int) -> Page:
    where = spans(condition.ranges(), start)
    return tables.page("Things", where, lambda one: condition.holds(finder(one)), size)


bounds = st.one_of(st.none(), keys)
ranges = st.builds(Range, keys, bounds, keys, bounds)


@settings(max_examples=300, deadline=None)
@given(
    given=st.lists(ranges, max_size=5),
    start=st.tuples(keys, keys),
    bounds=st.builds(Span, st.tuples(keys, keys), st.one_of(st.none(), st.tuples(keys, bounds))),
)
def test_spans_hold_what_is_in_the_ranges_and_do_not_overlap(given, start, bounds):
    found = spans([one for one in given if not one.is_empty], start, bounds)
    alphabet = ["", *"'abc", *(one + other for one in "'abc" for other in "'abc")]
    seen = {
        key: sum(span.holds(key) for span in found) for key in ((p, r) for p in alphabet for r in alphabet)
    }
    assert max(seen.values()) <= 1
    assert found == sorted(found, key=lambda span: span.start)
    for key, times in seen.items():
        within = any(
            one.first <= key[0]
            and (one.last is None or key[0] <= one.last)
            and one.low <= key[1]
            and (one.high is None or key[1] <= one.high)
            for one in given
        )
        if within and key >= start and bounds.holds(key):
            assert times == 1, key
        if key < start or not bounds.holds(key):
            assert times == 0, key


def test_a_point_is_looked_for_where_it_is(store: TableStore):
    condition = parse("PartitionKey eq 'b' and RowKey eq 'c' and a gt 5")
    assert condition is not None
    assert spans(condition.ranges()) == [Span(("b", "c"), ("b", "c"))]
    fill(store, {})
    plan = store.look(
        lambda tables: tables._connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM entities WHERE owner=? AND (part, row)>=(?, ?) AND (part, row)<=(?, ?) "
            "ORDER BY part, row",
            (1, "b", "c", "b", "c"),
        ).fetchall()
    )
    assert "owner=? AND (part,row)>(?,?) AND (part,row)<(?,?)" in plan[0][3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "PartitionKey eq 'a' or PartitionKey eq 'c'",
            [Span(("a", ""), ("a", None)), Span(("c", ""), ("c", None))],
        ),
        ("PartitionKey ge 'b' and PartitionKey lt 'c'", [Span(("b", ""), ("c", None))]),
        ("PartitionKey eq 'b' and RowKey ge 'a' and RowKey lt 'b'", [Span(("b", "a"), ("b", "b"))]),
        ("'b' lt PartitionKey", [Span(("b", ""), None)]),
        ("not (PartitionKey eq 'b')", [Span()]),
        ("PartitionKey eq 'a' and PartitionKey eq 'b'", []),
        ("a eq 'b'", [Span()]),
        ("false", []),
    ],
)
def test_keys_in_a_filter_say_where_to_look(text: str, expected: list[Span]):
    condition = parse(text)
    assert condition is not None
    assert spans(condition.ranges()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "(1 === 1)",
        "(1)",
        "(1 1 1)",
        '("a" eq "a")',
        "a eq 'b' eq 5.0",
        "a eq eq 'b'",
        "(a eq 1) and and (b eq 2)",
        "a eq",
        "eq 1",
        "(a eq 1",
        "a eq 1)",
        "a eq 'b",
        "a eq datetime'yesterday'",
        "a eq guid'1'",
        "a eq X'abc'",
        "a eq 99999999999999999999L",
        "a eq 1e999",
        "a eq (b eq 1)",
        "a eq 1 or",
        "not",
        "a; b",
        "a eq 1x",
        "(" * 200 + "a eq 1" + ")" * 200,
        "not " * 5000 + "a",
        "a eq '" + "x" * 40000 + "'",
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_filter_is_refused(text: str):
    with pytest.raises(StorageError) as error:
        parse(text)
    assert (error.value.code, error.value.status) == ("InvalidInput", 400)


def test_functions_are_refused_by_name():
    with pytest.raises(StorageError) as error:
        parse("startswith(a, 'b')")
    assert error.value.status == 501
    assert "startswith" in error.value.message


@settings(max_examples=300, deadline=None)
@given(st.text("aeqnotrX'()1.L \t-é", max_size=30))
def test_any_text_is_a_filter_or_is_refused(text: str):
    try:
        condition = parse(text)
    except StorageError as refusal:
        condition, status = None, refusal.status
    else:
        status = 200
    assert status in (200, 400, 501)
    assert condition is None or condition.holds({}.get) in (True, False)


def test_a_long_row_of_conditions_is_no_trouble():
    condition = parse(" or ".join(f"a eq {number}" for number in range(2000)))
    assert condition is not None
    assert condition.holds({"a": 1999}.get)
    assert spans(condition.ranges()) == spans([EVERYTHING])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2020-02-29T12:00:00Z", "2020-02-29T12:00:00Z"),
        ("2020-02-29T12:00:00.1200000Z", "2020-02-29T12:00:00.12Z"),
        ("2020-02-29T12:00:00.123456789Z", "2020-02-29T12:00:00.1234567Z"),
        ("2020-02-29T12:00:00", "2020-02-29T12:00:00Z"),
        ("2020-03-01T01:30:00.5+02:00", "2020-02-29T23:30:00.5Z"),
        ("2020-02-29T12:00:00-0530", "2020-02-29T17:30:00Z"),
        ("2020-02-29T12:00Z", "2020-02-29T12:00:00Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
        ("1601-01-01T00:00:00Z", "1601-01-01T00:00:00Z"),
    ],
)
def test_times_are_kept_in_utc_with_their_ticks(given: str, kept: str):
    assert canonical_time(given) == kept


@pytest.mark.parametrize(
    "text", ["1600-12-31T23:59:59Z", "2021-02-29T00:00:00Z", "9999-12-31T23:59:59-01:00", "now", ""]
)
def test_times_that_are_none_are_refused(text: str):
    with pytest.raises((ValueError, OverflowError)):
        canonical_time(text)
