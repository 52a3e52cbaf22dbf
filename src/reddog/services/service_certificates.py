"""Service certificates: a cloud service's own, which its machines are given (behaviours.md, section 10)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from textwrap import wrap

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from reddog._pfx import read_pfx
from reddog.engine import Engine, Reader, Resource, Tx
from reddog.fabric.provisioning import GuestCertificate
from reddog.services import _rules, _upgrade
from reddog.services._call import Call, Handler, Reply
from reddog.wire import Certificate, Certificates, errors, only

KIND = "service_certificate"
ALGORITHM = "sha1"


def key_of(service: str, thumbprint: str) -> str:
    """A service certificate's key."""
    return f"{service}/{thumbprint}".lower()


def find(reader: Reader, service: str, thumbprint: str) -> GuestCertificate:
    """A cloud service's certificate, with its private key if it came with one, as machines are given it.

    :raises ServiceError: BadRequest; the service has no such certificate.
    """
    row = reader.get(KIND, key_of(service, thumbprint))
    if row is None or not row.present:
        raise errors.SERVICE_CERTIFICATE_NOT_FOUND(thumbprint=thumbprint, service=service)
    key = row.state.get("private_key")
    return GuestCertificate(
        row.goal["thumbprint"],
        _pem("CERTIFICATE", row.goal["data"]),
        _pem("PRIVATE KEY", key) if key else None,
    )


def ssh_public_key(found: GuestCertificate) -> str:
    """The OpenSSH public key of a certificate.

    :raises ServiceError: BadRequest; its key is of no kind that SSH takes.
    """
    certificate = x509.load_pem_x509_certificate(found.certificate.encode())
    try:
        encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        return certificate.public_key().public_bytes(encoding, form).decode()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise errors.INVALID_CERTIFICATE(detail=str(error)) from None


class ServiceCertificates:
    """List, read, add and delete a cloud service's certificates."""

    def __init__(self, engine: Engine, base_url: str) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._base_url = base_url

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Service Certificates": self.list,
            "Get Service Certificate": self.get,
            "Add Service Certificate": self.add,
            "Delete Service Certificate": self.delete,
        }

    def list(self, call: Call) -> Reply:
        """List Service Certificates."""

        def rows(reader: Reader) -> list[Resource]:
            service = _service(reader, call)
            return [row for row in reader.list(KIND, parent=service.key) if row.present]

        return Reply(Certificates([self._listed(row) for row in self._read(rows)]))

    def get(self, call: Call) -> Reply:
        """Get Service Certificate: its public part. ResourceNotFound: there is none of that thumbprint."""
        row = self._read(lambda reader: _certificate(reader, call))
        return Reply(only(Certificate, data=row.goal["data"]))

    def add(self, call: Call) -> Reply:
        """Add Service Certificate: a `pfx` with its password, or a `cer`.

        The private key of a `pfx` is kept for the service's machines alone. A certificate that is there already
        stays, and gets the key if it has none.
        """
        certificate, key = _load(
            call.body.data or "", call.body.certificate_format or "", call.body.password or ""
        )
        thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - the API's identifier
        der = certificate.public_bytes(serialization.Encoding.DER)
        goal = {"thumbprint": thumbprint, "data": base64.b64encode(der).decode()}

        def change(tx: Tx) -> None:
            service = _service(tx, call)
            place, state = key_of(service.key, thumbprint), {"private_key": base64.b64encode(key).decode()}
            if tx.get(KIND, place) is None:
                tx.insert(
                    KIND, place, subscription=call.subscription, parent=service.key, goal=goal, state=state
                )
            elif key:
                tx.patch_state(KIND, place, **state)

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Service Certificate. ConflictError: a deployment of a package names it."""

        def change(tx: Tx) -> None:
            row = _certificate(tx, call)
            for deployment in tx.list("deployment", parent=row.parent):
                instances = tx.list("role_instance", parent=deployment.key)
                if _upgrade.names_certificate(deployment, instances, row.goal["thumbprint"]):
                    raise errors.SERVICE_CERTIFICATE_IN_USE(
                        thumbprint=row.goal["thumbprint"], deployment=deployment.goal["name"]
                    )
            tx.drop(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def _listed(self, row: Resource) -> Certificate:
        thumbprint = row.goal["thumbprint"]
        service = f"{self._base_url}/{row.subscription}/services/hostedservices/{row.parent}"
        return only(
            Certificate,
            certificate_url=f"{service}/certificates/{ALGORITHM}-{thumbprint}",
            thumbprint=thumbprint,
            thumbprint_algorithm=ALGORITHM,
            data=row.goal["data"],
        )


def _service(reader: Reader, call: Call) -> Resource:
    name, missing = call.params["service"], errors.HOSTED_SERVICE_NOT_FOUND()
    return _rules.owned(reader, "hosted_service", name, call.subscription, missing)


def _certificate(reader: Reader, call: Call) -> Resource:
    service = _service(reader, call)
    key = key_of(service.key, call.params["thumbprint"])
    if call.params["algorithm"].lower() != ALGORITHM:
        raise errors.CERTIFICATE_NOT_FOUND()
    return _rules.owned(reader, KIND, key, call.subscription, errors.CERTIFICATE_NOT_FOUND())


def _load(data: str, form: str, password: str) -> tuple[x509.Certificate, bytes]:
    """The certificate of a request, and its private key as DER, which is empty where there is none."""
    if form.lower() not in ("pfx", "cer"):
        raise errors.INVALID_ELEMENT(element="CertificateFormat", expected="pfx or cer")
    try:
        raw = base64.b64decode(data)
    except (binascii.Error, ValueError):
        raise errors.INVALID_ELEMENT(element="Data", expected="base64") from None
    try:
        return _from_pfx(raw, password) if form.lower() == "pfx" else (_from_cer(raw), b"")
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        detail = "it cannot be read; check the format and the password"
        raise errors.INVALID_CERTIFICATE(detail=detail) from None


def _from_pfx(raw: bytes, password: str) -> tuple[x509.Certificate, bytes]:
    found, key = read_pfx(raw, password)
    if not found:
        raise errors.INVALID_CERTIFICATE(detail="the PFX file holds none, or not that of its private key")
    return x509.load_der_x509_certificate(found), key


def _pem(kind: str, data: str) -> str:
    lines = [f"-----BEGIN {kind}-----", *wrap(data, 64), f"-----END {kind}-----"]
    return "".join(f"{line}\n" for line in lines)


def _from_cer(raw: bytes) -> x509.Certificate:
    pem = raw.lstrip().startswith(b"-----BEGIN")
    return x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
