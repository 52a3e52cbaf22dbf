"""How many asynchronous operations the engine accepts per second, and how long each acceptance takes.

Accepting means: two rows and an operation are on the disk (SQLite, WAL, synchronous=FULL). It is shown beside
the disk's own limit, measured in the same run: commits of one small row by plain `sqlite3`, one by one.

    python benchmarks/accept.py [--operations N] [--threads N] [--check]
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from reddog.engine import Context, Converged, Engine, OperationRequest, Reconciler, Resource, Retry, Tx
from reddog.store import Store

GOAL = {"name": "web", "size": "Small", "label": "x" * 200}
LEAST_PER_SECOND = 300
LONGEST_MEDIAN = 0.005


class Nothing(Reconciler):
    """Converges at once, so that the whole life of the operations competes with accepting them."""

    kind = "deployment"

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        return Converged()


def raw_commits(directory: Path, count: int) -> list[float]:
    """Seconds of each commit of plain SQLite."""
    connection = sqlite3.connect(directory / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (text) VALUES (?)", ("x" * 300,))
        connection.execute("COMMIT")
        times.append(time.perf_counter() - begin)
    connection.close()
    return times


def change(tx: Tx) -> None:
    """A new deployment in a new cloud service."""
    name = uuid.uuid4().hex
    tx.insert("hosted_service", name, subscription="sub", goal=GOAL)
    tx.insert("deployment", f"{name}/d", subscription="sub", parent=name, goal=GOAL)


def accept(engine: Engine, count: int, times: list[float]) -> None:
    """Accept operations one after the other."""
    for _ in range(count):
        request = OperationRequest(uuid.uuid4().hex, "Create VM Deployment", "sub")
        begin = time.perf_counter()
        engine.accept(request, change)
        times.append(time.perf_counter() - begin)


def measure(engine: Engine, operations: int, threads: int) -> tuple[float, list[float]]:
    """Total seconds, and seconds of each acceptance, with so many callers at a time."""
    times: list[float] = []
    callers = [
        threading.Thread(target=accept, args=(engine, operations // threads, times)) for _ in range(threads)
    ]
    begin = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return time.perf_counter() - begin, times


def drain(engine: Engine) -> float:
    """Seconds until everything that was accepted has closed."""
    begin = time.perf_counter()
    for record in engine.store.read(lambda reader: reader.running()):
        engine.wait(record.id, 60)
    return time.perf_counter() - begin


def show(name: str, seconds: float, times: list[float], limit: float) -> float:
    """Print one line; returns the rate."""
    rate = len(times) / seconds
    percentiles = statistics.quantiles(times, n=100)
    print(
        f"{name:<24} {rate:8.0f}/s  p50 {percentiles[49] * 1e3:6.2f} ms  p99 {percentiles[98] * 1e3:6.2f} ms"
        f"  {rate / limit:5.2f} of the disk's commits"
    )
    return rate


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--operations", type=int, default=1000, help="operations for each line")
    parser.add_argument("--threads", type=int, default=8, help="callers at a time on the last line")
    parser.add_argument("--check", action="store_true", help="fail when the target is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-accept-") as name:
        directory = Path(name)
        raw = raw_commits(directory, 500)
        limit = len(raw) / sum(raw)
        show("plain SQLite commits", sum(raw), raw, limit)
        store = Store(directory / "data")
        idle = Engine(store, [Nothing()])
        seconds, times = measure(idle, options.operations, 1)
        rate, median = show("accept only, 1 caller", seconds, times, limit), statistics.median(times)
        engine = Engine(store, [Nothing()])
        engine.start()
        print(
            f"{'':<24} (and {len(times)} left-over operations driven to their end in {drain(engine):.2f} s)"
        )
        for threads in (1, options.threads):
            seconds, times = measure(engine, options.operations, threads)
            show(f"accept + run, {threads} callers", seconds, times, limit)
            print(f"{'':<24} (all closed {drain(engine):.2f} s later)")
        engine.stop()
        store.close()
    print(f"target: {LEAST_PER_SECOND}/s, p50 {LONGEST_MEDIAN * 1e3:.0f} ms (accept only, 1 caller)")
    return int(options.check and (rate < LEAST_PER_SECOND or median > LONGEST_MEDIAN))


if __name__ == "__main__":
    sys.exit(main())
