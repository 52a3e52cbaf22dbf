"""The service definition (.csdef): which roles a service has, and what each of them needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lxml import etree

from reddog.packages._error import PackageError
from reddog.packages._xml import attribute, child, children, local_name, number, parse, truth

EndpointKind = Literal["Input", "Internal", "InstanceInput"]
TaskType = Literal["simple", "background", "foreground"]
ROLES = ("WorkerRole", "WebRole")
DEFAULT_DOMAINS = 5
MOST_DOMAINS = 20
PLUGIN_SETTINGS = "Microsoft.WindowsAzure.Plugins."
_ENDPOINTS: dict[str, EndpointKind] = {
    "InputEndpoint": "Input",
    "InternalEndpoint": "Internal",
    "InstanceInputEndpoint": "InstanceInput",
}
_PROTOCOLS = ("http", "https", "tcp", "udp", "any")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class LoadBalancerProbe:
    """How a load balancer asks whether an instance takes connections.

    path: what an `http` probe gets. port: the instance's; None: the endpoint's. interval, timeout: seconds.
    """

    name: str
    protocol: str
    path: str = "/"
    port: int | None = None
    interval: int = 15
    timeout: int = 31


@dataclass(frozen=True)
class Endpoint:
    """Where a role is reached.

    port: the public port of an input endpoint, the fixed port of an internal one, or None for a dynamic one.
    local_port: the port in the instance; None: the same. public_ports: first and last public port of an
    instance input endpoint, whose instances have one each. probe: its load balancer probe, if it has its own.
    """

    name: str
    kind: EndpointKind
    protocol: str
    port: int | None = None
    local_port: int | None = None
    public_ports: tuple[int, int] | None = None
    probe: LoadBalancerProbe | None = None


@dataclass(frozen=True)
class Variable:
    """An environment variable: a fixed value, or the XPath of a value of the instance (RoleInstanceValue)."""

    name: str
    value: str | None = None
    xpath: str | None = None


@dataclass(frozen=True)
class Task:
    """A startup task. simple: it must end, with 0, before anything else starts."""

    command_line: str
    type: TaskType = "simple"
    elevated: bool = False
    environment: tuple[Variable, ...] = ()


@dataclass(frozen=True)
class LocalStorage:
    """A directory of an instance, and how many MB it may hold."""

    name: str
    size_mb: int = 100
    clean_on_recycle: bool = True


@dataclass(frozen=True)
class RoleDefinition:
    """A role.

    command_line: its program entry point, or None when only the Windows runtime can start it. certificates: by name,
    whether programs with limited rights may use the private key.
    """

    name: str
    kind: str
    vm_size: str = "Small"
    settings: tuple[str, ...] = ()
    has_imports: bool = False
    certificates: Mapping[str, bool] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    local_storage: tuple[LocalStorage, ...] = ()
    startup: tuple[Task, ...] = ()
    environment: tuple[Variable, ...] = ()
    command_line: str | None = None
    ready_on_start: bool = True
    elevated: bool = False


@dataclass(frozen=True)
class ServiceDefinition:
    """A service's roles, and over how many upgrade domains their instances are spread."""

    name: str
    roles: tuple[RoleDefinition, ...]
    upgrade_domain_count: int = DEFAULT_DOMAINS

    def role(self, name: str) -> RoleDefinition | None:
        """The role of that name, whose case does not matter."""
        return next((role for role in self.roles if role.name.lower() == name.lower()), None)


def parse_definition(data: bytes) -> ServiceDefinition:
    """Read a service definition.

    :raises PackageError: it is no service definition, or says something that cannot be.
    """
    root = parse(data, "The service definition", "ServiceDefinition")
    probes = {
        probe.name: probe for probe in map(_probe, children(root, "LoadBalancerProbes", "LoadBalancerProbe"))
    }
    for node in children(root, "VirtualMachineRole"):
        message = f"The role {node.get('name')} is a VM role, which was withdrawn."
        raise PackageError(message, "Deploy it as a virtual machine.")
    roles = tuple(_role(node, probes) for node in root if local_name(node) in ROLES)
    names = [role.name.lower() for role in roles]
    if not roles or len(set(names)) != len(names):
        reason = "no role" if not roles else "two roles of the same name"
        raise PackageError(f"The service definition has {reason}.", "Correct it.")
    count = number(
        root.get("upgradeDomainCount") or str(DEFAULT_DOMAINS), "upgradeDomainCount", 1, MOST_DOMAINS
    )
    return ServiceDefinition(attribute(root, "name", "The service definition"), roles, count)


def _probe(node: etree._Element) -> LoadBalancerProbe:
    name = attribute(node, "name", "The service definition")
    where = f"The load balancer probe {name}"
    protocol = attribute(node, "protocol", where).lower()
    if protocol not in ("http", "tcp"):
        raise PackageError(f"{where} has the protocol {protocol!r}.", "Use http or tcp.")
    path, port = node.get("path") or "/", node.get("port")
    path = path if path.startswith("/") else f"/{path}"
    if not path.isascii() or not path.isprintable() or " " in path:
        raise PackageError(f"{where} has the path {path!r}.", "Use one such as /status.")
    interval = number(node.get("intervalInSeconds") or "15", f"{where}: intervalInSeconds", 5, 3600)
    timeout = number(node.get("timeoutInSeconds") or "31", f"{where}: timeoutInSeconds", 5, 3600)
    return LoadBalancerProbe(name, protocol, path, _port(port, where) if port else None, interval, timeout)


