"""Request bodies made of the caller's models.

Models serve requests and answers alike, so they have attributes that a request does not carry.  Here only
what the service reads is taken over; everything else is None, which the wire leaves out.  Callers may pass
anything that has the attributes, and any iterable for a collection, as they always could.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

from reddog import wire

T = TypeVar("T")


def only(cls: type[T], source: Any = None, /, *names: str, **values: Any) -> T:
    """Return a `cls` with the attributes `names` of `source` and with `values`; the others are None."""
    result = object.__new__(cls)
    for field in fields(cls):  # type: ignore[arg-type]
        setattr(result, field.name, None)
    for name in names:
        setattr(result, name, getattr(source, name))
    for name, value in values.items():
        setattr(result, name, value)
    return result


def collection(cls: type[T], attribute: str, items: Iterable[Any]) -> T:
    """Return a collection model `cls` whose list `attribute` holds `items`."""
    return only(cls, **{attribute: list(items)})


# -- Configuration sets ----------------------------------------------------------------------------------


def provisioning(configuration: Any) -> Any:
    """Return the Linux or Windows set for the wire; any other object gives None."""
    if isinstance(configuration, wire.WindowsConfigurationSet):
        return _windows(configuration)
    if isinstance(configuration, wire.LinuxConfigurationSet):
        return _linux(configuration)
    return None


def _linux(given: wire.LinuxConfigurationSet) -> wire.LinuxConfigurationSet:
    names = (
        "configuration_set_type",
        "host_name",
        "user_name",
        "user_password",
        "disable_ssh_password_authentication",
    )
    ssh = None
    if given.ssh is not None:
        keys = [only(wire.PublicKey, key, "fingerprint", "path") for key in given.ssh.public_keys or ()]
        pairs = [only(wire.KeyPair, pair, "fingerprint", "path") for pair in given.ssh.key_pairs or ()]
        ssh = only(
            wire.SSH,
            public_keys=collection(wire.PublicKeys, "public_keys", keys),
            key_pairs=collection(wire.KeyPairs, "key_pairs", pairs),
        )
    return only(wire.LinuxConfigurationSet, given, *names, ssh=ssh, custom_data=_custom_data(given))


def _windows(given: wire.WindowsConfigurationSet) -> wire.WindowsConfigurationSet:
    names = (
        "configuration_set_type",
        "computer_name",
        "admin_password",
        "reset_password_on_first_logon",
        "enable_automatic_updates",
        "time_zone",
        "admin_username",
    )
    return only(
        wire.WindowsConfigurationSet,
        given,
        *names,
        domain_join=_domain_join(given.domain_join),
        stored_certificate_settings=_certificate_settings(given.stored_certificate_settings),
        win_rm=_win_rm(given.win_rm),
        custom_data=_custom_data(given),
        additional_unattend_content=_unattend(given.additional_unattend_content),
    )


def _custom_data(given: Any) -> str | None:
    """Custom data is plain in the caller's model and base64 on the wire."""
    data = given.custom_data
    return None if data is None else base64.b64encode(str(data).encode("utf-8")).decode("ascii")


def _domain_join(given: Any) -> wire.DomainJoin | None:
    if given is None:
        return None
    credentials = only(wire.Credentials, given.credentials, "domain", "username", "password")
    return only(wire.DomainJoin, given, "join_domain", "machine_object_ou", credentials=credentials)


def _certificate_settings(given: Any) -> wire.StoredCertificateSettings | None:
    if given is None:
        return None
    names = ("store_location", "store_name", "thumbprint")
    settings = [only(wire.CertificateSetting, item, *names) for item in given]
    return collection(wire.StoredCertificateSettings, "stored_certificate_settings", settings)


def _win_rm(given: Any) -> wire.WinRM | None:
    if given is None:
        return None
    listeners = [only(wire.Listener, item, "protocol", "certificate_thumbprint") for item in given.listeners]
    return only(wire.WinRM, listeners=collection(wire.Listeners, "listeners", listeners))


def _unattend(given: Any) -> wire.AdditionalUnattendContent | None:
    if not given or not given.passes:
        return None
    return only(wire.AdditionalUnattendContent, given, "passes")


def network(given: Any) -> wire.ConfigurationSet:
    """Return the network configuration set for the wire."""
    endpoints = [_endpoint(item) for item in given.input_endpoints]
    addresses = [
        only(wire.PublicIP, item, "name", "idle_timeout_in_minutes") for item in given.public_ips or ()
    ]
    return only(
        wire.ConfigurationSet,
        given,
        "configuration_set_type",
        input_endpoints=collection(wire.ConfigurationSetInputEndpoints, "input_endpoints", endpoints),
        subnet_names=list(given.subnet_names or ()),
        static_virtual_network_ip_address=given.static_virtual_network_ip_address or None,
        public_ips=collection(wire.PublicIPs, "public_ips", addresses) if addresses else None,
    )


def _endpoint(given: Any) -> wire.ConfigurationSetInputEndpoint:
    names = (
        "load_balanced_endpoint_set_name",
        "local_port",
        "name",
        "port",
        "protocol",
        "enable_direct_server_return",
        "idle_timeout_in_minutes",
    )
    probe = given.load_balancer_probe
    wanted = probe and (probe.path or probe.port or probe.protocol)
    return only(
        wire.ConfigurationSetInputEndpoint,
        given,
        *names,
        load_balancer_probe=only(wire.LoadBalancerProbe, probe, "path", "port", "protocol")
        if wanted
        else None,
    )


