"""Machines without a guest: the two unix sockets by which a machine is joined to its network."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fabric.lab import until
from reddog.fabric._process import Process
from reddog.fabric.lan import LAN_SOCKET, UPLINK_SOCKET, Backend, Lan, Member, mac_of
from reddog.fabric.lan._plan import packed

DOMAIN = "shop.example"
GATEWAY = b"\x52\x55" + packed("10.9.8.1")


class Cable:
    """The far end of one wire."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(10)
        self._connection: socket.socket | None = None

    def plug(self) -> None:
        """Wait for the network to connect (again)."""
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(10)

    def send(self, *frames: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(b"".join(len(frame).to_bytes(4) + frame for frame in frames))

    def send_raw(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def receive(self) -> bytes:
        length = int.from_bytes(self._exactly(4))
        return self._exactly(length)

    def silent(self) -> bool:
        """Whether nothing arrives for a moment."""
        assert self._connection is not None
        self._connection.settimeout(0.2)
        try:
            return not self._connection.recv(1)
        except TimeoutError:
            return True
        finally:
            self._connection.settimeout(10)

    def _exactly(self, size: int) -> bytes:
        assert self._connection is not None
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            assert part, "the network has hung up"
            data += part
        return data

    def close(self) -> None:
        self._listener.close()
        if self._connection is not None:
            self._connection.close()


class Computer:
    """A machine's network card and its way out."""

    def __init__(self, root: Path, id: str, number: int) -> None:
        directory = root / id
        directory.mkdir()
        self.member = Member(id, str(directory), f"10.9.8.{number}", id, DOMAIN)
        self.mac, self.ip = mac_of(id), packed(self.member.address)
        self.card, self.outside = Cable(directory / LAN_SOCKET), Cable(directory / UPLINK_SOCKET)

    def plug(self) -> None:
        self.card.plug()
        self.outside.plug()

    def close(self) -> None:
        self.card.close()
        self.outside.close()

    def frame(self, target: bytes, payload: bytes = b"hello", kind: bytes = b"\x88\xb5") -> bytes:
        return target + self.mac + kind + payload.ljust(46, b"\0")

    def balanced(self, *backends: Backend) -> Member:
        return replace(self.member, backends=backends)


@dataclass
class Bench:
    """A network process, and computers to plug into it."""

    root: Path
    computers: dict[str, Computer] = field(default_factory=dict)
    watched: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lan = Lan(self.root / "networks" / "net-1", self.watched.append)
        (self.root / "networks").mkdir()

    def computer(self, id: str, number: int) -> Computer:
        self.computers[id] = Computer(self.root, id, number)
        return self.computers[id]

    def join(self, *members: Member | Computer) -> dict[tuple[str, int], Exception]:
        there = [one.member if isinstance(one, Computer) else one for one in members]
        return dict(self.lan.arrange(there))

    def plugged(self, *numbers: int) -> Sequence[Computer]:
        """Computers that are joined to the network."""
        found = [self.computer(f"vm-{number}", number) for number in numbers]
        self.join(*found)
        for one in found:
            one.plug()
        return found

    def close(self) -> None:
        said = self.lan.log()
        self.lan.arrange(())
        assert said == "", "the process has nothing to complain about"
        for one in self.computers.values():
            one.close()
        for process in self.watched:
            process._reap()
            process.exited.set()


def eventually(check: Callable[[], bool]) -> None:
    until(check, 20)
