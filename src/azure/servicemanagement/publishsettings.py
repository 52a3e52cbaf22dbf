"""Reads .publishsettings files, which carry a subscription and its management certificate."""

from __future__ import annotations

import base64
import os

from ._common_error import _validate_not_none


def get_certificate_from_publish_settings(
    publish_settings_path: str, path_to_write_certificate: str, subscription_id: str | None = None
) -> str:
    """Write the management certificate and key of a .publishsettings file as PEM (mode 0600).

    publish_settings_path: the file, in either of its two known layouts.
    path_to_write_certificate: the .pem file to make; give it to ServiceManagementService.
    subscription_id: which subscription of the file to take, without regard to case; default: the first.

    Returns the subscription's id.  Raises ValueError when the file is not of this kind, has no such
    subscription, or its certificate cannot be read, and OSError when a file cannot be read or written.
    """
    _validate_not_none("publish_settings_path", publish_settings_path)
    _validate_not_none("path_to_write_certificate", path_to_write_certificate)
    found, encoded = _subscription(publish_settings_path, subscription_id)
    _write_private(path_to_write_certificate, _to_pem(publish_settings_path, encoded))
    return found


def _subscription(path: str, wanted: str | None) -> tuple[str, str]:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with open(path, "rb") as file:
            profiles = etree.parse(file, parser).getroot().findall("./PublishProfile")
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{path} is not a .publishsettings file: {error}") from error
    # Schema 1.0 keeps one certificate on the profile, 2.0 one on each subscription.
    entries = [
        (
            item.get("Id") or "",
            item.get("ManagementCertificate") or profile.get("ManagementCertificate") or "",
        )
        for profile in profiles
        for item in profile.findall("./Subscription")
    ]
    for found, encoded in entries:
        if not wanted or found.lower() == wanted.lower():
            return found, encoded
    named = (
        f"no subscription {wanted!r}; it has {[found for found, _ in entries]}"
        if wanted
        else "no subscription"
    )
    raise ValueError(f"The publish settings file {path} has {named}.")


def _to_pem(path: str, encoded: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    try:
        data = base64.b64decode(encoded, validate=False)
    except ValueError as error:
        raise ValueError(f"The certificate in {path} is not base64 text.") from error
    for password in (None, b""):  # writers of that time differ in how they wrote "no password"
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(data, password)
        except ValueError:
            continue
        if key is not None and certificate is not None:
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            return certificate.public_bytes(Encoding.PEM) + private
    raise ValueError(f"The certificate in {path} is not a PKCS #12 store without a password.")


def _write_private(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.chmod(path, 0o600)  # it may have been there with other rights
        file.write(data)
