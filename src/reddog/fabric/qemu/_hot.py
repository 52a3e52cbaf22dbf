"""Changes to a running machine over QMP: disks, forwards, backups. All may be repeated after a crash."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reddog.fabric import _specs, ports
from reddog.fabric._files import create_private
from reddog.fabric.compute import Disk, Forward, MachineError
from reddog.fabric.qemu import _command
from reddog.fabric.qemu._session import Session, wait_event

_UNPLUG_PATIENCE = 10.0
_FORWARD = re.compile(
    r"^\s*(TCP|UDP)\[HOST_FORWARD\]\s+\d+\s+(?P<address>\S+)\s+(?P<port>\d+)\s+\S+\s+(?P<guest>\d+)", re.M
)
_Rule = tuple[str, str, int, int]


async def plug_disk(session: Session, disk: Disk) -> None:
    """Make the data disk a device of the machine, if it is not.

    Raises MachineError DiskLocked.
    """
    assert disk.lun is not None
    if _command.node_name(disk.lun) not in await _nodes(session):
        await session.execute("blockdev-add", **_command.blockdev(disk))
    if _command.device_id(disk.lun) in await _devices(session):
        return
    try:
        await session.execute("device_add", **_command.data_device(disk.lun))
    except MachineError as error:
        await session.execute("blockdev-del", node_name=_command.node_name(disk.lun))
        raise _specs.disk_locked(disk.path) if "lock" in error.message else error from None


async def unplug(session: Session, device: str, node: str, *, patience: float = _UNPLUG_PATIENCE) -> None:
    """Take a device out of the machine and close its file; the guest has `patience` seconds to let go.

    Raises MachineError DriverFailed when the guest does not let go of it.
    """
    if device in await _devices(session):
        async with session.listen("DEVICE_DELETED") as deleted:
            await _ask_to_unplug(session, device)
            wanted = lambda event: event["data"].get("device") == device  # noqa: E731
            if await wait_event(session, deleted, wanted, patience) is None:
                message = f"The guest does not let go of the device {device}."
                raise MachineError("DriverFailed", message, "Shut the machine down first.")
    if node in await _nodes(session):
        await session.execute("blockdev-del", node_name=node)


async def _ask_to_unplug(session: Session, device: str) -> None:
    try:
        await session.execute("device_del", id=device)
    except MachineError as error:
        if "in the process of unplug" not in error.message:
            raise


async def _nodes(session: Session) -> set[str]:
    return {node["node-name"] for node in await session.execute("query-named-block-nodes", flat=True)}


async def _devices(session: Session) -> set[str]:
    return {item["name"] for item in await session.execute("qom-list", path="/machine/peripheral")}


async def apply_forwards(session: Session, forwards: Iterable[Forward]) -> None:
    """Make the machine's forwards exactly these.

    Raises MachineError PortInUse, PortForbidden or InvalidSpec; some may have been changed by then.
    """
    forwards = tuple(forwards)
    wanted = {_rule(forward): forward for forward in _specs.own_forwards(forwards)}
    balanced = _command.balanced_ports(forwards)
    present = _rules(await session.human("info usernet"))
    there = {rule for rule in present if _is_balanced(rule)}
    kept = {rule for rule in there if _guest_port(rule) in balanced}
    for protocol, address, port, _ in present - wanted.keys() - kept:
        await session.human(f"hostfwd_remove {_command.NETDEV} {protocol}:{address}:{port}")
    for rule in wanted.keys() - present:
        ports.check_bindable(wanted[rule])
        if await session.human(f"hostfwd_add {_command.NETDEV} {_command.hostfwd(wanted[rule])}"):
            raise _specs.port_in_use(wanted[rule])
    for missing in balanced - set(map(_guest_port, kept)):
        await session.human(f"hostfwd_add {_command.NETDEV} {_command.balanced_hostfwd(missing)}")


async def balanced_ports(session: Session) -> dict[_command.GuestPort, int]:
    """Where the load balancer reaches the guest's ports: the host's ports at `BALANCED_ADDRESS` by these."""
    rules = _rules(await session.human("info usernet"))
    return {_guest_port(rule): rule[2] for rule in rules if _is_balanced(rule)}


def _guest_port(rule: _Rule) -> _command.GuestPort:
    return rule[0], rule[3]


def _is_balanced(rule: _Rule) -> bool:
    return rule[1] == _command.BALANCED_ADDRESS


def _rule(forward: Forward) -> _Rule:
    return (*_specs.place(forward), forward.guest_port)


def _rules(table: str) -> set[_Rule]:
    """The forwards in slirp's own table, the only place where QEMU tells them."""
    found = _FORWARD.finditer(table)
    return {(row[1].lower(), row["address"], int(row["port"]), int(row["guest"])) for row in found}


async def backup(session: Session, disk: Disk, draft: Path) -> None:
    """Copy the disk as of now into `draft`, while the guest writes on.

    Raises MachineError NoSpace or DriverFailed.
    """
    name = f"backup-{_command.device_id(disk.lun)}"
    await _forget_backup(session, name)
    file = {"driver": "file", "filename": _make_target(draft, disk.size), "discard": "unmap"}
    options = {"driver": "raw", "node-name": name, "discard": "unmap", "detect-zeroes": "unmap", "file": file}
    await session.execute("blockdev-add", **options)
    try:
        await _run_backup(session, name, _command.node_name(disk.lun), draft)
    finally:
        await _forget_backup(session, name)


def _make_target(draft: Path, size: int) -> str:
    descriptor = create_private(draft)
    os.ftruncate(descriptor, size)
    os.close(descriptor)
    return str(draft.absolute())


async def _run_backup(session: Session, name: str, node: str, draft: Path) -> None:
    """Mirror the disk until the copy has caught up, then stop there.

    (`blockdev-backup` would allocate the holes of the copy; a mirror leaves them.)
    """
    events = "BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"
    mine = lambda event: event["data"]["device"] == name  # noqa: E731
    async with session.listen(*events) as progress:
        await session.execute("blockdev-mirror", job_id=name, device=node, target=name, sync="full")
        event = await wait_event(session, progress, mine, None)
        if event is not None and event["event"] == "BLOCK_JOB_READY":
            await session.execute("block-job-cancel", device=name)
            event = await wait_event(session, progress, mine, None)
    failure = _failure(event)
    if failure is None:
        return
    if "No space left" in failure:
        message = f"There is no space left for {draft.parent}."
        raise MachineError("NoSpace", message, "Free some disk space and try again.")
    raise MachineError("DriverFailed", f"The copy failed: {failure}.", "Try again.")


def _failure(event: dict[str, Any] | None) -> str | None:
    if event is None:
        return "the machine's process went away"
    if event["event"] == "BLOCK_JOB_CANCELLED":
        return "it was cancelled"
    error: str | None = event["data"].get("error")
    return error


async def _forget_backup(session: Session, name: str) -> None:
    """End a copy that is under way, and close its target."""
    if not session.connected:
        return
    while any(job["device"] == name for job in await session.execute("query-block-jobs")):
        await session.execute("block-job-cancel", device=name, force=True)
        await asyncio.sleep(0.05)
    if name in await _nodes(session):
        await session.execute("blockdev-del", node_name=name)
