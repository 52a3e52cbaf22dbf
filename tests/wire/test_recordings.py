"""What the real service was sent and what it answered: every request routes and decodes, every answer
comes out of our encoder as it came out of the service."""

from __future__ import annotations

import base64
import json
import lzma
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from lxml import etree

from reddog import wire

SHARED = Path(os.environ.get("REDDOG_SHARED") or Path(__file__).parents[3] / "shared")
RECORDINGS = SHARED / "transcripts" / "service-management-2015.jsonl.xz"
OTHER_SERVICES = ("scheduler", "servicebus", "sqldatabase", "website")
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.exists(), reason=f"no recordings at {RECORDINGS}: set REDDOG_SHARED to their folder"
)


@cache
def exchanges() -> list[dict[str, Any]]:
    with lzma.open(RECORDINGS, "rt", encoding="utf-8") as file:
        return [
            exchange for exchange in map(json.loads, file) if not exchange["test"].startswith(OTHER_SERVICES)
        ]


def content(body: str | None) -> bytes:
    if body is None:
        return b""
    return base64.b64decode(body[4:]) if body.startswith("b64:") else body.encode()


def operation_of(exchange: dict[str, Any]) -> wire.RestOperation:
    path, _, query = exchange["path"].partition("?")
    body = content(exchange["request_body"])
    root = wire.root_name(body) if body and wire.needs_body_root(path) else None
    given = dict(parse_qsl(query, keep_blank_values=True))
    return wire.route(exchange["method"], path, given, root).operation


def test_every_recorded_request_has_an_operation():
    operations = {operation_of(exchange).name for exchange in exchanges()}
    assert len(operations) >= 70


def test_every_accepted_request_is_read_by_the_service():
    read = 0
    for exchange in exchanges():
        operation, body = operation_of(exchange), content(exchange["request_body"])
        if exchange["status"] < 300 and body and operation.request is not None:
            value = wire.decode(operation.request, body, strict=True)
            again = wire.decode(operation.request, wire.encode(value), strict=True)
            assert again == value
            read += 1
        else:
            assert not (body and operation.tier == 1 and operation.request is None), operation.name
    assert read >= 100


def test_every_recorded_answer_is_written_as_the_service_wrote_it():
    written = 0
    for operation, body in _answers():
        assert operation.response is not None
        value = wire.decode(operation.response, body, strict=True)
        assert canonical(wire.encode(value, response=True)) == canonical(body), operation.name
        written += 1
    assert written >= 1200


def test_clients_read_what_the_service_reads_in_every_recorded_answer():
    for operation, body in _answers():
        assert operation.response is not None
        value = wire.decode(operation.response, body)
        again = wire.decode(operation.response, wire.encode(value, response=True))
        assert again == value, operation.name


def _answers() -> Iterator[tuple[wire.RestOperation, bytes]]:
    for exchange in exchanges():
        operation, body = operation_of(exchange), content(exchange["response_body"])
        if exchange["status"] < 300 and body and operation.response is not None:
            yield operation, body


def canonical(document: bytes) -> bytes:
    """A document without what carries no meaning: prefixes, unused declarations, absent values marked nil."""
    root = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    for node in root.xpath("//*[@i:nil='true']", namespaces={"i": NIL[1:].split("}", maxsplit=1)[0]}):
        if node.getparent() is not None:
            node.getparent().remove(node)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, method="c14n", exclusive=True)


def test_every_recorded_error_has_the_shape_of_ours():
    messages = set()
    for exchange in exchanges():
        body = content(exchange["response_body"])
        if exchange["status"] >= 400 and body.startswith(b"<Error"):
            error = wire.decode(wire.OperationError, body)
            ours = wire.ServiceError(error.code, exchange["status"], error.message).to_xml()
            assert canonical(ours) == canonical(body)
            messages.add(error.code)
    assert messages >= {"BadRequest", "ResourceNotFound"}
