"""A tour that calls every method of ServiceManagementService that the cloud supports, and tells what was exchanged.

usage: whole_tour.py, with what it needs to know as JSON on standard input. It prints JSON: every exchange, by the
method that made it, and the methods that the cloud says it does not support.

It is written against the public interface of azure.servicemanagement, so the published package and ours take it alike.
"""

import base64
import datetime
import hmac
import json
import sys
import time

import requests

import azure.servicemanagement as m

WEST = "West US"
SERVICE, ACCOUNT, GROUP = "wholetour", "wholetour", "wholegroup"
PASSWORD = "Tour-passw0rd"
KEPT_HEADERS = ("x-ms-version", "content-type")


class Recorder(requests.Session):
    """Keeps every exchange, with the method that is being called."""

    def __init__(self, known):
        super().__init__()
        self.trust_env = False
        self.cert, self.verify = known["certificate"], known["ca_certificate"]
        self.called, self.exchanges = "", []

    def send(self, request, **kwargs):
        kwargs.update(cert=self.cert, verify=self.verify)
        response = super().send(request, **kwargs)
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        self.exchanges.append(
            {
                "called": self.called,
                "method": request.method,
                "path": request.path_url,
                "request_headers": {name: request.headers.get(name) for name in KEPT_HEADERS},
                "request_body": body.decode("utf-8"),
                "status": response.status_code,
                "response_headers": {name.lower(): value for name, value in response.headers.items()},
                "response_body": response.content.decode("utf-8-sig"),
            }
        )
        return response


class Tour:
    """Calls methods by name."""

    def __init__(self, known):
        self.known = known
        self.session = Recorder(known)
        self.unsupported = []
        self.client = m.ServiceManagementService(
            known["subscription_id"],
            known["certificate"],
            host=known["management_host"],
            request_session=self.session,
        )

    def get(self, method, *args, **options):
        """Call a method; returns what it returns."""
        self.session.called = method
        return getattr(self.client, method)(*args, **options)

    def do(self, method, *args, watch=None, **options):
        """Call a method, and have its operation succeed; `watch` is called while it lasts."""
        request_id = getattr(self.get(method, *args, **options), "request_id", None)
        request_id = request_id or self.session.exchanges[-1]["response_headers"]["x-ms-request-id"]
        for _ in range(1500):
            operation = self.get("get_operation_status", request_id)
            if operation.status != "InProgress":
                assert operation.status == "Succeeded", (method, operation.error.message)
                return
            if watch is not None:
                watch()
            time.sleep(0.02)
        raise AssertionError(f"{method} does not end")

    def fails(self, method, *args, **options):
        """Have a method refused for what it asks."""
        try:
            self.get(method, *args, **options)
        except Exception:
            last = self.session.exchanges[-1]
            assert last["called"] == method, last
            assert 400 <= last["status"] < 500, last
            return
        raise AssertionError(f"{method} was not refused")

    def try_to(self, part, *args):
        """Take a part of the tour; where the cloud says that it does not support an operation, the part ends."""
        try:
            part(self, *args)
        except Exception:
            last = self.session.exchanges[-1]
            if last["status"] != 501:
                raise
            self.unsupported.append(last["called"])

    # -- What calls need ---------------------------------------------------------------------------------------

    def blob(self, name, account=ACCOUNT):
        """A media link."""
        account = self.get("get_storage_account_properties", account)
        return account.storage_service_properties.endpoints[0] + "vhds/" + name

    def platform_image(self):
        return next(image for image in self.get("list_os_images") if image.category == "Public").name

    def instance(self, role, service=SERVICE):
        deployment = self.get("get_deployment_by_name", service, service)
        return next((found for found in deployment.role_instance_list if found.role_name == role), None)

    def wait_for(self, status, role, service=SERVICE):
        """Look at a deployment until a role's instance has a status."""
        for _ in range(600):
            found = self.instance(role, service)
            if found is not None and found.instance_status == status:
                return
            time.sleep(0.02)
        raise AssertionError(f"{role} does not become {status}")


