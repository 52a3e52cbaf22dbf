"""Operations on the instances of packages' roles: reboot, reimage, rebuild, delete (behaviours.md, section 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.packages import with_instances
from reddog.services import _rules, deployments
from reddog.services._call import Call, Handler, Reply
from reddog.services._instance_reconciler import KIND, name_of
from reddog.services.package_deployments import require
from reddog.wire import errors

ALL_DRIVES = "alllocaldrives"


class RoleInstances:
    """Reboot, reimage, rebuild and delete role instances.

    Args:
        engine: Takes the changes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        both = {
            "Reboot Role Instance": self.reboot,
            "Reimage Role Instance": self.reimage,
            "Rebuild Role Instance": self.rebuild,
            "Delete Role Instances": self.delete,
        }
        return {f"{name} by {way}": handler for name, handler in both.items() for way in ("name", "slot")}

    def reboot(self, call: Call) -> Reply:
        """Reboot Role Instance: its machine starts again, with the disk that it has."""
        return self._change(call, lambda goal: {**goal, "reboots": goal["reboots"] + 1})

    def reimage(self, call: Call) -> Reply:
        """Reimage Role Instance: it gets a new system disk."""
        return self._change(call, lambda goal: {**goal, "reimages": goal["reimages"] + 1})

    def rebuild(self, call: Call) -> Reply:
        """Rebuild Role Instance: it gets a new system disk, and its local storage is emptied."""
        if call.query.get("resources", "").lower() != ALL_DRIVES:
            raise errors.MISSING_QUERY_PARAMETER(parameter="resources=allLocalDrives")
        return self._change(call, lambda goal: {**goal, "reimages": goal["reimages"] + 1})

    def delete(self, call: Call) -> Reply:
        """Delete Role Instances: the configuration's instance counts fall.

        ResourceNotFound: there is no such instance. BadRequest: a role would have none left.
        """
        names = call.body.names
        if not names:
            raise errors.MISSING_ELEMENT(element="Name", parent="RoleInstances")

        def change(tx: Tx) -> None:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            going = {one.key: one for one in (_instance(tx, row, name) for name in names)}
            current = row.goal["current"]
            counts = {}
            for role, plan in current["roles"].items():
                fewer = sum(one.goal["role"] == role for one in going.values())
                counts[role] = plan["count"] - fewer
                if counts[role] < 1:
                    raise errors.LAST_ROLE_INSTANCE(role=role)
            for key in going:
                tx.remove(KIND, key)
            roles = {name: {**plan, "count": counts[name]} for name, plan in current["roles"].items()}
            configuration = with_instances(current["configuration"], counts)
            new = {**current, "roles": roles, "configuration": configuration}
            tx.set_goal(deployments.KIND, row.key, {**row.goal, "current": new})

        _rules.accept(self._engine, call, change)
        return Reply()

    def _change(self, call: Call, new_goal: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Reply:
        def change(tx: Tx) -> None:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            one = _instance(tx, row, call.params["instance"])
            tx.set_goal(KIND, one.key, new_goal(one.goal))

        _rules.accept(self._engine, call, change)
        return Reply()


def _instance(reader: Reader, deployment: Resource, name: str) -> Resource:
    for one in reader.list(KIND, parent=deployment.key):
        if one.present and name_of(one).lower() == name.lower():
            return one
    raise errors.ROLE_INSTANCE_NOT_FOUND()
