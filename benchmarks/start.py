"""How long `reddog up` takes on an existing data directory to answer, and what the idle service holds.

Beside it stands the interpreter's own start with the service's libraries, measured in the same run.

    python benchmarks/start.py [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

LONGEST = 2.0  # seconds to the first answer
LARGEST = 120  # MiB of memory when idle
LIBRARIES = "import aiohttp.web, cryptography.x509, lxml.etree, sqlalchemy, pycdlib, typer"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--check", action="store_true", help="fail when a limit is broken")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reddog-bench-") as name:
        home = Path(name)
        run(home, "up")
        run(home, "down")
        answers, memory, plain = [], 0.0, []
        for _ in range(asked.rounds):
            plain.append(seconds([sys.executable, "-c", LIBRARIES]))
            begin = time.perf_counter()
            summary = json.loads(run(home, "up"))
            first_request(summary)
            answers.append(time.perf_counter() - begin)
            time.sleep(1)
            memory = max(memory, resident(home))
            run(home, "down")
    first, limit = statistics.median(answers), statistics.median(plain)
    print(f"the libraries alone:                  {limit:6.2f} s (median of {asked.rounds})")
    print(
        f"reddog up to the first answer:        {first:6.2f} s, {first / limit:.1f} times that (below {LONGEST} s)"
    )
    print(f"resident memory of the idle service:  {memory:6.0f} MiB (below {LARGEST})")
    return int(asked.check and (first > LONGEST or memory > LARGEST))


def run(home: Path, command: str) -> str:
    options = ["--detach", "--fabric", "simulated"] if command == "up" else []
    environment = {**os.environ, "HOME": str(home), "REDDOG_PROFILE": str(home / "profile.json")}
    arguments = [sys.executable, "-m", "reddog.cli", command, *options, "--data-dir", str(home / "cloud")]
    done = subprocess.run(
        [*arguments, "--output", "json"], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return done.stdout


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begin


def first_request(summary: dict[str, str]) -> None:
    answer = requests.get(
        f"https://{summary['management_host']}/{summary['subscription_id']}/services/hostedservices",
        headers={"x-ms-version": "2014-10-01"},
        cert=summary["certificate"],
        verify=summary["ca_certificate"],
        timeout=10,
    )
    answer.raise_for_status()


def resident(home: Path) -> float:
    """MiB that the service's process holds in memory."""
    pid = json.loads((home / "cloud" / "running.json").read_text())["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
