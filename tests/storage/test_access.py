"""Who may do what: keys, shared access signatures, public containers."""

from __future__ import annotations

import http.client
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccessPolicy,
    AccountSasPermissions,
    BlobClient,
    BlobSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> str:
    found = error.value.error_code
    return str(getattr(found, "value", found))


def container_sas(server, **options) -> str:
    terms = {"permission": ContainerSasPermissions(read=True, list=True), "expiry": now() + HOUR, **options}
    return generate_container_sas("acct", "things", account_key=server.keys[0], **terms)


def test_both_keys_work_and_others_do_not(server, container: ContainerClient):
    assert server.client(server.keys[1]).get_container_client("things").exists()
    with pytest.raises(HttpResponseError) as error:
        server.client("d3Jvbmc=").get_service_properties()
    assert (error.value.status_code, code(error)) == (403, "AuthenticationFailed")


def test_a_new_key_works_at_once_and_the_old_one_no_more(server, container: ContainerClient):
    fresh = "bmV3" * 22
    server.storage.ensure_account("acct", fresh, server.keys[1])
    assert server.client(fresh).get_container_client("things").exists()
    with pytest.raises(HttpResponseError):
        server.client(server.keys[0]).get_service_properties()


def test_nobody_reads_a_private_container(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    with pytest.raises(HttpResponseError) as error:
        BlobClient.from_blob_url(f"{server.url()}/things/blob").download_blob()
    assert error.value.status_code in (401, 404)


def test_public_blobs_are_read_but_only_public_containers_listed(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    anyone = ContainerClient.from_container_url(f"{server.url()}/things")
    container.set_container_access_policy({}, public_access="blob")
    assert anyone.download_blob("blob").readall() == b"1"
    with pytest.raises(HttpResponseError):
        list(anyone.list_blobs())
    container.set_container_access_policy({}, public_access="container")
    assert [one.name for one in anyone.list_blobs()] == ["blob"]
    with pytest.raises(HttpResponseError):
        anyone.upload_blob("mine", b"")


def test_a_signature_permits_what_it_says_and_nothing_more(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    guest = server.client(container_sas(server)).get_container_client("things")
    assert guest.download_blob("blob").readall() == b"1"
    assert [one.name for one in guest.list_blobs()] == ["blob"]
    for change in (lambda: guest.upload_blob("new", b""), lambda: guest.delete_blob("blob")):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert code(error) == "AuthorizationPermissionMismatch"


def test_a_blobs_signature_is_for_that_blob(server, container: ContainerClient):
    for name in ("mine", "other"):
        container.upload_blob(name, name.encode())
    sas = generate_blob_sas(
        "acct",
        "things",
        "mine",
        account_key=server.keys[0],
        permission=BlobSasPermissions(read=True),
        expiry=now() + HOUR,
    )
    assert server.client(sas).get_blob_client("things", "mine").download_blob().readall() == b"mine"
    with pytest.raises(HttpResponseError) as error:
        server.client(sas).get_blob_client("things", "other").download_blob()
    assert code(error) == "AuthenticationFailed"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"expiry": now() - HOUR}, "AuthenticationFailed"),
        ({"start": now() + HOUR, "expiry": now() + 2 * HOUR}, "AuthenticationFailed"),
        ({"ip": "10.1.2.3"}, "AuthorizationSourceIPMismatch"),
        ({"protocol": "https"}, "AuthorizationProtocolMismatch"),
    ],
)
def test_a_signature_outside_of_its_bounds_is_refused(server, container: ContainerClient, terms, expected):
    with pytest.raises(HttpResponseError) as error:
        list(server.client(container_sas(server, **terms)).get_container_client("things").list_blobs())
    assert (error.value.status_code, code(error)) == (403, expected)


def test_a_changed_signature_is_refused(server, container: ContainerClient):
    sas = container_sas(server).replace("sp=rl", "sp=rwdl")
    with pytest.raises(HttpResponseError) as error:
        server.client(sas).get_container_client("things").upload_blob("new", b"")
    assert code(error) == "AuthenticationFailed"


def test_a_stored_policy_is_revoked_by_removing_it(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    policy = AccessPolicy(ContainerSasPermissions(read=True), now() + HOUR, now() - HOUR)
    container.set_container_access_policy({"readers": policy})
    assert [one.id for one in container.get_container_access_policy()["signed_identifiers"]] == ["readers"]
    sas = generate_container_sas("acct", "things", account_key=server.keys[0], policy_id="readers")
    guest = server.client(sas).get_blob_client("things", "blob")
    assert guest.download_blob().readall() == b"1"
    container.set_container_access_policy({})
    with pytest.raises(HttpResponseError) as error:
        guest.download_blob()
    assert code(error) == "AuthenticationFailed"


def test_an_accounts_signature_is_for_its_kinds_of_resources(server, container: ContainerClient):
    container.upload_blob("blob", b"1")
    sas = generate_account_sas(
        "acct", server.keys[0], ResourceTypes(object=True), AccountSasPermissions(read=True), now() + HOUR
    )
    guest = server.client(sas)
    assert guest.get_blob_client("things", "blob").download_blob().readall() == b"1"
    with pytest.raises(HttpResponseError) as error:
        guest.get_container_client("things").get_container_properties()
    assert error.value.status_code == 403


def test_another_accounts_private_blob_is_copied_with_a_signature_only(server, container: ContainerClient):
    server.storage.ensure_account("other", *server.keys)
    target = server.client(account="other").create_container("copies").get_blob_client("copy")
    source = container.upload_blob("blob", b"1")
    with pytest.raises(HttpResponseError) as error:
        target.start_copy_from_url(source.url)
    assert code(error) == "CannotVerifyCopySource"
    target.start_copy_from_url(f"{source.url}?{container_sas(server)}")
    assert target.download_blob().readall() == b"1"


@pytest.mark.parametrize("domain", ["core.localhost", "core.windows.net"])
def test_the_account_may_stand_in_the_host(server, container: ContainerClient, domain: str):
    container.upload_blob("blob", b"1")
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["blob"], timeout=10)
    connection.request(
        "GET", f"/things/blob?{container_sas(server)}", headers={"Host": f"acct.blob.{domain}"}
    )
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"1")
    connection.close()
