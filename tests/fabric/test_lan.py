"""The process of a private network, with machines that are only the ends of its wires."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reddog
from fabric.ends import DOMAIN, GATEWAY, Bench, Computer, eventually
from fabric.lab import free_port, processes
from reddog.fabric import AclRule, Probe
from reddog.fabric.lan import Backend, Lan, Member, _dhcp, _frames, mac_of
from reddog.fabric.lan import _datagrams as _datagrams_module
from reddog.fabric.lan._balancer import Balancer
from reddog.fabric.lan._datagrams import Datagrams
from reddog.fabric.lan._frames import BROADCAST, End
from reddog.fabric.lan._names import Names
from reddog.fabric.lan._plan import packed
from reddog.fabric.lan._switch import Seat, Switch
from reddog.fabric.ports import can_bind

MEMBER = Member("vm-4", "/nowhere", "10.9.8.4", "web1", DOMAIN)
PROBER = End(b"\x52\x56" + packed("10.9.8.2"), packed("10.9.8.2"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.close()
    assert not (tmp_path / "networks" / "net-1").exists(), "an empty network leaves nothing"


# -- frames -------------------------------------------------------------------------------------------------


def test_frames_reach_whom_they_are_for(bench: Bench) -> None:
    one, two, three = bench.plugged(4, 5, 6)
    hello, everybody = one.frame(two.mac), one.frame(BROADCAST)
    one.card.send(hello, everybody)
    assert [two.card.receive(), two.card.receive()] == [hello, everybody]
    assert three.card.receive() == everybody
    for cable in (one.card, three.card, one.outside, two.outside, three.outside):
        assert cable.silent()


def test_the_way_out_is_each_machines_own(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    outward, inward = one.frame(GATEWAY), one.mac + GATEWAY + b"\x08\x00".ljust(60, b"x")
    one.card.send(outward)
    assert one.outside.receive() == outward
    one.outside.send(inward)
    assert one.card.receive() == inward
    two.outside.send(one.mac + GATEWAY + b"\x08\x00".ljust(60, b"x"))
    assert one.card.silent()
    assert two.card.silent()


def test_arp_is_asked_outside_too(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    request = _arp(one, "10.9.8.1")
    one.card.send(request)
    assert one.outside.receive() == request
    assert two.card.receive() == request
    assert two.outside.silent()


def test_nobody_sends_in_anothers_name(bench: Bench) -> None:
    one, two, three = bench.plugged(4, 5, 6)
    one.card.send(two.frame(three.mac), three.frame(BROADCAST), one.frame(three.mac, b"last"))
    assert three.card.receive() == one.frame(three.mac, b"last")
    assert two.card.silent()


def test_a_machine_that_left_gets_nothing_more(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    bench.join(one)
    one.card.send(one.frame(two.mac), one.frame(BROADCAST))
    with pytest.raises(AssertionError, match="hung up"):
        two.card.receive()
    two.close()


def test_frames_that_make_no_sense_harm_only_the_sender(bench: Bench) -> None:
    one, two, three = bench.plugged(4, 5, 6)
    one.card.send(b"", b"short")
    one.card.send_raw(b"\xff\xff\xff\xff and then nothing that could be read")
    with pytest.raises((AssertionError, ConnectionError)):
        one.card.receive()
    one.card.plug()
    two.card.send(two.frame(three.mac), two.frame(one.mac))
    assert three.card.receive() == two.frame(three.mac)
    assert one.card.receive() == two.frame(one.mac)


def test_a_machine_that_does_not_read_blocks_nobody(bench: Bench) -> None:
    one, _, three = bench.plugged(4, 5, 6)
    large = one.frame(bench.computers["vm-5"].mac, b"x" * 1400)
    for _ in range(60):
        one.card.send(*[large] * 100)
    one.card.send(one.frame(three.mac))
    assert three.card.receive() == one.frame(three.mac)


# -- the process --------------------------------------------------------------------------------------------


def test_machines_are_joined_again_after_the_process_was_killed(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    (process,) = bench.watched
    os.kill(process.pid, signal.SIGKILL)
    process._reap()
    process.exited.set()
    bench.join(one, two)
    one.plug()
    two.plug()
    one.card.send(one.frame(two.mac))
    assert two.card.receive() == one.frame(two.mac)


def test_a_new_driver_takes_the_process_over(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    before = processes(bench.root)
    bench.lan = Lan(bench.lan.path, lambda process: None)
    bench.join(one, two)
    assert processes(bench.root) == before
    one.card.send(one.frame(two.mac))
    assert two.card.receive() == one.frame(two.mac)


def test_another_version_gets_a_process_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = bench.plugged(4)
    before = processes(bench.root)
    answers = iter([{"version": "0.0.1", "refused": []}])
    order = bench.lan._order
    monkeypatch.setattr(bench.lan, "_order", lambda members: next(answers, None) or order(members))
    bench.join(one)
    one.plug()
    assert processes(bench.root) != before
    assert reddog.__version__ != "0.0.1"


def test_its_files_are_for_its_user_alone(bench: Bench) -> None:
    bench.plugged(4)
    for path in (bench.lan.path, *bench.lan.path.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


# -- addresses and names ------------------------------------------------------------------------------------


def test_a_machine_gets_its_address_and_what_belongs_to_it(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    offer = _dhcp_asked(one, 1)
    assert offer[53] == b"\x02"
    told = _dhcp_asked(one, 3, (50, one.ip), (54, packed("10.9.8.1")))
    assert told[53] == b"\x05"
    assert told[0] == one.ip
    assert told[1] == b"\xff\xff\xff\x00"
    assert told[3] == packed("10.9.8.1")
    assert told[6] == packed("10.9.8.3")
    assert told[15] == DOMAIN.encode()
    assert told[245] == packed("168.63.129.16")
    assert _dhcp_asked(one, 3, (50, two.ip))[53] == b"\x06", "an address of another time is refused"
    assert two.card.silent()
    assert one.outside.silent()


def test_machines_of_other_subnets_are_reached_through_the_gateway(bench: Bench) -> None:
    one, two = bench.computer("vm-4", 4), bench.computer("vm-5", 5)
    two.member = replace(two.member, address="10.9.16.5", subnet="10.9.16.0/20", domain="other.example")
    two.ip = packed("10.9.16.5")
    bench.join(one, two)
    one.plug()
    two.plug()
    told = _dhcp_asked(two, 1)
    assert (told[0], told[1], told[3]) == (two.ip, b"\xff\xff\xf0\x00", packed("10.9.16.1"))
    sent = _frames.udp(End(one.mac, one.ip, 1), End(GATEWAY, two.ip, 2), b"hello")
    one.card.send(sent)
    received = two.card.receive()
    assert received == two.mac + b"\x52\x55" + packed("10.9.16.1") + sent[12:]
    assert _asked_name(one, "vm-5.other.example") == [two.ip]
    one.card.send(query_frame := _to_name_server(one, _query("vm-5")))
    assert one.outside.receive() == query_frame, "names alone are those of one's own domain"


def test_new_name_servers_are_told_with_the_next_lease(bench: Bench) -> None:
    (one,) = bench.plugged(4)
    bench.join(replace(one.member, dns_servers=("10.1.1.1", "10.1.1.2")))
    told = _dhcp_asked(one, 3, (50, one.ip))
    assert told[6] == packed("10.1.1.1") + packed("10.1.1.2")


def test_the_networks_names_are_told_and_no_others(bench: Bench) -> None:
    one, two = bench.plugged(4, 5)
    assert _asked_name(one, "vm-5") == [two.ip]
    assert _asked_name(one, f"VM-5.{DOMAIN}".upper()) == [two.ip]
    assert _asked_name(one, f"nobody.{DOMAIN}") == 3
    assert _asked_name(one, f"vm-5.{DOMAIN}", kind=28) == []
    bench.join(one, replace(two.member, host_name="db"))
    assert _asked_name(one, "db") == [two.ip]
    query = _query("example.org")
    one.card.send(query_frame := _to_name_server(one, query))
    assert one.outside.receive() == query_frame


@given(st.binary(max_size=600))
def test_no_bytes_disturb_the_readers(data: bytes) -> None:
    """Whatever a guest sends."""
    _frames.read(data)
    _frames.read(bytes(12) + b"\x08\x00\x45" + data)
    _frames.arp_question(bytes(12) + data)
    Names([MEMBER]).answer(data, DOMAIN)
    Names([MEMBER]).answer(struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0) + data, DOMAIN)
    packet = _frames.Packet(17, End(bytes(6), bytes(4), 68), End(bytes(6), bytes(4), 67), data)
    _dhcp.answer(MEMBER, End(GATEWAY, packed("10.9.8.1")), packet)
    start = bytes(4) + b"\x01" + bytes(235) + b"\x63\x82\x53\x63"
    _dhcp.answer(MEMBER, End(GATEWAY, packed("10.9.8.1")), replace(packet, body=start + data))


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x08\x00", b"\x08\x06"]), st.booleans())
def test_no_frames_disturb_the_switch(data: bytes, kind: bytes, outside: bool) -> None:
    """Whatever a guest sends to the gateway, the prober, another machine or everybody."""
    switch = Switch(lambda seat, packet: None)
    seat, other = Seat(MEMBER, switch), Seat(replace(MEMBER, id="vm-5", address="10.9.8.5"), switch)
    switch.arrange([seat, other])
    for target in (GATEWAY, seat.prober.mac, other.mac, BROADCAST, data[:6].ljust(6, b"\0")):
        frame = target + seat.mac + (kind + data)[:80].ljust(2, b"\0")
        record = len(frame).to_bytes(4) + frame
        if outside:
            switch.from_outside(seat, record)
        else:
            switch.from_machine(seat, record)
        switch.flush()


def test_more_name_servers_than_an_option_holds_are_left_out() -> None:
    many = replace(MEMBER, dns_servers=tuple(f"10.1.1.{number}" for number in range(100)))
    start = b"\x01" + bytes(235) + b"\x63\x82\x53\x63" + b"\x35\x01\x01\xff"
    packet = _frames.Packet(17, End(bytes(6), bytes(4), 68), End(bytes(6), bytes(4), 67), bytes(4) + start)
    offer = _dhcp.answer(many, End(GATEWAY, packed("10.9.8.1")), packet)
    assert offer is not None
    assert b"\x06\xfc" + b"".join(packed(f"10.1.1.{number}") for number in range(63)) in offer


# -- load balancing -----------------------------------------------------------------------------------------


def test_connections_go_to_those_who_answer_the_probe(bench: Bench) -> None:
    """TCP probes are asked in the network itself: the host's side would always seem to accept."""
    place = free_port()
    with _web("one") as first, _web("two") as second:
        probe = Probe("tcp", 80, interval=0.2, timeout=0.7)
        one, two = bench.computer("vm-4", 4), bench.computer("vm-5", 5)
        bench.join(one.balanced(_backend(place, first, probe)), two.balanced(_backend(place, second, probe)))
        one.plug()
        two.plug()
        assert _get(place) is None, "nobody has answered a probe yet"
        with _guest(one) as up, _guest(two) as other_up:
            up.set()
            other_up.set()
            eventually(lambda: {_get(place) for _ in range(4)} == {"one", "two"})
            assert Counter(_get(place) for _ in range(10)) == {"one": 5, "two": 5}
            up.clear()
            eventually(lambda: {_get(place) for _ in range(4)} == {"two"})
            up.set()
            eventually(lambda: {_get(place) for _ in range(4)} == {"one", "two"})
            other_up.clear()
            up.clear()
            eventually(lambda: _get(place) is None)


