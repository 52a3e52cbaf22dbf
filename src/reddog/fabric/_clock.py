"""The time a simulated fabric lives by: real, or moved by hand."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol

_Due = tuple[float, int, Callable[[], None]]


class Clock(Protocol):
    """Seconds since the epoch, and something to do later. Callbacks run in any thread and are quick."""

    def now(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class RealClock:
    """The computer's clock. Callbacks run in one thread of its own, started when first needed."""

    def __init__(self) -> None:
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def now(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), callback))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="simulated-clock", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Forget what is still due and end the thread."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            callback()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                wait = self._due[0][0] - self.now() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
        return None


class ManualClock:
    """A clock that stands still until `advance` is called; callbacks run in the caller's thread."""

    def __init__(self, start: float = 1_400_000_000.0) -> None:
        self._now = start
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._lock = threading.RLock()

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._due, (when, next(self._order), callback))

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; everything due on the way happens at its own moment, in order."""
        with self._lock:
            until = self._now + seconds
        while (callback := self._next(until)) is not None:
            callback()

    def close(self) -> None:
        """Nothing to let go of: several drivers may share one clock."""

    def _next(self, until: float) -> Callable[[], None] | None:
        with self._lock:
            if self._due and self._due[0][0] <= until:
                when, _, callback = heapq.heappop(self._due)
                self._now = max(self._now, when)
                return callback
            self._now = max(self._now, until)
            return None
