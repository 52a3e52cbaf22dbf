"""DNS (RFC 1035) for the names of a network's machines. Every other question is for the host's name server."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from reddog.fabric.lan._plan import Member, packed

PORT = 53
_TTL = 10  # seconds
_A, _PTR, _ANY, _IN = 1, 12, 255, 1
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_OPCODE = 0x7800
_NO_SUCH_NAME = 3
_POINTER = b"\xc0\x0c"  # to the name in the question


class Names:
    """The names in a network: each machine's host name in its domain, and the way back."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._addresses: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        self._domains: set[str] = set()  # there are no other names than these in them
        for member in members:
            whole = _whole(member.host_name, member.domain)
            self._addresses[whole] = packed(member.address)
            self._names[_reverse(member.address)] = whole
            if member.domain:
                self._domains.add(member.domain.lower())

    def answer(self, query: bytes, domain: str) -> bytes | None:
        """The answer to a question about these names, or None: it is for others, or no question.

        domain: in which a host name without one is looked for.
        """
        if len(query) < 17:
            return None
        id, flags, questions = struct.unpack_from("!HHH", query)
        name, end = _name(query)
        if flags & (_RESPONSE | _OPCODE) or questions != 1 or name is None or end + 4 > len(query):
            return None
        kind, family = struct.unpack_from("!HH", query, end)
        if (whole := _whole(name, domain)) in self._addresses:
            name = whole
        known = name in self._addresses or name in self._names or name in self._domains
        if family != _IN or not (known or any(name.endswith(f".{one}") for one in self._domains)):
            return None
        record = self._record(name, kind)
        told = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | flags & _RECURSION_DESIRED
        told |= 0 if known else _NO_SUCH_NAME
        header = struct.pack("!HHHHHH", id, told, 1, 1 if record else 0, 0, 0)
        return header + query[12 : end + 4] + record

    def _record(self, name: str, kind: int) -> bytes:
        if kind in (_A, _ANY) and name in self._addresses:
            return _answer(_A, self._addresses[name])
        if kind in (_PTR, _ANY) and name in self._names:
            return _answer(_PTR, _labels(self._names[name]))
        return b""


def _whole(name: str, domain: str) -> str:
    """A host name with its domain; a name of several parts has one already."""
    return (f"{name}.{domain}" if domain and "." not in name else name).lower()


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
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
