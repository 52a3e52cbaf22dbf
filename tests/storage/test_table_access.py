"""Who may do what with tables: keys, shared access signatures, and the ranges of keys that these are for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import (
    AccountSasPermissions,
    ResourceTypes,
    TableAccessPolicy,
    TableClient,
    TableSasPermissions,
    TableServiceClient,
    TableTransactionError,
    generate_account_sas,
    generate_table_sas,
)
from azure.storage.blob import ResourceTypes as BlobResourceTypes
from azure.storage.blob import generate_account_sas as generate_blob_account_sas

import signing


def soon(hours: int = 1) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def guest(server, permission: str = "", table: str = "Things", **terms) -> TableClient:
    """A client with a signature for one table."""
    given = {"permission": permission, "expiry": soon(), **terms} if permission else terms
    sas = generate_table_sas(server.table_key(), "Things", **given)
    return server.tables(sas).get_table_client(table)


def refused(use) -> str | None:
    """The code with which something is refused."""
    with pytest.raises(HttpResponseError) as error:
        use()
    assert error.value.status_code == 403 or isinstance(error.value, TableTransactionError)
    found = getattr(error.value, "error_code", None) or error.value.response.headers.get("x-ms-error-code")
    return str(getattr(found, "value", found))


def entity(row: str, partition: str = "p", **properties: object) -> dict[str, object]:
    return {"PartitionKey": partition, "RowKey": row, **properties}


@pytest.fixture
def filled(table: TableClient) -> TableClient:
    for partition in "abc":
        for row in "123":
            table.create_entity(entity(row, partition))
    return table


USES = {
    "r": lambda table: table.get_entity("a", "1"),
    "a": lambda table: table.create_entity(entity("new", "a")),
    "u": lambda table: table.update_entity(entity("1", "a")),
    "d": lambda table: table.delete_entity("a", "1"),
    "au": lambda table: table.upsert_entity(entity("1", "a")),
}


@pytest.mark.parametrize("permission", ["r", "a", "u", "d", "au"])
def test_a_signature_permits_what_it_says_and_nothing_more(server, filled: TableClient, permission: str):
    table = guest(server, permission)
    for letters, use in USES.items():
        if set(letters) <= set(permission):
            use(table)
        else:
            assert refused(lambda use=use: use(table)) == "AuthorizationPermissionMismatch"


def test_in_a_transaction_every_change_has_to_be_permitted(server, filled: TableClient):
    changes = [("create", entity("new", "a")), ("delete", entity("1", "a"))]
    assert (
        refused(lambda: guest(server, "a").submit_transaction(changes)) == "AuthorizationPermissionMismatch"
    )
    assert (
        refused(lambda: guest(server, "r").submit_transaction(changes)) == "AuthorizationPermissionMismatch"
    )
    assert len(list(filled.list_entities())) == 9
    guest(server, "ad").submit_transaction(changes)
    assert [one["RowKey"] for one in filled.query_entities("PartitionKey eq 'a'")] == ["2", "3", "new"]


def test_a_tables_signature_is_for_that_table(server, tables: TableServiceClient, filled: TableClient):
    tables.create_table("Others").create_entity(entity("1"))
    table = guest(server, "raud", "Others")
    for use in (
        lambda: list(table.list_entities()),
        lambda: table.create_entity(entity("2")),
        lambda: table.submit_transaction([("create", entity("2"))]),
        table.delete_table,
        lambda: list(
            server.tables(
                generate_table_sas(server.table_key(), "Things", permission="raud", expiry=soon())
            ).list_tables()
        ),
        guest(server, "raud").get_table_access_policy,
    ):
        refused(use)
    assert len(list(tables.get_table_client("Others").list_entities())) == 1


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"start_pk": "b", "start_rk": "2"}, ["b2", "b3", "c1", "c2", "c3"]),
        ({"end_pk": "b", "end_rk": "1"}, ["a1", "a2", "a3", "b1"]),
        ({"start_pk": "b", "start_rk": "1", "end_pk": "b", "end_rk": "2"}, ["b1", "b2"]),
        ({"start_pk": "b", "end_pk": "b"}, ["b1", "b2", "b3"]),
    ],
)
def test_a_range_of_keys_bounds_what_is_read_and_written(server, filled: TableClient, terms, expected):
    table = guest(server, "raud", **terms)
    assert [one["PartitionKey"] + one["RowKey"] for one in table.list_entities()] == expected
    pages = table.query_entities("RowKey ge '1'", results_per_page=2).by_page()
    assert [one["PartitionKey"] + one["RowKey"] for page in pages for one in page] == expected
    for partition in "abc":
        for row in "123":
            changes = (
                lambda key=(partition, row): table.get_entity(*key),
                lambda key=(partition, row): table.upsert_entity(entity(key[1], key[0], a=1)),
                lambda key=(partition, row): table.submit_transaction(
                    [("upsert", entity(key[1], key[0], b=1))]
                ),
                lambda key=(partition, row): table.delete_entity(*key),
                lambda key=(partition, row): table.create_entity(entity(key[1], key[0])),
            )
            for change in changes:
                if partition + row in expected:
                    change()
                else:
                    assert refused(change) == "AuthorizationPermissionMismatch"


def test_a_stored_policy_can_be_withdrawn(server, filled: TableClient):
    filled.set_table_access_policy({"guests": TableAccessPolicy(permission="ra", expiry=soon())})
    stored = filled.get_table_access_policy()["guests"]
    assert stored is not None
    assert stored.permission == "ra"
    table = guest(server, policy_id="guests")
    table.create_entity(entity("new"))
    filled.set_table_access_policy({"guests": TableAccessPolicy(permission="r", expiry=soon())})
    assert refused(lambda: table.create_entity(entity("newer"))) == "AuthorizationPermissionMismatch"
    assert len(list(table.list_entities())) == 10
    filled.set_table_access_policy({})
    assert refused(lambda: list(table.list_entities())) == "AuthenticationFailed"


def test_a_policy_has_the_permissions_that_tables_have(filled: TableClient):
    with pytest.raises(HttpResponseError) as error:
        filled.set_table_access_policy({"guests": TableAccessPolicy(permission="rwdl", expiry=soon())})
    assert error.value.status_code == 400
    assert filled.get_table_access_policy() == {}


@pytest.mark.parametrize(
    "terms",
    [{"expiry": soon(-1)}, {"start": soon(1), "expiry": soon(2)}, {"ip_address_or_range": "10.1.2.3"}],
)
def test_a_signature_outside_of_its_bounds_is_refused(server, filled: TableClient, terms):
    refused(lambda: list(guest(server, "r", **terms).list_entities()))


def test_a_signature_cannot_be_changed(server, filled: TableClient):
    sas = generate_table_sas(
        server.table_key(), "Things", permission=TableSasPermissions(read=True), expiry=soon(), start_pk="b"
    )
    for old, new in (
        ("spk=b", "spk=a"),
        ("spk=b", "spk=b&epk=z"),
        ("tn=Things", "tn=Others"),
        ("sp=r", "sp=raud"),
        ("spk=b", ""),
    ):
        table = server.tables(sas.replace(old, new)).get_table_client("Things")
        assert refused(lambda table=table: list(table.list_entities())) == "AuthenticationFailed"


def test_an_accounts_signature_is_for_services_and_types_of_resources(server, filled: TableClient):
    terms = {
        "permission": AccountSasPermissions(read=True, list=True, create=True, delete=True),
        "expiry": soon(),
    }
    whole = generate_account_sas(
        server.table_key(), ResourceTypes(service=True, container=True, object=True), **terms
    )
    service = server.tables(whole)
    service.create_table("Others")
    assert [one.name for one in service.list_tables()] == ["Others", "Things"]
    service.delete_table("Others")
    assert len(list(service.get_table_client("Things").list_entities())) == 9
    assert service.get_service_properties()["cors"] == []
    objects = server.tables(generate_account_sas(server.table_key(), ResourceTypes(object=True), **terms))
    assert refused(lambda: list(objects.list_tables())) == "AuthorizationResourceTypeMismatch"
    blobs = generate_blob_account_sas(
        "acct", server.keys[0], BlobResourceTypes(service=True, container=True, object=True), "rl", soon()
    )
    assert refused(lambda: list(server.tables(blobs).list_tables())) == "AuthorizationServiceMismatch"


def test_who_does_not_say_who_it_is_gets_nothing(server, filled: TableClient):
    for path in ("", "Tables", "Things", "Things(PartitionKey='a',RowKey='1')", "Things?comp=acl"):
        status, headers, _ = signing.ask(server.ports["table"], "GET", f"/acct/{path}", {})
        assert (status, headers["x-ms-error-code"]) in (
            (401, "NoAuthenticationInformation"),
            (400, "InvalidUri"),
        )


@pytest.mark.parametrize("lite", [True, False])
def test_keys_sign_in_both_forms_and_others_do_not(server, filled: TableClient, lite: bool):
    for key, expected in ((server.keys[0], 200), (server.keys[1], 200), (signing.new_key(), 403)):
        headers = {"x-ms-date": signing.now(), "x-ms-version": "2015-12-11"}
        head = headers["x-ms-date"] if lite else f"GET\n\n\n{headers['x-ms-date']}"
        signature = signing.digest(key, f"{head}\n/acct/acct/Things")
        headers["authorization"] = f"SharedKey{'Lite' if lite else ''} acct:{signature}"
        assert signing.ask(server.ports["table"], "GET", "/acct/Things?$top=1", headers)[0] == expected


@pytest.mark.parametrize(("account", "expected"), [("acct-secondary", 200), ("acct", 400)])
def test_stats_are_read_from_the_secondary(server, account: str, expected: int):
    headers = {"x-ms-date": signing.now(), "x-ms-version": "2015-12-11"}
    text = f"{headers['x-ms-date']}\n/acct/{account}/?comp=stats"
    headers["authorization"] = f"SharedKeyLite acct:{signing.digest(server.keys[0], text)}"
    path = f"/{account}/?restype=service&comp=stats"
    status, _, body = signing.ask(server.ports["table"], "GET", path, headers)
    assert (status, b"<Status>live</Status>" in body) == (expected, expected == 200)


def test_cors_rules_of_tables_are_their_own(server, tables: TableServiceClient):
    from azure.data.tables import TableCorsRule

    tables.set_service_properties(cors=[TableCorsRule(["http://site"], ["GET"], max_age_in_seconds=5)])
    asked = {"origin": "http://site", "access-control-request-method": "GET"}
    for kind, expected in (("table", 200), ("blob", 403), ("queue", 403)):
        assert signing.ask(server.ports[kind], "OPTIONS", "/acct/Things", asked)[0] == expected
