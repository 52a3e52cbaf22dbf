"""One call, and often several, of every method of ServiceManagementService.

Written against the public interface, it runs with the published package and with ours alike (`m` is the
package `azure.servicemanagement`). It uses the standard library alone.
"""

import inspect


def network(m):
    config = m.ConfigurationSet()
    config.configuration_set_type = "NetworkConfiguration"
    ssh = m.ConfigurationSetInputEndpoint("SSH", "tcp", "22", "22")
    web = m.ConfigurationSetInputEndpoint("web", "tcp", "80", "8080", "webset", True, 15)
    web.load_balancer_probe.path = "/alive"
    web.load_balancer_probe.port = "8080"
    web.load_balancer_probe.protocol = "http"
    config.input_endpoints.input_endpoints.append(ssh)
    config.input_endpoints.input_endpoints.append(web)
    config.subnet_names = ["front", "back"]
    config.static_virtual_network_ip_address = "10.0.0.7"
    config.public_ips.public_ips.append(m.PublicIP("pip"))
    return config


def bare_network(m):
    config = m.ConfigurationSet()
    config.input_endpoints.input_endpoints.append(
        m.ConfigurationSetInputEndpoint("utilities", "udp", "59913", "3394")
    )
    return config


def linux(m):
    config = m.LinuxConfigurationSet("myhost", "me", "Secret-1", False, custom_data="#!/bin/sh\necho äöü\n")
    config.ssh.public_keys.public_keys.append(m.PublicKey("59833D", "/home/me/.ssh/authorized_keys"))
    config.ssh.key_pairs.key_pairs.append(m.KeyPair("59833D", "/home/me/.ssh/id_rsa"))
    return config


def plain_linux(m):
    return m.LinuxConfigurationSet("myhostname", "myuser", "mypassword", True)


def linux_without_ssh(m):
    config = m.LinuxConfigurationSet("h", "u", None, True)
    config.ssh = None
    return config


def windows(m):
    config = m.WindowsConfigurationSet(
        "win", "Secret-1", True, False, "Pacific Standard Time", "boss", custom_data="hello"
    )
    config.domain_join.credentials.domain = "corp"
    config.domain_join.credentials.username = "joiner"
    config.domain_join.credentials.password = "Secret-2"
    config.domain_join.join_domain = "corp.example"
    config.domain_join.machine_object_ou = "OU=a"
    config.stored_certificate_settings.stored_certificate_settings.append(
        m.CertificateSetting("59833D", "My", "LocalMachine")
    )
    config.win_rm.listeners.listeners.append(m.Listener("Https", "59833D"))
    return config


def plain_windows(m):
    config = m.WindowsConfigurationSet("win", "Secret-1", False, True, admin_username="boss")
    config.domain_join = None
    config.win_rm = None
    return config


def windows_defaults(m):
    return m.WindowsConfigurationSet("win", "Secret-1")


def data_disks(m):
    new = m.DataVirtualHardDisk(
        "http://acc.blob.core.windows.net/vhds/d.vhd", "ReadOnly", "label", None, 3, 10
    )
    old = m.DataVirtualHardDisk(
        None, None, None, "adisk", 1, None, "http://acc.blob.core.windows.net/vhds/s.vhd"
    )
    disks = m.DataVirtualHardDisks()
    disks.data_virtual_hard_disks.append(new)
    disks.data_virtual_hard_disks.append(old)
    return disks


def extensions(m):
    reference = m.ResourceExtensionReference("BGInfo", "Microsoft.Compute", "BGInfo", "1.*")
    value = m.ResourceExtensionParameterValue()
    value.key, value.value, value.type = "k", "dg==", "Public"
    reference.resource_extension_parameter_values.resource_extension_parameter_values.append(value)
    references = m.ResourceExtensionReferences()
    references.resource_extension_references.append(reference)
    references.resource_extension_references.append(m.ResourceExtensionReference("a", "b", "c", "2.0"))
    return references