# -- Roles -----------------------------------------------------------------------------------------------


def role(
    cls: type[T],
    *,
    role_name: str,
    role_type: str | None,
    system_config: Any = None,
    network_config: Any = None,
    os_virtual_hard_disk: Any = None,
    data_virtual_hard_disks: Iterable[Any] | None = None,
    resource_extension_references: Iterable[Any] | None = None,
    **values: Any,
) -> T:
    """Return a role of type `cls`; `values` are its plain values (role_size, vm_image_name ...)."""
    return only(
        cls,
        role_name=role_name,
        role_type=role_type,
        configuration_sets=_configuration_sets(system_config, network_config),
        resource_extension_references=_extensions(resource_extension_references),
        data_virtual_hard_disks=_data_disks(data_virtual_hard_disks),
        os_virtual_hard_disk=_os_disk(os_virtual_hard_disk),
        **values,
    )


def _configuration_sets(system_config: Any, network_config: Any) -> wire.ConfigurationSets | None:
    if not system_config and not network_config:
        return None
    sets = [provisioning(system_config)] if system_config is not None else []
    if network_config is not None:
        sets.append(network(network_config))
    return collection(wire.ConfigurationSets, "configuration_sets", sets)


def _extensions(given: Iterable[Any] | None) -> wire.ResourceExtensionReferences | None:
    references = [_extension(item) for item in given or ()]
    if not references:
        return None
    return collection(wire.ResourceExtensionReferences, "resource_extension_references", references)


def _extension(given: Any) -> wire.ResourceExtensionReference:
    values = [
        only(wire.ResourceExtensionParameterValue, item, "key", "value", "type")
        for item in given.resource_extension_parameter_values or ()
    ]
    cls, name = wire.ResourceExtensionParameterValues, "resource_extension_parameter_values"
    return only(
        wire.ResourceExtensionReference,
        given,
        "reference_name",
        "publisher",
        "name",
        "version",
        resource_extension_parameter_values=collection(cls, name, values) if values else None,
    )


def _data_disks(given: Iterable[Any] | None) -> wire.DataVirtualHardDisks | None:
    if given is None:
        return None
    names = (
        "host_caching",
        "disk_label",
        "disk_name",
        "lun",
        "logical_disk_size_in_gb",
        "media_link",
        "source_media_link",
    )
    disks = [only(wire.DataVirtualHardDisk, item, *names) for item in given]
    return collection(wire.DataVirtualHardDisks, "data_virtual_hard_disks", disks)


def _os_disk(given: Any) -> wire.OSVirtualHardDisk | None:
    names = (
        "host_caching",
        "disk_label",
        "disk_name",
        "media_link",
        "source_image_name",
        "os",
        "remote_source_image_link",
    )
    return None if given is None else only(wire.OSVirtualHardDisk, given, *names)


# -- Images ----------------------------------------------------------------------------------------------

_VM_IMAGE = (
    "language",
    "image_family",
    "recommended_vm_size",
    "eula",
    "icon_uri",
    "small_icon_uri",
    "privacy_uri",
    "published_date",
    "show_in_gui",
)
_OS_IMAGE = (
    "label",
    "eula",
    "description",
    "image_family",
    "show_in_gui",
    "icon_uri",
    "privacy_uri",
    "recommended_vm_size",
    "small_icon_uri",
    "language",
)


_DATA_DISK = ("host_caching", "lun", "media_link", "logical_disk_size_in_gb")
_DATA_DISK_CHANGES = ("name", "host_caching", "lun")


def new_vm_image(given: wire.VMImage) -> wire.VMImage:
    """Return the body of Create VM Image."""
    return _vm_image(given, ("os_state", "os", "media_link"), _DATA_DISK, "name")


def changed_vm_image(given: wire.VMImage) -> wire.VMImage:
    """Return the body of Update VM Image."""
    body = _vm_image(given, (), _DATA_DISK_CHANGES)
    body.data_disk_configurations = body.data_disk_configurations or collection(
        wire.DataDiskConfigurations, "data_disk_configurations", ()
    )
    return body


def _vm_image(
    given: wire.VMImage, os_disk: tuple[str, ...], data_disk: tuple[str, ...], *names: str
) -> wire.VMImage:
    data = [
        only(wire.DataDiskConfiguration, item, *data_disk) for item in given.data_disk_configurations or ()
    ]
    return only(
        wire.VMImage,
        given,
        *names,
        "label",
        "description",
        *_VM_IMAGE,
        os_disk_configuration=only(
            wire.OSDiskConfiguration, given.os_disk_configuration, "host_caching", *os_disk
        ),
        data_disk_configurations=collection(wire.DataDiskConfigurations, "data_disk_configurations", data)
        if data
        else None,
    )


def changed_os_image(given: wire.OSImage) -> wire.OSImage:
    """Return the body of Update OS Image."""
    return only(wire.OSImage, given, *_OS_IMAGE, published_date=given.published_date or None)
