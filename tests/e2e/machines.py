"""Using virtual machines as people do: wait for them, log in over SSH, log in on the serial console."""

from __future__ import annotations

import base64
import re
import socket
import time
from pathlib import Path
from typing import Any

import paramiko
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from reddog import pki

BOOT_TIME = 180.0  # seconds; an emulated machine on a busy host takes its time


def add_service_certificate(sms: Any, service: str, directory: Path) -> tuple[str, paramiko.PKey]:
    """Add a certificate to a cloud service, as a PFX file; returns its thumbprint and its key."""
    pem = directory / "service.pem"
    made = pki.create_management_certificate(pem, directory / "service.cer", common_name="service")
    key = load_pem_private_key(pem.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    secret = BestAvailableEncryption(b"pfx-Passw0rd")
    pfx = serialize_key_and_certificates(b"", key, x509.load_der_x509_certificate(made.der), None, secret)
    result = sms.add_service_certificate(service, base64.b64encode(pfx).decode(), "pfx", "pfx-Passw0rd")
    wait_until_done(sms, result)
    return made.thumbprint, paramiko.RSAKey(key=key)


def wait_until_ready(sms: Any, service: str, deployment: str) -> Any:
    """Wait until the deployment's first instance is ready, and return it."""
    return wait_for_status(sms, service, deployment, "ReadyRole")


def wait_for_status(sms: Any, service: str, deployment: str, status: str) -> Any:
    """Wait until the deployment's first instance has a status, and return it."""
    deadline = time.monotonic() + BOOT_TIME
    seen = ""
    while time.monotonic() < deadline:
        found = sms.get_deployment_by_name(service, deployment)
        if len(found.role_instance_list):
            instance = found.role_instance_list[0]
            seen = f"{instance.instance_status} {instance.instance_state_details}"
            if instance.instance_status == status:
                return instance
        time.sleep(0.5)
    raise AssertionError(f"{service}/{deployment} is {seen!r}, not {status}")


def wait_until_done(sms: Any, result: Any, *, status: str = "Succeeded") -> Any:
    """Wait until an operation has ended as expected, and return it."""
    deadline = time.monotonic() + BOOT_TIME
    while time.monotonic() < deadline:
        operation = sms.get_operation_status(result.request_id)
        if operation.status != "InProgress":
            assert operation.status == status, getattr(operation.error, "message", operation.status)
            return operation
        time.sleep(0.2)
    raise AssertionError(f"operation {result.request_id} has not ended")


def ssh(instance: Any, user: str, command: str, **login: Any) -> str:
    """Run a command in a machine over SSH, through its first endpoint; returns what it prints."""
    endpoint = instance.instance_endpoints[0]
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            endpoint.vip,
            int(endpoint.public_port),
            username=user,
            timeout=60,
            banner_timeout=60,
            auth_timeout=60,
            look_for_keys=False,
            allow_agent=False,
            **login,
        )
        _, output, errors = client.exec_command(command, timeout=60)
        text = output.read().decode()
        assert output.channel.recv_exit_status() == 0, errors.read().decode() or text
        return text


class SerialConsole:
    """A person at a machine's serial console."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._seen = ""

    def __enter__(self) -> SerialConsole:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def expect(self, pattern: str, timeout: float = BOOT_TIME) -> str:
        """Read until the pattern appears; returns everything up to its end."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self._seen)):
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                chunk = self._socket.recv(4096)
            except TimeoutError:
                chunk = b""
            assert chunk, f"{pattern!r} did not appear; the console shows {self._seen[-500:]!r}"
            self._seen += chunk.decode(errors="replace")
        before, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return before

    def send(self, line: str) -> None:
        """Type a line."""
        self._socket.sendall(line.encode() + b"\n")

    def log_in(self, host_name: str, user: str, password: str) -> None:
        """Log in at the login prompt."""
        self.send("")
        self.expect(f"{re.escape(host_name)} login: ")
        self.send(user)
        self.expect("[Pp]assword: ")
        self.send(password)
        self.expect(r"[$#] ")

    def run(self, command: str) -> str:
        """Run a command and return what it prints."""
        self.send(f"{command}; echo done-$((40+2))")
        printed = self.expect("done-42")
        return printed.partition("\n")[2].rpartition("done-42")[0].strip()
