"""Every operation of the API is there for clients: it is answered, or refused by its name."""

from __future__ import annotations

import dataclasses
import re
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from reddog import wire
from tours import simulated_cloud, supported_operations

NAMESPACE = "http://schemas.microsoft.com/windowsazure"
NEVER_ROUTED = "Update Disk (resize, 2014-10-01+)"  # no request tells it from Update Disk


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with simulated_cloud(tmp_path_factory.mktemp("cloud") / "cloud") as found:
        yield found


@pytest.fixture(scope="module")
def supported() -> set[str]:
    return supported_operations()


def ask(summary: dict[str, Any], row: wire.RestOperation) -> tuple[int, wire.OperationError | None]:
    """Send a request that means an operation, on names that nothing has; returns status and error."""
    context = ssl.create_default_context(cafile=summary["ca_certificate"])
    context.load_cert_chain(summary["certificate"])
    path = row.path.replace("{subscription-id}", summary["subscription_id"])
    path = re.sub(r"\{[^}]+\}", "value1", path)
    query = {name: re.sub(r"\{[^}]+\}", "value1", text) for name, text in row.required_query.items()}
    body = f'<{row.request_root} xmlns="{NAMESPACE}"/>' if row.request_root.isalnum() else None
    host, _, port = summary["management_host"].rpartition(":")
    connection = HTTPSConnection(host, int(port), context=context, timeout=20)
    try:
        url = f"{path}?{urlencode(query)}" if query else path
        connection.request(row.method, url, body, {"x-ms-version": "2015-04-01"})
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    return response.status, wire.decode(wire.OperationError, data) if response.status >= 400 else None


@pytest.mark.parametrize("row", wire.OPERATIONS.values(), ids=lambda row: row.name)
def test_an_operation_is_answered_or_refused_by_name(
    summary: dict[str, Any], supported: set[str], row: wire.RestOperation
) -> None:
    status, error = ask(summary, row)
    if row.name in supported or row.name == NEVER_ROUTED:
        assert status not in (405, 500, 501)
        assert error is None or error.message, "a refusal says why"
    else:
        assert error is not None
        assert (status, error.code) == (501, "NotImplemented")
        assert f"'{row.name}'" in (error.message or "")


def test_what_is_no_operation_is_told_so(summary: dict[str, Any]) -> None:
    row = wire.OPERATIONS["List Locations"]

    status, error = ask(summary, dataclasses.replace(row, uri="/{subscription-id}/nothing"))
    assert error is not None
    assert (status, error.code) == (404, "ResourceNotFound")
    assert error.message
