"""The README, taken at its word: its commands are run, its code is run, its tables are complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.e2e.conftest import CloudStarter, RunningCloud, own_ports

from reddog.cli import _app
from reddog.cli._output import ExitCode
from reddog.settings import Settings

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
ELSEWHERE = {  # what is proven by other tests
    "./demo": "tests/e2e/test_demo.py",
    "./check": "what CI runs",
    "scripts/setup && . .venv/bin/activate": "tests/e2e/test_demo.py",
    "export REQUESTS_CA_BUNDLE=...": "tests/e2e/test_legacy_client.py",
}


def blocks(language: str) -> list[str]:
    """The README's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def table(heading: str) -> dict[str, str]:
    """The rows below a heading: first cell, and the rest of the row."""
    section = README.partition(f" {heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.MULTILINE)
    assert rows, f"there is no table below {heading}"
    return dict(rows)


@pytest.fixture(scope="module")
def cloud(start_cloud: CloudStarter) -> RunningCloud:
    return start_cloud("simulated")


@pytest.mark.parametrize("code", blocks("python"))
def test_the_code_runs(
    code: str, cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = cloud.summary
    monkeypatch.setenv("REDDOG_PROFILE", cloud.environment["REDDOG_PROFILE"])
    session: dict[str, Any] = {
        "subscription_id": summary["subscription_id"],
        "certificate_path": summary["certificate"],
    }
    if "import" not in code:
        exec("from azure.servicemanagement import *", session)
    exec(code.replace("127.0.0.1:8443", summary["management_host"]), session)
    assert len(list(session["sms"].list_locations())) == 14
    if "print" in code:
        assert "West US" in capsys.readouterr().out


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A newcomer's environment; their cloud boots nothing and has ports of its own."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    _, port, _, storage_port = own_ports()
    (data_dir / "reddog.toml").write_text(
        f'fabric = "simulated"\nport = {port}\nstorage_port = {storage_port}\n'
    )
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "REDDOG_DATA_DIR": str(data_dir),
        "REDDOG_PROFILE": str(tmp_path / "profile.json"),
    }
    yield environment
    for directory in (data_dir, tmp_path / "cloud"):
        command = [sys.executable, "-m", "reddog.cli", "down", "--data-dir", str(directory)]
        subprocess.run(command, env=environment, capture_output=True, check=False)


def test_the_commands_run_in_their_order(home: dict[str, str], tmp_path: Path) -> None:
    lines = [line.partition("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    assert ELSEWHERE.keys() <= set(lines)
    said = ""
    for line in (line for line in lines if line not in ELSEWHERE):
        assert line.startswith("reddog "), line
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout
        assert done.returncode == 0, f"{line}: {said}{done.stderr}"
    promised = README.partition("prints one JSON object: ")[2].partition(", and more")[0]
    assert set(re.findall(r"`(\w+)`", promised)) <= json.loads(said).keys()  # the last command's


def commands(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every command that is not hidden, with its options."""
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from commands(command, *above, name)
        elif not command.hidden:
            options = {option for parameter in command.params for option in parameter.opts}
            yield (*above, name), options


def test_the_table_of_commands_is_complete_and_true() -> None:
    there = dict(commands(typer.main.get_command(_app.app)))
    told = set()
    for cell, meaning in table("Commands").items():
        texts = re.findall(r"`reddog ([^`]+)`", cell)
        for text in texts:
            command = tuple(re.match(r"[a-z]+( [a-z]+)*", text)[0].split())  # type: ignore[index]
            assert command in there, text
            named = re.findall(r"--[a-z-]+", text if len(texts) > 1 else f"{text} {meaning}")
            assert set(named) <= there[command], text
            told.add(command)
    assert told == there.keys()


def test_the_table_of_settings_is_complete_and_true() -> None:
    told = {}
    for cell, rest in table("Settings").items():
        names = re.findall(r"`(\w+)`", cell)
        defaults = [value.strip("` ") for value in rest.partition(" | ")[0].split(",")]
        told.update(zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=True))
    settings = Settings(Path())
    assert told == {
        field.name: json.dumps(getattr(settings, field.name))
        for field in fields(Settings)
        if field.name != "data_dir"
    }


def test_the_exit_codes_are_true() -> None:
    text = " ".join(README.split()).partition("Exit codes: ")[2].partition(". ")[0]
    codes = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert {int(code) for code in re.findall(r"\d", text)} == codes
