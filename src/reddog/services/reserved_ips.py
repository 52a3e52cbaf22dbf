"""Reserved IPs: addresses that stay with the subscription when deployments come and go (behaviours.md, section 15)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _private_networks, _rules, _virtual_ips
from reddog.services._call import Call, Handler, Reply
from reddog.services.locations import require_location
from reddog.services.quotas import Quotas
from reddog.wire import ReservedIP, errors, only
from reddog.wire import ReservedIPs as ReservedIPList

KIND = "reserved_ip"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")


def key_of(subscription: str, name: str) -> str:
    """A reserved IP's key."""
    return f"{subscription}/{name}".lower()


def require_unused(reader: Reader, subscription: str, name: str) -> Resource:
    """The subscription's reserved IP of that name, which no deployment uses.

    :raises ServiceError: there is none (BadRequest), or it is in use.
    :raises Locked: the deployment that used it is on its way out.
    """
    missing = errors.RESERVED_IP_NOT_FOUND(name=name)
    row = _rules.owned(reader, KIND, key_of(subscription, name), subscription, missing)
    user = user_of(reader, row)
    if user is not None and not user.present:
        raise _rules.locked(user)
    if user is not None:
        raise errors.RESERVED_IP_IN_USE(name=row.goal["name"], deployment=user.goal["name"])
    return row


def user_of(reader: Reader, row: Resource) -> Resource | None:
    """The deployment that uses a reserved IP."""
    name = row.goal["name"].lower()
    rows = reader.list("deployment", row.subscription)
    return next((one for one in rows if (one.goal.get("reserved_ip") or "").lower() == name), None)


class ReservedIPs:
    """Create, read, use and delete reserved IPs.

    Args:
        engine: Takes the changes.
        networks: From which addresses are taken (see `_virtual_ips.blocks_of`).
        quotas: How many a subscription may have.
    """

    def __init__(self, engine: Engine, networks: list[str], quotas: Quotas) -> None:
        self._quotas = quotas
        self._engine = engine
        self._read = engine.store.read
        self._networks = networks

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Reserved IP Addresses": self.list,
            "Get Reserved IP Address": self.get,
            "Create Reserved IP Address": self.create,
            "Delete Reserved IP Address": self.delete,
            "Associate Reserved IP Address": self.associate,
            "Disassociate Reserved IP Address": self.disassociate,
        }

    def list(self, call: Call) -> Reply:
        """List Reserved IP Addresses."""

        def read(reader: Reader) -> ReservedIPList:
            return ReservedIPList([_shown(reader, row) for row in reader.list(KIND, call.subscription)])

        return Reply(self._read(read))

    def get(self, call: Call) -> Reply:
        """Get Reserved IP Address. ResourceNotFound: there is no such reserved IP."""
        return Reply(self._read(lambda reader: _shown(reader, _owned(reader, call))))

    def create(self, call: Call) -> Reply:
        """Create Reserved IP Address: a free address is set aside."""
        body = call.body
        name = body.name or ""
        if not _NAME.fullmatch(name):
            rule = "use 1 to 80 letters, digits, hyphens, dots and underscores, with a letter or digit first."
            raise errors.INVALID_NAME(name=name, what="a reserved IP", rule=rule)
        _rules.check_label(body.label)
        location = require_location(body.location or "")
        key, taken = key_of(call.subscription, name), errors.RESERVED_IP_EXISTS(name=name)

        def change(tx: Tx) -> None:
            self._quotas.check_count(tx, call.subscription, KIND)
            address = _virtual_ips.allocate(tx, self._networks, call.subscription, None)
            goal = {
                "name": name,
                "label": body.label,
                "location": location,
                "id": str(uuid.uuid4()),
                "address": address,
            }
            _rules.insert(tx, KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Reserved IP Address. BadRequest: a deployment uses it."""

        def change(tx: Tx) -> None:
            row = require_unused(tx, call.subscription, _owned(tx, call).goal["name"])
            tx.remove(_virtual_ips.KIND, row.goal["address"])
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def associate(self, call: Call) -> Reply:
        """Associate Reserved IP Address: the deployment's endpoints move to it, also while its machines run."""

        def change(tx: Tx) -> None:
            row = require_unused(tx, call.subscription, _owned(tx, call).goal["name"])
            deployment = _deployment(tx, call)
            if deployment.goal.get("reserved_ip"):
                raise errors.RESERVED_IP_PRESENT(name=deployment.goal["reserved_ip"])
            _private_networks.changed(tx, deployment, reserved_ip=row.goal["name"])

        _rules.accept(self._engine, call, change)
        return Reply()

    def disassociate(self, call: Call) -> Reply:
        """Disassociate Reserved IP Address: the deployment's endpoints move to an address of its own."""

        def change(tx: Tx) -> None:
            name = _owned(tx, call).goal["name"]
            deployment = _deployment(tx, call)
            if (deployment.goal.get("reserved_ip") or "").lower() != name.lower():
                raise errors.RESERVED_IP_NOT_ASSOCIATED(name=name, deployment=deployment.goal["name"])
            _private_networks.changed(tx, deployment, reserved_ip=None)

        _rules.accept(self._engine, call, change)
        return Reply()


def _owned(reader: Reader, call: Call) -> Resource:
    name = call.params["ip"]
    missing = errors.RESERVED_IP_MISSING(name=name)
    return _rules.owned(reader, KIND, key_of(call.subscription, name), call.subscription, missing)


def _deployment(reader: Reader, call: Call) -> Resource:
    """The deployment that the body names."""
    body = call.body
    key = f"{body.service_name}/{body.deployment_name}"
    return _rules.owned(reader, "deployment", key, call.subscription, errors.DEPLOYMENT_NOT_FOUND())


def _shown(reader: Reader, row: Resource) -> ReservedIP:
    goal: dict[str, Any] = row.goal
    user = user_of(reader, row)
    return only(
        ReservedIP,
        name=goal["name"],
        address=goal["address"],
        id=goal["id"],
        label=goal["label"],
        state="Created",
        in_use=True if user is not None else None,
        service_name=user and user.goal["service"],
        deployment_name=user and user.goal["name"],
        location=goal["location"],
    )
