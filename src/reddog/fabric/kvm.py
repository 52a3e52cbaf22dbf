"""Whether KVM works here.

/dev/kvm may open, create a machine and a processor, and still hang in real mode, or fail with the very
processor model that machines get. So a boot sector is run on that model: it leaves through QEMU's debug exit
port with a value that only a working processor gives.
"""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

_log = logging.getLogger("reddog.fabric")
PROCESSORS = {"kvm": "host", "tcg": "max"}  # the models that machines get
_EXIT_VALUE = 0x10
# mov al, 0x10; out 0xf4, al; hlt; jmp $-1
_CODE = bytes([0xB0, _EXIT_VALUE, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD])
_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
_EXPECTED = _EXIT_VALUE << 1 | 1


def choose_accelerator(qemu: Sequence[str], *, timeout: float = 3.0) -> Literal["kvm", "tcg"]:
    """`kvm` if a boot sector runs under it within `timeout` seconds, else `tcg`; says which in the log.

    qemu: the beginning of QEMU's command line.
    """
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK) and runs(qemu, "kvm", timeout=timeout)
    chosen: Literal["kvm", "tcg"] = "kvm" if usable else "tcg"
    _log.info(
        "Virtual machines run under %s.", "KVM" if usable else "TCG (emulation): KVM does not work here"
    )
    return chosen


def runs(qemu: Sequence[str], accelerator: str, *, timeout: float) -> bool:
    """Whether the boot sector runs to its end under this accelerator."""
    with tempfile.TemporaryDirectory(prefix="reddog-kvm-") as directory:
        disk = Path(directory) / "probe.img"
        disk.write_bytes(_SECTOR)
        command = [
            *qemu,
            *(
                "-accel",
                accelerator,
                "-M",
                "pc",
                "-cpu",
                PROCESSORS[accelerator],
                "-m",
                "16",
                "-nodefaults",
                "-no-user-config",
            ),
            *("-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
            *("-drive", f"file={disk},format=raw,if=ide"),
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == _EXPECTED
