"""How much longer a virtual machine takes through the cloud than a bare QEMU, from the request to an SSH login.

Both boot the same image with the same provisioning and the same processor, memory and devices, in turns.

    python benchmarks/boot.py [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import paramiko

from azure.servicemanagement import (
    ConfigurationSet,
    ConfigurationSetInputEndpoint,
    LinuxConfigurationSet,
    OSVirtualHardDisk,
    ServiceManagementService,
)
from reddog import images
from reddog.fabric import Disk, Forward, MachineSpec, provisioning
from reddog.fabric.qemu import _command, find_qemu
from reddog.fabric.qemu._room import Room
from reddog.sparse import copy_sparse

USER, PASSWORD, HOST = "someone", "a-secret-word", "bench"
SIZE, CORES, MEMORY = "ExtraSmall", 1, 768
LARGEST_RATIO = 1.15
LONGEST = 180.0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--check", action="store_true", help=f"fail when the ratio is above {LARGEST_RATIO}")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-bench-") as name:
        home = Path(name)
        cloud = Cloud(home)
        try:
            bare, through = [], []
            for number in range(asked.rounds):
                bare.append(bare_boot(home / f"bare{number}", cloud.image, cloud.accelerator))
                through.append(cloud.boot(f"bench{number}"))
        finally:
            cloud.reddog("down")
    ratio = statistics.median(through) / statistics.median(bare)
    print(
        f"bare QEMU, from exec to SSH login:      {statistics.median(bare):6.2f} s (median of {asked.rounds})"
    )
    print(f"the cloud, from request to SSH login:   {statistics.median(through):6.2f} s")
    print(f"ratio: {ratio:.2f} (at most {LARGEST_RATIO} is wanted)")
    return int(asked.check and ratio > LARGEST_RATIO)


def bare_boot(directory: Path, image: images.ImageInfo, accelerator: str) -> float:
    """Seconds from the copy of the image to a login in a machine that nothing looks after."""
    directory.mkdir()
    begin = time.perf_counter()
    copy_sparse(image.path, directory / "os.vhd")
    ovf = provisioning.linux_ovf(HOST, USER, PASSWORD, False, [], None)
    room = Room(directory / "machine")
    room.create()
    provisioning.write_disc(room.disc, ovf)
    port = free_port()
    spec = MachineSpec(
        "bare",
        "bare",
        CORES,
        MEMORY,
        Disk(directory / "os.vhd", image.size),
        forwards=(Forward("ssh", "tcp", "127.0.0.1", port, 22),),
    )
    command = _command.command_line(find_qemu(), accelerator, spec, room.disc)
    process = subprocess.Popen(command, cwd=room.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_login("127.0.0.1", port)
        return time.perf_counter() - begin
    finally:
        process.kill()
        process.wait()


class Cloud:
    """A cloud of its own, reached as a user reaches it."""

    def __init__(self, home: Path) -> None:
        self._data_dir = home / "cloud"
        self._environment = {**os.environ, "HOME": str(home), "REDDOG_PROFILE": str(home / "profile.json")}
        os.environ["REDDOG_PROFILE"] = self._environment["REDDOG_PROFILE"]
        shared_image(self._data_dir / "images")
        (self.image,) = images.catalogue(self._data_dir / "images")
        summary = json.loads(self.reddog("up", "--detach", "--output", "json"))
        self.accelerator = str(summary["accelerator"])
        self._sms = ServiceManagementService(
            summary["subscription_id"], summary["certificate"], host=summary["management_host"]
        )
        self._sms.create_storage_account("bench", "", "bench", location="West US")
        self._endpoint = f"{summary['blob_endpoint']}/bench/"

    def reddog(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "reddog.cli", *arguments, "--data-dir", str(self._data_dir)]
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=self._environment
        ).stdout

    def boot(self, name: str) -> float:
        """Seconds from the request for a machine to a login in it."""
        self._sms.create_hosted_service(name, name, location="West US")
        network = ConfigurationSet()
        network.input_endpoints.input_endpoints.append(
            ConfigurationSetInputEndpoint("ssh", "tcp", str(free_port()), "22")
        )
        disk = OSVirtualHardDisk(self.image.name, f"{self._endpoint}vhds/{uuid.uuid4().hex}.vhd")
        configuration = LinuxConfigurationSet(HOST, USER, PASSWORD, False)
        begin = time.perf_counter()
        self._sms.create_virtual_machine_deployment(
            name, name, "production", name, name, configuration, disk, network, role_size=SIZE
        )
        endpoint = self._where(name)
        wait_for_login(endpoint.vip, int(endpoint.public_port))
        taken = time.perf_counter() - begin
        self._sms.delete_deployment(name, name, delete_vhd=True)
        return taken

    def _where(self, name: str) -> Any:
        while True:
            listed = self._sms.get_deployment_by_name(name, name).role_instance_list
            if len(listed) and len(listed[0].instance_endpoints):
                return listed[0].instance_endpoints[0]
            time.sleep(0.05)


def shared_image(directory: Path) -> None:
    """The platform image, built once in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reddog-benchmarks"
    cache.mkdir(parents=True, exist_ok=True)
    if not images.catalogue(cache / "images"):
        images.build(cache / "images", cache=cache / "packages", progress=lambda phase, done: None)
    directory.mkdir(parents=True)
    for path in (cache / "images").iterdir():
        if path.is_file():
            os.link(path, directory / path.name)


def wait_for_login(host: str, port: int) -> None:
    """Try to log in until it works."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        if not greets(host, port):
            time.sleep(0.05)
            continue
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            try:
                client.connect(
                    host,
                    port,
                    USER,
                    PASSWORD,
                    timeout=2,
                    banner_timeout=5,
                    auth_timeout=10,
                    look_for_keys=False,
                    allow_agent=False,
                )
                return
            except (OSError, EOFError, paramiko.SSHException):
                time.sleep(0.1)
    raise TimeoutError(f"no login at {host}:{port}")


def greets(host: str, port: int) -> bool:
    """Whether an SSH server answers at once: QEMU takes connections long before the guest does."""
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.settimeout(0.5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    sys.exit(main())
