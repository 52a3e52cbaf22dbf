"""What the guest of a role instance is told: a few small files (see images/guest/role)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reddog.fabric.provisioning import GuestCertificate

ROLE_ROOT = "/role"
_TOP = "reddog-role"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_PARTS = re.compile(
    r"/CurrentInstance/"
    r"(?:ConfigurationSettings/ConfigurationSetting\[@name='(?P<setting>[^']*)'\]/@value"
    r"|LocalResources/LocalResource\[@name='(?P<local>[^']*)'\]/@(?P<local_part>path|sizeInMB)"
    r"|Endpoints/Endpoint\[@name='(?P<endpoint>[^']*)'\]/@(?P<endpoint_part>address|port|publicPort|protocol)"
    r"|@(?P<own>id|roleName|faultDomain|updateDomain))"
)


@dataclass(frozen=True)
class Instance:
    """Who an instance is: names, domains, its address in the guest, and its endpoints' public ports."""

    name: str
    deployment_id: str
    upgrade_domain: int
    fault_domain: int
    address: str
    public_ports: Mapping[str, int]


def settings_files(
    plan: Mapping[str, Any], instance: Instance, certificates: Iterable[GuestCertificate]
) -> dict[str, str]:
    """The files, by path.

    plan: the plan of its role. certificates: those that it names.
    Settings are environment variables of their names, with `_` for what a variable's
    name cannot have. Values of RoleInstanceValue are looked up here, so that the guest need not.
    """
    storage = [f"{one['name']} {int(one['clean_on_recycle'])}" for one in plan["local_storage"]]
    files = {
        "role": _assignments({"role": plan["name"], "instance": instance.name, "content": plan["package"]}),
        "environment": _exports(_common(plan, instance)),
        "storage": "".join(f"{line}\n" for line in storage),
        "limited-keys": "".join(
            f"{one['thumbprint']}\n" for one in plan.get("certificates", ()) if one["limited"]
        ),
        **_program(
            "program", plan["command_line"] or "", plan["elevated"], plan["environment"], plan, instance
        ),
    }
    for one in certificates:
        files[f"certificates/{one.thumbprint}.crt"] = one.certificate
        if one.private_key is not None:
            files[f"certificates/{one.thumbprint}.prv"] = one.private_key
    for number, task in enumerate(plan["startup"]):
        name = f"startup/{number:03}"
        line, environment = task["command_line"], task["environment"]
        files |= _program(name, line, task["elevated"], environment, plan, instance)
        files[f"{name}/type"] = task["type"]
    return {f"{_TOP}/{name}": text for name, text in files.items()}


def _common(plan: Mapping[str, Any], instance: Instance) -> dict[str, str]:
    settings = {_NOT_IN_NAMES.sub("_", name): value for name, value in plan["settings"].items()}
    return {
        **{name if not name[:1].isdigit() else f"_{name}": value for name, value in settings.items()},
        "RoleRoot": ROLE_ROOT,
        "RoleName": plan["name"],
        "RoleInstanceID": instance.name,
        "RoleDeploymentID": instance.deployment_id,
    }


def _program(
    place: str,
    command_line: str,
    elevated: bool,
    environment: Iterable[Mapping[str, Any]],
    plan: Mapping[str, Any],
    instance: Instance,
) -> dict[str, str]:
    own = {
        one["name"]: one["value"] if one["xpath"] is None else instance_value(one["xpath"], plan, instance)
        for one in environment
    }
    return {
        f"{place}/command": command_line,
        f"{place}/user": "root" if elevated else "role",
        f"{place}/environment": _exports(own),
    }


def instance_value(xpath: str, plan: Mapping[str, Any], instance: Instance) -> str:
    """The value of an instance that an XPath means (RoleInstanceValue); empty if there is none.

    The expressions are those that Azure documents for environment variables.
    """
    path = xpath.strip().removeprefix("/RoleEnvironment")
    found = _PARTS.fullmatch(path)
    if found is None:
        return {"/Deployment/@id": instance.deployment_id, "/Deployment/@emulated": "false"}.get(path, "")
    if found["setting"] is not None:
        return str(plan["settings"].get(found["setting"], ""))
    if found["local"] is not None:
        return _local(plan, found["local"], found["local_part"])
    if found["endpoint"] is not None:
        return _endpoint(plan, instance, found["endpoint"], found["endpoint_part"])
    own = {
        "id": instance.name,
        "roleName": plan["name"],
        "faultDomain": instance.fault_domain,
        "updateDomain": instance.upgrade_domain,
    }
    return str(own[found["own"]])


def _local(plan: Mapping[str, Any], name: str, part: str) -> str:
    for one in plan["local_storage"]:
        if one["name"] == name:
            return f"{ROLE_ROOT}/local/{name}" if part == "path" else str(one["size_mb"])
    return ""


def _endpoint(plan: Mapping[str, Any], instance: Instance, name: str, part: str) -> str:
    for one in plan["endpoints"]:
        if one["name"] == name:
            values = {
                "address": instance.address,
                "port": one["local_port"],
                "protocol": one["shown_protocol"],
                "publicPort": instance.public_ports.get(name, ""),
            }
            return str(values[part])
    return ""


def _assignments(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _exports(values: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
