"""Machine specifications: checked, and as JSON without their secrets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from reddog.fabric.compute import AclRule, Disk, Forward, MachineError, MachineSpec, Network, Probe

_ID = re.compile(r"[a-z0-9-]{1,64}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62})")
_DOMAIN = re.compile(r"([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*)?")
LONGEST_DOMAIN = 253
MAX_LUN = 63


def check_id(id: str) -> str:
    """The id, if it may name a machine (and so a directory)."""
    if not _ID.fullmatch(id):
        raise _invalid(f"{id!r} is not a machine id.", "Use 1 to 64 characters of a-z, 0-9 and '-'.")
    return id


def check_spec(spec: MachineSpec) -> MachineSpec:
    """The specification, if a machine can be made of it.

    :raises MachineError: InvalidSpec, DiskMissing.
    """
    check_id(spec.id)
    if spec.cores < 1 or spec.memory_mb < 16:
        raise _invalid("A machine has at least 1 core and 16 MB of memory.", "Choose a larger size.")
    if spec.os_disk.lun is not None:
        raise _invalid("The operating system's disk has no lun.", "Set lun=None.")
    check_disk(spec.os_disk)
    for disk in spec.data_disks:
        check_data_disk(disk)
    luns = [disk.lun for disk in spec.data_disks]
    if len(set(luns)) != len(luns):
        raise _invalid("Two data disks have the same lun.", "Give each data disk a lun of its own.")
    if spec.network is not None:
        check_network(spec.network)
    return with_forwards(spec, spec.forwards)


def check_disk(disk: Disk) -> None:
    """A disk's file is there and holds at least `size` bytes."""
    if disk.size <= 0 or disk.size % 512:
        raise _invalid(f"{disk.path}: {disk.size} is no size of a disk.", "Use a multiple of 512 bytes.")
    try:
        length = disk.path.stat().st_size
    except OSError as error:
        message = f"The disk's file {disk.path} is not there."
        raise MachineError("DiskMissing", message, "Restore it, or detach the disk.") from error
    if length < disk.size:
        message = f"The disk's file {disk.path} holds {length} bytes, not {disk.size}."
        raise MachineError("DiskMissing", message, "It was cut off; restore it from a copy.")


def check_data_disk(disk: Disk) -> int:
    """The lun of a data disk whose file is there."""
    if disk.lun is None or not 0 <= disk.lun <= MAX_LUN:
        raise _invalid(f"{disk.lun!r} is no lun of a data disk.", f"Use 0 to {MAX_LUN}.")
    check_disk(disk)
    return disk.lun


def with_forwards(spec: MachineSpec, forwards: Iterable[Forward]) -> MachineSpec:
    """The specification with these forwards.

    :raises MachineError: InvalidSpec, NotSupported.
    """
    checked = _check_forwards(forwards)
    if spec.network is None and any(forward.balanced for forward in checked):
        raise _invalid(f"{spec.id} has a balanced forward, but no network.", "Put it in a network.")
    return replace(spec, forwards=checked)


def own_forwards(forwards: Iterable[Forward]) -> list[Forward]:
    """The forwards that lead to the machine alone, as opposed to those of the load balancer."""
    return [forward for forward in forwards if not forward.balanced]


def _check_forwards(forwards: Iterable[Forward]) -> tuple[Forward, ...]:
    """The forwards, if all are well formed and no two share an address, port and protocol."""
    checked = tuple(forwards)
    for forward in checked:
        _check_forward(forward)
    places = [place(forward) for forward in checked]
    if len(set(places)) != len(places):
        raise _invalid("Two forwards use the same address and port.", "Give each a port of its own.")
    return checked


def place(forward: Forward) -> tuple[str, str, int]:
    """What a forward occupies on the host."""
    return forward.protocol, forward.address, forward.port


def _check_forward(forward: Forward) -> None:
    try:
        ipaddress.IPv4Address(forward.address)
    except ValueError:
        raise _invalid(f"{forward.address!r} is no IPv4 address.", "Use one like 127.0.0.2.") from None
    if not (0 < forward.port < 65536 and 0 < forward.guest_port < 65536):
        raise _invalid(f"{forward.name}: a port is out of range.", "Use 1 to 65535.")
    if forward.protocol not in ("tcp", "udp"):
        raise _invalid(f"{forward.name}: {forward.protocol!r} is no protocol.", "Use tcp or udp.")
    if forward.probe is not None:
        _check_probe(forward, forward.probe)
    if forward.idle_timeout is not None and forward.idle_timeout <= 0:
        raise _invalid(f"{forward.name}: its idle timeout is no time.", "Use seconds above 0.")
    for rule in forward.acl:
        _check_rule(forward, rule)


def _check_rule(forward: Forward, rule: AclRule) -> None:
    try:
        ipaddress.IPv4Network(rule.subnet)
    except ValueError:
        raise _invalid(f"{forward.name}: {rule.subnet!r} is no subnet.", "Use one like 10.0.0.0/8.") from None
    if rule.action not in ("permit", "deny"):
        raise _invalid(f"{forward.name}: {rule.action!r} is no action.", "Use permit or deny.")


