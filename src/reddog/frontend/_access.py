"""Who may manage what: certificates as trust anchors, and thumbprints as subjects of subscriptions."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reddog.wire import errors

# Clients of the old time bring keys of 1024 bits and SHA-1 signatures: those are taken; weak ciphers are not.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:AESGCM:AES:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
_ANY_ANCHOR = int(ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: an expired certificate gets an answer that says so
log = logging.getLogger("reddog.frontend")


@dataclass(frozen=True)
class Subject:
    """A management certificate and the subscription that it may manage."""

    subscription: str
    thumbprint: str
    der: bytes
    not_before: datetime
    not_after: datetime


class Access:
    """Which certificates are trusted, and what for.

    A certificate that was removed is still recognized until the next start, and refused in words.

    Args:
        server_certificate: PEM file with the server's certificate and key.
    """

    def __init__(self, server_certificate: Path) -> None:
        self.context = _context(server_certificate)
        self._trusted: set[str] = set()
        self._subjects: dict[str, Subject] = {}
        self._subscriptions: dict[str, frozenset[str]] = {}

    def update(self, subscriptions: Iterable[str], subjects: Iterable[Subject]) -> None:
        """Take over what is registered now; it counts from the next request on, on open connections too."""
        allowed: dict[str, set[str]] = {subscription: set() for subscription in subscriptions}
        known = {}
        for subject in subjects:
            allowed.setdefault(subject.subscription, set()).add(subject.thumbprint)
            known[subject.thumbprint] = subject
            self._trust(subject)
        self._subjects = known
        self._subscriptions = {name: frozenset(thumbprints) for name, thumbprints in allowed.items()}

    def _trust(self, subject: Subject) -> None:
        """Make a certificate an anchor. One that OpenSSL cannot read shuts nobody else out."""
        if subject.thumbprint in self._trusted:
            return
        try:
            self.context.load_verify_locations(cadata=subject.der)
        except ssl.SSLError as error:
            log.error("The management certificate %s cannot be used: %s", subject.thumbprint, error)
        self._trusted.add(subject.thumbprint)

    def check_certificate(self, thumbprint: str) -> None:
        """Refuse a caller without a registered, valid certificate (AuthenticationFailed)."""
        subject = self._subjects.get(thumbprint)
        if subject is None:
            raise errors.CERTIFICATE_REQUIRED()
        now = datetime.now(UTC)
        if not subject.not_before <= now <= subject.not_after:
            raise errors.CERTIFICATE_EXPIRED(
                thumbprint=thumbprint,
                start=f"{subject.not_before:%Y-%m-%d}",
                end=f"{subject.not_after:%Y-%m-%d}",
                now=f"{now:%Y-%m-%d %H:%M} UTC",
            )

    def check_subscription(self, thumbprint: str, subscription: str) -> None:
        """Refuse a caller whose certificate is not the subscription's.

        An unknown subscription is refused alike, so that nobody can find out which ones there are.
        """
        if thumbprint not in self._subscriptions.get(subscription, ()):
            raise errors.CERTIFICATE_REQUIRED()


class _Handshake(ssl.SSLObject):
    """Says in the log what a client is told by a TLS alert only."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            log.warning(
                "A client's certificate was refused: %s. Register it with: reddog cert add FILE.cer",
                error.verify_message,
            )
            raise


def _context(server_certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(server_certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags = ssl.VerifyFlags(_ANY_ANCHOR | _NO_CHECK_TIME)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context
