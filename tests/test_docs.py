"""The documents: those made from the code are up to date, and links between them lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])


def test_documents_made_from_the_code_are_up_to_date() -> None:
    command = [sys.executable, str(CHECKOUT / "scripts" / "write-docs"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_coverage_page_leads_to_every_supported_operation() -> None:
    docs = CHECKOUT / "docs"
    wanted = re.findall(r"\(operations\.md#([^)]+)\)", (docs / "coverage.md").read_text(encoding="utf-8"))
    headings = re.findall(r"^### (.+)$", (docs / "operations.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert wanted == anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing
