"""Which ports of the host can be had."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from reddog.fabric import _specs
from reddog.fabric.compute import Forward, MachineError

_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def can_bind(address: str, port: int, protocol: str = "tcp") -> bool:
    """Whether this process could listen there now: the port is allowed, and nobody has it."""
    return _bind_error(address, port, protocol) is None


def lowest_bindable_port(address: str = "127.0.0.1") -> int:
    """The lowest port on `address` that this process is allowed to listen on: 1 where it may use all.

    Whether somebody has the port already plays no part. Raises MachineError InvalidSpec when the address is
    not this host's.
    """
    error = _bind_error(address, 1, "tcp")
    if error == errno.EADDRNOTAVAIL:
        raise _foreign(address)
    if error != errno.EACCES:
        return 1
    try:
        return int(_UNPRIVILEGED.read_text())
    except (OSError, ValueError):
        return 1024


def check_bindable(forward: Forward) -> None:
    """Raise MachineError PortInUse, PortForbidden or InvalidSpec when the forward's port cannot be had."""
    error = _bind_error(forward.address, forward.port, forward.protocol)
    if error is not None:
        raise bind_error(forward, error)


def bind_error(forward: Forward, error: int) -> MachineError:
    """What the system's refusal (its errno) to let somebody listen there means."""
    if error == errno.EACCES:
        where = f"{forward.address}:{forward.port}"
        return MachineError(
            "PortForbidden",
            f"This user may not listen on {where} (endpoint {forward.name}).",
            f"Use port {lowest_bindable_port(forward.address)} or higher, or lower "
            "net.ipv4.ip_unprivileged_port_start with sysctl.",
        )
    return _foreign(forward.address) if error == errno.EADDRNOTAVAIL else _specs.port_in_use(forward)


def _bind_error(address: str, port: int, protocol: str) -> int | None:
    with socket.socket(socket.AF_INET, _TYPES[protocol]) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return None


def _foreign(address: str) -> MachineError:
    return MachineError("InvalidSpec", f"{address} is no address of this host.", "Use one of 127.0.0.0/8.")
