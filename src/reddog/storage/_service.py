"""Operations on an account's blob service as a whole."""

from __future__ import annotations

import asyncio

from aiohttp import web
from lxml import etree

from reddog.storage._errors import StorageError
from reddog.storage._request import BlobRequest, document, empty, parse_xml

_LOGGING = "<Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"
_RETENTION = "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
_METRICS = f"<Version>1.0</Version><Enabled>false</Enabled>{_RETENTION}"
_DEFAULTS = {
    "Logging": f"<Logging>{_LOGGING}{_RETENTION}</Logging>",
    "HourMetrics": f"<HourMetrics>{_METRICS}</HourMetrics>",
    "MinuteMetrics": f"<MinuteMetrics>{_METRICS}</MinuteMetrics>",
    "Cors": "<Cors/>",
    "DefaultServiceVersion": "",
    "DeleteRetentionPolicy": "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>",
    "StaticWebsite": "<StaticWebsite><Enabled>false</Enabled></StaticWebsite>",
}
_ROOT = "StorageServiceProperties"


async def get_properties(request: BlobRequest) -> web.StreamResponse:
    """Get Blob Service Properties, as they were set; they change nothing of what the service does."""

    def work() -> str | None:
        with request.account.index.transaction():
            return request.account.index.properties("blob")

    found = await asyncio.to_thread(work)
    body = found or "".join(_DEFAULTS.values())
    return document(f'<?xml version="1.0" encoding="utf-8"?><{_ROOT}>{body}</{_ROOT}>')


async def set_properties(request: BlobRequest) -> web.StreamResponse:
    """Set Blob Service Properties: what the document leaves out stays as it is."""
    given = _parts(await request.document())

    def work() -> None:
        index = request.account.index
        with index.transaction(write=True):
            before = index.properties("blob")
            parts = dict(_DEFAULTS) if before is None else _parts(f"<{_ROOT}>{before}</{_ROOT}>".encode())
            index.set_properties("blob", "".join({**parts, **given}.values()))

    await asyncio.to_thread(work)
    return empty(202)


def _parts(data: bytes) -> dict[str, str]:
    root = parse_xml(data)
    names = [str(node.tag) for node in root]
    if root.tag != _ROOT or any(name not in _DEFAULTS for name in names):
        raise StorageError("InvalidXmlDocument", 400, f"The XML specified is no {_ROOT} document.")
    return {str(node.tag): etree.tostring(node, encoding="unicode") for node in root}


async def get_stats(request: BlobRequest) -> web.StreamResponse:
    """Get Blob Service Stats: there is no secondary location."""
    replication = "<GeoReplication><Status>unavailable</Status><LastSyncTime/></GeoReplication>"
    return document(
        f'<?xml version="1.0" encoding="utf-8"?><StorageServiceStats>{replication}</StorageServiceStats>'
    )


async def get_account(request: BlobRequest) -> web.StreamResponse:
    """Get Account Information."""
    return empty(
        200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "Storage", "x-ms-is-hns-enabled": "false"}
    )
