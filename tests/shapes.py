"""What answers look like: learned from recorded ones and from the reference of elements, held against others.

A difference is one line of text: the operation, the place in its document, and what is not as it was recorded.
"""

from __future__ import annotations

import base64
import binascii
import json
import lzma
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from lxml import etree

from reddog import wire
from reddog.wire._schema import NAMESPACE

SHARED = Path(os.environ.get("REDDOG_SHARED") or Path(__file__).parents[2] / "shared")
RECORDINGS = SHARED / "transcripts" / "service-management-2015.jsonl.xz"
REFERENCE = SHARED / "reference" / "xml-elements.md"
REFUSAL = "refusal"
OTHER_SERVICES = ("scheduler", "servicebus", "sqldatabase", "website")
ABSENT = f"no recordings at {RECORDINGS}: set REDDOG_SHARED to the folder that has them"
INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
LEAST = 3  # instances from which what they have in common is a rule
Exchange = dict[str, Any]


@cache
def all_recordings() -> list[Exchange]:
    """The recorded exchanges, also those with other services."""
    with lzma.open(RECORDINGS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@cache
def recordings() -> list[Exchange]:
    """The recorded exchanges of this API."""
    return [exchange for exchange in all_recordings() if not exchange["test"].startswith(OTHER_SERVICES)]


DOCUMENTED_HEADERS = {"date", "strict-transport-security"}
"""Headers that the real service sent, as behaviours.md says (section 1); those who recorded it left them out."""


def body_of(exchange: Exchange, which: str = "response_body") -> bytes:
    text = exchange[which] or ""
    return base64.b64decode(text[4:]) if text.startswith("b64:") else text.encode()


def operation_of(exchange: Exchange) -> wire.RestOperation:
    path, _, query = exchange["path"].partition("?")
    body = body_of(exchange, "request_body")
    root = wire.root_name(body) if body and wire.needs_body_root(path) else None
    return wire.route(
        exchange["method"], path, dict(parse_qsl(query, keep_blank_values=True)), root
    ).operation


# -- Values --------------------------------------------------------------------------------------------------------


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text)
    return lambda value: bool(compiled.fullmatch(value))


KINDS: dict[str, Callable[[str], bool]] = {
    "a GUID": _pattern(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "32 lower-case hexadecimal digits": _pattern(r"[0-9a-f]{32}"),
    "40 upper-case hexadecimal digits": _pattern(r"[0-9A-F]{40}"),
    "a time": _pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z"),
    "a time in seconds": _pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "true or false": _pattern("true|false"),
    "a number": _pattern(r"-?\d+(\.\d+)?"),
    "an https URL": _pattern(r"https://\S+"),
    "an IPv4 address": _pattern(r"\d+\.\d+\.\d+\.\d+"),
}


# -- Documents -----------------------------------------------------------------------------------------------------


def _text(node: Any, tag: str) -> str:
    return str(node.findtext(f"{{*}}{tag}") or "")


def _machines(node: Any) -> str:
    roles = node.getroottree().getroot().iterfind(".//{*}RoleType")
    return "VMs" if any(role.text == "PersistentVMRole" for role in roles) else "package"


ANCHORS = {
    **{name: name for name in ("Deployment", "RoleInstance", "Role", "OSImage", "VMImage", "HostedService")},
    **{name: name for name in ("StorageService", "ReservedIP", "AffinityGroup", "DataVirtualHardDisk")},
    **{"PersistentVMRole": "Role", "OSImageDetails": "OSImage", "Label": "Label"},
}
"""Elements that are of one type wherever they stand."""


def _without_endpoints(node: Any) -> str:
    """Said of an instance whose role, in the same deployment, has no endpoints."""
    for role in node.getparent().getparent().iterfind("{*}RoleList/{*}Role"):
        if _text(role, "RoleName") == _text(node, "RoleName"):
            return "" if role.find(".//{*}InputEndpoint") is not None else " without endpoints"
    return ""


STATES: dict[str, Callable[[Any], str]] = {
    "Deployment": lambda node: f"{_text(node, 'Status')} {_machines(node)}",
    "RoleInstance": lambda node: (
        f"{_text(node, 'InstanceStatus')} {_machines(node)}{_without_endpoints(node)}"
    ),
    "Role": _machines,
    "Operation": lambda node: _text(node, "Status"),
    "OSImage": lambda node: _text(node, "Category"),
    "VMImage": lambda node: _text(node, "Category"),
    "ReservedIP": lambda node: f"in use: {_text(node, 'InUse')}",
    "StorageServiceProperties": lambda node: " ".join(
        [_text(node, "AccountType"), _text(node, "Status"), "grouped" * bool(_text(node, "AffinityGroup"))]
    ),
    "HostedServiceProperties": lambda node: "grouped" * bool(_text(node, "AffinityGroup")),
}


@dataclass
class Place:
    """What was seen of one element, by its path in the document, and of that in one state."""

    count: int = 0
    children: Counter[str] = field(default_factory=Counter)  # in how many of them each child was
    before: set[tuple[str, str]] = field(default_factory=set)  # pairs of children in this order
    values: set[str] = field(default_factory=set)
    empty: int = 0
    nil: int = 0
    types: set[str | None] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)

    def add(self, node: Any) -> None:
        self.count += 1
        tags = [etree.QName(child).localname for child in node]
        self.children.update(set(tags))
        self.before.update((a, b) for i, a in enumerate(tags) for b in tags[i + 1 :] if a != b)
        self.types.add(node.get(f"{INSTANCE}type"))
        self.namespaces.add(etree.QName(node).namespace or "")
        if node.get(f"{INSTANCE}nil") == "true":
            self.nil += 1
        elif not tags and node.text:
            self.values.add(node.text)
        elif not tags:
            self.empty += 1

    @property
    def always(self) -> set[str]:
        return {tag for tag, count in self.children.items() if count == self.count}

    @property
    def kinds(self) -> set[str]:
        """What all values are."""
        return {kind for kind, test in KINDS.items() if self.values and all(map(test, self.values))}


