"""The log of requests."""

from __future__ import annotations

import asyncio
import logging

DELAY = 0.2  # seconds that a line may wait for others
log = logging.getLogger("reddog.frontend")


class RequestLog:
    """One line for each request: method, path, status, milliseconds, request id; never a query or a body.

    Writing a record costs as much as answering a read, so lines that come within a moment share one.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, method: str, path: str, status: int, seconds: float, request_id: str) -> None:
        """Note a request. Called in the event loop."""
        if not log.isEnabledFor(logging.INFO):
            return
        self._lines.append(f"{method} {path} {status} {1000 * seconds:.1f} ms ({request_id})")
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(DELAY, self.flush)

    def flush(self) -> None:
        """Write what has been noted."""
        lines, self._lines = self._lines, []
        if lines:
            log.info("%s", "\n".join(lines))
