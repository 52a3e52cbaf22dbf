"""The command line of one machine's QEMU, and the names that its parts go by.

Paths of the machine's own files are relative: QEMU runs in the machine's directory, so that its unix sockets
work however deep that directory lies.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reddog.fabric import _specs, kvm
from reddog.fabric._process import PIDFILE
from reddog.fabric.compute import Disk, Forward, MachineSpec
from reddog.fabric.lan import LAN_SOCKET, UPLINK_SOCKET, Subnet, mac_of
from reddog.fabric.qemu._binary import Qemu

QMP_SOCKET = "qmp.sock"
MONITOR_SOCKET = "monitor.sock"  # a second QMP session, for people and tests
CONSOLE_SOCKET = "console.sock"
CONSOLE_LOG = "console.log"
READY_LOG = "ready.log"  # what the guest says on the ready port; a file, so that no word is lost
DISC = "provisioning.iso"

READY_PORT = "org.reddog.ready"
NETDEV = "net0"
GuestPort = tuple[str, int]  # its protocol, and its number
BALANCED_ADDRESS = "127.255.0.1"  # of the host's loopback: only load-balanced sets connect there
DISC_DEVICES = ("provisioning", "provisioning-cd")
# by this asset tag the Azure Linux agent and cloud-init recognize the platform
_ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"
_NAMESPACE = uuid.UUID("6f1b7f2e-2a3d-5a0e-9a55-2f5a3f6f7c10")


def node_name(lun: int | None) -> str:
    """The block node of a disk."""
    return "disk-os" if lun is None else f"disk-lun-{lun}"


def device_id(lun: int | None) -> str:
    """The device of a disk."""
    return "os" if lun is None else f"lun-{lun}"


def blockdev(disk: Disk) -> dict[str, Any]:
    """A disk's file as a block node: raw, without a footer, locked against other processes.

    `driver=vpc` is never used: it rounds the size to a cylinder geometry.
    """
    file = {"driver": "file", "filename": str(disk.path.absolute()), "locking": "on", "discard": "unmap"}
    return {
        "driver": "raw",
        "node-name": node_name(disk.lun),
        "size": disk.size,
        "read-only": disk.read_only,
        "discard": "unmap",
        "file": file,
    }


def data_device(lun: int) -> dict[str, Any]:
    """A data disk's device: the guest sees the lun as its SCSI unit number."""
    return {
        "driver": "scsi-hd",
        "id": device_id(lun),
        "drive": node_name(lun),
        "bus": "scsi.0",
        "scsi-id": 0,
        "lun": lun,
        "serial": device_id(lun),
    }


def hostfwd(forward: Forward) -> str:
    """A forward as slirp writes it."""
    return f"{forward.protocol}:{forward.address}:{forward.port}-:{forward.guest_port}"


def command_line(qemu: Qemu, accelerator: str, spec: MachineSpec, disc: Path | None) -> list[str]:
    """The whole command. disc: the provisioning disc, if the guest gets one."""
    return [
        *qemu.command(),
        *_machine(accelerator, spec),
        *_channels(),
        *_disks(spec),
        *([] if disc is None else _disc(disc)),
        *_network(spec),
    ]


