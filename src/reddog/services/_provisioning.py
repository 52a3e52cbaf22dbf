"""From a role's provisioning configuration to the document that its guest reads (behaviours.md, section 4)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from reddog.fabric import provisioning
from reddog.fabric.provisioning import GuestCertificate
from reddog.services._machine_errors import machine_errors
from reddog.services.service_certificates import ssh_public_key
from reddog.wire import LinuxConfigurationSet, WindowsConfigurationSet, errors

LARGEST_CUSTOM_DATA = 64 << 10
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
_LINUX_USER = re.compile(r"[a-z_][a-zA-Z0-9_-]{0,31}", re.IGNORECASE)
_RESERVED_USERS = {"root", "daemon", "bin", "sys", "nobody", "sshd", "mail", "sync"}
_COMPUTER_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9-]{1,15}")
_FORBIDDEN_WINDOWS_USERS = {"administrator", "admin", "guest"}

Find = Callable[[str], GuestCertificate]
"""Gives the service certificate with a thumbprint, or raises a service error."""


class _Certificates:
    """The service certificates that a configuration names, each of them once."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._named: dict[str, GuestCertificate] = {}

    def __call__(self, thumbprint: str | None) -> GuestCertificate:
        found = self._find(thumbprint or "")
        return self._named.setdefault(found.thumbprint, found)

    def all(self) -> list[GuestCertificate]:
        """Those that have been asked for."""
        return list(self._named.values())


def document(configuration: Any, role: str, find: Find) -> bytes:
    """ovf-env.xml for a Linux or a Windows guest.

    :raises ServiceError: a name, a password, a certificate or the custom data breaks the API's rules.
    """
    certificates = _Certificates(find)
    with machine_errors(role):
        if isinstance(configuration, WindowsConfigurationSet):
            return _windows(configuration, role, certificates)
        return _linux(configuration, certificates)


def host_name(configuration: Any) -> str | None:
    """The name that the guest is given."""
    if isinstance(configuration, WindowsConfigurationSet):
        return configuration.computer_name
    name: str | None = configuration.host_name
    return name


def _linux(configuration: LinuxConfigurationSet, certificates: _Certificates) -> bytes:
    host, user = configuration.host_name or "", configuration.user_name or ""
    password = configuration.user_password or None
    no_password_login = configuration.disable_ssh_password_authentication is not False
    if not _HOST_NAME.fullmatch(host):
        raise errors.INVALID_HOST_NAME(name=host, limit=64)
    if not _LINUX_USER.fullmatch(user) or user.lower() in _RESERVED_USERS:
        raise errors.INVALID_USER_NAME(name=user)
    if password is not None and not (
        6 <= len(password) <= 72 and password.isascii() and password.isprintable()
    ):
        raise errors.INVALID_PASSWORD(rule="6 to 72 printable ASCII characters")
    ssh = configuration.ssh
    public_keys = [_ssh_key(key, certificates) for key in (ssh and ssh.public_keys) or ()]
    key_pairs = [_key_pair(key, certificates) for key in (ssh and ssh.key_pairs) or ()]
    if password is None and not (no_password_login and public_keys):
        raise errors.PASSWORD_REQUIRED()
    return provisioning.linux_ovf(
        host,
        user,
        password,
        no_password_login,
        public_keys,
        _custom_data(configuration.custom_data),
        key_pairs,
        certificates.all(),
    )


def _ssh_key(key: Any, certificates: _Certificates) -> tuple[str, str, str]:
    """Thumbprint, path in the guest, and OpenSSH public key."""
    found = certificates(key.fingerprint)
    return found.thumbprint, key.path or "", ssh_public_key(found)


def _key_pair(key: Any, certificates: _Certificates) -> tuple[str, str, str]:
    """As `_ssh_key`; the path is the private key's, which has no usual place."""
    if not key.path:
        raise errors.MISSING_ELEMENT(element="Path", parent="KeyPair")
    if certificates(key.fingerprint).private_key is None:
        raise errors.SERVICE_CERTIFICATE_WITHOUT_KEY(thumbprint=key.fingerprint)
    return _ssh_key(key, certificates)


