"""Management certificates from Windows' certificate store, with a store of our own in the place of Windows'.

The stand-in has the functions of crypt32 that are called, with their arguments and what they promise about handles.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    load_pem_private_key,
    pkcs12,
)

from azure.servicemanagement import ServiceManagementService, _windows_store

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
USER_STORE = 0x10000 | 0x4000 | 0x8000  # CURRENT_USER, existing, read only


class Crypt32:
    """Certificate stores by flags and name: the certificates' PEM files, and whether their keys may be exported."""

    def __init__(self, stores: dict[tuple[int, str], list[tuple[Path, bool]]]) -> None:
        self.stores = stores
        self.handles: dict[int, Any] = {}

    def hold(self, thing: Any) -> int:
        handle = len(self.handles) + 1000
        while handle in self.handles:
            handle += 1
        self.handles[handle] = thing
        return handle

    def CertOpenStore(self, provider: int, encoding: int, unused: None, flags: int, name: str | None) -> Any:
        if provider == 2:  # in memory
            return self.hold([])
        assert provider == 10
        found = self.stores.get((flags, (name or "").lower()))
        return None if found is None else self.hold(found)

    def CertFindCertificateInStore(
        self, store: int, encoding: int, flags: int, kind: int, subject: str, previous: int | None
    ) -> Any:
        assert (encoding, flags, kind) == (1, 0, 0x80007)
        listed = [
            one for one in self.handles[store] if subject in certificate(one[0]).subject.rfc4514_string()
        ]
        start = listed.index(self.handles.pop(previous)) + 1 if previous else 0
        return self.hold(listed[start]) if start < len(listed) else None

    def CertAddCertificateContextToStore(self, store: int, context: int, how: int, added: None) -> int:
        assert how == 4
        self.handles[store].append(self.handles[context])
        return 1

    def PFXExportCertStoreEx(self, store: int, blob: Any, password: str, unused: None, flags: int) -> int:
        assert flags == 7
        [(path, exportable)] = self.handles[store]
        if not exportable:
            return 0
        target = blob._obj
        key: Any = load_pem_private_key(path.read_bytes(), None)
        secret = BestAvailableEncryption(password.encode())
        pfx = pkcs12.serialize_key_and_certificates(b"name", key, certificate(path), None, secret)
        if target.pbData:
            assert target.cbData >= len(pfx)
            ctypes.memmove(target.pbData, pfx, len(pfx))
            target.cbData = len(pfx)
        else:
            target.cbData = len(pfx) + 16  # an estimate, as Windows' is
        return 1

    def CertFreeCertificateContext(self, context: int) -> int:
        del self.handles[context]
        return 1

    def CertCloseStore(self, store: int, flags: int) -> int:
        del self.handles[store]
        return 1


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, authority: Any, client_certificate: Path) -> Crypt32:
    """The user's store has the client's certificate, and others."""
    stays = authority.client("stays")
    library = Crypt32({(USER_STORE, "my"): [(stays, False), (client_certificate, True)]})
    monkeypatch.setattr(_windows_store, "_crypt32", lambda location, error: library)
    return library


def client(service: Any, location: str) -> ServiceManagementService:
    return ServiceManagementService(SUBSCRIPTION, location, host=service.host, timeout=10)


def test_a_certificate_of_the_store_is_used(
    service: Any, windows: Crypt32, client_certificate: Path, trust: None, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sms = client(service, "CURRENT_USER\\My\\client")
    for _ in range(2):
        sms.perform_get("/x")
    [kept] = tmp_path.glob("management-certificate-*/*.pem")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    shown = {hashlib.sha1(request.thumbprint).hexdigest() for request in service.requests}
    assert shown == {hashlib.sha1(certificate(client_certificate).public_bytes(Encoding.DER)).hexdigest()}
    assert windows.handles == {}, "all handles were given back"
    sms.request_session.close()
    del sms
    gc.collect()
    assert not kept.exists()


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("CURRENT_USER\\my\\nobody", "no certificate in the store has nobody in its subject"),
        ("CURRENT_USER\\my\\stays", "cannot be exported.*makecert -pe"),
        ("LOCAL_MACHINE\\my\\client", "no certificate store my of LOCAL_MACHINE"),
    ],
)
def test_what_cannot_be_used_is_explained(
    service: Any, windows: Crypt32, trust: None, location: str, told: str
) -> None:
    with pytest.raises(requests.exceptions.SSLError, match=told):
        client(service, location).perform_get("/x")
    assert windows.handles == {}


def test_of_several_certificates_one_with_its_key_is_taken(windows: Crypt32, authority: Any) -> None:
    more = authority.client("stays too")
    windows.stores[USER_STORE, "my"].append((more, True))
    pem = _windows_store.export_certificate("current_user\\my\\stays", ValueError)
    assert x509.load_pem_x509_certificate(pem) == certificate(more)
    assert load_pem_private_key(pem, None) is not None
    assert windows.handles == {}
