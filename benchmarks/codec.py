"""How fast every wire type is read and written, beside the published legacy client.

Each type is filled from its declaration, with the elements that both know. Decoding is compared where the legacy
client has a model of the same name, encoding where it has a function that writes the same document. `lxml alone` is
what parsing a document takes without making objects of our types: the quickest XML parser at hand. All times are of the
processor, so that what else runs here counts little. Decoding is measured when a type has its own reader, which it gets
after some answers; before, it takes two to three times as long.

The legacy client writes by joining strings, without escaping: characters like & make its documents invalid. There is
little to gain on that: the last line tells how long Python takes to call a function that does nothing.

    python benchmarks/codec.py [--check]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decode import legacy_python
from lxml import etree

from reddog import wire
from reddog.wire._scan import WORTHWHILE
from reddog.wire._schema import Member, members, wire_type

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "tests" / "sdk" / "legacy-0.20.8.json").read_text(encoding="utf-8")
)["models"]
LEAST_MEDIAN = 25.0  # of the decoding ratios; the smallest is told, too
TARGET = 20.0
DEPTH = 3  # of nested types in samples
BUDGET = 0.004  # seconds for a round
ROUNDS = 5
TURNS = 6  # of both, one after the other: other work on the machine comes and goes
SAMPLES: dict[str, Any] = {
    "text": "West US 2015",
    "number": "42",
    "integer": 42,
    "boolean": True,
    "encoded": "a label",
    "data": "YWJj",
    "names": ["one", "two"],
    "strings": ["one", "two"],
    "pairs": {"one": "1", "two": "2"},
}
SETS = {
    "LinuxConfigurationSet": "LinuxProvisioningConfiguration",
    "WindowsConfigurationSet": "WindowsProvisioningConfiguration",
    "ConfigurationSet": "NetworkConfiguration",
}
SDK_TESTS = Path(__file__).parents[1] / "tests" / "sdk"  # they call every method of the legacy client
LEGACY_SCRIPT = """
import json, sys, time, timeit, warnings
warnings.simplefilter("ignore")
budget, rounds, documents, tests = json.load(sys.stdin)
sys.path.insert(0, tests)
import driver
import azure.servicemanagement as package
from azure.servicemanagement._serialization import _MinidomXmlToObject, _XmlSerializer
def best(work):
    count = max(2, int(budget / max(1e-6, timeit.timeit(work, number=1))))
    return min(timeit.repeat(work, number=count, repeat=rounds, timer=time.process_time)) / count
class Answer: pass
read, calls, depth = {}, {}, 0
for name, document in documents.items():
    model = getattr(package, name, None)
    answer = Answer()
    answer.body = document.encode()
    if model is not None:
        try:
            read[name] = best(lambda: _MinidomXmlToObject.parse_response(answer, model))
        except (AttributeError, TypeError, ValueError):
            pass  # a model that is only sent
def watched(name, write):
    def call(*args, **kwargs):
        global depth
        depth += 1
        text = write(*args, **kwargs)
        depth -= 1
        if depth == 0 and len(text) > len(calls.get(name, ("",))[0]):
            calls[name] = text, write, args, kwargs
        return text
    return staticmethod(call)
writers = {name: getattr(_XmlSerializer, name) for name in dir(_XmlSerializer) if name.endswith("_to_xml")}
for name, write in writers.items():
    setattr(_XmlSerializer, name, watched(name, write))
driver.send_all(package)
for name, write in writers.items():
    setattr(_XmlSerializer, name, staticmethod(write))
written = [[text, best(lambda: write(*args, **kwargs))] for text, write, args, kwargs in calls.values()]
json.dump([read, written], sys.stdout)
"""


def filled(cls: type[Any], depth: int = 0) -> Any:
    """An object of a wire type with all its elements."""
    known = FACTS.get(cls.__name__, {}).get("attributes", {})
    both = [(name, member) for name, member in members(cls) if name in known or not known]
    values = {name: _value(member, depth) for name, member in both}
    if cls.__name__ in SETS:
        values["configuration_set_type"] = SETS[cls.__name__]
    return wire.only(cls, **values)


def _value(member: Member, depth: int) -> Any:
    if member.kind in SAMPLES:
        return SAMPLES[member.kind]
    if depth >= DEPTH:
        return None
    made = filled(wire_type(member.type), depth + 1)
    return made if member.kind == "element" else [made, made]


def best(work: Callable[[], object]) -> float:
    """Seconds of one call, in the fastest of several rounds."""
    count = max(2, int(BUDGET / max(1e-6, timeit.timeit(work, number=1))))
    return min(timeit.repeat(work, number=count, repeat=ROUNDS, timer=time.process_time)) / count


Times = dict[str, float]  # seconds, by what is done


def fastest(turns: list[Times]) -> Times:
    """The least of each."""
    return {name: min(turn[name] for turn in turns) for name in turns[0]}


def legacy(documents: dict[str, str]) -> tuple[dict[str, float], list[tuple[bytes, float]]]:
    """Seconds of the legacy client's readers by type, and of its writers with what each of them writes."""
    python = legacy_python()
    if python is None:
        return {}, []
    given = json.dumps([BUDGET, ROUNDS, documents, str(SDK_TESTS)])
    command = [python, "-W", "ignore", "-c", LEGACY_SCRIPT]
    done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=600, text=True)
    read, written = json.loads(done.stdout)
    return read, [(text.encode(), seconds) for text, seconds in written]


