"""Guest operating systems of package deployments, as Azure offered them in 2015 (behaviours.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reddog.services._call import Call, Handler, Reply
from reddog.wire import OperatingSystem, OperatingSystemFamilies, OperatingSystemFamily, only
from reddog.wire import OperatingSystems as OperatingSystemList

FAMILIES = {
    1: "Windows Server 2008 SP2",
    2: "Windows Server 2008 R2",
    3: "Windows Server 2012",
    4: "Windows Server 2012 R2",
}
RELEASES = ("201503-01", "201504-01", "201505-02", "201506-01")  # the last one is the default
_NEWEST = {1: 48, 2: 40, 3: 28, 4: 21}  # the version's second number in the last release


class OperatingSystems:
    """List operating systems, flat and by family."""

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"List Operating Systems": self.list, "List Operating System Families": self.families}

    def list(self, call: Call) -> Reply:
        """List Operating Systems."""
        flat = [
            OperatingSystem(**system, family=family, family_label=label)
            for family, label in FAMILIES.items()
            for system in _systems(family)
        ]
        return Reply(OperatingSystemList(flat), lasting=True)

    def families(self, call: Call) -> Reply:
        """List Operating System Families."""
        return Reply(OperatingSystemFamilies([_family(*item) for item in FAMILIES.items()]), lasting=True)


def _family(number: int, label: str) -> OperatingSystemFamily:
    systems = [only(OperatingSystem, **system) for system in _systems(number)]
    return OperatingSystemFamily(str(number), label, OperatingSystemList(systems))


def _systems(family: int) -> Iterator[dict[str, Any]]:
    first = _NEWEST[family] - len(RELEASES) + 1
    for number, release in enumerate(RELEASES, first):
        yield {
            "version": f"WA-GUEST-OS-{family}.{number}_{release}",
            "label": f"Windows Azure Guest OS {family}.{number} (Release {release})",
            "is_default": release == RELEASES[-1],
            "is_active": True,
        }


def newest_system(family: int) -> str:
    """The guest OS version that a family's default is: what `*` means in a service configuration."""
    return f"WA-GUEST-OS-{family}.{_NEWEST[family]}_{RELEASES[-1]}"
