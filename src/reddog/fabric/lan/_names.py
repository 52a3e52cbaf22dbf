"""DNS (RFC 1035) for the names of a network's machines. Every other question is for the host's name server."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from reddog.fabric.lan._plan import Member, Subnet, packed

PORT = 53
_TTL = 10  # seconds
_A, _PTR, _ANY, _IN = 1, 12, 255, 1
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_OPCODE = 0x7800
_NO_SUCH_NAME = 3
_POINTER = b"\xc0\x0c"  # to the name in the question


class Names:
    """The names in a network: each machine's host name, alone and in its domain, and the way back."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._addresses: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._own: set[str] = set()  # domains in which there are no other names than these
        for member in members:
            self._add(member)

    def _add(self, member: Member) -> None:
        host, domain = member.host_name.lower(), member.domain.lower()
        whole = f"{host}.{domain}" if domain else host
        self._addresses.update({host: packed(member.address), whole: packed(member.address)})
        self._names[f"{_reverse(member.address)}.in-addr.arpa"] = whole
        self._own.add(f"{_reverse(Subnet.of(member.address).prefix)}.in-addr.arpa")
        if domain:
            self._own.add(domain)

    def answer(self, query: bytes) -> bytes | None:
        """The answer to a question about these names, or None: it is for others, or no question."""
        if len(query) < 17:
            return None
        id, flags, questions = struct.unpack_from("!HHH", query)
        name, end = _name(query)
        if flags & (_RESPONSE | _OPCODE) or questions != 1 or name is None or end + 4 > len(query):
            return None
        kind, family = struct.unpack_from("!HH", query, end)
        if family != _IN or not self._is_own(name):
            return None
        record = self._record(name, kind)
        known = name in self._addresses or name in self._names or name in self._own
        told = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | flags & _RECURSION_DESIRED
        told |= 0 if known else _NO_SUCH_NAME
        header = struct.pack("!HHHHHH", id, told, 1, 1 if record else 0, 0, 0)
        return header + query[12 : end + 4] + record

    def _is_own(self, name: str) -> bool:
        if name in self._addresses or name in self._own:
            return True
        return any(name.endswith(f".{domain}") for domain in self._own)

    def _record(self, name: str, kind: int) -> bytes:
        if kind in (_A, _ANY) and name in self._addresses:
            return _answer(_A, self._addresses[name])
        if kind in (_PTR, _ANY) and name in self._names:
            return _answer(_PTR, _labels(self._names[name]))
        return b""


def _answer(kind: int, data: bytes) -> bytes:
    return _POINTER + struct.pack("!HHIH", kind, _IN, _TTL, len(data)) + data


def _labels(name: str) -> bytes:
    labels = (label.encode()[:63] for label in name.split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _name(query: bytes) -> tuple[str | None, int]:
    """The name in the question, in lower case, and where it ends; None: it cannot be read."""
    labels, at = [], 12
    while at < len(query) and (length := query[at]):
        if length > 63:
            return None, at
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _reverse(address: str) -> str:
    return ".".join(reversed(address.split(".")))
