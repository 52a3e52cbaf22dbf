"""Updates and upgrades of package deployments: which instances change, in which order, and how they are undone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from reddog import wire
from reddog.engine import Locked
from service_packages import cscfg, csdef, role_xml
from services import bodies
from services.test_package_deployments import DEP, ENDPOINTS, SETTING, create, get, ready, states, upload
from services.world import World, leaks, opened, url

COLORED = csdef(role_xml(inside=ENDPOINTS + SETTING), domains=3)
CHANGE = "Change Deployment Configuration by name"
UPGRADE = "Upgrade Deployment by name"
WALK = "Walk Upgrade Domain by name"
ROLLBACK = "Rollback Update Or Upgrade by name"
NEW = url("new.cspkg")


def colored(color: str, count: int = 3) -> str:
    return cscfg({"Web": count}, {"Color": color})


def colors(world: World) -> list[str]:
    """The color that each instance runs with."""
    return [row.state["applied"]["settings"]["Color"] for row in world.rows("role_instance")]


def booted(world: World) -> list[int]:
    """How often each instance's machine has been started."""
    return [world.driver._machines[f"ri-{row.uid}"].boot for row in world.rows("role_instance")]


@pytest.fixture
def running(place: World) -> World:
    """Three instances in three upgrade domains run, all red."""
    upload(place, COLORED)
    create(place, colored("red"), start_deployment=True)
    ready(place)
    return place


def hold(world: World) -> None:
    """Machines that start from now on do not become ready."""
    world.driver.boot_time = float("inf")


def let_go(world: World) -> None:
    """Have all machines start in a moment, those that wait too."""
    world.driver.boot_time = 0.02
    for machine in world.driver.list():
        if not world.driver.observe(machine).ready:
            world.driver.restart(machine)


def upgraded(world: World) -> Any:
    found = get(world).upgrade_status
    return found and (found.upgrade_type, found.current_upgrade_domain_state, found.current_upgrade_domain)


# -- Change Deployment Configuration --------------------------------------------------------------------------


def test_a_changed_setting_goes_from_domain_to_domain(running: World) -> None:
    hold(running)
    running.do(CHANGE, bodies.change(colored("blue")), **DEP)
    running.eventually(lambda: colors(running) == ["blue", "red", "red"])
    found = get(running)
    assert (found.status, found.rollback_allowed, found.locked) == ("RunningTransitioning", True, False)
    assert upgraded(running) == ("Auto", "During", "0")
    assert found.configuration == colored("blue")
    let_go(running)
    ready(running)
    running.eventually(lambda: colors(running) == ["blue"] * 3)
    ready(running)
    found = get(running)
    assert (found.status, found.rollback_allowed, found.upgrade_status) == ("Running", False, None)


def test_nothing_restarts_when_nothing_changes(running: World) -> None:
    before = booted(running)
    running.do(CHANGE, bodies.change(colored("red")), **DEP)
    running.rest()
    assert booted(running) == before
    assert get(running).status == "Running"


def test_all_domains_can_change_at_once(running: World) -> None:
    hold(running)
    running.do(CHANGE, bodies.change(colored("blue"), "Simultaneous"), **DEP)
    running.eventually(lambda: colors(running) == ["blue"] * 3)
    let_go(running)
    ready(running)


def test_more_and_fewer_instances(running: World) -> None:
    before = booted(running)
    running.do(CHANGE, bodies.change(colored("red", 5)), **DEP)
    ready(running)
    found = get(running)
    assert [name for name, _, _ in states(found)] == [f"Web_IN_{index}" for index in range(5)]
    assert [one.instance_upgrade_domain for one in found.role_instance_list] == [0, 1, 2, 0, 1]
    assert booted(running)[:3] == before
    running.do(CHANGE, bodies.change(colored("red", 1)), **DEP)
    running.rest()
    assert [name for name, _, _ in states(get(running))] == ["Web_IN_0"]
    assert len(running.driver.list()) == 1
    assert "limit of 20 cores" in running.refuses(
        "ConflictError", CHANGE, bodies.change(colored("red", 25)), **DEP
    )


def test_a_suspended_deployment_changes_without_starting(place: World) -> None:
    upload(place, COLORED)
    create(place, colored("red", 2))
    place.do(CHANGE, bodies.change(colored("blue", 4), "Manual"), **DEP)
    place.eventually(lambda: colors(place) == ["blue"] * 4)
    place.rest()
    assert get(place).status == "Suspended"
    assert place.driver.list() == []
    assert get(place).upgrade_domain_count == "3"


