"""Answers look as the real service's did: what the whole tour gets, held against the recordings.

What differs is in `shapes.json`, each with its reason; it fails here when something new differs and when something
in the table does not differ any more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import proofs
import shapes
from shapes import Exchange
from tours import Taken, simulated_cloud, supported_operations, take

TABLE: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("shapes.json").read_text())

pytestmark = pytest.mark.skipif(not shapes.RECORDINGS.exists(), reason=shapes.ABSENT)


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """The whole tour, taken with our own client."""
    directory = tmp_path_factory.mktemp("tour")
    with simulated_cloud(directory / "cloud") as summary:
        return take(sys.executable, summary, directory)


@pytest.fixture(scope="module")
def recorded() -> dict[str, shapes.Shape]:
    return shapes.learn(shapes.recordings())


def supported(tour: Taken) -> list[Exchange]:
    return [exchange for exchange in tour.exchanges if exchange["status"] != 501]


def test_answers_have_the_shape_that_was_recorded(tour: Taken, recorded: dict[str, shapes.Shape]) -> None:
    found: set[str] = set()
    for exchange in supported(tour):
        if (shape := recorded.get(shapes.name_of(exchange))) is not None:
            found.update(shape.differences(exchange))
    hold(found, TABLE["recordings"])


def test_answers_have_the_elements_that_the_reference_lists(tour: Taken) -> None:
    found: set[str] = set()
    for exchange in supported(tour):
        if exchange["status"] < 300 and (document := shapes.body_of(exchange)):
            found.update(shapes.against_reference(shapes.operation_of(exchange).name, document))
    hold(found, TABLE["reference"])


def test_refusals_say_what_the_recorded_ones_said(tour: Taken) -> None:
    def refusals(exchanges: list[Exchange]) -> Iterator[tuple[str, int, str, str]]:
        return (shapes.refusal_of(exchange) for exchange in exchanges if exchange["status"] >= 400)

    missing = set(refusals(shapes.recordings())) - set(refusals(supported(tour)))
    assert missing == set(), "recorded, but this service says something else"


def test_the_tour_has_every_supported_operation_that_was_recorded(
    tour: Taken, recorded: dict[str, shapes.Shape]
) -> None:
    toured = {shapes.name_of(exchange) for exchange in supported(tour)}
    left_out = set(recorded) & supported_operations() - toured
    assert left_out == set(), "extend tests/e2e/whole_tour.py"


def test_the_coverage_page_says_what_was_held_against_recordings(
    tour: Taken, recorded: dict[str, shapes.Shape]
) -> None:
    accepted = {shapes.operation_of(one).name for one in tour.exchanges if one["status"] < 300}
    proofs.hold("recording", accepted & set(recorded))


def test_a_shape_tells_what_differs(recorded: dict[str, shapes.Shape]) -> None:
    """The recordings agree with themselves, and not with what is spoiled."""
    exchange = next(e for e in shapes.recordings() if shapes.name_of(e) == "Get Affinity Group Properties")
    shape = recorded["Get Affinity Group Properties"]
    assert list(shape.differences(exchange)) == []
    body: str = exchange["response_body"]
    spoiled = {
        "lacks Location": body.replace("<Location>West US</Location>", ""),
        "has Extra": body.replace("<Location>", "<Extra/><Location>"),
        "has Location before Description": body.replace("<Location>West US</Location>", "").replace(
            "<Description>", "<Location>West US</Location><Description>"
        ),
        "is not base64": body.replace("<Label>", "<Label>!"),
        "the root's declarations": body.replace(' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"', ""),
        "is in another namespace": body.replace("<Location>", '<Location xmlns="other">'),
        "status 202": body,
        "header x-ms-request-id is missing": body,
    }
    for what, document in spoiled.items():
        other = {**exchange, "response_body": document}
        if what == "status 202":
            other["status"] = 202
        if "header" in what:
            other["response_headers"] = {"Cache-Control": "no-cache"}
        differences = [
            *shape.differences(other),
            *shapes.against_reference(shape.operation, document.encode()),
        ]
        assert any(what in difference for difference in differences), what


def hold(found: set[str], table: dict[str, str]) -> None:
    """Compare differences with those that are known."""
    assert found - set(table) == set(), "these answers are not as they were recorded"
    assert set(table) - found == set(), "these no longer differ: take them out of shapes.json"
