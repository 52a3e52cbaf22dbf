"""Role instances on real machines: the example package is built, uploaded, deployed, changed and deleted."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.e2e.conftest import CloudStarter, RunningCloud, machines_of
from tests.e2e.machines import BOOT_TIME, add_service_certificate, wait_until_done

from azure.servicemanagement import ServiceManagementService

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "webrole"
CONFIGURATION = (EXAMPLE / "ServiceConfiguration.cscfg").read_text()
DEP = ("hello", "hello")


@pytest.fixture(scope="module")
def cloud(start_cloud: CloudStarter) -> RunningCloud:
    return start_cloud("qemu")


@pytest.fixture(scope="module")
def sms(cloud: RunningCloud) -> ServiceManagementService:
    os.environ["REDDOG_PROFILE"] = cloud.environment["REDDOG_PROFILE"]
    summary = cloud.summary
    return ServiceManagementService(
        summary["subscription_id"], summary["certificate"], host=summary["management_host"]
    )


def upload(cloud: RunningCloud, package: Path) -> str:
    """Upload a package; returns its URL."""
    url = f"http://hellopackages.blob.core.windows.net/packages/{package.name}"
    cloud.reddog("package", "upload", str(package), url)
    return url


def build(source: Path, target: Path) -> None:
    """Make a package as a user does."""
    command = [sys.executable, "-m", "reddog.cli", "package", "build", str(source), "-o", str(target)]
    subprocess.run(command, check=True, capture_output=True)


def encoded(configuration: str) -> str:
    return base64.b64encode(configuration.encode()).decode()


def eventually(condition: Callable[[], object], timeout: float = BOOT_TIME) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.3)


def wait_for(sms: ServiceManagementService, status: str, count: int) -> list[Any]:
    """Wait until all instances have a status."""
    seen: list[str] = []

    def is_so() -> bool:
        found = list(sms.get_deployment_by_name(*DEP).role_instance_list)
        seen[:] = [f"{one.instance_status} {one.instance_state_details}" for one in found]
        return [one.instance_status for one in found] == [status] * count

    try:
        eventually(is_so)
    except AssertionError:
        raise AssertionError(f"the instances are {seen}, not {status}") from None
    return list(sms.get_deployment_by_name(*DEP).role_instance_list)


def pages(instances: list[Any]) -> set[str]:
    """What the endpoint answers, asked often enough to meet every instance."""
    endpoint = instances[0].instance_endpoints[0]
    found: set[str] = set()
    for _ in range(12):
        try:
            page = requests.get(f"http://{endpoint.vip}:{endpoint.public_port}/", timeout=10)
        except requests.ConnectionError:  # no probe has succeeded yet
            continue
        found.add(page.text.strip() if page.ok else str(page.status_code))
    return found


def answers(greeting: str, *numbers: int) -> set[str]:
    return {f"{greeting} (Web_IN_{number})" for number in numbers}


def deploy(cloud: RunningCloud, *arguments: str) -> str:
    """Run the example's own program; returns what it prints."""
    command = [sys.executable, str(EXAMPLE / "deploy.py"), *arguments]
    environment = {**cloud.environment, "REDDOG_DATA_DIR": str(cloud.data_dir)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def instances(sms: ServiceManagementService, cloud: RunningCloud, tmp_path_factory: Any) -> list[Any]:
    """Two instances of the example's role, ready."""
    package = tmp_path_factory.mktemp("package") / "hello.cspkg"
    build(EXAMPLE, package)
    said = deploy(cloud, str(package))
    instances = wait_for(sms, "ReadyRole", 2)
    endpoint = instances[0].instance_endpoints[0]
    assert f"http://{endpoint.vip}:{endpoint.public_port}/" in said
    return instances


def test_the_role_serves_its_page_from_both_instances(instances: list[Any]) -> None:
    assert [one.instance_name for one in instances] == ["Web_IN_0", "Web_IN_1"]
    eventually(lambda: pages(instances) == answers("Hello from a role", 0, 1))


def test_a_changed_setting_reaches_the_guests(sms: ServiceManagementService, instances: list[Any]) -> None:
    changed = CONFIGURATION.replace("Hello from a role", "It's another day")
    wait_until_done(sms, sms.change_deployment_configuration(*DEP, encoded(changed)))
    eventually(lambda: pages(instances) == answers("It's another day", 0, 1), 2 * BOOT_TIME)
    assert sms.get_deployment_by_name(*DEP).upgrade_status is None
    wait_for(sms, "ReadyRole", 2)


def test_an_instance_is_rebooted(sms: ServiceManagementService, instances: list[Any]) -> None:
    wait_until_done(sms, sms.reboot_role_instance(*DEP, "Web_IN_0"))
    wait_for(sms, "ReadyRole", 2)
    eventually(lambda: pages(instances) == answers("It's another day", 0, 1))


def test_a_program_that_fails_shows_so(
    sms: ServiceManagementService, cloud: RunningCloud, instances: list[Any], tmp_path: Path
) -> None:
    """One instance goes first; its program ends at once, so the upgrade stops there and is rolled back. Before that, it
    reads its role's certificate, with limited rights."""
    place = tmp_path / "broken"
    (place / "Web").mkdir(parents=True)
    (place / "Web" / "write-page.sh").write_bytes((EXAMPLE / "Web" / "write-page.sh").read_bytes())
    definition = (EXAMPLE / "ServiceDefinition.csdef").read_text()
    declared = '<Certificates><Certificate name="tls" /></Certificates></WorkerRole>'
    (place / "ServiceDefinition.csdef").write_text(definition.replace("</WorkerRole>", declared))
    thumbprint, _ = add_service_certificate(sms, DEP[0], tmp_path)
    named = f'<Certificate name="tls" thumbprint="{thumbprint}" thumbprintAlgorithm="sha1" />'
    configuration = CONFIGURATION.replace("</Role>", f"<Certificates>{named}</Certificates></Role>")
    read = f"cd /var/lib/waagent && grep -q PRIVATE {thumbprint}.prv && grep -q CERTIFICATE {thumbprint}.crt"
    (place / "Web" / "serve.sh").write_text(f"#!/bin/sh\n{read} && exit 3\n")
    package = tmp_path / "broken.cspkg"
    build(place, package)
    url = upload(cloud, package)
    result = sms.upgrade_deployment(*DEP, "Auto", url, encoded(configuration), "broken", False)
    wait_until_done(sms, result)

    def first() -> tuple[str, str]:
        one = sms.get_deployment_by_name(*DEP).role_instance_list[0]
        return one.instance_status, one.instance_state_details

    eventually(lambda: first()[0] == "CyclingRole")
    assert "'serve.sh' has ended with 3" in first()[1]
    found = sms.get_deployment_by_name(*DEP)
    assert found.upgrade_status.current_upgrade_domain == "0"
    assert found.role_instance_list[1].instance_status == "ReadyRole"
    wait_until_done(sms, sms.rollback_update_or_upgrade(*DEP, "Auto", True))
    wait_for(sms, "ReadyRole", 2)


def test_nothing_is_left_of_the_deployment(cloud: RunningCloud, instances: list[Any]) -> None:
    address = instances[0].instance_endpoints[0].vip
    deploy(cloud, "--delete")
    assert not machines_of(cloud.data_dir)
    for directory in ("machines", "roles/packages", "roles/instances"):
        left = [path.name for path in (cloud.data_dir / directory).iterdir() if not path.name.startswith(".")]
        assert left == []
    listeners = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
    assert f"{address}:" not in listeners
