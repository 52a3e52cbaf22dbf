"""The count of commits, by which answers are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reddog.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.close()


def test_reads_leave_the_version_and_writes_change_it(store: Store) -> None:
    before = store.version
    store.read(lambda reader: reader.get("kind", "key"))
    assert store.version == before
    store.write(lambda session: None)
    assert store.version > before
    assert store.version % 2 == 0


def test_the_version_has_changed_before_anybody_is_answered(store: Store) -> None:
    before = store.version
    seen: list[int] = []
    store.write(lambda session: None, then=lambda result: seen.append(store.version))
    assert seen[0] > before
    assert seen[0] % 2 == 0


def test_a_change_that_is_undone_leaves_an_even_version(store: Store) -> None:
    def fail(session: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write(fail)
    assert store.version % 2 == 0
