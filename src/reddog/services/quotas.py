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

    def check_count(self, reader: Reader, subscription: str, kind: str) -> None:
        """Refuse one more resource of a kind (`hosted_service`, `storage_account`, `reserved_ip`).

        :raises ServiceError: ConflictError; the limit is reached.
        """
        limit, used = getattr(self, f"{kind}s"), reader.count(kind, subscription)
        if used >= limit:
            what = kind.replace("_", " ") + "s"
            raise errors.QUOTA_EXCEEDED(what=what, limit=limit, used=used, wanted=1)

    def check_cores(self, reader: Reader, subscription: str, wanted: int) -> None:
        """Refuse so many more cores.

        :raises ServiceError: ConflictError; the limit would be passed.
        """
        used = cores_of(reader, subscription)
        if wanted > 0 and used + wanted > self.cores:
            raise errors.QUOTA_EXCEEDED(what="cores", limit=self.cores, used=used, wanted=wanted)


NO_QUOTAS = Quotas(*(sys.maxsize for _ in fields(Quotas)))
"""No limits."""


def cores_of(reader: Reader, subscription: str) -> int:
    """The cores that a subscription's roles take."""
    roles = reader.list("role", subscription)
    return sum(role.goal["cores"] for role in roles if role.goal["power"] != "deallocated")
