"""An engine on a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gates import Gate
from reddog.engine import Engine
from reddog.store import Store
from services import bodies
from services.world import World, leaks, opened


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


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """All services on a simulated fabric; whatever a test does, nothing may be left over or locked."""
    with opened(tmp_path / "cloud") as found:
        yield found
        found.rest()
        assert leaks(found) == []


@pytest.fixture
def place(world: World) -> World:
    """The storage account `acct` and the cloud service `svc` are there."""
    world.do("Create Storage Account", bodies.account())
    world.do("Create Cloud Service", bodies.service())
    return world
