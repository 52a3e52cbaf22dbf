"""An engine on a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gates import Gate
from reddog.engine import Engine
from reddog.store import Store


@pytest.fixture
def deployments() -> Gate:
    """Open: deployments settle at once, as all other rows do, until a test closes it."""
    gate = Gate("deployment")
    gate.open.set()
    return gate


@pytest.fixture
def engine(tmp_path: Path, deployments: Gate) -> Iterator[Engine]:
    """An engine on a store of its own."""
    store = Store(tmp_path / "data")
    engine = Engine(store, [deployments])
    engine.start()
    yield engine
    engine.stop()
    store.close()
