"""What every compute driver does, whichever it is. What a driver cannot do is declared in EXCLUDED."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from fabric.lab import FOOTER, MIB, PASSWORD, Lab, forward, free_port, ovf, processes, until
from reddog.fabric import AclRule, ComputeDriver, Disk, Forward, MachineError, MachineSpec, Network, Probe
from reddog.fabric.ports import can_bind

EXCLUDED = {
    "simulated": {
        "host ports": "it listens nowhere, so it only sees the ports of its own machines",
        "host locks": "it opens no disk, so it only sees the disks of its own machines",
        "console socket": "there is no guest to talk to",
    },
    "qemu": {},
}


def need(lab: Lab, what: str) -> None:
    if what in EXCLUDED[lab.kind]:
        pytest.skip(f"{lab.kind}: {EXCLUDED[lab.kind][what]}")


def fails(code: str) -> object:
    """A context in which a MachineError of this code is raised."""
    return pytest.raises(MachineError, check=lambda error: error.code == code)


def test_a_driver_has_the_whole_interface(lab: Lab) -> None:
    assert isinstance(lab.driver, ComputeDriver)
    assert lab.driver.name == lab.kind
    assert lab.driver.accelerator in ("kvm", "tcg", "none")


def test_an_unknown_machine_is_absent(lab: Lab) -> None:
    assert lab.state("nobody").power == "absent"
    assert lab.driver.list() == []
    lab.driver.remove("nobody")
    for act in (
        lambda: lab.driver.restart("nobody"),
        lambda: lab.driver.shutdown("nobody", timeout=1),
        lambda: lab.driver.set_forwards("nobody", ()),
        lambda: lab.driver.detach_disk("nobody", 0),
        lambda: lab.driver.console("nobody"),
        lambda: lab.driver.backup_disk("nobody", None, lab.root / "copy"),
    ):
        with fails("NotFound"):
            act()
    assert lab.driver.list() == []


PLACE = Network("shop", "10.0.0.4", "web1", "example")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../up"},
        {"id": "UPPER"},
        {"id": ""},
        {"cores": 0},
        {"memory_mb": 0},
        {"forwards": (forward(1), forward(1))},
        {"forwards": (replace(forward(1), address="localhost, please"),)},
        {"forwards": (replace(forward(1), port=0),)},
        {"forwards": (replace(forward(1), probe=Probe("tcp", 22)),)},
        {"forwards": (replace(forward(1), acl=(AclRule("deny", "10.0.0.0/8"),)),)},
        {"forwards": (replace(forward(1), idle_timeout=60.0),)},
        {"network": PLACE, "forwards": (replace(forward(1), idle_timeout=0.0),)},
        {"network": PLACE, "forwards": (replace(forward(1), acl=(AclRule("deny", "10.0.0.1/8"),)),)},
        {"network": Network("shop", "10.0.0.256", "web1", "example")},
        {"network": Network("shop", "10.0.0.3", "web1", "example")},
        {"network": Network("shop", "10.1.0.4", "web1", "example", subnet="10.0.0.0/16")},
        {"network": Network("shop", "10.0.0.4", "web1", "example", subnet="10.0.0.4/30")},
        {"network": Network("../up", "10.0.0.4", "web1", "example")},
        {"network": Network("shop", "10.0.0.4", "no name", "example")},
        {"network": Network("shop", "10.0.0.4", "web1", "no domain")},
        {"network": Network("shop", "10.0.0.4", "web1", "example", ("not an address",))},
    ],
    ids=lambda change: next(iter(change.items()))[0],
)
def test_a_specification_that_cannot_be_is_refused(lab: Lab, change: dict[str, object]) -> None:
    with fails("InvalidSpec"):
        lab.driver.start(replace(lab.spec(), **change))
    assert lab.driver.list() == []


def test_a_machine_lives(lab: Lab) -> None:
    """Start, ready, restart, shut down, start again, remove: and every act may be repeated."""
    spec = lab.start(provisioning=ovf())
    assert lab.state().power == "running"
    assert lab.driver.list() == ["vm-1"]
    first = lab.ready()
    assert (first.cause, first.power) == (None, "running")

    lab.driver.start(spec)
    assert lab.state().since == first.since, "a second start changes nothing"

    lab.driver.restart("vm-1")
    assert lab.state().since > first.since
    lab.ready()

    for _ in range(2):
        lab.driver.shutdown("vm-1", timeout=20)
        assert (lab.state().power, lab.state().cause) == ("stopped", "host-shutdown")
        assert not lab.state().ready
    assert lab.driver.list() == ["vm-1"]
    assert processes(lab.machines) == [], "a stopped machine holds no memory"

    lab.driver.start(replace(spec, memory_mb=48))
    assert (lab.state().power, lab.state().cause) == ("running", None)

    for _ in range(2):
        lab.driver.remove("vm-1")
        assert lab.state().power == "absent"
        assert lab.driver.list() == []
    assert processes(lab.machines) == []
    assert spec.os_disk.path.exists()


def test_changes_are_told(lab: Lab) -> None:
    lab.start()
    until(lambda: "vm-1" in lab.events)
    lab.ready()
    lab.events.clear()
    lab.kill()
    until(lambda: lab.events)
    until(lambda: lab.state().cause == "killed")
    assert set(lab.events) == {"vm-1"}


def test_a_watcher_that_fails_harms_nobody(lab: Lab) -> None:
    def broken(id: str) -> None:
        raise RuntimeError(id)

    lab.driver.watch(broken)
    lab.start()
    assert lab.ready().power == "running"


def test_a_forced_shutdown_does_not_wait(lab: Lab) -> None:
    lab.start()
    lab.driver.shutdown("vm-1", timeout=0)
    assert (lab.state().power, lab.state().cause) == ("stopped", "host-shutdown")


@pytest.mark.parametrize(
    ("act", "cause"), [("guest_shutdown", "guest-shutdown"), ("panic", "panic"), ("kill", "killed")]
)
def test_the_cause_of_a_stop_is_seen_kept_and_overcome(lab: Lab, act: str, cause: str) -> None:
    spec = lab.start()
    lab.ready()
    getattr(lab, act)()
    assert lab.stopped().cause == cause
    assert lab.state().message
    lab.driver.shutdown("vm-1", timeout=5)
    assert lab.state().cause == cause
    lab.reopen()
    assert (lab.state().power, lab.state().cause) == ("stopped", cause)
    lab.driver.start(spec)
    assert (lab.ready().power, lab.state().cause) == ("running", None)


def test_restarting_a_stopped_machine_boots_it(lab: Lab) -> None:
    lab.start()
    lab.driver.shutdown("vm-1", timeout=0)
    lab.driver.restart("vm-1")
    assert lab.state().power == "running"


def test_machines_are_adopted(lab: Lab) -> None:
    """A new driver on the directory finds what the last one left, and goes on with it."""
    port = free_port()
    disk = lab.disk("data.vhd", lun=2)
    lab.start("vm-1", forwards=(forward(port),))
    lab.start("vm-2")
    lab.driver.attach_disk("vm-1", disk)
    before = lab.ready("vm-1")
    lab.driver.shutdown("vm-2", timeout=0)
    pids = processes(lab.machines)

    lab.reopen()

    assert lab.driver.list() == ["vm-1", "vm-2"]
    assert lab.state("vm-1") == before
    assert lab.state("vm-2").cause == "host-shutdown"
    assert processes(lab.machines) == pids
    lab.driver.attach_disk("vm-1", disk)
    lab.driver.detach_disk("vm-1", 2)
    lab.driver.set_forwards("vm-1", ())
    lab.kill("vm-1")
    assert lab.stopped("vm-1").cause == "killed"


def test_a_directory_has_one_driver(lab: Lab) -> None:
    with fails("DriverFailed"):
        lab.open(lab.machines)
    lab.reopen()


def test_two_drivers_live_side_by_side(lab: Lab) -> None:
    other = lab.open(lab.root / "other")
    try:
        lab.start()
        other.start(lab.spec(os_disk=lab.disk("other.vhd")))
        other.remove("vm-1")
        assert other.list() == []
        assert lab.state().power == "running"
    finally:
        other.close()


def test_a_disk_belongs_to_one_machine(lab: Lab) -> None:
    disk = lab.start().os_disk
    with fails("DiskLocked"):
        lab.start("vm-2", os_disk=disk)
    assert lab.state("vm-1").power == "running"
    lab.driver.shutdown("vm-1", timeout=0)
    lab.start("vm-2", os_disk=disk)
    assert lab.state("vm-2").power == "running"


def test_a_disk_belongs_to_one_machine_of_all_clouds(lab: Lab) -> None:
    need(lab, "host locks")
    disk = lab.start().os_disk
    other = lab.open(lab.root / "other")
    try:
        with fails("DiskLocked"):
            other.start(lab.spec(os_disk=disk))
        assert (other.observe("vm-1").power, other.observe("vm-1").cause) == ("stopped", "failed")
        other.remove("vm-1")
    finally:
        other.close()


def test_missing_disks_are_named(lab: Lab) -> None:
    gone = Disk(lab.root / "gone.vhd", MIB)
    with pytest.raises(MachineError, match=r"gone\.vhd") as caught:
        lab.driver.start(lab.spec(os_disk=gone))
    assert caught.value.code == "DiskMissing"
    short = lab.disk("short.vhd")
    with fails("DiskMissing"):
        lab.driver.start(lab.spec(os_disk=replace(short, size=2 * MIB)))
    lab.start()
    with fails("DiskMissing"):
        lab.driver.attach_disk("vm-1", replace(gone, lun=0))
    with fails("DiskMissing"):
        lab.driver.backup_disk("vm-1", 5, lab.root / "copy")


def test_data_disks_come_and_go_while_it_runs(lab: Lab) -> None:
    first, second = lab.disk("one.vhd", lun=0), lab.disk("two.vhd", lun=63)
    lab.start(data_disks=(first,))
    for _ in range(2):
        lab.driver.attach_disk("vm-1", second)
    with fails("DiskExists"):
        lab.driver.attach_disk("vm-1", replace(first, lun=63))
    with fails("InvalidSpec"):
        lab.driver.attach_disk("vm-1", replace(first, lun=64))
    lab.start("vm-2")
    with fails("DiskLocked"):
        lab.driver.attach_disk("vm-2", replace(second, lun=0))
    for _ in range(2):
        lab.driver.detach_disk("vm-1", 63)
        lab.driver.detach_disk("vm-1", 0)
    lab.driver.attach_disk("vm-2", replace(second, lun=0))
    lab.driver.attach_disk("vm-1", replace(first, lun=63))
    lab.driver.restart("vm-1")


def test_data_disks_come_and_go_while_it_is_stopped(lab: Lab) -> None:
    disk = lab.disk("data.vhd", lun=1)
    lab.start(data_disks=(disk,))
    lab.driver.shutdown("vm-1", timeout=0)
    lab.driver.detach_disk("vm-1", 1)
    lab.driver.restart("vm-1")
    lab.start("vm-2", data_disks=(disk,))
    assert lab.state("vm-2").power == "running"


def test_forwards_change_while_it_runs(lab: Lab) -> None:
    one, two, three = free_port(), free_port(), free_port()
    lab.start(forwards=(forward(one),))
    wanted = (
        forward(two, name="HTTP", guest_port=80),
        forward(two, name="DNS", guest_port=53, protocol="udp"),
    )
    for _ in range(2):
        lab.driver.set_forwards("vm-1", wanted)
    lab.start("vm-2", forwards=(forward(one),))
    with fails("PortInUse"):
        lab.driver.set_forwards("vm-2", (forward(three), forward(two)))
    lab.driver.set_forwards("vm-1", (forward(three),))
    lab.driver.set_forwards("vm-1", ())
    lab.driver.set_forwards("vm-2", (forward(two), forward(three), forward(one, guest_port=23)))
    lab.driver.shutdown("vm-2", timeout=0)
    lab.driver.set_forwards("vm-1", (forward(one),))
    with pytest.raises(MachineError, match=f"127.0.0.1:{one}") as caught:
        lab.driver.restart("vm-2")
    assert caught.value.code == "PortInUse"
    assert lab.state("vm-2").cause == "failed"
    lab.driver.set_forwards("vm-2", (forward(two),))
    lab.driver.restart("vm-2")


def test_forwards_are_ports_of_the_host(lab: Lab) -> None:
    need(lab, "host ports")
    one, two = free_port(), free_port()
    lab.start(forwards=(forward(one),))
    assert (can_bind("127.0.0.1", one), can_bind("127.0.0.1", two)) == (False, True)
    lab.driver.set_forwards("vm-1", (forward(two),))
    assert (can_bind("127.0.0.1", one), can_bind("127.0.0.1", two)) == (True, False)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        with pytest.raises(MachineError, match=f"127.0.0.1:{taken}") as caught:
            lab.driver.set_forwards("vm-1", (forward(one), forward(taken)))
        assert caught.value.code == "PortInUse"
        assert (can_bind("127.0.0.1", one), can_bind("127.0.0.1", two)) == (True, False), "all or nothing"
        with fails("PortInUse"):
            lab.start("vm-2", forwards=(forward(taken),))
    lab.start("vm-2", forwards=(forward(taken),))
    lab.driver.remove("vm-1")
    assert can_bind("127.0.0.1", two)


def member(number: int, **changes: object) -> Network:
    return replace(Network("shop", f"10.9.8.{number}", f"web{number}", "example"), **changes)


def balanced(port: int, **changes: object) -> Forward:
    """A machine's part in a load-balanced set."""
    return replace(forward(port, name="web", guest_port=80), probe=Probe("tcp", 80), **changes)