def walk(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every element with its path and its state."""
    tag = etree.QName(node).localname
    path = f"{path}/{tag}" if path else tag
    yield path, STATES[tag](node) if tag in STATES else "", node
    for child in node:
        yield from walk(child, path)


def anchored(path: str) -> str:
    """A path from its last element whose type is the same everywhere."""
    tags = path.split("/")
    start = max((place for place, tag in enumerate(tags) if tag in ANCHORS), default=0)
    return "/".join(["*" + ANCHORS.get(tags[start], tags[start]), *tags[start + 1 :]])


def head_of(document: bytes) -> bytes:
    """How a document begins, without its root's name."""
    return re.sub(rb"^<[A-Za-z]+|/?>.*", b"", document[:400], flags=re.DOTALL)


@dataclass
class Shape:
    """What all answers of one operation looked like."""

    operation: str
    statuses: set[int] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    heads: set[bytes] = field(default_factory=set)
    bodies: int = 0
    places: dict[tuple[str, str], Place] = field(default_factory=lambda: defaultdict(Place))
    common: dict[tuple[str, str], Place] = field(default_factory=lambda: defaultdict(Place))  # of all shapes

    def add(self, exchange: Exchange) -> None:
        self.statuses.add(exchange["status"])
        self.headers.append(_headers(exchange))
        document = body_of(exchange)
        if document:
            self.bodies += 1
            self.heads.add(head_of(document))
            for path, state, node in walk(etree.fromstring(document)):
                for place in (path, "*"), (path, state):
                    self.places[place].add(node)
                for place in (anchored(path), "*"), (anchored(path), state):
                    self.common[place].add(node)

    def differences(self, exchange: Exchange) -> Iterator[str]:
        """What an answer has that no recorded one had, and the other way round."""
        if exchange["status"] not in self.statuses:
            yield f"{self.operation}: status {exchange['status']}"
        for what in self._headers(_headers(exchange)):
            yield f"{self.operation}: header {what}"
        document = body_of(exchange)
        if bool(document) and not self.bodies:
            yield f"{self.operation}: has a body"
        elif self.bodies and not document:
            yield f"{self.operation}: has no body"
        elif document:
            if head_of(document) not in self.heads:
                yield f"{self.operation}: the root's declarations"
            for path, state, node in walk(etree.fromstring(document)):
                for what in self._element(path, state, node):
                    yield f"{self.operation}: {path}{f' ({state})' if state else ''} {what}"

    def _headers(self, ours: dict[str, str]) -> Iterator[str]:
        always = set.intersection(*map(set, self.headers))
        ever = set.union(*map(set, self.headers)) | DOCUMENTED_HEADERS
        yield from (f"{name} is missing" for name in sorted(always - set(ours)))
        yield from (f"{name} is there" for name in sorted(set(ours) - ever))
        for name in sorted(set(ours) & ever - DOCUMENTED_HEADERS):
            if ours[name] not in {one.get(name) for one in self.headers}:
                yield f"{name} is {ours[name]}"

    def _element(self, path: str, state: str, node: Any) -> Iterator[str]:
        places = [
            found
            for key in ((path, state), (path, "*"), (anchored(path), state), (anchored(path), "*"))
            if (found := (self.common if key[0].startswith("*") else self.places).get(key))
        ]
        if not places:
            return  # said of its parent
        tags = [etree.QName(child).localname for child in node]
        declared = members_of(path.rsplit("/", maxsplit=1)[-1])
        repeated = {member.tag for member in declared if member.repeated}
        nearest = next((place for place in places if place.count >= LEAST), places[-1])
        yield from (f"lacks {tag}" for tag in sorted(nearest.always - set(tags) - repeated))
        ever = set().union(*(place.children for place in places))
        ever |= {member.tag for member in declared if member.recorded}
        yield from (f"has {tag}" for tag in sorted(set(tags) - ever))
        before = set().union(*(place.before for place in places))
        for i, a in enumerate(tags):
            for b in tags[i + 1 :]:
                if (b, a) in before and (a, b) not in before:
                    yield f"has {a} before {b}"
        yield from _value(places[-1], node, tags, repeated)


def _value(everywhere: Place, node: Any, tags: list[str], repeated: set[str]) -> Iterator[str]:
    if node.get(f"{INSTANCE}type") not in everywhere.types:
        yield f"is of the type {node.get(f'{INSTANCE}type')}"
    if (etree.QName(node).namespace or "") not in everywhere.namespaces:
        yield "is in another namespace"
    if node.get(f"{INSTANCE}nil") == "true":
        if not everywhere.nil:
            yield "is nil"
    elif not tags and not node.text:
        if not everywhere.empty and everywhere.count >= LEAST and not everywhere.always & repeated:
            yield "is nil when empty" if everywhere.nil else "is empty"
    elif not tags:
        yield from (f"is not {kind}" for kind in sorted(everywhere.kinds) if not KINDS[kind](node.text))


def _headers(exchange: Exchange) -> dict[str, str]:
    """Headers without what differs from answer to answer."""
    found = {name.lower(): value for name, value in exchange["response_headers"].items()}
    subscription = exchange["path"].strip("/").split("/")[0]
    if "transfer-encoding" in found:  # of large lists: behaviours.md, section 1
        del found["transfer-encoding"]
        found["content-length"] = ""
    patterns = {
        "content-length": (r"\d*", "a number"),
        "server": (r"1\.0\.[\d.]+ \([\w.-]+\) Microsoft-HTTPAPI/2\.0.*", "build and listener"),
        "x-ms-request-id": (r"[0-9a-f]{32}", "32 digits"),
        "x-ms-servedbyregion": (r"us\w+", "a region"),
        "location": (
            rf"https://[^/]+/subscriptions/{subscription}/(\w+)/[^/]+",
            r"/subscriptions/ID/\1/NAME",
        ),
    }
    for name, (pattern, meaning) in patterns.items():
        if name in found:
            found[name] = re.sub(f"^{pattern}$", meaning, found[name])
    return found


def learn(exchanges: list[Exchange]) -> dict[str, Shape]:
    """The shapes of answers, by operation; the shape of all refusals is ``refusal``."""
    shapes: dict[str, Shape] = {}
    common: dict[tuple[str, str], Place] = defaultdict(Place)
    for exchange in exchanges:
        if exchange["status"] != 501:
            name = name_of(exchange)
            shapes.setdefault(name, Shape(name, common=common)).add(exchange)
    return shapes


def name_of(exchange: Exchange) -> str:
    """The name of the shape that an answer belongs to."""
    return operation_of(exchange).name if exchange["status"] < 300 else REFUSAL


# -- Errors --------------------------------------------------------------------------------------------------------


def refusal_of(exchange: Exchange) -> tuple[str, int, str, str]:
    """The operation, the status, the code, and the message without the names that the request gave."""
    error = wire.decode(wire.OperationError, body_of(exchange))
    message = error.message or ""
    given = exchange["path"].split("?")[0].strip("/").split("/")
    given += re.findall(r">([^<>\s]+)<", exchange["request_body"] or "")
    for name in sorted(set(given), key=len, reverse=True):
        message = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "X", message) if len(name) > 2 else message
    return operation_of(exchange).name, exchange["status"], error.code or "", message


