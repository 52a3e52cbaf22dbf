"""Deployments of packages: create, configure, upgrade, start, suspend, swap them (behaviours.md, section 11)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from itertools import count, islice
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import (
    _private_networks,
    _rules,
    _upgrade,
    _virtual_ips,
    deployments,
    reserved_ips,
    virtual_networks,
)
from reddog.services._call import Call, Handler, Reply
from reddog.services._instance_reconciler import KIND as INSTANCE
from reddog.services._instance_reconciler import PACKAGE_KIND as PACKAGE
from reddog.services._package_plan import (
    PackagePlan,
    PackagePlanner,
    Plan,
    check_references,
    keeps_local_data,
    with_revisions,
)
from reddog.services.quotas import Quotas
from reddog.wire import errors

STATUSES = {"running": True, "suspended": False}


def require(reader: Reader, call: Call) -> Resource:
    """The deployment that a call names, by its name or by its slot; it has a package.

    :raises ServiceError: there is none, or it has virtual machines.
    """
    by_slot = "slot" in call.params
    row = deployments.in_slot(reader, call) if by_slot else deployments.require(reader, call)
    if not _upgrade.is_package(row):
        raise errors.NOT_A_PACKAGE_DEPLOYMENT(name=row.goal["name"])
    return row


class PackageDeployments:
    """Operations on deployments of packages.

    Args:
        engine: Takes the changes.
        planner: Takes packages in and checks configurations.
        networks: From which virtual IPs are taken.
        quotas: How many cores a subscription may have.
    """

    def __init__(self, engine: Engine, planner: PackagePlanner, networks: list[str], quotas: Quotas) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._planner = planner
        self._networks = networks
        self._quotas = quotas

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        both = {
            "Change Deployment Configuration": self.change_configuration,
            "Update Deployment Status": self.update_status,
            "Upgrade Deployment": self.upgrade,
            "Walk Upgrade Domain": self.walk,
            "Rollback Update Or Upgrade": self.roll_back,
        }
        return {
            "Create Deployment (package)": self.create,
            "Swap Deployment": self.swap,
            **{f"{name} by {way}": handler for name, handler in both.items() for way in ("name", "slot")},
        }

    def create(self, call: Call) -> Reply:
        """Create Deployment: it is suspended, unless StartDeployment is true."""
        body = call.body
        slot = deployments.SLOTS.get(call.params["slot"].lower())
        if slot is None:
            raise errors.INVALID_ELEMENT(element="deployment slot", expected="production or staging")
        name = _rules.check_resource_name(body.name, "a deployment")
        _check(body)
        service = self._read(lambda reader: deployments.require_service(reader, call))
        self._read(lambda reader: deployments.require_free(reader, service, name, slot))
        plan = self._planner.take(call.subscription, service, body.package_url, body.configuration)
        running = bool(body.start_deployment)

        def change(tx: Tx) -> None:
            tx.lock("hosted_service", deployments.require_service(tx, call).key)
            deployments.require_free(tx, service, name, slot)
            self._quotas.check_cores(tx, call.subscription, _cores(plan.roles))
            virtual_networks.site_for(tx, service, plan.virtual_network)
            check_references(tx, service, plan.configuration)
            self._check_dns(tx, call.subscription, len(plan.dns))
            reserved = plan.configuration.reserved_ip
            if reserved is not None:
                reserved_ips.require_unused(tx, call.subscription, reserved)
            current = plan.as_goal(body.label, body.configuration)
            goal = {
                "name": name,
                "service": service.goal["name"],
                "slot": slot,
                "label": body.label,
                "private_id": uuid.uuid4().hex,
                "virtual_network": plan.virtual_network,
                "reserved_ip": reserved,
                "dns": plan.dns,
                "extended_properties": body.extended_properties or {},
                "revision": 1,
                "running": running,
                "current": {**current, "roles": with_revisions(plan.roles, {}, 1)},
                "previous": None,
                "upgrade": None,
            }
            key = deployments.key_of(service.key, name)
            taken = errors.DEPLOYMENT_EXISTS(name=name)
            row = _rules.insert(
                tx,
                deployments.KIND,
                key,
                subscription=call.subscription,
                parent=service.key,
                goal=goal,
                taken=taken,
            )
            _virtual_ips.allocate(tx, self._networks, call.subscription, key)
            _keep_package(tx, row, plan, body.package_url)
            _fit_instances(tx, row)

        self._accept_package(call, plan, change)
        return Reply()

    def change_configuration(self, call: Call) -> Reply:
        """Change Deployment Configuration: instances come and go at once, changed roles go domain by domain."""
        body = call.body
        _check(body)
        mode = _mode(body.mode or "Auto")
        self._read(lambda reader: require(reader, call))

        def change(tx: Tx) -> Resource:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            _refuse_during_manual(tx, row)
            service = _service(tx, row)
            current = row.goal["current"]
            package = tx.get(PACKAGE, current["package"])
            assert package is not None
            plan = self._planner.configure(service, package, body.configuration)
            _require_same_network(row, plan)
            roles = {
                name: found if old["package"] == package.key else _configured(old, found)
                for name, found in plan.roles.items()
                if (old := current["roles"][name])
            }
            new = {**plan.as_goal(current["label"], body.configuration), "roles": roles}
            goal = {**row.goal, "upgrade": {"type": mode, "walked": 0}}
            if body.extended_properties is not None:
                goal["extended_properties"] = body.extended_properties
            return self._replace(tx, row, goal, new)

        return self._accept(call, change)

    def upgrade(self, call: Call) -> Reply:
        """Upgrade Deployment to another package, in all roles or in one.

        BadRequest: roles come or go, or local data would be lost, and Force is not true.
        """
        body = call.body
        _check(body)
        mode = _mode(body.mode)
        row = self._read(lambda reader: require(reader, call))
        service = self._read(lambda reader: _service(reader, row))
        plan = self._planner.take(call.subscription, service, body.package_url, body.configuration)
        only = body.role_to_upgrade or None

        def change(tx: Tx) -> Resource:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            _refuse_during_manual(tx, row)
            _require_same_network(row, plan)
            check_references(tx, service, plan.configuration)
            current = row.goal["current"]
            roles = _upgraded(current["roles"], plan.roles, only, force=bool(body.force))
            new = {**plan.as_goal(body.label, body.configuration), "roles": roles}
            goal = {**row.goal, "label": body.label, "upgrade": {"type": mode, "walked": 0}}
            if body.extended_properties is not None:
                goal["extended_properties"] = body.extended_properties
            _keep_package(tx, row, plan, body.package_url)
            return self._replace(tx, row, goal, new)

        row = self._accept_package(call, plan, change)
        self._look_at_instances(row)
        return Reply()

    def walk(self, call: Call) -> Reply:
        """Walk Upgrade Domain: lets the next domain of a manual update go. BadRequest: it is another's turn."""
        wanted = call.body.upgrade_domain

        def change(tx: Tx) -> Resource:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            name, upgrade = row.goal["name"], row.goal["upgrade"]
            if upgrade is None or not _upgrade.is_underway(row, tx.list(INSTANCE, parent=row.key)):
                raise errors.NO_UPGRADE_UNDERWAY(name=name, action="walk")
            if upgrade["type"] != "Manual":
                raise errors.UPGRADE_NOT_MANUAL(name=name, mode=upgrade["type"])
            if wanted != upgrade["walked"]:
                raise errors.WRONG_UPGRADE_DOMAIN(expected=upgrade["walked"], given=wanted)
            goal = {**row.goal, "upgrade": {**upgrade, "walked": wanted + 1}}
            return tx.set_goal(deployments.KIND, row.key, goal)

        return self._accept(call, change)

    def roll_back(self, call: Call) -> Reply:
        """Rollback Update Or Upgrade: instances that have changed go back, domain by domain."""
        mode, force = _mode(call.body.mode), bool(call.body.force)

        def change(tx: Tx) -> Resource:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            name, previous = row.goal["name"], row.goal["previous"]
            if not _upgrade.is_underway(row, tx.list(INSTANCE, parent=row.key)):
                raise errors.NO_UPGRADE_UNDERWAY(name=name, action="roll back")
            if previous is None:
                raise errors.ROLLBACK_NOT_ALLOWED(name=name)
            for role, plan in row.goal["current"]["roles"].items():
                old = previous["roles"].get(role)
                if old is not None and not force and not keeps_local_data(plan, old):
                    raise errors.LOCAL_DATA_WOULD_BE_LOST(role=role)
            goal = {
                **row.goal,
                "label": previous["label"],
                "current": previous,
                "previous": None,
                "upgrade": {"type": mode, "walked": 0},
            }
            return self._change_to(tx, row, goal)

        return self._accept(call, change)

    def update_status(self, call: Call) -> Reply:
        """Update Deployment Status: Running starts the instances, Suspended stops them."""
        running = STATUSES.get((call.body.status or "").lower())
        if running is None:
            raise errors.INVALID_ELEMENT(element="Status", expected="Running or Suspended")

        def change(tx: Tx) -> Resource:
            row = tx.lock(deployments.KIND, require(tx, call).key)
            row = tx.set_goal(deployments.KIND, row.key, {**row.goal, "running": running})
            for one in _present(tx, row):
                tx.set_goal(INSTANCE, one.key, {**one.goal, "running": running})
            return row

        return self._accept(call, change)

    def swap(self, call: Call) -> Reply:
        """Swap Deployment: the staged deployment and the one in production change slots and addresses."""
        body = call.body

        def change(tx: Tx) -> list[Resource]:
            service = deployments.require_service(tx, call)
            tx.lock("hosted_service", service.key)
            slots = {row.goal["slot"]: row for row in tx.list(deployments.KIND, parent=service.key)}
            staged, production = slots.get("Staging"), slots.get("Production")
            if staged is None or staged.goal["name"].lower() != (body.source_deployment or "").lower():
                raise errors.SWAP_SOURCE_NOT_STAGED(name=body.source_deployment or "")
            named, actual = body.production or "", production.goal["name"] if production is not None else ""
            if named.lower() != actual.lower():
                raise errors.SWAP_PRODUCTION_DIFFERS(actual=actual or "empty", given=named or "empty")
            rows = [row for row in (staged, production) if row is not None]
            for row in rows:
                if not row.present:
                    raise _rules.locked(row)
                if not _upgrade.is_package(row):
                    raise errors.NOT_A_PACKAGE_DEPLOYMENT(name=row.goal["name"])
            return _exchange(tx, staged, production)

        for row in _rules.accept(self._engine, call, change):
            self._look_at_instances(row)
        return Reply()

    # -- inside ---------------------------------------------------------------------------------------------

    def _replace(self, tx: Tx, row: Resource, goal: dict[str, Any], new: dict[str, Any]) -> Resource:
        """Have a deployment go to another version; the one before is kept for a roll-back."""
        revision = row.goal["revision"] + 1
        roles = with_revisions(new["roles"], row.goal["current"]["roles"], revision)
        goal |= {
            "revision": revision,
            "current": {**new, "roles": roles},
            "previous": row.goal["current"],
        }
        return self._change_to(tx, row, goal)

    def _change_to(self, tx: Tx, row: Resource, goal: dict[str, Any]) -> Resource:
        self._quotas.check_cores(
            tx, row.subscription, _cores(goal["current"]["roles"]) - _cores(row.goal["current"]["roles"])
        )
        unused = _unused_packages(tx, row, goal)
        changed = tx.set_goal(deployments.KIND, row.key, goal)
        servers = goal["current"].get("dns", [])
        if servers != row.goal["current"].get("dns", []):
            self._check_dns(tx, row.subscription, len(servers) - len(row.goal.get("dns", ())))
            changed = _private_networks.changed(tx, changed, dns=servers)
        _fit_instances(tx, changed)
        for package in unused:
            tx.remove(PACKAGE, package.key)
        return changed

    def _check_dns(self, reader: Reader, subscription: str, more: int) -> None:
        self._quotas.check("dns_servers", virtual_networks.dns_servers_of(reader, subscription), more)

    def _accept(self, call: Call, change: Callable[[Tx], Resource]) -> Reply:
        self._look_at_instances(_rules.accept(self._engine, call, change))
        return Reply()

    def _accept_package(self, call: Call, plan: PackagePlan, change: Callable[[Tx], Any]) -> Any:
        """Accept a change that keeps a package; if it is refused, the package goes."""
        try:
            return _rules.accept(self._engine, call, change)
        except BaseException:
            self._planner.discard(plan)
            raise

    def _look_at_instances(self, row: Resource) -> None:
        """Have the engine look at a deployment's instances now."""
        for one in self._read(lambda reader: reader.list(INSTANCE, parent=row.key)):
            self._engine.poke(*one.ref)