def test_machines_share_an_endpoint_of_their_network(lab: Lab) -> None:
    port = free_port()
    lab.start("vm-1", network=member(4), forwards=(balanced(port),))
    lab.start("vm-2", network=member(5))
    for _ in range(2):
        lab.driver.set_forwards("vm-2", (balanced(port),))
    lab.start("vm-3")
    with fails("PortInUse"):
        lab.driver.set_forwards("vm-3", (forward(port),))
    lab.reopen()
    with fails("PortInUse"):
        lab.driver.set_forwards("vm-3", (forward(port),))
    lab.driver.remove("vm-1")
    lab.driver.set_forwards("vm-2", (forward(port, name="web", guest_port=80),))
    with fails("PortInUse"):
        lab.start("vm-1", network=member(4), forwards=(balanced(port),))
    lab.driver.set_forwards("vm-2", ())
    lab.driver.restart("vm-1")
    lab.driver.shutdown("vm-1", timeout=0)
    lab.driver.set_forwards("vm-3", (forward(port),))


def test_an_endpoint_gets_and_loses_its_access_control_list(lab: Lab) -> None:
    port = free_port()
    plain = forward(port)
    listed = replace(plain, acl=(AclRule("permit", "10.0.0.0/8"),), idle_timeout=240.0)
    lab.start("vm-1", network=member(4), forwards=(plain,))
    for forwards in ((listed,), (listed,), (plain,), (listed,)):
        lab.driver.set_forwards("vm-1", forwards)
        with fails("PortInUse"):
            lab.start("vm-2", forwards=(plain,))
    lab.reopen()
    with fails("PortInUse"):
        lab.start("vm-2", network=member(5), forwards=(listed,))
    lab.driver.remove("vm-1")
    lab.start("vm-2", network=member(5), forwards=(listed,))