def test_growing_fails_as_a_whole(running: World) -> None:
    running.driver.fail_next_start()
    running.fails(CHANGE, bodies.change(colored("blue", 4)), **DEP)
    running.rest()
    assert colors(running) == ["red"] * 3
    assert get(running).configuration == colored("red")


def test_what_cannot_be_configured_is_refused(running: World) -> None:
    for body, message in (
        (bodies.change(cscfg({"Web": 3})), "lacks the setting Color"),
        (bodies.change("<no"), "well-formed"),
    ):
        assert message in running.refuses("BadRequest", CHANGE, body, **DEP)
    running.refuses("InvalidXmlRequest", CHANGE, bodies.change(colored("red"), "Odd"), **DEP)
    missing = {"service": "svc", "deployment": "none"}
    running.refuses("ResourceNotFound", CHANGE, bodies.change(colored("red")), **missing)


# -- Upgrade Deployment ---------------------------------------------------------------------------------------


def test_an_upgrade_brings_new_files(running: World) -> None:
    upload(running, COLORED, "new.cspkg", files={"run.sh": b"#!/bin/sh\n# new\n"})
    running.do(UPGRADE, bodies.upgrade(colored("red"), package_url=NEW), **DEP)
    ready(running)
    running.eventually(lambda: not get(running).upgrade_status)
    ready(running)
    assert get(running).label == "upgraded"
    for row in running.rows("role_instance"):
        content = running.driver.spec(f"ri-{row.uid}").data_disks[0].path.read_bytes()
        assert b"# new" in content
    assert len(running.rows("package")) == 2  # the old one is kept for a roll-back
    running.do(UPGRADE, bodies.upgrade(colored("red"), package_url=NEW), **DEP)
    running.eventually(lambda: not get(running).upgrade_status)
    ready(running)
    running.do(CHANGE, bodies.change(colored("blue")), **DEP)
    running.eventually(lambda: colors(running) == ["blue"] * 3)
    ready(running)
    assert len(running.rows("package")) <= 2


def test_one_role_can_be_upgraded_alone(place: World) -> None:
    both = csdef(role_xml("One"), role_xml("Two"))
    upload(place, both)
    configuration = cscfg({"One": 1, "Two": 1})
    create(place, configuration, start_deployment=True)
    ready(place)
    before = {row.goal["role"]: row.state["applied"]["package"] for row in place.rows("role_instance")}
    body = bodies.upgrade(configuration, role_to_upgrade="two")
    place.do(UPGRADE, body, **DEP)
    place.eventually(lambda: not get(place).upgrade_status)
    after = {row.goal["role"]: row.state["applied"]["package"] for row in place.rows("role_instance")}
    assert after["One"] == before["One"]
    assert after["Two"] != before["Two"]
    message = place.refuses("BadRequest", UPGRADE, bodies.upgrade(configuration, role_to_upgrade="no"), **DEP)
    assert "One, Two" in message
    ready(place)


def test_what_loses_data_wants_force(running: World) -> None:
    larger = csdef(role_xml(inside=SETTING, size="Small"), domains=3)
    upload(running, larger, "new.cspkg")
    body = bodies.upgrade(colored("red"), package_url=NEW)
    assert "Set Force to true" in running.refuses("BadRequest", UPGRADE, body, **DEP)
    running.rest()
    body = bodies.upgrade(colored("red"), package_url=NEW, force=True)
    running.do(UPGRADE, body, **DEP)
    running.eventually(lambda: {one.instance_size for one in get(running).role_instance_list} == {"Small"})
    ready(running)


def test_roles_come_and_go_with_force(running: World) -> None:
    upload(running, csdef(role_xml("Other")), "new.cspkg")
    body = bodies.upgrade(cscfg({"Other": 2}), package_url=NEW)
    assert "other roles" in running.refuses("BadRequest", UPGRADE, body, **DEP)
    running.do(UPGRADE, bodies.upgrade(cscfg({"Other": 2}), package_url=NEW, force=True), **DEP)
    ready(running)
    assert [name for name, _, _ in states(get(running))] == ["Other_IN_0", "Other_IN_1"]


def test_an_upgrade_to_what_is_no_package_changes_nothing(running: World) -> None:
    running.put_blob(NEW, b"nothing", "BlockBlob")
    body = bodies.upgrade(colored("red"), package_url=NEW)
    assert "no ZIP file" in running.refuses("BadRequest", UPGRADE, body, **DEP)
    assert len(running.rows("package")) == 1


