"""Service packages (.cspkg) and their configurations (.cscfg): read, checked, and made."""

from reddog.packages._build import build
from reddog.packages._configuration import (
    RoleConfiguration,
    ServiceConfiguration,
    check_configuration,
    parse_configuration,
    with_instances,
)
from reddog.packages._definition import (
    Endpoint,
    LoadBalancerProbe,
    LocalStorage,
    RoleDefinition,
    ServiceDefinition,
    Task,
    Variable,
    parse_definition,
)
from reddog.packages._error import PackageError
from reddog.packages._read import Package

__all__ = [
    "Endpoint",
    "LoadBalancerProbe",
    "LocalStorage",
    "Package",
    "PackageError",
    "RoleConfiguration",
    "RoleDefinition",
    "ServiceConfiguration",
    "ServiceDefinition",
    "Task",
    "Variable",
    "build",
    "check_configuration",
    "parse_configuration",
    "parse_definition",
    "with_instances",
]
