"""Where a cloud's storage accounts are reached."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from reddog.cloud._ports import Ports


@dataclass(frozen=True)
class StorageEndpoints:
    """The URLs of storage accounts: ``ACCOUNT.blob.DOMAIN`` where such names resolve to the cloud, else
    ``HOST/ACCOUNT``, which every storage SDK takes too.
    """

    host: str
    ports: Ports
    domain: str
    by_name: bool

    @classmethod
    def of(cls, host: str, ports: Ports, domain: str) -> StorageEndpoints:
        """The endpoints, by name if this machine resolves such names to its loopback."""
        return cls(_bracketed(host), ports, domain, _resolves(f"any.blob.{domain}"))

    def __call__(self, account: str) -> list[str]:
        """An account's endpoints: blob, queue, table."""
        ports = {"blob": self.ports.blob, "queue": self.ports.queue, "table": self.ports.table}
        if self.by_name:
            return [f"http://{account}.{kind}.{self.domain}:{port}/" for kind, port in ports.items()]
        return [f"http://{self.host}:{port}/{account}/" for port in ports.values()]


def _resolves(name: str) -> bool:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET)
    except OSError:
        return False
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
