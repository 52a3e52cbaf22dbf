"""What a new guest is told."""

from __future__ import annotations

import base64
import io
import stat
from pathlib import Path

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from reddog.fabric import MachineError
from reddog.fabric.provisioning import (
    AZURE,
    OVF,
    DomainJoin,
    UnattendSetting,
    host_name,
    linux_ovf,
    windows_ovf,
    write_disc,
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=60)


def texts(ovf: bytes, path: str) -> list[str | None]:
    root = etree.fromstring(ovf)
    return [
        element.text
        for element in root.iterfind(".//" + "/".join(f"{{{AZURE}}}{step}" for step in path.split("/")))
    ]


def test_a_linux_guest_finds_its_configuration_set() -> None:
    keys = [
        ("AB12", "/home/alice/.ssh/authorized_keys", "ssh-ed25519 AAAA"),
        ("CD34", "/root/key", "ssh-rsa BBBB"),
    ]
    ovf = linux_ovf("web1", "alice", "p<&>ä", False, keys, b"\0\1custom")
    root = etree.fromstring(ovf)
    assert root.tag == f"{{{OVF}}}Environment"
    [section] = root.iterfind(f"{{{AZURE}}}ProvisioningSection/{{{AZURE}}}LinuxProvisioningConfigurationSet")
    assert [etree.QName(child).localname for child in section] == [
        "ConfigurationSetType",
        "HostName",
        "UserName",
        "UserPassword",
        "DisableSshPasswordAuthentication",
        "SSH",
        "CustomData",
    ]
    assert texts(ovf, "UserPassword") == ["p<&>ä"]
    assert texts(ovf, "DisableSshPasswordAuthentication") == ["false"]
    assert texts(ovf, "SSH/PublicKeys/PublicKey/Path") == [key[1] for key in keys]
    assert texts(ovf, "PublicKey/Value") == [key[2] for key in keys]
    assert base64.b64decode(texts(ovf, "CustomData")[0] or "") == b"\0\1custom"
    assert texts(ovf, "PlatformSettings/ProvisionGuestAgent") == ["false"]
    assert host_name(ovf) == "web1"


def test_what_is_not_given_is_not_there() -> None:
    ovf = linux_ovf("web1", "alice", None, True, [], None)
    assert not texts(ovf, "UserPassword") + texts(ovf, "SSH") + texts(ovf, "CustomData")
    assert texts(ovf, "DisableSshPasswordAuthentication") == ["true"]


def test_a_windows_guest_finds_every_member() -> None:
    ovf = windows_ovf(
        "WIN1",
        "bob",
        "secret",
        reset_password_on_first_logon=False,
        enable_automatic_updates=True,
        time_zone="Tokyo Standard Time",
        domain_join=DomainJoin("corp.example", "OU=x", "corp", "joiner", "joinsecret", "QUJD"),
        stored_certificates=[("LocalMachine", "My", "AA")],
        winrm_listeners=[("Https", "AA"), ("Http", None)],
        custom_data=b"hi",
        unattend=[UnattendSetting("oobeSystem", "Shell", "AutoLogon", "PGE+")],
    )
    assert texts(ovf, "ComputerName") == ["WIN1"]
    assert texts(ovf, "AdminUsername") == ["bob"]
    assert texts(ovf, "AdminPassword") == ["secret"]
    assert texts(ovf, "ResetPasswordOnFirstLogon") == ["false"]
    assert texts(ovf, "EnableAutomaticUpdates") == ["true"]
    assert texts(ovf, "TimeZone") == ["Tokyo Standard Time"]
    assert texts(ovf, "DomainJoin/Credentials/Password") == ["joinsecret"]
    assert texts(ovf, "DomainJoin/Provisioning/AccountData") == ["QUJD"]
    assert texts(ovf, "DomainJoin/JoinDomain") == ["corp.example"]
    assert texts(ovf, "DomainJoin/MachineObjectOU") == ["OU=x"]
    assert texts(ovf, "CertificateSetting/Thumbprint") == ["AA"]
    assert texts(ovf, "WinRM/Listeners/Listener/Protocol") == ["Https", "Http"]
    assert texts(ovf, "Listener/CertificateThumbprint") == ["AA"]
    assert texts(ovf, "CustomData") == ["aGk="]
    assert texts(ovf, "UnattendPass/PassName") == ["oobeSystem"]
    assert texts(ovf, "ComponentSetting/Content") == ["PGE+"]
    assert host_name(ovf) == "WIN1"


@given(TEXT, TEXT, TEXT)
def test_any_text_arrives(name: str, user: str, password: str) -> None:
    ovf = linux_ovf(name, user, password, False, [("AB", user, name)], None)
    assert [texts(ovf, tag)[0] or "" for tag in ("HostName", "UserName", "UserPassword")] == [
        name,
        user,
        password,
    ]


def test_text_that_xml_cannot_carry_is_refused_without_repeating_it() -> None:
    with pytest.raises(MachineError) as caught:
        linux_ovf("web1", "alice", "hush\0hush", False, [], None)
    assert caught.value.code == "InvalidSpec"
    assert "UserPassword" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(DomainJoin(password="hush", account_data="hush"))
    assert "hush" not in repr(UnattendSetting("a", "b", "c", "hush"))


def test_a_document_that_is_not_xml_is_refused() -> None:
    with pytest.raises(MachineError, match="not XML"):
        host_name(b"hello")


def test_the_disc_holds_the_document_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "disc.iso"
    ovf = linux_ovf("web1", "alice", "secret", False, [], b"x" * 70_000)
    write_disc(path, ovf)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    disc = pycdlib.PyCdlib()
    disc.open(str(path))
    for where in ({"rr_path": "/ovf-env.xml"}, {"joliet_path": "/ovf-env.xml"}):
        read = io.BytesIO()
        disc.get_file_from_iso_fp(read, **where)
        assert read.getvalue() == ovf
    disc.close()
