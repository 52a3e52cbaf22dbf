"""The few kinds of frames that the network itself reads and writes: ARP, UDP, TCP without data."""

from __future__ import annotations

import struct
from dataclasses import dataclass

IPV4 = b"\x08\x00"
ARP = b"\x08\x06"
BROADCAST = b"\xff" * 6
TCP, UDP = 6, 17
SYN, RST, ACK = 2, 4, 16
_ARP_REQUEST = b"\x00\x01\x08\x00\x06\x04\x00\x01"
_ARP_REPLY = b"\x00\x01\x08\x00\x06\x04\x00\x02"
_ETHERNET = 14
_TTL = 64


@dataclass(frozen=True)
class End:
    """One end of a conversation: hardware address, IPv4 address, port."""

    mac: bytes
    ip: bytes
    port: int = 0


@dataclass(frozen=True)
class Packet:
    """A UDP or TCP packet that was received. body: what follows the ports."""

    protocol: int
    source: End
    target: End
    body: bytes


def read(frame: bytes) -> Packet | None:
    """The UDP or TCP packet in a frame, or None: it is something else, a fragment, or cut off."""
    if frame[12:14] != IPV4 or len(frame) < _ETHERNET + 28 or frame[14] >> 4 != 4:
        return None
    protocol, start = frame[23], _ETHERNET + (frame[14] & 15) * 4
    end = _ETHERNET + int.from_bytes(frame[16:18])
    fragment = int.from_bytes(frame[20:22]) & 0x3FFF
    if protocol not in (TCP, UDP) or fragment or not start + 8 <= end <= len(frame):
        return None
    ports = struct.unpack_from("!HH", frame, start)
    source, target = End(frame[6:12], frame[26:30], ports[0]), End(frame[:6], frame[30:34], ports[1])
    return Packet(protocol, source, target, frame[start + 4 : end])


def udp(source: End, target: End, data: bytes) -> bytes:
    """A frame with a UDP packet."""
    length = 8 + len(data)
    header = struct.pack("!HHHH", source.port, target.port, length, 0)
    check = _checksum(_pseudo(source, target, UDP, length) + header + data) or 0xFFFF
    return _ip(source, target, UDP, header[:6] + struct.pack("!H", check) + data)


def tcp(source: End, target: End, flags: int, *, sequence: int, acknowledged: int = 0) -> bytes:
    """A frame with a TCP segment that carries no data."""
    ports = source.port, target.port
    header = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, 1024, 0, 0)
    check = _checksum(_pseudo(source, target, TCP, len(header)) + header)
    return _ip(source, target, TCP, header[:16] + struct.pack("!H", check) + header[18:])


def arp_question(frame: bytes) -> bytes | None:
    """The address that an ARP request asks for, or None: it is no ARP request."""
    return frame[38:42] if frame[12:14] == ARP and frame[14:22] == _ARP_REQUEST else None


def arp_reply(request: bytes, mac: bytes) -> bytes:
    """The answer to an ARP request: the address asked for has this hardware address."""
    asker = request[22:32]
    return request[6:12] + mac + ARP + _ARP_REPLY + mac + request[38:42] + asker


def _ip(source: End, target: End, protocol: int, payload: bytes) -> bytes:
    length = 20 + len(payload)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, _TTL, protocol, 0, source.ip, target.ip)
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    return target.mac + source.mac + IPV4 + header + payload


def _pseudo(source: End, target: End, protocol: int, length: int) -> bytes:
    return struct.pack("!4s4sBBH", source.ip, target.ip, 0, protocol, length)


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
