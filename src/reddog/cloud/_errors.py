"""What a cloud says when it cannot start."""

from __future__ import annotations


class CloudError(Exception):
    """A cloud cannot start, or a part of it is not there. `message`: why. `remedy`: what to do next."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy
