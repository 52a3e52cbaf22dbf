"""What simulated machines add: a clock moved by hand, and faults on demand."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fabric.lab import MIB, forward, ovf
from reddog.fabric import AclRule, Disk, Forward, MachineError, MachineSpec, Network, Probe
from reddog.fabric.simulated import ManualClock, RealClock, SimulatedDriver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    path = tmp_path / "os.vhd"
    path.write_bytes(bytes(MIB))
    return MachineSpec("vm-1", "web", 1, 256, Disk(path, MIB), provisioning=ovf())


@pytest.fixture
def driver(tmp_path: Path, clock: ManualClock) -> Iterator[SimulatedDriver]:
    driver = SimulatedDriver(tmp_path / "machines", clock=clock, boot_time=40)
    yield driver
    driver.close()


def test_a_guest_is_ready_when_its_time_has_come(
    driver: SimulatedDriver, clock: ManualClock, spec: MachineSpec
) -> None:
    heard: list[bool] = []
    driver.start(spec)
    driver.watch(lambda id: heard.append(driver.observe(id).ready))
    clock.advance(39)
    assert not driver.observe("vm-1").ready
    clock.advance(1)
    state = driver.observe("vm-1")
    assert (state.ready, state.host_name, heard) == (True, "web1", [True])
    assert state.ssh_host_key is not None
    assert len(bytes.fromhex(state.ssh_host_key)) == 16


def test_a_restart_begins_the_wait_anew(
    driver: SimulatedDriver, clock: ManualClock, spec: MachineSpec
) -> None:
    driver.start(spec)
    clock.advance(30)
    driver.restart("vm-1")
    clock.advance(30)
    assert not driver.observe("vm-1").ready
    clock.advance(10)
    assert driver.observe("vm-1").ready


def test_a_guest_may_never_report(driver: SimulatedDriver, clock: ManualClock, spec: MachineSpec) -> None:
    driver.boot_time = math.inf
    driver.start(spec)
    clock.advance(1e9)
    assert (driver.observe("vm-1").power, driver.observe("vm-1").ready) == ("running", False)


def test_the_next_starts_fail_as_told(driver: SimulatedDriver, spec: MachineSpec) -> None:
    driver.fail_next_start()
    driver.fail_next_start(MachineError("NoSpace", "Full."))
    for code in ("StartFailed", "NoSpace"):
        with pytest.raises(MachineError) as caught:
            driver.start(spec)
        assert caught.value.code == code
        assert driver.observe("vm-1").cause == "failed"
    driver.start(spec)
    assert driver.observe("vm-1").power == "running"


def test_a_boot_goes_on_over_a_restart_of_the_cloud(
    driver: SimulatedDriver, clock: ManualClock, spec: MachineSpec, tmp_path: Path
) -> None:
    driver.start(spec)
    clock.advance(10)
    driver.close()
    clock.advance(10)
    heard: list[str] = []
    again = SimulatedDriver(tmp_path / "machines", clock=clock)
    again.watch(heard.append)
    assert again.spec("vm-1").forwards == ()
    clock.advance(20)
    assert (again.observe("vm-1").ready, again.observe("vm-1").host_name) == (True, "web1")
    assert heard == ["vm-1"]
    again.close()


def test_watchers_hear_only_of_changes(driver: SimulatedDriver, spec: MachineSpec) -> None:
    heard: list[str] = []
    driver.watch(heard.append)
    driver.start(spec)
    assert len(heard) == 1
    driver.start(spec)
    driver.set_forwards("vm-1", ())
    assert len(heard) == 1
    for _ in range(2):
        driver.kill("vm-1")
    assert len(heard) == 2
    driver.remove("vm-1")
    driver.remove("vm-1")
    assert len(heard) == 3


def test_a_manual_clock_runs_what_is_due_in_order(clock: ManualClock) -> None:
    seen: list[tuple[str, float]] = []
    start = clock.now()
    clock.call_at(start + 5, lambda: seen.append(("late", clock.now() - start)))
    clock.call_at(
        start + 1, lambda: clock.call_at(start + 2, lambda: seen.append(("nested", clock.now() - start)))
    )
    clock.call_at(start + 60, lambda: seen.append(("never", 0)))
    clock.advance(10)
    assert seen == [("nested", 2), ("late", 5)]
    assert clock.now() == start + 10


def test_a_real_clock_keeps_time_and_ends() -> None:
    clock = RealClock()
    rang = threading.Event()
    never = threading.Event()
    clock.call_at(clock.now() + 60, never.set)
    begun = time.monotonic()
    clock.call_at(clock.now() + 0.05, rang.set)
    assert rang.wait(5)
    assert time.monotonic() - begun >= 0.04
    clock.close()
    assert not never.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "simulated-clock"]


@pytest.fixture
def machine(driver: SimulatedDriver, spec: MachineSpec, tmp_path: Path) -> Callable[..., None]:
    """Starts a machine that has a disk of its own."""

    def start(id: str, **changes: Any) -> None:
        path = tmp_path / f"{id}.vhd"
        path.write_bytes(bytes(MIB))
        driver.start(replace(spec, id=id, name=id, os_disk=Disk(path, MIB), provisioning=None, **changes))

    return start


def test_connections_are_taken_from_those_whom_the_rules_permit(
    driver: SimulatedDriver, clock: ManualClock, machine: Callable[..., None]
) -> None:
    rules = AclRule("deny", "10.0.0.0/8"), AclRule("deny", "127.0.0.1/32")
    web = Forward("web", "tcp", "127.0.0.2", 80, 8080, acl=rules)
    machine("vm-1", network=Network("shop", "10.0.0.4", "web", "example"), forwards=(web,))
    clock.advance(40)
    assert driver.connect("127.0.0.2", 80, client="192.0.2.1") == "vm-1"
    assert driver.connect("127.0.0.2", 80) is None


def test_connections_are_spread_over_machines_whose_probe_succeeds(
    driver: SimulatedDriver, clock: ManualClock, machine: Callable[..., None]
) -> None:
    web = Forward("web", "tcp", "127.0.0.2", 80, 8080, Probe("tcp", 8080))
    for number in (4, 5):
        place = Network("shop", f"10.0.0.{number}", f"web{number}", "example")
        machine(f"vm-{number}", network=place, forwards=(web, forward(2200 + number)))

    def seen() -> set[str | None]:
        return {driver.connect("127.0.0.2", 80) for _ in range(4)}

    assert seen() == {None}
    clock.advance(40)
    assert seen() == {"vm-4", "vm-5"}
    assert driver.connect("127.0.0.1", 2205) == "vm-5"
    driver.stop_service("vm-4", 8080)
    clock.advance(30)
    assert seen() == {"vm-4", "vm-5"}
    clock.advance(1)
    assert seen() == {"vm-5"}
    driver.start_service("vm-4", 8080)
    clock.advance(14)
    assert seen() == {"vm-5"}
    clock.advance(1)
    assert seen() == {"vm-4", "vm-5"}
    driver.kill("vm-5")
    assert seen() == {"vm-4"}


def test_host_names_are_known_in_their_network(driver: SimulatedDriver, machine: Callable[..., None]) -> None:
    for id, network, number in (("vm-1", "shop", 4), ("vm-2", "shop", 5), ("vm-3", "other", 4)):
        machine(id, network=Network(network, f"10.0.0.{number}", f"web{number}", "example"))
    assert driver.resolve("vm-1", "WEB5") == driver.resolve("vm-1", "web5.example") == "10.0.0.5"
    assert driver.resolve("vm-3", "web5") is None
    driver.set_network("vm-2", Network("shop", "10.0.0.5", "db", "example"))
    assert (driver.resolve("vm-1", "db"), driver.resolve("vm-1", "web5")) == ("10.0.0.5", None)
