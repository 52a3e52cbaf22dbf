"""Certificates named by their place in Windows' certificate store, such as CURRENT_USER\\my\\Name."""

from __future__ import annotations

import re
import sys

STORE_LOCATION = re.compile(r"^(CURRENT_USER|LOCAL_MACHINE)\\([^\\]+)\\([^\\]+)$", re.IGNORECASE)
"""User or machine, store, and subject: CURRENT_USER\\my\\AzureCertificate."""


def export_certificate(location: str, error: type[Exception]) -> str:
    """Return a PEM file for the certificate at `location`; raises `error` where that cannot be."""
    if sys.platform != "win32":
        raise error(
            f"{location} names a certificate in Windows' certificate store, which this machine does not "
            f"have. Give the path of a .pem file instead; `reddog cert create` makes one."
        )
    raise error(
        f"{location}: certificates in Windows' certificate store cannot be used by this client. Export it "
        f"with its key as .pfx, then: openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem, and give the path of "
        f"FILE.pem."
    )
