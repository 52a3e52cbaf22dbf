"""The kernel and the few modules of it that a virtual machine needs."""

from __future__ import annotations

import lzma
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reddog.images._error import ImageError, find_tools
from reddog.images._tree import unpack

# Needed to mount the root file system; what a kernel has built in is skipped.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
# Loaded at every boot, in this order: the network first, as its address takes a while to come.
SYSTEM_MODULES = (
    *("virtio_net", "af_packet", "virtio_console", "button", "evdev", "virtio_rng"),
    *("pvpanic_mmio", "virtio_scsi", "sd_mod"),
)
# Loaded when something asks for them.
EXTRA_MODULES = ("isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "sr_mod", "loop")

_MODULE = re.compile(r"(?:usr/)?lib/modules/([^/]+)/kernel/.*/([^/]+)\.ko(?:\.(xz|zst))?")
_KERNEL = re.compile(r"(?:usr/lib/modules/[^/]+|boot)/vmlinuz.*")
_DEPENDS = re.compile(rb"\0depends=([\w,-]*)\0")
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE_INFO = 12  # bytes before the mark; the last four are the signature's length


@dataclass(frozen=True)
class Kernel:
    """A bootable kernel, its release, and modules by name (`-` is `_`), each with what it depends on."""

    release: str
    image: bytes
    modules: Mapping[str, bytes]
    depends: Mapping[str, tuple[str, ...]]

    def order(self, names: Iterable[str]) -> list[str]:
        """The modules and all that they need, each after what it needs; absent ones are built in."""
        ordered: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in self.modules and name not in ordered:
                for other in self.depends[name]:
                    visit(other)
                ordered[name] = None

        for name in names:
            visit(name)
        return list(ordered)


def read_kernel(packages: Sequence[Path]) -> Kernel:
    """Take the kernel out of its packages. Raises ImageError when there is none."""
    image, release = b"", ""
    packed: dict[str, tuple[bytes, str | None]] = {}
    for package in packages:
        for path, node in unpack(package, lambda path: bool(_KERNEL.match(path) or _MODULE.match(path))):
            if module := _MODULE.match(path):
                release = module[1]
                packed[_canonical(module[2])] = node.content, module[3]
            elif node.content[0x202:0x206] == b"" or node.content[0x202:0x206] == b"HdrS":
                image = node.content or image
    if not image or not release:
        message = "The kernel's packages hold no kernel."
        raise ImageError(message, "Remove the package cache and build again.")
    return _load(release, image, packed)


def _load(release: str, image: bytes, packed: Mapping[str, tuple[bytes, str | None]]) -> Kernel:
    modules: dict[str, bytes] = {}
    depends: dict[str, tuple[str, ...]] = {}
    wanted = [*BOOT_MODULES, *SYSTEM_MODULES, *EXTRA_MODULES]
    while wanted:
        name = wanted.pop()
        if name in packed and name not in modules:
            modules[name] = _strip(_unpacked(*packed[name]))
            depends[name] = _needs(modules[name])
            wanted += depends[name]
    return Kernel(release, image, modules, depends)


def _canonical(name: str) -> str:
    return name.replace("-", "_")


def _needs(module: bytes) -> tuple[str, ...]:
    found = _DEPENDS.search(module)
    names = found[1].decode().split(",") if found else []
    return tuple(_canonical(name) for name in names if name)


def _unpacked(data: bytes, compression: str | None) -> bytes:
    if compression == "xz":
        return lzma.decompress(data)
    if compression == "zst":
        find_tools({"zstd": "zstd"})
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
    return data


def _strip(module: bytes) -> bytes:
    """Without its signature: checking it costs an emulated processor 50 ms for each module."""
    if not module.endswith(_SIGNED):
        return module
    end = len(module) - len(_SIGNED)
    length = int.from_bytes(module[end - 4 : end], "big")
    return module[: end - _SIGNATURE_INFO - length]
