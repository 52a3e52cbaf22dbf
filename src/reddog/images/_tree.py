"""A tree of files in memory, from packages to an initial RAM file system or a directory. Needs no root."""

from __future__ import annotations

import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CPIO_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Node:
    """A file, symbolic link (its content is the target), directory or device; owned by root."""

    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


@dataclass
class Tree:
    """Nodes by their path, without a leading slash; directories come into being by themselves."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def add_file(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        """Add or replace a file."""
        data = content.encode() if isinstance(content, str) else content
        self._add(path, Node(stat.S_IFREG | mode, data))

    def add_link(self, path: str, target: str) -> None:
        """Add or replace a symbolic link."""
        self._add(path, Node(stat.S_IFLNK | 0o777, target.encode()))

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory, or change the mode of one."""
        self._add(path, Node(stat.S_IFDIR | mode))

    def add_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device."""
        self._add(path, Node(stat.S_IFCHR | mode, device=(major, minor)))

    def _add(self, path: str, node: Node) -> None:
        for parent in [str(parent) for parent in Path(path).parents][:-1]:
            self.nodes.setdefault(parent, Node(stat.S_IFDIR | 0o755))
        self.nodes[path] = node

    def cpio(self) -> bytes:
        """The tree as an archive that the kernel unpacks (`newc`)."""
        records = [
            _record(number, path, self.nodes[path]) for number, path in enumerate(sorted(self.nodes), start=1)
        ]
        archive = b"".join(records) + _record(0, _TRAILER, Node(0))
        return archive + bytes(-len(archive) % 512)

    def write(self, directory: Path) -> None:
        """Write the tree into a directory; only the owner is not kept."""
        for path, node in sorted(self.nodes.items()):
            target = directory / path
            if stat.S_ISDIR(node.mode):
                target.mkdir()
            elif stat.S_ISLNK(node.mode):
                target.symlink_to(node.content.decode())
            else:
                target.write_bytes(node.content)
        for path, node in self.nodes.items():
            if not stat.S_ISLNK(node.mode):
                (directory / path).chmod(stat.S_IMODE(node.mode))

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(len(node.content) for node in self.nodes.values())


def _record(number: int, path: str, node: Node) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(node.mode) else 1
    fields = number, node.mode, 0, 0, links, 0, len(node.content), 0, 0, *node.device, len(name), 0
    head = _CPIO_MAGIC + b"".join(b"%08X" % value for value in fields) + name
    return head + bytes(-len(head) % 4) + node.content + bytes(-len(node.content) % 4)


def unpack(package: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Node]]:
    """The wanted files and links of a Debian package, with paths that lack a leading slash.

    Raises subprocess.CalledProcessError or tarfile.TarError for a broken package.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        with tarfile.open(fileobj=child.stdout, mode="r|") as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if not wanted(path):
                    continue
                if member.issym() or member.islnk():
                    yield path, _link(path, member)
                elif member.isfile() and (content := archive.extractfile(member)) is not None:
                    yield path, Node(stat.S_IFREG | member.mode, content.read())
        while child.stdout.read(1 << 16):
            pass
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def _link(path: str, member: tarfile.TarInfo) -> Node:
    target = member.linkname if member.issym() else "/" + member.linkname.removeprefix("./")
    return Node(stat.S_IFLNK | 0o777, target.encode())
