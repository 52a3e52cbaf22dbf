"""The one error of this package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

SYSTEM_PATH = "/usr/sbin:/sbin"  # where an ordinary user's PATH does not look


class ImageError(Exception):
    """An image cannot be built, read or uploaded. message: what is wrong. remedy: what to do next."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


def find_tools(tools: Mapping[str, str]) -> dict[str, str]:
    """The paths of programs, given with the Debian package of each.

    Raises ImageError that names all packages that are missing.
    """
    found = {tool: shutil.which(tool) or shutil.which(tool, path=SYSTEM_PATH) for tool in tools}
    missing = [tool for tool, path in found.items() if path is None]
    if missing:
        packages = " ".join(sorted({tools[tool] for tool in missing}))
        message = f"Building the image needs {', '.join(missing)}, which is not installed."
        raise ImageError(message, f"Install it: `sudo apt-get install {packages}`.")
    return {tool: path for tool, path in found.items() if path is not None}
