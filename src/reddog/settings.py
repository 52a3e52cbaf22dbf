"""What a cloud is told when it starts: one explicit, typed object, handed down."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

FABRICS = ("qemu", "simulated")
_RANGES = {
    "port": (0, 65535),
    "storage_port": (0, 65533),
    "operation_retention": (1, 1_000_000),
}
_ANY_RANGE = (0, 1_000_000)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


class SettingsError(ValueError):
    """The configuration file or an option holds something unusable; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """The settings of one cloud.

    :param data_dir: the directory that holds everything the cloud knows (created 0700).
    :param host: the address the management endpoint listens on; also ``::1``. Loopback unless told otherwise.
    :param port: TCP port of the management endpoint. 0: the one used last time, else 8443, else a free one.
    :param storage_port: TCP port of the blob endpoint; table and queue take the next two. 0: those used last
        time, else 10000, else free ones.
    :param fabric: ``qemu`` (real virtual machines) or ``simulated``.
    :param storage_domain: the domain of storage hosts: ``ACCOUNT.blob.DOMAIN``.
    :param operation_retention: hours for which finished operations can be polled.
    :param max_cores: how many cores a subscription's roles may take; so with ``max_hosted_services``,
        ``max_storage_accounts``, ``max_reserved_ips``, ``max_virtual_network_sites``, ``max_local_network_sites`` and
        ``max_dns_servers``. Azure's own limits of 2015 by default.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    storage_port: int = 0
    fabric: str = "qemu"
    storage_domain: str = "core.localhost"
    operation_retention: int = 720
    max_cores: int = 20
    max_hosted_services: int = 20
    max_storage_accounts: int = 100
    max_reserved_ips: int = 20
    max_virtual_network_sites: int = 50
    max_local_network_sites: int = 20
    max_dns_servers: int = 20

    @property
    def pki_dir(self) -> Path:
        """The directory of the cloud's CA and of the certificates made by ``reddog up``."""
        return self.data_dir / "pki"

    @property
    def images_dir(self) -> Path:
        """The directory of platform images."""
        return self.data_dir / "images"

    @property
    def storage_dir(self) -> Path:
        """The directory of the storage accounts' data."""
        return self.data_dir / "storage"

    @property
    def machines_dir(self) -> Path:
        """The directory of virtual machines' runtime files."""
        return self.data_dir / "machines"

    @property
    def roles_dir(self) -> Path:
        """The directory of service packages and role instances."""
        return self.data_dir / "roles"

    @property
    def logs_dir(self) -> Path:
        """The directory of log files."""
        return self.data_dir / "logs"


def load(data_dir: Path, **options: Any) -> Settings:
    """Settings from ``data_dir/reddog.toml``, if there, overridden by the options that are not ``None``.

    :raises SettingsError: the file cannot be read, is not TOML, names an unknown setting, or holds a value of the
        wrong type or out of its range.
    """
    path = data_dir / "reddog.toml"
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if wanted := _wanted(name, value):
            raise SettingsError(f"{name} must be {wanted}, not {value!r}.")
    return replace(Settings(data_dir), **{**_checked(_read(path), path), **given})


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}). Make it readable, or move it away to use the defaults."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} is not valid TOML ({error}). Correct it, or move it away to use the defaults."
        ) from None


def _checked(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    known = {field.name: field for field in fields(Settings) if field.name != "data_dir"}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(
                f"{path}: unknown setting {name!r}. Known settings: {', '.join(sorted(known))}."
            )
        expected = type(getattr(Settings, name))
        if type(value) is not expected:
            raise SettingsError(
                f"{path}: {name} must be of type {expected.__name__}, not {type(value).__name__}."
            )
        if wanted := _wanted(name, value):
            raise SettingsError(f"{path}: {name} must be {wanted}, not {value!r}.")
    return dict(values)


def _wanted(name: str, value: Any) -> str:
    """What a setting must be; nothing if it is."""
    if isinstance(value, int):
        least, most = _RANGES.get(name, _ANY_RANGE)
        return "" if least <= value <= most else f"from {least} to {most}"
    if name == "fabric":
        return "" if value in FABRICS else f"one of {', '.join(FABRICS)}"
    if name == "storage_domain":
        return "" if _DOMAIN.fullmatch(value) else "a domain name in lower case, such as core.localhost"
    return "" if value else "an address of this machine, such as 127.0.0.1"
