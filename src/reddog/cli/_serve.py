"""Running a cloud: in this process, or in one of its own in the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import logging.handlers
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from reddog.cli import _running
from reddog.cli._output import CommandError
from reddog.profile import Profile, remove_profile, write_profile
from reddog.settings import Settings

READY_TIMEOUT = 60.0  # seconds for a cloud in the background to answer; images are built before it starts
STOP_TIMEOUT = 60.0
LOG_SIZE = 10_000_000
MOST_FILES = 65536  # connections, disks and machines of one cloud
log = logging.getLogger("reddog.cli")

Summary = Mapping[str, Any]


def run_foreground(settings: Settings, on_ready: Callable[[Summary], None]) -> None:
    """Run a cloud in this process until SIGINT or SIGTERM; ``on_ready`` is called once it answers.

    :raises CommandError: it could not start; nothing is left running.
    """
    keep_to_oneself()
    _allow_many_files()
    _log_to_file(settings.logs_dir)
    asyncio.run(_serve(settings, on_ready))


def keep_to_oneself() -> None:
    """Whatever this process and its machines write from now on is for this user alone."""
    os.umask(0o077)


def _allow_many_files() -> None:
    """Take as many open files as this user may have: the usual 1,024 are gone with 1,000 idle connections."""
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if highest == resource.RLIM_INFINITY else min(MOST_FILES, highest)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))


async def _serve(settings: Settings, on_ready: Callable[[Summary], None]) -> None:
    from reddog.cloud import Cloud, CloudError

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    cloud = Cloud(settings)
    try:
        summary = await cloud.start()
    except CloudError as error:
        raise CommandError(error.message, error.remedy) from None
    try:
        _running.record(settings.data_dir, summary)
        _tell_programs(summary)
        on_ready(summary)
        await stopping.wait()
    finally:
        remove_profile(str(settings.data_dir))
        _running.forget(settings.data_dir)
        await cloud.stop()


def _tell_programs(summary: Summary) -> None:
    """Leave the profile by which programs find this cloud without being told its host."""
    try:
        write_profile(Profile(**{field.name: summary[field.name] for field in fields(Profile)}))
    except OSError as error:
        log.warning("The profile cannot be written (%s): programs must be told the cloud's host.", error)


def run_detached(settings: Settings, arguments: list[str]) -> Summary:
    """Run a cloud in a process of its own and return what it says once it answers.

    :raises CommandError: it could not start; the message is the one that it would have printed itself.
    """
    read_end, write_end = os.pipe()
    settings.logs_dir.mkdir(mode=0o700, exist_ok=True)
    with open(settings.logs_dir / "stderr.log", "ab") as log, open(read_end) as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "reddog.cli", "serve", "--ready-fd", str(write_end), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
            start_new_session=True,
            cwd="/",
        )
        os.close(write_end)
        os.set_blocking(answer.fileno(), False)
        line = _read_line(answer.fileno(), process, time.monotonic() + READY_TIMEOUT)
    return _ready_summary(line, settings.logs_dir)


def _read_line(descriptor: int, process: subprocess.Popen[bytes], deadline: float) -> str:
    import select

    received = b""
    while not received.endswith(b"\n") and time.monotonic() < deadline:
        readable, _, _ = select.select([descriptor], [], [], 0.5)
        if readable:
            chunk = os.read(descriptor, 65536)
            if not chunk:
                break
            received += chunk
    if not received and process.poll() is None:
        process.terminate()
    return received.decode()


def _ready_summary(line: str, logs_dir: Path) -> Summary:
    if not line:
        raise CommandError(
            "The cloud did not start.", f"{logs_dir / 'stderr.log'} and {logs_dir / 'reddog.log'} say why."
        )
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise CommandError(answer["error"], answer["remedy"])
    return answer


def answer_on(descriptor: int) -> tuple[Callable[[Summary], None], Callable[[CommandError], None]]:
    """The two ways in which a cloud in the background answers its parent: ready, or failed."""

    def write(document: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError), open(descriptor, "w") as stream:
            stream.write(json.dumps(dict(document)) + "\n")

    return write, lambda error: write({"error": error.message, "remedy": error.remedy})


def stop(running: _running.RunningCloud) -> None:
    """Ask a running cloud to stop, and wait until its process is gone.

    :raises CommandError: it still runs after a minute.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while running.is_alive():
        if time.monotonic() > deadline:
            raise CommandError(
                f"The cloud (process {running.pid}) has not stopped after {STOP_TIMEOUT:.0f} seconds.",
                f"End it with: kill -9 {running.pid}. Nothing is lost by that.",
            )
        time.sleep(0.05)


def _log_to_file(logs_dir: Path) -> None:
    logs_dir.mkdir(mode=0o700, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        logs_dir / "reddog.log", maxBytes=LOG_SIZE, backupCount=3, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("qemu.qmp").setLevel(logging.ERROR)
