"""The tour of a cloud by Microsoft's own package, run by an interpreter that has it; it knows nothing of reddog.

usage: legacy_tour.py STAGE, with what it needs to know as JSON on standard input. It prints JSON.
"""

import json
import sys
import time

from azure.servicemanagement import (
    CaptureRoleAsVMImage,
    ConfigurationSet,
    ConfigurationSetInputEndpoint,
    LinuxConfigurationSet,
    OSVirtualHardDisk,
    ServiceManagementService,
)

SERVICE, ACCOUNT, IMAGE, COPY = "legacytour", "legacytour", "legacyimage", "legacycopy"


def main():
    known = json.load(sys.stdin)
    sms = ServiceManagementService(
        known["subscription_id"], known["certificate"], host=known["management_host"]
    )
    answer = {"create": create, "capture": capture, "delete": delete}[sys.argv[1]](sms)
    json.dump(answer, sys.stdout)


def create(sms):
    """From the list of locations to a virtual machine that is ready."""
    locations = [location.name for location in sms.list_locations()]
    assert sms.check_hosted_service_name_availability(SERVICE).result
    sms.create_hosted_service(SERVICE, SERVICE, location="West US")
    done(sms, sms.create_storage_account(ACCOUNT, ACCOUNT, ACCOUNT, location="West US"))
    image = next(image for image in sms.list_os_images() if image.category == "Public")
    disk = OSVirtualHardDisk(image.name, blob_endpoint(sms) + "vhds/tour.vhd")
    configuration = LinuxConfigurationSet("tourhost", "touruser", "tourpassword", False)
    done(sms, deploy(sms, SERVICE, configuration, disk))
    return {"locations": locations, **endpoint(sms, SERVICE)}


def capture(sms):
    """Capture the machine, and make another one of the image."""
    image = CaptureRoleAsVMImage("Specialized", IMAGE, "a label", "a description", "english", "a family")
    done(sms, sms.capture_vm_image(SERVICE, SERVICE, SERVICE, image))
    listed = [image.name for image in sms.list_vm_images()]
    sms.create_hosted_service(COPY, COPY, location="West US")
    done(sms, deploy(sms, COPY, None, None, vm_image_name=IMAGE))
    return {"images": listed, **endpoint(sms, COPY)}


def delete(sms):
    """Delete everything; says what is left of it."""
    for service in (SERVICE, COPY):
        done(sms, sms.delete_deployment(service, service, delete_vhd=True))
        sms.delete_hosted_service(service)
    done(sms, sms.delete_vm_image(IMAGE, delete_vhd=True))
    sms.delete_storage_account(ACCOUNT)
    return {
        "services": [service.service_name for service in sms.list_hosted_services()],
        "accounts": [account.service_name for account in sms.list_storage_accounts()],
        "disks": [disk.name for disk in sms.list_disks()],
        "images": [image.name for image in sms.list_vm_images()],
    }


def deploy(sms, name, configuration, disk, **options):
    network = ConfigurationSet()
    network.configuration_set_type = "NetworkConfiguration"
    network.input_endpoints.input_endpoints.append(ConfigurationSetInputEndpoint("ssh", "tcp", "22", "22"))
    return sms.create_virtual_machine_deployment(
        name, name, "production", name, name, configuration, disk, network, role_size="Small", **options
    )


def blob_endpoint(sms):
    return sms.get_storage_account_properties(ACCOUNT).storage_service_properties.endpoints[0]


def endpoint(sms, name):
    """Where SSH of the machine is, once it is ready."""
    for _ in range(360):
        instance = sms.get_deployment_by_name(name, name).role_instance_list[0]
        if instance.instance_status == "ReadyRole":
            found = instance.instance_endpoints[0]
            return {"vip": found.vip, "port": int(found.public_port), "host_name": instance.host_name}
        time.sleep(0.5)
    raise AssertionError(instance.instance_status)


def done(sms, result):
    for _ in range(600):
        operation = sms.get_operation_status(result.request_id)
        if operation.status != "InProgress":
            assert operation.status == "Succeeded", operation.error.message
            return
        time.sleep(0.2)
    raise AssertionError("the operation does not end")


main()
