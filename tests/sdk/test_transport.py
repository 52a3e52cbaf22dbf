"""How the client connects: certificates, authorities, redirects, timeouts, proxies, errors."""

from __future__ import annotations

import base64
import socket
import socketserver
import threading
import warnings

import pytest
import requests
from azure.common import AzureConflictHttpError, AzureHttpError, AzureMissingResourceHttpError

from azure.servicemanagement import ServiceManagementService

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
pytestmark = pytest.mark.filterwarnings("error::UserWarning")


def answer(status=200, body=b"", delay=0, **headers):
    from types import SimpleNamespace

    return SimpleNamespace(status=status, body=body, delay=delay, headers=headers)


def client(service, certificate, **options):
    options.setdefault("timeout", 10)
    return ServiceManagementService(SUBSCRIPTION, str(certificate), host=service.host, **options)


def test_the_client_certificate_reaches_the_service(sms, service, client_certificate):
    sms.perform_get(f"/{SUBSCRIPTION}/locations")
    assert service.requests[0].thumbprint == client_certificate.with_suffix(".cer").read_bytes()


def test_a_1024_bit_key_works_and_warns_how_to_make_a_better_one(start_service, authority, trust):
    weak = authority.client("weak", bits=1024)
    service = start_service(clients=(weak,))
    with pytest.warns(UserWarning, match=r"1024 bits.*reddog cert create"):
        client(service, weak).perform_get("/x")
    assert len(service.requests) == 1


def test_a_weak_key_is_warned_about_once_per_client(start_service, authority, trust):
    weak = authority.client("weak-once", bits=1024)
    service = start_service(clients=(weak,))
    sms = client(service, weak)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        sms.perform_get("/x")
        sms.perform_get("/y")
    assert len(seen) == 1


def test_a_strong_key_leaves_the_security_level_alone(sms):
    sms.perform_get("/x")
    context = sms.request_session.get_adapter(f"https://{sms.host}/")._context
    with pytest.raises(Exception, match=r"KEY_TOO_SMALL|too small"):
        context.load_cert_chain(_weak_file(sms))


def _weak_file(sms):
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import rsa

    path = Path(sms.cert_file).with_name("tiny.pem")
    if not path.exists():
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        key = rsa.generate_private_key(65537, 1024)
        old = x509.load_pem_x509_certificate(Path(sms.cert_file).read_bytes())
        builder = x509.CertificateBuilder(
            old.subject, old.subject, key.public_key(), 1, old.not_valid_before_utc, old.not_valid_after_utc
        )
        cert = builder.sign(key, hashes.SHA256())
        encoding = serialization.Encoding.PEM
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(cert.public_bytes(encoding) + private)
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": -0.5}, r"expired on .*clock says .*reddog cert create"),
        ({"start": 1}, r"valid only from .*clock says .*set the clock"),
        ({"passphrase": b"secret"}, r"has a passphrase.*openssl rsa"),
        ({"bits": 1024, "days": -0.5}, r"expired on"),
    ],
)
def test_an_unusable_certificate_is_explained_before_anything_is_sent(
    service, authority, trust, options, message
):
    bad = authority.client("bad-" + "-".join(options), **options)
    with pytest.raises(requests.exceptions.SSLError, match=message):
        client(service, bad).perform_get("/x")
    assert service.requests == []


def test_a_missing_certificate_is_an_os_error_that_names_the_file(service, trust, tmp_path):
    with pytest.raises(OSError, match=r"missing\.pem does not exist.*reddog up"):
        client(service, tmp_path / "missing.pem").perform_get("/x")


def test_a_cer_file_in_place_of_the_pem_is_explained(service, trust, client_certificate):
    with pytest.raises(requests.exceptions.SSLError, match=r"no certificate in PEM form.*\.pem"):
        client(service, client_certificate.with_suffix(".cer")).perform_get("/x")


def test_a_pem_without_its_key_is_explained(service, trust, client_certificate, tmp_path):
    text = client_certificate.read_text()
    only = tmp_path / "only.pem"
    only.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    with pytest.raises(requests.exceptions.SSLError, match="no usable private key"):
        client(service, only).perform_get("/x")


