"""Which TCP ports a cloud listens on: asked for, kept from the last start, usual, or free."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from reddog.cloud._errors import CloudError
from reddog.settings import Settings

MANAGEMENT_PORT = 8443
STORAGE_PORT = 10000


class PortTaken(OSError):  # noqa: N818 - a state, read as `except PortTaken`
    """Another process listens on a port that this cloud was told to use, or has promised to its clients."""

    def __init__(self, host: str, port: int, option: str) -> None:
        super().__init__(f"Port {port} on {host} is in use by another process.")
        self.remedy = (
            f"Stop that process (`ss -ltnp 'sport = :{port}'` shows it), or choose a port with {option}."
        )


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one running cloud."""

    management: int
    blob: int
    table: int
    queue: int


def choose(settings: Settings) -> Ports:
    """The ports to listen on.

    A port that was asked for must be free; so must one kept from the last start, because clients know it.
    Otherwise the usual ports are taken when they are free, and any free ones when they are not.

    :raises PortTaken: a port that was asked for or kept is in use.
    :raises CloudError: the host is no address of this machine.
    """
    _require_address(settings.host)
    kept = _kept(settings.data_dir)
    management = settings.port or (kept.management if kept else 0)
    storage = settings.storage_port or (kept.blob if kept else 0)
    if management:
        _require_free(settings.host, [management], "--port")
    else:
        management = _usual_or_free(settings.host, MANAGEMENT_PORT, count=1)
    if storage:
        _require_free(settings.host, range(storage, storage + 3), "--storage-port")
    else:
        storage = _usual_or_free(settings.host, STORAGE_PORT, count=3)
    return Ports(management, storage, storage + 1, storage + 2)


def keep(data_dir: Path, ports: Ports) -> None:
    """Remember the ports for the next start."""
    path = data_dir / "ports.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(ports)))
    temporary.replace(path)


def _kept(data_dir: Path) -> Ports | None:
    try:
        return Ports(**json.loads((data_dir / "ports.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None  # a lost or damaged file costs nothing but the habit


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _require_address(host: str) -> None:
    try:
        _ephemeral(host)
    except OSError:
        remedy = "Choose one of its own with --host; 127.0.0.1 is the usual one."
        raise CloudError(f"{host} is no address of this machine.", remedy) from None


def _require_free(host: str, ports: Iterable[int], option: str) -> None:
    for port in ports:
        if not _is_free(host, port):
            raise PortTaken(host, port, option)


def _usual_or_free(host: str, usual: int, *, count: int) -> int:
    for first in itertools.chain([usual], (_ephemeral(host) for _ in range(50))):
        if first + count <= 65536 and all(_is_free(host, first + offset) for offset in range(count)):
            return first
    raise PortTaken(host, usual, "--port")


def _ephemeral(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
