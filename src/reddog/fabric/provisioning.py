"""What a new guest is told: ovf-env.xml as Azure's guests know it, and the disc that carries it.

The disc is attached twice from one file: as a virtio disk (serial `provisioning`), and as a SCSI CD-ROM,
which is where the Azure Linux agent and cloud-init look. It exists only until the guest has reported ready.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pycdlib
from lxml import etree

from reddog.fabric._files import create_private, partial
from reddog.fabric.compute import MachineError

OVF = "http://schemas.dmtf.org/ovf/environment/1"
AZURE = "http://schemas.microsoft.com/windowsazure"
REDDOG = "urn:reddog:provisioning"  # of what Azure's guests get in another way: certificates
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NAMES: dict[Any, str] = {None: OVF, "wa": AZURE, "i": _XSI}
_AZURE_FIRST: dict[Any, str] = {None: AZURE}
_REDDOG_FIRST: dict[Any, str] = {None: REDDOG}
_FILE_NAME = "ovf-env.xml"


@dataclass(frozen=True)
class GuestCertificate:
    """A certificate that a guest is given, as PEM, with its private key (PKCS #8) if there is one."""

    thumbprint: str
    certificate: str
    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DomainJoin:
    """How a Windows guest joins a domain: with credentials, or with account data prepared before (base64)."""

    join_domain: str | None = None
    machine_object_ou: str | None = None
    domain: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    account_data: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UnattendSetting:
    """One addition to a Windows guest's unattend file; `content` is base64, as in the API."""

    pass_name: str
    component_name: str
    setting_name: str
    content: str = field(repr=False)


def linux_ovf(
    host_name: str,
    user_name: str,
    password: str | None,
    disable_ssh_password: bool,
    public_keys: Iterable[tuple[str, str, str]],
    custom_data: bytes | None,
    key_pairs: Iterable[tuple[str, str, str]] = (),
    certificates: Iterable[GuestCertificate] = (),
) -> bytes:
    """ovf-env.xml for a Linux guest.

    public_keys: (fingerprint, path in the guest, value: an OpenSSH public key or a PEM certificate).
    custom_data: the decoded bytes. key_pairs: (fingerprint, path of the private key in the guest, OpenSSH public key);
    their private keys are among `certificates`, which the guest keeps.
    Raises MachineError InvalidSpec for text that XML cannot hold.
    Source: LinuxProvisioningConfigurationSet, xml-elements.md.
    """
    section = _Section("LinuxProvisioningConfiguration")
    section.text("HostName", host_name)
    section.text("UserName", user_name)
    section.text("UserPassword", password)
    section.flag("DisableSshPasswordAuthentication", disable_ssh_password)
    for name, keys in (("PublicKey", public_keys), ("KeyPair", key_pairs)):
        rows = [zip(("Fingerprint", "Path", "Value"), key, strict=True) for key in keys]
        section.table(("SSH", f"{name}s"), name, rows)
    section.data("CustomData", custom_data)
    return section.document(certificates)


def windows_ovf(
    computer_name: str | None,
    admin_username: str | None,
    admin_password: str,
    *,
    reset_password_on_first_logon: bool | None = None,
    enable_automatic_updates: bool | None = None,
    time_zone: str | None = None,
    domain_join: DomainJoin | None = None,
    stored_certificates: Iterable[tuple[str, str, str]] = (),
    winrm_listeners: Iterable[tuple[str, str | None]] = (),
    custom_data: bytes | None = None,
    unattend: Sequence[UnattendSetting] = (),
    certificates: Iterable[GuestCertificate] = (),
) -> bytes:
    """ovf-env.xml for a Windows guest.

    stored_certificates: (store location, store name, thumbprint). winrm_listeners: (`Http` or `Https`,
    certificate thumbprint or None). certificates: all that these name.
    Raises MachineError InvalidSpec for text that XML cannot hold.
    Source: WindowsProvisioningConfigurationSet, xml-elements.md.
    """
    section = _Section("WindowsProvisioningConfiguration")
    section.text("ComputerName", computer_name)
    section.text("AdminPassword", admin_password)
    section.flag("ResetPasswordOnFirstLogon", reset_password_on_first_logon)
    section.flag("EnableAutomaticUpdates", enable_automatic_updates)
    section.text("TimeZone", time_zone)
    if domain_join is not None:
        _domain_join(section, domain_join)
    names = ("StoreLocation", "StoreName", "Thumbprint")
    stored = [zip(names, row, strict=True) for row in stored_certificates]
    section.table(("StoredCertificateSettings",), "CertificateSetting", stored)
    listeners = [(("CertificateThumbprint", mark), ("Protocol", name)) for name, mark in winrm_listeners]
    section.table(("WinRM", "Listeners"), "Listener", listeners)
    section.text("AdminUsername", admin_username)
    section.data("CustomData", custom_data)
    if unattend:
        _unattend(section, unattend)
    return section.document(certificates)


def write_disc(path: Path, ovf: bytes) -> None:
    """Make the ISO 9660 disc (with Rock Ridge and Joliet names) that holds ovf-env.xml, 0600.

    Raises MachineError NoSpace.
    """
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="PROVISIONING")
    disc.add_fp(io.BytesIO(ovf), len(ovf), "/OVF_ENV.XML;1", rr_name=_FILE_NAME, joliet_path=f"/{_FILE_NAME}")
    draft = partial(path)
    with os.fdopen(create_private(draft), "wb") as file:
        disc.write_fp(file)
    disc.close()
    draft.replace(path)