def dns(m):
    server = m.DnsServer()
    server.name, server.address = "d1", "8.8.8.8"
    return [server]


def os_disk(m):
    return m.OSVirtualHardDisk("img.vhd", "http://acc.blob.core.windows.net/vhds/os.vhd")


def full_os_disk(m):
    return m.OSVirtualHardDisk(
        "img", "http://a/b.vhd", "ReadWrite", "unsent", "dname", "Linux", "http://r/i.vhd"
    )


def vm_image(m):
    image = m.VMImage("im", "im label", "im description")
    disk = image.os_disk_configuration
    disk.host_caching, disk.os_state, disk.os = "ReadWrite", "Specialized", "Linux"
    disk.media_link = "http://acc.blob.core.windows.net/vhds/os.vhd"
    data = m.DataDiskConfiguration()
    data.host_caching, data.lun, data.media_link, data.logical_disk_size_in_gb = (
        "None",
        2,
        "http://a/d.vhd",
        5,
    )
    data.name = "dd"
    image.data_disk_configurations.data_disk_configurations.append(data)
    image.language, image.image_family, image.recommended_vm_size = "en", "fam", "Small"
    image.eula, image.icon_uri, image.small_icon_uri = "http://e", "http://i", "http://s"
    image.privacy_uri, image.published_date, image.show_in_gui = "http://p", "2015-01-01T00:00:00Z", True
    return image


def small_vm_image(m):
    image = m.VMImage("im", "im label")
    disk = image.os_disk_configuration
    disk.os_state, disk.os, disk.media_link = "Generalized", "Linux", "http://a/b.vhd"
    return image


def os_image(m):
    image = m.OSImage()
    image.label, image.eula, image.description, image.image_family = "l", "http://e", "d", "f"
    image.show_in_gui, image.icon_uri, image.privacy_uri = False, "http://i", "http://p"
    image.recommended_vm_size, image.small_icon_uri, image.language = "Small", "http://s", "en"
    return image


def dated_os_image(m):
    image = os_image(m)
    image.published_date = "2015-01-01T00:00:00Z"
    return image


PROPERTIES = {"alpha": "one", "beta": "two"}
SVC, DEP, ROLE = "svc", "dep", "vm1"
URL = "http://acc.blob.core.windows.net/vhds/os.vhd"


