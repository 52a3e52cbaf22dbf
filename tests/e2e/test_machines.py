"""Virtual machines through the cloud's own ups and downs: kills, restarts, and what befalls the guests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.e2e.conftest import CloudStarter, RunningCloud, machines_of
from tests.e2e.machines import (
    BOOT_TIME,
    add_service_certificate,
    ssh,
    wait_for_status,
    wait_until_done,
    wait_until_ready,
)

from azure.servicemanagement import (
    SSH,
    ConfigurationSet,
    ConfigurationSetInputEndpoint,
    KeyPair,
    LinuxConfigurationSet,
    LoadBalancerProbe,
    OSVirtualHardDisk,
    PublicKey,
    ServiceManagementService,
)

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]
USER, PASSWORD = "someone", "a-secret-word"


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


@pytest.fixture(scope="module")
def instance(sms: ServiceManagementService) -> Any:
    """A machine with an endpoint for SSH."""
    sms.create_hosted_service("ups", "ups", location="West US")
    wait_until_done(sms, sms.create_storage_account("downs", "", "downs", location="West US"))
    image = next(image for image in sms.list_os_images() if image.category == "Public")
    network = ConfigurationSet()
    network.configuration_set_type = "NetworkConfiguration"
    network.input_endpoints.input_endpoints.append(ConfigurationSetInputEndpoint("ssh", "tcp", "22", "22"))
    endpoint = sms.get_storage_account_properties("downs").storage_service_properties.endpoints[0]
    result = sms.create_virtual_machine_deployment(
        "ups",
        "ups",
        "production",
        "ups",
        "ups",
        LinuxConfigurationSet("upshost", USER, PASSWORD, False),
        OSVirtualHardDisk(image.name, f"{endpoint}vhds/ups.vhd"),
        network_config=network,
        role_size="ExtraSmall",
    )
    wait_until_done(sms, result)
    return wait_until_ready(sms, "ups", "ups")


def boot_of(instance: Any) -> str:
    """Tells one boot of the guest from another."""
    return ssh(instance, USER, "cat /proc/sys/kernel/random/boot_id", password=PASSWORD)


def process_of(cloud: RunningCloud) -> int:
    (line,) = machines_of(cloud.data_dir)
    return int(line.split()[0])


def eventually(condition: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def test_the_password_is_kept_nowhere_once_the_guest_is_ready(cloud: RunningCloud, instance: Any) -> None:
    def places() -> str:
        kept = [cloud.data_dir / "machines", cloud.data_dir / "logs", *cloud.data_dir.glob("cloud.db*")]
        command = ["grep", "-rl", PASSWORD, *map(str, kept)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def encoded() -> bool:
        return any(b"UserPassword" in path.read_bytes() for path in cloud.data_dir.glob("machines/*/*.iso"))

    eventually(lambda: not places() and not encoded())


def test_a_killed_cloud_finds_its_machines_running(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any
) -> None:
    before, machine = boot_of(instance), process_of(cloud)
    os.kill(cloud.process, signal.SIGKILL)
    assert boot_of(instance) == before  # machines do not need the cloud to run
    cloud.up("qemu")
    assert process_of(cloud) == machine
    assert wait_until_ready(sms, "ups", "ups").power_state == "Started"
    assert boot_of(instance) == before


def test_down_and_up_start_the_machines_again(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any
) -> None:
    before = boot_of(instance)
    cloud.reddog("down")
    assert not machines_of(cloud.data_dir)
    cloud.up("qemu")
    after = wait_until_ready(sms, "ups", "ups")
    assert after.instance_endpoints[0].public_port == instance.instance_endpoints[0].public_port
    assert boot_of(after) != before


def test_down_can_leave_the_machines_running(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any
) -> None:
    before, machine = boot_of(instance), process_of(cloud)
    cloud.reddog("down", "--keep-vms")
    assert boot_of(instance) == before
    cloud.up("qemu")
    assert process_of(cloud) == machine
    assert boot_of(instance) == before


def test_a_machine_that_powers_itself_off_shows_so_and_starts_again(
    sms: ServiceManagementService, instance: Any
) -> None:
    ssh(instance, USER, "(sleep 1; sudo -n poweroff) >/dev/null 2>&1 &", password=PASSWORD)
    stopped = wait_for_status(sms, "ups", "ups", "StoppedVM")
    assert (stopped.power_state, stopped.instance_state_details) == (
        "Stopped",
        "The guest has shut itself down.",
    )
    wait_until_done(sms, sms.start_role("ups", "ups", "ups"))
    assert wait_until_ready(sms, "ups", "ups").power_state == "Started"


def test_a_machine_whose_process_is_killed_shows_so(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any
) -> None:
    os.kill(process_of(cloud), signal.SIGKILL)
    stopped = wait_for_status(sms, "ups", "ups", "StoppedVM")
    assert "killed" in stopped.instance_state_details
    wait_until_done(sms, sms.restart_role("ups", "ups", "ups"))
    wait_until_ready(sms, "ups", "ups")


def test_a_panic_shows_so(sms: ServiceManagementService, instance: Any) -> None:
    command = "echo c | sudo -n tee /proc/sysrq-trigger >/dev/null"
    ssh(instance, USER, f"(sleep 1; {command}) >/dev/null 2>&1 &", password=PASSWORD)
    stopped = wait_for_status(sms, "ups", "ups", "StoppedVM")
    assert "panicked" in stopped.instance_state_details
    wait_until_done(sms, sms.restart_role("ups", "ups", "ups"))
    wait_until_ready(sms, "ups", "ups")


def test_shutting_down_keeps_or_gives_up_the_address(sms: ServiceManagementService, instance: Any) -> None:
    wait_until_done(sms, sms.shutdown_role("ups", "ups", "ups"))
    stopped = wait_for_status(sms, "ups", "ups", "StoppedVM")
    assert stopped.power_state == "Stopped"
    assert len(sms.get_deployment_by_name("ups", "ups").virtual_ips) == 1
    wait_until_done(sms, sms.shutdown_role("ups", "ups", "ups", "StoppedDeallocated"))
    gone = wait_for_status(sms, "ups", "ups", "StoppedDeallocated")
    assert not gone.ip_address
    deployment = sms.get_deployment_by_name("ups", "ups")
    assert (deployment.status, len(deployment.virtual_ips)) == ("Suspended", 0)
    wait_until_done(sms, sms.start_role("ups", "ups", "ups"))
    assert ssh(wait_until_ready(sms, "ups", "ups"), USER, "hostname", password=PASSWORD) == "upshost\n"


def data_disk_of(instance: Any) -> str:
    """The guest's name for a disk of 1 GiB, if it has one."""
    return ssh(instance, USER, "awk '$3 == 1048576 { print $4 }' /proc/partitions", password=PASSWORD).strip()