def test_an_http_probe_wants_200(bench: Bench) -> None:
    place = free_port()
    with _web("one") as first, _web("two") as second:
        healthy = Probe("http", 80, "/status", interval=0.2, timeout=0.7)
        one, two = bench.computer("vm-4", 4), bench.computer("vm-5", 5)
        missing = replace(healthy, path="/missing")
        bench.join(
            one.balanced(_backend(place, first, healthy)), two.balanced(_backend(place, second, missing))
        )
        eventually(lambda: _get(place) == "one")
        assert {_get(place) for _ in range(6)} == {"one"}


def test_connections_outlive_a_change_and_the_listener_does_not_outlive_the_set(bench: Bench) -> None:
    place = free_port()
    with _web("one") as first:
        probe = Probe("http", 80, interval=0.2, timeout=0.7)
        one = bench.computer("vm-4", 4)
        bench.join(one.balanced(_backend(place, first, probe)))
        eventually(lambda: _get(place) == "one")
        with socket.create_connection(("127.0.0.1", place), 5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            bench.join(one)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", place), 5)
            connection.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
            assert connection.makefile("rb").read().endswith(b"one")


def test_clients_are_let_in_as_the_rules_say(bench: Bench) -> None:
    place = free_port()
    with _web("one") as first, _web("two") as second:
        one, two = bench.computer("vm-4", 4), bench.computer("vm-5", 5)
        plain = _backend(place, first, None)
        rules = AclRule("deny", "127.0.0.3/32"), AclRule("permit", "127.0.0.2/31")
        bench.join(one.balanced(replace(plain, acl=rules)))
        clients = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        assert [_get(place, client) for client in clients] == [None, "one", None]
        bench.join(one.balanced(plain), two.balanced(replace(_backend(place, second, None), acl=rules)))
        assert {_get(place, "127.0.0.1") for _ in range(4)} == {"one"}, "the other machine does not let it in"
        assert {_get(place, "127.0.0.2") for _ in range(4)} == {"one", "two"}


def test_connections_that_carry_nothing_are_broken_off(bench: Bench) -> None:
    place = free_port()
    with _web("one") as first:
        one = bench.computer("vm-4", 4)
        bench.join(one.balanced(replace(_backend(place, first, None), idle_timeout=2)))
        with socket.create_connection(("127.0.0.1", place), 30) as connection:
            for part in (b"GET / HTTP/1.0\r\n", *[b"X: y\r\n"] * 25):
                connection.sendall(part)
                time.sleep(0.1)
            connection.sendall(b"\r\n")
            assert connection.makefile("rb").read().endswith(b"one"), "it carried something all the time"
        with socket.create_connection(("127.0.0.1", place), 30) as connection, pytest.raises(ConnectionError):
            assert connection.recv(1) == b"never"


def test_datagrams_go_to_one_machine_for_each_client(bench: Bench) -> None:
    place = free_port(socket.SOCK_DGRAM)
    with _echo("one") as first, _echo("two") as second:
        one, two = bench.computer("vm-4", 4), bench.computer("vm-5", 5)
        backends = [replace(_backend(place, port, None), protocol="udp") for port in (first, second)]
        bench.join(one.balanced(backends[0]), two.balanced(backends[1]))
        with ExitStack() as stack:
            clients = [stack.enter_context(_datagrams(place)) for _ in range(4)]
            said = [[_say(client, f"{number}") for number in range(3)] for client in clients]
            whos = [{answer.partition(":")[0] for answer in answers} for answers in said]
            assert all(len(who) == 1 for who in whos), "all of a client's go to the same machine"
            assert {next(iter(who)) for who in whos} == {"one", "two"}
            assert said[0][2].endswith(":2")
            bench.join(one, two.balanced(backends[1]))
            assert {_say(client, "x") for client in clients} == {"two:x"}
        rules = (AclRule("permit", "127.0.0.2/32"),)
        bench.join(two.balanced(replace(backends[1], acl=rules)))
        with _datagrams(place, "127.0.0.2") as permitted, _datagrams(place) as denied:
            assert _say(permitted, "y") == "two:y"
            denied.settimeout(0.3)
            with pytest.raises(TimeoutError):
                _say(denied, "y")
        bench.join(one)
        assert can_bind("127.0.0.1", place, "udp")


async def test_a_flow_that_is_silent_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_datagrams_module, "MOST_FLOWS", 2)
    monkeypatch.setattr(_datagrams_module, "_SWEEP", 0.05)
    place, loop = free_port(socket.SOCK_DGRAM), asyncio.get_running_loop()
    with _echo("one") as port:
        group = Datagrams()
        await group.open("127.0.0.1", place)
        backend = replace(_backend(place, port, None), protocol="udp", idle_timeout=1)
        seat = mock.Mock(member=MEMBER)
        group.arrange({"vm-4": (seat, backend)}, mock.Mock())
        for number in range(4):
            with _datagrams(place) as client:
                assert await loop.run_in_executor(None, _say, client, f"{number}") == f"one:{number}"
            assert len(group._flows) <= 2
        async with asyncio.timeout(30):
            await _gone(group)
        await group.close()


