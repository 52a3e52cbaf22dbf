"""Affinity groups: names for a location that services and accounts share (behaviours.md, section 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _rules
from reddog.services._call import Call, Handler, Reply
from reddog.services.locations import compute_capabilities, require_location
from reddog.wire import (
    AffinityGroup,
    HostedService,
    HostedServices,
    StorageService,
    StorageServices,
    errors,
    only,
)
from reddog.wire import AffinityGroups as AffinityGroupList

KIND = "affinity_group"
CAPABILITIES = ("PersistentVMRole", "HighMemory")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def key_of(subscription: str, name: str) -> str:
    """An affinity group's key."""
    return f"{subscription}/{name}".lower()


def check_place(location: str | None, group: str | None) -> str | None:
    """The location's name as it is written, or None where an affinity group is named instead.

    :raises ServiceError: both or neither are named, or there is no such location.
    """
    if (location is None) == (group is None):
        raise errors.LOCATION_OR_AFFINITY_GROUP()
    return None if location is None else require_location(location)


def require(reader: Reader, subscription: str, name: str | None) -> Resource | None:
    """The affinity group of that name; None is none.

    :raises ServiceError: the subscription has no such group.
    """
    if name is None:
        return None
    found = _rules.find(reader, KIND, key_of(subscription, name), subscription)
    if found is None:
        raise errors.AFFINITY_GROUP_NOT_FOUND()
    return found


class AffinityGroups:
    """Create, read, change and delete affinity groups.

    Args:
        engine: Takes the changes.
        base_url: The management endpoint's URL, without a slash at its end.
        shown_service: Tells of a hosted service.
        shown_account: Tells of a storage account.
    """

    def __init__(
        self,
        engine: Engine,
        base_url: str,
        shown_service: Callable[[Reader, Resource], HostedService],
        shown_account: Callable[[Resource], StorageService],
    ) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._base_url = base_url
        self._shown_service = shown_service
        self._shown_account = shown_account

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Affinity Groups": self.list,
            "Get Affinity Group Properties": self.get,
            "Create Affinity Group": self.create,
            "Update Affinity Group": self.update,
            "Delete Affinity Group": self.delete,
        }

    def list(self, call: Call) -> Reply:
        """List Affinity Groups."""
        rows = self._read(lambda reader: reader.list(KIND, call.subscription))
        return Reply(AffinityGroupList([self._listed(row) for row in rows]))

    def get(self, call: Call) -> Reply:
        """Get Affinity Group Properties, with what is in it. ResourceNotFound: there is no such group."""

        def read(reader: Reader) -> AffinityGroup:
            row = _owned(reader, call)
            shown = _shown(row)
            members = {kind: _members(reader, kind, row) for kind in ("hosted_service", "storage_account")}
            shown.hosted_services = HostedServices(
                [self._shown_service(reader, member) for member in members["hosted_service"]]
            )
            shown.storage_services = StorageServices(
                [self._shown_account(member) for member in members["storage_account"]]
            )
            return shown

        return Reply(self._read(read))

    def create(self, call: Call) -> Reply:
        """Create Affinity Group. ConflictError: the subscription has one of that name."""
        body = call.body
        name = body.name or ""
        if not _NAME.fullmatch(name):
            raise errors.INVALID_AFFINITY_GROUP_NAME()
        _check(body.label, body.description)
        goal = {
            "name": name,
            "label": body.label,
            "description": body.description,
            "location": require_location(body.location or ""),
        }
        key, taken = key_of(call.subscription, name), errors.AFFINITY_GROUP_EXISTS(name=name)

        def change(tx: Tx) -> None:
            _rules.insert(tx, KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        return Reply(location=f"{self._base_url}/subscriptions/{call.subscription}/affinitygroup/{name}")

    def update(self, call: Call) -> Reply:
        """Update Affinity Group: replaces label and description."""
        body = call.body
        _check(body.label, body.description)

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            tx.set_goal(KIND, row.key, {**row.goal, "label": body.label, "description": body.description})

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Affinity Group. ConflictError: services, accounts or networks are in it."""
        if not _NAME.fullmatch(call.params["name"]):
            raise errors.INVALID_AFFINITY_GROUP_NAME()

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            users = [
                f"{kind.replace('_', ' ')} {member.goal['name']}"
                for kind in ("hosted_service", "storage_account", "virtual_network_site")
                for member in _members(tx, kind, row)
            ]
            if users:
                raise errors.AFFINITY_GROUP_IN_USE(name=row.goal["name"], users=", ".join(users))
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def _listed(self, row: Resource) -> AffinityGroup:
        shown = _shown(row)
        shown.compute_capabilities = compute_capabilities()
        return shown


def _owned(reader: Reader, call: Call) -> Resource:
    key, missing = key_of(call.subscription, call.params["name"]), errors.AFFINITY_GROUP_NOT_FOUND()
    return _rules.owned(reader, KIND, key, call.subscription, missing)


def _members(reader: Reader, kind: str, group: Resource) -> list[Resource]:
    name = group.goal["name"].lower()
    rows = reader.list(kind, group.subscription)
    return [row for row in rows if row.present and (row.goal["affinity_group"] or "").lower() == name]


def _check(label: str | None, description: str | None) -> None:
    _rules.check_label(label)
    _rules.check_description(description)


def _shown(row: Resource) -> AffinityGroup:
    goal = row.goal
    return only(
        AffinityGroup,
        name=goal["name"],
        label=goal["label"],
        description=goal["description"] or "",
        location=goal["location"],
        capabilities=list(CAPABILITIES),
        created_time=_rules.timestamp(row.created),
    )
