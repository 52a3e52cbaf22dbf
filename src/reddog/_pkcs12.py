"""PKCS #12 without a password, in the form that programs of the classic time import (RFC 7292).

Key and certificate are encrypted under the empty password with triple DES, and the whole is sealed with SHA-1: what
CryptoAPI, .NET and OpenSSL wrote and read then. It hides nothing from anybody; some of those programs just want a
key to be in a shrouded bag. `cryptography` writes no encrypted bag for an empty password.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.padding import PKCS7

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before cryptography 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

_EMPTY_PASSWORD = b"\0\0"  # as a BMPString with its end
_ROUNDS = 2048
_BLOCK = 64  # bytes that SHA-1 works on
_KEY, _VECTOR, _MAC = 1, 2, 3  # what is derived
_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
_CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3"
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
_SHA1_AND_3DES = "1.2.840.113549.1.12.1.3"
_SHA1 = "1.3.14.3.2.26"


def serialize(name: str, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> bytes:
    """A key and its certificate as PKCS #12 with an empty password.

    name: the friendly name of both.
    """
    attributes = _attributes(name, certificate.fingerprint(hashes.SHA1()))  # noqa: S303 - an identifier
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    algorithm, encrypted = _encrypt(private)
    shrouded = _sequence(algorithm, _octets(encrypted))
    public = _octets(certificate.public_bytes(serialization.Encoding.DER))
    wrapped = _sequence(_identifier(_X509_CERTIFICATE), _explicit(public))
    safes = _sequence(
        _encrypted_content(_sequence(_bag(_CERTIFICATE_BAG, wrapped, attributes))),
        _content(_sequence(_bag(_SHROUDED_KEY_BAG, shrouded, attributes))),
    )
    return _sequence(_integer(3), _content(safes), _seal(safes))


def _attributes(name: str, key_id: bytes) -> bytes:
    friendly = _sequence(_identifier(_FRIENDLY_NAME), _set(_tlv(0x1E, name.encode("utf-16-be"))))
    return _set(_sequence(_identifier(_LOCAL_KEY_ID), _set(_octets(key_id))), friendly)


def _bag(kind: str, content: bytes, attributes: bytes) -> bytes:
    return _sequence(_identifier(kind), _explicit(content), attributes)


def _content(data: bytes) -> bytes:
    return _sequence(_identifier(_DATA), _explicit(_octets(data)))


def _encrypted_content(data: bytes) -> bytes:
    algorithm, encrypted = _encrypt(data)
    inner = _sequence(_identifier(_DATA), algorithm, _tlv(0x80, encrypted))
    return _sequence(_identifier(_ENCRYPTED_DATA), _explicit(_sequence(_integer(0), inner)))


def _encrypt(data: bytes) -> tuple[bytes, bytes]:
    """The algorithm with its parameters, and the encrypted data."""
    salt = os.urandom(8)
    cipher = Cipher(TripleDES(_derived(_KEY, salt, 24)), modes.CBC(_derived(_VECTOR, salt, 8)))
    padder, encryptor = PKCS7(64).padder(), cipher.encryptor()
    padded = padder.update(data) + padder.finalize()
    parameters = _sequence(_octets(salt), _integer(_ROUNDS))
    algorithm = _sequence(_identifier(_SHA1_AND_3DES), parameters)
    return algorithm, encryptor.update(padded) + encryptor.finalize()


def _seal(safes: bytes) -> bytes:
    salt = os.urandom(8)
    digest = hmac.digest(_derived(_MAC, salt, 20), safes, "sha1")
    algorithm = _sequence(_identifier(_SHA1), _tlv(0x05, b""))
    return _sequence(_sequence(algorithm, _octets(digest)), _octets(salt), _integer(_ROUNDS))


def _derived(purpose: int, salt: bytes, length: int) -> bytes:
    """Bytes made from the empty password (RFC 7292, appendix B.2)."""
    block = _repeat(salt) + _repeat(_EMPTY_PASSWORD)
    made = b""
    while True:
        piece = bytes([purpose]) * _BLOCK + block
        for _ in range(_ROUNDS):
            piece = hashlib.sha1(piece).digest()  # noqa: S324 - what those programs know
        made += piece
        if len(made) >= length:
            return made[:length]
        addend = int.from_bytes(_repeat(piece)) + 1
        block = b"".join(
            ((int.from_bytes(block[start : start + _BLOCK]) + addend) % (1 << 8 * _BLOCK)).to_bytes(_BLOCK)
            for start in range(0, len(block), _BLOCK)
        )


def _repeat(data: bytes) -> bytes:
    return (data * _BLOCK)[:_BLOCK]


# -- DER -----------------------------------------------------------------------------------------------------------


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _set(*parts: bytes) -> bytes:
    return _tlv(0x31, b"".join(sorted(parts)))


def _explicit(content: bytes) -> bytes:
    return _tlv(0xA0, content)


def _octets(content: bytes) -> bytes:
    return _tlv(0x04, content)


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _identifier(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytes([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        content += bytes(reversed(digits))
    return _tlv(0x06, content)
