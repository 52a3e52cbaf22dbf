"""What is wrong with a package or a configuration."""

from __future__ import annotations


class PackageError(Exception):
    """A package or a configuration cannot be used: what is wrong, and what to do next."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message if not remedy else f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