# -- Manual, and back -----------------------------------------------------------------------------------------


def test_a_manual_upgrade_waits_for_every_walk(running: World) -> None:
    running.do(CHANGE, bodies.change(colored("blue"), "Manual"), **DEP)
    running.rest()
    assert colors(running) == ["red"] * 3
    assert upgraded(running) == ("Manual", "Before", "0")
    assert "domains are walked in order" in running.refuses("BadRequest", WALK, bodies.walk(1), **DEP)
    for domain in range(3):
        running.do(WALK, bodies.walk(domain), **DEP)
        running.eventually(lambda domain=domain: colors(running)[domain] == "blue")
        ready(running)
        assert colors(running) == ["blue"] * (domain + 1) + ["red"] * (2 - domain)
    assert get(running).upgrade_status is None
    message = running.refuses("BadRequest", WALK, bodies.walk(3), **DEP)
    assert "nothing to walk" in message


def test_a_machine_that_dies_while_a_manual_upgrade_waits_is_started_again(running: World) -> None:
    running.do(CHANGE, bodies.change(colored("blue"), "Manual"), **DEP)
    machine = f"ri-{running.rows('role_instance')[1].uid}"
    running.driver.kill(machine)
    running.eventually(lambda: running.driver.observe(machine).power == "running")
    ready(running)
    assert colors(running) == ["red"] * 3


def test_a_manual_upgrade_waits_through_a_restart_of_the_cloud(tmp_path: Path) -> None:
    with opened(tmp_path / "cloud") as world:
        world.do("Create Storage Account", bodies.account())
        world.do("Create Cloud Service", bodies.service())
        upload(world, COLORED)
        create(world, colored("red"), start_deployment=True)
        ready(world)
        world.do(CHANGE, bodies.change(colored("blue"), "Manual"), **DEP)
        world.do(WALK, bodies.walk(0), **DEP)
        world.eventually(lambda: colors(world) == ["blue", "red", "red"])
        ready(world)
    with opened(tmp_path / "cloud", boot_id="second") as world:
        ready(world)
        assert colors(world) == ["blue", "red", "red"]
        assert upgraded(world) == ("Manual", "Before", "1")
        for domain in (1, 2):
            world.do(WALK, bodies.walk(domain), **DEP)
        world.eventually(lambda: colors(world) == ["blue"] * 3)
        ready(world)
        assert leaks(world) == []


def test_an_automatic_update_goes_on_after_a_restart_of_the_cloud(tmp_path: Path) -> None:
    with opened(tmp_path / "cloud") as world:
        world.do("Create Storage Account", bodies.account())
        world.do("Create Cloud Service", bodies.service())
        upload(world, COLORED)
        create(world, colored("red"), start_deployment=True)
        ready(world)
        hold(world)
        world.do(CHANGE, bodies.change(colored("blue")), **DEP)
        world.eventually(lambda: colors(world) == ["blue", "red", "red"])
    with opened(tmp_path / "cloud") as world:
        let_go(world)
        world.eventually(lambda: colors(world) == ["blue"] * 3)
        ready(world)
        assert leaks(world) == []


def test_an_update_under_way_is_rolled_back(running: World) -> None:
    before = booted(running)
    hold(running)
    running.do(CHANGE, bodies.change(colored("blue", 4)), **DEP)
    running.eventually(lambda: colors(running)[:3] == ["blue", "red", "red"])
    running.do(ROLLBACK, bodies.rollback(), **DEP)
    let_go(running)
    running.eventually(lambda: colors(running) == ["red"] * 3)
    ready(running)
    assert booted(running)[1:] == before[1:]  # these never changed
    found = get(running)
    assert (found.status, found.configuration, found.rollback_allowed) == ("Running", colored("red"), False)
    assert "nothing to roll back" in running.refuses("BadRequest", ROLLBACK, bodies.rollback(), **DEP)


def test_an_upgrade_is_rolled_back_by_hand(running: World) -> None:
    upload(running, COLORED, "new.cspkg", files={"run.sh": b"#!/bin/sh\n# new\n"})
    running.do(UPGRADE, bodies.upgrade(colored("blue"), "Manual", package_url=NEW), **DEP)
    for domain in (0, 1):
        running.do(WALK, bodies.walk(domain), **DEP)
    running.eventually(lambda: colors(running) == ["blue", "blue", "red"])
    ready(running)
    running.do(ROLLBACK, bodies.rollback("Manual"), **DEP)
    assert get(running).label == "dep"
    assert not get(running).rollback_allowed
    running.refuses("BadRequest", ROLLBACK, bodies.rollback(), **DEP)
    for domain in (0, 1):
        running.do(WALK, bodies.walk(domain), **DEP)
    running.eventually(lambda: colors(running) == ["red"] * 3)
    ready(running)
    assert get(running).upgrade_status is None


