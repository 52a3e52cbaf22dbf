"""Private networks and load balancing with whole guests, which run the tiny Linux image."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fabric.conftest import need_qemu
from fabric.guest import BOOT, Guest, new_ovf, said, system_disk
from fabric.lab import Lab, forward, free_port, processes, until
from reddog.fabric import AclRule, Forward, Network, Probe
from reddog.fabric.qemu import Readiness

pytestmark = [pytest.mark.qemu, pytest.mark.slow]
DOMAIN = "shop.internal.example"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    need_qemu()
    bench = Lab("qemu", tmp_path, readiness=Readiness(quiet=BOOT, at_most=2 * BOOT))
    yield bench
    bench.close()
    until(lambda: processes(bench.machines) == [])
    assert not (bench.machines / ".networks").exists()


def boot(lab: Lab, name: str, address: str, subnet: str = "", **changes: object) -> Guest:
    place = Network("shop", address, name, DOMAIN, subnet=subnet)
    disk = system_disk(lab.root / f"{name}.vhd")
    return Guest.boot(lab, name, disk, new_ovf(name), network=place, **changes)


def test_machines_of_one_network_find_each_other(lab: Lab) -> None:
    """By name, also over subnets, whatever becomes of the driver and of the network's process meanwhile."""
    place, probe = free_port(), Probe("tcp", 80, interval=0.5, timeout=1.5)
    web = Forward("web", "tcp", "127.0.0.1", place, 80, probe)
    one = boot(lab, "web1", "10.20.30.4", forwards=(web,))
    two = boot(lab, "web2", "10.20.31.132", "10.20.31.128/25", forwards=(web,))
    for guest in (one, two):
        guest.ready()

    with one.ssh() as client:
        assert said(client, "ip -4 -o addr show eth0 | awk '{print $4}'") == "10.20.30.4/24"
        assert said(client, "cat /etc/resolv.conf").split() == [
            *("search", DOMAIN, "nameserver", "10.20.30.3")
        ]
        assert said(client, "sudo ping -c 1 -W 5 web2").startswith("PING web2 (10.20.31.132)")
        assert f"web2.{DOMAIN}" in said(client, "nslookup 10.20.31.132")

    serve = "mkdir -p /tmp/w && echo {0} >/tmp/w/index.html && sudo httpd -p 80 -h /tmp/w"
    for guest in (one, two):
        guest.run(serve.format(guest.id))
    until(lambda: answers(place) == {"web1", "web2"})
    one.run("sudo killall httpd")
    until(lambda: answers(place) == {"web2"})
    lab.reopen()
    assert answers(place) == {"web2"}, "the network went on without the driver"
    one.run("sudo httpd -p 80 -h /tmp/w")
    until(lambda: answers(place) == {"web1", "web2"})

    (process,) = processes(lab.machines / ".networks" / "shop")
    os.kill(process, signal.SIGKILL)
    until(lambda: answers(place) == {"web1", "web2"})
    assert one.run("sudo ping -c 1 -W 5 web2")

    rules = AclRule("deny", "127.0.0.2/32"), AclRule("permit", "127.0.0.0/8")
    listed = replace(one.spec.forwards[0], acl=rules, idle_timeout=60.0)
    lab.driver.set_forwards("web1", (listed, web))
    assert one.run("hostname") == "web1"
    with pytest.raises(ConnectionError):  # while it connects, or afterwards
        knock_from("127.0.0.2", one.port)


def knock_from(client: str, port: int) -> bytes:
    """What is said first to a client with this address."""
    with socket.create_connection(("127.0.0.1", port), 30, source_address=(client, 0)) as connection:
        return connection.recv(1)


def answers(port: int) -> set[str]:
    """Who answers six requests in a row."""
    return set(filter(None, (ask(port) for _ in range(6))))


def ask(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.makefile("rb").read().decode().rpartition("\r\n\r\n")[2].strip()
    except OSError:
        return ""


def test_connections_that_come_before_the_machine_do_it_no_harm(lab: Lab) -> None:
    """Programs try to log in again and again while their machine is made."""
    port, stop = free_port(), threading.Event()

    def knock() -> None:
        while not stop.wait(0.002):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"hello")

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        place = Network("shop", "10.20.30.4", "web1", DOMAIN)
        for number in range(4):
            lab.start(f"vm-{number}", network=place, forwards=(forward(port),))
            time.sleep(0.3)
            assert lab.state(f"vm-{number}").power == "running"
            lab.driver.remove(f"vm-{number}")
    finally:
        stop.set()
        knocking.join()
