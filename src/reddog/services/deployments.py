"""Deployments: create those of virtual machines, read and delete all (behaviours.md, sections 11 and 12)."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping

from reddog.engine import Engine, Reader, Ref, Resource, Tx
from reddog.services import (
    _dns,
    _media,
    _private_networks,
    _rules,
    _upgrade,
    _virtual_ips,
    disks,
    reserved_ips,
    virtual_networks,
)
from reddog.services._call import Call, Handler, Reply
from reddog.services._deployment_view import DeploymentView
from reddog.services._package_view import PackageView
from reddog.services._role_plan import Place, RolePlan, RolePlanner
from reddog.services.quotas import Quotas
from reddog.wire import Deployment, errors

KIND = "deployment"
SLOTS = {"production": "Production", "staging": "Staging"}


def key_of(service: str, name: str) -> str:
    """A deployment's key."""
    return f"{service}/{name}".lower()


def role_key(deployment_key: str, name: str) -> str:
    """A role's key."""
    return f"{deployment_key}/{name}".lower()


def require(reader: Reader, call: Call) -> Resource:
    """The deployment that a call names."""
    service = require_service(reader, call)
    key = key_of(service.key, call.params["deployment"])
    return _rules.owned(reader, KIND, key, call.subscription, errors.DEPLOYMENT_NOT_FOUND())


def require_service(reader: Reader, call: Call) -> Resource:
    """The hosted service that a call names."""
    missing = errors.HOSTED_SERVICE_NOT_FOUND()
    return _rules.owned(reader, "hosted_service", call.params["service"], call.subscription, missing)


def insert_role(tx: Tx, plan: RolePlan, place: Place, deployment_key: str) -> Resource:
    """Add a planned role and its disks; the machine starts when the disks are there."""
    key = role_key(deployment_key, plan.name)
    after = insert_disks(tx, plan, place, key)
    subnets = [plan.goal["subnet_name"]] if plan.goal["subnet_name"] else []
    address = _private_networks.allocate(tx, deployment_key, subnets, plan.goal["static_address"])
    provisioning = plan.provisioning and base64.b64encode(plan.provisioning).decode()
    return _rules.insert(
        tx,
        "role",
        key,
        subscription=place.subscription,
        parent=deployment_key,
        goal={**plan.goal, **address},
        state={"provisioning": provisioning},
        taken=errors.ROLE_EXISTS(name=plan.name),
        after=after,
    )


def insert_disks(tx: Tx, plan: RolePlan, place: Place, role: str) -> list[Ref]:
    """Add a plan's new disks, and attach those that are there already; returns all of them."""
    used = {"service": place.service, "deployment": place.deployment, "role": plan.name, "key": role}
    after = []
    for goal in plan.new_disks:
        taken = errors.DISK_EXISTS(name=goal["name"])
        disk = disks.key_of(place.subscription, goal["name"])
        attached = {**goal, "attached": used}
        row = _rules.insert(tx, disks.KIND, disk, subscription=place.subscription, goal=attached, taken=taken)
        after.append(row.ref)
        _media.hold_accounts(tx, goal["media"])
    for disk in plan.existing_disks:
        row = _rules.owned(tx, disks.KIND, disk, place.subscription, errors.DISK_NOT_FOUND())
        if row.goal["attached"]:
            raise errors.DISK_IN_USE(name=row.goal["name"], **row.goal["attached"])
        after.append(tx.set_goal(disks.KIND, disk, {**row.goal, "attached": used}).ref)
    return after


def remove_role(tx: Tx, role: Resource, *, delete_disks: bool) -> None:
    """Remove a role's machine, then detach its disks, or delete them with their blobs."""
    tx.remove("role", role.key)
    for one in role.goal["disks"]:
        disk = _rules.find(tx, disks.KIND, disks.key_of(role.subscription, one["name"]), role.subscription)
        if disk is not None:
            disks.release_from_role(tx, disk, role, delete=delete_disks)


def remove_deployment(tx: Tx, row: Resource, *, delete_disks: bool) -> None:
    """Remove a deployment with its roles, its instances and packages, and its virtual IP."""
    roles, instances = tx.list("role", parent=row.key), tx.list("role_instance", parent=row.key)
    after = [one.ref for one in (*roles, *instances)]
    for one in instances:
        tx.remove(one.kind, one.key)
    for package in tx.list("package", parent=row.key):
        tx.remove(package.kind, package.key, after=[one.ref for one in instances])
    for role in roles:
        if role.present:
            remove_role(tx, role, delete_disks=delete_disks)
    for address in tx.list(_virtual_ips.KIND, parent=row.key):
        tx.remove(_virtual_ips.KIND, address.key, after=after)
    tx.remove(KIND, row.key, after=after)


