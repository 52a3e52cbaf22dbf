"""The public interface against facts about the published package (legacy-0.20.8.json)."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import azure.servicemanagement as package
from reddog import wire

MAIN = "ServiceManagementService"
HERE = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((HERE / "legacy-0.20.8.json").read_text())
DIFFERENCES: dict[str, str] = json.loads((HERE / "differences.json").read_text())["surface"]


def _introspect():
    spec = importlib.util.spec_from_file_location("introspect", HERE / "introspect.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OURS: dict[str, Any] = _introspect().describe(package)


def accepts(ours: list[list[Any]], theirs: list[list[Any]]) -> bool:
    """Whether every call that fits `theirs` fits `ours`: theirs is a prefix, the rest is optional."""
    return ours[: len(theirs)] == theirs and all(has_default for _, has_default, _ in ours[len(theirs) :])


def test_every_exported_name_is_exported():
    missing = set(FACTS["exported"]) - set(OURS["exported"]) - set(DIFFERENCES)
    assert missing == set()


def test_nothing_else_is_exported_by_a_star():
    extra = set(OURS["exported"]) - set(FACTS["exported"])
    assert extra == set()


def test_the_version_and_constants_are_the_same():
    assert OURS["version"] == FACTS["version"]
    assert OURS["constants"] == FACTS["constants"]


@pytest.mark.parametrize("name", FACTS["functions"])
def test_a_function_has_the_same_parameters(name):
    assert OURS["functions"][name] == FACTS["functions"][name]


@pytest.mark.parametrize("name", sorted(set(FACTS["models"]) - set(DIFFERENCES)))
def test_a_model_has_the_same_constructor_attributes_and_protocols(name):
    ours, theirs = OURS["models"][name], FACTS["models"][name]
    assert accepts(ours["signature"], theirs["signature"]), ours["signature"]
    for attribute, value in theirs.get("attributes", {}).items():
        if f"{name}.{attribute}" in DIFFERENCES:
            continue
        assert attribute in ours["attributes"]
        assert (attribute, ours["attributes"][attribute]) == (attribute, value)
    assert set(theirs.get("protocols", ())) <= set(ours.get("protocols", ()))


@pytest.mark.parametrize("name", sorted(set(FACTS["clients"]) - set(DIFFERENCES)))
def test_a_client_has_the_same_constructor(name):
    assert OURS["clients"][name]["signature"] == FACTS["clients"][name]["signature"]


@pytest.mark.parametrize(
    ("client", "method"),
    [
        (client, method)
        for client, facts in FACTS["clients"].items()
        if client not in DIFFERENCES
        for method in facts["methods"]
    ],
)
def test_a_method_has_the_same_parameters_and_defaults(client, method):
    assert OURS["clients"][client]["methods"].get(method) == FACTS["clients"][client]["methods"][method]


@pytest.mark.parametrize("client", sorted(set(FACTS["clients"]) - set(DIFFERENCES)))
def test_a_client_has_no_other_public_method(client):
    assert set(OURS["clients"][client]["methods"]) <= set(FACTS["clients"][client]["methods"])


def test_every_difference_is_still_there():
    """The table can only shrink: an entry that no longer differs has to go."""
    for entry in DIFFERENCES:
        name, _, attribute = entry.partition(".")
        if attribute:
            ours = OURS["models"].get(name, {}).get("attributes", {}).get(attribute, "missing")
            assert ours != FACTS["models"][name]["attributes"][attribute], entry
        else:
            assert OURS["models"].get(name) != FACTS["models"].get(name) or name not in OURS["exported"], (
                entry
            )


def test_models_can_be_imported_from_where_they_were():
    from azure.servicemanagement import (
        models,
        publishsettings,
        servicemanagementclient,
        servicemanagementservice,
    )
    from azure.servicemanagement._http import HTTPError, HTTPRequest, HTTPResponse

    assert models.LinuxConfigurationSet is package.LinuxConfigurationSet
    assert servicemanagementservice.ServiceManagementService is package.ServiceManagementService
    assert (
        publishsettings.get_certificate_from_publish_settings is package.get_certificate_from_publish_settings
    )
    assert servicemanagementclient.parse_response_for_async_op is package.parse_response_for_async_op
    assert {HTTPError.__name__, HTTPRequest.__name__, HTTPResponse.__name__} == {
        "HTTPError",
        "HTTPRequest",
        "HTTPResponse",
    }


METHODS = [
    (client, name) for client in sorted(OURS["clients"]) for name in OURS["clients"][client]["methods"]
]


def documentation(client: str, name: str) -> str:
    """A method's own docstring, on one line."""
    return " ".join((getattr(getattr(package, client), name).__doc__ or "").split())


@pytest.mark.parametrize(("client", "name"), METHODS)
def test_a_method_says_what_it_does_and_what_its_parameters_are(client, name):
    method = getattr(package, client).__dict__.get(name, getattr(getattr(package, client), name))
    text = " ".join((method.__doc__ or "").split())
    assert text, "no docstring"
    if isinstance(method, property):
        return
    parameters = [one for one in inspect.signature(method).parameters if one != "self"]
    unsaid = [one for one in parameters if not re.search(rf"\b{one}\b", text)]
    assert unsaid == [] or re.search(r"(as in|those of|see) `\w+`", text), unsaid


@pytest.mark.parametrize("name", sorted(name for client, name in METHODS if client == MAIN))
def test_a_method_of_the_main_client_names_its_operation_and_its_errors(name):
    text = documentation(MAIN, name)
    operations = [row for row in wire.OPERATIONS.values() if name in row.python_method.split(" / ")]
    if not operations:
        return
    sources = [re.sub(r" (by (name|slot)|\(.*\))$", "", row.name) for row in operations]
    assert any(source in text for source in sources), sources
    required = [one for one in FACTS["clients"][MAIN]["methods"][name] if not one[1]]
    assert "Raises" in text or "as in `" in text or "those of `" in text or not required


@pytest.mark.parametrize("client", sorted(OURS["clients"]))
def test_a_client_says_what_its_methods_raise(client):
    assert "AzureHttpError" in getattr(package, client).__doc__


def test_the_facts_are_the_published_packages(legacy_python):
    """legacy-0.20.8.json is what introspect.py says of it."""
    command = [legacy_python, str(HERE / "introspect.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout) == FACTS
