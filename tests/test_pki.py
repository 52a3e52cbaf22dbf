"""Certificates: made, read, renewed, handed on."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from certificates import make_client
from reddog import _pkcs12, pki

HOSTS = ["localhost", "127.0.0.1", "::1"]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# -- Management certificates ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pki.Certificate]:
    directory = tmp_path_factory.mktemp("made")
    pem, cer = directory / "my.pem", directory / "my.cer"
    return pem, cer, pki.create_management_certificate(pem, cer, common_name="me")


Made = tuple[Path, Path, pki.Certificate]


def test_only_the_owner_may_read_the_key(made: Made) -> None:
    pem, cer, _ = made
    assert mode(pem) == 0o600
    assert b"PRIVATE" not in cer.read_bytes()


def test_a_new_certificate_has_no_warnings_and_is_valid_for_two_years(made: Made) -> None:
    certificate = made[2]
    assert certificate.warnings == ()
    now = datetime.now(UTC)
    assert certificate.not_before < now
    assert timedelta(days=729) < certificate.not_after - now <= timedelta(days=730)


def test_the_thumbprint_and_the_public_key_are_as_openssl_has_them(made: Made) -> None:
    pem, cer, certificate = made
    assert certificate.thumbprint == hashlib.sha1(cer.read_bytes()).hexdigest().upper()
    command = ["openssl", "rsa", "-in", str(pem), "-RSAPublicKey_out", "-outform", "DER"]
    try:
        public = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("this machine has no openssl command")
    assert base64.b64decode(certificate.public_key) == public


def test_a_certificate_reads_the_same_in_every_form(made: Made) -> None:
    pem, cer, certificate = made
    der = cer.read_bytes()
    encoded = base64.encodebytes(der)
    armored = ssl.DER_cert_to_PEM_cert(der).encode()
    for source in (pem, cer, der, encoded, encoded.replace(b"\n", b"\r\n"), armored, pem.read_bytes()):
        assert pki.load_certificate(source) == certificate


def test_the_repr_does_not_hold_the_bytes(made: Made) -> None:
    assert "der" not in repr(made[2])


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    pem, cer = tmp_path / "my.pem", tmp_path / "my.cer"
    pem.write_text("old")
    pem.chmod(0o644)
    pki.create_management_certificate(pem, cer, common_name="me")
    assert mode(pem) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.cer", "my.pem"]


@pytest.mark.parametrize(("name", "days"), [("", 1), ("x" * 65, 1), ("me", 10_000_000), ("me", -5)])
def test_an_impossible_certificate_is_refused_in_words(tmp_path: Path, name: str, days: int) -> None:
    with pytest.raises(pki.CertificateError, match="cannot be made"):
        pki.create_management_certificate(tmp_path / "a.pem", tmp_path / "a.cer", common_name=name, days=days)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"bits": 1024}, "1024 bits"),
        ({"begin": timedelta(days=-9), "end": timedelta(days=-2)}, "expired on"),
        ({"begin": timedelta(days=2), "end": timedelta(days=9)}, "not valid before"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "not for TLS clients"),
    ],
)
def test_what_is_unwise_is_warned_of(tmp_path: Path, options: dict[str, object], warning: str) -> None:
    (said,) = make_client(tmp_path, "client", **options).certificate.warnings  # type: ignore[arg-type]
    assert warning in said


def test_a_key_alone_is_no_certificate(made: Made, tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    text = made[0].read_text()
    key.write_text(text[: text.index("-----BEGIN CERTIFICATE")])
    with pytest.raises(pki.CertificateError, match="Of a key alone") as caught:
        pki.load_certificate(key)
    assert "PRIVATE" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.cer", tmp_path):
        with pytest.raises(pki.CertificateError, match="cannot be read"):
            pki.load_certificate(path)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(base64.b64encode))
def test_no_data_but_a_certificate_is_taken(data: bytes) -> None:
    with pytest.raises(pki.CertificateError):
        pki.load_certificate(data)


@given(st.data())
def test_a_damaged_certificate_is_refused_or_another_one(made: Made, data: st.DataObject) -> None:
    der = bytearray(made[1].read_bytes())
    der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(pki.CertificateError):
        assert pki.load_certificate(bytes(der)).thumbprint != made[2].thumbprint


# -- The authority ----------------------------------------------------------------------------------------
def server_of(authority: pki.Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.server_certificate.read_bytes())


def test_the_server_s_certificate_is_for_its_names_and_signed_by_the_authority(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path / "pki", hosts=[*HOSTS, "cloud.example", "*.core.localhost"])
    server, ca = server_of(authority), x509.load_pem_x509_certificate(authority.ca_certificate.read_bytes())
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "cloud.example", "*.core.localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_strict_clients_take_the_server_s_certificate(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path, hosts=HOSTS)
    client = ssl.create_default_context(cafile=authority.ca_certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.server_certificate)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    answering = server.wrap_bio(outgoing, incoming, server_side=True)
    for side in (asking, answering, asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert asking.version() == "TLSv1.3"


def test_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    authority = pki.Authority(directory, hosts=HOSTS)
    assert mode(directory) == 0o700
    private = [path for path in directory.iterdir() if b"PRIVATE" in path.read_bytes()]
    assert len(private) == 2
    assert {mode(path) for path in private} == {0o600}
    assert mode(authority.ca_certificate) == 0o644


def test_certificates_are_kept(tmp_path: Path) -> None:
    first = pki.Authority(tmp_path, hosts=HOSTS)
    before = first.ca_certificate.read_bytes(), first.server_certificate.read_bytes()
    again = pki.Authority(tmp_path, hosts=[*HOSTS, "localhost"])
    assert (again.ca_certificate.read_bytes(), again.server_certificate.read_bytes()) == before


def test_other_names_need_a_new_server_certificate_but_no_new_authority(tmp_path: Path) -> None:
    first = pki.Authority(tmp_path, hosts=HOSTS)
    ca, server = first.ca_certificate.read_bytes(), first.server_certificate.read_bytes()
    again = pki.Authority(tmp_path, hosts=[*HOSTS, "192.0.2.1"])
    assert again.ca_certificate.read_bytes() == ca
    assert again.server_certificate.read_bytes() != server


@pytest.mark.parametrize("days", [20, -1], ids=["nearly expired", "expired"])
def test_a_certificate_at_its_end_is_renewed(
    tmp_path: Path, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pki, "_SERVER_DAYS", max(days, 0))
        old = pki.Authority(tmp_path, hosts=HOSTS)
        ca, server = old.ca_certificate.read_bytes(), old.server_certificate.read_bytes()
    new = pki.Authority(tmp_path, hosts=HOSTS)
    assert new.ca_certificate.read_bytes() == ca
    assert new.server_certificate.read_bytes() != server
    assert server_of(new).not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


@pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem", "server.pem"])
@pytest.mark.parametrize("damage", [None, b"", b"garbage"], ids=["lost", "empty", "garbage"])
def test_what_is_lost_or_damaged_is_made_again(tmp_path: Path, name: str, damage: bytes | None) -> None:
    pki.Authority(tmp_path, hosts=HOSTS)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    authority = pki.Authority(tmp_path, hosts=HOSTS)
    ca = x509.load_pem_x509_certificate(authority.ca_certificate.read_bytes())
    server_of(authority).verify_directly_issued_by(ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate)


def test_a_server_s_certificate_with_another_key_is_made_again(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path, hosts=HOSTS)
    server = authority.server_certificate
    before = server.read_bytes()
    foreign = pki.Authority(tmp_path / "other", hosts=HOSTS).server_certificate.read_bytes()
    begin = b"-----BEGIN CERTIFICATE-----"
    server.write_bytes(foreign.partition(begin)[0] + begin + before.partition(begin)[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.Authority(tmp_path, hosts=HOSTS).server_certificate)


def kept(directory: Path) -> pki.Certificate:
    return pki.keep_management_certificate(
        directory / "admin.pem", directory / "admin.cer", common_name="admin"
    )


def test_a_management_certificate_is_made_once_and_kept(tmp_path: Path) -> None:
    first = kept(tmp_path)
    (tmp_path / "admin.cer").unlink()
    assert kept(tmp_path).thumbprint == first.thumbprint
    assert (tmp_path / "admin.cer").read_bytes() == first.der


@pytest.mark.parametrize("days", [20, 0], ids=["nearly expired", "expired"])
def test_a_management_certificate_at_its_end_is_renewed(tmp_path: Path, days: int) -> None:
    files = tmp_path / "admin.pem", tmp_path / "admin.cer"
    old = pki.create_management_certificate(*files, common_name="admin", days=days)
    assert kept(tmp_path).thumbprint != old.thumbprint
    assert kept(tmp_path).not_after > datetime.now(UTC) + timedelta(days=700)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_management_certificate_that_is_damaged_is_made_again(tmp_path: Path, damage: bytes) -> None:
    old = kept(tmp_path)
    (tmp_path / "admin.pem").write_bytes(damage)
    assert kept(tmp_path).thumbprint != old.thumbprint
    assert pki.load_certificate(tmp_path / "admin.pem") == pki.load_certificate(tmp_path / "admin.cer")


# -- Publish settings -------------------------------------------------------------------------------------
def test_publish_settings_hold_the_certificate_and_its_key(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "my.publishsettings"
    url = "https://localhost:7380"
    pki.write_publish_settings(path, made[0], "0000-id", 'the "name" & <more>', url)
    assert mode(path) == 0o600
    profile = ElementTree.parse(path).getroot().find("PublishProfile")
    assert profile is not None
    assert profile.attrib == {"SchemaVersion": "2.0", "PublishMethod": "AzureServiceManagementAPI"}
    subscription = profile.find("Subscription")
    assert subscription is not None
    assert subscription.get("ServiceManagementUrl") == url
    assert (subscription.get("Id"), subscription.get("Name")) == ("0000-id", 'the "name" & <more>')
    bundle = base64.b64decode(subscription.attrib["ManagementCertificate"])
    key, certificate, _ = pkcs12.load_key_and_certificates(bundle, None)
    assert certificate is not None
    assert certificate.public_bytes(serialization.Encoding.DER) == made[1].read_bytes()
    assert key is not None
    assert key.public_key() == certificate.public_key()


def test_publish_settings_import_where_they_were_imported_then(made: Made, tmp_path: Path) -> None:
    """No password, a shrouded key bag, SHA-1 and triple DES: as `openssl pkcs12` of any age tells it."""
    path, bundle = tmp_path / "my.publishsettings", tmp_path / "my.pfx"
    pki.write_publish_settings(path, made[0], "0000-id", "näme", "https://localhost")
    subscription = ElementTree.parse(path).getroot().find("PublishProfile/Subscription")
    assert subscription is not None
    bundle.write_bytes(base64.b64decode(subscription.attrib["ManagementCertificate"]))

    def openssl(*options: str) -> tuple[str, str]:
        command = ["openssl", "pkcs12", "-legacy", "-in", str(bundle), "-passin", "pass:", *options]
        done = subprocess.run(command, capture_output=True, encoding="latin-1", check=True, timeout=30)
        return done.stdout, done.stderr

    _, told = openssl("-info", "-noout")
    assert "MAC: sha1, Iteration 2048" in told
    assert "Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048" in told
    assert "PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048" in told
    pem, _ = openssl("-nodes")
    assert "friendlyName: näme" in pem
    read = tmp_path / "read.pem"
    read.write_text(pem)
    assert pki.load_certificate(read) == made[2]
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert key.public_key() == x509.load_pem_x509_certificate(pem.encode()).public_key()


@pytest.mark.parametrize("password", [None, b""])
def test_the_bundle_of_publish_settings_has_no_password(made: Made, password: bytes | None) -> None:
    key = serialization.load_pem_private_key(made[0].read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(made[0].read_bytes())
    assert isinstance(key, rsa.RSAPrivateKey)
    found = pkcs12.load_pkcs12(_pkcs12.serialize("name", key, certificate), password)
    assert found.cert is not None
    assert (found.cert.certificate, found.cert.friendly_name) == (certificate, b"name")
    assert isinstance(found.key, rsa.RSAPrivateKey)
    assert found.key.private_numbers() == key.private_numbers()


def test_publish_settings_need_a_key_and_a_certificate(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "my.publishsettings"
    with pytest.raises(pki.CertificateError, match="key and its certificate"):
        pki.write_publish_settings(target, made[1], "id", "name", "https://localhost")
    assert not target.exists()


def test_the_sdk_reads_publish_settings(made: Made, tmp_path: Path) -> None:
    from azure.servicemanagement import get_certificate_from_publish_settings

    settings, pem = tmp_path / "my.publishsettings", tmp_path / "read.pem"
    pki.write_publish_settings(settings, made[0], "0000-id", "name", "https://localhost:7380")
    found = get_certificate_from_publish_settings(str(settings), str(pem))
    assert found == "0000-id"
    assert pki.load_certificate(pem) == made[2]
