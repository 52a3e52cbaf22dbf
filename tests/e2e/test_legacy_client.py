"""Microsoft's own azure-servicemanagement-legacy 0.20.8 takes the tour, from locations to a machine's login."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import legacy_package
from tests.e2e.conftest import CloudStarter, RunningCloud, machines_of
from tests.e2e.machines import ssh

import proofs
import shapes
import tours
from reddog.wire import OPERATIONS
from tours import simulated_cloud, supported_operations

TOUR = Path(__file__).with_name("legacy_tour.py")


def take(cloud: RunningCloud, stage: str) -> dict[str, Any]:
    """Run one stage of the tour with the published package."""
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": cloud.summary["ca_certificate"], "NO_PROXY": "*"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [legacy_package.find_or_install(), "-W", "ignore", str(TOUR), stage],
        input=json.dumps(cloud.summary),
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_published_package_calls_all_that_is_supported(tmp_path: Path) -> None:
    """On the simulated fabric: every method whose operation is there, and every answer is understood."""
    with simulated_cloud(tmp_path / "cloud") as summary:
        tour = tours.take(legacy_package.find_or_install(), summary, tmp_path)
    expected = {
        method
        for name in supported_operations()
        for method in OPERATIONS[name].python_method.split(" / ")
        if method
    }
    assert expected - tour.methods == set(), "extend tests/e2e/whole_tour.py"
    accepted = {shapes.operation_of(exchange).name for exchange in tour.exchanges if exchange["status"] < 300}
    proofs.hold("legacy client", accepted)


def log_in(where: dict[str, Any], command: str) -> str:
    endpoint = SimpleNamespace(vip=where["vip"], public_port=where["port"])
    return ssh(SimpleNamespace(instance_endpoints=[endpoint]), "touruser", command, password="tourpassword")


@pytest.mark.qemu
@pytest.mark.timeout(900)
def test_the_published_package_takes_the_tour(start_cloud: CloudStarter) -> None:
    cloud = start_cloud("qemu")
    first = take(cloud, "create")
    assert len(first["locations"]) == 14
    assert first["host_name"] == "tourhost"
    assert log_in(first, "hostname; echo kept > file; sync") == "tourhost\n"
    second = take(cloud, "capture")
    assert second["images"] == ["legacyimage"]
    assert second["vip"] != first["vip"]
    assert log_in(second, "cat file") == "kept\n"
    assert take(cloud, "delete") == {"services": [], "accounts": [], "disks": [], "images": []}
    assert not machines_of(cloud.data_dir)
    assert not list((cloud.data_dir / "storage").glob("*/data/*/*"))
