"""Recorded answers and requests: decoded as the published package does, sent as it did."""

from __future__ import annotations

import inspect
import json
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import azure.servicemanagement as package
from reddog import wire

HERE = Path(__file__).parent
DIFFERENCES: dict[str, str] = json.loads((HERE / "differences.json").read_text())["answers"]
SHARED = Path(os.environ.get("REDDOG_SHARED") or HERE.parents[2] / "shared")
TRANSCRIPTS = SHARED / "transcripts" / "service-management-2015.jsonl.xz"
OTHER_CLIENTS = {
    "ServiceBusManagementService": [
        ("get_regions", r"GET .*/serviceBus/Regions/?$"),
        ("list_namespaces", r"GET .*/serviceBus/Namespaces/?$"),
        ("get_namespace", r"GET .*/serviceBus/Namespaces/[^/]+$"),
        ("check_namespace_availability", r"GET .*/CheckNamespaceAvailability/"),
        ("list_queues", r"GET .*/Queues$"),
        ("list_topics", r"GET .*/Topics$"),
        ("list_notification_hubs", r"GET .*/NotificationHubs$"),
        ("list_relays", r"GET .*/Relays$"),
        ("get_supported_metrics_queue", r"GET .*/Metrics$"),
        ("get_metrics_rollups_queue", r"GET .*/Rollups$"),
        ("get_metrics_data_queue", r"GET .*/Values$"),
    ],
    "WebsiteManagementService": [
        ("list_webspaces", r"GET .*/webspaces/?$"),
        ("get_webspace", r"GET .*/webspaces/+[^/]+$"),
        ("list_sites", r"GET .*/webspaces/+[^/]+/sites/?$"),
        ("create_site", r"POST .*/webspaces/+[^/]+/sites/?$"),
        ("get_site", r"GET .*/sites/[^/]+$"),
        ("get_historical_usage_metrics", r"GET .*/metrics/$"),
        ("get_metric_definitions", r"GET .*/metricdefinitions/$"),
        ("get_publish_profile", r"GET .*/publishxml/$"),
        ("get_publish_profile_xml", r"GET .*/publishxml/$"),
    ],
    "SqlDatabaseManagementService": [
        ("create_server", r"POST .*/sqlservers/servers$"),
        ("list_servers", r"GET .*/sqlservers/servers$"),
        ("list_quotas", r"GET .*/serverquotas$"),
        ("get_server_event_logs", r"GET .*/events$"),
        ("list_firewall_rules", r"GET .*/firewallrules$"),
        ("list_service_level_objectives", r"GET .*/serviceobjectives$"),
        ("list_databases", r"GET .*/databases$"),
    ],
    "SchedulerManagementService": [
        ("list_cloud_services", r"GET .*/cloudservices$"),
        ("get_cloud_service", r"GET .*/cloudservices/[^/]+$"),
        ("check_job_collection_name", r"POST .*/jobCollections$"),
        ("get_job_collection", r"GET .*/jobCollections/[^/]+$"),
        ("get_job", r"GET .*/jobs/[^/]+$"),
        ("get_all_jobs", r"GET .*/jobs/$"),
    ],
}


def matcher(operation: wire.RestOperation) -> re.Pattern[str]:
    path = re.split(r"\[?\?", operation.uri)[0]
    pattern = "".join(
        "[^/]+?" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)
    )
    return re.compile(pattern + "$", re.IGNORECASE)


DECODING = [
    (matcher(operation), operation)
    for operation in sorted(wire.OPERATIONS.values(), key=lambda op: op.uri.count("{"))
    if operation.python_method
]


def exchanges() -> list[dict[str, Any]]:
    if not TRANSCRIPTS.exists():
        pytest.skip(f"no recordings at {TRANSCRIPTS}: set REDDOG_SHARED to the folder that has them")
    with lzma.open(TRANSCRIPTS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def methods_of(exchange: dict[str, Any]) -> Iterator[tuple[str, str]]:
    path = exchange["path"].split("?")[0]
    for client, patterns in OTHER_CLIENTS.items():
        for name, pattern in patterns:
            if re.match(pattern, f"{exchange['method']} {path}"):
                yield client, name
    for pattern, operation in DECODING:
        if operation.method == exchange["method"] and pattern.match(path):
            for name in re.split(r" / ", operation.python_method):
                yield "ServiceManagementService", name
            return


def arguments(client: str, name: str) -> list[Any]:
    """Something for every parameter that has to be given; a list where a name in the plural asks for it."""
    parameters = list(inspect.signature(getattr(getattr(package, client), name)).parameters.values())[1:]
    return [["x"] if p.name in ("host_names",) else "x" for p in parameters if p.default is p.empty]


@pytest.fixture(scope="module")
def decoded(legacy_python: str) -> list[tuple[str, Any, Any]]:
    """(method and answer's number, read by the published package, by ours), each answer once a method."""
    calls: dict[tuple[str, str, int, str], list[Any]] = {}
    for exchange in exchanges():
        status, body = exchange["status"], exchange["response_body"] or ""
        for client, name in methods_of(exchange):
            args = None if client == "ServiceManagementService" else arguments(client, name)
            calls[client, name, status, body] = [client, name, args, status, body]
    text = json.dumps(list(calls.values()))
    results = []
    for python in (legacy_python, sys.executable):
        command = [python, str(HERE / "driver.py"), "decode"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        results.append(json.loads(done.stdout))
    labels = [f"{name} {status} {number}" for number, (_, name, status, _) in enumerate(calls)]
    return list(zip(labels, *results, strict=True))


def compare(theirs: Any, ours: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Every place where the two objects differ; attributes that only ours has do not count."""
    if isinstance(theirs, dict) and "attributes" in theirs:
        if (
            theirs["class"] == "_xml_attribute"
        ):  # the published package's placeholder where the XML had nothing
            if ours is not None:
                yield where, None, ours
            return
        if not isinstance(ours, dict) or ours.get("class") != theirs["class"]:
            yield where, theirs, ours
            return
        for name, value in theirs["attributes"].items():
            place = f"{theirs['class']}.{name}"
            if name not in ours["attributes"]:
                yield place, value, "(no such attribute)"
            else:
                yield from compare(value, ours["attributes"][name], place)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for old, new in zip(theirs, ours, strict=True):
            yield from compare(old, new, where)
    elif type(theirs) is not type(ours) or theirs != ours:
        yield where, theirs, ours


def test_recorded_answers_decode_to_equal_objects(decoded):
    different: dict[str, tuple[str, Any, Any]] = {}
    for label, theirs, ours in decoded:
        for place, old, new in compare(theirs, ours, label.split()[0]):
            different.setdefault(place, (label, old, new))
    unexplained = {place: what for place, what in different.items() if place not in DIFFERENCES}
    assert unexplained == {}
    assert set(DIFFERENCES) <= set(different), "these no longer differ: take them out of the table"


def test_the_recordings_cover_most_answers_of_the_main_client(decoded):
    seen = {label.split()[0] for label, _, _ in decoded}
    answering = {name for _, op in DECODING for name in op.python_method.split(" / ")}
    assert len(seen & answering) >= 65


def test_recorded_refusals_raise_the_same_errors(decoded):
    refused = [(label, theirs, ours) for label, theirs, ours in decoded if int(label.split()[1]) >= 400]
    assert len(refused) >= 15
    for label, theirs, ours in refused:
        assert set(theirs) == {"error", "text"}, label
        assert ours == theirs, label
