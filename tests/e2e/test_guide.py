"""The feature guide's snippets, in order and as printed, against a fresh cloud with real machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
import pytest
from tests.e2e.conftest import CloudStarter, RunningCloud
from tests.e2e.guide import Snippet, fill_in, guide_path, snippets
from tests.e2e.machines import SerialConsole, ssh, wait_until_done, wait_until_ready

from reddog.cloud import machine_console

LOCATIONS = (
    *("West Europe", "North Europe", "Southeast Asia", "East Asia", "Central US", "North Central US"),
    *("South Central US", "West US", "East US", "Japan East", "Japan West", "Brazil South"),
    *("Australia East", "Australia Southeast"),
)


class Reader:
    """Someone who follows the guide: runs its snippets one after the other in one Python session."""

    def __init__(self, cloud: RunningCloud, found: list[Snippet], output: Callable[[], str]) -> None:
        self.cloud = cloud
        self.session: dict[str, Any] = {"__name__": "guide"}
        self.values = {
            "<your_subscription_id>": cloud.summary["subscription_id"],
            "<path_to_.pem_certificate>": cloud.summary["certificate"],
        }
        self._left = list(found)
        self._output = output

    @property
    def sms(self) -> Any:
        """The client that the guide's own code has made."""
        return self.session["sms"]

    def run(self, section: str) -> str:
        """Run the next snippet, which must stand in that section of the guide; returns what it printed."""
        snippet = self._left.pop(0)
        assert snippet.section == section, f"line {snippet.line} stands in {snippet.section}"
        code = fill_in(snippet.code, self.values)
        self._output()
        exec(compile(code, f"guide line {snippet.line}", "exec"), self.session)
        return self._output()

    def finish(self) -> None:
        """Nothing of the guide may be left over."""
        assert not self._left, f"line {self._left[0].line} was not run"