def test_load_balanced_sets_listen_on_the_host(lab: Lab) -> None:
    need(lab, "host ports")
    port = free_port()
    lab.start("vm-1", network=member(4), forwards=(balanced(port),))
    lab.start("vm-2", network=member(5), forwards=(balanced(port),))
    lab.driver.shutdown("vm-1", timeout=0)
    assert not can_bind("127.0.0.1", port)
    lab.kill("vm-2")
    until(lambda: can_bind("127.0.0.1", port))
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        with fails("PortInUse"):
            lab.start("vm-3", network=member(6), forwards=(balanced(taken),))
        lab.start("vm-3", network=member(6))
        with pytest.raises(MachineError, match=f"127.0.0.1:{taken}"):
            lab.driver.set_forwards("vm-3", (balanced(port), balanced(taken, name="other")))
        assert can_bind("127.0.0.1", port), "all or nothing"
    lab.driver.remove("vm-3")
    until(lambda: processes(lab.machines) == [])


def test_sets_over_udp_have_ports_of_their_own(lab: Lab) -> None:
    port = free_port()
    lab.start(
        "vm-1", network=member(4), forwards=(balanced(port), balanced(port, name="dns", protocol="udp"))
    )
    lab.start("vm-2", network=member(5), forwards=(balanced(port, name="dns", protocol="udp"),))
    with fails("PortInUse"):
        lab.start("vm-3", network=member(6), forwards=(forward(port, protocol="udp"),))
    lab.driver.set_forwards("vm-1", ())
    lab.start("vm-3", network=member(6), forwards=(forward(port),))


