"""Operations on an account's blob, table or queue service as a whole."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial

from aiohttp import web
from lxml import etree

from reddog.storage import _cors
from reddog.storage._errors import StorageError
from reddog.storage._request import StorageRequest, document, empty, made_of, parse_xml

_LOGGING = "<Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"
_RETENTION = "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
_METRICS = f"<Version>1.0</Version><Enabled>false</Enabled>{_RETENTION}"
_DEFAULTS = {
    "Logging": f"<Logging>{_LOGGING}{_RETENTION}</Logging>",
    "HourMetrics": f"<HourMetrics>{_METRICS}</HourMetrics>",
    "MinuteMetrics": f"<MinuteMetrics>{_METRICS}</MinuteMetrics>",
    "Cors": "<Cors/>",
}
_BLOB_DEFAULTS = {
    **_DEFAULTS,
    "DefaultServiceVersion": "",
    "DeleteRetentionPolicy": "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>",
    "StaticWebsite": "<StaticWebsite><Enabled>false</Enabled></StaticWebsite>",
}
_ROOT = "StorageServiceProperties"
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_CORS_SINCE = "2013-08-15"  # before, hours were all the metrics there were
_BEFORE_CORS = ("Logging", "HourMetrics", "DefaultServiceVersion")


async def get_properties(request: StorageRequest) -> web.StreamResponse:
    """Get Service Properties, as they were set. CORS rules have effect; logging and metrics are only kept."""

    def work() -> str | None:
        with request.account.index.transaction():
            return request.account.index.properties(request.service)

    found = await asyncio.to_thread(work)
    parts = _defaults(request) if found is None else _parts(request, f"<{_ROOT}>{found}</{_ROOT}>".encode())
    if _is_old(request):
        parts = {name: parts[name] for name in _BEFORE_CORS if name in parts}
        parts["HourMetrics"] = parts["HourMetrics"].replace("HourMetrics>", "Metrics>")
    return document(f"{_DECLARATION}<{_ROOT}>{''.join(parts.values())}</{_ROOT}>")


async def set_properties(request: StorageRequest) -> web.StreamResponse:
    """Set Service Properties: what the document leaves out stays as it is."""
    given = await made_of(await request.document(), partial(_parts, request))

    def work() -> None:
        index = request.account.index
        with index.transaction(write=True):
            before = index.properties(request.service)
            parts = _defaults(request)
            if before is not None:
                parts |= _parts(request, f"<{_ROOT}>{before}</{_ROOT}>".encode())
            index.set_properties(request.service, "".join({**parts, **given}.values()))

    await asyncio.to_thread(work)
    return empty(202)


def _defaults(request: StorageRequest) -> dict[str, str]:
    return dict(_BLOB_DEFAULTS if request.service == "blob" else _DEFAULTS)


def _is_old(request: StorageRequest) -> bool:
    return "" < request.headers.get("x-ms-version", "") < _CORS_SINCE


def _parts(request: StorageRequest, data: bytes) -> dict[str, str]:
    """The parts of a document by name; what they hold has to be right where it has effect."""
    root, known = parse_xml(data), _defaults(request)
    parts = {}
    for node in root.iterchildren("*"):
        if node.tag == "Metrics":
            node.tag = "HourMetrics"
        parts[str(node.tag)] = node
    if root.tag != _ROOT or any(name not in known for name in parts):
        raise StorageError("InvalidXmlDocument", 400, f"The XML specified is no {_ROOT} document.")
    if "Cors" in parts:
        _cors.read_rules(parts["Cors"])
    return {name: etree.tostring(node, encoding="unicode", with_tail=False) for name, node in parts.items()}


async def get_stats(request: StorageRequest) -> web.StreamResponse:
    """Get Service Stats, at the secondary only: it has what the primary has, at any time."""
    if not request.secondary:
        message = "Service stats are read from the secondary: ACCOUNT-secondary."
        raise StorageError("InvalidQueryParameterValue", 400, message)
    now = format_datetime(datetime.now(UTC), usegmt=True)
    replication = f"<GeoReplication><Status>live</Status><LastSyncTime>{now}</LastSyncTime></GeoReplication>"
    return document(f"{_DECLARATION}<StorageServiceStats>{replication}</StorageServiceStats>")


async def get_account(request: StorageRequest) -> web.StreamResponse:
    """Get Account Information."""
    return empty(
        200,
        {
            "x-ms-sku-name": "Standard_RAGRS",
            "x-ms-account-kind": "StorageV2",
            "x-ms-is-hns-enabled": "false",
        },
    )
