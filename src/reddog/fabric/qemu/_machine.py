"""One machine: its QEMU process, its state, and everything that is done to it.

Callers hold `lock` while they act; what QEMU reports arrives in the loop's thread, which never takes that
lock. A machine that has stopped needs no process: once the cause is written down, its QEMU is ended, which
gives back the memory, the ports and the disks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import QMPError

from reddog.fabric import _specs, ports, provisioning
from reddog.fabric._files import disk_error, publish
from reddog.fabric._process import Process, spawn
from reddog.fabric.compute import Cause, Disk, Forward, MachineError, MachineSpec, Network
from reddog.fabric.qemu import _command, _hot
from reddog.fabric.qemu._errors import start_error
from reddog.fabric.qemu._networks import Networks, member_of
from reddog.fabric.qemu._ready import Readiness, watch_ready
from reddog.fabric.qemu._room import Room
from reddog.fabric.qemu._session import Event, LoopThread, Session
from reddog.sparse import copy_sparse

T = TypeVar("T")
_log = logging.getLogger("reddog.fabric")
_ANSWER = 20.0  # seconds for one change over QMP
_START = 30.0
_QUIT = 5.0
_ASK_AGAIN = 5.0  # a guest that is still booting does not hear the power button
_SPACE_RETRY = 5.0
_DISC_PATIENCE = 3.0

_MESSAGES: dict[Cause, str] = {
    "host-shutdown": "It was shut down.",
    "guest-shutdown": "The guest powered off.",
    "panic": "The guest's kernel panicked.",
    "killed": "Its process was killed.",
    "crashed": "The hypervisor could not run it any further; qemu.log says where.",
    "failed": "It could not start.",
}


@dataclass(frozen=True)
class Site:
    """What all machines of a driver share."""

    loop: LoopThread
    command: Callable[[MachineSpec, Path | None], Sequence[str]]
    readiness: Readiness
    networks: Networks
    tell: Callable[[str], None]


class Machine:
    """The machine in a room; a room without a specification is a machine that was never started."""

    def __init__(self, room: Room, site: Site) -> None:
        self.id = room.path.name
        self.room = room
        self.lock = threading.RLock()
        self.spec = room.load_spec()
        self.state = room.load_state()
        self._site = site
        self._state_lock = threading.Lock()
        self._process: Process | None = None
        self._session: Session | None = None
        self._halted = threading.Event()
        self._ready_task: asyncio.Task[None] | None = None

    # -- power ------------------------------------------------------------------------------------------

    def start(self, spec: MachineSpec) -> None:
        """Define and boot, unless it runs."""
        with self.lock:
            if self._process is not None and self.state.power == "running":
                return
            if self.state.power == "stopping":
                self._halted.wait(_QUIT)
            spec = _specs.check_spec(spec)
            self._end()
            self.room.create()
            self.room.save_spec(spec)
            self.spec = replace(spec, provisioning=None)
            self._launch(lambda: self._make_disc(spec))

    def restart(self) -> None:
        """Reset it in place; boot it when it is stopped."""
        with self.lock:
            if self._process is not None and self.state.power == "running":
                self._update(ready=False, message="", since=datetime.now(UTC))
                self._run(lambda session: session.execute("system_reset"))
                self._site.loop.run(self._boot_again(), _ANSWER)
                return
            self._end()
            _specs.check_spec(self._defined())
            self._launch(lambda: None)

    def shutdown(self, timeout: float) -> None:
        """Ask the guest to power off, insist after `timeout` seconds."""
        with self.lock:
            self._defined()
            if self._process is not None and self.state.power != "stopped":
                self._update(power="stopping", ready=False)
                self._ask_to_power_off(timeout)
                self._update(power="stopped", cause="host-shutdown", message=_MESSAGES["host-shutdown"])
            self._end()

    def remove(self) -> None:
        """Force it off and remove its directory."""
        with self.lock:
            self._kill()
            self.spec = None
            self.room.destroy()

    def _launch(self, prepare: Callable[[], None]) -> None:
        spec = self._defined()
        self._halted.clear()
        self.room.clear_ready()
        self._update(power="starting", ready=False, cause=None, message="")
        try:
            for forward in _specs.own_forwards(spec.forwards):
                ports.check_bindable(forward)
            prepare()
            self._spawn(spec)
            self._open_ports(spec)
            self._join(spec)
        except (MachineError, OSError) as error:
            self._kill()
            self.room.destroy_disc()
            failure = error if isinstance(error, MachineError) else disk_error(error, self.room.path)
            self._update(power="stopped", cause="failed", message=failure.message)
            raise failure from error

    def _make_disc(self, spec: MachineSpec) -> None:
        self.room.destroy_disc()
        if spec.provisioning is not None:
            provisioning.write_disc(self.room.disc, spec.provisioning)

    def _spawn(self, spec: MachineSpec) -> None:
        disc = self.room.disc if self.room.disc.exists() else None
        process = spawn(self.room, self._site.command(spec, disc))
        if process is None:  # one lives that this driver did not know
            process = self._find_process()
        self._attend(process)
        try:
            self._connect(process, _START)
        except MachineError as error:
            raise start_error(self.room.log(), spec) if process.exited.is_set() else error from None

    def _find_process(self) -> Process:
        pid = self.room.pid(timeout=_QUIT)
        if pid is None:
            raise MachineError("DriverFailed", f"The process of {self.id} cannot be found.", "Try again.")
        return Process(pid)

    def _ask_to_power_off(self, timeout: float) -> None:
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and not self._halted.is_set():
            with contextlib.suppress(MachineError):
                self._run(lambda session: session.execute("system_powerdown"))
            self._halted.wait(min(_ASK_AGAIN, left))

    def _end(self) -> None:
        """End the process, letting it close its files."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(MachineError):
            self._run(lambda session: session.execute("quit"), _QUIT)
        if not process.exited.wait(_QUIT):
            self._kill()
        self._leave()

    def _kill(self) -> None:
        if self._process is None and self.room.alive():
            self._attend(self._find_process())
        process = self._process
        if process is None:
            self._leave()
            return
        process.kill()
        if not process.exited.wait(_QUIT):
            message = f"The process {process.pid} of {self.id} does not go away."
            raise MachineError("DriverFailed", message, "Its storage may hang: look at the host's log.")
        self._leave()

    # -- private network --------------------------------------------------------------------------------

    def _open_ports(self, spec: MachineSpec) -> None:
        """Let connections in: QEMU dies of one that comes before its own sockets to the network listen."""
        if spec.network is not None:
            self._run(lambda session: _hot.apply_forwards(session, spec.forwards))

    def _join(self, spec: MachineSpec) -> None:
        """Be in the network, and in its load-balanced sets, as a specification says."""
        if spec.network is None or self._process is None:
            return
        ports = self._run(_hot.balanced_ports) if _command.balanced_ports(spec.forwards) else {}
        member = member_of(spec, self.room.path, ports)
        if member is not None:
            self._site.networks.join(spec.network.id, member)

    def _leave(self) -> None:
        if self.spec is not None and self.spec.network is not None:
            self._site.networks.leave(self.spec.network.id, self.id)

    # -- adoption ---------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take over a machine that an earlier driver left, running or not."""
        with self.lock:
            pid = self.room.pid(timeout=_QUIT)
            if pid is None:
                self._gone()
                if self.state.power == "starting":
                    self._update(power="stopped", cause="failed", message="Its start was interrupted.")
                return
            process = Process(pid)
            self._attend(process)
            try:
                self._connect(process, _ANSWER)
                self._open_ports(self._defined())
                self._join(self._defined())
            except MachineError as error:
                _log.warning("The machine %s was found, but does not answer: %s", self.id, error.message)

    def release(self) -> None:
        """Let go of the machine; runs in the loop."""
        self._cancel_ready()
        if self._process is not None:
            self._process.release(self._site.loop.loop)
        self.room.close()

    async def disconnect(self) -> None:
        """Close the QMP session; QEMU runs on."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def socket(self, name: str) -> Path | None:
        """One of the machine's unix sockets, while there is a process behind it."""
        return None if self._process is None else Path(self.room.socket(name))

    # -- disks, forwards --------------------------------------------------------------------------------

    def attach_disk(self, disk: Disk) -> None:
        """Add a data disk; what is wanted is written down first, and taken back when it fails."""
        with self.lock:
            before = self._defined()
            lun = _specs.check_data_disk(disk)
            there = _specs.find_disk(before, lun)
            if there is not None and there != disk:
                raise _specs.lun_taken(self.id, lun)
            self._keep(_specs.with_disk(before, disk))
            if self._process is not None:
                self._try(lambda session: _hot.plug_disk(session, disk), before)

    def detach_disk(self, lun: int) -> None:
        """Take a data disk away; its file is closed on return."""
        with self.lock:
            before = self._defined()
            self._keep(_specs.without_disk(before, lun))
            if self._process is not None:
                names = _command.device_id(lun), _command.node_name(lun)
                self._try(lambda session: _hot.unplug(session, *names), before)

    def set_forwards(self, forwards: Iterable[Forward]) -> None:
        """Make these the forwards; all or none of the change happens."""
        with self.lock:
            before = self._defined()
            self._keep(_specs.with_forwards(before, forwards))
            if self._process is None:
                return
            wanted = self._defined()
            try:
                self._change_forwards(before, wanted)
            except MachineError:
                self._keep(before)
                with contextlib.suppress(MachineError):
                    self._change_forwards(wanted, before)
                raise

    def _change_forwards(self, before: MachineSpec, wanted: MachineSpec) -> None:
        """Close what is wanted no more, then open what is new: it may be at the same place."""
        kept = tuple(forward for forward in wanted.forwards if forward in before.forwards)
        self._join(replace(wanted, forwards=kept))
        self._run(lambda session: _hot.apply_forwards(session, wanted.forwards))
        self._join(wanted)

    def set_network(self, network: Network) -> None:
        """Change names and DNS servers in the machine's network."""
        with self.lock:
            before = self._defined()
            self._keep(_specs.with_network(before, network))
            try:
                self._join(self._defined())
            except MachineError:
                self._keep(before)
                raise

    def backup_disk(self, lun: int | None, target: Path) -> None:
        """Copy a disk, through QEMU while it has the file open."""
        with self.lock:
            disk = _specs.require_disk(self._defined(), lun)
            _specs.check_disk(disk)
            publish(target, lambda draft: self._copy(disk, draft))

    def _copy(self, disk: Disk, draft: Path) -> None:
        if self._process is None:
            copy_sparse(disk.path, draft)
            return
        self._run(lambda session: _hot.backup(session, disk, draft), None)
        with disk.path.open("rb") as source, draft.open("r+b") as copy:
            source.seek(disk.size)
            copy.seek(disk.size)
            copy.write(source.read())  # the footer that the guest does not see

    def forget_provisioning(self) -> None:
        """Destroy the provisioning disc; a running machine loses the devices too, if its guest lets go."""
        if self.room.destroy_disc():
            self._unplug_disc()

    def _unplug_disc(self) -> None:
        with self.lock:
            for name in _command.DISC_DEVICES if self._process is not None else ():
                with contextlib.suppress(MachineError):
                    self._run(partial(_hot.unplug, device=name, node=name, patience=_DISC_PATIENCE))

    def _keep(self, spec: MachineSpec) -> None:
        self.room.save_spec(spec)
        self.spec = spec

    def _try(self, work: Callable[[Session], Coroutine[Any, Any, T]], before: MachineSpec) -> T:
        """Change the running machine; if that fails, the specification is what it was before."""
        try:
            return self._run(work)
        except MachineError:
            self._keep(before)
            raise

    def _defined(self) -> MachineSpec:
        if self.spec is None:
            raise _specs.not_found(self.id)
        return self.spec

    # -- QEMU -------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[Session], Coroutine[Any, Any, T]], timeout: float | None = _ANSWER) -> T:
        """Do something over QMP, connecting again if need be."""
        process, session = self._process, self._session
        if process is None:
            raise MachineError("DriverFailed", f"The machine {self.id} does not run.", "Start it first.")
        if session is None or not session.connected:
            session = self._connect(process, _QUIT)
        try:
            return self._site.loop.run(work(session), timeout)
        except TimeoutError:
            raise self._deaf() from None

    def _deaf(self) -> MachineError:
        remedy = "Shut it down with a timeout of 0, or remove it."
        return MachineError("DriverFailed", f"The machine {self.id} does not answer.", remedy)

    def _attend(self, process: Process) -> None:
        self._process = process
        self._halted.clear()
        loop = self._site.loop.loop
        loop.call_soon_threadsafe(process.watch, loop, lambda: self._on_exit(process))

    def _connect(self, process: Process, timeout: float) -> Session:
        until = time.monotonic() + timeout
        while True:
            try:
                return self._site.loop.run(self._open(), max(1.0, until - time.monotonic()))
            except (OSError, QMPError, TimeoutError):
                if process.exited.wait(0.02) or time.monotonic() > until:
                    raise self._deaf() from None

    async def _open(self) -> Session:
        """Connect, and learn what happened before."""
        session = await Session.open(self.room, self._on_event)
        try:
            status = (await session.execute("query-status"))["status"]
            if status in ("paused", "io-error", "prelaunch", "suspended"):
                await session.execute("cont")
        except BaseException:
            await session.close()
            raise
        self._session = session
        self._learn(status)
        return session

    def _learn(self, status: str) -> None:
        """Take over what QEMU says of the guest. Runs in the loop."""
        if status == "shutdown":
            self._guest_stopped("host-shutdown" if self.state.power == "stopping" else "guest-shutdown")
        elif status == "guest-panicked":
            self._guest_stopped("panic")
        elif status == "internal-error":
            self._guest_stopped("crashed")
        elif self.state.power != "stopping":
            self._update(power="running", cause=None, message="")
            self._expect_ready()

    def _on_event(self, event: Event) -> None:
        name, data = event["event"], event.get("data", {})
        if name == "SHUTDOWN" and data.get("reason") == "guest-shutdown":
            self._guest_stopped("host-shutdown" if self.state.power == "stopping" else "guest-shutdown")
        elif name == "GUEST_PANICKED":
            self._guest_stopped("panic")
        elif name == "STOP":
            self._site.loop.spawn(self._notice_crash())
        elif name == "RESET" and data.get("guest") and self.state.power == "running":
            self._update(ready=False, since=datetime.now(UTC))
            self._site.loop.spawn(self._boot_again())
        elif name == "BLOCK_IO_ERROR" and data.get("nospace") and data.get("action") == "stop":
            self._update(message="The host's disk is full: the machine waits for space.")
            self._site.loop.spawn(self._wait_for_space())

    async def _notice_crash(self) -> None:
        """Of a hypervisor that gives up, QEMU tells nothing but that the machine has stopped."""
        with contextlib.suppress(MachineError):
            session = self._session
            if session is not None and (await session.execute("query-status"))["status"] == "internal-error":
                self._learn("internal-error")

    def _guest_stopped(self, cause: Cause) -> None:
        """The guest runs no more, its process still does. Runs in the loop."""
        self._cancel_ready()
        if self.state.power != "stopped":
            self._update(power="stopped", ready=False, cause=cause, message=_MESSAGES[cause])
        self._halted.set()
        self._site.loop.loop.run_in_executor(None, self._bury)

    def _bury(self) -> None:
        with self.lock, contextlib.suppress(MachineError):
            if self.state.power == "stopped":
                self._end()

    def _on_exit(self, process: Process) -> None:
        """The process is gone. Runs in the loop."""
        if self._process is process:
            self._process = None
            self._cancel_ready()
            self._site.loop.spawn(self.disconnect())
            self._gone()
            self._halted.set()
            self._site.loop.loop.run_in_executor(None, self._left)

    def _left(self) -> None:
        """After the process has gone by itself."""
        with self.lock:
            if self._process is None:
                self._leave()

    def _gone(self) -> None:
        """There is no process: whatever ran does so no more."""
        power = self.state.power
        if power in ("running", "stopping"):
            cause: Cause = "host-shutdown" if power == "stopping" else "killed"
            self._update(power="stopped", ready=False, cause=cause, message=_MESSAGES[cause])

    async def _wait_for_space(self) -> None:
        while (session := self._session) is not None and session.connected:
            await asyncio.sleep(_SPACE_RETRY)
            with contextlib.suppress(MachineError):
                await session.execute("cont")
                if (await session.execute("query-status"))["status"] == "running":
                    self._update(message="")
                    return

    # -- ready ------------------------------------------------------------------------------------------

    async def _boot_again(self) -> None:
        self.room.clear_ready()
        self._expect_ready()

    def _expect_ready(self) -> None:
        """Wait in the background until the guest is ready. Runs in the loop."""
        self._cancel_ready()
        if not self.state.ready:
            self._ready_task = self._site.loop.spawn(self._become_ready(self._defined(), self.state.since))

    def _cancel_ready(self) -> None:
        if self._ready_task is not None:
            self._ready_task.cancel()
            self._ready_task = None

    async def _become_ready(self, spec: MachineSpec, since: datetime) -> None:
        word = await watch_ready(self.room, spec, since, self._site.readiness)
        # before anybody can see that it is ready, the secrets are gone
        had_disc = self.room.destroy_disc()
        self._update(ready=True, **word)
        if had_disc:
            self._site.loop.loop.run_in_executor(None, self._unplug_disc)

    # -- state ------------------------------------------------------------------------------------------

    def _update(self, **changes: Any) -> None:
        with self._state_lock:
            before = self.state
            if changes.get("power", before.power) != before.power:
                changes.setdefault("since", datetime.now(UTC))
            if (state := replace(before, **changes)) == before:
                return
            self.state = state
            with contextlib.suppress(OSError):  # its memory of the state is enough until the next driver
                self.room.save_state(state)
        self._site.tell(self.id)
