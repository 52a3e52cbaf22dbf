"""The names that the rest of the project, and programs, may import from `reddog.wire`."""

from __future__ import annotations

import subprocess
import sys

from reddog import wire

FUNCTIONS_AND_TABLES = {
    "NIL",
    "OPERATIONS",
    "Collection",
    "ErrorKind",
    "Match",
    "RestOperation",
    "Scalar",
    "ServiceError",
    "WireType",
    "decode",
    "encode",
    "encode_item",
    "errors",
    "model",
    "needs_body_root",
    "only",
    "root_name",
    "route",
}


def test_the_exported_names_are_these_and_the_types():
    assert set(wire.__all__) == FUNCTIONS_AND_TABLES | set(wire.types.__all__)
    assert all(hasattr(wire, name) for name in wire.__all__)


def test_every_type_is_exported():
    declared = {
        name
        for module in vars(wire.types).values()
        if getattr(module, "__name__", "").startswith("reddog.wire.types.")
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, wire.WireType)
        and value.__module__ == module.__name__
    }
    assert declared == set(wire.types.__all__)


def test_the_package_is_a_leaf():
    script = "import sys, reddog.wire; print(sorted(n for n in sys.modules if n.startswith('reddog.')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(name.startswith("reddog.wire") for name in eval(done.stdout))
