"""Every request of the API finds its operation, and every other one finds out what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddog import wire

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
ROLES = f"/{SUBSCRIPTION}/services/hostedservices/svc/deployments/dep/roleinstances/Role%20One/Operations"
EVERY_OPERATION = pytest.mark.parametrize("row", wire.OPERATIONS.values(), ids=lambda row: row.name)


def request_of(row: wire.RestOperation, value: str = "Value1") -> dict[str, Any]:
    """A request that means the operation of a row."""
    query = {name: re.sub(r"\{[^}]+\}", value, text) for name, text in row.required_query.items()}
    return {
        "method": row.method,
        "path": re.sub(r"\{[^}]+\}", value, row.path),
        "query": query,
        "body_root": row.request_root,
    }


def same_request(one: wire.RestOperation, other: wire.RestOperation) -> bool:
    """Whether two rows differ in nothing that a request shows: one adds to the other in a later version."""
    return request_of(one) == request_of(other)


@EVERY_OPERATION
def test_an_operation_routes_to_itself(row):
    found = wire.route(**request_of(row))
    assert same_request(found.operation, row)
    assert set(found.params) == set(re.findall(r"\{([^}]+)\}", row.path))
    assert set(found.params.values()) <= {"Value1"}


def test_rows_that_no_request_can_tell_apart_are_known():
    rows = list(wire.OPERATIONS.values())
    hidden = [row.name for row in rows if wire.route(**request_of(row)).operation is not row]
    assert hidden == ["Update Disk (resize, 2014-10-01+)"]


@EVERY_OPERATION
@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
def test_paths_and_queries_match_without_regard_to_case(row, change):
    request = request_of(row, "{}")
    request["path"] = change(request["path"]).replace("{}", "Value1")
    request["query"] = {change(k): change(v) for k, v in request["query"].items()}
    found = wire.route(**request)
    assert same_request(found.operation, row)
    assert set(found.params.values()) <= {"Value1"}, "names keep the case they came in"


@EVERY_OPERATION
def test_another_verb_is_refused_with_those_that_are_taken(row):
    request = {**request_of(row), "method": "BREW"}
    with pytest.raises(wire.ServiceError, match=rf"It takes .*{row.method}") as caught:
        wire.route(**request)
    assert (caught.value.code, caught.value.status) == ("MethodNotAllowed", 405)


@EVERY_OPERATION
def test_unknown_query_parameters_do_not_matter(row):
    request = request_of(row)
    request["query"] = {**request["query"], "unknown": "1"}
    assert same_request(wire.route(**request).operation, row)


def test_names_are_decoded_after_the_path_was_split():
    found = wire.route("POST", ROLES.replace("svc", "a%2Fb"), {}, "StartRoleOperation")
    assert found.params["role"] == "Role One"
    assert found.params["service"] == "a/b"


@pytest.mark.parametrize(
    "path", ["", "/", "/x/y", f"/{SUBSCRIPTION}/services/x//y", "/" * 400, "/%/x", "/a" * 5000]
)
def test_an_unknown_path_is_not_found(path):
    with pytest.raises(wire.ServiceError, match="not part of the Service Management API") as caught:
        wire.route("GET", path, {})
    assert (caught.value.code, caught.value.status) == ("ResourceNotFound", 404)


def test_an_empty_name_is_no_name():
    with pytest.raises(wire.ServiceError) as caught:
        wire.route("GET", f"/{SUBSCRIPTION}/services/hostedservices//deployments/x", {})
    assert caught.value.status == 404


def test_a_missing_query_is_told():
    path = f"/{SUBSCRIPTION}/services/hostedservices/svc/deployments/dep/"
    with pytest.raises(wire.ServiceError, match="comp=config or comp=") as caught:
        wire.route("POST", path, {"comp": "nonsense"})
    assert caught.value.code == "MissingOrInvalidRequiredQueryParameter"
    assert caught.value.status == 400


def test_parameters_that_belong_together_are_told_together():
    with pytest.raises(wire.ServiceError, match=r"incorrectly: StartTime and EndTime\.$"):
        wire.route("GET", f"/{SUBSCRIPTION}/operations", {"StartTime": "2015-06-30T00:00:00Z"})


def test_an_unknown_operation_document_is_told_with_those_that_are_known():
    with pytest.raises(wire.ServiceError, match=r"StartRoleOperation.*not DanceOperation") as caught:
        wire.route("POST", ROLES, {}, "DanceOperation")
    assert (caught.value.code, caught.value.status) == ("InvalidXmlRequest", 400)


def test_only_operation_documents_need_the_root_to_be_routed():
    assert wire.needs_body_root(ROLES)
    assert wire.needs_body_root(ROLES.upper() + "/")
    assert not wire.needs_body_root(f"/{SUBSCRIPTION}/services/hostedservices")
    for row in wire.OPERATIONS.values():
        twins = [
            other
            for other in wire.OPERATIONS.values()
            if {**request_of(other), "body_root": ""} == {**request_of(row), "body_root": ""}
        ]
        if len({other.request_root for other in twins}) > 1:
            assert wire.needs_body_root(row.path), row.name


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "get", ""]),
    st.lists(
        st.sampled_from(["services", "hostedservices", "x", "", "images", "%2f", "deployments"])
        | st.text(max_size=5),
        max_size=8,
    ),
    st.dictionaries(st.text(max_size=5) | st.just("comp"), st.text(max_size=5), max_size=2),
    st.none() | st.text(max_size=5),
)
def test_any_request_is_routed_or_refused(method, segments, query, root):
    path = "/" + "/".join(segments)
    assert _outcome(method, path, query, root) in ("found", 400, 404, 405)


def _outcome(method, path, query, root):
    try:
        wire.route(method, path, query, root)
    except wire.ServiceError as error:
        return error.status
    return "found"


# -- The table -------------------------------------------------------------------------------------------


def test_the_table_has_every_operation_once():
    assert len(wire.OPERATIONS) == 255
    assert {row.tier for row in wire.OPERATIONS.values()} == {1, 2, 3}
    assert {row.method for row in wire.OPERATIONS.values()} <= {"GET", "PUT", "POST", "DELETE", "PATCH"}


def test_what_the_legacy_client_sends_and_reads_has_a_type():
    for row in wire.OPERATIONS.values():
        if row.tier == 1:
            assert (row.request is None) == (row.request_root == ""), row.name
            assert (row.response is None) == (row.response_root == ""), row.name


@EVERY_OPERATION
def test_the_types_of_a_row_have_its_roots(row):
    if row.request is not None:
        assert row.request.xml_name() == row.request_root
    if row.response is not None:
        assert row.response.xml_name() == row.response_root
    assert 200 <= row.success < 300