def network(*endpoints):
    config = m.ConfigurationSet()
    config.configuration_set_type = "NetworkConfiguration"
    for name, protocol, port, local_port in endpoints:
        made = m.ConfigurationSetInputEndpoint(name, protocol, port, local_port)
        config.input_endpoints.input_endpoints.append(made)
    return config


def linux(name="tourhost"):
    return m.LinuxConfigurationSet(name, "touruser", PASSWORD, False)


def windows(thumbprint):
    config = m.WindowsConfigurationSet("tourwin", PASSWORD, False, False, "Pacific Standard Time", "touruser")
    config.domain_join = None
    config.stored_certificate_settings.stored_certificate_settings.append(
        m.CertificateSetting(thumbprint, "My", "LocalMachine")
    )
    config.win_rm.listeners.listeners.append(m.Listener("Https", thumbprint))
    return config


def main():
    tour = Tour(json.load(sys.stdin))
    for part in PARTS:
        part(tour)
    result = {"exchanges": tour.session.exchanges, "unsupported": sorted(set(tour.unsupported))}
    json.dump(result, sys.stdout)


# -- The parts, in order -------------------------------------------------------------------------------------------


def look_around(tour):
    for method in (
        "list_subscriptions",
        "get_subscription",
        "list_locations",
        "list_role_sizes",
        "list_operating_systems",
        "list_operating_system_families",
        "list_os_images",
        "list_vm_images",
        "list_disks",
        "list_hosted_services",
        "list_storage_accounts",
        "list_affinity_groups",
        "list_reserved_ip_addresses",
        "list_management_certificates",
    ):
        tour.get(method)
    tour.get("list_vm_images", location=WEST, category="Public")
    tour.try_to(look_at_extensions)


def look_at_extensions(tour):
    first = tour.get("list_resource_extensions")[0]
    tour.get("list_resource_extension_versions", first.publisher, first.name)


NETWORKS = """<?xml version="1.0" encoding="utf-8"?>
<NetworkConfiguration xmlns="http://schemas.microsoft.com/ServiceHosting/2011/07/NetworkConfiguration">
  <VirtualNetworkConfiguration>
    <Dns><DnsServers><DnsServer name="tourdns" IPAddress="192.0.2.53"/></DnsServers></Dns>
    <VirtualNetworkSites>
      <VirtualNetworkSite name="tournet" Location="West US">
        <AddressSpace><AddressPrefix>10.0.0.0/8</AddressPrefix></AddressSpace>
        <Subnets><Subnet name="toursubnet"><AddressPrefix>10.1.0.0/16</AddressPrefix></Subnet></Subnets>
        <DnsServersRef><DnsServerRef name="tourdns"/></DnsServersRef>
      </VirtualNetworkSite>
    </VirtualNetworkSites>
  </VirtualNetworkConfiguration>
</NetworkConfiguration>"""


def virtual_networks(tour):
    """The client has no methods of its own to set the network configuration, but lists what is in it."""
    path = f"/{tour.known['subscription_id']}/services/networking/media"
    tour.fails("perform_get", path)
    tour.get("list_virtual_network_sites")
    tour.do("perform_put", path, NETWORKS)
    tour.get("perform_get", path)
    tour.get("list_virtual_network_sites")


def management_certificates(tour):
    spare = tour.known["spare"]
    tour.do("add_management_certificate", spare["public_key"], spare["thumbprint"], spare["data"])
    tour.get("list_management_certificates")
    tour.get("get_management_certificate", spare["thumbprint"])
    tour.do("delete_management_certificate", spare["thumbprint"])
    tour.fails("get_management_certificate", spare["thumbprint"])


