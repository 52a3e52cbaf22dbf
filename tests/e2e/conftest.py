"""Clouds started as a user starts them, by the `reddog` command, in directories of their own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class RunningCloud:
    """A cloud in the background, and what `reddog up --output json` said of it."""

    data_dir: Path
    summary: dict[str, Any]
    environment: dict[str, str]

    def reddog(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `reddog` command on this cloud's data directory."""
        command = [sys.executable, "-m", "reddog.cli", *arguments, "--data-dir", str(self.data_dir)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=300, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def up(self, fabric: str) -> dict[str, Any]:
        """Start the cloud (again) on the same data directory."""
        known = [] if (self.data_dir / "ports.json").exists() else own_ports()
        done = self.reddog("up", "--detach", "--output", "json", "--fabric", fabric, *known)
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    @property
    def process(self) -> int:
        """The process id of the running cloud."""
        pid: int = json.loads((self.data_dir / "running.json").read_text())["pid"]
        return pid


def own_ports() -> list[str]:
    """Options that give a cloud ports which no other test's cloud takes, now or when it is down for a while."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20000 + 1000 * (worker % 10) + 4 * next(_CLOUDS)
    return ["--port", str(first), "--storage-port", str(first + 1)]


_CLOUDS = itertools.count()
CloudStarter = Callable[[str], RunningCloud]


@pytest.fixture(scope="module")
def start_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudStarter]:
    """Start clouds with the named fabric; all are taken down when the module's tests are over."""
    started: list[RunningCloud] = []

    def start(fabric: str) -> RunningCloud:
        home = tmp_path_factory.mktemp("home")
        data_dir = home / "cloud"
        environment = {**os.environ, "HOME": str(home), "REDDOG_PROFILE": str(home / "profile.json")}
        for name in ("AZURE_MANAGEMENT_HOST", "REDDOG_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            environment.pop(name, None)
        cloud = RunningCloud(data_dir, {}, environment)
        if fabric == "qemu":
            share_platform_image(data_dir)
        started.append(cloud)
        cloud.summary.update(cloud.up(fabric))
        return cloud

    yield start
    for cloud in started:
        cloud.reddog("down", check=False)
        assert not machines_of(cloud.data_dir), "a virtual machine outlived its cloud"


def share_platform_image(data_dir: Path) -> None:
    """Give a data directory the platform image that the test session builds once."""
    from tiny_image import built_images

    images = data_dir / "images"
    images.mkdir(parents=True)
    for path in built_images():
        os.link(path, images / path.name)


def machines_of(data_dir: Path) -> list[str]:
    """The command lines of QEMU processes that belong to a data directory."""
    found = subprocess.run(
        ["pgrep", "-af", "qemu-system"], capture_output=True, text=True, check=False
    ).stdout
    return [line for line in found.splitlines() if str(data_dir) in line]
