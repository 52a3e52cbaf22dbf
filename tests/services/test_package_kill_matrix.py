"""kill -9 at every step of the operations on deployments of packages and on their role instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import killing
from certificates import make_client
from reddog import wire
from service_packages import ENTRY, cscfg, csdef, make_package, role_xml
from services import bodies
from services.test_kill_matrix import Case, certificate_file, fail_next_start, prepared, services
from services.test_package_deployments import DEP, ENDPOINTS, SETTING, SLOT
from services.world import World, url

DEFINITION = csdef(role_xml(inside=ENDPOINTS + SETTING), domains=2)
INSTANCE = {**DEP, "instance": "Web_IN_1"}
ROWS = ("deployment svc/dep", "package ID", "virtual_ip 127.77.1.1")
TWO = ("role_instance svc/dep/web_in_0", "role_instance svc/dep/web_in_1")


def colored(color: str, count: int = 2) -> str:
    return cscfg({"Web": count}, {"Color": color})


def uploaded(world: World) -> None:
    world.do("Create Storage Account", bodies.account())
    world.do("Create Cloud Service", bodies.service())
    package = make_package(world.directory.parent, DEFINITION).read_bytes()
    world.put_blob(url("app.cspkg"), package, "BlockBlob")


def deployed(world: World, *, running: bool = True, count: int = 2) -> None:
    uploaded(world)
    body = bodies.package_deployment(colored("red", count), start_deployment=running)
    world.do("Create Deployment (package)", body, **SLOT)
    world.rest()


def suspended(world: World) -> None:
    deployed(world, running=False)


def alone(world: World) -> None:
    deployed(world, count=1)


def walking(world: World) -> None:
    """A manual update whose first domain has been walked."""
    deployed(world)
    world.do("Change Deployment Configuration by name", bodies.change(colored("blue"), "Manual"), **DEP)
    world.do("Walk Upgrade Domain by name", bodies.walk(0), **DEP)
    world.eventually(lambda: "blue" in _colors(world))


def staged(world: World) -> None:
    deployed(world)
    body = bodies.package_deployment(colored("green", 1), "new", start_deployment=True)
    world.do("Create Deployment (package)", body, service="svc", slot="staging")


def certified(world: World) -> None:
    """A deployment with a certificate; the service has another one, with a private key."""
    made = make_client(world.directory.parent, "old")
    public = certificate_file(made.certificate.der, "cer")
    whole = certificate_file((world.directory.parent / "new.pfx").read_bytes(), "pfx")
    services(world)
    for one in (public, whole):
        world.do("Add Service Certificate", one, service="svc")
    named = '<Certificates><Certificate name="tls" /></Certificates>'
    package = make_package(world.directory.parent, csdef(role_xml(inside=ENTRY + named), domains=2))
    world.put_blob(url("app.cspkg"), package.read_bytes(), "BlockBlob")
    configuration = cscfg(certificates={"tls": made.certificate.thumbprint})
    body = bodies.package_deployment(configuration, start_deployment=True)
    world.do("Create Deployment (package)", body, **SLOT)
    world.rest()


def other_certificate(directory: Path) -> Any:
    made = make_client(directory, "new")
    (directory / "new.pfx").write_bytes(made.pfx("secret"))
    return bodies.change(cscfg(certificates={"tls": made.certificate.thumbprint}))


def _colors(world: World) -> list[str]:
    return [row.state["applied"]["settings"]["Color"] for row in world.rows("role_instance")]


def change(color: str, count: int = 2) -> Any:
    return lambda directory: bodies.change(colored(color, count))


CASES: dict[str, Case] = {
    "create": Case(
        uploaded,
        "Create Deployment (package)",
        lambda directory: bodies.package_deployment(colored("red"), start_deployment=True),
        params=SLOT,
        made=(*ROWS, *TWO),
    ),
    "create, which fails": Case(
        uploaded,
        "Create Deployment (package)",
        lambda directory: bodies.package_deployment(colored("red", 1), start_deployment=True),
        params=SLOT,
        status="Failed",
        arm=fail_next_start,
    ),
    "delete": Case(deployed, "Delete Deployment by name", params=DEP, gone=(*ROWS, *TWO)),
    "delete the service": Case(
        deployed,
        "Delete Cloud Service and its media",
        params={"service": "svc"},
        query={"comp": "media"},
        gone=(*ROWS, *TWO, "hosted_service svc"),
    ),
    "start": Case(
        suspended, "Update Deployment Status by name", lambda directory: bodies.status("Running"), params=DEP
    ),
    "suspend": Case(
        deployed, "Update Deployment Status by name", lambda directory: bodies.status("Suspended"), params=DEP
    ),
    "change a setting": Case(deployed, "Change Deployment Configuration by name", change("blue"), params=DEP),
    "change a certificate": Case(
        certified, "Change Deployment Configuration by name", other_certificate, params=DEP
    ),
    "add an instance": Case(
        alone, "Change Deployment Configuration by name", change("blue", 2), params=DEP, made=TWO[1:]
    ),
    "upgrade": Case(
        deployed,
        "Upgrade Deployment by name",
        lambda directory: bodies.upgrade(colored("red")),
        params=DEP,
    ),
    "walk": Case(walking, "Walk Upgrade Domain by name", lambda directory: bodies.walk(1), params=DEP),
    "roll back": Case(
        walking, "Rollback Update Or Upgrade by name", lambda directory: bodies.rollback(), params=DEP
    ),
    "reboot": Case(deployed, "Reboot Role Instance by name", params=INSTANCE),
    "reimage": Case(deployed, "Reimage Role Instance by name", params=INSTANCE),
    "delete an instance": Case(
        deployed,
        "Delete Role Instances by name",
        lambda directory: wire.RoleInstances(["Web_IN_1"]),
        params=DEP,
        gone=TWO[1:],
    ),
    "swap": Case(
        staged, "Swap Deployment", lambda directory: wire.Swap("dep", "new"), params={"service": "svc"}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_killed_operation_ends_as_if_it_had_not_been_killed(name: str, tmp_path: Path) -> None:
    with prepared(CASES[name], tmp_path) as (scenario, verify, seen):
        assert killing.matrix(scenario, verify, tmp_path) >= 2
    assert all(found == seen[-1] for found in seen)  # the last one was not killed


@pytest.mark.parametrize("name", ["create", "delete", "change a setting", "reimage"])
def test_an_operation_killed_inside_a_step_ends_so_too(name: str, tmp_path: Path) -> None:
    with prepared(CASES[name], tmp_path) as (plain, verify, seen):

        def scenario(directory: Path, checkpoint: killing.Checkpoint) -> None:
            plain(directory, lambda name: None, lambda: killing.watch_effects(directory, checkpoint))

        killing.sample(scenario, verify, tmp_path, kills=5)
    assert all(found == seen[0] for found in seen)
