"""What proves that an operation is as it was: the coverage page is made from this.

What is proven against recordings, and by the legacy client, is in the checked-in table proofs.json, so that the page
can be made where neither is at hand. `REDDOG_WRITE_PROOFS=1` has the tests that know write it:
tests/frontend/test_shapes.py and tests/e2e/test_legacy_client.py.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from reddog.wire import OPERATIONS

TABLE = Path(__file__).with_name("proofs.json")
OWN_TESTS = Path(__file__).with_name("services")


def hold(kind: str, operations: Iterable[str]) -> None:
    """Compare the operations that something has just proven with those that the table says."""
    found = sorted(operations)
    table = json.loads(TABLE.read_text())
    if os.environ.get("REDDOG_WRITE_PROOFS"):
        TABLE.write_text(json.dumps({**table, kind: found}, indent=1) + "\n")
        return
    differ = set(found) ^ set(table[kind])
    assert not differ, (
        f"{TABLE.name} is out of date; run these tests with REDDOG_WRITE_PROOFS=1, then write-docs"
    )


def called_in_own_tests() -> set[str]:
    """The operations that the tests of the services call: they have the names as first arguments."""
    return {name for path in sorted(OWN_TESTS.glob("test_*.py")) for name in _called(path)}


def _called(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for argument in call.args[:2]:
            if isinstance(argument, ast.JoinedStr):
                yield from _filled_in(argument)
                continue
            value = argument.value if isinstance(argument, ast.Constant) else None
            value = constants.get(argument.id) if isinstance(argument, ast.Name) else value
            if isinstance(value, str) and value in OPERATIONS:
                yield value


def _filled_in(template: ast.JoinedStr) -> Iterator[str]:
    """The operations that a name with a word left open, such as f"Get {kind} Image", may mean."""
    parts = (
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in template.values
    )
    pattern = re.compile("".join(parts))
    yield from (name for name in OPERATIONS if pattern.fullmatch(name))