class Deployments:
    """Create deployments of virtual machines; read and delete deployments of both kinds.

    Args:
        engine: Takes the changes.
        planner: Checks roles.
        view: Tells of deployments of virtual machines.
        packages: Tells of deployments of packages.
        networks: From which virtual IPs are taken (see `_virtual_ips.blocks_of`).
        quotas: How many cores a subscription may have.
    """

    def __init__(
        self,
        engine: Engine,
        planner: RolePlanner,
        view: DeploymentView,
        packages: PackageView,
        networks: list[str],
        quotas: Quotas,
    ) -> None:
        self._packages = packages
        self._quotas = quotas
        self._engine = engine
        self._read = engine.store.read
        self._planner = planner
        self._view = view
        self._networks = networks

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Create Virtual Machine Deployment": self.create,
            "Get Deployment by name": self.get,
            "Get Deployment by slot": self.get_by_slot,
            "Delete Deployment by name": self.delete,
            "Delete Deployment by slot": self.delete_by_slot,
            "Delete Cloud Service and its media": self.delete_service_and_media,
        }

    def of_service(self, reader: Reader, service_key: str) -> list[Deployment]:
        """A hosted service's deployments (Get Cloud Service Properties with embed-detail)."""
        rows = reader.list(KIND, parent=service_key)
        return [self._shown(reader, row) for row in rows]

    def create(self, call: Call) -> Reply:
        """Create Virtual Machine Deployment: its operation succeeds once the machines have been started."""
        body = call.body
        service = self._read(lambda reader: require_service(reader, call))
        slot = SLOTS.get((body.deployment_slot or "").lower())
        if slot is None:
            raise errors.INVALID_ELEMENT(element="DeploymentSlot", expected="Production or Staging")
        name = _rules.check_resource_name(body.name, "a deployment")
        site = self._read(
            lambda reader: virtual_networks.site_for(reader, service, body.virtual_network_name)
        )
        _rules.check_label(body.label)
        if not body.role_list:
            raise errors.MISSING_ELEMENT(element="Role", parent="RoleList")
        dns = _dns.goals_of(body.dns)
        self._read(lambda reader: require_free(reader, service, name, slot))
        place = Place(call.subscription, service.goal["name"], name, service.goal["location"])
        plans = [self._planner.plan(place, role) for role in body.role_list]
        key = key_of(service.key, name)

        def change(tx: Tx) -> None:
            tx.lock("hosted_service", require_service(tx, call).key)
            require_free(tx, service, name, slot)
            virtual_networks.site_for(tx, service, body.virtual_network_name)
            cores = sum(plan.goal["cores"] for plan in plans)
            self._quotas.check_cores(tx, call.subscription, cores)
            self._quotas.check(
                "dns_servers", virtual_networks.dns_servers_of(tx, call.subscription), len(dns)
            )
            if body.reserved_ip_name:
                reserved_ips.require_unused(tx, call.subscription, body.reserved_ip_name)
            goal = {
                "name": name,
                "service": service.goal["name"],
                "slot": slot,
                "label": body.label,
                "private_id": uuid.uuid4().hex,
                "virtual_network": site and site.goal["name"],
                "reserved_ip": body.reserved_ip_name or None,
                "dns": dns,
            }
            taken = errors.DEPLOYMENT_EXISTS(name=name)
            _rules.insert(
                tx, KIND, key, subscription=call.subscription, parent=service.key, goal=goal, taken=taken
            )
            _virtual_ips.allocate(tx, self._networks, call.subscription, key)
            for plan in plans:
                insert_role(tx, plan, place, key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def get(self, call: Call) -> Reply:
        """Get Deployment by name. ResourceNotFound: No deployments were found."""

        def read(reader: Reader) -> Deployment:
            service = require_service(reader, call)
            row = reader.get(KIND, key_of(service.key, call.params["deployment"]))
            if row is None:
                raise errors.DEPLOYMENT_NOT_FOUND()
            return self._shown(reader, row)

        return Reply(self._read(read))

    def get_by_slot(self, call: Call) -> Reply:
        """Get Deployment by slot."""

        def read(reader: Reader) -> Deployment:
            return self._shown(reader, in_slot(reader, call))

        return Reply(self._read(read))

    def delete(self, call: Call) -> Reply:
        """Delete Deployment by name; with `comp=media` its disks and their blobs go too."""
        return self._delete(call, lambda tx: require(tx, call))

    def delete_by_slot(self, call: Call) -> Reply:
        """Delete Deployment by slot."""
        return self._delete(call, lambda tx: in_slot(tx, call))

    def delete_service_and_media(self, call: Call) -> Reply:
        """Delete Cloud Service with its deployments, their disks and the disks' blobs."""

        def change(tx: Tx) -> None:
            service = require_service(tx, call)
            rows = tx.list(KIND, parent=service.key)
            for row in rows:
                if not row.present:
                    raise _rules.locked(row)
                remove_deployment(tx, row, delete_disks=True)
            for certificate in tx.list("service_certificate", parent=service.key):
                tx.remove("service_certificate", certificate.key)
            tx.remove("hosted_service", service.key, after=[row.ref for row in rows])

        _rules.accept(self._engine, call, change)
        return Reply()

    def _shown(self, reader: Reader, row: Resource) -> Deployment:
        if _upgrade.is_package(row):
            return self._packages.deployment(reader, row)
        return self._view.deployment(reader, row)

    def _delete(self, call: Call, find: Callable[[Tx], Resource]) -> Reply:
        delete_disks = call.query.get("comp", "").lower() == "media"

        def change(tx: Tx) -> None:
            row = find(tx)
            tx.lock("hosted_service", row.parent or "")
            remove_deployment(tx, row, delete_disks=delete_disks)

        _rules.accept(self._engine, call, change)
        return Reply()


def require_free(reader: Reader, service: Resource, name: str, slot: str) -> None:
    """Refuse a name or a slot that another deployment of the service has."""
    for row in reader.list(KIND, parent=service.key):
        if row.goal["slot"] != slot and row.goal["name"].lower() != name.lower():
            continue
        if not row.present:
            raise _rules.locked(row)
        if row.goal["slot"] == slot:
            raise errors.SLOT_OCCUPIED(slot=slot)
        raise errors.DEPLOYMENT_EXISTS(name=name)


def in_slot(reader: Reader, call: Call) -> Resource:
    """The deployment in the slot that a call names."""
    service = require_service(reader, call)
    slot = SLOTS.get(call.params["slot"].lower())
    for row in reader.list(KIND, parent=service.key):
        if row.goal["slot"] == slot and row.present:
            return row
    raise errors.DEPLOYMENT_NOT_FOUND()
