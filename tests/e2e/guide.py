"""The feature guide's snippets: taken from its file, with the placeholders filled in as it says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Snippet:
    """One indented block of Python in the guide."""

    line: int  # where it starts in the guide
    section: str  # the anchor of the section it stands in
    code: str


def guide_path() -> Path:
    """The guide's file; the test is skipped, saying why, where the recordings and the guide are absent."""
    shared = Path(os.environ.get("REDDOG_SHARED", HERE.parent / "shared"))
    path = shared / "guide.ja.md"
    if not path.exists():
        pytest.skip(
            "the feature guide is not here: set REDDOG_SHARED to the directory that holds guide.ja.md"
        )
    return path


def snippets(path: Path) -> list[Snippet]:
    """The guide's Python snippets in order; shell commands and the Windows certificate store are left out."""
    found: list[Snippet] = []
    section, start, block = "", 0, list[str]()
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate([*lines, "end"], start=1):
        if line.startswith("    ") or (block and not line.strip()):
            start = start if block else number
            block.append(line[4:])
            continue
        code = "\n".join(block).strip() + "\n"
        if block and _is_python(code):
            found.append(Snippet(start, section, code))
        block = []
        if line.startswith("## "):
            section = line.partition('name="')[2].partition('"')[0]
    return found


def fill_in(code: str, values: Mapping[str, str]) -> str:
    """The snippet with its placeholders replaced."""
    for placeholder, value in values.items():
        code = code.replace(placeholder, value)
    return code


def _is_python(code: str) -> bool:
    return not code.startswith(("openssl", "makecert")) and "CURRENT_USER" not in code
