"""What a package and a configuration ask for, checked and made definite before anything is changed.

The plan of a role is a JSON object: what one instance of it is. Its `revision` tells whether an instance that was
made of another plan has to be made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reddog.engine import Engine, Reader, Resource
from reddog.packages import (
    Endpoint,
    Package,
    PackageError,
    RoleConfiguration,
    RoleDefinition,
    ServiceConfiguration,
    ServiceDefinition,
    check_configuration,
    parse_configuration,
    parse_definition,
)
from reddog.services import _dns, _rules, reserved_ips, service_certificates, virtual_networks
from reddog.services._media import MediaLinks
from reddog.services._package_files import PackageFiles
from reddog.services.operating_systems import newest_system
from reddog.services.role_sizes import package_role_size
from reddog.storage import (
    AccountNotFound,
    BlobAddress,
    BlobNotFound,
    BlobUrlError,
    ContainerNotFound,
    NoSpace,
)
from reddog.wire import Dns, DnsServer, DnsServers, errors, only

LARGEST_PACKAGE = 600 << 20  # bytes, as on Azure
FIRST_DYNAMIC_PORT = 20000  # of internal endpoints whose port is not fixed
DEFAULT_PROBE = {
    "path": "/",
    "interval": 2,
    "timeout": 5,
}  # of endpoints without a probe of their own; seconds
_WINDOWS_PROGRAMS = (".exe", ".dll", ".cmd", ".bat", ".ps1", ".vbs", ".msi", ".com")
Plan = dict[str, Any]


@dataclass(frozen=True)
class PackagePlan:
    """A package that has been taken in: its id, the text of its definition, and its roles' plans by name."""

    package: str
    definition: str
    sdk_version: str
    roles: dict[str, Plan]
    configuration: ServiceConfiguration
    upgrade_domains: int
    has_input: bool
    service_definition: str
    virtual_network: str | None
    dns: list[_dns.Server]

    def as_goal(self, label: str, text: str) -> dict[str, Any]:
        """What a deployment's goal keeps of it."""
        return {
            "package": self.package,
            "roles": self.roles,
            "label": label,
            "configuration": text,
            "sdk_version": self.sdk_version,
            "upgrade_domains": self.upgrade_domains,
            "os_version": os_version(self.configuration),
            "service_definition": self.service_definition,
            "has_input": self.has_input,
            "dns": self.dns,
        }