def test_clients_that_leave_early_leave_nothing_behind(bench: Bench) -> None:
    place = free_port()
    with _web("one") as first:
        probe = Probe("http", 80, interval=0.2, timeout=5)
        one = bench.computer("vm-4", 4)
        bench.join(one.balanced(_backend(place, first, probe)))
        eventually(lambda: _get(place) == "one")
        (process,) = bench.watched
        open_files = Path(f"/proc/{process.pid}/fd")
        before = len(list(open_files.iterdir()))
        for number in range(300):
            with socket.create_connection(("127.0.0.1", place), 5) as client:
                client.sendall(b"GET / HT")
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert _get(place) == "one"
        eventually(lambda: len(list(open_files.iterdir())) <= before)


async def test_a_connection_whose_client_has_gone_is_carried_to_its_end(bench: Bench) -> None:
    """Also when the garbage collector runs before the machine has closed its side."""
    let_go, complaints = asyncio.Event(), []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await let_go.wait()
        writer.close()

    asyncio.get_running_loop().set_exception_handler(lambda loop, told: complaints.append(told["message"]))
    prober = mock.Mock(ask=mock.AsyncMock(return_value=True))
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    host_port = server.sockets[0].getsockname()[1]
    backend = _backend(place := free_port(), host_port, Probe("tcp", 80))
    balancer = Balancer(prober)
    seat = Seat(bench.computer("vm-4", 4).balanced(backend), Switch(lambda seat, packet: None))
    assert await balancer.arrange([seat]) == []
    await asyncio.sleep(0.05)
    for _ in range(5):
        _, client = await asyncio.open_connection("127.0.0.1", place)
        client.write_eof()
        await asyncio.sleep(0.02)
        connection = client.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.transport.abort()
        await asyncio.sleep(0.02)
        gc.collect()
    let_go.set()
    await asyncio.sleep(0.05)
    assert complaints == []
    await balancer.arrange([])
    server.close()