def main() -> int:
    """Print the table; 1 when `--check` is given and types got slower than the limits."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when the median falls under its limit")
    options = parser.parse_args()
    types = [
        value
        for name in sorted(wire.types.__all__)
        if isinstance(value := getattr(wire, name), type) and members(value)
    ]
    samples = {cls: filled(cls) for cls in types}
    documents = {  # with the roots that the legacy client looks for
        cls.__name__: wire.encode(made, None if issubclass(cls, wire.Scalar) else cls.__name__).decode()
        for cls, made in samples.items()
    }
    for cls, made in samples.items():
        _prepare(cls, wire.encode(made))
    turns = [
        (legacy(documents), {cls: _measured(cls, made) for cls, made in samples.items()})
        for _ in range(TURNS)
    ]
    read = fastest([read for (read, _), _ in turns])
    written = [
        (given[0][0], min(seconds for _, seconds in given))
        for given in zip(*(w for (_, w), _ in turns), strict=True)
    ]
    print(f"{'type':<36}{'bytes':>7}{'decode':>10}{'x legacy':>9}{'lxml alone':>11}{'encode':>10}")
    ours = {cls: fastest([measured[cls] for _, measured in turns]) for cls in samples}
    known = sorted(filter(None, [_line(cls, made, ours[cls], read) for cls, made in samples.items()]))
    if not known:
        print("nothing to compare with: the legacy client cannot be installed here", file=sys.stderr)
        return int(options.check)
    median = statistics.median(known)
    enough = sum(ratio >= TARGET for ratio in known)
    print(
        f"decoding, {len(known)} types that both have: {known[0]:.1f} to {known[-1]:.0f} x, median {median:.1f} x"
    )
    print(f"{enough} reach {TARGET:.0f} x; where they do not, compare with lxml alone\n")
    print(f"{'document that the legacy client writes':<43}{'legacy':>10}{'encode':>10}{'x legacy':>9}")
    encoded = sorted(filter(None, [_written(document, seconds) for document, seconds in sorted(written)]))
    quickest = min(seconds for _, seconds in written)
    print(
        f"encoding, {len(encoded)} documents that both write: {encoded[0]:.1f} to {encoded[-1]:.1f} x, "
        f"median {statistics.median(encoded):.1f} x; a function that does nothing takes "
        f"{best(lambda: None) * 1e6:.2f}us, the quickest of the legacy ones {quickest * 1e6:.2f}us"
    )
    return int(options.check and median < LEAST_MEDIAN)


def _prepare(cls: type[Any], document: bytes) -> None:
    """Have a type's own reader made."""
    for _ in range(WORTHWHILE // len(document) + 1):
        wire.decode(cls, document)


def _measured(cls: type[Any], made: Any) -> Times:
    document = wire.encode(made)
    return {
        "decode": best(lambda: wire.decode(cls, document)),
        "bare": best(lambda: etree.fromstring(document)),
        "encode": best(lambda: wire.encode(made)),
    }


def _line(cls: type[Any], made: Any, ours: Times, read: Times) -> float:
    """Print a type's line; returns how many times faster it is decoded, or 0.0."""
    name, document = cls.__name__, wire.encode(made)
    ratio = read[name] / ours["decode"] if name in read else 0.0
    ratio_text = f"{ratio:9.1f}" if ratio else f"{'':9}"
    times = (
        f"{ours['decode'] * 1e6:8.1f}us{ratio_text}{ours['bare'] * 1e6:9.1f}us{ours['encode'] * 1e6:8.1f}us"
    )
    print(f"{name:<36}{len(document):>7}{times}")
    return ratio


def _written(document: bytes, seconds: float) -> float:
    """Print the line of a document that the legacy client writes; returns how many times faster we do, or 0.0."""
    root = wire.root_name(document)
    types = {row.request for row in wire.OPERATIONS.values() if row.request_root == root and row.request}
    if not types:
        return 0.0  # another service's
    value = wire.decode(types.pop(), document, strict=True)
    encoding = best(lambda: wire.encode(value))
    ratio = seconds / encoding
    print(f"{root:<36}{len(document):>7}{seconds * 1e6:8.1f}us{encoding * 1e6:8.1f}us{ratio:9.1f}")
    return ratio


if __name__ == "__main__":
    sys.exit(main())
