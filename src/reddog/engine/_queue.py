"""Work that is due now or later, each item at most once in the queue and at most once in progress."""

from __future__ import annotations

import heapq
import threading
from itertools import count
from time import monotonic

Item = tuple[str, ...]
SLACK = 64


class WorkQueue:
    """Hands items to workers when they are due. Sleeps without polling until then."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order = count()
        self._heap: list[tuple[float, int, Item]] = []
        self._due: dict[Item, float] = {}
        self._running: set[Item] = set()
        self._again: dict[Item, float] = {}
        self._stopped = False

    def add(self, item: Item, delay: float = 0.0) -> None:
        """Make an item due in `delay` seconds; the earlier of several times counts.

        An item that is in progress is handed out again afterwards.
        """
        due = monotonic() + delay
        with self._changed:
            if self._stopped:
                return
            if item in self._running:
                self._again[item] = min(due, self._again.get(item, due))
            elif due < self._due.get(item, float("inf")):
                self._push(item, due)

    def discard(self, item: Item) -> None:
        """Forget an item that is not in progress."""
        with self._changed:
            self._due.pop(item, None)
            if len(self._heap) > 2 * len(self._due) + SLACK:
                self._heap = [entry for entry in self._heap if self._is_current(entry)]
                heapq.heapify(self._heap)

    def take(self) -> Item | None:
        """Wait for the next item; None when the queue has been stopped. The taker calls `done` afterwards."""
        with self._changed:
            while not self._stopped:
                wait = self._wait()
                if wait is not None and wait <= 0:
                    return self._pop()
                self._changed.wait(wait)
            return None

    def done(self, item: Item) -> None:
        """The item is no longer in progress."""
        with self._changed:
            self._running.discard(item)
            due = self._again.pop(item, None)
            if due is not None and not self._stopped:
                self._push(item, due)

    def stop(self) -> None:
        """Hand out nothing any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _push(self, item: Item, due: float) -> None:
        self._due[item] = due
        heapq.heappush(self._heap, (due, next(self._order), item))
        self._changed.notify()

    def _pop(self) -> Item:
        _, _, item = heapq.heappop(self._heap)
        del self._due[item]
        self._running.add(item)
        if self._heap:
            self._changed.notify()  # somebody else now waits for the next one
        return item

    def _wait(self) -> float | None:
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] - monotonic() if self._heap else None

    def _is_current(self, entry: tuple[float, int, Item]) -> bool:
        due, _, item = entry
        return self._due.get(item) == due