def _machine(accelerator: str, spec: MachineSpec) -> list[str]:
    return [
        *("-name", f"guest={spec.id}"),
        *("-uuid", str(uuid.uuid5(_NAMESPACE, f"{spec.id}/{spec.identity}" if spec.identity else spec.id))),
        *("-M", "pc", "-accel", "kvm" if accelerator == "kvm" else "tcg,thread=multi"),
        *("-cpu", kvm.PROCESSORS["kvm" if accelerator == "kvm" else "tcg"]),
        *("-smp", str(spec.cores), "-m", str(spec.memory_mb)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc"),
        *("-smbios", f"type=3,asset={_ASSET_TAG}"),
        *("-device", "pvpanic", "-device", "virtio-rng-pci"),
        # the cause of a stop can be read before the process goes
        *("-action", "reboot=reset,shutdown=pause,panic=pause"),
        *("-pidfile", PIDFILE),
    ]


def _channels() -> list[str]:
    return [
        *("-chardev", f"socket,id=qmp,path={QMP_SOCKET},server=on,wait=off", "-mon", "qmp,mode=control"),
        *("-chardev", f"socket,id=monitor,path={MONITOR_SOCKET},server=on,wait=off"),
        *("-mon", "monitor,mode=control"),
        "-chardev",
        f"socket,id=console,path={CONSOLE_SOCKET},server=on,wait=off,logfile={CONSOLE_LOG},logappend=on",
        *("-serial", "chardev:console"),
        *("-chardev", f"file,id=ready,path={READY_LOG},append=on", "-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=ready,name={READY_PORT}"),
    ]


def _disks(spec: MachineSpec) -> list[str]:
    system = {
        "driver": "virtio-blk-pci",
        "id": device_id(None),
        "drive": node_name(None),
        "bootindex": 0,
        "serial": device_id(None),
    }
    options = _block(blockdev(spec.os_disk), system)
    options += ["-device", "virtio-scsi-pci,id=scsi"]
    for disk in spec.data_disks:
        assert disk.lun is not None
        options += _block(blockdev(disk), data_device(disk.lun))
    return options


def _disc(disc: Path) -> list[str]:
    """The provisioning disc twice: as a virtio disk, and as a CD-ROM for guests that look only there."""
    options: list[str] = []
    drivers: tuple[dict[str, Any], ...] = (
        {"driver": "virtio-blk-pci", "serial": "provisioning"},
        {"driver": "scsi-cd", "bus": "scsi.0", "scsi-id": 1},
    )
    for name, device in zip(DISC_DEVICES, drivers, strict=True):
        file = {"driver": "file", "filename": disc.name}
        node = {"driver": "raw", "node-name": name, "read-only": True, "file": file}
        options += _block(node, {**device, "id": name, "drive": name})
    return options


def balanced_ports(forwards: Iterable[Forward]) -> set[GuestPort]:
    """The guest's ports that the load balancer has to reach."""
    found: set[GuestPort] = set()
    for forward in forwards:
        if forward.balanced:
            found.add((forward.protocol, forward.guest_port))
        if forward.probe is not None and forward.probe.protocol == "http":
            found.add(("tcp", forward.probe.port))
    return found


def balanced_hostfwd(guest_port: GuestPort) -> str:
    """A forward for the load balancer, at a port that slirp chooses, as slirp writes it."""
    protocol, port = guest_port
    return f"{protocol}:{BALANCED_ADDRESS}:0-:{port}"


def _network(spec: MachineSpec) -> list[str]:
    if spec.network is None:
        rules = [hostfwd(forward) for forward in _specs.own_forwards(spec.forwards)]
        rules += [balanced_hostfwd(port) for port in sorted(balanced_ports(spec.forwards))]
        forwards = "".join(f",hostfwd={rule}" for rule in rules)
        return [
            *("-netdev", f"user,id={NETDEV},restrict=off{forwards}"),
            *("-device", f"virtio-net-pci,netdev={NETDEV},romfile="),
        ]
    subnet = Subnet.of(spec.network.address, spec.network.subnet)
    addresses = f"net={subnet.network},host={subnet.gateway},dns={subnet.name_server}"
    # its own DHCP never hears of a request; the start of its range is where it forwards to. Forwards come over QMP
    outside = f"user,id={NETDEV},restrict=off,ipv6=off,{addresses},dhcpstart={spec.network.address}"
    mac = mac_of(spec.id).hex(":")
    return [
        *("-netdev", outside, "-netdev", f"hubport,id=outside,hubid=0,netdev={NETDEV}"),
        *("-netdev", f"stream,id=uplink,server=on,addr.type=unix,addr.path={UPLINK_SOCKET}"),
        *("-netdev", "hubport,id=inside,hubid=0,netdev=uplink"),
        *("-netdev", f"stream,id=lan,server=on,addr.type=unix,addr.path={LAN_SOCKET}"),
        *("-device", f"virtio-net-pci,netdev=lan,mac={mac},romfile="),
    ]


def _block(node: dict[str, Any], device: dict[str, Any]) -> list[str]:
    return ["-blockdev", json.dumps(node), "-device", json.dumps(device)]
