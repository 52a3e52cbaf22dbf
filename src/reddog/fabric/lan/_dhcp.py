"""DHCP (RFC 2131): every machine gets the address that it was made for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from reddog.fabric.lan import _frames
from reddog.fabric.lan._frames import End
from reddog.fabric.lan._plan import PLATFORM, Member, Subnet, packed

SERVER_PORT, CLIENT_PORT = 67, 68
LEASE = 60  # seconds; clients ask again after half of it, and so learn of new name servers
_MAGIC = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_REQUESTED, _TYPE, _SERVER, _PLATFORM = 50, 53, 54, 245
_SHORTEST = 300  # bytes of a message; some clients take no shorter one
_LONGEST = 252  # bytes of an option: 63 addresses
_NOBODY = bytes(4)
_EVERYBODY = b"\xff" * 4


def answer(member: Member, gateway: End, packet: _frames.Packet) -> bytes | None:
    """The frame that answers a machine's DHCP request, or None where there is nothing to say."""
    message = packet.body[4:]  # behind the UDP header's length and checksum
    if len(message) < 240 or message[0] != 1 or message[236:240] != _MAGIC:
        return None
    options = dict(_options(message[240:]))
    reply = _reply(member, message, options)
    if reply is None:
        return None
    body = _header(member, message, reply) + b"".join(_told(member, reply))
    broadcast = reply == _NAK or (message[10] & 0x80 and message[12:16] == _NOBODY)
    address = _EVERYBODY if broadcast else packed(member.address)
    target = End(_frames.BROADCAST if broadcast else packet.source.mac, address, CLIENT_PORT)
    return _frames.udp(End(gateway.mac, gateway.ip, SERVER_PORT), target, body.ljust(_SHORTEST, b"\0"))


def _reply(member: Member, message: bytes, options: dict[int, bytes]) -> int | None:
    kind = (options.get(_TYPE) or b"\0")[0]
    if kind == _DISCOVER:
        return _OFFER
    if kind == _INFORM:
        return _ACK
    if kind != _REQUEST:
        return None
    wanted = options.get(_REQUESTED) or message[12:16]
    gateway = packed(Subnet.of(member.address, member.subnet).gateway)
    if options.get(_SERVER, gateway) != gateway:
        return None  # it has chosen another server's offer
    return _ACK if wanted == packed(member.address) else _NAK


def _header(member: Member, message: bytes, reply: int) -> bytes:
    yours = _NOBODY if reply == _NAK else packed(member.address)
    asked = message[12:16] if reply == _ACK else _NOBODY
    start = b"\x02" + message[1:3] + b"\0" + message[4:8] + b"\0\0" + message[10:12]
    # sname and file are empty
    return start + asked + yours + _NOBODY + message[24:28] + message[28:44] + bytes(192) + _MAGIC


def _told(member: Member, reply: int) -> Iterator[bytes]:
    subnet = Subnet.of(member.address, member.subnet)
    yield _option(_TYPE, bytes([reply]))
    yield _option(_SERVER, packed(subnet.gateway))
    if reply != _NAK:
        yield _option(51, LEASE.to_bytes(4))
        yield _option(1, packed(subnet.mask))
        yield _option(3, packed(subnet.gateway))
        yield _option(6, b"".join(map(packed, member.dns_servers or (subnet.name_server,))))
        yield _option(15, member.domain.encode())
        yield _option(_PLATFORM, packed(PLATFORM))
    yield b"\xff"


def _option(code: int, value: bytes) -> bytes:
    value = value[:_LONGEST]
    return bytes([code, len(value)]) + value if value else b""


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + length]
        at += 2 + length
