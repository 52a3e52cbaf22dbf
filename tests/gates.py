"""A reconciler that tests can hold up."""

from __future__ import annotations

import threading

from reddog.engine import Context, Converged, Reconciler, Resource, Retry


class Gate(Reconciler):
    """Holds what is being changed until it is opened."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.open = threading.Event()

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        return Converged() if self.open.is_set() else Retry(0.02)
