"""Two ways to read an answer: where the quick one reads it at all, the ordinary one reads the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shapes
import wire_samples as samples
from reddog import wire
from reddog.wire import _decode, _scan

MODELS = [cls for cls in samples.TYPES if not issubclass(cls, wire.Scalar)]
ANY = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def quickly(cls: type[Any], document: bytes) -> Any:
    return _decode._scanner.read(cls, document)


def ordinarily(cls: type[Any], document: bytes) -> Any:
    return _decode._decoder(cls)(_decode.parse(document))


@ANY
@given(st.data())
def test_both_read_the_same_from_what_we_write(data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(MODELS))
    document = wire.encode(data.draw(samples.answers(cls)), response=True)
    found = quickly(cls, document)
    assert found is None or found == ordinarily(cls, document)


@ANY
@given(st.data())
def test_what_is_damaged_is_left_to_the_ordinary_reader_or_read_the_same(data: st.DataObject) -> None:
    """So nothing is taken for XML that is none: the ordinary reader would refuse it here."""
    cls = data.draw(st.sampled_from(MODELS))
    document = bytearray(wire.encode(data.draw(samples.answers(cls)), response=True))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(document)))
        end = min(len(document), start + data.draw(st.integers(0, 12)))
        document[start:end] = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"<",
                    b">",
                    b"/",
                    b" ",
                    b"\r\n",
                    b"&lt;",
                    b"&amp;",
                    b"&",
                    b"]]>",
                    b"\0",
                    b"<!---->",
                    b"\xff",
                ]
            )
            | st.binary(max_size=3)
            | st.just(bytes(document[end : end + 15]))
        )
    found = quickly(cls, bytes(document))
    assert found is None or found == ordinarily(cls, bytes(document))


@pytest.mark.skipif(not shapes.RECORDINGS.exists(), reason=shapes.ABSENT)
def test_both_read_the_same_from_recorded_answers_and_most_are_read_quickly() -> None:
    quick = total = 0
    for exchange in shapes.recordings():
        response = shapes.operation_of(exchange).response if exchange["status"] < 300 else None
        document = shapes.body_of(exchange)
        if not document or response is None or issubclass(response, wire.Scalar):
            continue
        found = quickly(response, document)
        total, quick = total + 1, quick + (found is not None)
        assert found is None or found == ordinarily(response, document)
    assert quick > 0.9 * total > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a &amp; b", "a & b"),
        (b"&quot;&apos;", "\"'"),
        (b"&amp;amp;&amp;quot;&amp;lt;", "&amp;&quot;&lt;"),
        (b"&amp;", "&"),
    ],
)
def test_references_to_what_is_no_markup_are_read_quickly(text: bytes, expected: str) -> None:
    document = b"<Swap %s><Production>%s</Production><SourceDeployment/></Swap>" % (NAMESPACES, text)
    assert quickly(wire.Swap, document).production == expected
    assert quickly(wire.Swap, document) == ordinarily(wire.Swap, document)


@pytest.mark.parametrize("text", [b"a & b", b"a &b;", b"&amp", b"&;", b"&amp;&"])
def test_ampersands_that_are_no_references_are_refused(text: bytes) -> None:
    document = b"<Swap %s><Production>%s</Production></Swap>" % (NAMESPACES, text)
    assert quickly(wire.Swap, document) is None
    with pytest.raises(wire.errors.ServiceError):
        wire.decode(wire.Swap, document)


def test_a_type_has_a_reader_of_its_own_once_that_is_worthwhile() -> None:
    scanner = _scan.Scanner(_decode._defaults, _decode._TEXT_CONVERSIONS)
    document = wire.encode(wire.only(wire.Swap, production="p", source_deployment="s"), response=True)
    answers = [scanner.documents[wire.Swap](document) for _ in range(_scan.WORTHWHILE // len(document) + 10)]
    assert answers[0] is None
    assert answers[-1] == ordinarily(wire.Swap, document)
    first = next(number for number, answer in enumerate(answers) if answer is not None)
    assert all(answer is not None for answer in answers[first:])
    assert scanner.documents[wire.RegenerateKeys](document) is None  # types are counted by themselves


@pytest.mark.parametrize("number", ["", "many", "1.5", "\u0661", "7"])
def test_numbers_that_are_none_are_read_the_same(number: str) -> None:
    document = f"<RoleSize %s><Name>n</Name><Label/><Cores>{number}</Cores></RoleSize>".encode() % NAMESPACES
    found = quickly(wire.RoleSize, document)
    assert found is None or found == ordinarily(wire.RoleSize, document)
    assert wire.decode(wire.RoleSize, document) == ordinarily(wire.RoleSize, document)


NAMESPACES = (
    b'xmlns="http://schemas.microsoft.com/windowsazure" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
)


@pytest.mark.parametrize(
    "document",
    [
        b"<Swap %s><Production>a&lt;b</Production></Swap>",
        b"<Swap %s><Production>a&amp;b&#13;</Production></Swap>",
        b"<Swap %s> <Production>a</Production></Swap>",
        b"<Swap %s><SourceDeployment>b</SourceDeployment><Production>a</Production></Swap>",
        b"<Swap %s><Production>a</Production></Swap>\n",
        b"<Swap %s><Production i:nil='true'/></Swap>",
        b"<Swap %s><New/></Swap>",
        b"<?xml version='1.0'?><Swap %s/>",
    ],
)
def test_answers_that_are_written_otherwise_are_read_too(document: bytes) -> None:
    given = document % NAMESPACES
    assert quickly(wire.Swap, given) is None
    assert wire.decode(wire.Swap, given) == ordinarily(wire.Swap, given)
