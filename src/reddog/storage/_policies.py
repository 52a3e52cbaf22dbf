"""Stored access policies: the signed identifiers of a container, table or queue."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from aiohttp import web

from reddog.storage._errors import StorageError
from reddog.storage._request import document, parse_xml

MOST_POLICIES = 5
LONGEST_ID = 64
_TERMS = {"start": "Start", "expiry": "Expiry", "permission": "Permission"}
Policies = dict[str, dict[str, str]]


def shown(
    policies: Mapping[str, Mapping[str, str]], headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer to Get ACL."""
    entries = "".join(_shown_policy(*item) for item in policies.items())
    declaration = '<?xml version="1.0" encoding="utf-8"?>'
    return document(f"{declaration}<SignedIdentifiers>{entries}</SignedIdentifiers>", headers)


def _shown_policy(identity: str, policy: Mapping[str, str]) -> str:
    terms = "".join(
        f"<{tag}>{escape(policy[name])}</{tag}>" for name, tag in _TERMS.items() if policy.get(name)
    )
    entry = f"<Id>{escape(identity)}</Id><AccessPolicy>{terms}</AccessPolicy>"
    return f"<SignedIdentifier>{entry}</SignedIdentifier>"


def read(data: bytes) -> Policies:
    """The policies, by id, in the body of Set ACL: each with those of start, expiry and permission that it has."""
    if not data.strip():
        return {}
    root = parse_xml(data)
    if root.tag != "SignedIdentifiers":
        raise StorageError("InvalidXmlDocument", 400, "The XML specified is no list of signed identifiers.")
    found = {}
    for entry in root.findall("SignedIdentifier"):
        identity = (entry.findtext("Id") or "").strip()
        if not identity or len(identity) > LONGEST_ID:
            message = "The Id of a signed identifier has 1 to 64 characters."
            raise StorageError("InvalidXmlNodeValue", 400, message)
        terms = {name: entry.findtext(f"AccessPolicy/{tag}") for name, tag in _TERMS.items()}
        found[identity] = {name: value for name, value in terms.items() if value}
    if len(found) > MOST_POLICIES:
        raise StorageError("InvalidXmlDocument", 400, "There are up to five stored access policies.")
    return found