def test_updates_are_made_by_slot_too(running: World) -> None:
    slot = {"service": "svc", "slot": "Production"}
    running.do("Change Deployment Configuration by slot", bodies.change(colored("blue"), "Manual"), **slot)
    running.do("Walk Upgrade Domain by slot", bodies.walk(0), **slot)
    running.rest()
    ready(running)
    assert colors(running) == ["blue", "red", "red"]
    running.do("Rollback Update Or Upgrade by slot", bodies.rollback(), **slot)
    running.rest()
    assert colors(running) == ["red"] * 3
    running.do("Upgrade Deployment by slot", bodies.upgrade(colored("green")), **slot)
    running.rest()
    assert colors(running) == ["green"] * 3
    ready(running)
    empty = {"service": "svc", "slot": "staging"}
    running.refuses("ResourceNotFound", "Walk Upgrade Domain by slot", bodies.walk(0), **empty)


def test_a_deployment_under_change_refuses_others(running: World) -> None:
    release = threading.Event()
    start = running.driver.start
    running.driver.start = lambda spec: release.wait(20) and start(spec)  # type: ignore[method-assign]
    id = running.begin(CHANGE, bodies.change(colored("red", 4)), **DEP)
    running.eventually(lambda: get(running).status == "RunningTransitioning")
    assert get(running).locked
    for name, body, params in (
        (CHANGE, bodies.change(colored("blue")), DEP),
        ("Reboot Role Instance by name", None, {**DEP, "instance": "Web_IN_0"}),
        ("Delete Deployment by name", None, DEP),
    ):
        with pytest.raises(Locked) as caught:
            running.call(name, body, patience=0, **params)
        assert caught.value.operation_id == id
    release.set()
    assert running.ended(id).status == "Succeeded"
    ready(running)


def test_another_update_waits_for_the_end_of_a_manual_one(running: World) -> None:
    running.do(CHANGE, bodies.change(colored("blue"), "Manual"), **DEP)
    message = running.refuses("BadRequest", CHANGE, bodies.change(colored("green")), **DEP)
    assert "Walk its upgrade domains" in message
    running.do(ROLLBACK, bodies.rollback(), **DEP)
    running.rest()
    running.do(CHANGE, bodies.change(colored("green")), **DEP)
    assert (
        "walks its upgrade domains by itself" in running.refuses("BadRequest", WALK, bodies.walk(0), **DEP)
        or get(running).upgrade_status is None
    )
    running.eventually(lambda: colors(running) == ["green"] * 3)
    ready(running)


def test_a_deployment_can_be_deleted_in_the_middle_of_an_upgrade(running: World) -> None:
    hold(running)
    running.do(CHANGE, bodies.change(colored("blue")), **DEP)
    running.do("Delete Deployment by name", **DEP)
    running.rest()
    assert running.driver.list() == []


# -- Role instances -------------------------------------------------------------------------------------------


BY_SLOT = {"service": "svc", "slot": "production"}
ALL_DRIVES = {"resources": "allLocalDrives"}


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param("Reboot Role Instance by name", DEP),
        pytest.param("Reboot Role Instance by slot", BY_SLOT),
    ],
)
def test_an_instance_is_rebooted_with_its_disk(running: World, name: str, where: dict[str, str]) -> None:
    disk = system_disk(running)
    before, made = booted(running), disk.stat().st_ino
    running.do(name, **where, instance="web_in_1")
    ready(running)
    assert booted(running) == [before[0], before[1] + 1, before[2]]
    assert disk.stat().st_ino == made
    message = running.refuses("ResourceNotFound", name, **where, instance="x")
    assert message == "Role instance name is not valid."


