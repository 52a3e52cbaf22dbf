"""What the wheel holds, and what importing the SDK brings along."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SERVER = ("aiohttp", "sqlalchemy", "pycdlib", "typer", "rich", "qemu", "yaml")
ROOMS = ("cli", "cloud", "engine", "fabric", "frontend", "images", "services", "storage", "store")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(directory), str(CHECKOUT)], check=True, timeout=180)
    (built,) = directory.glob("reddog-*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_leaves_the_azure_namespace_to_others(wheel: list[str]) -> None:
    assert "azure/__init__.py" not in wheel
    assert "azure/servicemanagement/__init__.py" in wheel
    assert {name.split("/")[0] for name in wheel if not name.startswith("reddog-")} == {"azure", "reddog"}


def test_the_wheel_holds_what_is_no_python(wheel: list[str]) -> None:
    for path in (CHECKOUT / "src").rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert str(path.relative_to(CHECKOUT / "src")) in wheel


def test_the_sdk_needs_nothing_of_the_server() -> None:
    code = "import sys; from azure import *; from azure.servicemanagement import *; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {name for name in loaded if name.split(".")[0] in SERVER}
    assert not {f"reddog.{room}" for room in ROOMS} & loaded


def test_the_names_stand_beside_those_of_azure_core_and_common() -> None:
    code = (
        "import azure.core, azure.common; from azure.servicemanagement import *;"
        "print(ServiceManagementService.__name__, azure.core.__name__, azure.common.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ServiceManagementService", "azure.core", "azure.common"]
