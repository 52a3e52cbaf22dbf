"""The one interface to virtual machines. Drivers implement it; the services know nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

Power = Literal["absent", "starting", "running", "stopping", "stopped"]
Cause = Literal["host-shutdown", "guest-shutdown", "panic", "killed", "crashed", "failed"]
Accelerator = Literal["kvm", "tcg", "none"]


@dataclass(frozen=True)
class Disk:
    """A raw file that a machine sees as a disk.

    path: the file (a page blob's file: a fixed VHD's 512-byte footer may follow the data).
    size: bytes that the guest sees, footer excluded; a multiple of 512.
    lun: the data disk's number (0 to 63), or None for the operating system's disk.
    """

    path: Path
    size: int
    lun: int | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Probe:
    """How a load balancer finds out whether a machine can take connections.

    protocol: `tcp` (the port accepts), `http` (a GET of `path` answers 200), or `none`: it always can, as far as
    anybody knows. port: the guest's.
    interval: seconds between two questions. timeout: seconds without a good answer after which the machine
    gets no new connections, until it answers again.
    """

    protocol: Literal["tcp", "http", "none"]
    port: int
    path: str = "/"
    interval: float = 15.0
    timeout: float = 31.0


@dataclass(frozen=True)
class AclRule:
    """A rule of an endpoint's access control list: whether clients of an IPv4 subnet, as 10.0.0.0/8, may connect."""

    action: Literal["permit", "deny"]
    subnet: str


@dataclass(frozen=True)
class Forward:
    """An inbound endpoint: a port of the host's `address` that leads to the machine's `guest_port`.

    probe: None for an endpoint of this machine alone. Forwards of several machines of one network that have
    the same protocol, address and port and a probe form a load-balanced set: new connections are spread over
    those machines whose probe succeeds. distribution: `sourceIP` has one client's connections go to one of
    them, for as long as the same ones can take any. acl: the first rule whose subnet a client is in decides; one
    that is in none may connect if no rule permits anybody. idle_timeout: seconds after which a connection that
    carries nothing is broken off; None: never. Both need a network.
    """

    name: str
    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    guest_port: int
    probe: Probe | None = None
    distribution: Literal["", "sourceIP"] = ""
    acl: tuple[AclRule, ...] = ()
    idle_timeout: float | None = None

    @property
    def balanced(self) -> bool:
        """Whether its network's load balancer takes the connections, which knows all that is more than a port."""
        return self.probe is not None or bool(self.acl) or self.idle_timeout is not None


@dataclass(frozen=True)
class Network:
    """A machine's place in a private network, which all machines with the same `id` share.

    id: 1 to 64 characters of a-z, 0-9 and `-`. address: the machine's own IPv4 address there, which it gets by
    DHCP. host_name: the name by which others of its domain find it. domain: what the DHCP server gives as the
    domain to search. dns_servers: what the guest shall ask instead of the network's own name server, which
    knows the host names and asks the host's for all others. subnet: where the address lies, as 10.1.0.0/16; by
    default a /24. Its first address is the gateway, the next two are the network's own, and machines begin
    after them. A network may have several subnets, between which it routes.
    """

    id: str
    address: str
    host_name: str
    domain: str
    dns_servers: tuple[str, ...] = ()
    subnet: str = ""


@dataclass(frozen=True)
class MachineSpec:
    """What a machine is. `id` is 1 to 64 characters of a-z, 0-9 and `-`; `name` is for people.

    provisioning: the bytes of ovf-env.xml (see `reddog.fabric.provisioning`), or None for a disk that needs
    none. It holds secrets: it is never shown in a repr or a log, and is kept only until the guest is ready.
    network: None for a machine that reaches the outside and is reached at its forwards, and nothing else.
    identity: another number makes the guest take itself for a new machine, which sets itself up once more.
    """

    id: str
    name: str
    cores: int
    memory_mb: int
    os_disk: Disk
    data_disks: tuple[Disk, ...] = ()
    forwards: tuple[Forward, ...] = ()
    provisioning: bytes | None = field(default=None, repr=False)
    network: Network | None = None
    identity: int = 0


