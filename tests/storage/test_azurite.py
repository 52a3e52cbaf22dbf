"""Azurite's own tests, run against our services where a checkout of Azurite is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTS = ROOT / "tests" / "storage" / "azurite"
SERVICES = ("blob", "queue", "table")


def of(name: str, service: str) -> set[str]:
    lines = (LISTS / name).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line.startswith(f"{service}: ")}


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("service", SERVICES)
def test_azurites_tests_pass_as_before(service: str):
    checkout = os.environ.get("AZURITE_SOURCES")
    if not checkout:
        pytest.skip("AZURITE_SOURCES names no checkout of Azurite; scripts/azurite-tests says how to get one")
    command = [str(ROOT / "scripts" / "azurite-tests"), checkout, "--service", service]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_nearly_all_that_azurite_passes_passes_here(service: str):
    theirs, ours = of("stock.txt", service), of("passes.txt", service)
    assert len(theirs & ours) >= 0.95 * len(theirs) > 0
