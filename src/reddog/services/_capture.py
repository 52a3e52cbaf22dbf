"""What happens to a role once an image that only it could boot from has been made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reddog.engine import Tx


def remove_captured(tx: Tx, capture: Mapping[str, Any]) -> None:
    """Remove the role that was captured, and its deployment when it was the only one; its disks stay.

    Its machine has been stopped before, so the disks need not wait for it to be removed.
    """
    role_key, deployment_key = capture["role_key"], capture["deployment_key"]
    role = tx.get("role", role_key)
    if role is None or not role.present:
        return
    tx.remove("role", role_key)
    for disk in tx.list("disk", role.subscription):
        used = disk.goal["attached"]
        if disk.present and used and used["key"] == role_key:
            tx.set_goal("disk", disk.key, {**disk.goal, "attached": None})
    if any(other.key != role_key for other in tx.list("role", parent=deployment_key)):
        return
    for address in tx.list("virtual_ip", parent=deployment_key):
        tx.remove("virtual_ip", address.key, after=[role.ref])
    tx.remove("deployment", deployment_key, after=[role.ref])
