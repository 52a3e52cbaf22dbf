"""A tour of the cloud with `azure.servicemanagement`, as the classic feature guide takes it.

Start a cloud with `reddog up`, then run this file. It makes a cloud service, a storage account and a virtual
machine, logs in to the machine over SSH, and removes everything again (unless `--keep` is given).
"""

import argparse
import os
import secrets
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from azure.servicemanagement import (
    ConfigurationSet,
    ConfigurationSetInputEndpoint,
    LinuxConfigurationSet,
    OSVirtualHardDisk,
    ServiceManagementService,
)
from reddog.profile import read_profile

LOCATION = "West US"
USER = "myuser"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--keep", action="store_true", help="leave the virtual machine running")
    keep = options.parse_args().keep

    profile = read_profile()  # what `reddog up` wrote for its users
    if profile is None:
        sys.exit("There is no cloud yet. Start one with: reddog up")
    sms = ServiceManagementService(profile.subscription_id, profile.certificate)
    suffix = secrets.token_hex(3)
    service, account, password = f"tour-{suffix}", f"tour{suffix}", secrets.token_urlsafe(12)

    say(f"The cloud answers at https://{profile.management_host}")
    look_around(sms)
    blob_endpoint = create_storage_account(sms, account)
    create_virtual_machine(sms, service, f"{blob_endpoint}vhds/{service}.vhd", password)
    address, port = wait_until_ready(sms, service)
    log_in(address, port, password)
    if keep:
        say("The virtual machine keeps running. Log in yourself:")
        print(f"    ssh -p {port} {USER}@{address}        # password: {password}")
    else:
        clean_up(sms, service, account)


def look_around(sms: ServiceManagementService) -> None:
    say("Locations: " + ", ".join(location.name for location in sms.list_locations()))
    families = [family.label for family in sms.list_operating_system_families()]
    say("Operating system families: " + ", ".join(families))
    say("Images: " + ", ".join(image.name for image in sms.list_os_images()))


def create_storage_account(sms: ServiceManagementService, account: str) -> str:
    say(f"Creating storage account {account}")
    result = sms.create_storage_account(account, "made by the tour", account, location=LOCATION)
    wait_until_done(sms, result.request_id)
    properties = sms.get_storage_account_properties(account).storage_service_properties
    return str(properties.endpoints[0])


def create_virtual_machine(
    sms: ServiceManagementService, service: str, media_link: str, password: str
) -> None:
    say(f"Creating cloud service and virtual machine {service}")
    sms.create_hosted_service(service_name=service, label=service, location=LOCATION)
    image = next(image for image in sms.list_os_images() if image.category == "Public")
    network = ConfigurationSet()
    network.configuration_set_type = "NetworkConfiguration"
    network.input_endpoints.input_endpoints.append(ConfigurationSetInputEndpoint("ssh", "tcp", "22", "22"))
    result = sms.create_virtual_machine_deployment(
        service_name=service,
        deployment_name=service,
        deployment_slot="production",
        label=service,
        role_name=service,
        system_config=LinuxConfigurationSet(service, USER, password, False),
        os_virtual_hard_disk=OSVirtualHardDisk(image.name, media_link),
        network_config=network,
        role_size="Small",
    )
    wait_until_done(sms, result.request_id)


def wait_until_done(sms: ServiceManagementService, request_id: str) -> None:
    """Wait for an operation without the dots that the SDK prints unless it is told not to."""
    sms.wait_for_operation_status(
        request_id, timeout=300, sleep_interval=1, progress_callback=None, success_callback=None
    )


def wait_until_ready(sms: ServiceManagementService, service: str, timeout: float = 300.0) -> tuple[str, str]:
    say("Waiting for the virtual machine to boot")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for instance in sms.get_deployment_by_name(service, service).role_instance_list or ():
            if instance.instance_status == "ReadyRole" and instance.instance_endpoints:
                endpoint = instance.instance_endpoints[0]
                return endpoint.vip, endpoint.public_port
        time.sleep(0.5)
    sys.exit("The virtual machine did not become ready; see: reddog vm console " + service)


def log_in(address: str, port: str, password: str) -> None:
    """Log in once with ssh, handing it the password the way a password manager would."""
    command = ["ssh", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command += [
        "-o",
        "LogLevel=ERROR",
        f"{USER}@{address}",
        'echo "Hello from $(hostname), $(uname -sr)"; uptime',
    ]
    say("Logging in: " + f"ssh -p {port} {USER}@{address}")
    with tempfile.TemporaryDirectory() as directory:
        askpass = Path(directory, "askpass")
        askpass.write_text('#!/bin/sh\nprintf "%s\\n" "$TOUR_PASSWORD"\n')
        askpass.chmod(stat.S_IRWXU)
        environment = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "TOUR_PASSWORD": password}
        subprocess.run(command, check=True, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)


def clean_up(sms: ServiceManagementService, service: str, account: str) -> None:
    say("Removing everything again")
    result = sms.delete_hosted_service(service, complete=True)
    wait_until_done(sms, result.request_id)
    sms.delete_storage_account(account)


def say(text: str) -> None:
    print(f"- {text}", flush=True)


if __name__ == "__main__":
    main()