def host_name(ovf: bytes) -> str | None:
    """The host name that ovf-env.xml gives, if any."""
    root = _parse(ovf)
    names = (root.find(f".//{{{AZURE}}}{tag}") for tag in ("HostName", "ComputerName"))
    return next((name.text for name in names if name is not None and name.text), None)


def _parse(ovf: bytes) -> etree._Element:
    try:
        return etree.fromstring(ovf, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise MachineError("InvalidSpec", "The provisioning document is not XML.") from None


class _Section:
    """The provisioning section under construction; absent values leave no element."""

    def __init__(self, kind: str) -> None:
        self._root = etree.Element(f"{{{OVF}}}Environment", nsmap=_NAMES)
        provisioning = etree.SubElement(self._root, f"{{{AZURE}}}ProvisioningSection")
        etree.SubElement(provisioning, f"{{{AZURE}}}Version").text = "1.0"
        self._set = etree.SubElement(provisioning, f"{{{AZURE}}}{kind}Set", nsmap=_AZURE_FIRST)
        self.text("ConfigurationSetType", kind)

    def child(self, name: str, parent: etree._Element | None = None) -> etree._Element:
        return etree.SubElement(self._set if parent is None else parent, f"{{{AZURE}}}{name}")

    def text(self, name: str, value: str | None, parent: etree._Element | None = None) -> None:
        if value is None:
            return
        try:
            self.child(name, parent).text = value
        except ValueError:  # the text is not repeated: it may be a password
            message = f"{name} holds characters that XML cannot carry."
            raise MachineError("InvalidSpec", message, "Remove its control characters.") from None

    def flag(self, name: str, value: bool | None) -> None:
        if value is not None:
            self.text(name, "true" if value else "false")

    def data(self, name: str, value: bytes | None) -> None:
        if value is not None:
            self.text(name, base64.b64encode(value).decode())

    def table(self, path: Sequence[str], name: str, rows: Sequence[Iterable[tuple[str, str | None]]]) -> None:
        """Rows of named values under `path`, whose elements may be there; nothing at all when there are no rows."""
        if not rows:
            return
        parent = self._set
        for step in path:
            there = parent.find(f"{{{AZURE}}}{step}")
            parent = self.child(step, parent) if there is None else there
        for row in rows:
            element = self.child(name, parent)
            for key, value in row:
                self.text(key, value, element)

    def document(self, certificates: Iterable[GuestCertificate]) -> bytes:
        platform = etree.SubElement(self._root, f"{{{AZURE}}}PlatformSettingsSection")
        etree.SubElement(platform, f"{{{AZURE}}}Version").text = "1.0"
        settings = etree.SubElement(platform, f"{{{AZURE}}}PlatformSettings", nsmap=_AZURE_FIRST)
        self.text("ProvisionGuestAgent", "false", settings)
        for one in certificates:
            element = etree.SubElement(self._root, f"{{{REDDOG}}}Certificate", nsmap=_REDDOG_FIRST)
            for name, value in (
                ("Thumbprint", one.thumbprint),
                ("Data", one.certificate),
                ("PrivateKey", one.private_key),
            ):
                if value is not None:
                    etree.SubElement(element, f"{{{REDDOG}}}{name}").text = value
        return etree.tostring(self._root, xml_declaration=True, encoding="utf-8")


def _domain_join(section: _Section, join: DomainJoin) -> None:
    element = section.child("DomainJoin")
    if join.username is not None or join.domain is not None:
        credentials = section.child("Credentials", element)
        section.text("Domain", join.domain, credentials)
        section.text("Username", join.username, credentials)
        section.text("Password", join.password, credentials)
    if join.account_data is not None:
        section.text("AccountData", join.account_data, section.child("Provisioning", element))
    section.text("JoinDomain", join.join_domain, element)
    section.text("MachineObjectOU", join.machine_object_ou, element)


def _unattend(section: _Section, settings: Sequence[UnattendSetting]) -> None:
    passes = section.child("Passes", section.child("AdditionalUnattendContent"))
    for setting in settings:
        one = section.child("UnattendPass", passes)
        section.text("PassName", setting.pass_name, one)
        component = section.child("UnattendComponent", section.child("Components", one))
        section.text("ComponentName", setting.component_name, component)
        entry = section.child("ComponentSetting", section.child("ComponentSettings", component))
        section.text("SettingName", setting.setting_name, entry)
        section.text("Content", setting.content, entry)
