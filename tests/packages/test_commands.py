"""`reddog package`: the example is built and shown, and mistakes are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "webrole"


def reddog(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reddog.cli", "package", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_example_is_built_and_shown(tmp_path: Path) -> None:
    target = tmp_path / "hello.cspkg"
    assert reddog("build", EXAMPLE, "-o", target).returncode == 0
    (row,) = json.loads(reddog("show", target, "--output", "json").stdout)
    assert (row["role"], row["command"], row["files"]) == ("Web", "serve.sh", 2)


def test_mistakes_are_told_with_the_next_step(tmp_path: Path) -> None:
    cases = [
        (reddog("build", tmp_path, "-o", tmp_path / "a.cspkg"), 4, "holds 0 service definitions"),
        (reddog("build", EXAMPLE, "-o", tmp_path / "a", "--role", "Web"), 2, "is not NAME=DIRECTORY"),
        (reddog("show", tmp_path / "none"), 1, "cannot be read"),
        (reddog("show", EXAMPLE / "Web" / "serve.sh"), 1, "no ZIP file"),
    ]
    for done, code, message in cases:
        assert done.returncode == code
        assert message in done.stderr
        assert "Traceback" not in done.stderr
