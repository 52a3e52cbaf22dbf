"""What a Windows guest is told: from the client's request to the disc that it finds.

No Windows is at hand to boot, so the document is read back from the disc.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from lxml import etree

from certificates import make_client
from reddog import pki, wire
from reddog.fabric import provisioning
from services import bodies
from services.world import World, url

CREATE = "Create Virtual Machine Deployment"
NAMESPACE = f"{{{provisioning.AZURE}}}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Base64 and thumbprint."""
    made = make_client(tmp_path_factory.mktemp("pki"), "stored").certificate
    return base64.b64encode(made.der).decode(), made.thumbprint


@pytest.fixture
def windows(place: World, certificate: tuple[str, str]) -> World:
    """The image `win` is there, and the service has a certificate; machines take their time to boot."""
    place.put_vhd(url("win.vhd"))
    place.do("Add OS Image", bodies.os_image("win", url("win.vhd"), os="Windows"))
    body = wire.only(wire.CertificateFile, data=certificate[0], certificate_format="cer")
    place.do("Add Service Certificate", body, service="svc")
    place.driver.boot_time = 60
    return place


def role(**values: Any) -> wire.PersistentVMRole:
    given = {
        "configuration_set_type": "WindowsProvisioningConfiguration",
        "admin_username": "jo",
        "admin_password": "Passw0rd!",
        **values,
    }
    words = wire.only(wire.WindowsConfigurationSet, **given)
    return bodies.role(disk=bodies.system_disk("sys.vhd", source_image_name="win"), provisioning=words)


def disc_of(world: World, directory: Path) -> etree._Element:
    """The configuration set on the provisioning disc of the role `vm`."""
    [document] = world.directory.glob(f"machines/{world.machine('vm')}/ovf-env.xml")
    path = directory / "provisioning.iso"
    provisioning.write_disc(path, document.read_bytes())
    disc = pycdlib.PyCdlib()
    disc.open(str(path))
    content = io.BytesIO()
    disc.get_file_from_iso_fp(content, joliet_path="/ovf-env.xml")
    disc.close()
    root = etree.fromstring(content.getvalue())
    [found] = root.iter(f"{NAMESPACE}WindowsProvisioningConfigurationSet")
    return found


def given_certificates(configuration: etree._Element) -> list[tuple[str, bytes]]:
    """Thumbprint and content of the certificates beside a configuration set."""
    found = configuration.getroottree().getroot().iter(f"{{{provisioning.REDDOG}}}Certificate")
    told = [{etree.QName(child).localname: child.text or "" for child in one} for one in found]
    return [(one["Thumbprint"], pki.load_certificate(one["Data"].encode()).der) for one in told]


def tree(node: etree._Element) -> Any:
    """An element as names and texts."""
    if len(node) == 0:
        return node.text
    return [(etree.QName(child).localname, tree(child)) for child in node]


