"""Extensions of virtual machines: known by name and kept with roles, but never installed (behaviours.md, section 12).

An extension is installed by an agent in the guest, at the word of the platform, from packages that its publisher keeps
there. No guest talks so to this cloud. Old programs go on working: the extensions of 2015 are listed, references to
them are checked, kept and shown, and their status says what has become of them.
"""

from __future__ import annotations

import base64
import binascii
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from reddog.services._call import Call, Handler, Reply
from reddog.wire import (
    FormattedMessage,
    ResourceExtension,
    ResourceExtensionParameterValue,
    ResourceExtensionParameterValues,
    ResourceExtensionReference,
    ResourceExtensionReferences,
    ResourceExtensions,
    ResourceExtensionStatus,
    ResourceExtensionStatusList,
    errors,
    only,
)

DESCRIPTION = (
    "Known by name: roles keep and show references to it. It is not installed, for the guests of this cloud have no "
    "agent that would do that."
)
STATES = {"": "Enable", "enable": "Enable", "disable": "Disable", "uninstall": "Uninstall"}
_KINDS = {"public": "Public", "private": "Private"}
_VERSION = re.compile(r"\d+\.(\*|\d+(\.\d+){0,2})")
_Key = tuple[str, str]


@dataclass(frozen=True)
class Extension:
    """An extension of the catalogue; `versions` oldest first, `os` empty where it is not told."""

    publisher: str
    name: str
    versions: tuple[str, ...]
    label: str
    os: str
    is_json: bool

    @property
    def newest(self) -> str:
        """The newest version, as lists tell it: major and minor."""
        return ".".join(self.versions[-1].split(".")[:2])


class ResourceExtensionsService:
    """List extensions and their versions."""

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Resource Extensions": self.list,
            "List Resource Extension Versions": self.list_versions,
        }

    def list(self, call: Call) -> Reply:
        """List Resource Extensions, each with its newest version."""
        return Reply(
            ResourceExtensions([_shown(one, one.newest) for one in _catalogue().values()]), lasting=True
        )

    def list_versions(self, call: Call) -> Reply:
        """List Resource Extension Versions that are known. ResourceNotFound: there is no such extension."""
        publisher, name = call.params["publisher"], call.params["extension"]
        found = find(publisher, name)
        if found is None:
            raise errors.EXTENSION_NOT_FOUND(publisher=publisher, name=name)
        return Reply(ResourceExtensions([_shown(found, version) for version in found.versions]), lasting=True)


def find(publisher: str, name: str) -> Extension | None:
    """An extension of the catalogue."""
    return _catalogue().get((publisher.lower(), name.lower()))


def goal_of(role: str, references: Sequence[Any], provision_guest_agent: bool | None) -> list[dict[str, Any]]:
    """What a role's goal keeps of its references to extensions. Values of private parameters are not kept.

    :raises ServiceError: 400; an extension, version or state does not exist, is named twice, or the role does without
        the guest agent.
    """
    if references and provision_guest_agent is False:
        raise errors.EXTENSION_WITHOUT_AGENT(role=role)
    made = [_reference(one) for one in references]
    for part in ("reference", "handler"):
        names = [one[part].lower() for one in made]
        for name in names:
            if names.count(name) > 1:
                raise errors.EXTENSION_TWICE(role=role, name=name)
    return made


def shown(references: Sequence[Mapping[str, Any]]) -> ResourceExtensionReferences | None:
    """A role's references as the API tells them: without what is private."""
    return ResourceExtensionReferences([_shown_reference(one) for one in references]) if references else None


def statuses(role: str, references: Sequence[Mapping[str, Any]]) -> ResourceExtensionStatusList | None:
    """What has become of a role's extensions: nothing."""
    text = f"The extension has not been installed: no VM agent of the role {role} reports to this cloud."
    message = only(FormattedMessage, language="en-US", message=text)
    found = [
        only(
            ResourceExtensionStatus,
            handler_name=one["handler"],
            version=one["installs"],
            status="NotReady",
            formatted_message=message,
        )
        for one in references
        if one["state"] != "Uninstall"
    ]
    return ResourceExtensionStatusList(found) if found else None


@cache
def _catalogue() -> Mapping[_Key, Extension]:
    file = resources.files("reddog.services").joinpath("_data/resource_extensions.tsv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
    return {
        (row["publisher"].lower(), row["name"].lower()): Extension(
            row["publisher"],
            row["name"],
            tuple(row["versions"].split()),
            row["label"],
            row["os"],
            row["json"] == "1",
        )
        for row in rows
    }


def _shown(extension: Extension, version: str) -> ResourceExtension:
    return only(
        ResourceExtension,
        publisher=extension.publisher,
        name=extension.name,
        version=version,
        label=extension.label,
        description=DESCRIPTION,
        replication_completed=False,
        is_json_extension=extension.is_json or None,
        supported_os=extension.os or None,
    )


# -- References of roles -----------------------------------------------------------------------------------


def _reference(given: Any) -> dict[str, Any]:
    publisher, name = given.publisher or "", given.name or ""
    extension = find(publisher, name)
    if extension is None:
        raise errors.UNKNOWN_EXTENSION(publisher=publisher, name=name)
    state = STATES.get((given.state or "").lower())
    if state is None:
        raise errors.INVALID_ELEMENT(element="State", expected="Enable, Disable or Uninstall")
    version = given.version or "*"
    return {
        "reference": given.reference_name,
        "publisher": extension.publisher,
        "name": extension.name,
        "handler": f"{extension.publisher}.{extension.name}",
        "version": version,
        "installs": _installed(extension, version),
        "state": state,
        "parameters": list(_public(given.resource_extension_parameter_values or ())),
    }


def _installed(extension: Extension, version: str) -> str:
    """The version that a reference means: `1.*` is the newest of the first major version.

    The catalogue has the versions of one day; those before are not listed, and may be named.
    """
    if version == "*":
        return extension.versions[-1]
    wanted = version.removesuffix(".*")
    if (
        not _VERSION.fullmatch(version)
        or _numbers(wanted) > _numbers(extension.versions[-1])[: wanted.count(".") + 1]
    ):
        name = f"{extension.publisher}.{extension.name}"
        raise errors.UNKNOWN_EXTENSION_VERSION(name=name, version=version, newest=extension.versions[-1])
    if version == wanted:
        return version
    return next(
        (known for known in reversed(extension.versions) if _numbers(known)[:1] == _numbers(wanted)), version
    )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")] if re.fullmatch(r"[\d.]*\d", version) else []


def _public(given: Sequence[Any]) -> Iterator[dict[str, str]]:
    for one in given:
        kind = _KINDS.get((one.type or "").lower())
        if kind is None:
            raise errors.INVALID_ELEMENT(element="Type", expected="Public or Private")
        if not _is_base64(one.value or ""):
            raise errors.INVALID_ELEMENT(element="Value", expected="base64 text")
        if kind == "Public":
            yield {"key": one.key or "", "value": one.value or ""}


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _shown_reference(one: Mapping[str, Any]) -> ResourceExtensionReference:
    values = [only(ResourceExtensionParameterValue, **value, type="Public") for value in one["parameters"]]
    return only(
        ResourceExtensionReference,
        reference_name=one["reference"],
        publisher=one["publisher"],
        name=one["name"],
        version=one["version"],
        resource_extension_parameter_values=ResourceExtensionParameterValues(values) if values else None,
        state=one["state"],
    )