def test_a_port_that_somebody_has_is_told(bench: Bench) -> None:
    with _web("stranger") as stranger:
        probe = Probe("tcp", 80)
        one = bench.computer("vm-4", 4)
        refused = bench.join(one.balanced(_backend(stranger, 1, probe)))
        assert list(refused) == [("tcp", "127.0.0.1", stranger)]
        assert "is in use" in str(refused["tcp", "127.0.0.1", stranger])
        one.plug()
    assert bench.join(one.balanced(_backend(stranger, 1, probe))) == {}


# -- helpers ------------------------------------------------------------------------------------------------


def _arp(computer: Computer, address: str) -> bytes:
    question = b"\x00\x01\x08\x00\x06\x04\x00\x01" + computer.mac + computer.ip + bytes(6) + packed(address)
    return computer.frame(BROADCAST, question, b"\x08\x06")


def _dhcp_asked(computer: Computer, kind: int, *options: tuple[int, bytes]) -> dict[int, bytes]:
    """What a DHCP message is answered: the options, and at 0 the address."""
    given = [(53, bytes([kind])), *options]
    message = b"\x01\x01\x06\x00" + b"xid!" + bytes(20) + computer.mac.ljust(16, b"\0") + bytes(192)
    message += b"\x63\x82\x53\x63" + b"".join(bytes([code, len(v)]) + v for code, v in given) + b"\xff"
    source = End(computer.mac, bytes(4), 68)
    computer.card.send(_frames.udp(source, End(BROADCAST, b"\xff" * 4, 67), message))
    packet = _frames.read(computer.card.receive())
    assert packet is not None
    answer = packet.body[4:]
    assert answer[4:8] == b"xid!"
    return {0: answer[16:20], **dict(_dhcp._options(answer[240:]))}


