"""What programs use of the client besides its operations: filters, raw requests, waiting, environment."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from azure.common import AzureHttpError

import azure.servicemanagement
from azure.servicemanagement import (
    AzureAsyncOperationHttpError,
    ServiceManagementService,
    get_certificate_from_publish_settings,
    parse_response_for_async_op,
)
from azure.servicemanagement._http import HTTPError, HTTPResponse
from reddog.profile import Profile, write_profile

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
OPERATION = (
    '<Operation xmlns="http://schemas.microsoft.com/windowsazure">'
    "<ID>{id}</ID><Status>{status}</Status>{more}</Operation>"
)
FAILURE = "<HttpStatusCode>400</HttpStatusCode><Error><Code>BadRequest</Code><Message>No.</Message></Error>"
ID = "f" * 32


def operations(*states):
    """Answers for Get Operation Status, the last one for ever."""
    remaining = list(states)

    def next_answer(request):
        status = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        more = FAILURE if status == "Failed" else ""
        body = OPERATION.format(id=ID, status=status, more=more).encode()
        return type("Answer", (), {"status": 200, "body": body, "headers": {}, "delay": 0})

    return next_answer


# -- Filters ---------------------------------------------------------------------------------------------


def test_a_filter_sees_and_changes_the_request(sms, service):
    seen = []

    def add_header(request, following):
        seen.append((request.method, request.host, request.path, request.query, bytes(request.body)))
        request.headers.append(("X-Mine", "yes"))
        return following(request)

    sms.with_filter(add_header).perform_post("/a b?comp=x y", "<x/>")
    assert seen == [("POST", service.host, "/a%20b?comp=x%20y", [("comp", "x y")], b"<x/>")]
    assert service.requests[0].headers["x-mine"] == "yes"
    assert service.requests[0].path == "/a%20b?comp=x%20y"


def test_filters_nest_the_last_outermost_and_leave_the_original_alone(sms, service):
    order = []

    def named(name):
        def step(request, following):
            order.append(name)
            return following(request)

        return step

    sms.with_filter(named("inner")).with_filter(named("outer")).perform_get("/x")
    sms.perform_get("/x")
    assert order == ["outer", "inner"]


def test_a_filter_may_answer_itself(sms, service):
    fake = HTTPResponse(200, "OK", [("x-ms-request-id", "mine")], b"")
    result = sms.with_filter(lambda request, following: fake).delete_hosted_service("x")
    assert result.request_id == "mine"
    assert service.requests == []


def test_a_filter_catches_the_error_and_may_try_again(sms, service):
    answers, caught = iter([503, 200]), []
    service.answers = lambda request: type(
        "Answer", (), {"status": next(answers), "body": b"<Error/>", "headers": {}, "delay": 0}
    )

    def retry(request, following):
        try:
            return following(request)
        except HTTPError as error:
            caught.append(error)
            return following(request)

    assert sms.with_filter(retry).perform_get("/x").status == 200
    assert (caught[0].status, caught[0].respbody) == (503, b"<Error/>")
    assert all(name == name.lower() for name, _ in caught[0].respheader)


# -- Raw requests ----------------------------------------------------------------------------------------


def test_raw_requests_carry_version_content_type_and_length(sms, service):
    sms.perform_put("/x", "ä", "2012-03-01")
    sms.perform_delete("/x")
    put, delete = service.requests
    assert put.headers["x-ms-version"] == "2012-03-01"
    assert put.headers["content-type"] == "application/atom+xml;type=entry;charset=utf-8"
    assert put.body == "ä".encode()
    assert delete.headers["content-length"] == "0"
    assert delete.headers["x-ms-version"] == "2014-10-01"


def test_a_get_has_no_content_type(sms, service):
    response = sms.perform_get("/x")
    assert "content-type" not in service.requests[0].headers
    assert ("x-ms-request-id", ID) in response.headers
    assert response.body is None


def test_the_request_id_of_an_answer_is_its_operation(sms, service):
    assert parse_response_for_async_op(sms.perform_get("/x")).request_id == ID
    assert parse_response_for_async_op(None) is None


# -- Waiting ---------------------------------------------------------------------------------------------


def test_waiting_prints_dots_and_a_new_line(sms, service, capsys):
    service.answers = operations("InProgress", "InProgress", "Succeeded")
    result = sms.wait_for_operation_status(ID, timeout=1, sleep_interval=0.01)
    assert result.status == "Succeeded"
    assert capsys.readouterr().out == "..\n"


def test_a_failed_operation_is_printed_and_raised(sms, service, capsys):
    service.answers = operations("InProgress", "Failed")
    with pytest.raises(AzureAsyncOperationHttpError, match="did not succeed") as caught:
        sms.wait_for_operation_status(ID, timeout=1, sleep_interval=0.01)
    assert caught.value.result.error.code == "BadRequest"
    assert caught.value.status_code == "Failed"
    assert isinstance(caught.value, AzureHttpError)
    assert capsys.readouterr().out.startswith(".\n{")


def test_an_operation_that_takes_too_long_is_raised(sms, service):
    service.answers = operations("InProgress")
    with pytest.raises(AzureAsyncOperationHttpError, match="Timed out waiting"):
        sms.wait_for_operation_status(ID, timeout=0.03, sleep_interval=0.01)


def test_callbacks_of_the_program_are_called(sms, service, capsys):
    service.answers = operations("InProgress", "Failed")
    seen = []
    result = sms.wait_for_operation_status(
        ID,
        timeout=1,
        sleep_interval=0.01,
        progress_callback=lambda elapsed: seen.append("progress"),
        failure_callback=lambda elapsed, ex: seen.append(type(ex).__name__),
    )
    assert seen == ["progress", "AzureAsyncOperationHttpError"]
    assert result.status == "Failed"
    assert capsys.readouterr().out == ""


def test_without_callbacks_waiting_is_silent(sms, service, capsys):
    service.answers = operations("InProgress", "Failed")
    result = sms.wait_for_operation_status(
        ID,
        timeout=1,
        sleep_interval=0.01,
        progress_callback=None,
        success_callback=None,
        failure_callback=None,
    )
    assert result.status == "Failed"
    assert capsys.readouterr().out == ""


def test_another_status_can_be_waited_for(sms, service):
    service.answers = operations("InProgress")
    assert sms.wait_for_operation_status(ID, "InProgress", success_callback=None).status == "InProgress"


# -- Environment and profile -----------------------------------------------------------------------------


def test_subscription_and_certificate_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("AZURE_MANAGEMENT_SUBSCRIPTIONID", "sub")
    monkeypatch.setenv("AZURE_MANAGEMENT_CERTFILE", "/c.pem")
    sms = ServiceManagementService()
    assert (sms.subscription_id, sms.cert_file) == ("sub", "/c.pem")
    assert sms.host == "management.core.windows.net"


@pytest.mark.parametrize("given", [{}, {"subscription_id": "x"}, {"cert_file": "x"}])
def test_a_client_needs_subscription_and_certificate(given):
    with pytest.raises(ValueError, match="subscription id and certificate file"):
        ServiceManagementService(**given)


def test_a_session_stands_in_for_the_certificate():
    import requests

    assert ServiceManagementService("sub", request_session=requests.Session()).cert_file is None


@pytest.fixture
def profile(service, authority, client_certificate, tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    monkeypatch.setenv("REDDOG_PROFILE", str(path))
    values = (
        service.host,
        SUBSCRIPTION,
        str(client_certificate),
        str(authority.path),
        "core.localhost",
        "/data",
    )
    return write_profile(Profile(*values), path)


def test_the_profile_names_host_and_authority(profile, service, client_certificate):
    sms = ServiceManagementService(SUBSCRIPTION, str(client_certificate))
    sms.perform_get("/x")
    assert len(service.requests) == 1


def test_the_profile_names_subscription_and_certificate(profile, service):
    ServiceManagementService().delete_hosted_service("x")
    assert service.requests[0].path == f"/{SUBSCRIPTION}/services/hostedservices/x"


def test_the_authority_of_the_profile_is_trusted_when_its_host_is_given(profile, service, client_certificate):
    ServiceManagementService(SUBSCRIPTION, str(client_certificate), service.host).perform_get("/x")
    assert len(service.requests) == 1


def test_the_environment_outranks_the_profile(profile, monkeypatch):
    monkeypatch.setenv("AZURE_MANAGEMENT_HOST", "elsewhere.example")
    sms = ServiceManagementService("sub", "/c.pem")
    assert sms.host == "elsewhere.example"


def test_a_given_host_outranks_both(profile, monkeypatch):
    monkeypatch.setenv("AZURE_MANAGEMENT_HOST", "elsewhere.example")
    assert (
        ServiceManagementService("sub", "/c.pem", "management.core.windows.net").host
        == "management.core.windows.net"
    )


def test_a_damaged_profile_matters_only_where_it_decides(profile):
    profile.write_text("{")
    assert ServiceManagementService("sub", "/c.pem", "given.example").host == "given.example"
    with pytest.raises(ValueError, match="reddog up"):
        ServiceManagementService("sub", "/c.pem")


# -- Publish settings ------------------------------------------------------------------------------------


def publish_settings(tmp_path, certificate, password=None):
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12

    data = certificate.read_bytes()
    key, cert = load_pem_private_key(data, None), x509.load_pem_x509_certificate(data)
    store = base64.b64encode(
        pkcs12.serialize_key_and_certificates(b"x", key, cert, None, NoEncryption())
    ).decode()
    path = tmp_path / "my.publishsettings"
    entries = "".join(
        f'<Subscription ServiceManagementUrl="https://h" Id="{i}" Name="n" ManagementCertificate="{store}"/>'
        for i in ("AAA", "BBB")
    )
    path.write_text(
        f'<PublishData><PublishProfile SchemaVersion="2.0">{entries}</PublishProfile></PublishData>'
    )
    return path


@pytest.mark.parametrize(("wanted", "found"), [(None, "AAA"), ("", "AAA"), ("bbb", "BBB")])
def test_publish_settings_give_a_certificate_that_works(
    tmp_path, service, client_certificate, trust, wanted, found
):
    target = tmp_path / "out.pem"
    target.touch(0o644)
    path = publish_settings(tmp_path, client_certificate)
    assert get_certificate_from_publish_settings(str(path), str(target), wanted) == found
    assert target.stat().st_mode & 0o777 == 0o600
    ServiceManagementService(SUBSCRIPTION, str(target), service.host).perform_get("/x")
    assert len(service.requests) == 1


def test_publish_settings_of_the_first_schema_have_one_certificate(tmp_path, client_certificate):
    path = publish_settings(tmp_path, client_certificate)
    text = path.read_text()
    store = text.split('ManagementCertificate="')[1].split('"')[0]
    path.write_text(
        f'<PublishData><PublishProfile ManagementCertificate="{store}">'
        '<Subscription Id="A"/></PublishProfile></PublishData>'
    )
    assert get_certificate_from_publish_settings(str(path), str(tmp_path / "o.pem")) == "A"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "not a .publishsettings file"),
        ("<PublishData/>", "no subscription"),
        (
            '<PublishData><PublishProfile><Subscription Id="a" ManagementCertificate="Zm9v"/>'
            "</PublishProfile></PublishData>",
            "not a PKCS #12",
        ),
    ],
)
def test_bad_publish_settings_are_explained(tmp_path, text, message):
    path = tmp_path / "bad.publishsettings"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        get_certificate_from_publish_settings(str(path), str(tmp_path / "o.pem"))
    assert not (tmp_path / "o.pem").exists()


def test_an_unknown_subscription_is_named(tmp_path, client_certificate):
    path = publish_settings(tmp_path, client_certificate)
    with pytest.raises(ValueError, match=r"no subscription 'zzz'.*AAA"):
        get_certificate_from_publish_settings(str(path), str(tmp_path / "o.pem"), "zzz")


# -- The package -----------------------------------------------------------------------------------------


def test_importing_the_sdk_imports_nothing_of_the_server():
    script = (
        "import sys, azure.servicemanagement\n"
        "heavy = {'aiohttp', 'sqlalchemy', 'typer', 'rich', 'qemu', 'pycdlib', 'yaml', 'cryptography'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
        "print(sorted(name for name in sys.modules if name.startswith('reddog.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy, ours = done.stdout.splitlines()
    assert heavy == "[]"
    rooms = {name.split(".")[1] for name in eval(ours)}
    assert rooms <= {"wire", "profile"}


def test_star_imports_work_beside_the_other_azure_packages():
    script = (
        "from azure import *\n"
        "from azure.servicemanagement import *\n"
        "import azure.core, azure.common, azure.storage.blob, azure\n"
        "assert not hasattr(azure, '__file__') or azure.__file__ is None\n"
        "print(ServiceManagementService.__name__, LinuxConfigurationSet.__name__, MANAGEMENT_HOST)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "ServiceManagementService",
        "LinuxConfigurationSet",
        "management.core.windows.net",
    ]


def test_the_version_is_that_of_the_published_interface():
    assert azure.servicemanagement.__version__ == "0.20.8"
