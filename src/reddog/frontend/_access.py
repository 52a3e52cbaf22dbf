"""Who may manage what: certificates as trust anchors, and thumbprints as subjects of subscriptions."""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reddog.wire import errors

# Clients of the old time bring keys of 1024 bits and SHA-1 signatures: those are taken; weak ciphers are not.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:AESGCM:AES:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
_ANY_ANCHOR = int(ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: an expired certificate gets an answer that says so
_HANDSHAKE, _CERTIFICATE = 22, 11  # content and message types of TLS
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

    Whoever proves to have the key of a certificate gets through the handshake; what it is good for is looked up
    by its thumbprint at every request, so that strangers are refused in words.

    Args:
        server_certificate: PEM file with the server's certificate and key.
    """

    def __init__(self, server_certificate: Path) -> None:
        self._server_certificate = server_certificate
        self._anchored = _context(server_certificate)  # trusts what is registered
        self.context = self._anchored
        if hasattr(ssl.SSLContext, "_msg_callback"):
            self.context = _context(server_certificate)
            self.context._msg_callback = self._choose_context  # type: ignore[attr-defined]
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
            self._anchored.load_verify_locations(cadata=subject.der)
        except ssl.SSLError as error:
            log.error("The management certificate %s cannot be used: %s", subject.thumbprint, error)
        self._trusted.add(subject.thumbprint)

    def _choose_context(
        self, tls: ssl.SSLObject, direction: str, version: int, content: int, message: int, data: bytes
    ) -> None:
        """Give a connection whose client sends its certificate the context that is to judge it.

        OpenSSL shows every message before it acts on it. A stranger's certificate becomes the anchor of a
        context for that connection alone. A Python that shows no messages lets strangers fail with a TLS alert.
        """
        if direction != "read" or content != _HANDSHAKE or message != _CERTIFICATE:
            return
        leaf = _leaf(data, version)
        context = self._anchored
        if leaf and thumbprint_of(leaf) not in self._trusted:
            context = _context(self._server_certificate)
            with suppress(ssl.SSLError):  # the handshake fails by itself then
                context.load_verify_locations(cadata=leaf)
        tls.context = context

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


def thumbprint_of(der: bytes) -> str:
    """What the API knows a certificate by: SHA-1, upper-case hexadecimal."""
    return hashlib.sha1(der).hexdigest().upper()  # noqa: S324 - an identifier


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


def _leaf(message: bytes, version: int) -> bytes:
    """The first certificate of a Certificate message (RFC 8446, section 4.4.2; RFC 5246, section 7.4.2)."""
    start = 4
    if version == ssl.TLSVersion.TLSv1_3:
        start += 1 + int.from_bytes(message[4:5], "big")
    length = int.from_bytes(message[start + 3 : start + 6], "big")
    return message[start + 6 : start + 6 + length]


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