def _query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def _to_name_server(computer: Computer, query: bytes) -> bytes:
    own = End(computer.mac, computer.ip, 5353)
    return _frames.udp(own, End(b"\x52\x55" + packed("10.9.8.3"), packed("10.9.8.3"), 53), query)


def _asked_name(computer: Computer, name: str, kind: int = 1) -> list[bytes] | int:
    """The addresses that are answered, or the error's number."""
    computer.card.send(_to_name_server(computer, _query(name, kind)))
    packet = _frames.read(computer.card.receive())
    assert packet is not None
    assert packet.target == End(computer.mac, computer.ip, 5353)
    answer = packet.body[4:]
    id, flags, _, count = struct.unpack_from("!HHHH", answer)
    assert id == 7
    assert flags & 0x8000
    return flags & 15 or [answer[-4:]] * count


def _backend(place: int, host_port: int, probe: Probe | None) -> Backend:
    return Backend("web", "127.0.0.1", place, 80, "127.0.0.1", host_port, probe, host_port)


@contextmanager
def _web(name: str) -> Iterator[int]:
    """A web server that says its name; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def _guest(computer: Computer) -> Iterator[threading.Event]:
    """Answers TCP probes as a kernel does: with SYN and ACK while the event is set, else with RST."""
    up, over = threading.Event(), threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                packet = _frames.read(computer.card.receive())
            except (OSError, AssertionError):
                return
            if packet is None or packet.protocol != _frames.TCP or packet.body[9] != _frames.SYN:
                continue
            assert packet.source.mac == PROBER.mac
            flags = _frames.ACK | (_frames.SYN if up.is_set() else _frames.RST)
            number = int.from_bytes(packet.body[:4]) + 1
            answer = _frames.tcp(packet.target, packet.source, flags, sequence=9, acknowledged=number)
            computer.card.send(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield up
    over.set()
    thread.join()


async def _gone(group: Datagrams) -> None:
    for _ in iter(lambda: len(group._flows), 0):
        await asyncio.sleep(0.05)


@contextmanager
def _echo(name: str) -> Iterator[int]:
    """A service that answers datagrams with its name and what it was told; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (told := service.recvfrom(2048))[0]:
                service.sendto(f"{name}:".encode() + told[0], told[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield service.getsockname()[1]
        finally:
            service.sendto(b"", service.getsockname())
            thread.join()


@contextmanager
def _datagrams(place: int, client: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A client of an endpoint."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((client, 0))
        made.connect(("127.0.0.1", place))
        made.settimeout(30)
        yield made


def _say(client: socket.socket, text: str) -> str:
    client.send(text.encode())
    return client.recv(2048).decode()


def _get(port: int, client: str = "127.0.0.1") -> str | None:
    """Who answers; None: the connection breaks."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5, source_address=(client, 0)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = connection.makefile("rb").read().decode()
    except ConnectionError:
        return None
    return said.rpartition("\r\n\r\n")[2] or None


def test_hardware_addresses_are_local_and_last() -> None:
    assert mac_of("vm-1") == mac_of("vm-1") != mac_of("vm-2")
    assert mac_of("vm-1")[0] & 3 == 2