def affinity_groups(tour):
    tour.do("create_affinity_group", GROUP, "tour group", WEST, "a description")
    tour.do("create_affinity_group", "bare" + GROUP, "bare group", WEST)
    tour.get("get_affinity_group_properties", "bare" + GROUP)
    tour.do("update_affinity_group", GROUP, "tour group again", "another description")
    tour.get("list_affinity_groups")
    tour.do("create_hosted_service", "grouped" + SERVICE, "grouped", affinity_group=GROUP)
    tour.do("create_storage_account", "grouped" + ACCOUNT, "d", "grouped", affinity_group=GROUP)
    tour.get("get_affinity_group_properties", GROUP)
    tour.get("get_hosted_service_properties", "grouped" + SERVICE)
    tour.get("get_storage_account_properties", "grouped" + ACCOUNT)
    tour.do("delete_hosted_service", "grouped" + SERVICE)
    tour.do("delete_storage_account", "grouped" + ACCOUNT)
    tour.do("delete_affinity_group", "bare" + GROUP)
    tour.do("delete_affinity_group", GROUP)
    tour.fails("get_affinity_group_properties", GROUP)


def storage_accounts(tour):
    tour.get("check_storage_account_name_availability", ACCOUNT)
    tour.do(
        "create_storage_account",
        ACCOUNT,
        "a description",
        "a label",
        location=WEST,
        extended_properties={"ext1": "val1"},
        watch=lambda: tour.get("list_storage_accounts"),
    )
    tour.do("create_storage_account", "spare" + ACCOUNT, "d", "l", location=WEST, account_type="Standard_LRS")
    tour.get("check_storage_account_name_availability", ACCOUNT)
    tour.get("list_storage_accounts")
    for account in (ACCOUNT, "spare" + ACCOUNT):
        tour.get("get_storage_account_properties", account)
    tour.get("get_storage_account_keys", ACCOUNT)
    tour.get("regenerate_storage_account_keys", ACCOUNT, "Primary")
    tour.do(
        "update_storage_account",
        ACCOUNT,
        "new",
        "new",
        None,
        {"ext1": "val1", "ext2": "val2"},
        "Standard_LRS",
    )
    tour.get("get_storage_account_properties", ACCOUNT)
    tour.do("delete_storage_account", "spare" + ACCOUNT)
    tour.fails("get_storage_account_properties", "spare" + ACCOUNT)
    tour.fails("create_storage_account", "Not-A-Name", "d", "l", location=WEST)


def hosted_services(tour):
    tour.get("check_hosted_service_name_availability", SERVICE)
    tour.do("create_hosted_service", SERVICE, "a label", "a description", WEST, None, {"ext1": "val1"})
    tour.get("check_hosted_service_name_availability", SERVICE)
    tour.do("update_hosted_service", SERVICE, "ptvslabel", "a new description", {"ext2": "val2"})
    tour.get("list_hosted_services")
    tour.get("get_hosted_service_properties", SERVICE)
    tour.get("get_hosted_service_properties", SERVICE, True)
    tour.fails("get_hosted_service_properties", "no" + SERVICE)
    tour.fails("get_deployment_by_name", SERVICE, SERVICE)


def service_certificates(tour):
    key = tour.known["pfx"]
    tour.do("add_service_certificate", SERVICE, key["data"], "pfx", key["password"])
    tour.get("list_service_certificates", SERVICE)
    tour.get("get_service_certificate", SERVICE, "sha1", key["thumbprint"])
    tour.do("delete_service_certificate", SERVICE, "sha1", key["thumbprint"])
    tour.fails("get_service_certificate", SERVICE, "sha1", key["thumbprint"])
    tour.do("add_service_certificate", SERVICE, key["data"], "pfx", key["password"])


