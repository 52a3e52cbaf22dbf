"""Real machines: one QEMU process each, without a daemon and without root."""

from reddog.fabric.qemu._binary import Qemu, find_qemu
from reddog.fabric.qemu._driver import QemuDriver
from reddog.fabric.qemu._ready import Readiness

__all__ = ["Qemu", "QemuDriver", "Readiness", "find_qemu"]