def test_a_data_disk_comes_and_goes_under_the_running_guest(
    sms: ServiceManagementService, instance: Any
) -> None:
    def run(command: str) -> str:
        return ssh(instance, USER, command, password=PASSWORD)

    def disk() -> str:
        return data_disk_of(instance)

    assert disk() == ""
    wait_until_done(sms, sms.add_data_disk("ups", "ups", "ups", 2, logical_disk_size_in_gb=1))
    eventually(lambda: disk() != "")
    run(f"echo kept | sudo -n dd of=/dev/{disk()} conv=fsync 2>/dev/null")
    name = sms.get_data_disk("ups", "ups", "ups", 2).disk_name
    wait_until_done(sms, sms.delete_data_disk("ups", "ups", "ups", 2))
    eventually(lambda: disk() == "")
    wait_until_done(sms, sms.add_data_disk("ups", "ups", "ups", 0, disk_name=name))
    eventually(lambda: disk() != "")
    assert run(f"sudo -n head -c 4 /dev/{disk()}") == "kept"
    wait_until_done(sms, sms.delete_data_disk("ups", "ups", "ups", 0, delete_vhd=True))
    eventually(lambda: name not in [one.name for one in sms.list_disks()])


def web(*more: ConfigurationSetInputEndpoint) -> ConfigurationSet:
    """A network configuration with a part in the load-balanced set `web`."""
    network = ConfigurationSet()
    network.configuration_set_type = "NetworkConfiguration"
    shared = ConfigurationSetInputEndpoint("web", "tcp", "8080", "80", load_balanced_endpoint_set_name="web")
    shared.load_balancer_probe = LoadBalancerProbe("", "80", "tcp")
    shared.load_balancer_probe.interval_in_seconds = 5
    shared.load_balancer_probe.timeout_in_seconds = 11
    for endpoint in (*more, shared):
        network.input_endpoints.input_endpoints.append(endpoint)
    return network


def add_second_machine(sms: ServiceManagementService, thumbprint: str) -> None:
    """One whose user may also log in with the key of a service certificate, and has the private key."""
    linux = LinuxConfigurationSet("downshost", USER, PASSWORD, False)
    key = PublicKey(thumbprint, f"/home/{USER}/.ssh/authorized_keys")
    linux.ssh = SSH()
    linux.ssh.public_keys.public_keys.append(key)
    linux.ssh.key_pairs.key_pairs.append(KeyPair(thumbprint, f"/home/{USER}/keys/id"))
    image = next(image for image in sms.list_os_images() if image.category == "Public")
    vhds = sms.get_storage_account_properties("downs").storage_service_properties.endpoints[0]
    result = sms.add_role(
        "ups",
        "ups",
        "ups2",
        linux,
        OSVirtualHardDisk(image.name, f"{vhds}vhds/ups2.vhd"),
        network_config=web(ConfigurationSetInputEndpoint("ssh2", "tcp", "2022", "22")),
        role_size="ExtraSmall",
    )
    wait_until_done(sms, result)