class PackagePlanner:
    """Takes packages in, and plans their roles.

    Args:
        engine: Whose store is read.
        media: Reads packages' URLs.
        files: Keeps packages.
    """

    def __init__(self, engine: Engine, media: MediaLinks, files: PackageFiles) -> None:
        self._read = engine.store.read
        self._media = media
        self._files = files

    def take(self, subscription: str, service: Resource, url: str, configuration: str) -> PackagePlan:
        """Copy a package and check it with its configuration; the caller discards it if it is not used.

        :raises ServiceError: there is none, it cannot be used, or the configuration is not one for it.
        """
        id = self._files.take(lambda target: self._fetch(subscription, url, target))
        try:
            with _package_errors(url), Package(self._files.package(id)) as package:
                definition, text, version = package.definition, package.definition_xml, package.sdk_version
            return self._plan(service, id, definition, text, version, configuration)
        except BaseException:
            self._files.forget_package(id)
            raise

    def discard(self, plan: PackagePlan) -> None:
        """Remove a package that was taken in and is not used."""
        self._files.forget_package(plan.package)

    def configure(self, service: Resource, package: Resource, configuration: str) -> PackagePlan:
        """Plan a package that was taken in before with another configuration.

        :raises ServiceError: the configuration is not one for it.
        """
        text: str = package.goal["definition"]
        version: str = package.goal["sdk_version"]
        definition = parse_definition(text.encode())
        return self._plan(service, package.key, definition, text, version, configuration)

    def _fetch(self, subscription: str, url: str, target: Path) -> None:
        address = self._address(subscription, url)
        storage = self._media.storage
        try:
            found = storage.properties(address)
            if found is None:
                raise errors.PACKAGE_NOT_FOUND(url=url)
            if found.size > LARGEST_PACKAGE:
                raise errors.PACKAGE_TOO_LARGE(url=url, size=found.size, limit=LARGEST_PACKAGE)
            storage.copy_out(address, target)
        except (AccountNotFound, ContainerNotFound, BlobNotFound):
            raise errors.PACKAGE_NOT_FOUND(url=url) from None
        except NoSpace as error:
            raise errors.NO_SPACE(detail=str(error)) from None

    def _address(self, subscription: str, url: str) -> BlobAddress:
        try:
            address = self._media.storage.parse_url(url)
        except BlobUrlError as error:
            raise errors.INVALID_MEDIA_LINK(url=url, detail=str(error)) from None
        account = self._read(
            lambda reader: _rules.find(reader, "storage_account", address.account, subscription)
        )
        if account is None:
            raise errors.PACKAGE_ACCOUNT_NOT_FOUND(url=url, name=address.account)
        return address

    def _plan(
        self,
        service: Resource,
        package: str,
        definition: ServiceDefinition,
        text: str,
        sdk_version: str,
        configuration: str,
    ) -> PackagePlan:
        try:
            found = parse_configuration(configuration)
            check_configuration(definition, found)
        except PackageError as error:
            raise errors.INVALID_CONFIGURATION(detail=error.message, remedy=error.remedy) from None
        self._read(lambda reader: check_references(reader, service, found))
        site = self._read(lambda reader: virtual_networks.site_for(reader, service, found.virtual_network))
        _check_ports(definition, found)
        return PackagePlan(
            package=package,
            definition=text,
            sdk_version=sdk_version,
            roles={role.name: _role_plan(role, _of(found, role), package) for role in definition.roles},
            configuration=found,
            upgrade_domains=definition.upgrade_domain_count,
            has_input=any(one.kind != "Internal" for role in definition.roles for one in role.endpoints),
            service_definition=definition.name,
            virtual_network=None if site is None else site.goal["name"],
            dns=_dns_servers(found),
        )


def os_version(configuration: ServiceConfiguration) -> str:
    """The guest OS that a configuration asks for, as deployments show it."""
    if configuration.os_version == "*":
        return newest_system(configuration.os_family)
    return configuration.os_version


def with_revisions(roles: Mapping[str, Plan], before: Mapping[str, Plan], revision: int) -> dict[str, Plan]:
    """The plans with their revisions: the old one where instances need not change, else `revision`."""
    made = {}
    for name, plan in roles.items():
        old = before.get(name)
        same = old is not None and _essence(old) == _essence(plan)
        made[name] = {**plan, "revision": old["revision"] if old is not None and same else revision}
    return made


def keeps_local_data(old: Plan, new: Plan) -> bool:
    """Whether instances keep their data when they go from one plan to another."""
    return all(old[key] == new[key] for key in ("size", "local_storage"))


def _essence(plan: Plan) -> Plan:
    whole = {"certificates": [], **plan}  # plans of the time before instances were given certificates
    return {key: value for key, value in whole.items() if key not in ("revision", "count", "subnets")}


def _of(configuration: ServiceConfiguration, role: RoleDefinition) -> RoleConfiguration:
    found = configuration.role(role.name)
    assert found is not None, "the configuration was checked"
    return found


def _role_plan(role: RoleDefinition, configuration: RoleConfiguration, package: str) -> Plan:
    size = package_role_size(role.vm_size)
    if size is None:
        raise errors.INVALID_PACKAGE_ROLE_SIZE(role=role.name, size=role.vm_size)
    wanted, limit = (
        sum(one.size_mb for one in role.local_storage),
        size.web_worker_resource_disk_size_in_mb or 0,
    )
    if wanted > limit:
        raise errors.LOCAL_STORAGE_TOO_LARGE(role=role.name, wanted=wanted, size=size.name, limit=limit)
    return {
        "name": role.name,
        "kind": role.kind,
        "package": package,
        "count": configuration.instances,
        "size": size.name,
        "cores": size.cores,
        "memory_mb": size.memory_in_mb,
        "settings": dict(configuration.settings),
        "certificates": [
            {"thumbprint": thumbprint, "limited": role.certificates.get(name, False)}
            for name, thumbprint in sorted(configuration.certificates.items())
        ],
        "subnets": list(configuration.subnets),
        "endpoints": [_endpoint_plan(place, one) for place, one in enumerate(role.endpoints)],
        "local_storage": [asdict(one) for one in role.local_storage],
        "environment": [asdict(one) for one in role.environment],
        "startup": [
            {**asdict(task), "environment": list(map(asdict, task.environment))} for task in role.startup
        ],
        "command_line": role.command_line,
        "elevated": role.elevated,
        "needs_windows": _needs_windows(role),
    }


