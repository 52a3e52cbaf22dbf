"""Which instances of a deployment may go to its present version now: updates walk the upgrade domains in order.

An instance remembers the plan that it was made of (`applied` in its state). It is outdated while the deployment's
plan of its role has another revision. All of this is read from rows, so it survives restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reddog.engine import Resource

IsReady = Callable[[Resource], bool]
MODES = {"auto": "Auto", "manual": "Manual", "simultaneous": "Simultaneous"}


def is_package(deployment: Resource) -> bool:
    """Whether a deployment has a service package, and not virtual machines."""
    return "current" in deployment.goal


def plan_of(deployment: Resource, instance: Resource) -> dict[str, Any] | None:
    """The plan that an instance is to be made of; None: the deployment has no such role any more."""
    plan: dict[str, Any] | None = deployment.goal["current"]["roles"].get(instance.goal["role"])
    return plan


def names_certificate(deployment: Resource, instances: Iterable[Resource], thumbprint: str) -> bool:
    """Whether a package deployment may need a certificate.

    Its version and the one before may, those that a failing operation goes back to, and what instances are made of.
    """
    goals = (deployment.goal, (deployment.back or {}).get("goal") or {})
    versions = [
        goal[name] for goal in goals for name in ("current", "previous") if goal.get(name) is not None
    ]
    plans = [plan for version in versions for plan in version["roles"].values()]
    plans += [one.state["applied"] for one in instances if one.state.get("applied") is not None]
    return any(one["thumbprint"] == thumbprint for plan in plans for one in plan.get("certificates", ()))


def is_outdated(deployment: Resource, instance: Resource) -> bool:
    """Whether an instance was made of another version."""
    plan, applied = plan_of(deployment, instance), instance.state.get("applied")
    return plan is not None and applied is not None and applied["revision"] != plan["revision"]


def is_underway(deployment: Resource, instances: Iterable[Resource]) -> bool:
    """Whether an update or upgrade has instances left to change."""
    return any(one.present and is_outdated(deployment, one) for one in instances)


def may_move(
    deployment: Resource, instance: Resource, instances: Sequence[Resource], is_ready: IsReady
) -> bool:
    """Whether an outdated instance is to be changed now.

    It waits while an operation holds the deployment, until its upgrade domain is walked (in Manual mode), and
    for the instances of earlier domains to be changed and ready. Instances that do not run wait for nothing.
    """
    if deployment.operation is not None:
        return False
    upgrade = deployment.goal["upgrade"]
    if upgrade is None or upgrade["type"] == "Simultaneous" or not instance.goal["running"]:
        return True
    domain = instance.goal["upgrade_domain"]
    if upgrade["type"] == "Manual" and domain >= upgrade["walked"]:
        return False
    earlier = (one for one in instances if one.present and one.goal["upgrade_domain"] < domain)
    return all(_has_moved(deployment, one, is_ready) for one in earlier)


def current_domain(deployment: Resource, instances: Sequence[Resource], is_ready: IsReady) -> tuple[int, str]:
    """The upgrade domain that is being walked, and `Before` or `During`; only while an upgrade is under way."""
    waiting = [one for one in instances if one.present and not _has_moved(deployment, one, is_ready)]
    domain = min((one.goal["upgrade_domain"] for one in waiting), default=0)
    here = [one for one in instances if one.present and one.goal["upgrade_domain"] == domain]
    begun = any(not one.settled or not is_outdated(deployment, one) for one in here)
    return domain, "During" if begun else "Before"


def _has_moved(deployment: Resource, instance: Resource, is_ready: IsReady) -> bool:
    if is_outdated(deployment, instance):
        return False
    return not instance.goal["running"] or is_ready(instance)