# -- Instances and packages of a deployment ------------------------------------------------------------------


def _present(reader: Reader, row: Resource, role: str | None = None) -> list[Resource]:
    found = [one for one in reader.list(INSTANCE, parent=row.key) if one.present]
    return [one for one in found if role is None or one.goal["role"] == role]


def instance_key(deployment: str, role: str, index: int) -> str:
    """An instance's key."""
    return f"{deployment}/{role}_in_{index}".lower()


def _fit_instances(tx: Tx, row: Resource) -> None:
    """Add and remove instances, so that every role has as many as the deployment's goal says."""
    current = row.goal["current"]
    for one in _present(tx, row):
        if one.goal["role"] not in current["roles"]:
            tx.remove(INSTANCE, one.key)
    for name, plan in current["roles"].items():
        here = sorted(_present(tx, row, name), key=lambda one: int(one.goal["index"]))
        for one in here[plan["count"] :]:
            tx.remove(INSTANCE, one.key)
        taken = {one.goal["index"] for one in here}
        free = (index for index in count() if index not in taken)
        for index in islice(free, max(0, plan["count"] - len(here))):
            _add_instance(tx, row, name, index, plan)


def _add_instance(tx: Tx, row: Resource, role: str, index: int, plan: Plan) -> None:
    goal = {
        **_private_networks.allocate(tx, row.key, plan.get("subnets", ())),
        "role": role,
        "index": index,
        "upgrade_domain": index % row.goal["current"]["upgrade_domains"],
        "fault_domain": index % 2,
        "running": row.goal["running"],
        "reboots": 0,
        "reimages": 0,
    }
    key = instance_key(row.key, role, index)
    _rules.insert(
        tx,
        INSTANCE,
        key,
        subscription=row.subscription,
        parent=row.key,
        goal=goal,
        taken=errors.CONFLICTING_CHANGE(detail=key),
        after=[(PACKAGE, plan["package"])],
    )


