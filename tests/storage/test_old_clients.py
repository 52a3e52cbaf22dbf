"""The storage clients of their time, as they were published, take their tours of the three services."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import legacy_package

CLIENTS = Path(__file__).parent / "clients"


def tour(server, *command: str) -> None:
    ports = (str(server.ports[service]) for service in ("blob", "queue", "table"))
    arguments = [*command, "acct", server.keys[0], *ports]
    ended = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=240)
    assert ended.stdout.endswith("toured\n"), ended.stdout + ended.stderr


def test_the_python_client_of_2015_takes_its_tour(server):
    python = legacy_package.environment("azure-storage-0.20", ("azure-storage==0.20.0", "setuptools<70"))
    tour(server, python, "-W", "ignore", str(CLIENTS / "python_2015.py"))


@pytest.mark.parametrize("version", ["0.10.0", "2.10.7"])
def test_the_node_clients_take_their_tour(server, version: str):
    directory = legacy_package.npm_package("azure-storage", version)
    tour(server, "node", str(CLIENTS / "node.js"), str(directory))
