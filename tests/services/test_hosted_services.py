"""Cloud services."""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Iterator

import pytest

from gates import Gate
from reddog.engine import Engine, Locked, OperationRequest, Tx
from reddog.services._lists import PAGE
from reddog.services.hosted_services import HostedServices
from reddog.wire import CreateHostedService, Deployment, UpdateHostedService, only
from service_calls import OTHER, SUBSCRIPTION, URL, Caller, document

CREATE, UPDATE, DELETE = "Create Cloud Service", "Update Cloud Service", "Delete Cloud Service"
GET, LIST = "Get Cloud Service Properties", "List Cloud Services"
CHECK = "Check Cloud Service Name Availability"


def body(name: str = "MyWeb", **values: object) -> CreateHostedService:
    return only(
        CreateHostedService, service_name=name, **{"label": "my label", "location": "west us", **values}
    )


def change(**values: object) -> UpdateHostedService:
    return only(UpdateHostedService, **values)


@pytest.fixture
def call(engine: Engine) -> Caller:
    return Caller(
        HostedServices(engine, URL, lambda reader, service: [only(Deployment, name=f"{service}-d")])
    )


def add(engine: Engine, kind: str, key: str, parent: str, **goal: object) -> None:
    """Add a row that another service would have added."""

    def insert(tx: Tx) -> None:
        tx.insert(kind, key, subscription=SUBSCRIPTION, parent=parent, goal=goal)

    id = uuid.uuid4().hex
    engine.accept(OperationRequest(id, "Add", SUBSCRIPTION), insert)
    engine.wait(id, 10)


def test_a_service_is_shown_as_it_was_created(call: Caller) -> None:
    given = {"owner": "me"}
    reply = call.reply(CREATE, body(description="what <it> does", extended_properties=given))
    assert reply.location == f"{URL}/subscriptions/{SUBSCRIPTION}/compute/MyWeb"
    shown = call(GET, service="myweb")
    properties = shown.hosted_service_properties
    assert shown.service_name == "MyWeb"
    assert shown.url == f"{URL}/{SUBSCRIPTION}/services/hostedservices/MyWeb"
    assert (properties.label, properties.description) == ("my label", "what <it> does")
    assert (properties.location, properties.status) == ("West US", "Created")
    assert properties.extended_properties == {
        "owner": "me",
        "ResourceGroup": "MyWeb",
        "ResourceLocation": "West US",
    }
    assert properties.date_created.endswith("Z")


def test_a_missing_description_is_nil(call: Caller) -> None:
    call(CREATE, body())
    assert b'<Description i:nil="true"/>' in document(call.reply(GET, service="MyWeb"))


def test_deployments_are_shown_when_detail_is_asked_for(call: Caller) -> None:
    call(CREATE, body())
    assert b"<Deployments" not in document(call.reply(GET, service="MyWeb"))
    shown = call(GET, service="MyWeb", query={"embed-detail": "TRUE"})
    assert [one.name for one in shown.deployments] == ["myweb-d"]


@pytest.mark.parametrize("name", ["-web", "web-", "we_b", "we.b", "w" * 64, "wéb", "web "])
def test_an_invalid_name_is_refused(call: Caller, name: str) -> None:
    assert call.refused(CREATE, body(name)).message == "The hosted service name is invalid."
    assert call.refused(CHECK, service=name).status == 400


def test_a_name_is_taken_for_everybody(call: Caller) -> None:
    call(CREATE, body())
    assert call.refused(CREATE, body("MYWEB"), subscription=OTHER).message == (
        "The specified DNS name is already taken."
    )
    taken = call(CHECK, service="mYwEB", subscription=OTHER)
    assert (taken.result, taken.reason) == (
        False,
        "A hosted service with the specified name already exists.",
    )
    free = document(call.reply(CHECK, service="another"))
    assert b"<Result>true</Result><Reason i:nil" in free


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": "x" * 101}, "100 characters"),
        ({"description": "x" * 1025}, "1024 characters"),
        ({"extended_properties": {"1st": "x"}}, "extended property"),
        ({"extended_properties": {"a": "x" * 256}}, "extended property"),
        ({"extended_properties": {f"p{n}": "" for n in range(51)}}, "50 extended properties"),
        ({"location": "Atlantis"}, "List Locations"),
        ({"location": None}, "Exactly one of Location and AffinityGroup"),
        ({"affinity_group": "group"}, "Exactly one of Location and AffinityGroup"),
        ({"reverse_dns_fqdn": "other.cloudapp.net."}, "MyWeb.cloudapp.net."),
        ({"reverse_dns_fqdn": "MyWeb.cloudapp.net"}, "with the dot"),
    ],
)
def test_invalid_values_are_refused(call: Caller, values: dict[str, object], message: str) -> None:
    error = call.refused(CREATE, body(**values))
    assert (error.status, message in error.message) == (400, True)
    assert call.refused(GET, service="MyWeb").status == 404


def test_the_longest_values_are_taken(call: Caller) -> None:
    properties = {f"p{n:063}": "x" * 255 for n in range(50)}
    values = {"label": "ü" * 100, "description": "x" * 1024, "extended_properties": properties}
    call(CREATE, body("w" * 63, **values, reverse_dns_fqdn=f"{'w' * 63}.cloudapp.net."))
    shown = call(GET, service="w" * 63).hosted_service_properties
    assert shown.label == "ü" * 100
    assert shown.reverse_dns_fqdn == f"{'w' * 63}.cloudapp.net."


