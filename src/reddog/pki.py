"""Certificates: the cloud's own authority and server certificate, and management certificates.

Everything is made and read with `cryptography`. Private keys are written 0600.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reddog import _pkcs12

KEY_SIZE = 2048  # bits
MANAGEMENT_DAYS = 730
_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 397
_RENEW_BEFORE = timedelta(days=30)
_BACKDATED = timedelta(hours=1)  # clocks of other machines may be late
log = logging.getLogger("reddog.pki")
_MAKE_ANOTHER = "Make another one with: reddog cert create"


class CertificateError(Exception):
    """A certificate cannot be used. message: why. remedy: what to do next."""

    def __init__(self, message: str, remedy: str = _MAKE_ANOTHER) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Certificate:
    """A certificate as the API names its parts.

    thumbprint: SHA-1 of the DER bytes, upper-case hexadecimal. public_key: base64 of the public key (of RSA
    keys the PKCS#1 form, as the API has it). warnings: what is unwise about it, in sentences.
    """

    thumbprint: str
    public_key: str
    der: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    warnings: tuple[str, ...] = ()


def create_management_certificate(
    pem: Path, cer: Path, *, common_name: str, days: int = MANAGEMENT_DAYS
) -> Certificate:
    """Make a self-signed management certificate with an RSA key of 2048 bits.

    Args:
        pem: Gets the key and the certificate (0600): what clients use.
        cer: Gets the certificate alone, as DER: what is registered.
        common_name: The subject, up to 64 characters.
        days: How long it is valid.

    Raises:
        CertificateError: The common name or the number of days is unusable.
        OSError: A file cannot be written.
    """
    try:
        key = _new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        signed = _builder(name, name, key, days).sign(key, hashes.SHA256())
    except (ValueError, OverflowError) as error:
        message = f"A certificate for {common_name!r} and {days} days cannot be made: {error}."
        raise CertificateError(message, "Use 1 to 64 characters, and up to some thousand days.") from None
    _write_private(pem, _key_pem(key) + signed.public_bytes(serialization.Encoding.PEM))
    cer.write_bytes(signed.public_bytes(serialization.Encoding.DER))
    return _described(signed)


def keep_management_certificate(pem: Path, cer: Path, *, common_name: str) -> Certificate:
    """The management certificate in these files; a new one if there is none, or none that works for another month.

    What is lost, damaged, or of another time than this machine's clock tells is made anew, as `Authority` does.

    Raises:
        OSError: A file cannot be read or written.
    """
    try:
        certificate, key = _load(pem), _load_key(pem)
        if _is_fresh(certificate) and certificate.public_key() == key.public_key():
            found = _described(certificate)
            if not cer.exists() or cer.read_bytes() != found.der:
                _write(cer, found.der, 0o644)
            return found
        log.warning("%s is not valid now, or soon will not be: a new certificate is made.", pem)
    except FileNotFoundError:
        pass
    except (ValueError, TypeError):
        log.warning("%s does not hold a key and its certificate: new ones are made.", pem)
    return create_management_certificate(pem, cer, common_name=common_name)


def load_certificate(source: Path | bytes) -> Certificate:
    """Read a certificate: DER, PEM (a key beside it is ignored), or base64 of DER.

    Raises:
        CertificateError: It is none, or the file cannot be read.
    """
    where = "The data" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        message = f"{where} cannot be read: {error.strerror}."
        raise CertificateError(message, "Name the .cer file of a certificate that you may read.") from None
    try:
        return _described(_parse(data))
    except Exception:  # noqa: BLE001 - damaged certificates raise all kinds of errors
        remedy = "Give a .cer file (DER or PEM). Of a key alone, no certificate can be read."
        raise CertificateError(f"{where} is not an X.509 certificate.", remedy) from None


class Authority:
    """The cloud's certificate authority, and the server certificate that it signs.

    Both are made when they are absent or damaged; the server's is renewed when it is about to expire or its
    names have changed.

    Args:
        directory: Where they are kept (made 0700).
        hosts: Host names and addresses that the server's certificate is to be valid for.
    """

    def __init__(self, directory: Path, *, hosts: Sequence[str]) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ca_certificate = directory / "ca.pem"
        self.server_certificate = directory / "server.pem"
        self._ca_key = directory / "ca-key.pem"
        self._hosts = list(dict.fromkeys(hosts))
        if not self._has_authority():
            self._make_authority()
        if not self._has_server():
            self._make_server()

    def _has_authority(self) -> bool:
        try:
            certificate, key = _load(self.ca_certificate), _load_key(self._ca_key)
        except (OSError, ValueError):
            return False
        return _is_fresh(certificate) and certificate.public_key() == key.public_key()

    def _has_server(self) -> bool:
        try:
            certificate, authority = _load(self.server_certificate), _load(self.ca_certificate)
            key = _load_key(self.server_certificate)
            certificate.verify_directly_issued_by(authority)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is made
            return False
        matches = certificate.public_key() == key.public_key() and names == _alternative_names(self._hosts)
        return matches and _is_fresh(certificate)

    def _make_authority(self) -> None:
        key = _new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reddog certificate authority")])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        signed = (
            _builder(name, name, key, _AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_private(self._ca_key, _key_pem(key))
        _write(self.ca_certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
        self.server_certificate.unlink(missing_ok=True)

    def _make_server(self) -> None:
        authority, authority_key = _load(self.ca_certificate), _load_key(self._ca_key)
        key = _new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._hosts[0])])
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        signed = (
            _builder(name, authority.subject, key, _SERVER_DAYS)
            .add_extension(_alternative_names(self._hosts), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        _write_private(
            self.server_certificate, _key_pem(key) + signed.public_bytes(serialization.Encoding.PEM)
        )


def write_publish_settings(
    path: Path, pem: Path, subscription_id: str, subscription_name: str, management_url: str
) -> None:
    """Write a ``.publishsettings`` file (schema 2.0), as the portal gave it away.

    The certificate and its key are in it as PKCS#12 without a password, in the form that programs of the classic time
    import, so the file is written 0600.

    Raises:
        CertificateError: `pem` does not hold a key and a certificate.
        OSError: A file cannot be read or written.
    """
    try:
        key, certificate = _load_key(pem), _load(pem)
    except ValueError:
        raise CertificateError(f"{pem} does not hold a key and its certificate.") from None
    bundle = _pkcs12.serialize(subscription_name, key, certificate)
    document = (
        '<?xml version="1.0" encoding="utf-8"?>\n<PublishData>\n'
        '  <PublishProfile SchemaVersion="2.0" PublishMethod="AzureServiceManagementAPI">\n'
        f"    <Subscription ServiceManagementUrl={quoteattr(management_url)} Id={quoteattr(subscription_id)} "
        f"Name={quoteattr(subscription_name)} ManagementCertificate={quoteattr(base64.b64encode(bundle).decode())} />\n"
        "  </PublishProfile>\n</PublishData>\n"
    )
    _write_private(path, document.encode())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_SIZE)


def _alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _parse(data: bytes) -> x509.Certificate:
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificate(data)
    if data[:1] == b"\x30":
        return x509.load_der_x509_certificate(data)
    return x509.load_der_x509_certificate(base64.b64decode(b"".join(data.split()), validate=True))


def _described(certificate: x509.Certificate) -> Certificate:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Certificate(
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - the API's identifier
        public_key=base64.b64encode(_public_bytes(certificate)).decode(),
        der=der,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        warnings=tuple(_warnings(certificate)),
    )


def _public_bytes(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    form = serialization.PublicFormat.PKCS1
    if not isinstance(key, rsa.RSAPublicKey):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _warnings(certificate: x509.Certificate) -> list[str]:
    found = []
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey) and key.key_size < KEY_SIZE:
        found.append(f"Its key has {key.key_size} bits; {KEY_SIZE} or more are advised. {_MAKE_ANOTHER}.")
    if not _is_for_clients(certificate):
        found.append(
            f"It is not for TLS clients (extended key usage), so it cannot be used. {_MAKE_ANOTHER}."
        )
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        found.append(f"It expired on {certificate.not_valid_after_utc:%Y-%m-%d}: it will be refused.")
    if now < certificate.not_valid_before_utc:
        found.append(
            f"It is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; check the clock."
        )
    return found


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(
        use in usage for use in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    )


def _is_fresh(certificate: x509.Certificate) -> bool:
    now = datetime.now(UTC)
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEW_BEFORE


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _load_key(path: Path) -> rsa.RSAPrivateKey:
    # what is checked is that it belongs to its certificate; proving its primes is what makes a start slow
    key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write_private(path: Path, data: bytes) -> None:
    _write(path, data, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file in one step; nobody ever sees half of it, or more of it than `mode` allows."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
