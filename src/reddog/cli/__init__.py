"""The ``reddog`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the ``reddog`` command; where only the SDK is installed, say what is missing."""
    try:
        from reddog.cli._app import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("reddog"):
            raise
        sys.exit(
            f"Error: The Python package {error.name} is missing.\nInstall the cloud: pip install 'reddog[cloud]'"
        )
    run()
