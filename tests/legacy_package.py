"""Published packages, as they were: in virtual environments, or directories, of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

REQUIREMENTS = ("azure-servicemanagement-legacy==0.20.8", "setuptools<70")
_FAILURES = (OSError, subprocess.SubprocessError)


def find_or_install() -> str:
    """An interpreter that has the published package: REDDOG_LEGACY_PYTHON, or one made once in the user's cache.

    The test is skipped, saying why, where it cannot be installed; in CI it fails instead.
    """
    return os.environ.get("REDDOG_LEGACY_PYTHON") or environment("legacy-0.20.8", REQUIREMENTS)


def environment(name: str, requirements: Sequence[str]) -> str:
    """The interpreter of a virtual environment that has these packages, made once in the user's cache."""

    def install(home: Path) -> None:
        _run(sys.executable, "-m", "venv", str(home))
        _run(str(home / "bin" / "python"), "-m", "pip", "install", "-q", *requirements)

    return str(_made_once(name, install) / "bin" / "python")


def npm_package(name: str, version: str) -> Path:
    """A directory with a package of npm's, made once in the user's cache. Without node the test is skipped."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not in PATH")

    def install(home: Path) -> None:
        home.mkdir(exist_ok=True)
        options = ("--silent", "--no-audit", "--no-fund", "--prefix", str(home))
        _run("npm", "install", *options, f"{name}@{version}")

    return _made_once(f"npm-{name}-{version}", install)


def _made_once(name: str, install: Callable[[Path], None]) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reddog-tests" / name
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{home}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not (home / "complete").exists():
            try:
                install(home)
            except _FAILURES as error:
                _give_up(f"the published package {name} cannot be installed here: {error}")
            (home / "complete").touch()
    return home


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=180)


def _give_up(message: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
