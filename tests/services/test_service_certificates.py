"""Service certificates: what is taken, what is told, and the SSH keys they become."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from lxml import etree

from certificates import Client, make_client
from reddog import _pfx, wire
from reddog.fabric.provisioning import AZURE, REDDOG
from services import bodies
from services.world import OTHER, World, opened

SERVICE = {"service": "svc"}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return make_client(tmp_path, "ssh")


def certificate_file(data: bytes, form: str = "cer", password: str | None = "") -> Any:
    encoded = base64.b64encode(data).decode()
    return wire.only(wire.CertificateFile, data=encoded, certificate_format=form, password=password)


def get(world: World, client: Client, **values: Any) -> Any:
    thumbprint = client.certificate.thumbprint
    return world.call(
        "Get Service Certificate", algorithm="sha1", thumbprint=thumbprint.lower(), **{**SERVICE, **values}
    )


@pytest.mark.parametrize("form", ["cer", "CER", "pfx", "pem"])
def test_a_certificate_is_taken_in_every_form_and_only_its_public_part_is_told(
    place: World, client: Client, form: str
) -> None:
    data = {"pfx": client.pfx("pässword"), "pem": client.pem.read_bytes()}.get(form, client.certificate.der)
    password = "pässword" if form == "pfx" else ""
    body = certificate_file(data, "cer" if form == "pem" else form, password)
    place.do("Add Service Certificate", body, **SERVICE)
    place.do("Add Service Certificate", body, **SERVICE)
    assert base64.b64decode(get(place, client).data) == client.certificate.der
    (listed,) = place.call("List Service Certificates", **SERVICE)
    assert listed.thumbprint == client.certificate.thumbprint
    assert listed.thumbprint_algorithm == "sha1"
    assert listed.certificate_url.endswith(f"/certificates/sha1-{listed.thumbprint}")


@pytest.mark.parametrize("whose", ["nobody's", "another's", "no"])
def test_a_file_with_only_a_certificate_is_taken_and_one_with_only_a_key_is_not(
    place: World, client: Client, tmp_path: Path, whose: str
) -> None:
    certificate = x509.load_der_x509_certificate(client.certificate.der)
    other: Any = serialization.load_pem_private_key(make_client(tmp_path, "other").pem.read_bytes(), None)
    key = None if whose == "nobody's" else other
    kept = None if whose == "no" else [certificate]
    encryption = serialization.BestAvailableEncryption(b"p")
    data = pkcs12.serialize_key_and_certificates(b"x", key, None, kept, encryption)
    body = certificate_file(data, "pfx", "p")
    if whose == "nobody's":
        place.do("Add Service Certificate", body, **SERVICE)
        assert base64.b64decode(get(place, client).data) == client.certificate.der
        assert place.rows("service_certificate")[0].state["private_key"] == ""
    else:
        message = place.refuses("BadRequest", "Add Service Certificate", body, **SERVICE)
        assert "holds none" in message


def test_what_is_no_certificate_is_refused(place: World, client: Client) -> None:
    locked = client.pfx("right")
    from_the_future = client.certificate.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x1f", 1)
    for code, body in (
        ("BadRequest", certificate_file(b"rubbish")),
        ("BadRequest", certificate_file(from_the_future)),
        ("BadRequest", certificate_file(locked, "pfx", "wrong")),
        ("BadRequest", certificate_file(client.certificate.der, "pfx")),
        ("InvalidXmlRequest", certificate_file(client.certificate.der, "jks")),
        ("InvalidXmlRequest", wire.only(wire.CertificateFile, data="A", certificate_format="cer")),
    ):
        assert "wrong" not in place.refuses(code, "Add Service Certificate", body, **SERVICE).split()
    good = certificate_file(client.certificate.der)
    place.refuses("ResourceNotFound", "Add Service Certificate", good, service="none")
    place.refuses("ResourceNotFound", "Add Service Certificate", good, **SERVICE, subscription=OTHER)


@pytest.mark.parametrize("limit", ["CPU_SECONDS", "PATIENCE"])
def test_a_file_whose_password_takes_ages_to_hash_holds_nobody_up(
    place: World, client: Client, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "PATIENCE":
        monkeypatch.setattr(_pfx, limit, 0.5)
    whole = client.pfx("secret")
    assert (whole[:2], whole[-67:-65], whole[-4:]) == (b"\x30\x82", b"\x30\x41", b"\x02\x02\x08\x00")
    length = (len(whole) - 4 + 2).to_bytes(2)
    ages = b"\x02\x04\x7f\xff\xff\xff"  # 2^31 - 1 rounds
    slow = b"\x30\x82" + length + whole[4:-67] + b"\x30\x43" + whole[-65:-4] + ages
    body = certificate_file(slow, "pfx", "secret")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(place.refuses, "BadRequest", "Add Service Certificate", body, **SERVICE)
        place.call("List Service Certificates", **SERVICE)
        assert not asked.done(), "others are answered meanwhile"
        assert "cannot be read" in asked.result(60)


def test_a_deleted_certificate_is_gone_and_goes_with_its_service(place: World, client: Client) -> None:
    body = certificate_file(client.certificate.der)
    place.do("Add Service Certificate", body, **SERVICE)
    params = {**SERVICE, "algorithm": "sha1", "thumbprint": client.certificate.thumbprint}
    md5 = {**params, "algorithm": "md5"}
    place.refuses("ResourceNotFound", "Get Service Certificate", **md5)
    place.do("Delete Service Certificate", **params)
    place.refuses("ResourceNotFound", "Get Service Certificate", **params)
    place.refuses("ResourceNotFound", "Delete Service Certificate", **params)
    for operation, query in (
        ("Delete Cloud Service", {}),
        ("Delete Cloud Service and its media", {"comp": "media"}),
    ):
        place.do("Add Service Certificate", body, **SERVICE)
        place.do(operation, **SERVICE, query=query)
        assert place.rows("service_certificate") == []
        place.do("Create Cloud Service", bodies.service())


def with_key_pair(client: Client, path: str = "/home/jo/id") -> Any:
    """A deployment of a Linux machine with a key pair of a certificate."""
    pair = wire.KeyPair(client.certificate.thumbprint.lower(), path)
    words = bodies.linux(ssh=wire.SSH(key_pairs=wire.KeyPairs([pair])))
    return bodies.deployment(bodies.role(provisioning=words))


def test_a_private_key_is_given_to_machines_alone(place: World, client: Client) -> None:
    plain, whole = certificate_file(client.certificate.der), certificate_file(client.pfx("p"), "pfx", "p")
    place.do("Add Service Certificate", plain, **SERVICE)
    body = with_key_pair(client)
    message = place.refuses("BadRequest", "Create Virtual Machine Deployment", body, **SERVICE)
    assert "without its private key" in message
    place.do("Add Service Certificate", whole, **SERVICE)
    place.do("Add Service Certificate", plain, **SERVICE)  # which does not take the key away
    place.driver.boot_time = 60
    place.do("Create Virtual Machine Deployment", body, **SERVICE)
    (path,) = (place.directory / "machines").glob("*/ovf-env.xml")
    document = etree.fromstring(path.read_bytes())
    (found,) = document.iter(f"{{{REDDOG}}}Certificate")
    given = {etree.QName(child).localname: child.text or "" for child in found}
    assert given["Thumbprint"] == client.certificate.thumbprint
    shown = x509.load_pem_x509_certificate(given["Data"].encode())
    assert shown.public_bytes(serialization.Encoding.DER) == client.certificate.der
    key: Any = serialization.load_pem_private_key(given["PrivateKey"].encode(), None)
    assert key.public_key() == shown.public_key()
    pair = document.find(f".//{{{AZURE}}}KeyPair")
    assert pair is not None
    assert [child.text for child in pair][:2] == [client.certificate.thumbprint, "/home/jo/id"]
    secret = given["PrivateKey"].splitlines()[1]
    (row,) = place.rows("service_certificate")
    for told in (get(place, client), place.call("List Service Certificates", **SERVICE), row.goal):
        assert secret not in repr(told)
    for path in place.directory.rglob("*"):
        if path.is_file() and secret.encode() in path.read_bytes().replace(b"\n", b""):
            assert path.stat().st_mode & 0o077 == 0


def test_of_a_deleted_private_key_nothing_is_left(tmp_path: Path, client: Client) -> None:
    with opened(tmp_path / "cloud") as world:
        world.do("Create Storage Account", bodies.account())
        world.do("Create Cloud Service", bodies.service())
        world.do("Add Service Certificate", certificate_file(client.pfx("p"), "pfx", "p"), **SERVICE)
        world.do("Create Virtual Machine Deployment", with_key_pair(client), **SERVICE)
        world.eventually(lambda: world.rows("role")[0].state.get("provisioning") is None)
        world.rest()
        (row,) = world.rows("service_certificate")
        line = row.state["private_key"][640:704].encode()  # of PEM
        assert files_with(world.directory, line)
        world.do("Delete Service Certificate", **SERVICE, algorithm="sha1", thumbprint=row.goal["thumbprint"])
    assert files_with(tmp_path / "cloud", line) == []


def files_with(directory: Path, line: bytes) -> list[Path]:
    """The files that hold a line, plain or within base64."""
    parts = [line, *(base64.b64encode(bytes(shift) + line)[4:-4] for shift in range(3))]
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if any(part in path.read_bytes() for part in parts)]


def test_a_key_pair_says_where_it_goes_and_names_a_certificate_of_the_service(
    place: World, client: Client
) -> None:
    create = "Create Virtual Machine Deployment"
    message = place.refuses("BadRequest", create, with_key_pair(client), **SERVICE)
    assert message.startswith("The certificate with thumbprint ")
    place.do("Add Service Certificate", certificate_file(client.pfx("p"), "pfx", "p"), **SERVICE)
    message = place.refuses("InvalidXmlRequest", create, with_key_pair(client, ""), **SERVICE)
    assert "Path is required in KeyPair" in message


def test_the_document_with_a_private_key_is_gone_when_the_machine_is_ready(
    place: World, client: Client
) -> None:
    place.do("Add Service Certificate", certificate_file(client.pfx("p"), "pfx", "p"), **SERVICE)
    place.do("Create Virtual Machine Deployment", with_key_pair(client), **SERVICE)
    place.eventually(lambda: place.rows("role")[0].state.get("provisioning") is None)
    place.rest()
    assert list((place.directory / "machines").glob("*/ovf-env.xml")) == []


def test_a_certificate_becomes_the_ssh_key_of_its_services_machines(place: World, client: Client) -> None:
    place.do("Add Service Certificate", certificate_file(client.certificate.der), **SERVICE)
    key = wire.PublicKey(client.certificate.thumbprint, "/home/jo/.ssh/authorized_keys")
    words = bodies.linux(
        ssh=wire.SSH(public_keys=wire.PublicKeys([key])),
        user_password=None,
        disable_ssh_password_authentication=True,
    )
    place.driver.boot_time = 60
    body = bodies.deployment(bodies.role(provisioning=words))
    place.do("Create Virtual Machine Deployment", body, **SERVICE)
    (document,) = (place.directory / "machines").glob("*/ovf-env.xml")
    public = x509.load_der_x509_certificate(client.certificate.der).public_key()
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    assert public.public_bytes(encoding, form).decode() in document.read_text()
    assert document.stat().st_mode & 0o777 == 0o600
    place.do("Create Cloud Service", bodies.service("two"))
    body = bodies.deployment(bodies.role("other", provisioning=words))
    message = place.refuses("BadRequest", "Create Virtual Machine Deployment", body, service="two")
    assert message.startswith(
        f"The certificate with thumbprint {client.certificate.thumbprint} was not found."
    )
    assert "Add it to the hosted service 'two' first" in message
