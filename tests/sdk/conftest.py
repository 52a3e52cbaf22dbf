"""A small TLS service to talk to: real sockets, client certificates required, answers given by the test."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests import legacy_package

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No profile, host, authority or proxy of this machine reaches a test."""
    for name in (
        "AZURE_MANAGEMENT_HOST",
        "AZURE_MANAGEMENT_CA",
        "AZURE_MANAGEMENT_CERTFILE",
        "AZURE_MANAGEMENT_SUBSCRIPTIONID",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "https_proxy",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDDOG_PROFILE", str(tmp_path / "no-profile.json"))


@dataclass
class Authority:
    """Makes certificates."""

    directory: Path
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.certificate = self._sign(
            "Test authority", self.key.public_key(), self.key, "Test authority", ca=True
        )
        self.path = self.directory / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _sign(
        self, subject, public, signer, issuer, *, ca=False, start=-1.0, days=30.0, names=()
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=start))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
        )
        if signer is self.key and ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def server(
        self, name: str = "server", *, start: float = -1, days: float = 30, hosts=("localhost", "127.0.0.1")
    ) -> Path:
        """A server certificate with its key, for `hosts`."""
        key = rsa.generate_private_key(65537, 2048)
        names = [
            x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts
        ]
        cert = self._sign(
            name, key.public_key(), self.key, "Test authority", start=start, days=days, names=names
        )
        return self._write(name, cert, key)

    def client(
        self,
        name: str = "client",
        *,
        bits: int = 2048,
        start: float = -1,
        days: float = 30,
        passphrase: bytes | None = None,
    ) -> Path:
        """A self-signed management certificate with its key, as the guide's openssl line makes it."""
        key = rsa.generate_private_key(65537, bits)
        cert = self._sign(name, key.public_key(), key, name, ca=True, start=start, days=days)
        return self._write(name, cert, key, passphrase)

    def _write(self, name, cert, key, passphrase=None) -> Path:
        secret = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        path = self.directory / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
        path.write_bytes(private + cert.public_bytes(Encoding.PEM))
        path.with_suffix(".cer").write_bytes(cert.public_bytes(Encoding.DER))
        return path


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    thumbprint: bytes | None


class Service(ThreadingHTTPServer):
    """Keeps the requests it gets and answers what the test says."""

    daemon_threads = True

    def __init__(self, certificate: Path, clients: list[Path]) -> None:
        self.requests: list[Request] = []
        self.answers: Callable[[Request], Answer] = lambda request: Answer(
            headers={"x-ms-request-id": "f" * 32}
        )
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=1")
        context.load_cert_chain(certificate)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            for path in clients:
                context.load_verify_locations(path)
        self.context = context

    def finish_request(self, request, client_address) -> None:
        request.settimeout(10)
        try:
            stream = self.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            stream.do_handshake()
        except (OSError, ssl.SSLError):
            _drain(stream)
            return
        try:
            self.RequestHandlerClass(stream, client_address, self)
            stream.unwrap()
        except (OSError, ssl.SSLError):
            pass
        finally:
            stream.close()

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are part of the tests."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


def _drain(stream: ssl.SSLSocket) -> None:
    """Read what the client still sends: closing before that would reset the connection, alert and all."""
    with contextlib.suppress(OSError), stream:
        stream.shutdown(socket.SHUT_WR)  # from here on the socket is a plain one
        while stream.recv(65536):
            pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        certificate = self.connection.getpeercert(True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body, certificate)
        self.server.requests.append(request)
        answer = self.server.answers(request)
        time.sleep(answer.delay)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _any

    def log_message(self, *args) -> None:
        """Silent."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def client_certificate(authority: Authority) -> Path:
    return authority.client()


@pytest.fixture(scope="session")
def server_certificate(authority: Authority) -> Path:
    return authority.server()


@pytest.fixture
def start_service(
    authority: Authority, server_certificate: Path, client_certificate: Path
) -> Iterator[Callable[..., Service]]:
    """Starts services; each trusts `client_certificate` and those that the test names."""
    running: list[Service] = []

    def start(certificate: Path | None = None, clients: tuple[Path, ...] = ()) -> Service:
        service = Service(certificate or server_certificate, [client_certificate, *clients])
        threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
        running.append(service)
        return service

    yield start
    for service in running:
        service.shutdown()
        service.server_close()


@pytest.fixture
def service(start_service: Callable[..., Service]) -> Service:
    return start_service()


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    """Lets clients trust the test's authority."""
    monkeypatch.setenv("AZURE_MANAGEMENT_CA", str(authority.path))


@pytest.fixture
def sms(service: Service, client_certificate: Path, trust: None):
    """A client of `service`."""
    from azure.servicemanagement import ServiceManagementService

    return ServiceManagementService(SUBSCRIPTION, str(client_certificate), host=service.host, timeout=10)


@pytest.fixture(scope="session")
def legacy_python() -> str:
    """An interpreter that has the published package."""
    return legacy_package.find_or_install()