def calls(m):
    """All calls as (method, positional arguments, keyword arguments)."""
    simple = [
        ("list_role_sizes",),
        ("list_subscriptions",),
        ("list_storage_accounts",),
        ("get_storage_account_properties", "acc"),
        ("get_storage_account_keys", "acc"),
        ("regenerate_storage_account_keys", "acc", "Primary"),
        ("delete_storage_account", "acc"),
        ("check_storage_account_name_availability", "acc"),
        ("list_hosted_services",),
        ("get_hosted_service_properties", SVC),
        ("get_hosted_service_properties", SVC, True),
        ("delete_hosted_service", SVC),
        ("delete_hosted_service", SVC, True),
        ("get_deployment_by_slot", SVC, "Production"),
        ("get_deployment_by_name", SVC, DEP),
        ("create_deployment", SVC, "staging", DEP, "http://p/k.cspkg", "täg", "PHhtbC8+"),
        ("create_deployment", SVC, "staging", DEP, "http://p/k", "l", "PHg+", True, True, PROPERTIES),
        ("delete_deployment", SVC, DEP),
        ("delete_deployment", SVC, DEP, True),
        ("swap_deployment", SVC, "prod", "stag"),
        ("change_deployment_configuration", SVC, DEP, "PHg+"),
        ("change_deployment_configuration", SVC, DEP, "PHg+", True, "Manual", PROPERTIES),
        ("update_deployment_status", SVC, DEP, "Suspended"),
        ("upgrade_deployment", SVC, DEP, "Auto", "http://p/k", "PHg+", "l", True),
        ("upgrade_deployment", SVC, DEP, "Auto", "http://p/k", "PHg+", "l", False, "WebRole", PROPERTIES),
        ("walk_upgrade_domain", SVC, DEP, 0),
        ("rollback_update_or_upgrade", SVC, DEP, "Auto", True),
        ("reboot_role_instance", SVC, DEP, "i_0"),
        ("reimage_role_instance", SVC, DEP, "i_0"),
        ("rebuild_role_instance", SVC, DEP, "i_0"),
        ("delete_role_instances", SVC, DEP, ["i_0", "i_1"]),
        ("check_hosted_service_name_availability", SVC),
        ("list_service_certificates", SVC),
        ("get_service_certificate", SVC, "sha1", "59833D"),
        ("add_service_certificate", SVC, "Zm9v", "pfx", "pw"),
        ("delete_service_certificate", SVC, "sha1", "59833D"),
        ("list_management_certificates",),
        ("get_management_certificate", "59833D"),
        ("add_management_certificate", "cHVi", "59833D", "ZGF0"),
        ("delete_management_certificate", "59833D"),
        ("list_affinity_groups",),
        ("get_affinity_group_properties", "g"),
        ("create_affinity_group", "g", "l", "West US"),
        ("create_affinity_group", "g", "l", "West US", "d"),
        ("update_affinity_group", "g", "l"),
        ("update_affinity_group", "g", "l", "d"),
        ("delete_affinity_group", "g"),
        ("list_locations",),
        ("list_operating_systems",),
        ("list_operating_system_families",),
        ("get_subscription",),
        ("list_subscription_operations",),
        ("list_subscription_operations", "2015-05-01", "2015-06-01T01:02:03Z"),
        ("list_subscription_operations", "2015-05-01", "2015-06-01", "/s/services/x", "Succeeded", "a+b/c=="),
        ("create_reserved_ip_address", "ip"),
        ("create_reserved_ip_address", "ip", "l", "West US"),
        ("delete_reserved_ip_address", "ip"),
        ("associate_reserved_ip_address", "ip", SVC, DEP),
        ("associate_reserved_ip_address", "ip", SVC, DEP, "vip"),
        ("disassociate_reserved_ip_address", "ip", SVC, DEP),
        ("disassociate_reserved_ip_address", "ip", SVC, DEP, "v"),
        ("get_reserved_ip_address", "ip"),
        ("list_reserved_ip_addresses",),
        ("get_role", SVC, DEP, ROLE),
        ("delete_role", SVC, DEP, ROLE),
        ("delete_role", SVC, DEP, ROLE, True),
        ("capture_role", SVC, DEP, ROLE, "Delete", "img", "lbl"),
        ("capture_role", SVC, DEP, ROLE, "Reprovision", "img", "lbl", plain_linux(m)),
        ("capture_role", SVC, DEP, ROLE, "Reprovision", "img", "lbl", windows(m)),
        ("start_role", SVC, DEP, ROLE),
        ("start_roles", SVC, DEP, ["a", "b"]),
        ("restart_role", SVC, DEP, ROLE),
        ("shutdown_role", SVC, DEP, ROLE),
        ("shutdown_role", SVC, DEP, ROLE, "StoppedDeallocated"),
        ("shutdown_roles", SVC, DEP, ["a", "b"]),
        ("shutdown_roles", SVC, DEP, ["a"], "StoppedDeallocated"),
        ("add_dns_server", SVC, DEP, "d", "8.8.8.8"),
        ("update_dns_server", SVC, DEP, "d", "8.8.4.4"),
        ("delete_dns_server", SVC, DEP, "d"),
        ("list_resource_extensions",),
        ("list_resource_extension_versions", "Microsoft.Compute", "BGInfo"),
        ("replicate_vm_image", "im", ["West US", "East US"], "o", "s", "v"),
        ("unreplicate_vm_image", "im"),
        ("share_vm_image", "im", "Public"),
        ("delete_vm_image", "im"),
        ("delete_vm_image", "im", True),
        (
            "capture_vm_image",
            SVC,
            DEP,
            ROLE,
            m.CaptureRoleAsVMImage("Specialized", "im", "lbl", "desc", "english", "mygroup"),
        ),
        (
            "capture_vm_image",
            SVC,
            DEP,
            ROLE,
            m.CaptureRoleAsVMImage("Generalized", "im", "lbl", recommended_vm_size="Small"),
        ),
        ("create_vm_image", vm_image(m)),
        ("create_vm_image", small_vm_image(m)),
        ("update_vm_image", "im", vm_image(m)),
        ("update_vm_image", "im", small_vm_image(m)),
        ("list_vm_images",),
        ("list_vm_images", "West US"),
        ("list_vm_images", None, "pub", "User"),
        ("list_os_images",),
        ("get_os_image", "im"),
        ("get_os_image_details", "im"),
        ("add_os_image", "l", URL, "im", "Linux"),
        ("update_os_image", "im", "l", URL, "im", "Linux"),
        ("update_os_image_from_image_reference", "im", os_image(m)),
        ("update_os_image_from_image_reference", "im", dated_os_image(m)),
        ("delete_os_image", "im"),
        ("delete_os_image", "im", True),
        ("get_data_disk", SVC, DEP, ROLE, 1),
        ("add_data_disk", SVC, DEP, ROLE, 1),
        ("add_data_disk", SVC, DEP, ROLE, 1, "ReadOnly", URL, "l", "n", 10, "http://s"),
        ("update_data_disk", SVC, DEP, ROLE, 1),
        ("update_data_disk", SVC, DEP, ROLE, 1, "ReadOnly", URL, 2, "l", "n", 10),
        ("delete_data_disk", SVC, DEP, ROLE, 1),
        ("delete_data_disk", SVC, DEP, ROLE, 1, True),
        ("list_disks",),
        ("get_disk", "d"),
        ("add_disk", True, "l", URL, "d", "Linux"),
        ("update_disk", "d", True, "l", URL, "d", "Linux"),
        ("delete_disk", "d"),
        ("delete_disk", "d", True),
        ("list_virtual_network_sites",),
        ("get_operation_status", "59833d59833d59833d59833d59833d59"),
    ]
    named = [
        (
            "create_storage_account",
            {"service_name": "acc", "description": "d", "label": "lä", "location": "West US"},
        ),
        (
            "create_storage_account",
            {
                "service_name": "acc",
                "description": "d",
                "label": "l",
                "affinity_group": "g",
                "extended_properties": PROPERTIES,
                "account_type": "Standard_LRS",
            },
        ),
        (
            "create_storage_account",
            {
                "service_name": "acc",
                "description": "d",
                "label": "l",
                "location": "x",
                "geo_replication_enabled": False,
            },
        ),
        (
            "create_storage_account",
            {
                "service_name": "acc",
                "description": "d",
                "label": "l",
                "location": "x",
                "extended_properties": {},
            },
        ),
        ("update_storage_account", {"service_name": "acc"}),
        (
            "update_storage_account",
            {
                "service_name": "acc",
                "description": "d",
                "label": "l",
                "geo_replication_enabled": False,
                "extended_properties": PROPERTIES,
            },
        ),
        ("create_hosted_service", {"service_name": SVC, "label": SVC, "location": "West US"}),
        (
            "create_hosted_service",
            {
                "service_name": SVC,
                "label": "lä",
                "description": "d",
                "affinity_group": "g",
                "extended_properties": PROPERTIES,
            },
        ),
        ("update_hosted_service", {"service_name": SVC}),
        (
            "update_hosted_service",
            {"service_name": SVC, "label": "l", "description": "d", "extended_properties": PROPERTIES},
        ),
        ("list_subscription_operations", {"operation_result_filter": "Failed"}),
        ("list_vm_images", {"category": "User"}),
    ]
    machine = {"role_name": ROLE, "system_config": plain_linux(m), "os_virtual_hard_disk": os_disk(m)}
    full = {
        "role_name": ROLE,
        "network_config": network(m),
        "availability_set_name": "as",
        "data_virtual_hard_disks": data_disks(m),
        "role_size": "Small",
        "resource_extension_references": extensions(m),
        "provision_guest_agent": True,
    }
    deployment = {
        "service_name": SVC,
        "deployment_name": DEP,
        "deployment_slot": "production",
        "label": "läbel",
    }
    at = {"service_name": SVC, "deployment_name": DEP}
    roles = [
        dict(machine, role_size="Small"),
        dict(
            full,
            system_config=linux(m),
            os_virtual_hard_disk=full_os_disk(m),
            vm_image_name="im",
            media_location="http://m",
        ),
        dict(full, system_config=windows(m), os_virtual_hard_disk=os_disk(m)),
        dict(
            machine,
            system_config=plain_windows(m),
            network_config=bare_network(m),
            provision_guest_agent=False,
        ),
        dict(machine, system_config=windows_defaults(m)),
        dict(machine, system_config=linux_without_ssh(m)),
        dict(machine, system_config=None, os_virtual_hard_disk=None, vm_image_name="im"),
        dict(
            machine, data_virtual_hard_disks=[m.DataVirtualHardDisk(URL)], network_config=m.ConfigurationSet()
        ),
        dict(machine, data_virtual_hard_disks=[], resource_extension_references=[]),
    ]
    for role in roles:
        named.append(("create_virtual_machine_deployment", dict(deployment, **role)))
        named.append(("add_role", dict(at, **role)))
    named.append(
        (
            "create_virtual_machine_deployment",
            dict(
                deployment,
                **dict(machine, virtual_network_name="net", dns_servers=dns(m), reserved_ip_name="ip"),
            ),
        )
    )
    named.append(("update_role", dict(at, role_name=ROLE)))
    named.append(("update_role", dict(at, os_virtual_hard_disk=full_os_disk(m), **full)))
    return [(name, list(args), {}) for name, *args in simple] + [(name, [], kwargs) for name, kwargs in named]