@pytest.mark.qemu
@pytest.mark.timeout(900)
def test_the_guide_works_as_printed(
    start_cloud: CloudStarter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    found = snippets(guide_path())
    cloud = start_cloud("qemu")
    monkeypatch.setenv("REDDOG_PROFILE", cloud.environment["REDDOG_PROFILE"])
    reader = Reader(cloud, found, lambda: capsys.readouterr().out)
    reader.run("Connect")
    locations = reader.run("ListAvailableLocations")
    assert sorted(locations.split("\n")[:-1]) == sorted(LOCATIONS)
    cloud_services(reader)
    storage_accounts(reader)
    operating_systems(reader)
    account = images(reader, tmp_path)
    virtual_machine(reader, account)
    captured_image(reader, account)
    reader.finish()


def cloud_services(reader: Reader) -> None:
    reader.run("CreateCloudService")
    listed = reader.run("CreateCloudService")
    assert "Service name: myhostedservice\n" in listed
    assert "Location: West US" in listed
    one = reader.run("CreateCloudService")
    assert f"{reader.values['<your_subscription_id>']}/services/hostedservices/myhostedservice" in one
    reader.run("DeleteCloudService")
    assert not list(reader.sms.list_hosted_services())

    # the guide deletes a deployment that its reader has made before
    reader.sms.create_hosted_service("myhostedservice", "myhostedservice", location="West US")
    reader.sms.create_storage_account("guidefirst", "", "guidefirst", location="West US")
    create_machine(reader, "myhostedservice", "v1", "v1", blob_url(reader, "guidefirst", "v1.vhd"))
    reader.run("DeleteDeployment")
    reader.sms.delete_hosted_service("myhostedservice")
    assert not list(reader.sms.list_hosted_services())


def storage_accounts(reader: Reader) -> None:
    assert reader.run("CreateStorageService").startswith("Operation status: ")
    assert "Service name: mystorageaccount\nLocation: West US" in reader.run("CreateStorageService")
    reader.run("DeleteStorageService")
    names = [account.service_name for account in reader.sms.list_storage_accounts()]
    assert "mystorageaccount" not in names


def operating_systems(reader: Reader) -> None:
    flat = reader.run("ListOperatingSystems")
    assert "Active: True" in flat
    grouped = reader.run("ListOperatingSystems")
    assert "Version: WA-GUEST-OS-" in grouped


def images(reader: Reader, tmp_path: Path) -> str:
    """Upload a VHD, register it, list the images, remove it; returns the storage account's name."""
    account = "guidefirst"
    (source,) = (reader.cloud.data_dir / "images").glob("*.vhd")
    media_link = blob_url(reader, account, "mycentos.vhd")
    reader.cloud.reddog("vhd", "upload", str(source), media_link)
    reader.values["url_to_storage_blob_for_source_image_vhd"] = media_link
    assert reader.run("CreateVMImage") == "Operation status: Succeeded\n"
    listed = reader.run("CreateVMImage")
    assert "Name: mycentos\nLabel: mycentos\nOS: Linux\nCategory: User\n" in listed
    assert f"Media link: {media_link}\n" in listed
    assert "Category: Public\n" in listed
    assert reader.run("DeleteVMImage") == "Operation status: Succeeded\n"
    return account


def virtual_machine(reader: Reader, account: str) -> None:
    """The guide's machine: no endpoint, so it is proven on its serial console."""
    platform = next(image for image in reader.sms.list_os_images() if image.category == "Public")
    reader.values["OpenLogic__OpenLogic-CentOS-62-20120531-en-us-30GB.vhd"] = platform.name
    reader.values["url_to_target_storage_blob_for_vm_hd"] = blob_url(reader, account, "myvm.vhd")
    reader.run("CreateVM")
    instance = wait_until_ready(reader.sms, "myvm", "myvm")
    assert (instance.power_state, instance.host_name) == ("Started", "myhostname")
    assert not list(instance.instance_endpoints or ())
    unreachable = reader.cloud.reddog("vm", "ssh", "myvm", check=False)
    assert unreachable.returncode == 4
    assert "no endpoint" in unreachable.stderr
    assert "myhostname login:" in reader.cloud.reddog("vm", "console", "myvm", "--log").stdout
    with serial_console(reader, "myvm", "myvm", "myvm") as console:
        console.log_in("myhostname", "myuser", "mypassword")
        assert console.run("id -un; hostname").split() == ["myuser", "myhostname"]
    reader.run("DeleteVM")
    reader.run("DeleteVM")
    assert "myvm" not in [service.service_name for service in reader.sms.list_hosted_services()]


def captured_image(reader: Reader, account: str) -> None:
    """A machine with SSH, captured; the guide makes a new machine of the image, with the file in it."""
    sms = reader.sms
    sms.create_hosted_service("hs1", "hs1", location="West US")
    create_machine(reader, "hs1", "dep1", "vm1", blob_url(reader, account, "vm1.vhd"), ssh_port=22)
    instance = wait_until_ready(sms, "hs1", "dep1")
    ssh(instance, "myuser", "echo kept > /home/myuser/file; sync", password="mypassword")
    with pytest.raises(paramiko.AuthenticationException):
        ssh(instance, "myuser", "true", password="wrong-password")
    shown = reader.cloud.reddog("vm", "ssh", "vm1", "--print", "--user", "myuser").stdout
    assert instance.instance_endpoints[0].vip in shown

    reader.run("how-to-create-a-virtual-machine-from-a-captured-virtual-machine-image")
    wait_until_done(sms, reader.session["result"])
    reader.run("how-to-create-a-virtual-machine-from-a-captured-virtual-machine-image")
    (image,) = reader.session["images"]
    assert (image.name, image.os_disk_configuration.os_state) == ("vm1image", "Specialized")
    assert (image.role_name, image.role_state_on_capture) == ("vm1", "ReadyRole")
    reader.run("how-to-create-a-virtual-machine-from-a-captured-virtual-machine-image")
    wait_until_ready(sms, "myvm", "myvm")
    with serial_console(reader, "myvm", "myvm", "myvm") as console:
        console.log_in("captured", "myuser", "mypassword")
        assert console.run("cat /home/myuser/file") == "kept"
    assert ssh(instance, "myuser", "cat /home/myuser/file", password="mypassword") == "kept\n"


def create_machine(
    reader: Reader, service: str, deployment: str, role: str, media_link: str, ssh_port: int | None = None
) -> None:
    """Create a virtual machine as the guide does, with an endpoint for SSH if asked."""
    sdk = reader.session
    image = next(image for image in reader.sms.list_os_images() if image.category == "Public")
    network = None
    if ssh_port is not None:
        network = sdk["ConfigurationSet"]()
        network.configuration_set_type = "NetworkConfiguration"
        endpoint = sdk["ConfigurationSetInputEndpoint"]("ssh", "tcp", str(ssh_port), "22")
        network.input_endpoints.input_endpoints.append(endpoint)
    result = reader.sms.create_virtual_machine_deployment(
        service_name=service,
        deployment_name=deployment,
        deployment_slot="production",
        label=deployment,
        role_name=role,
        system_config=sdk["LinuxConfigurationSet"]("captured", "myuser", "mypassword", False),
        os_virtual_hard_disk=sdk["OSVirtualHardDisk"](image.name, media_link),
        network_config=network,
        role_size="Small",
    )
    wait_until_done(reader.sms, result)


def blob_url(reader: Reader, account: str, name: str) -> str:
    """Where a blob of an account is, by the account's own endpoint."""
    properties = reader.sms.get_storage_account_properties(account).storage_service_properties
    return f"{properties.endpoints[0]}vhds/{name}"


def serial_console(reader: Reader, service: str, deployment: str, role: str) -> SerialConsole:
    """The console that `reddog vm console` joins."""
    path = machine_console(reader.cloud.data_dir, service, deployment, role).socket
    assert path is not None
    return SerialConsole(path)
