"""Those who want to hear of changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger("reddog.fabric")


class Watchers:
    """A list of callbacks; one that fails harms neither the others nor the machine."""

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[str], None], ...] = ()

    def add(self, callback: Callable[[str], None]) -> None:
        self._callbacks = (*self._callbacks, callback)

    def tell(self, id: str) -> None:
        for callback in self._callbacks:
            try:
                callback(id)
            except Exception:  # noqa: BLE001
                _log.exception("A watcher of the machine %s failed.", id)
