"""The switch: who gets which frame. It knows every machine's hardware address and learns none.

A machine cannot send with another's hardware address. What goes to the gateway is for a machine in another
subnet, or leaves by the machine's own way out, which hears from this machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reddog.fabric.lan import _dhcp, _frames, _names
from reddog.fabric.lan._frames import End, Packet
from reddog.fabric.lan._plan import Member, Subnet, mac_of, packed
from reddog.fabric.lan._wire import Wire

_OUTSIDE = b"\x52\x55"  # begins the hardware addresses of the machine's way out (QEMU's user network)
_PROBER = b"\x52\x56"
_UDP = bytes([_frames.UDP])
Listener = Callable[["Seat", Packet], None]


class Seat:
    """A machine's place at the switch: the wire to its network card, and the one to its way out."""

    def __init__(self, member: Member, switch: Switch) -> None:
        self.member = member
        subnet = Subnet.of(member.address, member.subnet)
        self.mac = mac_of(member.id)
        self.ip = packed(member.address)
        self.gateway = _end(_OUTSIDE, subnet.gateway)
        self.prober = _end(_PROBER, subnet.prober)
        self.name_server = packed(subnet.name_server)
        self.lan = Wire(lambda record: switch.from_machine(self, record), switch.flush)
        self.uplink = Wire(lambda record: switch.from_outside(self, record), switch.flush)

    def send(self, frame: bytes) -> None:
        """Have the machine receive a frame."""
        self.lan.put(len(frame).to_bytes(4) + frame)
        self.lan.flush()


class Switch:
    """Joins seats. heard: is told of what machines send to the prober.

    Frames are handled as records: four bytes that tell the length come first, as on the wires.
    """

    def __init__(self, heard: Listener) -> None:
        self._heard = heard
        self._seats: dict[bytes, Seat] = {}
        self._by_ip: dict[bytes, Seat] = {}
        self._names = _names.Names(())

    def arrange(self, seats: Iterable[Seat]) -> None:
        """Join exactly these seats."""
        self._seats = {seat.mac: seat for seat in seats}
        self._by_ip = {seat.ip: seat for seat in self._seats.values()}
        self._names = _names.Names(seat.member for seat in self._seats.values())

    def from_machine(self, seat: Seat, record: bytes) -> None:
        """Pass on what a machine has sent."""
        target = record[4:10]
        if record[10:16] != seat.mac:
            return
        if target[0] & 1:
            self._spread(seat, record)
        elif peer := self._seats.get(target):
            peer.lan.put(record)
        elif target[:2] == _OUTSIDE:
            self._leave(seat, record)
        elif target == seat.prober.mac:
            self._to_prober(seat, record[4:])

    def from_outside(self, seat: Seat, record: bytes) -> None:
        """Pass on what comes in through a machine's way out."""
        target = record[4:10]
        if target == seat.mac or target[0] & 1:
            seat.lan.put(record)

    def flush(self) -> None:
        """Send what has been put on the wires."""
        for seat in self._seats.values():
            seat.lan.flush()
            seat.uplink.flush()

    def _spread(self, seat: Seat, record: bytes) -> None:
        """A broadcast: to all machines; the way out needs ARP alone."""
        frame = record[4:]
        if self._is_served(seat, frame):
            return
        for other in self._seats.values():
            if other is not seat:
                other.lan.put(record)
        asked = _frames.arp_question(frame)
        if asked == seat.prober.ip:
            seat.send(_frames.arp_reply(frame, seat.prober.mac))
        elif asked is not None:
            seat.uplink.put(record)

    def _leave(self, seat: Seat, record: bytes) -> None:
        """To the gateway: on to a machine in another subnet, or out."""
        if record[16:18] == _frames.IPV4 and (peer := self._by_ip.get(record[34:38])):
            peer.lan.put(record[:4] + peer.mac + peer.gateway.mac + record[16:])
        elif record[27:28] != _UDP or not self._is_served(seat, record[4:]):
            seat.uplink.put(record)

    def _is_served(self, seat: Seat, frame: bytes) -> bool:
        """Answer DHCP requests and questions for the machines' names."""
        packet = _frames.read(frame)
        if packet is None or packet.protocol != _frames.UDP:
            return False
        if packet.target.port == _dhcp.SERVER_PORT:
            answer = _dhcp.answer(seat.member, seat.gateway, packet)
            if answer is not None:
                seat.send(answer)
            return True
        return self._is_name(seat, packet)

    def _is_name(self, seat: Seat, packet: Packet) -> bool:
        target = packet.target
        if (target.ip, target.port) != (seat.name_server, _names.PORT):
            return False
        answer = self._names.answer(packet.body[4:], seat.member.domain)
        if answer is None:
            return False
        seat.send(_frames.udp(target, packet.source, answer))
        return True

    def _to_prober(self, seat: Seat, frame: bytes) -> None:
        if _frames.arp_question(frame) == seat.prober.ip:
            seat.send(_frames.arp_reply(frame, seat.prober.mac))
            return
        packet = _frames.read(frame)
        if packet is not None and packet.target.ip == seat.prober.ip:
            self._heard(seat, packet)


def _end(kind: bytes, address: str) -> End:
    return End(kind + packed(address), packed(address))