def test_a_whole_configuration_is_on_the_disc(
    windows: World, certificate: tuple[str, str], tmp_path: Path
) -> None:
    mark = certificate[1]
    command = base64.b64encode(b"<FirstLogonCommands/>").decode()
    setting = wire.ComponentSetting("FirstLogonCommands", command)
    component = wire.UnattendComponent("Microsoft-Windows-Shell-Setup", wire.ComponentSettings([setting]))
    passes = wire.Passes([wire.UnattendPass("oobeSystem", wire.Components([component]))])
    body = role(
        computer_name="tourwin",
        reset_password_on_first_logon=True,
        enable_automatic_updates=False,
        time_zone="Pacific Standard Time",
        domain_join=wire.only(
            wire.DomainJoin,
            credentials=wire.Credentials("corp", "joiner", "Join-passw0rd"),
            join_domain="corp.example",
            machine_object_ou="OU=vms",
        ),
        stored_certificate_settings=wire.StoredCertificateSettings(
            [wire.CertificateSetting(mark, "My", "LocalMachine")]
        ),
        win_rm=wire.WinRM(wire.Listeners([wire.Listener("Https", mark), wire.Listener("Http", "")])),
        custom_data=base64.b64encode(b"\0custom").decode(),
        additional_unattend_content=wire.AdditionalUnattendContent(passes),
    )
    windows.do(CREATE, bodies.deployment(body), service="svc")
    unattend = ("UnattendComponent", [("ComponentName", "Microsoft-Windows-Shell-Setup")])
    unattend[1].append(
        (
            "ComponentSettings",
            [("ComponentSetting", [("SettingName", "FirstLogonCommands"), ("Content", command)])],
        )
    )
    found = disc_of(windows, tmp_path)
    assert given_certificates(found) == [(mark, base64.b64decode(certificate[0]))]
    assert tree(found) == [
        ("ConfigurationSetType", "WindowsProvisioningConfiguration"),
        ("ComputerName", "tourwin"),
        ("AdminPassword", "Passw0rd!"),
        ("ResetPasswordOnFirstLogon", "true"),
        ("EnableAutomaticUpdates", "false"),
        ("TimeZone", "Pacific Standard Time"),
        (
            "DomainJoin",
            [
                ("Credentials", [("Domain", "corp"), ("Username", "joiner"), ("Password", "Join-passw0rd")]),
                ("JoinDomain", "corp.example"),
                ("MachineObjectOU", "OU=vms"),
            ],
        ),
        (
            "StoredCertificateSettings",
            [
                (
                    "CertificateSetting",
                    [("StoreLocation", "LocalMachine"), ("StoreName", "My"), ("Thumbprint", mark)],
                )
            ],
        ),
        (
            "WinRM",
            [
                (
                    "Listeners",
                    [
                        ("Listener", [("CertificateThumbprint", mark), ("Protocol", "Https")]),
                        ("Listener", [("Protocol", "Http")]),
                    ],
                )
            ],
        ),
        ("AdminUsername", "jo"),
        ("CustomData", base64.b64encode(b"\0custom").decode()),
        (
            "AdditionalUnattendContent",
            [("Passes", [("UnattendPass", [("PassName", "oobeSystem"), ("Components", [unattend])])])],
        ),
    ]


def test_the_disc_is_gone_when_the_guest_is_ready(windows: World) -> None:
    windows.driver.boot_time = 0.1
    windows.do(CREATE, bodies.deployment(role(computer_name="pc")), service="svc")
    windows.eventually(lambda: not list(windows.directory.rglob("ovf-env.xml")))
    for path in windows.directory.glob("machines/**/*"):
        assert not path.is_file() or b"Passw0rd!" not in path.read_bytes()


def test_what_a_client_leaves_empty_is_not_on_the_disc(windows: World, tmp_path: Path) -> None:
    """The published client sends a domain to join with all its members empty, unless it is told not to."""
    body = role(
        computer_name="",
        time_zone="",
        domain_join=wire.DomainJoin(wire.Credentials()),
        stored_certificate_settings=wire.StoredCertificateSettings(),
        win_rm=wire.WinRM(wire.Listeners([])),
    )
    windows.do(CREATE, bodies.deployment(body), service="svc")
    assert tree(disc_of(windows, tmp_path)) == [
        ("ConfigurationSetType", "WindowsProvisioningConfiguration"),
        ("ComputerName", "vm"),
        ("AdminPassword", "Passw0rd!"),
        ("AdminUsername", "jo"),
    ]


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        ({"computer_name": "x" * 16}, "BadRequest", "15"),
        ({"computer_name": "12345"}, "BadRequest", "12345"),
        ({"admin_username": "Administrator"}, "BadRequest", "Administrator"),
        ({"admin_password": "password"}, "BadRequest", "three kinds"),
        ({"custom_data": base64.b64encode(bytes(65537)).decode()}, "BadRequest", "65536"),
        (
            {
                "stored_certificate_settings": wire.StoredCertificateSettings(
                    [wire.CertificateSetting("AB" * 20, "My", "LocalMachine")]
                )
            },
            "BadRequest",
            "AB" * 20,
        ),
        (
            {"win_rm": wire.WinRM(wire.Listeners([wire.Listener("Https", "CD" * 20)]))},
            "BadRequest",
            "CD" * 20,
        ),
        ({"win_rm": wire.WinRM(wire.Listeners([wire.Listener("Telnet", "")]))}, "InvalidXmlRequest", "Https"),
    ],
)
def test_what_breaks_the_rules_is_refused_by_name(
    windows: World, values: dict[str, Any], code: str, told: str
) -> None:
    body = role(**{"computer_name": "pc", **values})
    message = windows.refuses(code, CREATE, bodies.deployment(body), service="svc")
    assert told in message
    assert "Passw0rd!" not in message
