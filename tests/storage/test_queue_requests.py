"""Requests to the queue service that are made by hand: old versions, bodies that are none, and nonsense."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_from_bytes
from xml.etree import ElementTree

import pytest
from azure.storage.queue import AccountSasPermissions, QueueClient, ResourceTypes, generate_account_sas
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import signing

NEWEST = "2021-08-06"


def message(text: str) -> bytes:
    return f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode()


def send(
    server,
    method: str,
    path: str = "queue/messages",
    query: str = "",
    body: bytes = b"",
    *,
    version: str = NEWEST,
    account: str = "acct",
    sign=signing.shared_key,
) -> tuple[int, dict[str, str], bytes]:
    headers = {"x-ms-date": signing.now(), "x-ms-version": version}
    if body:
        headers["content-length"] = str(len(body))
    whole = f"/{account}/{path}" if path else f"/{account}"
    headers["authorization"] = sign(server.keys[0], method, f"/acct{whole}", query, headers)
    return signing.ask(server.ports["queue"], method, f"{whole}?{query}" if query else whole, headers, body)


def code(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, headers, body = answer
    found = headers.get("x-ms-error-code", "")
    assert not body or not found or ElementTree.fromstring(body).findtext("Code") == found
    return status, found


def elements(body: bytes) -> list[list[str]]:
    return [[part.tag for part in entry] for entry in ElementTree.fromstring(body)]


@pytest.mark.parametrize("sign", [signing.shared_key, signing.shared_key_lite])
def test_what_is_told_of_messages_depends_on_the_version(server, queue: QueueClient, sign):
    def of(version: str, method: str, query: str = "", body: bytes = b"") -> tuple[int, bytes]:
        status, _, found = send(server, method, query=query, body=body, version=version, sign=sign)
        return status, found

    assert of("2015-12-11", "POST", body=message("a")) == (201, b"")
    status, body = of("2016-05-31", "POST", body=message("b"))
    assert status == 201
    times = ["InsertionTime", "ExpirationTime"]
    assert elements(body) == [["MessageId", *times, "PopReceipt", "TimeNextVisible"]]
    assert elements(of("2009-04-14", "GET", "peekonly=true")[1]) == [["MessageId", *times, "MessageText"]]
    assert elements(of("2009-09-19", "GET", "peekonly=true")[1]) == [
        ["MessageId", *times, "DequeueCount", "MessageText"]
    ]
    taken = ["MessageId", *times, "PopReceipt", "TimeNextVisible"]
    assert elements(of("2009-04-14", "GET")[1]) == [[*taken, "MessageText"]]
    assert elements(of("2009-09-19", "GET")[1]) == [[*taken, "DequeueCount", "MessageText"]]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2009-04-14", ["QueueName", "Url", "Metadata"]),
        ("2011-08-18", ["Name", "Url", "Metadata"]),
        ("2013-08-15", ["Name", "Metadata"]),
    ],
)
def test_listings_depend_on_the_version(server, queue: QueueClient, version: str, expected: list[str]):
    body = send(server, "GET", "", "comp=list&include=metadata", version=version)[2]
    root = ElementTree.fromstring(body)
    url = f"http://127.0.0.1:{server.ports['queue']}/acct/"
    assert root.attrib == {"AccountName" if "Url" in expected else "ServiceEndpoint": url}
    found = root.find("Queues/Queue")
    assert found is not None
    assert [part.tag for part in found] == expected
    assert found.findtext("Url") in (None, f"{url}queue")


@pytest.mark.parametrize(
    ("version", "method", "query", "size", "expected"),
    [
        ("2009-09-19", "POST", "", 8193, (400, "MessageTooLarge")),
        ("2011-08-18", "POST", "", 65536, (201, "")),
        ("2011-08-18", "POST", "", 65537, (413, "RequestBodyTooLarge")),
        (NEWEST, "POST", "", 5 << 20, (413, "RequestBodyTooLarge")),
        ("2009-09-19", "GET", "visibilitytimeout=7201", 0, (400, "OutOfRangeQueryParameterValue")),
        ("2011-08-18", "GET", "visibilitytimeout=604800", 0, (200, "")),
        ("2017-04-17", "POST", "messagettl=604801", 1, (400, "OutOfRangeQueryParameterValue")),
        ("2017-04-17", "POST", "messagettl=-1", 1, (400, "OutOfRangeQueryParameterValue")),
        ("2017-07-29", "POST", "messagettl=9007199254740991", 1, (201, "")),
    ],
)
def test_limits_depend_on_the_version(server, queue, version, method, query, size, expected):
    body = message("a" * size) if size else b""
    assert code(send(server, method, query=query, body=body, version=version)) == expected


def test_carriage_returns_and_marks_come_back_as_they_were(server, queue: QueueClient):
    assert send(server, "POST", body=message("a&#13;&#10;&lt;b&gt;&#9;c<![CDATA[<&>]]>"))[0] == 201
    received = queue.receive_message()
    assert received is not None
    assert received.content == "a\r\n<b>\tc<&>"


@pytest.mark.parametrize(
    "body",
    [
        b"<QueueMessage/>",
        b"<Other><MessageText>a</MessageText></Other>",
        b"<QueueMessage><MessageText>a<b>c</b></MessageText></QueueMessage>",
        b"<QueueMessage><MessageText>\x01</MessageText></QueueMessage>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><QueueMessage><MessageText>&b;</MessageText></QueueMessage>',
        b"<QueueMessage><MessageText>",
        b"text",
        b"\xff\xfe",
    ],
)
def test_bodies_that_are_no_message_are_refused(server, queue: QueueClient, body: bytes):
    sent = queue.send_message("kept")
    assert code(send(server, "POST", body=body)) == (400, "InvalidXmlDocument")
    query = f"popreceipt={sent.pop_receipt}&visibilitytimeout=0"
    assert code(send(server, "PUT", f"queue/messages/{sent.id}", query, body)) == (400, "InvalidXmlDocument")
    assert [one.content for one in queue.peek_messages(max_messages=32)] == ["kept"]


def test_a_message_without_a_body_is_refused(server, queue: QueueClient):
    assert code(send(server, "POST")) == (400, "InvalidXmlDocument")


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "queue/messages", "numofmessages=0", (400, "OutOfRangeQueryParameterValue")),
        ("GET", "queue/messages", "numofmessages=33", (400, "OutOfRangeQueryParameterValue")),
        ("GET", "queue/messages", "peekonly=true&numofmessages=33", (400, "OutOfRangeQueryParameterValue")),
        ("GET", "queue/messages", "numofmessages=many", (400, "InvalidQueryParameterValue")),
        ("GET", "queue/messages", f"numofmessages={'9' * 30}", (400, "InvalidQueryParameterValue")),
        ("GET", "", "comp=list&maxresults=0", (400, "OutOfRangeQueryParameterValue")),
        ("GET", "", "comp=list&maxresults=x", (400, "InvalidQueryParameterValue")),
        ("GET", "", "comp=stats&restype=service", (400, "InvalidQueryParameterValue")),
        ("GET", "queue", "comp=nonsense", (400, "InvalidQueryParameterValue")),
        ("PATCH", "queue", "", (400, "InvalidUri")),
        ("DELETE", "queue/messages/x", "", (400, "MissingRequiredQueryParameter")),
        ("PUT", "queue/messages/x", "popreceipt=x", (400, "MissingRequiredQueryParameter")),
        ("PUT", "queue/messages/x", "visibilitytimeout=0", (400, "MissingRequiredQueryParameter")),
        ("GET", "queue/letters", "", (400, "InvalidUri")),
        ("GET", "queue/messages/x/y", "", (400, "InvalidUri")),
        ("GET", "none", "comp=metadata", (404, "QueueNotFound")),
        ("HEAD", "none", "comp=metadata", (404, "QueueNotFound")),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense_are_the_callers_mistake(server, queue, method, path, query, expected):
    assert code(send(server, method, path, query)) == expected


def test_a_queue_can_be_looked_at_by_head(server, queue: QueueClient):
    queue.send_message("a")
    status, headers, body = send(server, "HEAD", "queue", "comp=metadata")
    assert (status, headers["x-ms-approximate-messages-count"], body) == (200, "1", b"")
    assert headers["server"].startswith("Windows-Azure-Queue/1.0")
    assert send(server, "HEAD", "queue", "comp=acl")[0] == 200


def test_stats_are_read_from_the_secondary(server):
    status, _, body = send(server, "GET", "", "comp=stats&restype=service", account="acct-secondary")
    assert (status, ElementTree.fromstring(body).findtext("GeoReplication/Status")) == (200, "live")


def test_the_account_may_stand_in_the_host(server, queue: QueueClient):
    queue.send_message("a")
    headers = {"host": "acct.queue.core.windows.net", "x-ms-date": signing.now(), "x-ms-version": NEWEST}
    headers["authorization"] = signing.shared_key(
        server.keys[0], "GET", "/acct/queue", "comp=metadata", headers
    )
    status, found, _ = signing.ask(server.ports["queue"], "GET", "/queue?comp=metadata", headers)
    assert (status, found["x-ms-approximate-messages-count"]) == (200, "1")


# -- Whatever is asked -----------------------------------------------------------------------------------

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "MERGE", "QUERY")
PATHS = (b"", b"queue", b"queue/messages", b"queue/messages/ID", b"none/messages", b"queue/messages/")
VALUES = (
    *(
        b"list",
        b"metadata",
        b"acl",
        b"properties",
        b"stats",
        b"service",
        b"true",
        b"RECEIPT",
        b"0",
        b"1",
        b"-1",
    ),
    *(b"604800", b"9" * 25, b"1e3", b"\xff", b"\0", b"%", b"", "²".encode()),
)
NAMES = (
    "comp",
    "restype",
    "popreceipt",
    "visibilitytimeout",
    "messagettl",
    "numofmessages",
    "peekonly",
    "prefix",
)
BODIES = (
    b"",
    message("a"),
    b"<a",
    b"<SignedIdentifiers/>",
    b"\0",
    b"<StorageServiceProperties/>",
    message("&#0;"),
)


def status_of(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
    return int(answer.split(b" ", 2)[1])


def every_permission(key: str) -> str:
    permissions, kinds = AccountSasPermissions.from_string("rwdlacup"), ResourceTypes.from_string("sco")
    return generate_account_sas("acct", key, kinds, permissions, datetime.now(UTC) + timedelta(hours=1))


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(METHODS),
    path=st.one_of(
        st.sampled_from(PATHS),
        st.binary(max_size=12).map(
            lambda data: b"queue/messages/" + quote_from_bytes(data, safe="/").encode()
        ),
        st.binary(max_size=12).map(lambda data: quote_from_bytes(data, safe="/").encode()),
    ),
    query=st.dictionaries(
        st.sampled_from([*NAMES, "marker", "maxresults", "include", "timeout"]),
        st.one_of(st.sampled_from(VALUES), st.binary(max_size=6)),
        max_size=4,
    ),
    headers=st.dictionaries(
        st.sampled_from(["x-ms-version", "x-ms-meta-a", "x-ms-meta-1", "x-ms-meta-", "Origin", "x-ms-date"]),
        st.one_of(st.sampled_from([b"2009-09-19", b"a", b"*"]), st.binary(max_size=6)).map(
            lambda data: bytes(byte for byte in data if byte not in b"\r\n\0")
        ),
        max_size=2,
    ),
    body=st.sampled_from(BODIES),
)
def test_no_request_breaks_the_service(server, queue, caplog, method, path, query, headers, body):
    port, sas = server.ports["queue"], every_permission(server.keys[0])
    signing.ask(port, "PUT", f"/acct/queue?{sas}", {"content-length": "0"})
    given = {"content-length": str(len(message("a"))), "x-ms-version": NEWEST}
    status, _, sent = signing.ask(port, "POST", f"/acct/queue/messages?{sas}", given, message("a"))
    assert status == 201
    found = ElementTree.fromstring(sent)
    identity, receipt = (found.findtext(f"QueueMessage/{tag}") or "" for tag in ("MessageId", "PopReceipt"))
    path = path.replace(b"ID", identity.encode())
    query = {name: value.replace(b"RECEIPT", receipt.encode()) for name, value in query.items()}
    asked = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in query.items())
    lines = [f"{method} /acct/".encode() + path + f"?{asked}&{sas} HTTP/1.1".encode(), b"Host: x"]
    lines += [name.encode() + b": " + value for name, value in headers.items()]
    lines += [b"Connection: close", f"Content-Length: {len(body)}".encode()]
    status = status_of(port, b"\r\n".join(lines) + b"\r\n\r\n" + body)
    assert 200 <= status < 500 or status == 501, (status, caplog.text)
