"""What a guest is told when it is provisioned."""

from __future__ import annotations

from reddog.wire._schema import Collection, WireType, boolean, data, element, elements, model, text


@model
class LinuxConfigurationSet(WireType):
    """The element ``LinuxProvisioningConfigurationSet``."""

    _xml_name = "ConfigurationSet"
    _unordered = True
    _order = (
        "configuration_set_type",
        "host_name",
        "user_name",
        "user_password",
        "disable_ssh_password_authentication",
        "ssh",
        "custom_data",
    )

    host_name: str | None = text("HostName", required=True)
    user_name: str | None = text("UserName", required=True)
    user_password: str | None = text("UserPassword", secret=True)
    disable_ssh_password_authentication: bool | None = boolean("DisableSshPasswordAuthentication")
    custom_data: str | None = data("CustomData", secret=True)
    configuration_set_type: str | None = text(
        "ConfigurationSetType", "LinuxProvisioningConfiguration", required=True
    )
    ssh: SSH | None = element("SSH", "SSH")


@model
class WindowsConfigurationSet(WireType):
    """The element ``WindowsProvisioningConfigurationSet`` of a request."""

    _xml_name = "ConfigurationSet"
    _unordered = True
    _order = (
        "configuration_set_type",
        "computer_name",
        "admin_password",
        "reset_password_on_first_logon",
        "enable_automatic_updates",
        "time_zone",
        "domain_join",
        "stored_certificate_settings",
        "win_rm",
        "admin_username",
        "custom_data",
        "additional_unattend_content",
    )

    computer_name: str | None = text("ComputerName")
    admin_password: str | None = text("AdminPassword", required=True, secret=True)
    reset_password_on_first_logon: bool | None = boolean("ResetPasswordOnFirstLogon")
    enable_automatic_updates: bool | None = boolean("EnableAutomaticUpdates")
    time_zone: str | None = text("TimeZone")
    admin_username: str | None = text("AdminUsername", required=True)
    custom_data: str | None = data("CustomData", secret=True)
    configuration_set_type: str | None = text(
        "ConfigurationSetType", "WindowsProvisioningConfiguration", required=True
    )
    domain_join: DomainJoin | None = element("DomainJoin", "DomainJoin")
    stored_certificate_settings: StoredCertificateSettings | None = element(
        "StoredCertificateSettings", "StoredCertificateSettings"
    )
    win_rm: WinRM | None = element("WinRM", "WinRM")
    additional_unattend_content: AdditionalUnattendContent | None = element(
        "AdditionalUnattendContent", "AdditionalUnattendContent"
    )


@model
class SSH(WireType):
    """The element ``SSH`` of a request."""

    public_keys: PublicKeys | None = element("PublicKeys", "PublicKeys")
    key_pairs: KeyPairs | None = element("KeyPairs", "KeyPairs")


@model
class PublicKeys(Collection["PublicKey"]):
    """The element ``PublicKeys`` of a request."""

    public_keys: list[PublicKey] = elements("PublicKey")


@model
class KeyPairs(Collection["KeyPair"]):
    """The element ``KeyPairs`` of a request."""

    key_pairs: list[KeyPair] = elements("KeyPair")


@model
class PublicKey(WireType):
    """The element ``PublicKey`` of a request."""

    fingerprint: str | None = text("Fingerprint", "", required=True)
    path: str | None = text("Path", "", required=True)


@model
class KeyPair(WireType):
    """The element ``KeyPair`` of a request."""

    fingerprint: str | None = text("Fingerprint", "", required=True)
    path: str | None = text("Path", "", required=True)


@model
class DomainJoin(WireType):
    """The element ``DomainJoin``."""

    credentials: Credentials | None = element("Credentials", "Credentials")
    provisioning: DomainJoinProvisioning | None = element(
        "Provisioning", "DomainJoinProvisioning", absent=True
    )
    join_domain: str | None = text("JoinDomain", "")
    machine_object_ou: str | None = text("MachineObjectOU", "")


@model
class Credentials(WireType):
    """The element ``DomainJoinCredentials``."""

    _xml_name = "DomainJoinCredentials"

    domain: str | None = text("Domain", "")
    username: str | None = text("Username", "")
    password: str | None = text("Password", "", secret=True)


@model
class DomainJoinProvisioning(WireType):
    """The element ``DomainJoinProvisioning``."""

    account_data: str | None = data("AccountData", secret=True)


@model
class StoredCertificateSettings(Collection["CertificateSetting"]):
    """The element ``StoredCertificateSettings`` of a request."""

    stored_certificate_settings: list[CertificateSetting] = elements("CertificateSetting")


@model
class CertificateSetting(WireType):
    """The element ``CertificateSetting`` of a request."""

    _order = (
        "store_location",
        "store_name",
        "thumbprint",
    )

    thumbprint: str | None = text("Thumbprint", "", required=True)
    store_name: str | None = text("StoreName", "", required=True)
    store_location: str | None = text("StoreLocation", "", required=True)


@model
class WinRM(WireType):
    """The element ``WinRM`` of a request."""

    listeners: Listeners | None = element("Listeners", "Listeners", required=True)


@model
class Listeners(Collection["Listener"]):
    """The element ``Listeners`` of a request."""

    listeners: list[Listener] = elements("Listener")


@model
class Listener(WireType):
    """The element ``Listener`` of a request."""

    _unordered = True
    _order = (
        "certificate_thumbprint",
        "protocol",
    )

    protocol: str | None = text("Protocol", "", required=True)
    certificate_thumbprint: str | None = text("CertificateThumbprint", "")


@model
class AdditionalUnattendContent(WireType):
    """The element ``AdditionalUnattendContent``."""

    passes: Passes | None = element("Passes", "Passes", required=True)


@model
class Passes(Collection["UnattendPass"]):
    """The element ``Passes``."""

    passes: list[UnattendPass] = elements("UnattendPass")


@model
class UnattendPass(WireType):
    """The element ``UnattendPass``."""

    pass_name: str | None = text("PassName", "")
    components: Components | None = element("Components", "Components")


@model
class Components(Collection["UnattendComponent"]):
    """The element ``UnattendComponents``."""

    _xml_name = "UnattendComponents"

    components: list[UnattendComponent] = elements("UnattendComponent")


@model
class UnattendComponent(WireType):
    """The element ``UnattendComponent``."""

    component_name: str | None = text("ComponentName", "")
    component_settings: ComponentSettings | None = element("ComponentSettings", "ComponentSettings")


@model
class ComponentSettings(Collection["ComponentSetting"]):
    """The element ``ComponentSettings``."""

    component_settings: list[ComponentSetting] = elements("ComponentSetting")


@model
class ComponentSetting(WireType):
    """The element ``ComponentSetting``."""

    setting_name: str | None = text("SettingName", "")
    content: str | None = data("Content", "")
