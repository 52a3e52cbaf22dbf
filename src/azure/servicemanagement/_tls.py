"""TLS with a management certificate: checked before use, explained when it fails."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from ._windows_store import STORE_LOCATION, export_certificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_WEAK_BITS = 2048
_LEAST_BITS = 1024
_BETTER = "Make a better one with `reddog cert create` and register it with `reddog cert add FILE.cer`."
_NEW = "Make a new one with `reddog cert create` and register it with `reddog cert add FILE.cer`."

CertFiles = str | tuple[str, str]


class ClientCertificateError(requests.exceptions.SSLError):
    """The management certificate cannot be used; the message says why and what to do next."""


@dataclass(frozen=True)
class ClientCertificate:
    """A management certificate that was looked at: its files, and its RSA bits when they are too few."""

    files: CertFiles
    weak_bits: int | None


def inspect(files: CertFiles, now: datetime | None = None) -> ClientCertificate:
    """Read the certificate and key in `files` (a PEM path, or certificate and key paths) and judge them.

    Raises ClientCertificateError when a file is missing or unreadable, holds no certificate or no key, the
    key has a passphrase, the validity period does not cover `now` (UTC), or the key is shorter than 1024
    bits.
    """
    certificate_path, key_path = (files, files) if isinstance(files, str) else files
    certificate = _load_certificate(certificate_path)
    _check_key(key_path, _read(key_path))
    _check_period(certificate_path, certificate, now or datetime.now(UTC))
    return ClientCertificate(files, _weak_bits(certificate_path, certificate))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise ClientCertificateError(
            f"The management certificate {path} does not exist. Give the path of the .pem file that holds "
            f"the certificate and its key; `reddog up` prints the path of the one it made."
        ) from error
    except OSError as error:
        raise ClientCertificateError(
            f"The management certificate {path} cannot be read: {error.strerror}. "
            "Give its owner the right to read it (chmod 600)."
        ) from error


def _load_certificate(path: str) -> Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise ClientCertificateError(
            f"{path} holds no certificate in PEM form. A .cer file is for the service; the client needs the "
            f".pem file with the certificate and its key. {_NEW}"
        ) from error


def _check_key(path: str, data: bytes) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(data, None)
    except TypeError as error:
        raise ClientCertificateError(
            f"The private key in {path} has a passphrase, and nobody is there to type it. "
            "Remove it with: openssl rsa -in FILE -out FILE"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ClientCertificateError(
            f"{path} holds no usable private key in PEM form; the certificate and its key belong in it. "
            f"{_NEW}"
        ) from error


def _check_period(path: str, certificate: Certificate, now: datetime) -> None:
    clock = f"This machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if now > certificate.not_valid_after_utc:
        raise ClientCertificateError(
            f"The management certificate {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} "
            f"UTC. {clock}; if that is right: {_NEW}"
        )
    if now < certificate.not_valid_before_utc:
        raise ClientCertificateError(
            f"The management certificate {path} is valid only from "
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC. {clock}: set the clock, or wait."
        )


def _weak_bits(path: str, certificate: Certificate) -> int | None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size >= _WEAK_BITS:
        return None
    if key.key_size < _LEAST_BITS:
        raise ClientCertificateError(
            f"The management certificate {path} has an RSA key of {key.key_size} bits; at least "
            f"{_LEAST_BITS} are needed. {_NEW}"
        )
    return key.key_size


class ManagementAdapter(HTTPAdapter):
    """A requests adapter that trusts `ca_files` besides the usual authorities and checks the certificate.

    A certificate with a short RSA key (the well-known `openssl req -newkey rsa:1024`) is refused by OpenSSL's
    default security level.  For such a certificate, and only then, the level of this adapter's own TLS
    context is lowered to 1, with a warning.
    """

    def __init__(self, ca_files: Sequence[str] = (), *, verify: bool = True) -> None:
        self._ca_files = tuple(ca_files)
        self._ca_loaded = False
        self._checked: dict[CertFiles, ClientCertificate] = {}
        self._exported: tempfile.TemporaryDirectory[str] | None = None  # goes when this adapter goes
        self._context = create_urllib3_context()
        self._context.check_hostname = verify
        self._verifies = verify
        self._unverified: ManagementAdapter | None = None
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send as requests does, with the certificate looked at first.

        Raises ClientCertificateError when it cannot be used.
        """
        if verify is False and self._verifies:
            return self._without_verification().send(request, stream, timeout, verify, cert, proxies)
        self._load_authorities()
        if cert:
            cert = self._usable(cert)
        return super().send(request, stream, timeout, verify, cert, dict(proxies or {}))

    def _without_verification(self) -> ManagementAdapter:
        """Return an adapter with a context of its own: switching checks off never touches this one."""
        if self._unverified is None:
            self._unverified = ManagementAdapter(verify=False)
        return self._unverified

    def close(self) -> None:
        super().close()
        if self._unverified is not None:
            self._unverified.close()

    def _load_authorities(self) -> None:
        if self._ca_loaded:
            return
        for path in self._ca_files:
            try:
                self._context.load_verify_locations(path)
            except (OSError, ssl.SSLError) as error:
                raise requests.exceptions.SSLError(
                    f"The certificate authority {path} cannot be read: {error}. `reddog up` writes it; "
                    "AZURE_MANAGEMENT_CA, if set, has to name a PEM file."
                ) from error
        self._ca_loaded = True

    def _usable(self, files: CertFiles) -> CertFiles:
        if isinstance(files, list):
            files = (files[0], files[1])
        known = self._checked.get(files)
        if known is None:
            known = self._checked[files] = inspect(self._on_disk(files))
            if known.weak_bits:
                self._accept_weak_key(known.weak_bits)
        return known.files

    def _on_disk(self, files: CertFiles) -> CertFiles:
        """Return files that OpenSSL can open; a place in Windows' certificate store is exported first.

        What was exported is in a directory of the user's own, for as long as there is this adapter.
        """
        if not isinstance(files, str) or os.path.isfile(files) or not STORE_LOCATION.match(files):
            return files
        pem = export_certificate(files, ClientCertificateError)
        if self._exported is None:
            self._exported = tempfile.TemporaryDirectory(prefix="management-certificate-")
        descriptor, path = tempfile.mkstemp(".pem", dir=self._exported.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        return path

    def _accept_weak_key(self, bits: int) -> None:
        warnings.warn(
            f"The management certificate has an RSA key of {bits} bits, which is too short for today. "
            f"{_BETTER}",
            stacklevel=2,
        )
        ciphers = ":".join(cipher["name"] for cipher in self._context.get_ciphers())
        self._context.set_ciphers(f"@SECLEVEL=1:{ciphers}")


def prepare_session(session: Any, url: str, ca_files: Sequence[str]) -> None:
    """Let `session` use our adapter for `url` in place of requests' own; what a program mounted stays.

    The Accept header that requests adds by itself goes: some operations answer it with another format.
    """
    getattr(session, "headers", {}).pop("Accept", None)
    adapter_of = getattr(session, "get_adapter", None)
    if adapter_of is not None and type(adapter_of(url)) is HTTPAdapter:
        session.mount(url, ManagementAdapter(ca_files))


_ALERT = re.compile(r"alert|certificate required|certificate_required", re.IGNORECASE)


def explain(error: BaseException, host: str, timeout: float | None) -> str | None:
    """Say what a failed connection to `host` means and what to do next; None when the error says it."""
    text = str(error)
    if isinstance(error, ClientCertificateError):
        return None
    if isinstance(error, requests.exceptions.ProxyError):
        return "The proxy did not let the connection through: look at set_proxy() and HTTPS_PROXY."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return _explain_verification(text, host)
    if isinstance(error, requests.exceptions.Timeout):
        return f"{host} did not answer within {timeout} seconds; a larger `timeout` waits longer."
    if _ALERT.search(text):
        return (
            f"{host} did not accept the management certificate. Register its .cer with `reddog cert add "
            f"FILE.cer`, and see that it belongs to the subscription."
        )
    return _explain_connection(text, host)


def _explain_verification(text: str, host: str) -> str:
    if "expired" in text or "not yet valid" in text:
        now = datetime.now(UTC)
        return (
            f"The certificate of {host} is outside its period of validity. This machine's clock says "
            f"{now:%Y-%m-%d %H:%M} UTC: if it is wrong, set it; if it is right, `reddog up` renews the "
            f"certificate."
        )
    if "mismatch" in text or "not valid for" in text:
        return f"The certificate is for other names than {host}: use the host that `reddog up` printed."
    return (
        f"The authority that signed the certificate of {host} is not trusted here. For a local cloud, set "
        "AZURE_MANAGEMENT_CA to the ca_certificate that `reddog up` printed."
    )


def _explain_connection(text: str, host: str) -> str | None:
    if "refused" in text:
        return f"Nothing listens at {host}. Start the local cloud with `reddog up`; `reddog status` shows it."
    if re.search(r"resolve|getaddrinfo|name or service", text, re.IGNORECASE):
        return (
            f"The name {host} cannot be resolved. `reddog up` starts a local cloud and is found by itself; "
            "otherwise give `host` or set AZURE_MANAGEMENT_HOST."
        )
    if "reset by peer" in text or "Broken pipe" in text:  # it left before its alert could be read
        return (
            f"{host} closed the connection. It may be that it did not accept the management certificate: "
            "register its .cer with `reddog cert add FILE.cer`."
        )
    return None
