"""The QEMU driver with a whole guest: the tiny Linux image, provisioned, logged in to, captured, and broken."""

from __future__ import annotations

import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from fabric.conftest import need_qemu
from fabric.guest import BOOT, Guest, begun, new_key, new_ovf, said, system_disk
from fabric.lab import MIB, PASSWORD, Lab, forward, free_port, processes, until
from reddog.fabric.qemu import Readiness

pytestmark = [pytest.mark.qemu, pytest.mark.slow]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    need_qemu()
    bench = Lab("qemu", tmp_path, readiness=Readiness(quiet=BOOT, at_most=2 * BOOT))
    yield bench
    bench.close()
    assert processes(bench.machines) == []
    assert list(bench.machines.glob("[!.]*")) == []


def test_a_machine_is_provisioned_once_and_keeps_what_is_written(lab: Lab) -> None:
    disk = system_disk(lab.root / "os.vhd", size=300 * MIB)
    odd = "a<b>&amp;'\"c\\d $e"
    guest = Guest.boot(lab, "vm-1", disk, new_ovf(password=odd, custom_data=b"custom\0data"))
    state = guest.ready()
    assert state.host_name == "web1"
    with guest.ssh(password=odd) as client:
        transport = client.get_transport()
        assert transport is not None
        assert transport.get_remote_server_key().get_fingerprint().hex(":") == state.ssh_host_key
        assert said(client, "hostname; whoami; sudo whoami; cat /etc/hostname").split() == [
            *("web1", "alice", "root", "web1")
        ]
        assert said(client, "sudo od -An -c /var/lib/waagent/CustomData").split()[6] == "\\0"
        assert int(said(client, "df -m / | awk 'END { print $2 }'")) > 220, "the root grew to the disk"
        secret = "sudo grep -rlF 'a<b>' /etc /var /run /home /usr/lib/reddog || true"
        assert said(client, secret) == "", "the password is nowhere in the guest"
        with client.open_sftp() as files:
            files.open("kept", "w").write("before")
    with guest.ssh(password=odd) as client:  # dropbear may hang up when a channel opens as another one closes
        begun(client, "sudo reboot")
    until(lambda: not guest.state.ready)
    again = guest.ready()
    assert (again.ssh_host_key, again.cause) == (state.ssh_host_key, None)
    with guest.ssh(password=odd) as client:
        assert said(client, "cat kept; echo; ls /var/lib/reddog").split() == [
            "before",
            "instance",
            "root-sectors",
        ]
        begun(client, "sudo poweroff")
    assert guest.stopped().cause == "guest-shutdown"
    assert b"web1 login:" in lab.driver.console("vm-1")


def test_passwords_can_be_refused_and_keys_accepted(lab: Lab) -> None:
    key, public = new_key()
    other, other_public = new_key()
    keys = [("AA", "/home/alice/.ssh/authorized_keys", public), ("BB", "", other_public)]
    ovf = new_ovf(disable_ssh_password=True, public_keys=keys)
    guest = Guest.boot(lab, "vm-1", system_disk(lab.root / "os.vhd"), ovf)
    guest.ready()
    assert guest.run("whoami", pkey=key) == "alice"
    assert guest.run("sudo id -u", pkey=other) == "0"
    for login in ({"password": PASSWORD}, {"pkey": new_key()[0]}, {"pkey": key, "user": "root"}):
        with pytest.raises(paramiko.AuthenticationException):
            guest.run("true", **login)
    assert _logs_in_by_serial(guest, "alice", PASSWORD)
    assert not _logs_in_by_serial(guest, "alice", "wrong")


def _logs_in_by_serial(guest: Guest, user: str, password: str) -> bool:
    path = guest.lab.driver.console_socket(guest.id)
    assert path is not None
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(path))
        console.settimeout(30)
        _expect(console, b"\r", b"login: ")
        _expect(console, user.encode() + b"\r", b"assword: ")
        found = _expect(console, password.encode() + b"\r", b"$ ", b"incorrect")
        if found == b"$ ":
            _expect(console, b"exit\r", b"login: ")
        return found == b"$ "


def _expect(console: socket.socket, line: bytes, *wanted: bytes) -> bytes:
    console.sendall(line)
    heard = b""
    while not (found := [mark for mark in wanted if mark in heard]):
        heard += console.recv(4096)
    return found[0]