@pytest.mark.parametrize(
    ("name", "where", "query"),
    [
        pytest.param("Reimage Role Instance by name", DEP, {}),
        pytest.param("Reimage Role Instance by slot", BY_SLOT, {}),
        pytest.param("Rebuild Role Instance by name", DEP, ALL_DRIVES),
        pytest.param("Rebuild Role Instance by slot", BY_SLOT, ALL_DRIVES),
    ],
)
def test_an_instance_is_made_anew(
    running: World, name: str, where: dict[str, str], query: dict[str, str]
) -> None:
    disk = system_disk(running)
    with disk.open("r+b") as file:
        file.write(b"something else")
    running.do(name, query=query, **where, instance="Web_IN_1")
    ready(running)
    assert disk.read_bytes()[:8] == b"platform"
    if query:
        code = "MissingOrInvalidRequiredQueryParameter"
        running.refuses(code, name, **where, instance="Web_IN_1")


def system_disk(world: World) -> Path:
    """The system disk of the second instance."""
    return world.driver.spec(f"ri-{world.rows('role_instance')[1].uid}").os_disk.path


@pytest.mark.parametrize(
    ("name", "where"),
    [
        pytest.param("Delete Role Instances by name", DEP),
        pytest.param("Delete Role Instances by slot", BY_SLOT),
    ],
)
def test_deleting_instances_lowers_the_count(running: World, name: str, where: dict[str, str]) -> None:
    running.do(name, wire.RoleInstances(["Web_IN_0"]), **where)
    ready(running)
    found = get(running)
    assert [name for name, _, _ in states(found)] == ["Web_IN_1", "Web_IN_2"]
    assert 'count="2"' in found.configuration
    for names in (["Web_IN_1", "web_in_2"], ["Web_IN_0"], []):
        codes = {"Web_IN_1": "BadRequest", "Web_IN_0": "ResourceNotFound"}
        code = codes.get(names[0]) if names else "InvalidXmlRequest"
        running.refuses(code or "", name, wire.RoleInstances(names), **where)
    running.do(CHANGE, bodies.change(colored("red", 3)), **DEP)
    ready(running)
    assert [name for name, _, _ in states(get(running))] == ["Web_IN_0", "Web_IN_1", "Web_IN_2"]


# -- Swap -----------------------------------------------------------------------------------------------------


def stage(world: World, **values: Any) -> None:
    body = bodies.package_deployment(colored("green", 1), "new", **values)
    world.do("Create Deployment (package)", body, service="svc", slot="staging")
    world.rest()


def swap(production: str | None = "dep", source: str = "new") -> wire.Swap:
    return wire.Swap(production, source)


def test_deployments_change_slots_and_addresses(running: World) -> None:
    stage(running, start_deployment=True)
    ready(running, "new")
    addresses = {name: found(running, name).virtual_ips[0].address for name in ("dep", "new")}
    running.do("Swap Deployment", swap(), service="svc")
    running.rest()
    assert {name: found(running, name).deployment_slot for name in ("dep", "new")} == {
        "dep": "Staging",
        "new": "Production",
    }
    after = {name: found(running, name).virtual_ips[0].address for name in ("dep", "new")}
    assert after == {"dep": addresses["new"], "new": addresses["dep"]}

    def moved() -> bool:
        places = {
            row.parent: {one.address for one in running.driver.spec(f"ri-{row.uid}").forwards}
            for row in running.rows("role_instance")
        }
        return places == {f"svc/{name}": {address} for name, address in after.items()}

    running.eventually(moved)
    running.rest()
    running.do("Swap Deployment", swap("new", "dep"), service="svc")
    running.rest()
    assert get(running).deployment_slot == "Production"
    running.do("Delete Deployment by name", service="svc", deployment="new")


def test_a_staged_deployment_goes_to_an_empty_production(place: World) -> None:
    upload(place, COLORED)
    stage(place)
    address = found(place, "new").virtual_ips[0].address
    assert "is empty, not dep" in place.refuses("BadRequest", "Swap Deployment", swap(), service="svc")
    place.do("Swap Deployment", swap(None), service="svc")
    assert found(place, "new").deployment_slot == "Production"
    assert found(place, "new").virtual_ips[0].address == address


def test_what_cannot_be_swapped_is_refused(running: World) -> None:
    assert "not in the staging slot" in running.refuses(
        "BadRequest", "Swap Deployment", swap(), service="svc"
    )
    machines = bodies.deployment(name="vms", deployment_slot="staging")
    running.do("Create Virtual Machine Deployment", machines, service="svc")
    running.rest()
    message = running.refuses("BadRequest", "Swap Deployment", swap(source="vms"), service="svc")
    assert "has virtual machines" in message


def found(world: World, name: str) -> Any:
    return world.call("Get Deployment by name", service="svc", deployment=name)
