"""Many deletions, or changes of tiers, in one request."""

from __future__ import annotations

import http.client
import time
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    PartialBatchErrorException,
    ResourceTypes,
    StandardBlobTier,
    generate_account_sas,
    generate_container_sas,
)

import signing


@pytest.fixture
def blobs(container: ContainerClient) -> list[str]:
    names = ["one", "a folder/ünï code?.txt", "three"]
    for name in names:
        container.upload_blob(name, b"1")
    return names


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_many_blobs_are_deleted_at_once(container: ContainerClient, blobs: list[str]):
    answers = list(container.delete_blobs(*blobs))
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert list(container.list_blobs()) == []


def test_many_blobs_change_their_tier_at_once(container: ContainerClient, blobs: list[str]):
    answers = list(container.set_standard_blob_tier_blobs(StandardBlobTier.COOL, *blobs))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert {blob.blob_tier for blob in container.list_blobs()} == {"Cool"}


def test_each_is_answered_for_itself(container: ContainerClient, blobs: list[str]):
    with pytest.raises(PartialBatchErrorException) as error:
        container.delete_blobs("one", "nothing", "three")
    assert [part.status_code for part in error.value.parts] == [202, 404, 202]
    assert [blob.name for blob in container.list_blobs()] == [blobs[1]]


def test_answers_within_an_answer_have_what_every_answer_has(container: ContainerClient, blobs: list[str]):
    for answer in container.delete_blobs(*blobs):
        headers = {name.lower() for name in answer.headers}
        assert {"date", "server", "x-ms-request-id", "x-ms-version"} <= headers


def test_a_signature_permits_what_it_permits(server, container: ContainerClient, blobs: list[str]):
    terms = {"account_key": server.keys[0], "expiry": soon()}
    reading = generate_container_sas("acct", "things", permission=ContainerSasPermissions(read=True), **terms)
    with pytest.raises(PartialBatchErrorException) as error:
        server.client(reading).get_container_client("things").delete_blobs("one")
    assert error.value.parts[0].status_code == 403
    deleting = generate_account_sas(
        "acct",
        resource_types=ResourceTypes(object=True),
        permission=AccountSasPermissions(delete=True),
        **terms,
    )
    server.client(deleting).get_container_client("things").delete_blobs("one")
    assert sorted(blob.name for blob in container.list_blobs()) == sorted(blobs[1:])


PART = b"Content-Type: application/http\r\nContent-ID: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b""),
        ("multipart/mixed; boundary=", b""),
        ("multipart/mixed; boundary=a; boundary=b", b""),
        ("multipart/mixed; boundary=a", b"nothing"),
        ("multipart/mixed; boundary=a", b"--a\r\n\r\nnothing\r\n--a--\r\n"),
        (
            "multipart/mixed; boundary=a",
            b"--a\r\n" + PART + b"GET /acct/things/one HTTP/1.1\r\n\r\n--a--\r\n",
        ),
        ("multipart/mixed; boundary=a", b"--a\r\n" + PART + b"DELETE http://[/ HTTP/1.1\r\n\r\n--a--\r\n"),
        (
            "multipart/mixed; boundary=a",
            b"--a\r\n" + PART + b"DELETE /acct/other/one HTTP/1.1\r\n\r\n--a--\r\n",
        ),
        (
            "multipart/mixed; boundary=a",
            b"--a\r\n" + PART + b"DELETE /acct/things/one HTTP/1.1\r\nx\r\n\r\n--a--",
        ),
    ],
)
def test_what_is_no_batch_is_refused_and_does_nothing(server, container, blobs, kind: str, body: bytes):
    terms = {
        "account_key": server.keys[0],
        "expiry": soon(),
        "permission": ContainerSasPermissions(delete=True),
    }
    signature = generate_container_sas("acct", "things", **terms)
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["blob"])
    target = f"/acct/things?restype=container&comp=batch&{signature}"
    connection.request("POST", target, body, {"Content-Type": kind})
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 202
    assert "HTTP/1.1 400 Bad Request\r\n" in text
    assert len(list(container.list_blobs())) == 3


def bomb() -> bytes:
    """Parts within parts."""
    part = "--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n"
    return "".join(part % (depth, depth + 1) for depth in range(20_000)).encode()


@pytest.mark.parametrize(
    "body", [bomb(), b"--0\r\n" * 500_000, b"--0\r\n" + b"a:b\r\n" * 500_000 + b"\r\n\r\n--0--\r\n"]
)
def test_a_batch_of_nothing_but_boundaries_and_headers_is_refused_at_once(server, container, body: bytes):
    terms = {
        "account_key": server.keys[0],
        "expiry": soon(),
        "permission": ContainerSasPermissions(delete=True),
    }
    target = f"/acct/things?restype=container&comp=batch&{generate_container_sas('acct', 'things', **terms)}"
    headers = {"content-type": "multipart/mixed; boundary=0", "content-length": str(len(body))}
    begin = time.process_time()
    status, _, answer = signing.ask(server.ports["blob"], "POST", target, headers, body)
    assert status == 202
    assert b"HTTP/1.1 400 Bad Request" in answer
    assert time.process_time() - begin < 5  # of a processor; it was a minute


def test_a_batch_says_what_it_is(server, container: ContainerClient):
    with pytest.raises(HttpResponseError):
        container.delete_blobs(*(str(number) for number in range(257)))
