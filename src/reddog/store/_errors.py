"""What the store raises."""

from __future__ import annotations


class StoreError(Exception):
    """The database cannot do what was asked, for a reason outside the request.

    Args:
        message: What happened, in one sentence.
        remedy: What the operator can do next, in one sentence.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class DiskFull(StoreError):  # noqa: N818 - what it is called everywhere
    """There is no space left for a change, which did not happen."""
