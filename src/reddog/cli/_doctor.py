"""``reddog doctor``: whether this machine can run a cloud, and what to do where it cannot."""

from __future__ import annotations

import getpass
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from reddog.cli._options import DataDir, Output, resolve
from reddog.cli._output import CommandError, Format, show_rows
from reddog.settings import Settings, SettingsError, load

_EMULATED = "Machines are emulated (TCG), which is slower."
Verdict = Literal["ok", "note", "problem"]
ENOUGH_SPACE = 2 << 30  # bytes: an image, its packages, and a few disks
ENOUGH_FILES = 4096
SOON = timedelta(days=30)
IMAGE_TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mcopy": "mtools",
    "syslinux": "syslinux",
}


@dataclass(frozen=True)
class Finding:
    """The result of one check; a note costs some comfort, a problem keeps something from working."""

    check: str
    verdict: Verdict
    finding: str
    remedy: str = ""


def doctor(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Check whether this machine can run a cloud, and say what to do where it cannot."""
    directory = resolve(data_dir)
    found = list(findings(directory))
    rows = [vars(finding) for finding in found]
    show_rows(rows, ["check", "verdict", "finding", "remedy"], output)
    if problems := sum(finding.verdict == "problem" for finding in found):
        raise CommandError(f"{problems} of {len(found)} checks found a problem.", "The remedies are above.")


def findings(data_dir: Path) -> Iterator[Finding]:
    """Run every check; one that fails itself is a problem like any other."""
    for check in (
        _python,
        _qemu,
        _networks,
        _accelerator,
        _image_tools,
        _ports,
        _ipv6,
        _files,
        _storage_names,
    ):
        yield _guarded(check)
    for checked in (_space, _privacy, _configuration, _certificate):
        yield _guarded(lambda checked=checked: checked(data_dir))  # type: ignore[misc]


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except OSError as error:
        return Finding(getattr(check, "__name__", "check").strip("_"), "problem", str(error))


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", "ok", version)


def _qemu() -> Finding:
    from reddog.fabric import MachineError
    from reddog.fabric.qemu import find_qemu

    try:
        qemu = find_qemu()
    except MachineError as error:
        return Finding("QEMU", "problem", error.message, error.remedy)
    return Finding("QEMU", "ok", str(qemu.program))


def _networks() -> Finding:
    from reddog.fabric import MachineError
    from reddog.fabric.qemu import find_qemu

    try:
        command = [*find_qemu().command(), "-netdev", "help"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.split()
    except (MachineError, subprocess.TimeoutExpired):
        return Finding("Private networks", "note", "unknown, as there is no QEMU")
    if missing := {"hubport", "stream", "user"} - set(told):
        text = f"QEMU lacks the network backends {', '.join(sorted(missing))}: no machine can start"
        return Finding("Private networks", "problem", text, "Install QEMU 7.2 or later, built with slirp.")
    return Finding("Private networks", "ok", "machines find each other by name; no privileges are needed")


def _accelerator() -> Finding:
    from reddog.fabric import MachineError
    from reddog.fabric.kvm import choose_accelerator
    from reddog.fabric.qemu import find_qemu

    try:
        chosen = choose_accelerator(find_qemu().command())
    except MachineError:
        return Finding("Acceleration", "note", "unknown, as there is no QEMU")
    if chosen == "kvm":
        return Finding("Acceleration", "ok", "KVM works (a boot sector ran under it)")
    why, remedy = _without_kvm(Path("/dev/kvm"))
    return Finding("Acceleration", "note", f"KVM is not used: {why}", f"{_EMULATED} {remedy}")


def _without_kvm(device: Path) -> tuple[str, str]:
    """Why KVM does not work, and what may help."""
    if not device.exists():
        return f"there is no {device}", "Switch virtualization on in the firmware, or nested virtualization."
    if not os.access(device, os.R_OK | os.W_OK):
        return f"you may not open {device}", f"Join its group: sudo usermod -aG kvm {getpass.getuser()}"
    return f"{device} is there, but no guest boots under it", "Nested virtualization is often incomplete."


def _image_tools() -> Finding:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = {package for tool, package in IMAGE_TOOLS.items() if shutil.which(tool, path=path) is None}
    if missing:
        remedy = f"apt install {' '.join(sorted(missing))}"
        return Finding("Image tools", "problem", "the platform image cannot be built", remedy)
    return Finding("Image tools", "ok", ", ".join(sorted(IMAGE_TOOLS)))


def _ports() -> Finding:
    from reddog.fabric.ports import lowest_bindable_port

    lowest = lowest_bindable_port()
    if lowest <= 22:
        return Finding("Low ports", "ok", "endpoints may use every port")
    remedy = (
        f"sudo sysctl net.ipv4.ip_unprivileged_port_start=22 (endpoints below {lowest} get a higher port)"
    )
    return Finding("Low ports", "note", f"endpoints may use ports from {lowest}", remedy)


def _ipv6() -> Finding:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return Finding("IPv6 loopback", "note", "there is none: the cloud listens on 127.0.0.1 only")
    return Finding("IPv6 loopback", "ok", "::1")


def _files() -> Finding:
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)  # the cloud raises its own limit up to this
    if highest == resource.RLIM_INFINITY:
        return Finding("Open files", "ok", "as many as are wanted")
    if highest < ENOUGH_FILES:
        remedy = (
            f"As root: ulimit -Hn {ENOUGH_FILES} (or in /etc/security/limits.conf), for many connections."
        )
        return Finding("Open files", "note", f"{highest} at a time", remedy)
    return Finding("Open files", "ok", f"{highest} at a time")


def _storage_names() -> Finding:
    domain = Settings(Path()).storage_domain
    name = f"any.blob.{domain}"
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        text = f"{name} does not resolve: accounts are told as http://127.0.0.1:PORT/ACCOUNT"
        return Finding("Storage names", "note", text, f"Resolve *.{domain} to 127.0.0.1 to use host names.")
    return Finding("Storage names", "ok", f"*.{domain} resolves")


def _space(data_dir: Path) -> Finding:
    existing = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / (1 << 30):.1f} GiB free in {existing}"
    if free < ENOUGH_SPACE:
        return Finding("Disk space", "problem", text, "Free some, or choose another --data-dir.")
    return Finding("Disk space", "ok", text)


def _privacy(data_dir: Path) -> Finding:
    if not data_dir.exists():
        return Finding("Data directory", "ok", f"{data_dir} is not there yet")
    if data_dir.stat().st_mode & 0o077:
        return Finding("Data directory", "problem", f"{data_dir} is open to others", f"chmod 700 {data_dir}")
    return Finding("Data directory", "ok", str(data_dir))


def _configuration(data_dir: Path) -> Finding:
    try:
        settings = load(data_dir)
    except SettingsError as error:
        return Finding("Configuration", "problem", str(error))
    return Finding(
        "Configuration", "ok", f"fabric {settings.fabric}, storage domain {settings.storage_domain}"
    )


def _certificate(data_dir: Path) -> Finding:
    from reddog import pki

    path = Settings(data_dir).pki_dir / "admin.cer"
    if not path.exists():
        return Finding("Certificate", "ok", "made by the first `reddog up`")
    try:
        certificate = pki.load_certificate(path)
    except pki.CertificateError as error:
        return Finding(
            "Certificate", "problem", error.message, "The next start of the cloud makes a new one."
        )
    now = datetime.now(UTC)
    text = f"valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    if now < certificate.not_before:
        return Finding(
            "Certificate", "problem", text, "Is this machine's clock right? The next start makes a new one."
        )
    if now > certificate.not_after - SOON:
        return Finding("Certificate", "problem", text, "The next start of the cloud makes a new one.")
    return Finding("Certificate", "ok", text)
