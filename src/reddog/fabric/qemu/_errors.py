"""What QEMU's messages mean."""

from __future__ import annotations

from reddog.fabric import _specs, ports
from reddog.fabric.compute import MachineError, MachineSpec


def start_error(log: str, spec: MachineSpec) -> MachineError:
    """What QEMU's last words mean."""
    for disk in (spec.os_disk, *spec.data_disks):
        if str(disk.path) in log and ("lock" in log or "in use" in log):
            return _specs.disk_locked(disk.path)
    if 'Failed to get "write" lock' in log or 'Failed to get shared "write" lock' in log:
        return _specs.disk_locked(spec.os_disk.path)
    if "host forwarding rule" in log:
        return _forward_error(log, spec)
    if "No space left on device" in log:
        return MachineError("NoSpace", "The host's disk is full.", "Free some disk space and try again.")
    if "Cannot allocate memory" in log or "cannot set up guest memory" in log:
        message = f"The host has no {spec.memory_mb} MB of memory for this machine."
        return MachineError("StartFailed", message, "Stop other machines, or choose a smaller size.")
    said = [line for line in log.splitlines() if " warning: " not in line]
    last = said[-1] if said else "it said nothing"
    return MachineError(
        "StartFailed", f"QEMU ended at once: {last}.", "See qemu.log in the machine's directory."
    )


def _forward_error(log: str, spec: MachineSpec) -> MachineError:
    for forward in _specs.own_forwards(spec.forwards):
        try:
            ports.check_bindable(forward)
        except MachineError as error:
            return error
    named = (f for f in spec.forwards if f":{f.address}:{f.port}-" in log)
    return _specs.port_in_use(next(named, spec.forwards[0]))