def virtual_machines(tour):
    disk = m.OSVirtualHardDisk(tour.platform_image(), tour.blob("one.vhd"))
    data = m.DataVirtualHardDisks()
    made = m.DataVirtualHardDisk(tour.blob("data0.vhd"), disk_label="data", lun=0, logical_disk_size_in_gb=1)
    data.data_virtual_hard_disks.append(made)
    nets = network(("ssh", "tcp", "22", "22"), ("web", "tcp", "80", "8080"))
    arguments = (SERVICE, SERVICE, "production", SERVICE, "one", linux(), disk, nets)
    tour.do(
        "create_virtual_machine_deployment",
        *arguments,
        availability_set_name="wholeset",
        data_virtual_hard_disks=data,
        role_size="Small",
        watch=lambda: tour.instance("one"),
    )
    tour.wait_for("ReadyRole", "one")
    tour.get("get_deployment_by_slot", SERVICE, "production")
    tour.get("get_hosted_service_properties", SERVICE, True)
    tour.get("get_role", SERVICE, SERVICE, "one")
    tour.fails("get_role", SERVICE, SERVICE, "none")
    tour.fails("create_virtual_machine_deployment", *arguments, virtual_network_name="novnet")
    tour.get("list_disks")
    tour.get("list_hosted_services")
    second = m.OSVirtualHardDisk(tour.platform_image(), tour.blob("two.vhd"))
    tour.do("add_role", SERVICE, SERVICE, "two", linux("two"), second, network(), role_size="Small")
    tour.wait_for("ReadyRole", "two")
    tour.get("get_role", SERVICE, SERVICE, "two")


def power(tour):
    tour.do("restart_role", SERVICE, SERVICE, "one", watch=lambda: tour.instance("one"))
    tour.wait_for("ReadyRole", "one")
    tour.do("shutdown_role", SERVICE, SERVICE, "one", watch=lambda: tour.instance("one"))
    tour.wait_for("StoppedVM", "one")
    tour.do("start_role", SERVICE, SERVICE, "one", watch=lambda: tour.instance("one"))
    tour.wait_for("ReadyRole", "one")
    tour.do("shutdown_role", SERVICE, SERVICE, "one", "StoppedDeallocated")
    tour.wait_for("StoppedDeallocated", "one")
    tour.do("shutdown_roles", SERVICE, SERVICE, ["one", "two"], "StoppedDeallocated")
    tour.wait_for("StoppedDeallocated", "two")
    tour.do("start_roles", SERVICE, SERVICE, ["one", "two"], watch=lambda: tour.instance("two"))
    for role in ("one", "two"):
        tour.wait_for("ReadyRole", role)
    tour.do("shutdown_roles", SERVICE, SERVICE, ["one", "two"])
    tour.wait_for("StoppedVM", "two")
    tour.do("start_roles", SERVICE, SERVICE, ["one", "two"])


def data_disks(tour):
    where = (SERVICE, SERVICE, "two")
    tour.do("add_data_disk", *where, 3, "ReadOnly", tour.blob("data3.vhd"), "three", None, 1)
    tour.get("get_data_disk", *where, 3)
    tour.get("get_data_disk", SERVICE, SERVICE, "one", 0)
    tour.do("update_data_disk", *where, 3, "None", updated_lun=3)
    tour.get("get_data_disk", *where, 3)
    tour.get("get_role", *where)
    tour.do("delete_data_disk", *where, 3)
    tour.fails("get_data_disk", *where, 3)


def update_role(tour):
    nets = network(("ssh", "tcp", "22", "22"), ("more", "udp", "59914", "3394"))
    tour.do("update_role", SERVICE, SERVICE, "one", None, nets, role_size="Medium")
    read = tour.get("get_role", SERVICE, SERVICE, "one")
    tour.do("update_role", SERVICE, SERVICE, "one", data_virtual_hard_disks=read.data_virtual_hard_disks)
    tour.wait_for("ReadyRole", "one")
    tour.get("get_role", SERVICE, SERVICE, "one")


def dns_servers(tour):
    tour.do("add_dns_server", SERVICE, SERVICE, "tourdns", "192.0.2.53")
    tour.get("get_deployment_by_name", SERVICE, SERVICE)
    tour.do("update_dns_server", SERVICE, SERVICE, "tourdns", "192.0.2.54")
    tour.do("delete_dns_server", SERVICE, SERVICE, "tourdns")


