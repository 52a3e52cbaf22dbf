"""Operations, locks, and the loop that makes the world match the goals."""

from reddog.engine._engine import Engine, EngineSettings
from reddog.engine._interface import (
    Context,
    Converged,
    Exists,
    Failed,
    Locked,
    Missing,
    OperationRequest,
    Reconciler,
    Retry,
    Tx,
)
from reddog.store import OperationRecord, Reader, Ref, Resource

__all__ = [
    "Context",
    "Converged",
    "Engine",
    "EngineSettings",
    "Exists",
    "Failed",
    "Locked",
    "Missing",
    "OperationRecord",
    "OperationRequest",
    "Reader",
    "Reconciler",
    "Ref",
    "Resource",
    "Retry",
    "Tx",
]