def test_a_machine_that_is_started_anew_may_be_elsewhere(lab: Lab) -> None:
    port = free_port()
    lab.start("vm-1", network=member(4), forwards=(balanced(port),))
    for place in (member(5), member(4, subnet="10.9.8.0/23"), member(7, id="other")):
        lab.driver.shutdown("vm-1", timeout=0)
        lab.start("vm-1", network=place, forwards=(balanced(port),))
        assert lab.state("vm-1").power == "running"
    lab.start("vm-2", network=member(7))
    lab.driver.remove("vm-1")


def test_names_and_servers_of_a_network_change_and_places_do_not(lab: Lab) -> None:
    lab.start("vm-1", network=member(4))
    lab.start("vm-2")
    for _ in range(2):
        lab.driver.set_network("vm-1", member(4, host_name="db", dns_servers=("10.9.8.7",)))
    for id, place in (
        ("vm-1", member(5)),
        ("vm-1", member(4, id="other")),
        ("vm-1", member(4, subnet="10.9.8.0/23")),
        ("vm-2", member(4)),
    ):
        with fails("InvalidSpec"):
            lab.driver.set_network(id, place)
    with fails("InvalidSpec"):
        lab.driver.set_network("vm-1", member(4, dns_servers=("nowhere",)))
    with fails("NotFound"):
        lab.driver.set_network("nobody", member(4))
    lab.reopen()
    lab.driver.shutdown("vm-1", timeout=0)
    lab.driver.set_network("vm-1", member(4))
    lab.driver.restart("vm-1")
    assert lab.state().power == "running"


