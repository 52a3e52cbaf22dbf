"""Management certificates: who may manage a subscription (behaviours.md, section 6)."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping

from reddog import pki
from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _rules
from reddog.services._call import Call, Handler, Reply
from reddog.wire import SubscriptionCertificate, SubscriptionCertificates, errors

KIND = "management_certificate"
log = logging.getLogger("reddog.services")


def key_of(subscription: str, thumbprint: str) -> str:
    """A management certificate's key."""
    return f"{subscription}/{thumbprint}".lower()


def goal_of(certificate: pki.Certificate) -> dict[str, str]:
    """A management certificate as its row keeps it."""
    return {
        "thumbprint": certificate.thumbprint,
        "public_key": certificate.public_key,
        "data": base64.b64encode(certificate.der).decode(),
    }


class ManagementCertificates:
    """List, read, add and delete management certificates.

    Args:
        engine: Takes the changes.
        base_url: The management endpoint's URL, without a slash at its end.
        changed: Called after every change, so that the front end trusts the new ones at once.
    """

    def __init__(self, engine: Engine, base_url: str, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._base_url = base_url
        self._changed = changed

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Management Certificates": self.list,
            "Get Management Certificate": self.get,
            "Add Management Certificate": self.add,
            "Delete Management Certificate": self.delete,
        }

    def list(self, call: Call) -> Reply:
        """List Management Certificates."""
        rows = self._read(lambda reader: reader.list(KIND, call.subscription))
        return Reply(SubscriptionCertificates([_shown(row) for row in rows]))

    def get(self, call: Call) -> Reply:
        """Get Management Certificate. ResourceNotFound: there is none of that thumbprint."""
        return Reply(_shown(self._read(lambda reader: _owned(reader, call))), lasting=True)

    def add(self, call: Call) -> Reply:
        """Add Management Certificate: it may be used at once. One that is there already stays as it is."""
        certificate = _load(call.body)
        goal = goal_of(certificate)
        key = key_of(call.subscription, certificate.thumbprint)

        def change(tx: Tx) -> None:
            if tx.get(KIND, key) is None:
                tx.insert(KIND, key, subscription=call.subscription, goal=goal)

        _rules.accept(self._engine, call, change)
        self._changed()
        for warning in certificate.warnings:
            log.warning("The management certificate %s was added. %s", certificate.thumbprint, warning)
        location = f"{self._base_url}/subscriptions/{call.subscription}/certificates/{certificate.thumbprint}"
        return Reply(location=location)

    def delete(self, call: Call) -> Reply:
        """Delete Management Certificate: it stops working at once. ConflictError: it is the last one."""

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            if tx.count(KIND, call.subscription) == 1:
                raise errors.LAST_CERTIFICATE(thumbprint=row.goal["thumbprint"])
            tx.drop(KIND, row.key)

        _rules.accept(self._engine, call, change)
        self._changed()
        return Reply()


def _owned(reader: Reader, call: Call) -> Resource:
    key, missing = key_of(call.subscription, call.params["thumbprint"]), errors.CERTIFICATE_NOT_FOUND()
    return _rules.owned(reader, KIND, key, call.subscription, missing)


def _load(body: SubscriptionCertificate) -> pki.Certificate:
    try:
        certificate = pki.load_certificate(base64.b64decode(body.subscription_certificate_data or ""))
    except (binascii.Error, ValueError):
        raise errors.INVALID_ELEMENT(element="SubscriptionCertificateData", expected="base64") from None
    except pki.CertificateError as error:
        raise errors.INVALID_CERTIFICATE(detail=error.message) from None
    given = (body.subscription_certificate_thumbprint or "").replace(" ", "").upper()
    if given != certificate.thumbprint:
        raise errors.THUMBPRINT_MISMATCH(given=given, actual=certificate.thumbprint)
    return certificate


def _shown(row: Resource) -> SubscriptionCertificate:
    return SubscriptionCertificate(
        row.goal["public_key"],
        row.goal["thumbprint"],
        row.goal["data"],
        _rules.timestamp(row.created),
    )
