"""How much slower guests are reached in a private network, and how much slower through a load balancer.

All fetch the same file from the same small web server in a guest, in turns: of a machine without a network, of one
in a network through a forward of its own, and through a load-balanced set; and from one machine to the other.

    python benchmarks/network.py [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import paramiko

from reddog import images
from reddog.fabric import Disk, Forward, MachineSpec, Network, Probe, provisioning
from reddog.fabric.qemu import QemuDriver
from reddog.sparse import copy_sparse
from reddog.vhd import FOOTER_SIZE

USER, PASSWORD = "someone", "a-secret-word"
MIB = 1 << 20
SIZE = 32 * MIB
ADDRESS = "127.0.0.1"
CACHE = Path(__file__).parent.parent / ".cache" / "images" / "packages"
LONGEST = 180.0
SMALLEST_RATIO = 0.6  # of a load-balanced set's throughput to a forward's
SERVE = f"mkdir w; dd if=/dev/zero of=w/big bs={MIB} count={SIZE // MIB} 2>/dev/null; sudo httpd -p 80 -h ~/w"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--check", action="store_true", help=f"fail when the ratio is below {SMALLEST_RATIO}"
    )
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-bench-") as name:
        bench = Bench(Path(name))
        try:
            ways = bench.ways()
            found = [{way: measure() for way, measure in ways.items()} for _ in range(asked.rounds)]
        finally:
            bench.close()
    speeds = {way: statistics.median(one[way] for one in found) for way in ways}
    for way, speed in speeds.items():
        print(f"{way:28} {speed * 8:6.0f} Mbit/s")
    inside = speeds["a forward in a network"]
    ratio = speeds["a load-balanced set"] / inside
    print(f"{'forward / without a network':28} {inside / speeds['a forward without one']:6.2f}")
    print(f"{'set / forward':28} {ratio:6.2f}")
    return int(asked.check and ratio < SMALLEST_RATIO)


class Bench:
    """Three machines: one by itself, and two in a network."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._image = images.build(home / "images", cache=CACHE, progress=lambda phase, done: None)
        self._driver = QemuDriver(home / "machines")
        self._ports = free_ports(6)

    def ways(self) -> dict[str, Callable[[], float]]:
        """What is measured, in MB/s each, once all guests serve the file."""
        alone, one, two = self._ports[:3], self._ports[3:5], self._ports[5:]
        shared = Forward("set", "tcp", ADDRESS, alone[2], 80, Probe("tcp", 80, interval=1, timeout=3))
        self._start("alone", alone[0], Forward("web", "tcp", ADDRESS, alone[1], 80))
        self._start("one", one[0], Forward("web", "tcp", ADDRESS, one[1], 80), shared, number=4)
        self._start("two", two[0], shared, number=5)
        for port in (alone[0], one[0], two[0]):
            ssh(port, SERVE)
        until(lambda: fetch(shared.port) > 0)
        return {
            "a forward without one": lambda: fetch(alone[1]),
            "a forward in a network": lambda: fetch(one[1]),
            "a load-balanced set": lambda: fetch(shared.port),
            "from machine to machine": lambda: wget(two[0], "one"),
        }

    def close(self) -> None:
        """Remove the machines."""
        for id in self._driver.list():
            self._driver.remove(id)
        self._driver.close()

    def _start(self, id: str, port: int, *forwards: Forward, number: int = 0) -> None:
        disk = self._home / f"{id}.vhd"
        copy_sparse(self._image.path, disk)
        network = Network("bench", f"10.99.99.{number}", id, "bench.example") if number else None
        document = provisioning.linux_ovf(id, USER, PASSWORD, False, [], None)
        ssh_forward = Forward("ssh", "tcp", ADDRESS, port, 22)
        spec = MachineSpec(
            id=id,
            name=id,
            cores=1,
            memory_mb=256,
            os_disk=Disk(disk, disk.stat().st_size - FOOTER_SIZE),
            forwards=(ssh_forward, *forwards),
            provisioning=document,
            network=network,
        )
        self._driver.start(spec)
        until(lambda: self._driver.observe(id).ready)


def fetch(port: int) -> float:
    """MB/s at which the file comes; 0 when it does not."""
    begun, length = time.monotonic(), 0
    try:
        with socket.create_connection((ADDRESS, port), 10) as connection:
            connection.sendall(b"GET /big HTTP/1.0\r\n\r\n")
            while data := connection.recv(MIB):
                length += len(data)
    except OSError:
        return 0.0
    return length / 1e6 / (time.monotonic() - begun) if length > SIZE else 0.0


def wget(port: int, host: str) -> float:
    """MB/s at which one machine gets the file from another, by the guest's clock."""
    clock = "cut -d ' ' -f 1 /proc/uptime"
    told = ssh(port, f"{clock}; wget -q -O /dev/null http://{host}/big; {clock}")
    begun, ended = map(float, told.split())
    return SIZE / 1e6 / (ended - begun)


def ssh(port: int, command: str) -> str:
    """What a command in a guest says."""
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            ADDRESS, port, USER, PASSWORD, allow_agent=False, look_for_keys=False, banner_timeout=60
        )
        _, output, _ = client.exec_command(command, timeout=120)
        return output.read().decode()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("the guests do not get ready")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    sockets = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    sys.exit(main())