# -- The reference of elements -------------------------------------------------------------------------------------


TYPES = {"ConfigurationSet": "NetworkConfigurationSet"}  # in answers


@dataclass(frozen=True)
class Element:
    """One member of a type in the reference."""

    tag: str
    type: str
    always: bool
    recorded: bool
    repeated: bool
    base64: bool
    values: frozenset[str]


@cache
def reference() -> dict[str, list[Element]]:
    """Types by name, their members in order."""
    types: dict[str, list[Element]] = {}
    current: list[Element] = []
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"### `(\w+)`(.*)", line):
            form = " (request form)" if "(request form)" in heading[2] else ""
            current = types.setdefault(heading[1] + form, [])
            answered = "responses:" in heading[2]
        elif member := re.match(r"\d+\. `([^`]+)`(.*?) — (.*)", line):
            current.append(_member(member[1], member[2], member[3] if answered else "not recorded"))
    return types


@cache
def members_of(tag: str) -> list[Element]:
    """What an element may hold, wherever it stands."""
    types = {member.type for members in reference().values() for member in members if member.tag == tag}
    types = (types - {""}) | {tag}
    return [member for name in sorted(types) for member in reference().get(TYPES.get(name, name), ())]


def _member(tag: str, what: str, presence: str) -> Element:
    target = re.search(r"→ (?:one of )?(\w+)", what)
    values = re.search(r"enum: (.*)", what)
    plain = re.sub(r"\([^)]*\)", "", values[1]) if values else ""
    return Element(
        tag,
        target[1] if target else "",
        presence.startswith("always"),
        not presence.startswith("not recorded"),
        "(repeated)" in what,
        " base64 text" in what,
        frozenset(re.findall(r"[\w.]+", plain)),
    )