OTHER_CLIENTS = (
    "ServiceBusManagementService",
    "WebsiteManagementService",
    "SqlDatabaseManagementService",
    "SchedulerManagementService",
)
SHARED_METHODS = ("perform_", "wait_for_", "with_filter", "set_proxy", "timeout", "should_use_requests")
VALUES = {
    "host_names": ["a.example", "b.example"],
    "start_time": "2015-06-30T00:00:00Z",
    "end_time": "2015-07-01T00:00:00Z",
    "metrics": ["Requests", "CpuTime"],
    "names": ["Requests", "CpuTime"],
    "job": {"action": {"type": "http"}, "state": "Enabled"},
}


def calls_of_other_clients(m):
    """Every method of the other clients, with its required arguments and with all of them."""
    found = []
    for client in OTHER_CLIENTS:
        for name in sorted(dir(getattr(m, client))):
            if name.startswith(("_", *SHARED_METHODS)) or not callable(getattr(getattr(m, client), name)):
                continue
            parameters = list(inspect.signature(getattr(getattr(m, client), name)).parameters.values())[1:]
            required = {p.name: value_of(p) for p in parameters if p.default is p.empty}
            every = {p.name: value_of(p) for p in parameters}
            found += [(client, name, (), required), (client, name, (), every)]
    return found


def value_of(parameter):
    """Something that can be told apart from the default and from the other arguments."""
    if parameter.name in VALUES:
        return VALUES[parameter.name]
    if isinstance(parameter.default, bool):
        return not parameter.default
    return parameter.default + 7 if isinstance(parameter.default, int) else parameter.name + " value"
