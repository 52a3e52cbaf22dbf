"""Random changes of a package deployment against a small model: which instance runs which version, after each."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reddog import wire
from reddog.wire import ServiceError
from service_packages import cscfg, csdef, role_xml
from services import bodies
from services.test_package_deployments import DEP, ENDPOINTS, SETTING, create, get, upload
from services.world import World, leaks, opened

DOMAINS = 3
DEFINITION = csdef(role_xml(inside=ENDPOINTS + SETTING), domains=DOMAINS)
COLORS = st.sampled_from(["red", "green", "blue"])
COUNTS = st.integers(1, 4)
MODES = st.sampled_from(["Auto", "Manual", "Simultaneous"])
INDEXES = st.integers(0, 4)
Version = tuple[str, int]  # color and instance count


class Model(RuleBasedStateMachine):
    """instances: the color that each runs with, by index. current, previous: versions. mode, walked: of the update."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="reddog-model-"))
        self.current: Version = ("red", 2)
        self.previous: Version | None = None
        self.mode, self.walked, self.running = "Auto", 0, True
        self.instances: dict[int, str] = {}
        self.open("first")

    def open(self, boot: str) -> None:
        self.parts = ExitStack()
        self.world: World = self.parts.enter_context(
            opened(self.directory / "cloud", boot_time=0.005, boot_id=boot)
        )

    def teardown(self) -> None:
        try:
            self.world.rest()
            assert leaks(self.world) == []
            self.world.do("Delete Deployment by name", **DEP)
            self.world.rest()
            assert leaks(self.world) == []
        finally:
            self.parts.close()
            shutil.rmtree(self.directory)

    # -- the model --------------------------------------------------------------------------------------------

    @property
    def underway(self) -> bool:
        return any(color != self.current[0] for color in self.instances.values())

    def go(self, version: Version, mode: str) -> None:
        """Have another version: instances come and go, and change as the mode says."""
        self.current, self.mode, self.walked = version, mode, 0
        color, count = version
        for index in sorted(self.instances)[count:]:
            del self.instances[index]
        free = (index for index in range(9) if index not in self.instances)
        while len(self.instances) < count:
            self.instances[next(free)] = color
        self.settle()

    def settle(self) -> None:
        """Those that wait for nobody have the present version."""
        for index in self.instances:
            if not self.running or self.mode != "Manual" or index % DOMAINS < self.walked:
                self.instances[index] = self.current[0]

    def expect(self, allowed: bool, name: str, body: Any = None, **params: Any) -> bool:
        """Call an operation, which succeeds or is refused as the model says."""
        if not allowed:
            with pytest.raises(ServiceError) as caught:
                self.world.do(name, body, **{**DEP, **params})
            assert caught.value.status in (400, 404)
            return False
        self.world.do(name, body, **{**DEP, **params})
        return True

    # -- what happens -----------------------------------------------------------------------------------------

    @initialize()
    def deploy(self) -> None:
        self.world.do("Create Storage Account", bodies.account())
        self.world.do("Create Cloud Service", bodies.service())
        upload(self.world, DEFINITION)
        create(self.world, configuration(self.current), start_deployment=True)
        self.go(self.current, "Auto")

    @rule(color=COLORS, count=COUNTS, mode=MODES)
    def change(self, color: str, count: int, mode: str) -> None:
        allowed = not (self.underway and self.mode == "Manual" and self.running)
        body = bodies.change(configuration((color, count)), mode)
        if self.expect(allowed, "Change Deployment Configuration by name", body):
            self.previous = self.current
            self.go((color, count), mode)

    @rule(domain=st.integers(0, DOMAINS))
    def walk(self, domain: int) -> None:
        allowed = self.underway and self.mode == "Manual" and domain == self.walked
        if self.expect(allowed, "Walk Upgrade Domain by name", bodies.walk(domain)):
            self.walked += 1
            self.settle()

    @rule()
    def walk_next(self) -> None:
        self.walk(self.walked)

    @rule(mode=MODES)
    def roll_back(self, mode: str) -> None:
        allowed = self.underway and self.previous is not None
        if self.expect(allowed, "Rollback Update Or Upgrade by name", bodies.rollback(mode)):
            assert self.previous is not None
            version, self.previous = self.previous, None
            self.go(version, mode)

    @rule(running=st.booleans())
    def start_or_suspend(self, running: bool) -> None:
        status = "Running" if running else "Suspended"
        self.expect(True, "Update Deployment Status by name", bodies.status(status))
        self.running = running
        self.settle()

    @rule(index=INDEXES)
    def delete_instance(self, index: int) -> None:
        allowed = index in self.instances and len(self.instances) > 1
        body = wire.RoleInstances([f"Web_IN_{index}"])
        if self.expect(allowed, "Delete Role Instances by name", body):
            del self.instances[index]
            self.current = (self.current[0], len(self.instances))

    @rule(
        index=INDEXES, name=st.sampled_from(["Reboot Role Instance by name", "Reimage Role Instance by name"])
    )
    def restart_instance(self, index: int, name: str) -> None:
        self.expect(index in self.instances, name, instance=f"Web_IN_{index}")

    @rule(data=st.data())
    def kill_a_machine(self, data: st.DataObject) -> None:
        machines = self.world.driver.list()
        if machines:
            self.world.driver.kill(data.draw(st.sampled_from(machines)))

    @rule(boot=st.sampled_from(["first", "second"]))
    def restart_the_cloud(self, boot: str) -> None:
        self.parts.close()
        self.open(boot)

    # -- what is seen -----------------------------------------------------------------------------------------

    @invariant()
    def instances_have_their_versions(self) -> None:
        if not self.instances:
            return
        self.world.eventually(lambda: self.seen() == self.instances)
        self.world.eventually(self.all_run)
        found = get(self.world)
        changing = "Transitioning" if self.underway else ""
        assert found.status == ("Running" if self.running else "Suspended") + changing
        assert found.rollback_allowed == (self.underway and self.previous is not None)
        assert (found.upgrade_status is not None) == (self.underway and self.running)
        assert int(re.search(r'count="(\d+)"', found.configuration)[1]) == self.current[1]  # type: ignore[index]

    def seen(self) -> dict[int, str]:
        rows = [row for row in self.world.rows("role_instance") if row.present]
        return {row.goal["index"]: row.state["applied"]["settings"]["Color"] for row in rows}

    def all_run(self) -> bool:
        wanted = "ReadyRole" if self.running else "StoppedVM"
        return {one.instance_status for one in get(self.world).role_instance_list} == {wanted}


def configuration(version: Version) -> str:
    color, count = version
    return cscfg({"Web": count}, {"Color": color})


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