def against_reference(operation: str, document: bytes) -> Iterator[str]:
    """What an answer has that the reference does not say so, in every type that it has; the network configuration has
    a schema of its own."""
    root = etree.fromstring(document)
    if etree.QName(root).namespace == NAMESPACE:
        yield from _against(operation, etree.QName(root).localname, etree.QName(root).localname, root)


def _against(operation: str, path: str, type_name: str, node: Any) -> Iterator[str]:
    declared = reference().get(TYPES.get(type_name, type_name))
    if declared is None:
        if len(node):
            yield f"{operation}: {path} is a type that the reference does not know"
        return
    known = {member.tag: (place, member) for place, member in enumerate(declared)}
    tags = [etree.QName(child).localname for child in node]
    places = [known[tag][0] for tag in tags if tag in known]
    if places != sorted(places):
        yield f"{operation}: {path} has {tags}: another order than the reference"
    yield from (f"{operation}: {path} has {tag}, which the reference lacks" for tag in set(tags) - set(known))
    if tags:
        missing = {member.tag for member in declared if member.always} - set(tags)
        yield from (f"{operation}: {path} lacks {tag}, which is always there" for tag in missing)
    for child in node:
        tag = etree.QName(child).localname
        if tag in known:
            yield from _member_against(operation, f"{path}/{tag}", known[tag][1], child)


def _member_against(operation: str, path: str, member: Element, node: Any) -> Iterator[str]:
    if member.type:
        yield from _against(operation, path, member.type, node)
    elif member.values and node.text and node.text not in member.values:
        yield f"{operation}: {path} is {node.text}, which the reference lacks"
    elif member.base64 and node.text and not _is_base64(node.text):
        yield f"{operation}: {path} is not base64"