def test_an_affinity_group_must_exist(call: Caller, engine: Engine) -> None:
    grouped = body(location=None, affinity_group="group")
    assert call.refused(CREATE, grouped).message == "The affinity group does not exist."
    add(engine, "affinity_group", f"{SUBSCRIPTION}/group", "")
    call(CREATE, grouped)
    assert call(GET, service="MyWeb").hosted_service_properties.affinity_group == "group"


def test_an_update_changes_what_it_names_and_nothing_else(call: Caller) -> None:
    call(CREATE, body(description="old"))
    call(UPDATE, change(label="new label"), service="MYWEB")
    shown = call(GET, service="MyWeb").hosted_service_properties
    assert (shown.label, shown.description) == ("new label", "old")
    assert call.refused(UPDATE, change(), service="MyWeb").status == 400
    assert call.refused(UPDATE, change(label="x"), service="none").status == 404
    assert call.refused(UPDATE, change(label="x"), service="MyWeb", subscription=OTHER).status == 404


def test_a_deleted_service_is_gone_and_its_name_free(call: Caller, engine: Engine) -> None:
    call(CREATE, body())
    add(engine, "service_certificate", "myweb/sha1-00", "myweb")
    assert call.refused(DELETE, service="MyWeb", subscription=OTHER).status == 404
    call(DELETE, service="MyWeb")
    assert call.refused(GET, service="MyWeb").message == "The hosted service does not exist."
    assert engine.store.read(lambda reader: reader.list("service_certificate")) == []
    call(CREATE, body(), subscription=OTHER)


def test_a_service_with_deployments_is_not_deleted(call: Caller, engine: Engine) -> None:
    call(CREATE, body())
    add(engine, "deployment", "myweb/prod", "myweb", name="Prod")
    error = call.refused(DELETE, service="MyWeb")
    assert (error.code, error.status) == ("ConflictError", 409)
    assert "Prod" in error.message
    assert call(GET, service="MyWeb").hosted_service_properties.status == "Created"


def test_every_change_can_be_polled(call: Caller, engine: Engine) -> None:
    calls = [
        (CREATE, body(), {}),
        (UPDATE, change(label="x"), {"service": "MyWeb"}),
        (DELETE, None, {"service": "MyWeb"}),
    ]
    for name, sent, params in calls:
        call(name, sent, **params)
        record = engine.operation(call.last_id)
        assert record is not None
        assert (record.name, record.status) == (name, "Succeeded")


def begin_deleting(engine: Engine) -> str:
    """Begin to delete the service's deployment, as Delete Deployment does; returns the operation's id."""

    def remove(tx: Tx) -> None:
        tx.lock("hosted_service", "myweb")
        tx.remove("deployment", "myweb/prod")

    engine.accept(OperationRequest("f" * 32, "Delete Deployment", SUBSCRIPTION), remove)
    return "f" * 32


def test_a_service_whose_deployment_is_going_shows_so_and_is_held(
    call: Caller, engine: Engine, deployments: Gate
) -> None:
    call(CREATE, body())
    add(engine, "deployment", "myweb/prod", "myweb", name="Prod")
    deployments.open.clear()
    id = begin_deleting(engine)
    assert call(GET, service="MyWeb").hosted_service_properties.status == "Deleting"
    assert call(LIST)[0].hosted_service_properties.status == "Deleting"
    for name, sent in ((UPDATE, change(label="x")), (DELETE, None)):
        with pytest.raises(Locked) as held:
            call.reply(name, sent, service="MyWeb")
        assert held.value.operation_id == id
    deployments.open.set()
    engine.wait(id, 10)
    call(DELETE, service="MyWeb")


# -- Lists ------------------------------------------------------------------------------------------------
def fill(engine: Engine, count: int) -> None:
    goal = {
        "name": "",
        "label": "label",
        "description": "described",
        "location": "West US",
        "affinity_group": None,
        "extended_properties": {},
        "reverse_dns": None,
    }

    def insert(tx: Tx) -> None:
        for number in range(count):
            name = f"Service{number:05}"
            tx.insert("hosted_service", name.lower(), subscription=SUBSCRIPTION, goal={**goal, "name": name})

    engine.accept(OperationRequest("e" * 32, "Fill", SUBSCRIPTION), insert)


def test_an_empty_list_is_an_empty_element(call: Caller) -> None:
    assert list(call(LIST)) == []
    assert document(call.reply(LIST)).endswith(b"/>")


@pytest.mark.parametrize("count", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_a_list_has_every_service_once(call: Caller, engine: Engine, count: int) -> None:
    fill(engine, count)
    call(CREATE, body("foreign"), subscription=OTHER)
    shown = call(LIST)
    assert [one.service_name for one in shown] == [f"Service{number:05}" for number in range(count)]
    assert "Small" in shown[0].compute_capabilities.virtual_machines_role_sizes


def test_a_long_list_needs_the_memory_of_a_page(call: Caller, engine: Engine) -> None:
    fill(engine, 2000)
    tracemalloc.start()
    try:
        reply = call.reply(LIST)
        assert isinstance(reply.body, Iterator)
        sizes = [len(piece) for piece in reply.body]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) > 2_000_000
    assert peak < 5 * max(sizes) < sum(sizes)


def test_a_list_goes_on_over_what_is_deleted_meanwhile(call: Caller, engine: Engine) -> None:
    fill(engine, 2 * PAGE)
    reply = call.reply(LIST)
    assert isinstance(reply.body, Iterator)
    first = next(reply.body)
    call(DELETE, service=f"Service{PAGE - 1:05}")
    call(DELETE, service=f"Service{PAGE:05}")
    rest = b"".join(reply.body)
    assert (first + rest).count(b"<HostedService>") == 2 * PAGE - 1
