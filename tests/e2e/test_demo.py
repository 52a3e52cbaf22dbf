"""`./demo`, as a newcomer types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import machines_of, share_platform_image

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.qemu
@pytest.mark.timeout(600)
def test_the_demo_logs_in_to_a_machine_and_leaves_nothing(tmp_path: Path) -> None:
    if Path(sys.prefix) != CHECKOUT / ".venv":
        pytest.skip("the demo would install itself into .venv, and these tests run elsewhere")
    data_dir = tmp_path / "demo"
    share_platform_image(data_dir)
    environment = {**os.environ, "HOME": str(tmp_path), "REDDOG_DATA_DIR": str(data_dir)}
    done = subprocess.run(
        [str(CHECKOUT / "demo")], capture_output=True, text=True, env=environment, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "- Logging in: ssh -p " in done.stdout
    assert "Hello from tour-" in done.stdout
    assert "The cloud is down." in done.stdout
    assert [path.name for path in data_dir.iterdir()] == ["images"]
    assert machines_of(data_dir) == []


def test_a_wrong_argument_is_answered_with_the_usage() -> None:
    done = subprocess.run(
        [str(CHECKOUT / "demo"), "--kepe"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "usage: ./demo [--keep]" in done.stderr
