"""Cross-origin rules of a service, and the rest of what a service says of itself."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient, ContainerClient, CorsRule

import signing

SITE = "http://www.example.com"


def rule(origins: list[str], methods: list[str], **more) -> CorsRule:
    return CorsRule(origins, methods, **more)


def preflight(server, **headers: str) -> tuple[int, dict[str, str]]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, _ = signing.ask(server.ports["blob"], "OPTIONS", "/acct/things", given)
    return status, answered


def read(server, origin: str = "") -> dict[str, str]:
    headers = {"origin": origin} if origin else {}
    return signing.ask(server.ports["blob"], "GET", "/acct/things/blob", headers)[1]


def test_without_rules_no_preflight_succeeds_and_no_answer_speaks_of_origins(server, service):
    status, headers = preflight(server, origin=SITE, access_control_request_method="GET")
    assert (status, headers["x-ms-error-code"]) == (403, "CorsPreflightFailure")
    assert not {name for name in read(server, SITE) if name.startswith("access-control") or name == "vary"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"origin": SITE, "access_control_request_method": "GET"}, 200),
        ({"origin": SITE.upper(), "access_control_request_method": "PUT"}, 200),
        ({"origin": "http://other.org", "access_control_request_method": "GET"}, 403),
        ({"origin": SITE, "access_control_request_method": "DELETE"}, 403),
        ({"origin": SITE}, 400),
        ({"access_control_request_method": "GET"}, 400),
        (
            {
                "origin": SITE,
                "access_control_request_method": "GET",
                "access_control_request_headers": "x-ms-date, X-Ms-Meta-a",
            },
            200,
        ),
        (
            {
                "origin": SITE,
                "access_control_request_method": "GET",
                "access_control_request_headers": "x-ms-date,x-other",
            },
            403,
        ),
    ],
)
def test_a_preflight_is_answered_by_the_rules(server, service: BlobServiceClient, asked, status):
    headers = ["x-ms-date", "x-ms-meta-*"]
    service.set_service_properties(
        cors=[rule([SITE], ["GET", "PUT"], allowed_headers=headers, max_age_in_seconds=9)]
    )
    found, answered = preflight(server, **asked)
    assert found == status
    if status == 200:
        assert answered["access-control-allow-origin"] == asked["origin"]
        assert answered["access-control-allow-methods"] == asked["access_control_request_method"]
        assert answered["access-control-max-age"] == "9"


def test_answers_tell_the_origin_what_it_may_read(server, service, container: ContainerClient):
    container.upload_blob("blob", b"1")
    container.set_container_access_policy({}, public_access="blob")
    service.set_service_properties(cors=[rule([SITE], ["GET"], exposed_headers=["x-ms-blob-*"])])
    headers = read(server, SITE)
    assert (headers["access-control-allow-origin"], headers["vary"]) == (SITE, "Origin")
    exposed = headers["access-control-expose-headers"].split(",")
    assert "x-ms-blob-type" in exposed
    assert "ETag" not in exposed
    other = read(server, "http://other.org")
    assert "access-control-allow-origin" not in other
    assert other["vary"] == "Origin"
    assert "vary" not in read(server)


def test_a_rule_for_everybody_names_nobody(server, service, container: ContainerClient):
    container.upload_blob("blob", bytes(9 << 20))  # so much is streamed
    container.set_container_access_policy({}, public_access="blob")
    service.set_service_properties(cors=[rule(["*"], ["GET"])])
    headers = read(server, SITE)
    assert headers["access-control-allow-origin"] == "*"
    assert "vary" not in headers
    assert headers["x-ms-request-id"]


def test_refusals_are_readable_for_the_origin_too(server, service: BlobServiceClient):
    service.set_service_properties(cors=[rule(["http://*.example.com"], ["GET"])])
    headers = read(server, SITE)
    assert headers["x-ms-error-code"] == "NoAuthenticationInformation"
    assert headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        ("http://*.example.com", SITE, 200),
        ("http://*.example.com", "http://.example.com.org", 403),
        ("http://*.b.*.com", "http://a.b.c.com", 200),
        ("http://*.b.*.com", "http://a.b.com", 403),
        ("*a*a", "a", 403),
        ("*" + "a*" * 100 + "b", "a" * 250, 403),
    ],
)
def test_a_star_in_an_origin_stands_for_any_text(server, service, allowed: str, origin: str, status: int):
    service.set_service_properties(cors=[rule([allowed], ["GET"])])
    assert preflight(server, origin=origin, access_control_request_method="GET")[0] == status


@pytest.mark.parametrize(
    "rules",
    [
        [rule([SITE], ["GET"])] * 6,
        [rule([SITE], ["STEAL"])],
        [rule([], ["GET"])],
        [rule([SITE], ["GET"], max_age_in_seconds=-1)],
    ],
)
def test_rules_that_are_none_are_refused_and_change_nothing(service: BlobServiceClient, rules):
    service.set_service_properties(cors=[rule(["http://kept"], ["GET"])])
    with pytest.raises(HttpResponseError) as error:
        service.set_service_properties(cors=rules)
    assert error.value.status_code == 400
    assert [one.allowed_origins for one in service.get_service_properties()["cors"]] == ["http://kept"]


def send(server, path: str, query: str, version: str) -> tuple[int, bytes]:
    headers = {"x-ms-date": signing.now(), "x-ms-version": version}
    headers["authorization"] = signing.shared_key(server.keys[0], "GET", f"/acct{path}", query, headers)
    status, _, body = signing.ask(server.ports["blob"], "GET", f"{path}?{query}", headers)
    return status, body


def test_stats_are_read_from_the_secondary(server):
    query = "comp=stats&restype=service"
    status, body = send(server, "/acct-secondary/", query, "2021-08-06")
    assert status == 200
    assert b"<Status>live</Status>" in body
    assert send(server, "/acct/", query, "2021-08-06")[0] == 400


def test_clients_before_2013_see_the_properties_of_their_time(server):
    status, body = send(server, "/acct/", "comp=properties&restype=service", "2012-02-12")
    assert status == 200
    assert b"<Metrics><Version>" in body
    assert b"Cors" not in body


def test_bearer_tokens_are_refused_by_name(server):
    headers = {"authorization": "Bearer abc", "x-ms-date": signing.now(), "x-ms-version": "2021-08-06"}
    status, _, body = signing.ask(server.ports["blob"], "GET", "/acct/?comp=list", headers)
    assert status == 403
    assert b"Bearer tokens are not accepted" in body
