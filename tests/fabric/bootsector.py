"""A guest of one sector that boots in a moment: it greets, then does what it is told over its serial port.

`q` powers it off by ACPI, `p` makes it report a panic (pvpanic), `r` resets it; the power button is obeyed.
"""

from __future__ import annotations

GREETING = b"ok\r\n"


class _Assembler:
    def __init__(self) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def emit(self, text: str) -> None:
        self.code += bytes.fromhex(text)

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def jump(self, opcode: str, label: str) -> None:
        self.emit(opcode + "00")
        self._jumps.append((len(self.code), label))

    def sector(self) -> bytes:
        for end, label in self._jumps:
            self.code[end - 1] = (self._labels[label] - end) & 0xFF
        return bytes(self.code).ljust(510, b"\0") + b"\x55\xaa"


def boot_sector() -> bytes:
    """The sector."""
    asm = _Assembler()
    asm.emit("BA0206 B80001 EF")  # enable the power button's event: out 0x602, 0x100
    asm.emit("BAF803")
    for character in GREETING:
        asm.emit(f"B0{character:02X} EE")
    asm.label("loop")
    asm.emit("FB F4")  # sti; hlt: until the next tick
    asm.emit("BA0006 ED F6C401")  # the power button: in 0x600, a word
    asm.jump("75", "off")
    asm.emit("BAFD03 EC A801")  # a character has come: in 0x3fd
    asm.jump("74", "loop")
    asm.emit("BAF803 EC")
    for character, label in (("q", "off"), ("p", "panic"), ("r", "reset")):
        asm.emit(f"3C{ord(character):02X}")
        asm.jump("74", label)
    asm.jump("EB", "loop")
    asm.label("off")
    asm.emit("BA0406 B80020 EF")
    asm.jump("EB", "loop")
    asm.label("panic")
    asm.emit("BA0505 B001 EE")
    asm.jump("EB", "loop")
    asm.label("reset")
    asm.emit("B0FE E664 F4")
    asm.jump("EB", "loop")
    return asm.sector()
