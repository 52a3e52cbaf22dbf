"""What is in the image: the initial RAM file system and the root file system."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from reddog.images._kernel import BOOT_MODULES, SYSTEM_MODULES, Kernel
from reddog.images._tree import Tree, unpack

_LIBRARY = re.compile(r"(?:usr/)?(lib(?:64|exec)?/.*\.so(?:\.[\w.-]+)?)")
_NOT_NEEDED = re.compile(r".*/(gconv|audit)/")
_PROGRAMS = {
    "busybox": "busybox",
    "dropbear": "dropbear",
    "dropbearkey": "dropbearkey",
    "sudo": "sudo",
    "mke2fs": "mke2fs",
    "e2fsck": "e2fsck",
    "resize2fs": "resize2fs",
    "sftp-server": "lib/sftp-server",
}
_PROGRAM = re.compile(rf"(?:usr/)?(?:bin|sbin|lib/openssh)/({'|'.join(_PROGRAMS)})")
_EARLY_APPLETS = (
    *("sh", "blockdev", "cat", "dd", "insmod", "mount", "poweroff", "printf"),
    *("sleep", "switch_root", "usleep"),
)
_SCRIPTS = (
    *("boot", "halt", "network", "lease", "grow-root", "provision", "host-keys", "ssh-server"),
    *("report-ready", "power-button", "role-install", "role"),
)
_PAM = "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n"
_ETC: Mapping[str, tuple[str, int]] = {
    "passwd": ("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0o644),
    "group": ("root:x:0:\ntty:x:5:\nsudo:x:27:\nshadow:x:42:\nnogroup:x:65534:\n", 0o644),
    "shadow": ("root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n", 0o640),
    "shells": ("/bin/sh\n", 0o644),
    "hostname": ("localhost\n", 0o644),
    "hosts": ("127.0.0.1 localhost\n::1 localhost\n", 0o644),
    "nsswitch.conf": ("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", 0o644),
    "fstab": ("", 0o644),
    "mke2fs.conf": ("[defaults]\n\tblocksize = 4096\n\tinode_size = 256\n", 0o644),
    "sudoers": ("root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", 0o440),
    "pam.d/sudo": (_PAM, 0o644),
    "pam.d/other": (_PAM, 0o644),
    "os-release": ('NAME="reddog tiny Linux"\nPRETTY_NAME="reddog tiny Linux 1"\nID=reddog\n', 0o644),
    "issue": ("reddog tiny Linux \\l\n\n", 0o644),
}


def make_initramfs(busybox: bytes, kernel: Kernel) -> bytes:
    """The first programs: enough to mount the root. Not compressed, as unpacking costs more than reading."""
    tree = Tree()
    tree.add_file("bin/busybox", busybox, 0o755)
    for applet in _EARLY_APPLETS:
        tree.add_link(f"bin/{applet}", "busybox")
    tree.add_file("init", _guest("initramfs.sh"), 0o755)
    for place in ("dev", "proc", "sys", "run", "root"):
        tree.add_directory(place)
    tree.add_device("dev/console", 5, 1)
    order = kernel.order(BOOT_MODULES)
    for name in order:
        tree.add_file(f"modules/{name}.ko", kernel.modules[name])
    tree.add_file("modules/order", "\n".join(order) + "\n")
    return tree.cpio()


def make_root(packages: Sequence[Path], kernel: Kernel, applets: Sequence[str]) -> Tree:
    """The root file system. applets: the commands that busybox offers."""
    tree = Tree()
    for path, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
        tree.add_link(path, target)
    tree.add_link("usr/sbin", "bin")
    for applet in applets:
        tree.add_link(f"usr/bin/{applet}", "busybox")
    _add_packages(tree, packages)
    _add_modules(tree, kernel)
    _add_settings(tree)
    for place in ("dev", "proc", "sys", "run", "mnt", "home", "var/lib/reddog", "var/log", "etc/dropbear"):
        tree.add_directory(place)
    tree.add_directory("tmp", 0o1777)
    for place in ("root", "etc/sudoers.d", "etc/dropbear"):
        tree.add_directory(place, 0o700)
    tree.add_link("var/run", "/run")
    return tree


def _add_packages(tree: Tree, packages: Sequence[Path]) -> None:
    for package in packages:
        for path, node in unpack(package, _wanted):
            program = _PROGRAM.fullmatch(path)
            if program and stat.S_ISREG(node.mode):
                place = _PROGRAMS[program[1]]
                target = f"usr/{place}" if "/" in place else f"usr/bin/{place}"
                tree.add_file(target, node.content, stat.S_IMODE(node.mode))
            elif library := _LIBRARY.fullmatch(path):
                _add_library(tree, f"usr/{library[1]}", node.mode, node.content)
    tree.add_link("usr/bin/mkfs.ext4", "mke2fs")


def _add_library(tree: Tree, path: str, mode: int, content: bytes) -> None:
    if stat.S_ISLNK(mode):
        tree.add_link(path, content.decode())
    else:
        tree.add_file(path, content, stat.S_IMODE(mode))


def _wanted(path: str) -> bool:
    library = _LIBRARY.fullmatch(path) and not _NOT_NEEDED.match(path) and "/modules/" not in path
    return bool(library or _PROGRAM.fullmatch(path))


def find_busybox(packages: Sequence[Path]) -> bytes:
    """The static busybox among the packages."""
    package = next(package for package in packages if package.name.startswith("busybox-static_"))
    files = unpack(package, lambda path: path in ("bin/busybox", "usr/bin/busybox"))
    return next(node.content for _, node in list(files))


def _add_modules(tree: Tree, kernel: Kernel) -> None:
    place = f"usr/lib/modules/{kernel.release}"
    for name, content in kernel.modules.items():
        tree.add_file(f"{place}/{name}.ko", content)
    lines = []
    for name in kernel.modules:
        needs = reversed(kernel.order([name])[:-1])
        lines.append(f"{name}.ko:" + "".join(f" {other}.ko" for other in needs))
    tree.add_file(f"{place}/modules.dep", "\n".join(lines) + "\n")
    there = set(kernel.order(BOOT_MODULES))
    order = [name for name in kernel.order(SYSTEM_MODULES) if name not in there]
    tree.add_file(f"{place}/reddog.boot", "\n".join(order) + "\n")
    tree.add_file(
        f"{place}/modules.alias",
        "".join(f"alias fs-{name} {name}\n" for name in ("vfat", "ext4"))
        + "alias fs-iso9660 isofs\nalias iso9660 isofs\n",
    )


def _add_settings(tree: Tree) -> None:
    for name, (content, mode) in _ETC.items():
        tree.add_file(f"etc/{name}", content, mode)
    tree.add_file("etc/inittab", _guest("inittab"))
    tree.add_file("etc/profile", _guest("profile"))
    for name in _SCRIPTS:
        tree.add_file(f"usr/lib/reddog/{name}", _guest(name), 0o755)
    tree.add_file("usr/lib/reddog/ovf.awk", _guest("ovf.awk"))
    tree.add_file("usr/bin/waagent", _guest("waagent"), 0o755)


def _guest(name: str) -> bytes:
    return (resources.files("reddog.images") / "guest" / name).read_bytes()