def second_machine(sms: ServiceManagementService) -> Any:
    found = sms.get_deployment_by_name("ups", "ups").role_instance_list
    return next(one for one in found if one.role_name == "ups2")


def answers(place: Any) -> set[str]:
    """Who answers some requests to an endpoint."""

    def ask() -> str:
        try:
            with socket.create_connection((place.vip, int(place.public_port)), 10) as connection:
                connection.settimeout(10)
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return connection.makefile("rb").read().decode().split()[-1]
        except (OSError, IndexError):
            return ""

    return set(filter(None, (ask() for _ in range(4))))


def check_certificate(cloud: RunningCloud, machine: Any, thumbprint: str, key: paramiko.PKey) -> None:
    """The machine has the certificate and its private key, as the Azure Linux agent keeps them, and a key pair.

    The provisioning disc that they came on is gone.
    """

    def look(command: str) -> str:
        return ssh(machine, USER, command, password=PASSWORD)

    place = f"/var/lib/waagent/{thumbprint}"
    certificate = x509.load_pem_x509_certificate(look(f"sudo cat {place}.crt").encode())
    assert certificate.fingerprint(hashes.SHA1()).hex().upper() == thumbprint
    private = look(f"sudo cat {place}.prv")
    found = load_pem_private_key(private.encode(), None)
    assert isinstance(found, rsa.RSAPrivateKey)
    assert paramiko.RSAKey(key=found) == key
    assert look("cat keys/id") == private
    assert look("cat keys/id.pub").split()[:2] == [key.get_name(), key.get_base64()]
    modes = look(f"sudo stat -c '%a %U' {place}.crt {place}.prv keys/id").split("\n")
    assert modes[:3] == ["600 root", "600 root", f"600 {USER}"]
    line = private.splitlines()[5]

    def is_kept() -> bool:
        places = map(str, (cloud.data_dir / "machines", cloud.data_dir / "logs"))
        return subprocess.run(["grep", "-rqF", line, *places], check=False).returncode == 0

    eventually(lambda: not is_kept())


def carry_a_data_disk(sms: ServiceManagementService, first: Any, second: Any) -> None:
    """Write to a data disk in one machine, and read it in another."""
    wait_until_done(sms, sms.add_data_disk("ups", "ups", "ups", 0, logical_disk_size_in_gb=1))
    eventually(lambda: data_disk_of(first) != "")
    write = f"echo carried | sudo -n dd of=/dev/{data_disk_of(first)} conv=fsync 2>/dev/null"
    ssh(first, USER, write, password=PASSWORD)
    name = sms.get_data_disk("ups", "ups", "ups", 0).disk_name
    wait_until_done(sms, sms.delete_data_disk("ups", "ups", "ups", 0))
    wait_until_done(sms, sms.add_data_disk("ups", "ups", "ups2", 0, disk_name=name))
    eventually(lambda: data_disk_of(second) != "")
    read = f"sudo -n head -c 7 /dev/{data_disk_of(second)}"
    assert ssh(second, USER, read, password=PASSWORD) == "carried"
    wait_until_done(sms, sms.delete_data_disk("ups", "ups", "ups2", 0, delete_vhd=True))
    eventually(lambda: name not in [one.name for one in sms.list_disks()])