def _check_probe(forward: Forward, probe: Probe) -> None:
    if probe.protocol not in ("tcp", "http", "none") or not 0 < probe.port < 65536:
        raise _invalid(
            f"{forward.name}: its probe is invalid.", "Use tcp, http or none, and port 1 to 65535."
        )
    if probe.interval <= 0 or probe.timeout <= 0:
        raise _invalid(f"{forward.name}: its probe has no time.", "Use an interval and a timeout above 0.")
    if not probe.path.startswith("/") or not probe.path.isascii() or not probe.path.isprintable():
        raise _invalid(f"{forward.name}: {probe.path!r} is no path.", "Use one like /status.")


def to_json(spec: MachineSpec) -> dict[str, Any]:
    """The specification as JSON; the provisioning document stays out."""
    document = asdict(replace(spec, provisioning=None))
    del document["provisioning"]
    for disk in (document["os_disk"], *document["data_disks"]):
        disk["path"] = str(disk["path"])
    return document


def from_json(document: dict[str, Any]) -> MachineSpec:
    """A specification as `to_json` wrote it."""
    return MachineSpec(
        **{
            **document,
            "os_disk": _disk(document["os_disk"]),
            "data_disks": tuple(map(_disk, document["data_disks"])),
            "forwards": tuple(map(_forward, document["forwards"])),
            "network": _network(document.get("network")),
        }
    )


def with_disk(spec: MachineSpec, disk: Disk) -> MachineSpec:
    """The specification with this data disk at its lun."""
    others = without_disk(spec, disk.lun).data_disks
    return replace(spec, data_disks=(*others, disk))


def without_disk(spec: MachineSpec, lun: int | None) -> MachineSpec:
    """The specification with no data disk at the lun."""
    return replace(spec, data_disks=tuple(disk for disk in spec.data_disks if disk.lun != lun))


def find_disk(spec: MachineSpec, lun: int | None) -> Disk | None:
    """The data disk at the lun; the operating system's for None."""
    return next((disk for disk in (spec.os_disk, *spec.data_disks) if disk.lun == lun), None)


def require_disk(spec: MachineSpec, lun: int | None) -> Disk:
    """`find_disk`, where its absence is an error."""
    disk = find_disk(spec, lun)
    if disk is None:
        raise MachineError("DiskMissing", f"The machine {spec.id} has no disk at lun {lun}.")
    return disk


def not_found(id: str) -> MachineError:
    """The error for an unknown machine."""
    return MachineError("NotFound", f"There is no machine {id}.", "Start it first.")


def port_in_use(forward: Forward) -> MachineError:
    """The error for a port that somebody else has."""
    where = f"{forward.protocol} {forward.address}:{forward.port}"
    return MachineError(
        "PortInUse", f"{where} (endpoint {forward.name}) is in use.", "Choose another port, or free it."
    )


def disk_locked(path: Path) -> MachineError:
    """The error for a disk that another machine or process has open."""
    return MachineError(
        "DiskLocked",
        f"The disk's file {path} is in use by another machine.",
        "Stop or detach that one first.",
    )


def lun_taken(id: str, lun: int) -> MachineError:
    """The error for a second disk at one lun."""
    message = f"The machine {id} has another disk at lun {lun}."
    return MachineError("DiskExists", message, "Detach it, or choose a free lun.")


def check_network(network: Network) -> Network:
    """The network, if a machine can be put there."""
    check_id(network.id)
    for address in (network.address, *network.dns_servers):
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise _invalid(f"{address!r} is no IPv4 address.", "Use one like 10.0.0.4.") from None
    _check_place(network)
    if not _HOST_NAME.fullmatch(network.host_name) or not _is_domain(network.domain):
        raise _invalid(f"{network.host_name!r} is no host name.", "Use letters, digits, '-' and '.'.")
    return network


def _check_place(network: Network) -> None:
    try:
        subnet = ipaddress.IPv4Network(network.subnet or f"{network.address}/24", strict=bool(network.subnet))
    except ValueError:
        raise _invalid(f"{network.subnet!r} is no subnet.", "Use one like 10.1.0.0/16.") from None
    number = int(ipaddress.IPv4Address(network.address)) - int(subnet.network_address)
    if not 8 <= subnet.prefixlen <= 29 or not 4 <= number < subnet.num_addresses - 1:
        remedy = "Use one from the fifth to the last but one of a subnet between /8 and /29."
        raise _invalid(f"{network.address} cannot be had in {subnet}.", remedy)


def _is_domain(domain: str) -> bool:
    return len(domain) <= LONGEST_DOMAIN and _DOMAIN.fullmatch(domain) is not None


def with_network(spec: MachineSpec, network: Network) -> MachineSpec:
    """The specification with other names and DNS servers in the same network."""
    before = spec.network
    if before is None or _seat(before) != _seat(network):
        raise _invalid(f"The machine {spec.id} is not at this place.", "Make a new machine there.")
    return replace(spec, network=check_network(network))


def _seat(network: Network) -> tuple[str, str, str]:
    return network.id, network.subnet, network.address


def _forward(document: dict[str, Any]) -> Forward:
    probe = document.get("probe")
    rules = tuple(AclRule(**rule) for rule in document.get("acl", ()))
    return Forward(**{**document, "probe": Probe(**probe) if probe else None, "acl": rules})


def _network(document: dict[str, Any] | None) -> Network | None:
    if document is None:
        return None
    return Network(**{**document, "dns_servers": tuple(document["dns_servers"])})


def _disk(document: dict[str, Any]) -> Disk:
    return Disk(**{**document, "path": Path(document["path"])})


def _invalid(message: str, remedy: str) -> MachineError:
    return MachineError("InvalidSpec", message, remedy)