def _role(node: etree._Element, probes: Mapping[str, LoadBalancerProbe]) -> RoleDefinition:
    name = attribute(node, "name", "The service definition")
    if not _NAME.fullmatch(name):
        rule = "Use letters, digits, hyphens, dots and underscores, with a letter or digit first."
        raise PackageError(f"{name!r} is no name of a role.", rule)
    where = f"The role {name}"
    runtime = child(node, "Runtime")
    entry = child(runtime, "EntryPoint", "ProgramEntryPoint")
    ready = truth(entry.get("setReadyOnProcessStart"), True) if entry is not None else True
    settings = children(node, "ConfigurationSettings", "Setting")
    endpoints = tuple(_endpoints(node, where, probes))
    names = [endpoint.name.lower() for endpoint in endpoints]
    if len(set(names)) != len(names):
        raise PackageError(f"{where} has two endpoints of the same name.", "Name each differently.")
    return RoleDefinition(
        name=name,
        kind=local_name(node),
        vm_size=node.get("vmsize") or "Small",
        settings=tuple(attribute(setting, "name", where) for setting in settings),
        has_imports=child(node, "Imports", "Import") is not None,
        certificates={
            attribute(one, "name", where): (one.get("permissionLevel") or "").lower() != "elevated"
            for one in children(node, "Certificates", "Certificate")
        },
        endpoints=endpoints,
        local_storage=tuple(_storage(one, where) for one in children(node, "LocalResources", "LocalStorage")),
        startup=tuple(_task(task, where) for task in children(node, "Startup", "Task")),
        environment=tuple(_variables(runtime, where)),
        command_line=attribute(entry, "commandLine", where) if entry is not None else None,
        ready_on_start=ready,
        elevated=_elevated(runtime),
    )


def _endpoints(
    node: etree._Element, where: str, probes: Mapping[str, LoadBalancerProbe]
) -> Iterator[Endpoint]:
    for one in next(children(node, "Endpoints"), ()):
        kind = _ENDPOINTS.get(local_name(one))
        if kind is not None:
            yield _endpoint(one, kind, where, probes)


def _endpoint(
    one: etree._Element, kind: EndpointKind, where: str, probes: Mapping[str, LoadBalancerProbe]
) -> Endpoint:
    name = attribute(one, "name", where)
    where = f"{where}: the endpoint {name}"
    protocol = attribute(one, "protocol", where).lower()
    if protocol not in _PROTOCOLS or (protocol == "any" and kind != "Internal"):
        raise PackageError(f"{where} has the protocol {protocol!r}.", "Use http, https, tcp or udp.")
    probe = one.get("loadBalancerProbe")
    if probe is not None and probe not in probes:
        raise PackageError(f"{where} names the probe {probe}, which there is not.", "Define it.")
    local = one.get("localPort")
    fixed = child(one, "FixedPort")
    given = (
        one.get("port") if kind == "Input" else fixed.get("port") if fixed is not None else one.get("port")
    )
    if kind == "Input" and given is None:
        raise PackageError(f"{where} lacks the attribute port.", "Add it.")
    return Endpoint(
        name=name,
        kind=kind,
        protocol=protocol,
        port=None if given in (None, "*") else _port(given or "", where),
        local_port=None if local in (None, "*") else _port(local or "", where),
        public_ports=_public_ports(one, where) if kind == "InstanceInput" else None,
        probe=probes[probe] if probe is not None else None,
    )


def _public_ports(one: etree._Element, where: str) -> tuple[int, int]:
    found = child(one, "AllocatePublicPortFrom", "FixedPortRange")
    if found is None:
        raise PackageError(f"{where} has no FixedPortRange.", "Add AllocatePublicPortFrom/FixedPortRange.")
    first = _port(attribute(found, "min", where), where)
    last = _port(attribute(found, "max", where), where)
    if last < first:
        raise PackageError(f"{where} has a range of ports that ends before it begins.", "Swap min and max.")
    return first, last


def _port(text: str, where: str) -> int:
    return number(text, f"{where}: a port", 1, 65535)


def _storage(one: etree._Element, where: str) -> LocalStorage:
    name = attribute(one, "name", where)
    if not _NAME.fullmatch(name):
        raise PackageError(f"{where}: {name!r} is no name of a local storage.", "Use letters and digits.")
    size = number(one.get("sizeInMB") or "100", f"{where}: sizeInMB of {name}", 1, 1 << 20)
    return LocalStorage(name, size, truth(one.get("cleanOnRoleRecycle"), True))


def _task(task: etree._Element, where: str) -> Task:
    types: dict[str, TaskType] = {one: one for one in ("simple", "background", "foreground")}
    given = task.get("taskType") or "simple"
    if given not in types:
        raise PackageError(f"{where}: {given!r} is no type of a task.", f"Use {', '.join(types)}.")
    return Task(
        attribute(task, "commandLine", where), types[given], _elevated(task), tuple(_variables(task, where))
    )


def _variables(node: etree._Element | None, where: str) -> Iterator[Variable]:
    for one in children(node, "Environment", "Variable"):
        name = attribute(one, "name", where)
        if not _VARIABLE.fullmatch(name):
            raise PackageError(f"{where}: {name!r} is no name of a variable.", "Use letters, digits and _.")
        value = child(one, "RoleInstanceValue")
        if value is not None:
            yield Variable(name, None, attribute(value, "xpath", where))
        else:
            yield Variable(name, one.get("value") or "")


def _elevated(node: etree._Element | None) -> bool:
    return node is not None and (node.get("executionContext") or "").lower() == "elevated"
