"""The boot sector that decides whether KVM is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from reddog.fabric import kvm
from reddog.fabric.qemu import find_qemu

QEMU = find_qemu().command()


def test_the_boot_sector_runs_to_its_end_on_a_processor_that_works() -> None:
    assert kvm.runs(QEMU, "tcg", timeout=60)


@pytest.mark.parametrize("cut", [0x32, 0x8F, 0x93, 0x9B], ids=["int3", "iret", "long mode", "iretq"])
def test_the_boot_sector_does_not_end_where_a_step_fails(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = kvm.SECTOR[:cut] + b"\x0f\x0b" + kvm.SECTOR[cut + 2 :]  # ud2
    monkeypatch.setattr(kvm, "SECTOR", broken)
    assert not kvm.runs(QEMU, "tcg", timeout=1)


@pytest.mark.parametrize("text", ["exit 0", "exit 1", "exec sleep 60"])
def test_a_program_that_ends_otherwise_or_hangs_proves_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "qemu"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    assert not kvm.runs([str(path)], "kvm", timeout=0.5)
