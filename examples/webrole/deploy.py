"""Deploys the package of this directory to the local cloud, and waits until its role answers.

Start a cloud with `reddog up`, build the package with `reddog package build`, then run this file with the package's
path. It prints where the role answers. `--delete` takes everything down again.
"""

import argparse
import base64
import subprocess
import sys
import time
from pathlib import Path

from azure.servicemanagement import ServiceManagementService
from reddog.profile import read_profile

LOCATION = "West US"
SERVICE = DEPLOYMENT = "hello"
ACCOUNT = "hellopackages"
CONFIGURATION = Path(__file__).with_name("ServiceConfiguration.cscfg")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("package", nargs="?", help="the .cspkg file")
    options.add_argument("--delete", action="store_true", help="delete what an earlier run has made")
    given = options.parse_args()
    profile = read_profile()  # what `reddog up` wrote for its users
    if profile is None:
        sys.exit("There is no cloud yet. Start one with: reddog up")
    sms = ServiceManagementService(profile.subscription_id, profile.certificate)
    if given.delete:
        wait(sms, sms.delete_hosted_service(SERVICE, complete=True))
        sms.delete_storage_account(ACCOUNT)
    elif given.package:
        deploy(sms, Path(given.package))
    else:
        options.error("name the package, or --delete")


def deploy(sms: ServiceManagementService, package: Path) -> None:
    wait(sms, sms.create_storage_account(ACCOUNT, "", ACCOUNT, location=LOCATION))
    sms.create_hosted_service(SERVICE, SERVICE, location=LOCATION)
    url = f"http://{ACCOUNT}.blob.core.windows.net/packages/{package.name}"  # the local account of that name
    subprocess.run([sys.executable, "-m", "reddog.cli", "package", "upload", package, url], check=True)
    configuration = base64.b64encode(CONFIGURATION.read_bytes()).decode()
    result = sms.create_deployment(
        SERVICE, "production", DEPLOYMENT, url, "hello", configuration, start_deployment=True
    )
    wait(sms, result)
    while True:
        instances = sms.get_deployment_by_name(SERVICE, DEPLOYMENT).role_instance_list
        print(", ".join(f"{one.instance_name} {one.instance_status}" for one in instances))
        if all(one.instance_status == "ReadyRole" for one in instances):
            break
        time.sleep(2)
    endpoint = instances[0].instance_endpoints[0]
    print(f"The role answers at http://{endpoint.vip}:{endpoint.public_port}/")


def wait(sms: ServiceManagementService, result: object) -> None:
    """Wait until an operation has succeeded."""
    sms.wait_for_operation_status(result.request_id, timeout=300, sleep_interval=1)


if __name__ == "__main__":
    main()
