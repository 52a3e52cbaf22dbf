"""Kill matrices: kill a scenario at every checkpoint, restart it, and look at what is left.

A scenario is a function `scenario(directory, checkpoint)`. It opens a cloud on the directory (with the
checkpoint function handed down to the engine), begins what it is to begin unless that was begun already, and
waits for the end. It runs in a child process, made by fork, that kills itself with SIGKILL when the n-th
checkpoint is reached:

    def scenario(directory: Path, checkpoint: Checkpoint) -> None: ...
    def verify(directory: Path) -> None: ...        # assert on what is left

    killing.matrix(scenario, verify, tmp_path)

For n = 0, 1, 2 ... a fresh directory is used: the scenario is killed at its n-th checkpoint, run again to its
end, and verified, until a run gets through without being killed.

Between two checkpoints of the engine lie a step's own effects. A scenario that calls `watch_effects` has a
checkpoint before each of those, too, and `sample` kills it at some of them.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

Checkpoint = Callable[[str], None]
Scenario = Callable[[Path, Checkpoint], None]

LIMIT = 60.0
TRACE = "trace.txt"


class Killer:
    """A checkpoint function that kills its own process at the n-th call; it counts over all threads.

    Args:
        n: Which call, from 0 on; None for never.
        trace: A file that gets the names of the checkpoints as they are passed.
    """

    def __init__(self, n: int | None, trace: Path | None = None) -> None:
        self._left = n
        self._trace = trace
        self._gate = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._gate:
            if self._trace is not None:
                with self._trace.open("a") as file:
                    file.write(f"{name}\n")
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(LIMIT)
            if self._left is not None:
                self._left -= 1


def run(
    scenario: Scenario, directory: Path, checkpoint: Checkpoint, *, kill_after: float | None = None
) -> bool:
    """Run a scenario in a child process; True when it got to its end, False when it was killed.

    Args:
        scenario: What to run.
        directory: Handed to it.
        checkpoint: Handed to it.
        kill_after: Kill it from outside after so many seconds.
    """
    child = os.fork()
    if child == 0:
        _be_child(scenario, directory, checkpoint)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    status = _wait(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert os.WEXITSTATUS(status) == 0, f"the scenario failed; see {directory / 'error.txt'}: " + _error(
        directory
    )
    return True


def matrix(scenario: Scenario, verify: Callable[[Path], None], directory: Path) -> int:
    """Kill the scenario at every checkpoint; returns how many there were."""
    n = 0
    while True:
        place = directory / f"kill-{n}"
        place.mkdir(parents=True)
        trace = place / TRACE
        killed = not run(scenario, place, Killer(n, trace))
        if killed:
            assert run(scenario, place, Killer(None, trace)), "the restart was killed by somebody else"
        try:
            verify(place)
        except AssertionError as error:
            passed = trace.read_text().split("\n") if trace.exists() else []
            raise AssertionError(f"killed at checkpoint {n} of {passed}: {error}") from error
        shutil.rmtree(place)
        if not killed:
            return n
        n += 1


def sample(scenario: Scenario, verify: Callable[[Path], None], directory: Path, *, kills: int) -> int:
    """Kill the scenario at so many of its checkpoints, spread over all of them; returns how many there were."""
    whole = directory / "whole"
    whole.mkdir(parents=True)
    trace = whole / TRACE
    assert run(scenario, whole, Killer(None, trace))
    verify(whole)
    passed = trace.read_text().split("\n")[:-1]
    stride = max(1.0, len(passed) / kills)
    first = random.random() * stride
    for n in {int(first + number * stride) for number in range(kills)}:
        place = directory / f"kill-{n}"
        place.mkdir()
        run(scenario, place, Killer(n))
        assert run(scenario, place, Killer(None))
        try:
            verify(place)
        except AssertionError as error:
            raise AssertionError(f"killed at effect {n} of {passed}: {error}") from error
        shutil.rmtree(place)
    return len(passed)


def watch_effects(directory: Path, checkpoint: Checkpoint) -> None:
    """From now on, call `checkpoint` before every change of a file or directory below `directory`.

    Only for a process that is to be killed: what Python's audit hooks tell cannot be switched off again.
    """

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if _is_effect(event, arguments, str(directory)):
            checkpoint(f"{event} {Path(str(arguments[0])).name}")

    sys.addaudithook(watch)


def _is_effect(event: str, arguments: tuple[object, ...], directory: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        return bool(changes) and str(path).startswith(directory) and not str(path).endswith(TRACE)
    changing = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
    return changing and (str(arguments[0]).startswith(directory) or not str(arguments[0]).startswith("/"))


def soak(
    scenario: Scenario, verify: Callable[[Path], None], directory: Path, *, seconds: float, longest: float
) -> int:
    """Kill the scenario at random times, again and again, then let it end and verify; returns how many kills.

    Args:
        scenario: What to run; each run goes on with what the one before left.
        verify: Called at the end.
        directory: Handed to both.
        seconds: How long to go on killing at most; a run that got to its end is not repeated.
        longest: The longest time between start and kill, in seconds.
    """
    end = time.monotonic() + seconds
    kills = 0
    while time.monotonic() < end and not run(
        scenario, directory, Killer(None), kill_after=random.uniform(0.01, longest)
    ):
        kills += 1
    assert run(scenario, directory, Killer(None))
    verify(directory)
    return kills


def _be_child(scenario: Scenario, directory: Path, checkpoint: Checkpoint) -> None:
    code = 1
    try:
        scenario(directory, checkpoint)
        code = 0
    except BaseException:
        (directory / "error.txt").write_text(traceback.format_exc())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int) -> int:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"the scenario did not end within {LIMIT} s")


def _error(directory: Path) -> str:
    path = directory / "error.txt"
    return path.read_text() if path.exists() else "it left no traceback"
