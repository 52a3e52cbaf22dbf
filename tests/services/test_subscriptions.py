"""Subscriptions, their management certificates, and what has been done in them."""

from __future__ import annotations

import base64
import logging
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from certificates import Client, make_client
from gates import Gate
from reddog.engine import Engine, OperationRequest, Tx
from reddog.services import management_certificates
from reddog.services.management_certificates import ManagementCertificates
from reddog.services.operations import PAGE, Operations
from reddog.services.subscriptions import Subscriptions
from reddog.wire import SubscriptionCertificate, only
from service_calls import OTHER, SUBSCRIPTION, URL, Caller

ADD, DELETE = "Add Management Certificate", "Delete Management Certificate"
GET, LIST = "Get Management Certificate", "List Management Certificates"


class Told:
    """Counts how often the front end is told to look again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.known: list[list[str]] = []

    def __call__(self) -> None:
        rows = self._engine.store.read(lambda reader: reader.list("management_certificate"))
        self.known.append([row.goal["thumbprint"] for row in rows])


@pytest.fixture
def told(engine: Engine) -> Told:
    return Told(engine)


@pytest.fixture
def call(engine: Engine, told: Told) -> Caller:
    def insert(tx: Tx) -> None:
        for id in (SUBSCRIPTION, OTHER):
            tx.insert("subscription", id, subscription=id, goal={"name": f"name of {id[:4]}"})

    engine.accept(OperationRequest("a" * 32, "Start", ""), insert)
    return Caller(Subscriptions(engine), Operations(engine), ManagementCertificates(engine, URL, told))


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> list[Client]:
    directory = tmp_path_factory.mktemp("clients")
    return [make_client(directory, f"client{number}") for number in range(2)]


def body(client: Client, **values: object) -> SubscriptionCertificate:
    found = client.certificate
    data = base64.b64encode(found.der).decode()
    return only(
        SubscriptionCertificate,
        **{
            "subscription_certificate_public_key": found.public_key,
            "subscription_certificate_thumbprint": found.thumbprint,
            "subscription_certificate_data": data,
            **values,
        },
    )


# -- Management certificates ------------------------------------------------------------------------------
def test_a_certificate_is_shown_as_it_was_added(call: Caller, clients: list[Client], told: Told) -> None:
    sent = body(clients[0])
    thumbprint = clients[0].certificate.thumbprint
    reply = call.reply(ADD, sent)
    assert reply.location == f"{URL}/subscriptions/{SUBSCRIPTION}/certificates/{thumbprint}"
    assert told.known == [[thumbprint]]
    for shown in (call(GET, thumbprint=thumbprint.lower()), *call(LIST)):
        assert shown.created.endswith("Z")
        shown.created = sent.created
        assert shown == sent


def test_a_certificate_that_is_there_may_be_added_again(call: Caller, clients: list[Client]) -> None:
    call(ADD, body(clients[0]))
    call(ADD, body(clients[0], subscription_certificate_thumbprint=clients[0].certificate.thumbprint.lower()))
    call(ADD, body(clients[0]), subscription=OTHER)
    assert len(call(LIST)) == len(call(LIST, subscription=OTHER)) == 1


def test_a_deleted_certificate_is_gone(call: Caller, clients: list[Client], told: Told) -> None:
    for client in clients:
        call(ADD, body(client))
    first, second = (client.certificate.thumbprint for client in clients)
    assert call.refused(DELETE, thumbprint=first, subscription=OTHER).status == 404
    call(DELETE, thumbprint=first)
    assert told.known[-1] == [second]
    assert call.refused(GET, thumbprint=first).message == "The certificate was not found."
    assert call.refused(DELETE, thumbprint=first).status == 404


def test_the_last_certificate_cannot_be_deleted(call: Caller, clients: list[Client]) -> None:
    call(ADD, body(clients[0]))
    error = call.refused(DELETE, thumbprint=clients[0].certificate.thumbprint)
    assert (error.status, "last one" in error.message) == (409, True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"subscription_certificate_data": "bm90IGEgY2VydGlmaWNhdGU="}, "not a valid X.509"),
        ({"subscription_certificate_data": "!"}, "SubscriptionCertificateData"),
        ({"subscription_certificate_thumbprint": "00" * 20}, "not the one of the certificate"),
    ],
)
def test_what_is_no_certificate_is_refused(
    call: Caller, clients: list[Client], told: Told, values: dict[str, object], message: str
) -> None:
    error = call.refused(ADD, body(clients[0], **values))
    assert (error.status, message in error.message) == (400, True)
    assert list(call(LIST)) == told.known == []


def test_a_weak_key_is_taken_with_a_warning(
    call: Caller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    call(ADD, body(make_client(tmp_path, "weak", bits=1024)))
    assert "1024 bits" in caplog.text
    assert "reddog cert create" in caplog.text


def test_the_row_of_a_certificate_holds_no_private_key(clients: list[Client]) -> None:
    goal = management_certificates.goal_of(clients[0].certificate)
    assert set(goal) == {"thumbprint", "public_key", "data"}


# -- Subscriptions ----------------------------------------------------------------------------------------
def test_a_subscription_tells_its_limits_and_what_is_in_use(call: Caller, engine: Engine) -> None:
    def insert(tx: Tx) -> None:
        for name in ("one", "two"):
            tx.insert("hosted_service", name, subscription=SUBSCRIPTION, goal={})
        for name, power in (("a", "running"), ("b", "deallocated")):
            tx.insert("role", name, subscription=SUBSCRIPTION, goal={"cores": 4, "power": power})

    engine.accept(OperationRequest("b" * 32, "Fill", SUBSCRIPTION), insert)
    shown = call("Get Subscription")
    assert (shown.subscription_id, shown.subscription_status) == (SUBSCRIPTION, "Active")
    assert (shown.current_hosted_services, shown.current_core_count) == (2, 4)
    assert (shown.max_core_count, shown.max_storage_accounts) == (20, 100)


def test_the_subscriptions_of_a_certificate_are_listed(call: Caller, clients: list[Client]) -> None:
    call(ADD, body(clients[0]))
    call(ADD, body(clients[0]), subscription=OTHER)
    call(ADD, body(clients[1]), subscription=OTHER)
    seen = [call("List Subscriptions", caller=one.certificate.thumbprint) for one in clients]
    assert [[one.subscription_id for one in shown] for shown in seen] == [[SUBSCRIPTION, OTHER], [OTHER]]


# -- Operations -------------------------------------------------------------------------------------------
def operate(engine: Engine, name: str, object_id: str, *kinds: str) -> str:
    def insert(tx: Tx) -> None:
        for kind in kinds:
            tx.insert(kind, uuid.uuid4().hex, subscription=SUBSCRIPTION, goal={})

    id = uuid.uuid4().hex
    caller = {"thumbprint": "AB", "client_ip": "127.0.0.1"}
    engine.accept(OperationRequest(id, name, SUBSCRIPTION, object_id, caller=caller), insert)
    return id


def hyphenated(id: str) -> str:
    return str(uuid.UUID(id))


def test_an_operation_is_in_progress_until_it_has_succeeded(
    call: Caller, engine: Engine, deployments: Gate
) -> None:
    deployments.open.clear()
    id = operate(engine, "Create Something", "/x", "deployment")
    shown = call("Get Operation Status", request_id=id)
    assert (shown.id, shown.status, shown.http_status_code) == (hyphenated(id), "InProgress", "")
    deployments.open.set()
    engine.wait(id, 10)
    shown = call("Get Operation Status", request_id=hyphenated(id).upper())
    assert (shown.status, shown.http_status_code, shown.error) == ("Succeeded", "200", None)


def test_an_operation_that_failed_says_why(call: Caller, engine: Engine, deployments: Gate) -> None:
    deployments.open.clear()
    id = uuid.uuid4().hex
    request = OperationRequest(id, "Create Something", SUBSCRIPTION, timeout=0.1)
    engine.accept(request, lambda tx: tx.insert("deployment", "x", subscription=SUBSCRIPTION, goal={}))
    for _ in range(500):
        record = engine.operation(id)
        if record is not None and record.rolling_back:
            break
        time.sleep(0.01)
    assert call("Get Operation Status", request_id=id).status == "InProgress"
    deployments.open.set()
    engine.wait(id, 10)
    shown = call("Get Operation Status", request_id=id)
    assert (shown.status, shown.http_status_code) == ("Failed", "500")
    assert (shown.error.code, "permitted time" in shown.error.message) == ("OperationTimedOut", True)


def test_operations_of_other_subscriptions_are_not_found(call: Caller, engine: Engine) -> None:
    id = operate(engine, "Create Something", "/x")
    error = call.refused("Get Operation Status", request_id=id, subscription=OTHER)
    assert (error.status, error.message) == (404, "The operation request ID was not found.")
    assert call.refused("Get Operation Status", request_id="nonsense").status == 404


PERIOD = {"StartTime": "2015-01-01", "EndTime": "2999-12-31T23:59:59Z"}


def test_operations_are_listed_with_their_caller_and_outcome(call: Caller, engine: Engine) -> None:
    id = operate(engine, "Create Something", f"/{SUBSCRIPTION}/services/hostedservices/Web")
    shown = call("List Subscription Operations", query=PERIOD)
    (one,) = [item for item in shown.subscription_operations if item.operation_id == hyphenated(id)]
    assert one.operation_name == "Create Something"
    assert one.operation_object_id == f"/{SUBSCRIPTION}/services/hostedservices/Web"
    assert one.operation_caller.subscription_certificate_thumbprint == "AB"
    assert one.operation_caller.used_service_management_api is True
    assert (one.operation_status.status_id, one.operation_status.status) == (hyphenated(id), "Succeeded")
    assert one.operation_completed_time >= one.operation_started_time


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"ObjectIdFilter": f"{URL}/{SUBSCRIPTION}/SERVICES/x/"}, ["a", "c"]),
        ({"ObjectIdFilter": f"/{SUBSCRIPTION}/services/y"}, ["b"]),
        ({"OperationResultFilter": "succeeded"}, ["a", "b"]),
        ({"OperationResultFilter": "InProgress"}, ["c"]),
        ({"OperationResultFilter": "Failed"}, []),
        ({"EndTime": "2015-02-01"}, []),
        ({"StartTime": "2999-01-01T00:00:00"}, []),
    ],
)
def test_operations_are_filtered(
    call: Caller, engine: Engine, deployments: Gate, query: dict[str, str], names: list[str]
) -> None:
    deployments.open.clear()
    operate(engine, "a", f"/{SUBSCRIPTION}/services/x")
    operate(engine, "b", f"/{SUBSCRIPTION}/services/y")
    operate(engine, "c", f"/{SUBSCRIPTION}/services/x", "deployment")
    shown = call("List Subscription Operations", query={**PERIOD, **query})
    assert [one.operation_name for one in shown.subscription_operations] == names
    deployments.open.set()


@pytest.mark.parametrize(
    "query",
    [
        {**PERIOD, "StartTime": "yesterday"},
        {**PERIOD, "EndTime": ""},
        {**PERIOD, "OperationResultFilter": "Lost"},
    ],
)
def test_an_invalid_filter_is_refused(call: Caller, query: dict[str, str]) -> None:
    error = call.refused("List Subscription Operations", query=query)
    assert (error.status, error.code) == (400, "MissingOrInvalidRequiredQueryParameter")


def test_a_long_list_of_operations_goes_on_at_its_token(call: Caller, engine: Engine) -> None:
    ids = [hyphenated(operate(engine, "x", "/x")) for _ in range(2 * PAGE + 1)]
    found, token, pages = [], "", 0
    while pages == 0 or token:
        query = {**PERIOD, "ObjectIdFilter": "/x", "ContinuationToken": token}
        shown = call("List Subscription Operations", query=query)
        found += [one.operation_id for one in shown.subscription_operations]
        token, pages = shown.continuation_token, pages + 1
    assert (found, pages) == (ids, 3)


def test_an_expired_certificate_may_be_registered_but_is_warned_of(
    call: Caller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expired = make_client(tmp_path, "old", begin=timedelta(days=-9), end=timedelta(days=-1))
    call(ADD, body(expired))
    assert "expired on" in caplog.text