def _endpoint_plan(place: int, one: Endpoint) -> dict[str, Any]:
    dynamic = FIRST_DYNAMIC_PORT + place
    local = one.local_port or one.port or dynamic
    return {
        "name": one.name,
        "kind": one.kind,
        "shown_protocol": one.protocol,
        "protocol": "udp" if one.protocol == "udp" else "tcp",
        "port": one.port,
        "ports": list(one.public_ports) if one.public_ports else None,
        "local_port": local,
        "probe": _probe_plan(one, local),
    }


def _probe_plan(one: Endpoint, local_port: int) -> dict[str, Any] | None:
    """How a load balancer asks whether an instance takes what comes to an input endpoint."""
    if one.kind != "Input":
        return None
    own = one.probe
    if own is None:
        protocol = "none" if one.protocol == "udp" else "tcp"
        return {"protocol": protocol, "port": local_port, **DEFAULT_PROBE}
    given = {"path": own.path, "interval": own.interval, "timeout": own.timeout}
    return {"protocol": own.protocol, "port": own.port or local_port, **given}


def _needs_windows(role: RoleDefinition) -> str | None:
    """Why only Windows can run the role, or None when there is no such reason."""
    if role.command_line is None:
        return "it has no ProgramEntryPoint, so it is started by the .NET runtime of Windows"
    for line in (role.command_line, *(task.command_line for task in role.startup)):
        program = line.split()[0].strip("\"'").lower()
        if program.endswith(_WINDOWS_PROGRAMS):
            return f"its command line '{line}' is a program for Windows"
    return None


def check_references(reader: Reader, service: Resource, configuration: ServiceConfiguration) -> None:
    """Refuse a configuration that names what the subscription does not have.

    :raises ServiceError: there is no such certificate or reserved IP.
    """
    for role in configuration.roles:
        for thumbprint in role.certificates.values():
            key = service_certificates.key_of(service.key, thumbprint)
            if _rules.find(reader, service_certificates.KIND, key, service.subscription) is None:
                raise errors.SERVICE_CERTIFICATE_NOT_FOUND(
                    service=service.goal["name"], thumbprint=thumbprint
                )
    if configuration.reserved_ip is not None:
        key = reserved_ips.key_of(service.subscription, configuration.reserved_ip)
        missing = errors.RESERVED_IP_NOT_FOUND(name=configuration.reserved_ip)
        _rules.owned(reader, reserved_ips.KIND, key, service.subscription, missing)


def _dns_servers(configuration: ServiceConfiguration) -> list[_dns.Server]:
    servers = [only(DnsServer, name=name, address=address) for name, address in configuration.dns_servers]
    return _dns.goals_of(only(Dns, dns_servers=DnsServers(servers)))


def _check_ports(definition: ServiceDefinition, configuration: ServiceConfiguration) -> None:
    """Refuse public ports that two endpoints of the service want."""
    seen: set[tuple[str, int]] = set()
    for role in definition.roles:
        for one in role.endpoints:
            protocol = "udp" if one.protocol == "udp" else "tcp"
            ports = [one.port] if one.kind == "Input" else []
            if one.public_ports is not None:
                first, last = one.public_ports
                ports = list(range(first, last + 1))
            for port in ports:
                if port is not None and (protocol, port) in seen:
                    raise errors.PORT_IN_USE(port=port)
                seen.add((protocol, port or 0))


@contextmanager
def _package_errors(url: str) -> Iterator[None]:
    """Tell of a package's faults in the management API's words."""
    try:
        yield
    except PackageError as error:
        raise errors.INVALID_PACKAGE(url=url, detail=error.message, remedy=error.remedy) from None