def test_machines_of_a_deployment_share_a_network_and_an_endpoint(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any, tmp_path: Path
) -> None:
    """They reach each other by name; the endpoint's connections go to those that take some, also while the cloud
    is down; and both ask the deployment's DNS server. One takes the key of a service certificate, and a data disk
    that the other has written to."""
    own = web(ConfigurationSetInputEndpoint("ssh", "tcp", "22", "22"))
    wait_until_done(sms, sms.update_role("ups", "ups", "ups", network_config=own))
    thumbprint, key = add_service_certificate(sms, "ups", tmp_path)
    add_second_machine(sms, thumbprint)
    first = wait_until_ready(sms, "ups", "ups")
    eventually(lambda: second_machine(sms).instance_status == "ReadyRole", BOOT_TIME)
    second = second_machine(sms)
    assert ssh(second, USER, "hostname", pkey=key) == "downshost\n"
    check_certificate(cloud, second, thumbprint, key)
    carry_a_data_disk(sms, first, second)
    addresses = first.ip_address, second.ip_address
    assert addresses[0].startswith("10.")
    assert addresses[0].rpartition(".")[0] == addresses[1].rpartition(".")[0]

    place = first.instance_endpoints[1]
    assert (place.name, second.instance_endpoints[1].public_port) == ("web", place.public_port)
    serve = "mkdir -p w && hostname >w/index.html && sudo httpd -p 80 -h /home/someone/w"
    assert addresses[1] in ssh(first, USER, f"sudo ping -c 1 -W 10 downshost && {serve}", password=PASSWORD)
    assert addresses[0] in ssh(second, USER, f"sudo ping -c 1 -W 10 upshost && {serve}", password=PASSWORD)
    eventually(lambda: answers(place) == {"upshost", "downshost"})
    ssh(second, USER, "sudo killall httpd", password=PASSWORD)
    eventually(lambda: answers(place) == {"upshost"})

    os.kill(cloud.process, signal.SIGKILL)
    ssh(second, USER, "sudo httpd -p 80 -h /home/someone/w", password=PASSWORD)
    eventually(lambda: answers(place) == {"upshost", "downshost"})
    cloud.up("qemu")
    assert wait_until_ready(sms, "ups", "ups").ip_address == addresses[0]
    assert answers(place) == {"upshost", "downshost"}

    wait_until_done(sms, sms.add_dns_server("ups", "ups", "own", "192.0.2.53"))
    resolver = "grep -c 'nameserver 192.0.2.53' /etc/resolv.conf || true"
    eventually(lambda: ssh(second, USER, resolver, password=PASSWORD).strip() == "1", 90)
    wait_until_done(sms, sms.delete_role("ups", "ups", "ups2"))
    eventually(lambda: answers(place) == {"upshost"})
    disk = next(one.name for one in sms.list_disks() if "ups2" in one.media_link)
    sms.delete_disk(disk, delete_vhd=True)


def test_endpoints_and_addresses_change_under_the_running_guest(
    sms: ServiceManagementService, instance: Any
) -> None:
    before = boot_of(instance)
    network = ConfigurationSet()
    network.configuration_set_type = "NetworkConfiguration"
    for name, port in (("second", "2222"), ("ssh", "22")):
        endpoint = ConfigurationSetInputEndpoint(name, "tcp", port, "22")
        network.input_endpoints.input_endpoints.append(endpoint)
    wait_until_done(sms, sms.update_role("ups", "ups", "ups", network_config=network))
    changed = wait_until_ready(sms, "ups", "ups")
    assert [one.name for one in changed.instance_endpoints] == ["second", "ssh"]
    assert boot_of(changed) == before  # by the first endpoint: the new one

    wait_until_done(sms, sms.create_reserved_ip_address("kept", location="West US"))
    reserved = sms.get_reserved_ip_address("kept").address
    wait_until_done(sms, sms.associate_reserved_ip_address("kept", "ups", "ups"))
    moved = wait_until_ready(sms, "ups", "ups")
    assert {one.vip for one in moved.instance_endpoints} == {reserved}
    assert boot_of(moved) == before
    wait_until_done(sms, sms.disassociate_reserved_ip_address("kept", "ups", "ups"))
    wait_until_done(sms, sms.delete_reserved_ip_address("kept"))
    assert boot_of(wait_until_ready(sms, "ups", "ups")) == before


def test_a_captured_machine_is_set_up_anew(sms: ServiceManagementService, instance: Any) -> None:
    wait_until_done(sms, sms.shutdown_role("ups", "ups", "ups"))
    anew = LinuxConfigurationSet("newhost", "newcomer", PASSWORD, False)
    wait_until_done(sms, sms.capture_role("ups", "ups", "ups", "Reprovision", "upsimage", "l", anew))
    found = wait_until_ready(sms, "ups", "ups")
    assert ssh(found, "newcomer", "hostname", password=PASSWORD) == "newhost\n"
    assert found.host_name == "newhost"
    assert sms.get_os_image("upsimage").os == "Linux"
    sms.delete_os_image("upsimage", delete_vhd=True)


def test_nothing_is_left_of_a_deployment_that_was_deleted(
    cloud: RunningCloud, sms: ServiceManagementService, instance: Any
) -> None:
    address = instance.instance_endpoints[0].vip
    wait_until_done(sms, sms.delete_deployment("ups", "ups", delete_vhd=True))
    sms.delete_hosted_service("ups")
    sms.delete_storage_account("downs")
    assert not machines_of(cloud.data_dir)
    assert not [path for path in (cloud.data_dir / "machines").iterdir() if path.is_dir()]
    assert not [path for path in (cloud.data_dir / "storage").iterdir() if not path.name.startswith(".")]
    listeners = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
    assert not re.search(rf"{re.escape(address)}:", listeners)
    assert Path(cloud.data_dir).exists()
