"""Descriptions of platform images, and the blank one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reddog import images, vhd


def test_a_directory_that_is_absent_has_no_images(tmp_path: Path) -> None:
    assert images.catalogue(tmp_path / "nowhere") == []


def test_a_blank_image_is_a_sparse_fixed_vhd_in_the_catalogue(tmp_path: Path) -> None:
    made = images.build_blank(tmp_path / "images")
    assert images.catalogue(tmp_path / "images") == [made]
    assert images.build_blank(tmp_path / "images").name == made.name
    assert (made.publisher, made.os, made.bootable) == ("reddog", "Linux", False)
    assert vhd.verify(made.path).size == made.size
    assert made.path.stat().st_blocks * 512 < 1 << 16
    assert sorted(path.name for path in made.path.parent.iterdir()) == [
        "reddog-blank-1.json",
        "reddog-blank-1.vhd",
    ]


def test_an_image_is_found_wherever_its_directory_is_moved(tmp_path: Path) -> None:
    images.build_blank(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert images.catalogue(tmp_path / "new")[0].path == tmp_path / "new" / "reddog-blank-1.vhd"


@pytest.mark.parametrize(
    "harm", ["gone", "cut", "other size", "no json", "no object", "wrong field", "no date"]
)
def test_a_damaged_image_is_named_with_the_next_step(tmp_path: Path, harm: str) -> None:
    made = images.build_blank(tmp_path)
    description = made.path.with_suffix(".json")
    document = json.loads(description.read_text())
    if harm == "gone":
        made.path.unlink()
    elif harm == "cut":
        with made.path.open("r+b") as file:
            file.truncate(4096)
    else:
        text = {
            "other size": json.dumps({**document, "size": 1 << 20}),
            "no json": "{",
            "no object": "[]",
            "wrong field": json.dumps({**document, "color": "red"}),
            "no date": json.dumps({name: value for name, value in document.items() if name != "published"}),
        }
        description.write_text(text[harm])
    with pytest.raises(images.ImageError, match=r"reddog-blank-1\.vhd") as caught:
        images.catalogue(tmp_path)
    assert "reddog image build" in caught.value.remedy


def test_no_space_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(images.ImageError, match="cannot be written"):
        images.build_blank(tmp_path / "file" / "images")
