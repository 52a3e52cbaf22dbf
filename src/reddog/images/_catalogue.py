"""The platform images of a directory: a VHD each, and a description beside it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reddog import vhd
from reddog.durable import sync_directory, sync_file
from reddog.images._error import ImageError

_BLANK_SIZE = 8 << 20


@dataclass(frozen=True)
class ImageInfo:
    """A platform image.

    name: as the API lists it. os: `Linux` or `Windows`. published: when it was built (UTC).
    size: bytes of the disk, without the footer. path: the fixed VHD. runs_roles: its guest runs the roles of
    service packages. Source: List OS Images.
    """

    name: str
    label: str
    os: str
    family: str
    publisher: str
    description: str
    published: datetime
    size: int
    path: Path
    runs_roles: bool = False

    @property
    def bootable(self) -> bool:
        """Whether a real machine can boot from it."""
        return self.name != BLANK_NAME


BLANK_NAME = "reddog-blank-1"


def catalogue(images_dir: Path) -> list[ImageInfo]:
    """The images of a directory, by name; none if the directory is absent.

    Raises ImageError for a description or a VHD that is damaged.
    """
    return [_load(path) for path in sorted(images_dir.glob("*.json"))]


def build_blank(images_dir: Path) -> ImageInfo:
    """Make an image of an empty disk, for simulated machines. Needs no tools.

    Raises ImageError when there is no space.
    """
    info = ImageInfo(
        name=BLANK_NAME,
        label="reddog blank disk 1",
        os="Linux",
        family="reddog blank disk",
        publisher="reddog",
        description="An empty disk of 8 MiB, for simulated machines: nothing boots from it.",
        published=datetime.now(UTC),
        size=_BLANK_SIZE,
        path=images_dir / f"{BLANK_NAME}.vhd",
    )
    try:
        images_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=images_dir) as work:
            draft = Path(work) / "disk.img"
            with draft.open("wb") as file:
                file.truncate(_BLANK_SIZE)
            publish(draft, info)
    except OSError as error:
        raise cannot_write(images_dir, error) from error
    return info


def publish(draft: Path, info: ImageInfo) -> None:
    """Make a raw disk (in a directory for drafts) the VHD of an image, which appears whole or not at all."""
    vhd.write_footer(draft)
    description = {**asdict(info), "published": info.published.isoformat()}
    del description["path"]
    text = draft.with_suffix(".json")
    text.write_text(json.dumps(description, indent=1) + "\n")
    for path in (draft, text):
        sync_file(path)
    draft.replace(info.path)
    text.replace(info.path.with_suffix(".json"))
    sync_directory(info.path.parent)


def cannot_write(place: Path, error: OSError) -> ImageError:
    """What an error of the file system means."""
    message = f"The image cannot be written to {place}: {error.strerror or error}."
    return ImageError(message, "Free some disk space, or choose another directory.")


def _load(path: Path) -> ImageInfo:
    image = path.with_suffix(".vhd")
    try:
        document = _document(path)
        published = datetime.fromisoformat(document.pop("published"))
        info = ImageInfo(**document, published=published, path=image)
        if vhd.verify(image).size != info.size:
            raise ValueError("its size differs from its description")
    except (OSError, ValueError, TypeError, KeyError, vhd.VhdError) as error:
        reason = error.message if isinstance(error, vhd.VhdError) else error
        message = f"The platform image {image} is damaged: {reason}."
        raise ImageError(message.replace("..", "."), "Remove it and run `reddog image build`.") from None
    return info


def _document(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict):
        raise ValueError("its description is not a JSON object")
    return document