def _keep_package(tx: Tx, row: Resource, plan: PackagePlan, url: str) -> None:
    goal = {
        "url": url,
        "definition": plan.definition,
        "sdk_version": plan.sdk_version,
        "roles": list(plan.roles),
    }
    tx.insert(PACKAGE, plan.package, subscription=row.subscription, parent=row.key, goal=goal)


def _unused_packages(reader: Reader, row: Resource, goal: Mapping[str, Any]) -> list[Resource]:
    """Packages of a deployment that neither its versions, old and new, nor its instances need."""
    used = {one.state["applied"]["package"] for one in _present(reader, row) if "applied" in one.state}
    for version in (row.goal["current"], row.goal["previous"], goal["current"], goal["previous"]):
        if version is not None:
            used |= {version["package"], *(plan["package"] for plan in version["roles"].values())}
    return [one for one in reader.list(PACKAGE, parent=row.key) if one.key not in used and one.present]


def _exchange(tx: Tx, staged: Resource, production: Resource | None) -> list[Resource]:
    """Have two deployments change slots, addresses and reserved IPs; all of it, or none, when accepted."""
    changed = [tx.set_goal(deployments.KIND, staged.key, {**staged.goal, "slot": "Production"})]
    if production is None:
        return changed
    addresses = {
        row.key: [one.key for one in tx.list(_virtual_ips.KIND, parent=row.key)]
        for row in (staged, production)
    }
    for row, other in ((staged, production), (production, staged)):
        slot = {"slot": other.goal["slot"], "reserved_ip": other.goal["reserved_ip"]}
        changed.append(tx.set_goal(deployments.KIND, row.key, {**row.goal, **slot}))
        for address in addresses[row.key]:
            tx.drop(_virtual_ips.KIND, address)
    for row, other in ((staged, production), (production, staged)):
        for address in addresses[other.key]:
            goal = {"deployment": row.key}
            tx.insert(_virtual_ips.KIND, address, subscription=row.subscription, parent=row.key, goal=goal)
    return changed[1:]


