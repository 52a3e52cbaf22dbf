"""Copies that keep their holes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reddog import sparse

BLOCK = 1 << 16
stretches = st.lists(
    st.tuples(st.integers(0, 40 * BLOCK), st.binary(min_size=1, max_size=2000), st.integers(1, 70)),
    max_size=5,
)


def write(path: Path, size: int, content: list[tuple[int, bytes, int]]) -> None:
    with path.open("wb") as file:
        for offset, data, times in content:
            file.seek(offset)
            file.write(data * times)
        file.truncate(size)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 48 * BLOCK), content=stretches, before=st.binary(max_size=100))
def test_a_copy_has_the_same_bytes_whatever_was_there_before(
    tmp_path: Path, size: int, content, before: bytes
):
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, size, content)
    target.write_bytes(before)
    sparse.copy_sparse(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_a_copy_takes_no_more_space_than_its_data(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, 1 << 30, [(0, b"boot", 1024), (512 << 20, b"data", 1024)])
    sparse.copy_sparse(source, target)
    assert target.stat().st_size == 1 << 30
    assert target.stat().st_blocks * 512 < 1 << 20


def test_zeros_that_take_space_become_holes(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(8 << 20) + b"end")
    sparse.copy_sparse(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 <= max(1 << 20, source.stat().st_blocks * 512)


def test_nobody_else_reads_a_copy(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"secret")
    sparse.copy_sparse(source, target)
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_source_that_is_missing_is_told(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        sparse.copy_sparse(tmp_path / "none", tmp_path / "target")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 48 * BLOCK), content=stretches, start=st.integers(0, 48 * BLOCK))
def test_outside_of_the_data_ranges_there_are_zeros_only(tmp_path: Path, size: int, content, start: int):
    path = tmp_path / "file"
    write(path, size, content)
    whole = path.read_bytes()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        ranges = list(sparse.data_ranges(descriptor, size, start))
    finally:
        os.close(descriptor)
    edges = [start, *(edge for one in ranges for edge in one), max(start, size)]
    assert edges == sorted(edges)
    assert not any(any(whole[first:last]) for first, last in zip(edges[::2], edges[1::2], strict=True))


def test_a_hole_has_no_data_ranges(tmp_path: Path):
    path = tmp_path / "hole"
    write(path, 1 << 40, [])
    descriptor = os.open(path, os.O_RDONLY)
    assert list(sparse.data_ranges(descriptor, 1 << 40)) == []
    os.close(descriptor)
