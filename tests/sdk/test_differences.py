"""The table of differences from the published package can only shrink."""

from __future__ import annotations

import json
from pathlib import Path

TABLE: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("differences.json").read_text(encoding="utf-8")
)
ENTRIES = {"surface": 2, "requests": 3, "recorded requests": 1, "answers": 6}
"""How many there are. Make a number smaller when a difference has gone; never make one larger."""


def test_the_table_has_not_grown() -> None:
    assert {part: len(entries) for part, entries in TABLE.items()} == ENTRIES


def test_every_difference_has_its_reason() -> None:
    reasons = [reason for entries in TABLE.values() for reason in entries.values()]
    assert all(len(reason.split()) > 5 for reason in reasons)
