"""How fast clients decode the list of OS images, beside the published legacy client and beside bare lxml.

The list is the recorded one (524 images) where the recordings are, else one of the same shape and size. The
legacy client, `azure-servicemanagement-legacy` 0.20.8, runs in a virtual environment of its own:
REDDOG_LEGACY_PYTHON names its interpreter, or one is made in the user's cache.

    python benchmarks/decode.py [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from reddog import wire

SHARED = Path(os.environ.get("REDDOG_SHARED") or Path(__file__).resolve().parents[2] / "shared")
RECORDINGS = SHARED / "transcripts" / "service-management-2015.jsonl.xz"
LEGACY = ("azure-servicemanagement-legacy==0.20.8", "setuptools<70")
LEAST_RATIO = 35.0
TURNS = 3
LEGACY_SCRIPT = """
import sys, time
from azure.servicemanagement import Images
from azure.servicemanagement._serialization import _MinidomXmlToObject
class Answer: body = sys.stdin.buffer.read()
for _ in range(int(sys.argv[1])):
    begin = time.perf_counter()
    images = _MinidomXmlToObject.parse_response(Answer, Images)
    print(len(images), time.perf_counter() - begin)
"""


def recorded() -> bytes | None:
    """The longest recorded list; None without recordings."""
    if not RECORDINGS.exists():
        return None
    bodies = []
    with lzma.open(RECORDINGS, "rt", encoding="utf-8") as file:
        for exchange in map(json.loads, file):
            if exchange["path"].endswith("/services/images") and exchange["status"] == 200:
                bodies.append(exchange["response_body"] or "")
    return max(bodies, key=len).encode()


def synthetic() -> bytes:
    """A list of the recorded one's shape and size."""
    images = [
        wire.only(
            wire.OSImage,
            category="Public",
            label=f"Ubuntu Server 14.04.{number} LTS",
            location=";".join(f"Region {region}" for region in range(16)),
            logical_size_in_gb=30,
            name=f"b39f27a8b8c64d52b05eac6a62ebad85__Ubuntu-14_04_{number}-LTS-amd64-server",
            os="Linux",
            eula="http://www.example.com/legal/terms",
            description="An image for virtual machines, kept up to date by its publisher. " * 6,
            image_family="Ubuntu Server 14.04 LTS",
            published_date="2015-06-30T00:00:00Z",
            is_premium=False,
            publisher_name="Canonical",
            recommended_vm_size="Medium",
        )
        for number in range(524)
    ]
    return wire.encode(wire.Images(images))


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def legacy_python() -> str | None:
    """An interpreter that has the published package; None when none can be made."""
    named = os.environ.get("REDDOG_LEGACY_PYTHON")
    if named:
        return named
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "reddog-tests" / "legacy-0.20.8"
    python = str(home / "bin" / "python")
    if not (home / "complete").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
            subprocess.run([python, "-m", "pip", "install", "-q", *LEGACY], check=True, timeout=180)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"the legacy client cannot be installed here: {error}", file=sys.stderr)
            return None
        (home / "complete").touch()
    return python


def legacy_seconds(document: bytes, count: int, rounds: int) -> float | None:
    """Seconds of the legacy client's fastest round; None without it."""
    python = legacy_python()
    if python is None:
        return None
    command = [python, "-W", "ignore", "-c", LEGACY_SCRIPT, str(rounds)]
    done = subprocess.run(command, input=document, capture_output=True, check=True, timeout=600)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert {int(images) for images, _ in lines} == {count}
    return min(float(seconds) for _, seconds in lines)


def measure(
    document: bytes, count: int, readers: dict[str, Callable[[], object]], rounds: int
) -> tuple[float | None, dict[str, float]]:
    """Seconds of the legacy client and of the readers; they take turns, since other work comes and goes."""
    legacy: float | None = None
    fastest = dict.fromkeys(readers, float("inf"))
    for _ in range(TURNS):
        seconds = legacy_seconds(document, count, max(2, rounds // 10))
        legacy = seconds if legacy is None or seconds is None else min(legacy, seconds)
        for name, work in readers.items():
            fastest[name] = min(fastest[name], best(work, rounds))
    return legacy, fastest


def show(name: str, seconds: float, base: float | None) -> None:
    """Print one line."""
    ratio = f"{base / seconds:8.1f} x the legacy client" if base else ""
    print(f"{name:<28} {seconds * 1e3:9.2f} ms {ratio}")


def main() -> int:
    """Run the benchmark; 1 when `--check` is given and the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="rounds of each line; the fastest counts")
    parser.add_argument("--check", action="store_true", help="fail when the target is missed")
    options = parser.parse_args()
    document = recorded()
    source = "recorded" if document else "synthetic: no recordings, see REDDOG_SHARED"
    document = document or synthetic()
    images = wire.decode(wire.Images, document)
    print(f"{len(images)} images, {len(document) / 1e3:.0f} kB ({source})")
    readers: dict[str, Callable[[], object]] = {
        "reddog, client's reader": lambda: wire.decode(wire.Images, document),
        "reddog, service's reader": lambda: wire.decode(wire.Images, document, strict=True),
        "lxml alone, parsing only": lambda: etree.fromstring(document),
    }
    legacy, fastest = measure(document, len(images), readers, options.rounds)
    if legacy is not None:
        show("legacy client 0.20.8", legacy, None)
    for name, seconds in fastest.items():
        show(name, seconds, legacy)
    print(f"target: {LEAST_RATIO:.0f} x the legacy client (client's reader)")
    if legacy is None:
        print("the target cannot be judged without the legacy client", file=sys.stderr)
        return int(options.check)
    return int(options.check and legacy / next(iter(fastest.values())) < LEAST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