def test_a_start_that_failed_can_be_repeated_or_removed(lab: Lab) -> None:
    disk = lab.disk("os.vhd")
    hidden = disk.path.rename(lab.root / "hidden")
    spec = lab.spec(os_disk=disk, provisioning=ovf())
    with fails("DiskMissing"):
        lab.driver.start(spec)
    hidden.rename(disk.path)
    lab.driver.start(spec)
    lab.driver.remove("vm-1")
    assert lab.driver.list() == []


@pytest.mark.parametrize("running", [True, False])
def test_a_backup_is_whole_and_sparse(lab: Lab, running: bool) -> None:
    disk = lab.disk("data.vhd", size=64 * MIB, lun=7)
    with disk.path.open("r+b") as file:
        file.seek(32 * MIB)
        file.write(b"data" * 1000)
    system = lab.start(data_disks=(disk,)).os_disk
    if not running:
        lab.driver.shutdown("vm-1", timeout=0)
    target = lab.root / "copy.vhd"
    target.write_bytes(b"old")
    lab.driver.backup_disk("vm-1", 7, target)
    assert target.read_bytes() == disk.path.read_bytes()
    assert target.read_bytes().endswith(FOOTER)
    assert target.stat().st_blocks * 512 < 4 * MIB
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    lab.driver.backup_disk("vm-1", None, target)
    assert target.read_bytes() == system.path.read_bytes()


def test_a_backup_that_fails_leaves_nothing(lab: Lab) -> None:
    lab.start()
    with pytest.raises(MachineError):
        lab.driver.backup_disk("vm-1", None, lab.root / "no" / "such" / "copy.vhd")
    assert not (lab.root / "no").exists()
    lab.driver.backup_disk("vm-1", None, lab.root / "copy.vhd")
    assert not list(lab.root.glob(".*partial"))


def test_the_guests_secrets_are_private_and_go_at_ready(lab: Lab) -> None:
    lab.driver.boot_time = 1.0  # type: ignore[attr-defined]
    spec = lab.start(provisioning=ovf())
    assert PASSWORD not in repr(spec)
    holders = _holders(lab.machines)
    assert len(holders) == 1
    for path in (lab.machines / "vm-1", *lab.machines.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    until(lambda: lab.state().ready)
    assert _holders(lab.machines) == []
    assert not holders[0].exists()
    lab.driver.forget_provisioning("vm-1")


def test_the_guests_secrets_can_be_forgotten_early(lab: Lab) -> None:
    lab.driver.boot_time = 60.0  # type: ignore[attr-defined]
    lab.start(provisioning=ovf())
    for _ in range(2):
        lab.driver.forget_provisioning("vm-1")
        assert _holders(lab.machines) == []


def _holders(directory: Path) -> list[Path]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_the_console_is_heard(lab: Lab) -> None:
    lab.start()
    lab.ready()
    until(lambda: lab.driver.console("vm-1"))
    lab.driver.shutdown("vm-1", timeout=0)
    assert lab.driver.console("vm-1")
    assert lab.driver.console_socket("vm-1") is None


def test_the_console_can_be_talked_to(lab: Lab) -> None:
    need(lab, "console socket")
    lab.start()
    lab.ready()
    path = lab.driver.console_socket("vm-1")
    assert path is not None
    assert len(os.fsencode(path)) <= 107
    lab.guest_shutdown()
    assert lab.stopped().cause == "guest-shutdown"


def test_files_of_no_machine_do_not_disturb(lab: Lab) -> None:
    lab.driver.close()
    (lab.machines / "half").mkdir()
    (lab.machines / ".old.gone").mkdir()
    (lab.machines / "note.txt").write_text("hello")
    lab.driver = lab.open(lab.machines)
    assert lab.state("half").power == "absent"
    lab.driver.remove("half")
    assert lab.driver.list() == []


def test_the_specification_hides_what_is_secret() -> None:
    spec = MachineSpec("vm", "vm", 1, 64, Disk(Path("os"), 512), provisioning=PASSWORD.encode())
    assert PASSWORD not in repr(spec)
