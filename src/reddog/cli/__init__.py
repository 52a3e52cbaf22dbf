"""The ``reddog`` command."""

from reddog.cli._app import main

__all__ = ["main"]