def _windows(configuration: WindowsConfigurationSet, role: str, certificates: _Certificates) -> bytes:
    """What clients send empty is not given (behaviours.md, section 19)."""
    name, user = configuration.computer_name or role[:15], configuration.admin_username or ""
    password = configuration.admin_password or ""
    if not _COMPUTER_NAME.fullmatch(name):
        raise errors.INVALID_HOST_NAME(name=name, limit=15)
    if not 1 <= len(user) <= 20 or user.lower() in _FORBIDDEN_WINDOWS_USERS:
        raise errors.INVALID_USER_NAME(name=user)
    if len(password) < 8 or _kinds(password) < 3:
        rule = "8 or more characters of three kinds: lower case, upper case, digits, others"
        raise errors.INVALID_PASSWORD(rule=rule)
    return provisioning.windows_ovf(
        name,
        user,
        password,
        reset_password_on_first_logon=configuration.reset_password_on_first_logon,
        enable_automatic_updates=configuration.enable_automatic_updates,
        time_zone=configuration.time_zone or None,
        domain_join=_domain_join(configuration.domain_join),
        stored_certificates=_stored_certificates(configuration, certificates),
        winrm_listeners=_listeners(configuration.win_rm, certificates),
        custom_data=_custom_data(configuration.custom_data),
        unattend=_unattend(configuration.additional_unattend_content),
        certificates=certificates.all(),
    )


def _stored_certificates(
    configuration: WindowsConfigurationSet, certificates: _Certificates
) -> list[tuple[str, str, str]]:
    """Store location, store name and thumbprint of certificates that the cloud service has."""
    found = []
    for item in configuration.stored_certificate_settings or ():
        certificates(item.thumbprint)
        found.append((item.store_location or "", item.store_name or "", item.thumbprint or ""))
    return found


def _listeners(win_rm: Any, certificates: _Certificates) -> list[tuple[str, str | None]]:
    """Protocol and certificate's thumbprint of the listeners for remote management."""
    found = []
    for item in (win_rm.listeners if win_rm else None) or ():
        protocol = (item.protocol or "").capitalize()
        if protocol not in ("Http", "Https"):
            raise errors.INVALID_ELEMENT(element="Protocol", expected="Http or Https")
        if item.certificate_thumbprint:
            certificates(item.certificate_thumbprint)
        found.append((protocol, item.certificate_thumbprint or None))
    return found


def _domain_join(join: Any) -> provisioning.DomainJoin | None:
    """None where no domain is named: clients send the element with all its members empty."""
    account_data = (join.provisioning and join.provisioning.account_data) or None if join else None
    if join is None or not (join.join_domain or account_data):
        return None
    credentials = join.credentials
    return provisioning.DomainJoin(
        join.join_domain or None,
        join.machine_object_ou or None,
        (credentials and credentials.domain) or None,
        (credentials and credentials.username) or None,
        (credentials and credentials.password) or None,
        account_data,
    )


def _unattend(content: Any) -> list[provisioning.UnattendSetting]:
    return [
        provisioning.UnattendSetting(
            one.pass_name or "",
            component.component_name or "",
            setting.setting_name or "",
            setting.content or "",
        )
        for one in (content.passes if content else None) or ()
        for component in one.components or ()
        for setting in component.component_settings or ()
    ]


def _custom_data(encoded: str | None) -> bytes | None:
    if not encoded:
        return None
    try:
        data = base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError):
        raise errors.INVALID_ELEMENT(element="CustomData", expected="base64") from None
    if len(data) > LARGEST_CUSTOM_DATA:
        raise errors.CUSTOM_DATA_TOO_LARGE(limit=LARGEST_CUSTOM_DATA, length=len(data))
    return data


def _kinds(password: str) -> int:
    tests = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    return sum(any(test(char) for char in password) for test in tests)