def reserved_ips(tour):
    tour.do("create_reserved_ip_address", "tourip", "a label", WEST)
    tour.do("create_reserved_ip_address", "bareip", None, WEST)
    tour.get("list_reserved_ip_addresses")
    tour.get("get_reserved_ip_address", "tourip")
    tour.do("associate_reserved_ip_address", "tourip", SERVICE, SERVICE)
    tour.get("get_reserved_ip_address", "tourip")
    tour.get("get_deployment_by_name", SERVICE, SERVICE)
    tour.get("list_reserved_ip_addresses")
    tour.do("disassociate_reserved_ip_address", "tourip", SERVICE, SERVICE)
    for name in ("tourip", "bareip"):
        tour.do("delete_reserved_ip_address", name)
    tour.fails("get_reserved_ip_address", "tourip")


def captures(tour):
    image = m.CaptureRoleAsVMImage("Specialized", "tourvmimage", "a label", "a description", "en", "a family")
    tour.do("capture_vm_image", SERVICE, SERVICE, "one", image)
    tour.get("list_vm_images")
    tour.get("list_vm_images", location=WEST, category="User")
    changed = m.VMImage("tourvmimage", "a new label", "a new description")
    tour.do("update_vm_image", "tourvmimage", changed)
    tour.do("shutdown_role", SERVICE, SERVICE, "two")
    tour.do("capture_role", SERVICE, SERVICE, "two", "Reprovision", "touranew", "a label", linux("anew"))
    tour.wait_for("ReadyRole", "two")
    tour.do("delete_os_image", "touranew", delete_vhd=True)
    tour.do("shutdown_role", SERVICE, SERVICE, "two")
    tour.do("capture_role", SERVICE, SERVICE, "two", "Delete", "tourcapture", "a label")
    tour.get("get_os_image", "tourcapture")
    tour.get("list_os_images")
    tour.get("get_deployment_by_name", SERVICE, SERVICE)
    second = m.OSVirtualHardDisk("tourcapture", tour.blob("three.vhd"))
    tour.do("add_role", SERVICE, SERVICE, "three", linux("three"), second, role_size="Small")
    tour.do("delete_role", SERVICE, SERVICE, "three", False)
    tour.fails("delete_role", SERVICE, SERVICE, "one")


def disks(tour):
    """The disk of the role that was deleted is there, free."""
    disk = next(disk for disk in tour.get("list_disks") if disk.media_link.endswith("three.vhd"))
    tour.get("get_disk", disk.name)
    tour.do("update_disk", disk.name, label="a new label", name=disk.name)
    tour.do("delete_disk", disk.name)
    tour.fails("get_disk", disk.name)
    tour.do("add_disk", True, "a label", disk.media_link, "tourdisk", "Linux")
    tour.get("get_disk", "tourdisk")
    tour.do("delete_disk", "tourdisk")


def os_images(tour):
    """Images of the blob that the disk has left."""
    link = tour.blob("three.vhd")
    tour.do("add_os_image", "a label", link, "tourwindows", "Windows")
    tour.get("get_os_image", "tourwindows")
    tour.do("update_os_image", "tourwindows", "another label", link, "tourwindows", "Windows")
    image = tour.get("get_os_image", "tourwindows")
    image.description, image.image_family, image.show_in_gui = "a description", "a family", False
    tour.do("update_os_image_from_image_reference", "tourwindows", image)
    tour.get("get_os_image", "tourwindows")
    tour.get("get_os_image_details", "tourwindows")
    tour.get("list_os_images")
    tour.fails("get_os_image", "noimage")


def publish_image(tour):
    tour.do("replicate_vm_image", "tourcapture", [WEST, "East US"], "tour", "tour", "1.0.0")
    tour.get("get_os_image_details", "tourcapture")
    tour.do("share_vm_image", "tourcapture", "Public")
    tour.do("unreplicate_vm_image", "tourcapture")


