"""A driver that is killed while it starts, changes or removes a machine: the next one goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import killing
from fabric.lab import Lab, forward, free_port, processes, until
from reddog.fabric import ComputeDriver

ID = "vm-1"
Act = Callable[[ComputeDriver], object]


@pytest.mark.qemu
@pytest.mark.parametrize("what", ["start", "change", "remove"])
def test_a_driver_that_is_killed_leaves_all_or_nothing(real: Lab, what: str, tmp_path: Path) -> None:
    spec, data, inbound = real.spec(), real.disk("data.vhd", lun=3), forward(free_port())
    acts: dict[str, tuple[Act, ...]] = {
        "start": (lambda driver: driver.start(replace(spec, provisioning=b"<Environment/>")),),
        "change": (
            lambda driver: driver.start(spec),
            lambda driver: (driver.attach_disk(ID, data), driver.set_forwards(ID, [inbound])),
        ),
        "remove": (lambda driver: driver.start(spec), lambda driver: driver.remove(ID)),
    }

    def scenario(directory: Path, checkpoint: killing.Checkpoint) -> None:
        driver = real.open(directory / "machines")
        *before, act = acts[what]
        for one in before:
            one(driver)
        killing.watch_effects(directory, checkpoint)
        act(driver)
        driver.close()

    def verify(directory: Path) -> None:
        machines = directory / "machines"
        driver = real.open(machines)
        try:
            if what == "remove":
                assert driver.list() == []
                assert processes(machines) == []
                return
            until(lambda: driver.observe(ID).power == "running")
            assert len(processes(machines)) == 1
            if what == "change":
                driver.backup_disk(ID, 3, directory / "copy")
        finally:
            driver.remove(ID)
            driver.close()
        assert processes(machines) == []
        assert [path.name for path in machines.iterdir() if path.is_dir()] == []

    assert killing.sample(scenario, verify, tmp_path / "runs", kills=8) >= 2
