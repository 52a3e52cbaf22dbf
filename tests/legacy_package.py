"""The published package, azure-servicemanagement-legacy 0.20.8, in a virtual environment of its own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = ("azure-servicemanagement-legacy==0.20.8", "setuptools<70")


def find_or_install() -> str:
    """An interpreter that has the published package: REDDOG_LEGACY_PYTHON, or one made once in the user's cache.

    The test is skipped, saying why, where it cannot be installed; in CI it fails instead.
    """
    named = os.environ.get("REDDOG_LEGACY_PYTHON")
    if named:
        return named
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reddog-tests" / "legacy-0.20.8"
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(home.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not (home / "complete").exists():
            _install(home)
    return str(home / "bin" / "python")


def _install(home: Path) -> None:
    install = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", *REQUIREMENTS]
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(home)], check=True, capture_output=True, timeout=120
        )
        subprocess.run(install, check=True, capture_output=True, timeout=180)
    except (OSError, subprocess.SubprocessError) as error:
        message = f"the published package cannot be installed here: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    (home / "complete").touch()
