"""A compute driver's refusals in the management API's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reddog.fabric import MachineError
from reddog.wire import errors


@contextmanager
def machine_errors(role: str) -> Iterator[None]:
    """Turn a `MachineError` into the service error that the operation then ends with."""
    try:
        yield
    except MachineError as error:
        if error.code in ("PortInUse", "PortForbidden"):
            raise errors.ENDPOINT_PORT_UNAVAILABLE(detail=error.message, remedy=error.remedy) from None
        if error.code == "NoSpace":
            raise errors.NO_SPACE(detail=error.message) from None
        if error.code == "InvalidSpec":
            raise errors.INVALID_MACHINE(role=role, detail=error.message, remedy=error.remedy) from None
        raise errors.MACHINE_FAILED(role=role, detail=error.message, remedy=error.remedy) from None
