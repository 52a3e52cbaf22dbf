"""Role sizes: how many cores and how much memory a role may have (behaviours.md, section 5)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources

from reddog.services._call import Call, Handler, Reply
from reddog.wire import RoleSize, errors
from reddog.wire import RoleSizes as RoleSizeList


class RoleSizes:
    """List role sizes."""

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"List Role Sizes": self.list}

    def list(self, call: Call) -> Reply:
        """List Role Sizes."""
        return Reply(RoleSizeList(all_sizes()), lasting=True)


@cache
def _table() -> Mapping[str, RoleSize]:
    text = resources.files("reddog.services").joinpath("_data/role_sizes.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {
        row["name"].lower(): RoleSize(
            name=row["name"],
            label=f"{row['name']} ({row['cores']} cores, {row['memory_mb']} MB)",
            cores=int(row["cores"]),
            memory_in_mb=int(row["memory_mb"]),
            supported_by_web_worker_roles=row["web_worker"] == "1",
            supported_by_virtual_machines=row["virtual_machine"] == "1",
            max_data_disk_count=int(row["data_disks"]),
            web_worker_resource_disk_size_in_mb=int(row["web_worker_disk_mb"]),
            virtual_machine_resource_disk_size_in_mb=int(row["virtual_machine_disk_mb"]),
        )
        for row in rows
    }


def all_sizes() -> list[RoleSize]:
    """Every size, in alphabetical order."""
    return list(_table().values())


def require_size(name: str) -> RoleSize:
    """The size of that name, for a virtual machine.

    :raises ServiceError: there is none.
    """
    size = _table().get(name.lower())
    if size is None or not size.supported_by_virtual_machines:
        raise errors.INVALID_ROLE_SIZE(size=name)
    return size


def package_role_size(name: str) -> RoleSize | None:
    """The size of that name, if a web or worker role can have it."""
    size = _table().get(name.lower())
    return size if size is not None and size.supported_by_web_worker_roles else None
