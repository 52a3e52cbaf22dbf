"""Benches for the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabric.lab import Lab
from reddog.fabric import MachineError
from reddog.fabric.qemu import find_qemu

KINDS = ["simulated", pytest.param("qemu", marks=pytest.mark.qemu)]


def need_qemu() -> None:
    try:
        find_qemu()
    except MachineError as error:
        pytest.skip(error.message)


@pytest.fixture(params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Each driver in turn."""
    if request.param == "qemu":
        need_qemu()
    bench = Lab(request.param, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Lab]:
    """Real machines only."""
    need_qemu()
    bench = Lab("qemu", tmp_path)
    yield bench
    bench.close()