def windows_machine(tour):
    """A virtual machine with Windows, on a reserved address, with the guest agent."""
    key, name = tour.known["pfx"], "win" + SERVICE
    tour.do("create_hosted_service", name, name, location=WEST)
    tour.do("add_service_certificate", name, key["data"], "pfx", key["password"])
    tour.do("create_reserved_ip_address", "winip", None, WEST)
    disk = m.OSVirtualHardDisk("tourwindows", tour.blob("win.vhd"))
    extension = m.ResourceExtensionReference("BGInfo", "Microsoft.Compute", "BGInfo", "1.*")
    value = m.ResourceExtensionParameterValue()
    value.key, value.value, value.type = "settings", "e30=", "Public"
    extension.resource_extension_parameter_values.resource_extension_parameter_values.append(value)
    tour.do(
        "create_virtual_machine_deployment",
        *(name, name, "production", name, name, windows(key["thumbprint"]), disk),
        network_config=network(("rdp", "tcp", "3389", "3389"), ("winrm", "tcp", "5986", "5986")),
        role_size="Small",
        reserved_ip_name="winip",
        provision_guest_agent=True,
        resource_extension_references=[extension],
        watch=lambda: tour.instance(name, name),
    )
    tour.wait_for("ReadyRole", name, name)
    tour.get("get_role", name, name, name)
    tour.do("shutdown_role", name, name, name)
    tour.wait_for("StoppedVM", name, name)
    tour.do("delete_hosted_service", name, complete=True)
    tour.do("delete_reserved_ip_address", "winip")
    tour.do("delete_os_image", "tourwindows", delete_vhd=True)


def vm_images(tour):
    """A virtual machine of a captured image, and an image of a blob."""
    name = "copy" + SERVICE
    tour.do("create_hosted_service", name, name, location=WEST)
    arguments = (name, name, "production", name, name, None, None, network(("ssh", "tcp", "22", "22")))
    tour.do("create_virtual_machine_deployment", *arguments, role_size="Small", vm_image_name="tourvmimage")
    tour.wait_for("ReadyRole", name, name)
    tour.get("get_role", name, name, name)
    disk = tour.get("get_role", name, name, name).os_virtual_hard_disk
    tour.do("delete_deployment", name, name)
    tour.do("delete_disk", disk.disk_name)
    image = m.VMImage("tourmade", "a label", "a description")
    system = image.os_disk_configuration
    system.host_caching, system.os_state, system.os = "ReadWrite", "Specialized", "Linux"
    system.media_link = disk.media_link
    tour.do("create_vm_image", image)
    tour.get("list_vm_images")
    tour.do("delete_vm_image", "tourmade", True)
    tour.do("delete_vm_image", "tourvmimage", True)
    tour.do("delete_hosted_service", name)


