"""Machines that run the tiny Linux image, and SSH into them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from fabric.lab import PASSWORD, Lab, forward, free_port, until
from reddog import vhd
from reddog.fabric import Disk, MachineSpec, MachineState
from reddog.fabric.provisioning import linux_ovf
from tiny_image import tiny_image

BOOT = 150  # seconds; an emulated machine on a busy host is slow


def new_ovf(host_name: str = "web1", user_name: str = "alice", **changes: Any) -> bytes:
    values = {"password": PASSWORD, "disable_ssh_password": False, "public_keys": [], "custom_data": None}
    return linux_ovf(host_name, user_name, **{**values, **changes})


def system_disk(path: Path, *, source: Path | None = None, size: int | None = None) -> Disk:
    """A copy of the image, or of another disk; `size` makes it larger, as the cloud does."""
    subprocess.run(["cp", "--sparse=always", source or tiny_image().path, path], check=True)
    if size is not None:
        with path.open("r+b") as file:
            file.truncate(file.seek(-vhd.FOOTER_SIZE, 2))
            file.truncate(size)
        vhd.write_footer(path)
    return Disk(path, vhd.verify(path).size, None)


@dataclass
class Guest:
    """One machine in a lab, with a forward to its SSH server."""

    lab: Lab
    id: str
    port: int
    spec: MachineSpec

    @classmethod
    def boot(cls, lab: Lab, id: str, disk: Disk, ovf: bytes | None, **changes: Any) -> Guest:
        port = free_port()
        forwards = (forward(port), *changes.pop("forwards", ()))
        spec = lab.spec(id, os_disk=disk, memory_mb=192, provisioning=ovf, forwards=forwards, **changes)
        lab.driver.start(spec)
        return cls(lab, id, port, spec)

    def ready(self) -> MachineState:
        """Wait until the guest has said that it is ready."""
        until(lambda: self.state.ready or self.state.power == "stopped", BOOT)
        assert self.state.ready, self.lab.driver.console(self.id)[-2000:].decode(errors="replace")
        return self.state

    @property
    def state(self) -> MachineState:
        return self.lab.state(self.id)

    @contextmanager
    def ssh(self, user: str = "alice", port: int = 0, **login: Any) -> Iterator[paramiko.SSHClient]:
        """A session, by the password unless something else is given."""
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(
                "127.0.0.1",
                port or self.port,
                user,
                allow_agent=False,
                look_for_keys=False,
                timeout=30,
                banner_timeout=60,
                auth_timeout=60,
                **(login or {"password": PASSWORD}),
            )
            yield client

    def run(self, command: str, **login: Any) -> str:
        """What a command says; it must succeed."""
        with self.ssh(**login) as client:
            return said(client, command)

    def host_key(self) -> str:
        """The MD5 fingerprint of the key that the SSH server shows."""
        with self.ssh() as client:
            transport = client.get_transport()
            assert transport is not None
            return transport.get_remote_server_key().get_fingerprint().hex(":")

    def stopped(self) -> MachineState:
        until(lambda: self.state.power == "stopped", 60)
        return self.state


def said(client: paramiko.SSHClient, command: str) -> str:
    """What a command in an open session says."""
    _, output, errors = client.exec_command(command, timeout=60)
    text, complaint = output.read().decode(), errors.read().decode()
    assert output.channel.recv_exit_status() == 0, f"{command}: {complaint}"
    return text.strip()


def begun(client: paramiko.SSHClient, command: str) -> None:
    """Start a command that ends the session itself."""
    client.exec_command(command)
    time.sleep(0.5)


def new_key() -> tuple[paramiko.RSAKey, str]:
    """A key pair, and its public half as OpenSSH writes it."""
    key = paramiko.RSAKey.generate(2048)
    return key, f"{key.get_name()} {key.get_base64()} somebody"