# -- Checks --------------------------------------------------------------------------------------------------


def _service(reader: Reader, row: Resource) -> Resource:
    service = reader.get("hosted_service", row.parent or "")
    if service is None:
        raise errors.HOSTED_SERVICE_NOT_FOUND()
    return service


def _check(body: Any) -> None:
    _rules.check_label(getattr(body, "label", None))
    _rules.check_extended_properties(body.extended_properties)
    extensions = body.extension_configuration
    if extensions is not None and (extensions.all_roles or extensions.named_roles):
        raise errors.NOT_SUPPORTED(operation="ExtensionConfiguration of deployments")


def _require_same_network(row: Resource, plan: PackagePlan) -> None:
    """Refuse to move a deployment, or roles that it has, to another virtual network or subnet."""
    here = row.goal["virtual_network"]
    if here != plan.virtual_network:
        raise errors.DEPLOYMENT_CANNOT_MOVE(
            name=row.goal["name"], here=here or "none", there=plan.virtual_network or "none"
        )
    for name, role in row.goal["current"]["roles"].items():
        here = ", ".join(role.get("subnets", ()))
        if name in plan.roles and ", ".join(plan.roles[name]["subnets"]).lower() != here.lower():
            raise errors.ROLE_CANNOT_MOVE(role=name, here=here or "none")


