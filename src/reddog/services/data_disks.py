"""Data disks of a role: add, read, change and remove them, also while its machine runs (behaviours.md, section 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _rules, deployments, disks
from reddog.services._call import Call, Handler, Reply
from reddog.services._deployment_view import shown_data_disk
from reddog.services._role_plan import Place, RolePlanner
from reddog.services.roles import lock_deployment, require_role
from reddog.services.vm_images import HIGHEST_LUN
from reddog.wire import DataVirtualHardDisk, errors


class DataDisks:
    """Add, read, change and remove data disks.

    Args:
        engine: Takes the changes.
        planner: Checks new disks.
    """

    def __init__(self, engine: Engine, planner: RolePlanner) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._planner = planner

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Add Data Disk": self.add,
            "Get Data Disk": self.get,
            "Update Data Disk": self.update,
            "Delete Data Disk": self.delete,
        }

    def get(self, call: Call) -> Reply:
        """Get Data Disk. ResourceNotFound: the role has none with that LUN."""

        def read(reader: Reader) -> DataVirtualHardDisk:
            role = require_role(reader, call)
            one = _require(role, call)
            return shown_data_disk(one, disks.find(reader, role.subscription, one["name"]))

        return Reply(self._read(read))

    def add(self, call: Call) -> Reply:
        """Add Data Disk: an empty one, one that is there, or a blob that becomes one; the guest sees it at once."""
        service = self._read(lambda reader: deployments.require_service(reader, call))
        deployment = self._read(lambda reader: deployments.require(reader, call))
        before = self._read(lambda reader: require_role(reader, call))
        place = Place(
            call.subscription, service.goal["name"], deployment.goal["name"], service.goal["location"]
        )
        plan, (one,) = self._planner.plan_data_disks(place, before, [call.body], before.goal["size"])

        def change(tx: Tx) -> None:
            role = require_role(tx, call)
            if one["lun"] in [other["lun"] for other in role.goal["disks"]]:
                raise errors.INVALID_LUN(lun=one["lun"], highest=HIGHEST_LUN)
            lock_deployment(tx, call)
            after = deployments.insert_disks(tx, plan, place, role.key)
            tx.set_goal("role", role.key, {**role.goal, "disks": [*role.goal["disks"], one]}, after=after)

        _rules.accept(self._engine, call, change)
        return Reply()

    def update(self, call: Call) -> Reply:
        """Update Data Disk: its host caching, its LUN."""
        body = call.body

        def change(tx: Tx) -> None:
            role = require_role(tx, call)
            one = _require(role, call)
            lun = one["lun"] if body.lun is None else body.lun
            if lun != one["lun"] and lun in [other["lun"] for other in role.goal["disks"]]:
                raise errors.INVALID_LUN(lun=lun, highest=HIGHEST_LUN)
            lock_deployment(tx, call)
            changed = {**one, "lun": lun, "caching": body.host_caching or one["caching"]}
            listed = [changed if other is one else other for other in role.goal["disks"]]
            tx.set_goal("role", role.key, {**role.goal, "disks": listed})

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Data Disk: detaches it; with `comp=media` the disk and its blob go too."""
        delete_disk = call.query.get("comp", "").lower() == "media"

        def change(tx: Tx) -> None:
            role = require_role(tx, call)
            one = _require(role, call)
            lock_deployment(tx, call)
            rest = [other for other in role.goal["disks"] if other is not one]
            role = tx.set_goal("role", role.key, {**role.goal, "disks": rest})
            disk = disks.require(tx, role.subscription, one["name"])
            disks.detach(tx, disk, role, delete=delete_disk)

        _rules.accept(self._engine, call, change)
        return Reply()


def _require(role: Resource, call: Call) -> dict[str, Any]:
    """The role's disk with the LUN that a call names."""
    given = call.params["lun"]
    for one in role.goal["disks"]:
        if one["lun"] is not None and str(one["lun"]) == given:
            found: dict[str, Any] = one
            return found
    raise errors.DATA_DISK_NOT_FOUND(lun=given, role=role.goal["name"])
