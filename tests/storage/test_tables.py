"""Tables and entities as the current client for Python uses them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import (
    EdmType,
    EntityProperty,
    TableClient,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)
from azure.data.tables.aio import TableServiceClient as AsyncTableServiceClient

from reddog.storage.tables import _store

EVERYTHING = {
    "text": "häßlich <&> \n '\" 🐶",
    "empty": "",
    "int": -(2**31),
    "long": EntityProperty(2**63 - 1, EdmType.INT64),
    "double": 54.321,
    "whole": 5.0,
    "tiny": 5e-324,
    "infinite": float("-inf"),
    "yes": True,
    "bytes": bytes(range(256)),
    "id": uuid.uuid4(),
    "when": datetime(1999, 12, 31, 23, 59, 59, 123456, UTC),
}


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    assert error.value.response is not None
    found = getattr(error.value, "error_code", error.value.response.headers.get("x-ms-error-code"))
    return error.value.status_code, str(getattr(found, "value", found))


def entity(row: str, partition: str = "p", **properties: object) -> dict[str, object]:
    return {"PartitionKey": partition, "RowKey": row, **properties}


def rows(found) -> list[str]:
    return [one["RowKey"] for one in found]


# -- Tables ----------------------------------------------------------------------------------------------


def test_tables_are_listed_by_name_and_in_pages(tables: TableServiceClient):
    for name in ("Beta", "alpha", "Gamma", "delta"):
        tables.create_table(name)
    assert [one.name for one in tables.list_tables()] == ["alpha", "Beta", "delta", "Gamma"]
    pages = tables.list_tables(results_per_page=3).by_page()
    assert [[one.name for one in page] for page in pages] == [["alpha", "Beta", "delta"], ["Gamma"]]
    assert [one.name for one in tables.query_tables("TableName ge 'a' and TableName lt 'b'")] == ["alpha"]
    assert [one.name for one in tables.query_tables("TableName eq 'Gamma'")] == ["Gamma"]


def test_a_table_is_there_once_in_whatever_case(tables: TableServiceClient):
    tables.create_table("Things")
    with pytest.raises(ResourceExistsError) as error:
        tables.create_table("tHINGS")
    assert code(error) == (409, "TableAlreadyExists")
    tables.get_table_client("THINGS").create_entity(entity("1"))
    assert rows(tables.get_table_client("things").list_entities()) == ["1"]


def test_a_table_that_is_made_again_is_empty(server, tables: TableServiceClient, monkeypatch):
    monkeypatch.setattr(_store, "DELETED_AT_ONCE", 2)
    table = tables.create_table("Things")
    for number in range(7):
        table.create_entity(entity(str(number)))
    table.delete_table()
    for use in (lambda: list(table.list_entities()), lambda: table.create_entity(entity("1"))):
        with pytest.raises(ResourceNotFoundError) as error:
            use()
        assert code(error) == (404, "TableNotFound")
    tables.create_table("Things")
    assert list(table.list_entities()) == []
    table.create_entity(entity("new"))
    left = server.storage.find("acct").tables.look(
        lambda reader: [
            reader._connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("entities", "dropped")
        ]
    )
    assert left == [1, 0]


@pytest.mark.parametrize("name", ["ab", "x" * 64, "1st", "a-b", "tables", "ünfug"])
def test_what_is_no_name_of_a_table_is_refused(tables: TableServiceClient, name: str):
    with pytest.raises((HttpResponseError, ValueError)):
        tables.create_table(name)
    assert list(tables.list_tables()) == []


# -- Entities --------------------------------------------------------------------------------------------


def test_every_type_comes_back_as_it_was(table: TableClient):
    table.create_entity(entity("1", **EVERYTHING))
    found = table.get_entity("p", "1")
    assert dict(found) == entity("1", **EVERYTHING)
    assert found.metadata["etag"].startswith("W/\"datetime'")
    assert [dict(one) for one in table.list_entities()] == [entity("1", **EVERYTHING)]


def test_what_is_not_a_number_comes_back_as_such(table: TableClient):
    table.create_entity(entity("1", value=float("nan")))
    assert table.get_entity("p", "1")["value"] != table.get_entity("p", "1")["value"]


@pytest.mark.parametrize(
    "key", ["", "it's", "''", "a%b%25", "a b+c", "ключ", "a&b=c;d,e", "🐶", "(x)", "~!@$^*_-.:"]
)
def test_odd_keys_are_just_keys(table: TableClient, key: str):
    table.create_entity(entity(key, key, text="here"))
    assert table.get_entity(key, key)["text"] == "here"
    table.upsert_entity(entity(key, key, text="there"))
    quoted = key.replace("'", "''")
    assert rows(table.query_entities(f"PartitionKey eq '{quoted}' and RowKey eq '{quoted}'")) == [key]
    table.submit_transaction([("delete", entity(key, key))])
    assert list(table.list_entities()) == []


@pytest.mark.parametrize("character", ["/", "\\", "#", "?", "\t", "\n", "\x7f", "\x9f"])
def test_characters_that_no_key_has_are_refused(table: TableClient, character: str):
    for keys in ((f"a{character}", "1"), ("p", f"a{character}")):
        with pytest.raises(HttpResponseError) as error:
            table.create_entity(entity(keys[1], keys[0]))
        assert code(error) == (400, "OutOfRangeInput")


def test_an_entity_is_inserted_once(table: TableClient):
    table.create_entity(entity("1", a="old"))
    with pytest.raises(ResourceExistsError) as error:
        table.create_entity(entity("1", a="new"))
    assert code(error) == (409, "EntityAlreadyExists")
    assert table.get_entity("p", "1")["a"] == "old"


def test_merging_keeps_what_it_does_not_name_and_replacing_does_not(table: TableClient):
    table.create_entity(entity("1", a=1, b="kept"))
    table.update_entity(entity("1", a=2))
    assert dict(table.get_entity("p", "1")) == entity("1", a=2, b="kept")
    table.upsert_entity(entity("1", c=True))
    assert dict(table.get_entity("p", "1")) == entity("1", a=2, b="kept", c=True)
    table.update_entity(entity("1", d=1), mode=UpdateMode.REPLACE)
    assert dict(table.get_entity("p", "1")) == entity("1", d=1)
    table.upsert_entity(entity("1"), mode=UpdateMode.REPLACE)
    assert dict(table.get_entity("p", "1")) == entity("1")


def test_only_what_is_there_is_updated(table: TableClient):
    for mode in UpdateMode:
        with pytest.raises(ResourceNotFoundError) as error:
            table.update_entity(entity("1"), mode=mode)
        assert code(error) == (404, "ResourceNotFound")
        table.upsert_entity(entity(mode.value, a=1), mode=mode)
    assert len(rows(table.list_entities())) == 2


def test_an_etag_guards_against_changes_in_between(table: TableClient):
    first = table.create_entity(entity("1", a=1))["etag"]
    second = table.update_entity(entity("1", a=2))["etag"]
    assert first != second
    guarded = {"match_condition": MatchConditions.IfNotModified}
    for change in (
        lambda: table.update_entity(entity("1", a=3), etag=first, **guarded),
        lambda: table.update_entity(entity("1", a=3), mode=UpdateMode.REPLACE, etag=first, **guarded),
        lambda: table.delete_entity("p", "1", etag=first, **guarded),
    ):
        with pytest.raises(ResourceModifiedError) as error:
            change()
        assert code(error) == (412, "UpdateConditionNotSatisfied")
    third = table.update_entity(entity("1", a=4), etag=second, **guarded)["etag"]
    table.delete_entity("p", "1", etag=third, **guarded)
    assert list(table.list_entities()) == []


def test_nulls_are_no_properties(table: TableClient):
    table.create_entity(entity("1", a=1, nothing=None))
    table.update_entity(entity("1", a=None))
    assert dict(table.get_entity("p", "1")) == entity("1", a=1)


# -- Limits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"a": "x" * (32 << 10)}, None),
        ({"a": "x" * ((32 << 10) + 1)}, "PropertyValueTooLarge"),
        ({"a": "🐶" * (16 << 10)}, None),
        ({"a": "🐶" * (16 << 10) + "x"}, "PropertyValueTooLarge"),
        ({"a": bytes(64 << 10)}, None),
        ({"a": bytes((64 << 10) + 1)}, "PropertyValueTooLarge"),
        ({f"a{number}": 1 for number in range(252)}, None),
        ({f"a{number}": 1 for number in range(253)}, "TooManyProperties"),
        ({f"a{number}": "x" * 32000 for number in range(16)}, None),
        ({f"a{number}": "x" * 32000 for number in range(17)}, "EntityTooLarge"),
        ({"a" * 255: 1}, None),
        ({"a" * 256: 1}, "PropertyNameTooLong"),
        ({"a-b": 1}, "PropertyNameInvalid"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_entities_are_as_large_as_they_may_be(table: TableClient, properties, expected):
    if expected is None:
        table.create_entity(entity("1", **properties))
        assert dict(table.get_entity("p", "1")) == entity("1", **properties)
        return
    for put in (table.create_entity, table.upsert_entity):
        with pytest.raises(HttpResponseError) as error:
            put(entity("1", **properties))
        assert code(error) == (400, expected)
    assert list(table.list_entities()) == []


@pytest.mark.parametrize("name", ["PartitionKey", "RowKey"])
def test_keys_have_up_to_a_kibibyte(table: TableClient, name: str):
    for longest in ("x" * 512, "🐶" * 256):
        table.create_entity({**entity("1"), name: longest})
        for put in (table.create_entity, table.upsert_entity):
            with pytest.raises(HttpResponseError) as error:
                put({**entity("1"), name: longest + "x"})
            assert code(error) == (400, "PropertyValueTooLarge")
    assert len(list(table.list_entities())) == 2


def test_merging_makes_no_entity_larger_than_it_may_be(table: TableClient):
    half = {f"a{number}": "x" * 32000 for number in range(10)}
    table.create_entity(entity("1", **half))
    with pytest.raises(HttpResponseError) as error:
        table.update_entity(entity("1", **{f"b{name}": value for name, value in half.items()}))
    assert code(error) == (400, "EntityTooLarge")
    assert dict(table.get_entity("p", "1")) == entity("1", **half)


# -- Queries ---------------------------------------------------------------------------------------------


def test_entities_are_listed_by_their_keys_and_in_pages(table: TableClient):
    for partition in ("b", "a"):
        for row in ("2", "10", "1"):
            table.create_entity(entity(row, partition))
    pages = [
        [(one["PartitionKey"], one["RowKey"]) for one in page]
        for page in table.list_entities(results_per_page=4).by_page()
    ]
    assert pages == [[("a", "1"), ("a", "10"), ("a", "2"), ("b", "1")], [("b", "10"), ("b", "2")]]


def test_a_page_ends_in_good_time_whether_anything_was_found_or_not(table: TableClient, monkeypatch):
    monkeypatch.setattr(_store, "MOST_LOOKED_AT", 5)
    for number in range(23):
        table.create_entity(entity(f"{number:02}", number=number))
    found = list(table.query_entities("number ge 20").by_page())
    assert len(found) == 5
    assert [rows(page) for page in found][-1] == ["20", "21", "22"]


def test_a_page_that_takes_long_ends_early(table: TableClient, monkeypatch):
    monkeypatch.setattr(_store, "LONGEST_LOOK", -1.0)
    for number in range(3):
        table.create_entity(entity(str(number)))
    assert [rows(page) for page in table.list_entities().by_page()] == [["0"], ["1"], ["2"]]


def test_large_entities_come_in_small_pages(table: TableClient, monkeypatch):
    monkeypatch.setattr(_store, "LARGEST_PAGE_SIZE", 100_000)
    for number in range(6):
        table.create_entity(entity(str(number), text="x" * 32000, more="y" * 32000))
    assert [len(list(page)) for page in table.list_entities().by_page()] == [2, 2, 2]


def test_only_what_is_selected_is_told(table: TableClient):
    table.create_entity(entity("1", a=1, b=2, c=EntityProperty(3, EdmType.INT64)))
    assert [dict(one) for one in table.list_entities(select=["a", "c"])] == [
        {"a": 1, "c": EntityProperty(3, EdmType.INT64)}
    ]
    found = table.get_entity("p", "1", select=["RowKey", "b"])
    assert dict(found) == {"RowKey": "1", "b": 2}


def test_a_property_that_is_selected_and_not_there_is_nothing(table: TableClient):
    table.create_entity(entity("1"))
    assert [dict(one) for one in table.list_entities(select=["RowKey", "none"])] == [
        {"RowKey": "1", "none": None}
    ]


# -- Transactions ----------------------------------------------------------------------------------------


def test_a_transaction_makes_all_of_its_changes(table: TableClient):
    for row in ("merged", "replaced", "deleted"):
        table.create_entity(entity(row, a=1))
    answers = table.submit_transaction(
        [
            ("create", entity("created", a=2)),
            ("update", entity("merged", b=2)),
            ("update", entity("replaced", b=2), {"mode": "replace"}),
            ("upsert", entity("upserted", a=2)),
            ("delete", entity("deleted")),
        ]
    )
    assert ["etag" in one for one in answers] == [True, True, True, True, False]
    found = {one["RowKey"]: dict(one) for one in table.list_entities()}
    assert found == {
        "created": entity("created", a=2),
        "merged": entity("merged", a=1, b=2),
        "replaced": entity("replaced", b=2),
        "upserted": entity("upserted", a=2),
    }


def test_a_transaction_that_fails_changes_nothing_and_says_where(table: TableClient):
    table.create_entity(entity("there", a=1))
    changes = [("upsert", entity(str(number))) for number in range(5)]
    for bad, expected in (
        (("create", entity("there")), "EntityAlreadyExists"),
        (("update", entity("none")), "ResourceNotFound"),
        (("upsert", entity("1")), "InvalidDuplicateRow"),
        (("upsert", entity("x", a="x" * 40000)), "PropertyValueTooLarge"),
    ):
        with pytest.raises(TableTransactionError) as error:
            table.submit_transaction([*changes, bad])
        assert (error.value.index, code(error)[1]) == (5, expected)
    assert rows(table.list_entities()) == ["there"]


def test_a_transaction_has_up_to_100_changes(table: TableClient):
    table.submit_transaction([("create", entity(str(number))) for number in range(100)])
    with pytest.raises(TableTransactionError) as error:
        table.submit_transaction([("upsert", entity(str(number))) for number in range(101)])
    assert code(error)[1] == "InvalidInput"
    with pytest.raises(TableTransactionError) as error:
        table.submit_transaction(
            [("upsert", entity(str(number), a="x" * 30000, b="y" * 30000)) for number in range(90)]
        )
    assert error.value.status_code == 413


def test_a_transaction_on_a_table_that_is_not_there_is_refused(tables: TableServiceClient):
    with pytest.raises(TableTransactionError) as error:
        tables.get_table_client("none").submit_transaction([("create", entity("1"))])
    assert code(error)[1] == "TableNotFound"


# -- The asynchronous client, and the rest ---------------------------------------------------------------


async def test_the_asynchronous_client_does_the_same(server):
    async with AsyncTableServiceClient(server.tables_url(), credential=server.table_key()) as service:
        table = await service.create_table("Things")
        await table.create_entity(entity("it's 100%", **EVERYTHING))
        assert dict(await table.get_entity("p", "it's 100%")) == entity("it's 100%", **EVERYTHING)
        await table.submit_transaction([("upsert", entity(str(number))) for number in range(9)])
        assert rows([one async for one in table.query_entities("RowKey lt '3'")]) == ["0", "1", "2"]
        assert len([one async for one in table.list_entities(results_per_page=3)]) == 10
        await table.delete_entity("p", "1")
        await service.delete_table("Things")
        assert [one.name async for one in service.list_tables()] == []


def test_the_tables_of_accounts_are_their_own(server, tables: TableServiceClient):
    tables.create_table("Things").create_entity(entity("1"))
    server.storage.ensure_account("other", *server.keys)
    other = server.tables(account="other")
    assert list(other.list_tables()) == []
    other.create_table("Things")
    assert list(other.get_table_client("Things").list_entities()) == []
    server.storage.remove_account("acct")
    with pytest.raises(ResourceNotFoundError):
        list(tables.list_tables())
    assert [one.name for one in other.list_tables()] == ["Things"]
    assert not (server.root / "acct").exists()


def test_what_was_written_is_there_when_the_storage_opens_again(server, table: TableClient, tmp_path):
    table.create_entity(entity("1", **EVERYTHING))
    server.storage.find("acct").tables.close()
    again = _store.TableStore(server.root / "acct" / "tables.db", "acct")
    found = again.look(lambda reader: reader.entity("things", ("p", "1")))
    assert found is not None
    assert found.properties["text"] == EVERYTHING["text"]
    again.close()
