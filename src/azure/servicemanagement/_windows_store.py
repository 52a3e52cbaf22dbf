"""Certificates named by their place in Windows' certificate store, such as CURRENT_USER\\my\\Name.

The published client gives such a name to WinHTTP, by COM. This one takes certificate and key out of the store with
crypt32, which is part of every Windows, and uses them as if they had come from a file. That needs a key which was
marked as exportable when it was made, as `makecert -pe` does.
"""

from __future__ import annotations

import ctypes
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STORE_LOCATION = re.compile(r"^(CURRENT_USER|LOCAL_MACHINE)\\([^\\]+)\\([^\\]+)$", re.IGNORECASE)
"""User or machine, store, and subject: CURRENT_USER\\my\\AzureCertificate."""

# Names and values of wincrypt.h.
CERT_STORE_PROV_MEMORY = 2
CERT_STORE_PROV_SYSTEM_W = 10
CERT_SYSTEM_STORE = {"CURRENT_USER": 1 << 16, "LOCAL_MACHINE": 2 << 16}
CERT_STORE_OPEN_EXISTING_FLAG = 0x4000
CERT_STORE_READONLY_FLAG = 0x8000
CERT_STORE_ADD_ALWAYS = 4
X509_ASN_ENCODING = 1
CERT_FIND_SUBJECT_STR_W = 8 << 16 | 7
REPORT_NO_PRIVATE_KEY = 1
REPORT_NOT_ABLE_TO_EXPORT_PRIVATE_KEY = 2
EXPORT_PRIVATE_KEYS = 4


class _Blob(ctypes.Structure):
    """CRYPT_DATA_BLOB: where bytes are, and how many."""

    _fields_ = [("cbData", ctypes.c_uint32), ("pbData", ctypes.POINTER(ctypes.c_ubyte))]


def export_certificate(location: str, error: type[Exception]) -> bytes:
    """Return the certificate at `location` with its key as PEM; raises `error` where that cannot be."""
    found = STORE_LOCATION.match(location)
    if found is None:
        raise error(f"{location} is no place in a certificate store, such as CURRENT_USER\\my\\Name.")
    crypt32 = _crypt32(location, error)
    system, name, subject = found.groups()
    flags = CERT_SYSTEM_STORE[system.upper()] | CERT_STORE_OPEN_EXISTING_FLAG | CERT_STORE_READONLY_FLAG
    with _opened(crypt32, CERT_STORE_PROV_SYSTEM_W, flags, name) as store:
        if not store:
            raise error(f"{location}: this machine has no certificate store {name} of {system.upper()}.")
        seen = False
        for context in _certificates(crypt32, store, subject):
            seen = True
            pem = _exported(crypt32, context)
            if pem is not None:
                return pem
    if not seen:
        raise error(
            f"{location}: no certificate in the store has {subject} in its subject. `certutil -user -store my` "
            "lists them."
        )
    raise error(
        f"{location}: the certificate's private key is missing or cannot be exported, which this client needs. "
        "Make a certificate whose key can be (makecert -pe), or give the path of a .pem file; "
        "`reddog cert create` makes one."
    )


def _crypt32(location: str, error: type[Exception]) -> Any:
    """Windows' library of certificates."""
    if sys.platform != "win32":
        raise error(
            f"{location} names a certificate in Windows' certificate store, which this machine does not "
            f"have. Give the path of a .pem file instead; `reddog cert create` makes one."
        )
    library = ctypes.WinDLL("crypt32", use_last_error=True)
    handle, number, text = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_wchar_p
    blob = ctypes.POINTER(_Blob)
    for name, result, *arguments in (
        ("CertOpenStore", handle, handle, number, handle, number, text),
        ("CertFindCertificateInStore", handle, handle, number, number, number, text, handle),
        ("CertAddCertificateContextToStore", number, handle, handle, number, handle),
        ("PFXExportCertStoreEx", number, handle, blob, text, handle, number),
        ("CertFreeCertificateContext", number, handle),
        ("CertCloseStore", number, handle, number),
    ):
        function = getattr(library, str(name))
        function.restype, function.argtypes = result, arguments
    return library


@contextmanager
def _opened(crypt32: Any, provider: int, flags: int, name: str | None) -> Iterator[Any]:
    """A store, or None when there is none."""
    store = crypt32.CertOpenStore(provider, 0, None, flags, name)
    try:
        yield store
    finally:
        if store:
            crypt32.CertCloseStore(store, 0)


def _certificates(crypt32: Any, store: Any, subject: str) -> Iterator[Any]:
    """The certificates with `subject` in their subjects; each is let go when the next is asked for."""
    context = None
    try:
        while context := crypt32.CertFindCertificateInStore(
            store, X509_ASN_ENCODING, 0, CERT_FIND_SUBJECT_STR_W, subject, context
        ):
            yield context
    finally:
        if context:
            crypt32.CertFreeCertificateContext(context)


def _exported(crypt32: Any, context: Any) -> bytes | None:
    """A certificate with its key as PEM; None when the key is not there or is to stay."""
    password = secrets.token_urlsafe()
    flags = EXPORT_PRIVATE_KEYS | REPORT_NO_PRIVATE_KEY | REPORT_NOT_ABLE_TO_EXPORT_PRIVATE_KEY
    with _opened(crypt32, CERT_STORE_PROV_MEMORY, 0, None) as alone:
        if not crypt32.CertAddCertificateContextToStore(alone, context, CERT_STORE_ADD_ALWAYS, None):
            return None
        blob = _Blob()
        if not crypt32.PFXExportCertStoreEx(alone, ctypes.byref(blob), password, None, flags):
            return None
        room = (ctypes.c_ubyte * blob.cbData)()
        blob.pbData = ctypes.cast(room, ctypes.POINTER(ctypes.c_ubyte))
        if not crypt32.PFXExportCertStoreEx(alone, ctypes.byref(blob), password, None, flags):
            return None
        return _as_pem(bytes(room)[: blob.cbData], password)


def _as_pem(pfx: bytes, password: str) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    key, certificate, _ = pkcs12.load_key_and_certificates(pfx, password.encode())
    if key is None or certificate is None:
        return None
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private