@dataclass(frozen=True)
class MachineState:
    """What a machine was seen to be.

    power: `absent` when the driver does not know it; `starting` until its processor runs; `stopped` machines
    stay defined. ready: the guest has reported ready since its last start. cause: why a stopped machine
    stopped (None while it runs). host_name, ssh_host_key: as the guest reported them (the key as an MD5
    fingerprint). message: one sentence for people. since: when `power` last changed.
    """

    id: str
    power: Power
    ready: bool = False
    cause: Cause | None = None
    host_name: str | None = None
    ssh_host_key: str | None = None
    message: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))


class MachineError(Exception):
    """A driver could not do what was asked.

    code: NotFound, InvalidSpec, NoHypervisor, NoSpace, PortInUse, PortForbidden, DiskMissing, DiskLocked,
    DiskExists, NotSupported, StartFailed or DriverFailed. message: what happened. remedy: what to do next.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.code = code
        self.message = message
        self.remedy = remedy


@runtime_checkable
class ComputeDriver(Protocol):
    """Synchronous and thread-safe; every method but `backup_disk` is idempotent. All may raise MachineError.

    capabilities: of `hot-disks`, `forwards`, `console`, `backup`, `boots` (runs a real guest), `networks`
    (private networks and load-balanced forwards have an effect).
    accelerator: `kvm`, `tcg`, or `none` where nothing is executed.
    """

    name: str
    capabilities: frozenset[str]

    @property
    def accelerator(self) -> Accelerator: ...

    def start(self, spec: MachineSpec) -> None:
        """Define and boot. Nothing happens while it runs; a stopped machine starts again with this spec."""

    def shutdown(self, id: str, *, timeout: float) -> None:
        """Ask the guest to power off, force it after `timeout` seconds (0: at once). It stays defined."""

    def restart(self, id: str) -> None:
        """Reset a running machine, or start a stopped one with the spec it has. NotFound when unknown."""

    def remove(self, id: str) -> None:
        """Force it off and forget it with its runtime directory. Disks are never touched."""

    def observe(self, id: str) -> MachineState:
        """The state as of now; `absent` for an unknown id. Cheap: no waiting, no I/O to the guest."""

    def list(self) -> list[str]:
        """Ids of all machines that have a runtime directory, sorted."""

    def set_forwards(self, id: str, forwards: Iterable[Forward]) -> None:
        """Make these the machine's exact forwards, at run time too. PortInUse names the address and port."""

    def set_network(self, id: str, network: Network) -> None:
        """Change the names and DNS servers in a machine's private network; the guest learns of them soon.

        InvalidSpec: the network's id, the subnet or the address differ; they change only with a new machine.
        """

    def attach_disk(self, id: str, disk: Disk) -> None:
        """Add a data disk (its `lun` is set), hot while it runs. DiskExists: another one has the lun."""

    def detach_disk(self, id: str, lun: int) -> None:
        """Take a data disk away. On return the file is no longer open. Nothing happens if it is not there."""

    def backup_disk(self, id: str, lun: int | None, target: Path) -> None:
        """Copy a disk (None: the system's) as of now, sparse; a fixed VHD's footer comes along.

        `target` appears whole or not at all. DiskMissing: no such lun.
        """

    def console(self, id: str) -> bytes:
        """The boot log: what the guest has written to its first serial port, newest 1 MiB at most."""

    def console_socket(self, id: str) -> Path | None:
        """A unix socket joined to the first serial port, or None when there is none now."""

    def forget_provisioning(self, id: str) -> None:
        """Destroy the disc that holds the provisioning secrets. Drivers do so by themselves at ready."""

    def watch(self, callback: Callable[[str], None]) -> None:
        """Have `callback(id)` called from any thread whenever a machine's state changes. It must be quick."""

    def close(self) -> None:
        """Let go without stopping anything; the next driver on the same directory adopts the machines."""