def test_disks_and_forwards_change_under_a_running_guest(lab: Lab) -> None:
    first, second = lab.disk("one.vhd", size=8 * MIB, lun=0), lab.disk("two.vhd", size=16 * MIB, lun=5)
    guest = Guest.boot(lab, "vm-1", system_disk(lab.root / "os.vhd"), new_ovf(), data_disks=(first,))
    guest.ready()
    until(lambda: not (lab.machines / "vm-1" / "provisioning.iso").exists())
    with guest.ssh() as client:
        luns = "ls /sys/class/scsi_disk | sed 's/.*://' | sort -n | tr '\\n' ' '"
        assert said(client, luns) == "0"
        lab.driver.attach_disk("vm-1", second)
        until(lambda: said(client, luns) == "0 5")
        device = said(client, "basename $(echo /sys/class/scsi_disk/*:5/device/block/*)")
        assert int(said(client, f"cat /sys/block/{device}/size")) * 512 == second.size
        said(
            client, f"sudo mkfs.ext4 -qF /dev/{device} && sudo mount /dev/{device} /mnt && sudo touch /mnt/x"
        )
        said(client, "sudo umount /mnt")
        lab.driver.detach_disk("vm-1", 5)
        until(lambda: said(client, luns) == "0")
        assert b"reddog" not in second.path.read_bytes()[-512:], "the footer is out of the guest's reach"
        until(lambda: said(client, "ls /sys/block | grep -c '^vd'") == "1"), "the disc's device is gone"
        port = free_port()
        lab.driver.set_forwards("vm-1", (*guest.spec.forwards, forward(port, name="SSH2")))
        assert guest.run("hostname", port=port) == "web1"
        lab.driver.set_forwards("vm-1", (forward(port, name="SSH2"),))
        assert said(client, "hostname") == "web1", "an open connection outlives its forward"
        with pytest.raises(OSError, match="nable to connect"):
            guest.run("true")
        began = time.monotonic()
        lab.driver.shutdown("vm-1", timeout=60)
        assert time.monotonic() - began < 45, "the guest obeyed the power button"
    assert guest.state.cause == "host-shutdown"
    lab.driver.restart("vm-1")
    guest.ready()
    assert guest.run("dmesg | grep -c recovery || true", port=port) == "0", "the file system was left clean"


def test_captures_boot_as_copies_and_as_new_machines(lab: Lab) -> None:
    guest = Guest.boot(lab, "vm-1", system_disk(lab.root / "os.vhd"), new_ovf())
    state = guest.ready()
    guest.run("echo before >kept; sync")
    copy = lab.root / "copy.vhd"
    lab.driver.backup_disk("vm-1", None, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    guest.run("sudo waagent -deprovision -force")
    lab.driver.shutdown("vm-1", timeout=60)
    general = system_disk(lab.root / "general.vhd", source=guest.spec.os_disk.path)
    lab.driver.remove("vm-1")

    same = Guest.boot(lab, "vm-2", replace(guest.spec.os_disk, path=copy), None)
    new = Guest.boot(lab, "vm-3", general, new_ovf("db1", "bob", password="Other-secret-2"))
    assert (same.ready().host_name, same.state.ssh_host_key) == ("web1", state.ssh_host_key)
    assert same.run("cat kept") == "before"
    assert new.ready().host_name == "db1"
    assert new.state.ssh_host_key != state.ssh_host_key
    login = {"user": "bob", "password": "Other-secret-2"}
    assert new.run("hostname; sudo cat /home/alice/kept; id -u", **login).split() == ["db1", "before", "1001"]


def test_what_befalls_a_guest_is_seen_and_overcome(lab: Lab) -> None:
    guest = Guest.boot(lab, "vm-1", system_disk(lab.root / "os.vhd"), new_ovf())
    guest.ready()
    with guest.ssh() as client:
        begun(client, "sync; echo c | sudo tee /proc/sysrq-trigger")
        assert guest.stopped().cause == "panic"
    assert b"Kernel panic" in lab.driver.console("vm-1")

    lab.driver.restart("vm-1")
    ready = guest.ready()
    lab.reopen()
    assert guest.state == ready, "it was taken over as it was"
    with guest.ssh() as client:
        lab.reopen()
        assert said(client, "hostname") == "web1", "an open connection does not notice"

    lab.kill("vm-1")
    assert guest.stopped().cause == "killed"
    lab.driver.start(guest.spec)
    lab.reopen()  # while it boots
    assert guest.ready().ssh_host_key == ready.ssh_host_key
    assert guest.run("hostname") == "web1"
