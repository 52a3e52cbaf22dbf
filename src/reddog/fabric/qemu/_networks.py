"""The private networks of a driver's machines."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from reddog.fabric import _specs
from reddog.fabric._files import private_dir
from reddog.fabric._process import Process
from reddog.fabric.compute import MachineError, MachineSpec
from reddog.fabric.lan import Backend, Lan, Member, Place, endpoint
from reddog.fabric.qemu import _command
from reddog.fabric.qemu._command import GuestPort
from reddog.fabric.qemu._session import LoopThread

_log = logging.getLogger("reddog.fabric")
_BREATH = 1.0  # seconds before a process that was killed is started again


def member_of(spec: MachineSpec, directory: Path, ports: Mapping[GuestPort, int]) -> Member | None:
    """A running machine as its network sees it; ports: the host's, by those of the guest that are balanced."""
    network = spec.network
    if network is None:
        return None
    backends = [
        Backend(
            name=forward.name,
            address=forward.address,
            port=forward.port,
            guest_port=forward.guest_port,
            host_address=_command.BALANCED_ADDRESS,
            host_port=ports[forward.protocol, forward.guest_port],
            probe=forward.probe,
            probe_port=ports.get(("tcp", forward.probe.port), 0) if forward.probe is not None else 0,
            distribution=forward.distribution,
            acl=forward.acl,
            idle_timeout=forward.idle_timeout,
            protocol=forward.protocol,
        )
        for forward in spec.forwards
        if forward.balanced
    ]
    own = spec.id, str(directory), network.address, network.host_name, network.domain
    return Member(*own, network.dns_servers, network.subnet, tuple(backends))


def _check_places(member: Member, others: Iterable[Member]) -> None:
    """Refuse a place that another member listens at, unless both are of a load-balanced set."""
    there = {one.place: one for other in others if other.id != member.id for one in other.backends}
    for own in member.backends:
        rival = there.get(own.place)
        if rival is not None and not (own.probe and rival.probe):
            raise _specs.port_in_use(endpoint(own.name, own.place))


class Networks:
    """Has a process for every network that a running machine is in.

    Args:
        directory: Holds a directory for each network.
        loop: Watches the processes.
    """

    def __init__(self, directory: Path, loop: LoopThread) -> None:
        self._directory = directory
        self._loop = loop
        self._lock = threading.RLock()
        self._lans: dict[str, Lan] = {}
        self._members: dict[str, dict[str, Member]] = {}
        self._processes: set[Process] = set()
        self._open = False

    def open(self) -> None:
        """Begin, when all machines that an earlier driver left have joined; networks of no machine end."""
        with self._lock:
            self._open = True
            found = self._directory.iterdir() if self._directory.exists() else ()
            for id in {path.name for path in found} | self._members.keys():
                try:
                    self._arrange(id)
                except (MachineError, OSError):
                    _log.exception("The network %s could not be taken over.", id)

    def join(self, network: str, member: Member) -> None:
        """Put a running machine in a network, or change what it is there.

        Raises MachineError PortInUse, PortForbidden, InvalidSpec or DriverFailed.
        """
        with self._lock:
            members = self._members.setdefault(network, {})
            if members.get(member.id) == member:
                return
            _check_places(member, members.values())
            members[member.id] = member
            refused = self._arrange(network)
            for backend in member.backends:
                if error := refused.get(backend.place):
                    raise error

    def leave(self, network: str, machine: str) -> None:
        """Take a machine out; the last one ends the network. Nothing happens if it is not there."""
        with self._lock:
            if self._members.get(network, {}).pop(machine, None) is None:
                return
            try:
                self._arrange(network)
            except MachineError as error:  # the machine has gone in any case
                _log.warning("The network %s: %s", network, error)

    def release(self) -> None:
        """Let go of the processes, which run on; runs in the loop."""
        for process in self._processes:
            process.release(self._loop.loop)
        for lan in self._lans.values():
            lan.close()

    def _arrange(self, id: str) -> dict[Place, MachineError]:
        if not self._open:
            return {}
        members = self._members.get(id, {})
        lan = self._lans.get(id) or Lan(private_dir(self._directory) / id, partial(self._watch, id))
        self._lans[id] = lan
        refused = lan.arrange(list(members.values()))
        for error in refused.values():
            _log.warning("The network %s: %s", id, error)
        if not members:
            del self._lans[id]
            self._members.pop(id, None)
            with contextlib.suppress(OSError):  # there are others
                self._directory.rmdir()
        return refused

    def _watch(self, id: str, process: Process) -> None:
        self._processes.add(process)
        loop = self._loop.loop

        def gone() -> None:
            self._processes.discard(process)
            loop.run_in_executor(None, self._revive, id)

        loop.call_soon_threadsafe(process.watch, loop, gone)

    def _revive(self, id: str) -> None:
        """Start a network's process again that was killed from outside."""
        time.sleep(_BREATH)
        with self._lock:
            if id not in self._members:
                return
            try:
                self._arrange(id)
            except MachineError as error:
                _log.warning("The network %s could not be started again: %s", id, error)
