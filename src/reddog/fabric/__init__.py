"""Drivers of virtual machines behind one interface. They know no database and never import each other."""

from reddog.fabric.compute import (
    Accelerator,
    AclRule,
    Cause,
    ComputeDriver,
    Disk,
    Forward,
    MachineError,
    MachineSpec,
    MachineState,
    Network,
    Power,
    Probe,
)

__all__ = [
    "Accelerator",
    "AclRule",
    "Cause",
    "ComputeDriver",
    "Disk",
    "Forward",
    "MachineError",
    "MachineSpec",
    "MachineState",
    "Network",
    "Power",
    "Probe",
]
