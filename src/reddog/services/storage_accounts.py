"""Storage accounts: their rows, and their directories in the storage service (behaviours.md, section 8)."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.services import _rules, affinity_groups
from reddog.services._call import Call, Handler, Reply
from reddog.services.quotas import NO_QUOTAS, Quotas
from reddog.storage import Storage
from reddog.wire import (
    NIL,
    AvailabilityResponse,
    CustomDomains,
    StorageAccountProperties,
    StorageService,
    StorageServiceKeys,
    StorageServices,
    errors,
    only,
)

KIND = "storage_account"
MEDIA_KINDS = ("disk", "os_image", "vm_image")
PAIRS = {
    "West US": "East US",
    "Central US": "East US 2",
    "North Central US": "South Central US",
    "West Europe": "North Europe",
    "Southeast Asia": "East Asia",
    "Japan East": "Japan West",
    "Brazil South": "South Central US",
    "Australia East": "Australia Southeast",
}
_PARTNERS = {
    "East US": "West US",
    **{second: first for first, second in PAIRS.items() if first != "Brazil South"},
}
_NAME = re.compile(r"[a-z0-9]{3,24}")
TYPES = ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGRS", "Premium_LRS")
_WITHOUT_SECONDARY = ("Standard_LRS", "Standard_ZRS", "Premium_LRS")


def new_key() -> str:
    """A storage account's key: 64 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


def account_of(reader: Reader, name: str, subscription: str) -> Resource | None:
    """The subscription's storage account of that name, or None."""
    return _rules.find(reader, KIND, name, subscription)


