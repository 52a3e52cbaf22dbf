"""The tiny Linux image, built once for all tests, all workers and all runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from reddog import images

_CHECKOUT = Path(__file__).parent.parent
_CACHE = _CHECKOUT / ".cache" / "images"
_SOURCES = _CHECKOUT / "src" / "reddog" / "images"


def built_images(directory: Path | None = None) -> list[Path]:
    """The files of the platform image (VHD and description), built unless the cache has them.

    directory: where to link or copy them to; without it, they stay in the cache and must not be changed.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = _CACHE / _version()
        if not (built.exists() and images.catalogue(built)):
            images.build(built, cache=_CACHE / "packages", progress=lambda phase, done: None)
            _remove_others(built)
    files = sorted(path for path in built.iterdir() if path.suffix in (".vhd", ".json"))
    return files if directory is None else [_share(path, directory) for path in files]


def tiny_image() -> images.ImageInfo:
    """The platform image itself; copy its file before a machine writes to it."""
    return images.catalogue(built_images()[0].parent)[0]


def packages() -> Path:
    """The cache of the packages that the image is made of."""
    built_images()
    return _CACHE / "packages"


def _version() -> str:
    """A name for the image that changes with what it is made by."""
    digest = hashlib.sha256()
    for path in sorted(path for path in _SOURCES.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.name.encode() + path.read_bytes())
    return f"built-{digest.hexdigest()[:16]}"


def _remove_others(built: Path) -> None:
    for other in _CACHE.glob("built-*"):
        if other != built:
            shutil.rmtree(other, ignore_errors=True)


def _share(path: Path, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / path.name
    try:
        os.link(path, target)
    except OSError:  # another file system
        shutil.copyfile(path, target)
    return target
