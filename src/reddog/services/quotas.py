"""How much a subscription may have: Azure's limits of the time, or the settings' (behaviours.md, section 4)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields

from reddog.engine import Reader
from reddog.wire import errors


@dataclass(frozen=True)
class Quotas:
    """The limits of every subscription; cores count while a role is not deallocated."""

    cores: int = 20
    hosted_services: int = 20
    storage_accounts: int = 100
    reserved_ips: int = 20
    virtual_network_sites: int = 50
    local_network_sites: int = 20
    dns_servers: int = 20

    def check_count(self, reader: Reader, subscription: str, kind: str) -> None:
        """Refuse one more resource of a kind (`hosted_service`, `storage_account`, `reserved_ip`).

        :raises ServiceError: ConflictError; the limit is reached.
        """
        self.check(f"{kind}s", reader.count(kind, subscription), 1)

    def check_cores(self, reader: Reader, subscription: str, wanted: int) -> None:
        """Refuse so many more cores.

        :raises ServiceError: ConflictError; the limit would be passed.
        """
        self.check("cores", cores_of(reader, subscription), wanted)

    def check(self, name: str, used: int, wanted: int) -> None:
        """Refuse more of what a limit is for; less is never refused.

        :raises ServiceError: ConflictError; the limit would be passed.
        """
        limit = getattr(self, name)
        if wanted > 0 and used + wanted > limit:
            what = name.replace("_", " ")
            raise errors.QUOTA_EXCEEDED(what=what, limit=limit, used=used, wanted=wanted)


NO_QUOTAS = Quotas(*(sys.maxsize for _ in fields(Quotas)))
"""No limits."""


def cores_of(reader: Reader, subscription: str) -> int:
    """The cores that a subscription's roles take; those of packages take them also while they are suspended."""
    roles = reader.list("role", subscription)
    machines: int = sum(role.goal["cores"] for role in roles if role.goal["power"] != "deallocated")
    versions = (row.goal.get("current") for row in reader.list("deployment", subscription))
    plans = (plan for version in versions if version is not None for plan in version["roles"].values())
    packages: int = sum(plan["cores"] * plan["count"] for plan in plans)
    return machines + packages
