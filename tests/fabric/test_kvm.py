"""Whether KVM is used, and what is seen when it fails later."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from fabric.lab import Lab, processes, until
from reddog.fabric import kvm
from reddog.fabric.qemu import QemuDriver, find_qemu
from reddog.fabric.qemu._session import Session

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


@pytest.mark.qemu
def test_a_machine_that_the_hypervisor_gives_up_is_seen_to_have_stopped(
    real: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where KVM fails, QEMU stops the processor and says this status only when asked. TCG never does."""
    real.start()
    real.ready()
    execute = Session.execute

    async def answer(self: Session, command: str, **arguments: Any) -> Any:
        said = await execute(self, command, **arguments)
        return {**said, "status": "internal-error"} if command == "query-status" else said

    monkeypatch.setattr(Session, "execute", answer)
    stop_processor(real)
    assert real.stopped().cause == "crashed"
    until(lambda: not processes(real.machines / "vm-1"))
    monkeypatch.undo()
    real.driver.restart("vm-1")
    assert real.ready().power == "running"


def stop_processor(lab: Lab) -> None:
    """Do over the machine's second QMP session what happens when KVM fails."""
    assert isinstance(lab.driver, QemuDriver)
    path = lab.driver.monitor_socket("vm-1")
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(path))
        for command in ("qmp_capabilities", "stop"):
            monitor.sendall(json.dumps({"execute": command}).encode())
        until(lambda: b'"STOP"' in monitor.recv(65536))