def test_the_windows_certificate_store_is_refused_elsewhere(service, trust):
    with pytest.raises(requests.exceptions.SSLError, match=r"Windows' certificate store.*\.pem"):
        client(service, "CURRENT_USER\\my\\AzureCertificate").perform_get("/x")


def test_a_certificate_the_service_does_not_know_is_explained(service, authority, trust):
    stranger = authority.client("stranger")
    with pytest.raises(requests.exceptions.ConnectionError, match=r"did not accept.*reddog cert add"):
        client(service, stranger).perform_get("/x")


def test_an_unknown_authority_is_explained(service, client_certificate):
    with pytest.raises(requests.exceptions.SSLError, match=r"not trusted.*AZURE_MANAGEMENT_CA"):
        client(service, client_certificate).perform_get("/x")


def test_an_expired_server_certificate_points_at_the_clock(
    start_service, authority, client_certificate, trust
):
    service = start_service(authority.server("old", days=-0.5))
    with pytest.raises(requests.exceptions.SSLError, match=r"clock says"):
        client(service, client_certificate).perform_get("/x")


def test_a_server_certificate_for_another_name_is_explained(
    start_service, authority, client_certificate, trust
):
    service = start_service(authority.server("other", hosts=("elsewhere",)))
    with pytest.raises(requests.exceptions.SSLError, match="other names"):
        client(service, client_certificate).perform_get("/x")


def test_requests_ca_bundle_is_honoured(service, authority, client_certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    client(service, client_certificate).perform_get("/x")
    assert len(service.requests) == 1


def test_an_unreadable_authority_is_named(service, client_certificate, monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_MANAGEMENT_CA", str(tmp_path / "nowhere.pem"))
    with pytest.raises(requests.exceptions.SSLError, match=r"nowhere\.pem"):
        client(service, client_certificate).perform_get("/x")


def test_nobody_listening_says_how_to_start_the_cloud(client_certificate):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    sms = ServiceManagementService(SUBSCRIPTION, str(client_certificate), host=f"127.0.0.1:{port}")
    with pytest.raises(requests.exceptions.ConnectionError, match="reddog up"):
        sms.list_locations()


@pytest.mark.parametrize("method", ["get", "put", "post", "delete"])
def test_a_307_is_followed_with_the_same_method_and_body(start_service, client_certificate, trust, method):
    first, second = start_service(), start_service()
    first.answers = lambda request: answer(307, Location=f"https://{second.host}{request.path}")
    args = ("<a>body</a>",) if method in ("put", "post") else ()
    response = getattr(client(first, client_certificate), f"perform_{method}")("/s/x?comp=y", *args)
    assert response.status == 200
    seen = second.requests[0]
    assert (seen.method, seen.path) == (method.upper(), "/s/x?comp=y")
    assert seen.body == (b"<a>body</a>" if args else b"")
    assert seen.headers["x-ms-version"] == "2014-10-01"


def test_a_redirect_to_plain_http_is_refused(sms, service):
    service.answers = lambda request: answer(307, Location="http://127.0.0.1:1/x")
    with pytest.raises(requests.exceptions.RequestException, match="not encrypted"):
        sms.perform_post("/x", "<secret/>")


def test_redirects_without_end_stop(sms, service):
    service.answers = lambda request: answer(307, Location=f"https://{service.host}/x")
    with pytest.raises(requests.exceptions.RequestException):
        sms.perform_get("/x")
    assert len(service.requests) < 15


def test_a_slow_answer_times_out_and_says_so(sms, service):
    service.answers = lambda request: answer(delay=1.5)
    sms.timeout = 0.2
    with pytest.raises(requests.exceptions.Timeout, match=r"within 0\.2 seconds"):
        sms.perform_get("/x")


def test_connections_are_kept_alive(sms, service):
    ports = set()
    handle = service.finish_request
    service.finish_request = lambda request, address: (ports.add(address), handle(request, address))
    for _ in range(3):
        sms.perform_get("/x")
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, AzureHttpError),
        (404, AzureMissingResourceHttpError),
        (409, AzureConflictHttpError),
        (500, AzureHttpError),
    ],
)
def test_an_error_has_its_kind_status_and_text(sms, service, status, kind):
    service.answers = lambda request: answer(status, "\ufeff<Error><Code>Bäd</Code></Error>".encode())
    with pytest.raises(kind) as caught:
        sms.perform_get("/x")
    assert caught.value.status_code == status
    reason, body = str(caught.value).split("\n", 1)
    assert reason
    assert body == "<Error><Code>Bäd</Code></Error>"