def put_blob(tour, name, content):
    """Upload a block blob, which needs no SDK; returns its URL as on Azure."""
    key = tour.get("get_storage_account_keys", ACCOUNT).storage_service_keys.primary
    date = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-date": date, "x-ms-version": "2015-02-21"}
    for path, query, data, resource in (
        ("/packages", "?restype=container", b"", "\nrestype:container"),
        (f"/packages/{name}", "", content, ""),
    ):
        own = "".join(f"{header}:{headers[header]}\n" for header in sorted(headers))
        length = str(len(data)) if data else ""
        text = f"PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n{own}/{ACCOUNT}/{ACCOUNT}{path}{resource}"
        signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256")).decode()
        answer = requests.put(
            f"{tour.known['blob_endpoint']}/{ACCOUNT}{path}{query}",
            data=data,
            headers={**headers, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
        )
        assert answer.ok or answer.status_code == 409, answer.text
    return f"http://{ACCOUNT}.blob.core.windows.net/packages/{name}"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def packages(tour):
    """Deployments of packages, and all that can be done with them."""
    name, configuration = "pkg" + SERVICE, tour.known["configuration"]
    where, properties = (name, name), {"dep1": "val1", "dep2": "val2"}
    package = put_blob(tour, "tour.cspkg", base64.b64decode(tour.known["package"]))
    tour.do("create_hosted_service", name, name, location=WEST)

    def look():
        return tour.get("get_deployment_by_name", *where)

    def wait_until(condition):
        for _ in range(600):
            if condition(look()):
                return
            time.sleep(0.02)
        raise AssertionError("it does not become so")

    tour.do(
        "create_deployment",
        *(name, "production", name, package, "a label", encoded(configuration), False, False, properties),
        watch=look,
    )
    tour.get("get_deployment_by_slot", name, "production")
    tour.get("get_hosted_service_properties", name, True)
    tour.do("update_deployment_status", *where, "Suspended")
    more = configuration.replace('count="2"', 'count="4"')
    tour.do("change_deployment_configuration", *where, encoded(more), watch=look)
    look()
    tour.do("update_deployment_status", *where, "Running", watch=look)
    wait_until(lambda found: all(one.instance_status == "ReadyRole" for one in found.role_instance_list))
    changed = more.replace('value="red"', 'value="blue"')
    tour.do("change_deployment_configuration", *where, encoded(changed), mode="Manual")
    wait_until(lambda found: found.upgrade_status.upgrade_type == "Manual")
    tour.do("walk_upgrade_domain", *where, 0)
    tour.fails("walk_upgrade_domain", *where, 3)
    tour.do("rollback_update_or_upgrade", *where, "Auto", True)
    wait_until(lambda found: found.status == "Running")
    tour.do("upgrade_deployment", *where, "Auto", package, encoded(configuration), "new", False)
    wait_until(lambda found: found.status == "Running" and not found.locked)
    first = f"{tour.known['role']}_IN_0"
    tour.do("reboot_role_instance", *where, first)
    tour.do("reimage_role_instance", *where, first)
    tour.do("rebuild_role_instance", *where, first)
    tour.do("delete_role_instances", *where, [f"{tour.known['role']}_IN_1"])
    tour.fails("reboot_role_instance", *where, "nobody")
    staged = "staged" + name
    tour.do("create_deployment", name, "staging", staged, package, "a label", encoded(configuration))
    tour.do("swap_deployment", name, name, staged)
    tour.get("get_deployment_by_slot", name, "production")
    reserved_package(tour, name, staged)
    tour.do("delete_deployment", *where)
    tour.fails("get_deployment_by_name", *where)
    tour.do("delete_hosted_service", name, complete=True)


def reserved_package(tour, service, deployment):
    """A reserved IP for a deployment of a package."""
    tour.do("create_reserved_ip_address", "pkgip", "a label", WEST)
    tour.do("associate_reserved_ip_address", "pkgip", service, deployment)
    tour.get("get_hosted_service_properties", service, True)
    tour.do("disassociate_reserved_ip_address", "pkgip", service, deployment)
    tour.do("delete_reserved_ip_address", "pkgip")


def clean_up(tour):
    tour.do("delete_deployment", SERVICE, SERVICE, delete_vhd=True)
    tour.do("delete_hosted_service", SERVICE)
    tour.do("delete_os_image", "tourcapture", delete_vhd=True)
    for disk in tour.get("list_disks"):
        tour.do("delete_disk", disk.name, delete_vhd=True)
    tour.do("delete_storage_account", ACCOUNT)
    now = datetime.datetime.now(datetime.UTC)
    span = [f"{now + datetime.timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-1, 1)]
    tour.get("list_subscription_operations", *span)
    tour.get("list_subscription_operations", *span, operation_result_filter="Failed")


PARTS = (
    look_around,
    virtual_networks,
    management_certificates,
    affinity_groups,
    storage_accounts,
    hosted_services,
    service_certificates,
    virtual_machines,
    power,
    data_disks,
    update_role,
    dns_servers,
    reserved_ips,
    captures,
    disks,
    os_images,
    lambda tour: tour.try_to(publish_image),
    windows_machine,
    vm_images,
    lambda tour: tour.try_to(packages),
    clean_up,
)

if __name__ == "__main__":
    main()