def _mode(given: str | None) -> str:
    mode = _upgrade.MODES.get((given or "").lower())
    if mode is None:
        raise errors.INVALID_ELEMENT(element="Mode", expected=", ".join(_upgrade.MODES.values()))
    return mode


def _cores(roles: Mapping[str, Plan]) -> int:
    return sum(plan["cores"] * plan["count"] for plan in roles.values())


def _refuse_during_manual(tx: Tx, row: Resource) -> None:
    """Refuse another update while one waits for its upgrade domains to be walked."""
    upgrade = row.goal["upgrade"]
    underway = _upgrade.is_underway(row, tx.list(INSTANCE, parent=row.key))
    if underway and upgrade is not None and upgrade["type"] == "Manual" and row.goal["running"]:
        raise errors.UPGRADE_UNDERWAY(name=row.goal["name"])


def _configured(before: Plan, plan: Plan) -> Plan:
    """A role's plan with what the configuration says of another one; its package stays."""
    return {**before, **{name: plan[name] for name in ("settings", "certificates", "count")}}


def _upgraded(
    before: Mapping[str, Plan], new: Mapping[str, Plan], only: str | None, *, force: bool
) -> dict[str, Plan]:
    """The plans after an upgrade of all roles, or of one.

    :raises ServiceError: there is no such role, or what the upgrade does needs Force.
    """
    if only is not None:
        name = next((name for name in new if name.lower() == only.lower()), None)
        if name is None:
            raise errors.UNKNOWN_UPGRADE_ROLE(name=only, names=", ".join(new))
        if set(before) == set(new):
            new = {
                role: plan if role == name else _configured(before[role], plan) for role, plan in new.items()
            }
    if set(before) != set(new) and (only is not None or not force):
        raise errors.ROLES_DIFFER(names=", ".join(sorted(set(before) ^ set(new))))
    for name, plan in new.items():
        if name in before and not force and not keeps_local_data(before[name], plan):
            raise errors.LOCAL_DATA_WOULD_BE_LOST(role=name)
    return dict(new)
