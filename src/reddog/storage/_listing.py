"""What the listings of the services share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from reddog.storage._request import StorageRequest

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACED = "\ufffd"


def endpoint(request: StorageRequest) -> str:
    """The URL of the account's service, as the caller wrote it."""
    base = f"{request.raw.scheme}://{request.raw.host}/"
    return f"{base}{request.account.name}/" if request.path_style else base


def asked_of(query: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The elements that tell what was asked for."""
    return "".join(
        f"<{name}>{escape(NOT_XML.sub(_REPLACED, query[name.lower()]))}</{name}>"
        for name in names
        if query.get(name.lower())
    )


def shown_metadata(metadata: Mapping[str, str]) -> str:
    """The element that tells metadata."""
    if not metadata:
        return "<Metadata/>"
    return f"<Metadata>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in metadata.items())}</Metadata>"