def test_an_error_without_a_body_is_the_reason_alone(sms, service):
    service.answers = lambda request: answer(404)
    with pytest.raises(AzureMissingResourceHttpError) as caught:
        sms.perform_get("/x")
    assert str(caught.value) == "Not Found"


# -- Sessions of the program -----------------------------------------------------------------------------


def test_a_given_session_is_used_with_its_own_settings(service, authority, client_certificate):
    session = requests.Session()
    session.cert, session.verify = str(client_certificate), str(authority.path)
    session.headers["Authorization"] = "Bearer token"
    sms = ServiceManagementService(SUBSCRIPTION, host=service.host, request_session=session)
    sms.perform_get("/x")
    assert service.requests[0].headers["authorization"] == "Bearer token"
    assert "accept" not in service.requests[0].headers
    assert sms.request_session is session


def test_a_given_session_may_hold_a_weak_certificate(start_service, authority, trust):
    weak = authority.client("weak-session", bits=1024)
    service = start_service(clients=(weak,))
    session = requests.Session()
    session.cert = (str(weak), str(weak))
    sms = ServiceManagementService(SUBSCRIPTION, host=service.host, request_session=session)
    with pytest.warns(UserWarning, match="1024 bits"):
        sms.perform_get("/x")


def test_a_session_that_does_not_verify_stays_so(service, client_certificate):
    session = requests.Session()
    session.cert, session.verify = str(client_certificate), False
    sms = ServiceManagementService(SUBSCRIPTION, host=service.host, request_session=session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sms.perform_get("/x")
    assert len(service.requests) == 1


def test_adapters_of_the_program_stay(service):
    class Mine(requests.adapters.HTTPAdapter):
        pass

    session, adapter = requests.Session(), Mine()
    session.mount("https://", adapter)
    ServiceManagementService(SUBSCRIPTION, host=service.host, request_session=session)
    assert session.get_adapter(f"https://{service.host}/") is adapter


# -- Proxies ---------------------------------------------------------------------------------------------


class Proxy(socketserver.ThreadingTCPServer):
    """Answers CONNECT, keeps the request heads, and passes bytes to and fro."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        self.heads: list[str] = []
        super().__init__(("127.0.0.1", 0), _Tunnel)


class _Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        self.server.heads.append(head.decode())
        host, port = head.split()[1].decode().rsplit(":", 1)
        with socket.create_connection((host, int(port)), 10) as target:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_copy, args=(target, self.connection), daemon=True)
            back.start()
            _copy(self.connection, target)


def _copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass


@pytest.fixture
def proxy():
    server = Proxy()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_set_proxy_tunnels_to_the_service(sms, service, proxy):
    sms.set_proxy("127.0.0.1", proxy.server_address[1])
    sms.perform_get("/x")
    assert proxy.heads[0].startswith(f"CONNECT {service.host} ")
    assert "proxy-authorization" not in proxy.heads[0].lower()
    assert len(service.requests) == 1


def test_set_proxy_authenticates_at_the_proxy_alone(sms, service, proxy):
    sms.set_proxy("127.0.0.1", str(proxy.server_address[1]), "us er", "p@ss:/word")
    sms.perform_get("/x")
    expected = base64.b64encode(b"us er:p@ss:/word").decode()
    assert f"Basic {expected}" in proxy.heads[0]
    assert "proxy-authorization" not in service.requests[0].headers


def test_a_filtered_client_keeps_the_proxy(sms, proxy):
    sms.set_proxy("127.0.0.1", proxy.server_address[1])
    sms.with_filter(lambda request, following: following(request)).perform_get("/x")
    assert len(proxy.heads) == 1


def test_a_proxy_that_is_not_there_is_explained(sms):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    sms.set_proxy("127.0.0.1", port)
    with pytest.raises(requests.exceptions.ProxyError, match="set_proxy"):
        sms.perform_get("/x")
