"""Client certificates of every kind, good and bad, for tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from reddog import pki

WEAK = "DEFAULT:@SECLEVEL=0"  # what a client needs that still has a key of 1024 bits


@dataclass(frozen=True)
class Client:
    """A client's certificate: its file with key and certificate, and the certificate as it was read."""

    pem: Path
    certificate: pki.Certificate

    def pfx(self, password: str) -> bytes:
        """Key and certificate as PKCS #12."""
        pem = self.pem.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        encryption = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            b"x", key, x509.load_pem_x509_certificate(pem), None, encryption
        )

    def context(self, ca_certificate: Path) -> ssl.SSLContext:
        context = client_context(ca_certificate)
        context.load_cert_chain(self.pem)
        return context


def client_context(ca_certificate: Path) -> ssl.SSLContext:
    """A client's context without a certificate."""
    context = ssl.create_default_context(cafile=ca_certificate)
    context.set_ciphers(WEAK)
    return context


def make_client(
    directory: Path,
    name: str,
    *,
    bits: int = 2048,
    begin: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=1),
    issuer: Client | None = None,
    usage: x509.ObjectIdentifier | None = None,
) -> Client:
    """Make a client's certificate: self-signed, or signed with another client's key. Times count from now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = subject, key
    if issuer is not None:
        issuer_name = x509.load_pem_x509_certificate(issuer.pem.read_bytes()).subject
        loaded = serialization.load_pem_private_key(issuer.pem.read_bytes(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        issuer_key = loaded
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signed = builder.sign(issuer_key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = signed.public_bytes(serialization.Encoding.PEM)
    pem = directory / f"{name}-{signed.serial_number:x}.pem"
    pem.write_bytes(private + public)
    return Client(pem, pki.load_certificate(public))