class StorageAccounts:
    """Create, read, change and delete storage accounts.

    Args:
        engine: Takes the changes.
        endpoints: Gives an account's endpoint URLs: blob, queue and table.
        base_url: The management endpoint's URL, without a slash at its end.
        quotas: How many accounts a subscription may have.
    """

    def __init__(
        self,
        engine: Engine,
        endpoints: Callable[[str], list[str]],
        base_url: str,
        quotas: Quotas = NO_QUOTAS,
    ) -> None:
        self._quotas = quotas
        self._engine = engine
        self._read = engine.store.read
        self._endpoints = endpoints
        self._base_url = base_url

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Storage Accounts": self.list,
            "Get Storage Account Properties": self.get,
            "Get Storage Account Keys": self.keys,
            "Regenerate Storage Account Keys": self.regenerate,
            "Create Storage Account": self.create,
            "Update Storage Account": self.update,
            "Delete Storage Account": self.delete,
            "Check Storage Account Name Availability": self.check_availability,
        }

    def list(self, call: Call) -> Reply:
        """List Storage Accounts."""
        rows = self._read(lambda reader: reader.list(KIND, call.subscription))
        return Reply(StorageServices([self.shown(row) for row in rows if row.present]))

    def get(self, call: Call) -> Reply:
        """Get Storage Account Properties. ResourceNotFound: there is no such account."""
        shown = self.shown(self._row(call))
        shown.capabilities = ["PersistentVMRole"]
        return Reply(shown)

    def keys(self, call: Call) -> Reply:
        """Get Storage Account Keys."""
        return Reply(self._with_keys(self._row(call)))

    def regenerate(self, call: Call) -> Reply:
        """Regenerate Storage Account Keys: `Primary` or `Secondary`; the old one stops working at once."""
        which = (call.body.key_type or "").lower()
        if which not in ("primary", "secondary"):
            raise errors.INVALID_ELEMENT(element="KeyType", expected="Primary or Secondary")

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            tx.set_goal(KIND, row.key, {**row.goal, which: new_key()})

        _rules.accept(self._engine, call, change)
        return self.keys(call)

    def create(self, call: Call) -> Reply:
        """Create Storage Account. ConflictError: the name is taken, in any subscription."""
        body = call.body
        name = body.service_name or ""
        check_name(name)
        _check(body.label, body.description, body.extended_properties)
        account_type = _account_type(body)
        location = affinity_groups.check_place(body.location, body.affinity_group)

        def change(tx: Tx) -> None:
            group = affinity_groups.require(tx, call.subscription, body.affinity_group)
            self._quotas.check_count(tx, call.subscription, KIND)
            goal = {
                "name": name,
                "label": body.label,
                "description": body.description,
                "location": location,
                "region": group.goal["location"] if group else location,
                "affinity_group": body.affinity_group,
                "account_type": account_type,
                "extended_properties": body.extended_properties or {},
                "primary": new_key(),
                "secondary": new_key(),
            }
            taken = errors.STORAGE_ACCOUNT_EXISTS(name=name)
            _rules.insert(tx, KIND, name, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        return Reply(location=f"{self._base_url}/subscriptions/{call.subscription}/storage/{name}")

    def update(self, call: Call) -> Reply:
        """Update Storage Account: what the body leaves out stays as it is."""
        body = call.body
        _check(body.label, body.description, body.extended_properties)
        changes = {
            "label": body.label,
            "description": body.description,
            "extended_properties": body.extended_properties,
            "account_type": _account_type(body) if _names_type(body) else None,
        }
        given = {name: value for name, value in changes.items() if value is not None}

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            tx.set_goal(KIND, row.key, {**row.goal, **given})

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Storage Account with all its data. BadRequest: disks or images are in it."""

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            used = _media_in(tx, row)
            if used:
                raise errors.STORAGE_ACCOUNT_IN_USE(name=row.goal["name"], count=used)
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def check_availability(self, call: Call) -> Reply:
        """Check Storage Account Name Availability. BadRequest: the name is invalid."""
        name = call.params["account"]
        check_name(name)
        row = self._read(lambda reader: reader.get(KIND, name))
        if row is None:
            return Reply(only(AvailabilityResponse, result=True, reason=NIL))
        own = " in the subscription" if row.subscription == call.subscription else ""
        reason = f"A storage account named '{name}' already exists{own}."
        return Reply(only(AvailabilityResponse, result=False, reason=reason))

    def _row(self, call: Call) -> Resource:
        return self._read(lambda reader: _owned(reader, call))

    def shown(self, row: Resource) -> StorageService:
        """A storage account as the API tells it, without its keys."""
        return only(
            StorageService,
            url=self._url(row),
            service_name=row.goal["name"],
            storage_service_properties=self._properties(row),
            extended_properties=_shown_properties(row),
        )

    def _with_keys(self, row: Resource) -> StorageService:
        keys = StorageServiceKeys(row.goal["primary"], row.goal["secondary"])
        return only(StorageService, url=self._url(row), storage_service_keys=keys)

    def _url(self, row: Resource) -> str:
        return f"{self._base_url}/{row.subscription}/services/storageservices/{row.goal['name']}"

    def _properties(self, row: Resource) -> StorageAccountProperties:
        goal = row.goal
        kind = goal["account_type"]
        region = goal.get("region") or goal["location"]
        secondary = "" if kind in _WITHOUT_SECONDARY else partner(region)
        return only(
            StorageAccountProperties,
            description=goal["description"],
            affinity_group=goal["affinity_group"],
            location=goal["location"],
            label=goal["label"],
            status="Created" if row.settled else "Creating",
            endpoints=self._endpoints(goal["name"]),
            geo_primary_region=region,
            status_of_primary="Available",
            geo_secondary_region=secondary,
            status_of_secondary="Available" if secondary else secondary,
            creation_time=_rules.timestamp(row.created),
            custom_domains=CustomDomains(),
            account_type=kind,
        )


class StorageAccountReconciler(Reconciler):
    """Makes the storage service know an account's name and keys, or forget it with its data."""

    kind = KIND

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        if row.present:
            self._storage.ensure_account(row.key, row.goal["primary"], row.goal["secondary"])
        else:
            self._storage.remove_account(row.key)
        ctx.checkpoint("account")
        return Converged()


def check_name(name: str) -> None:
    """Refuse what is no storage account's name."""
    if not _NAME.fullmatch(name):
        raise errors.INVALID_STORAGE_ACCOUNT_NAME()


def partner(region: str | None) -> str | None:
    """The region that a location's data would be replicated to."""
    return PAIRS.get(region or "") or _PARTNERS.get(region or "")


def _owned(reader: Reader, call: Call) -> Resource:
    name = call.params["account"]
    return _rules.owned(reader, KIND, name, call.subscription, errors.STORAGE_ACCOUNT_NOT_FOUND(name=name))


def _check(label: str | None, description: str | None, properties: Mapping[str, str] | None) -> None:
    _rules.check_label(label)
    _rules.check_description(description)
    _rules.check_extended_properties(properties)


def _names_type(body: Any) -> bool:
    return body.account_type is not None or body.geo_replication_enabled is not None


def _account_type(body: Any) -> str:
    """The replication asked for, in the words of either generation of the API."""
    if body.account_type is not None:
        known = {name.lower(): name for name in TYPES}.get(body.account_type.lower())
        if known is None:
            raise errors.INVALID_ELEMENT(element="AccountType", expected=", ".join(TYPES))
        return known
    if body.geo_replication_enabled is False:
        return "Standard_LRS"
    return "Standard_RAGRS" if body.secondary_read_enabled else "Standard_GRS"


def _media_in(reader: Reader, row: Resource) -> int:
    """How many containers of the account hold disks or images."""
    used = set()
    for kind in MEDIA_KINDS:
        for other in reader.list(kind, row.subscription):
            containers = {link["container"] for link in other.goal["media"] if link["account"] == row.key}
            if containers and not other.present:
                raise _rules.locked(other)
            used |= containers
    return len(used)


def _shown_properties(row: Resource) -> dict[str, str]:
    region = row.goal["location"]
    if region is None:
        return dict(row.goal["extended_properties"])
    added = {"ResourceGroup": f"Default-Storage-{region.replace(' ', '')}", "ResourceLocation": region}
    return {**row.goal["extended_properties"], **added}
