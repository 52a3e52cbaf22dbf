"""Whether KVM works here.

/dev/kvm may open, create a machine and a processor, and still hang in real mode, fail with the very processor
model that machines get, or emulate some instructions of boot loaders and stop at the others. So a boot sector
is run on that model: it goes through real, protected and long mode, takes an interrupt and returns from it in
both of the latter, and leaves through QEMU's debug exit port with a value that only a working processor gives.
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
_EXIT_VALUE = 0x10  # each of the two interrupts adds 8
_ORIGIN = 0x7C00
_CODE = """
    fa 31c0 8ed8 8ec0 8ed0   cli; xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax
    66bc007c0000 31db        mov esp,0x7c00; xor bx,bx
    0f0116c07c               lgdt [0x7cc0]
    0f011ece7c               lidt [0x7cce]
    0f20c0 0c01 0f22c0       mov eax,cr0; or al,1; mov cr0,eax
    ea287c0800               jmp 8:0x7c28, in protected mode from here on
    66b81000 8ed8 8ec0 8ed0  mov ax,0x10; mov ds,ax; mov es,ax; mov ss,ax
    cc                       int3, to 0x7c8f
    bf00100000 0f22df        mov edi,0x1000; mov cr3,edi
    31c0 b9000c0000 f3ab     xor eax,eax; mov ecx,0xc00; rep stosd
    c7050010000003200000     mov dword [0x1000],0x2003
    c7050020000003300000     mov dword [0x2000],0x3003
    c7050030000083000000     mov dword [0x3000],0x83: the first 2 MiB are mapped to themselves
    0f20e0 0c20 0f22e0       mov eax,cr4; or al,0x20; mov cr4,eax
    b9800000c0 0f32          mov ecx,0xc0000080; rdmsr
    80cc01 0f30              or ah,1; wrmsr
    0f20c0 0d00000080        mov eax,cr0; or eax,0x80000000
    0f22c0                   mov cr0,eax
    0f011de47c0000           lidt [0x7ce4]
    ea937c00001800           jmp 0x18:0x7c93, in long mode from there on
    80c308 cf                0x7c8f: add bl,8; iret
    cc                       0x7c93: int3, to 0x7c9b
    88d8 e6f4 f4 ebfd        mov al,bl; out 0xf4,al; hlt; jmp $-1
    80c308 48cf              0x7c9b: add bl,8; iretq
"""
_TABLES = {
    0x7CA8: "ffff0000009bcf00 ffff00000093cf00 ffff0000009baf00",  # code, data, code of long mode
    0x7CC0: "1f00 a07c0000",  # the descriptor table starts with an empty entry at 0x7ca0
    0x7CC6: "8f7c 0800 008e 0000",  # interrupt 3 of protected mode
    0x7CCE: "1f00 ae7c0000",
    0x7CD4: "9b7c 1800 008e 0000",  # and of long mode
    0x7CE4: "3f00 a47c0000",
}


def _sector() -> bytes:
    sector = bytearray(510)
    code = bytes.fromhex("".join(line[4:29] for line in _CODE.splitlines()))
    sector[: len(code)] = code
    for address, table in _TABLES.items():
        data = bytes.fromhex(table)
        sector[address - _ORIGIN : address - _ORIGIN + len(data)] = data
    return bytes(sector) + b"\x55\xaa"


SECTOR = _sector()
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
        disk.write_bytes(SECTOR)
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
