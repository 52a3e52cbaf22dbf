"""Operations on the roles of a deployment: add, start, stop, capture, remove (behaviours.md, section 12)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import (
    _media,
    _private_networks,
    _rules,
    _upgrade,
    deployments,
    disks,
    os_images,
    resource_extensions,
    vm_images,
)
from reddog.services._call import Call, Handler, Reply
from reddog.services._deployment_view import DeploymentView
from reddog.services._endpoints import network_goal
from reddog.services._media import MediaLinks
from reddog.services._provisioning import host_name
from reddog.services._role_plan import Place, RolePlanner, configuration_sets, size_goal
from reddog.services._role_reconciler import machine_id
from reddog.services.quotas import Quotas
from reddog.services.role_sizes import require_size
from reddog.wire import PersistentVMRole, errors

CAPTURE_ACTIONS = ("delete", "reprovision")
_BUILT_IN = ("size", "address")  # of a role: what its machine is made anew for
SHUTDOWN_ACTIONS = {"": "stopped", "stopped": "stopped", "stoppeddeallocated": "deallocated"}


class Roles:
    """Read, add, start, stop, capture and remove roles.

    Args:
        engine: Takes the changes.
        planner: Checks new roles.
        view: Tells of roles.
        media: Reads media links.
        images: Knows the names of the platform's images.
        quotas: How many cores a subscription may have.
    """

    def __init__(
        self,
        engine: Engine,
        planner: RolePlanner,
        view: DeploymentView,
        media: MediaLinks,
        images: os_images.OSImagesService,
        quotas: Quotas,
    ) -> None:
        self._quotas = quotas
        self._engine = engine
        self._read = engine.store.read
        self._planner = planner
        self._view = view
        self._media = media
        self._images = images

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Get Role": self.get,
            "Add Role": self.add,
            "Update Role": self.update,
            "Delete Role": self.delete,
            "Start Role": self.start,
            "Restart Role": self.restart,
            "Shutdown Role": self.shut_down,
            "Start Roles": self.start_several,
            "Shutdown Roles": self.shut_down_several,
            "Capture VM Image": self.capture_vm_image,
            "Capture Role": self.capture_role,
        }

    def get(self, call: Call) -> Reply:
        """Get Role. ResourceNotFound: the deployment has no such role."""

        def read(reader: Reader) -> PersistentVMRole:
            return self._view.role(reader, require_role(reader, call))

        return Reply(self._read(read))

    def add(self, call: Call) -> Reply:
        """Add Role: another machine in a deployment."""
        place = self._read(lambda reader: _place(reader, call))
        plan = self._planner.plan(place, call.body)

        def change(tx: Tx) -> None:
            deployment = lock_deployment(tx, call)
            self._quotas.check_cores(tx, call.subscription, plan.goal["cores"])
            deployments.insert_role(tx, plan, place, deployment.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def update(self, call: Call) -> Reply:
        """Update Role: its endpoints at once, its size and its place in a virtual network by a restart, its
        availability set, guest agent and extensions.

        What the body leaves out stays as it is. Of the disks that the role has, host caching and LUNs change; data
        disks that it has not are added as by Add Data Disk. NotImplemented: the body has another system disk.
        """
        body = call.body
        before = self._read(lambda reader: require_role(reader, call))
        place = self._read(lambda reader: _place(reader, call))
        unknown, size_name = _unknown_disks(before, body), body.role_size or before.goal["size"]
        plan, new_disks = self._planner.plan_data_disks(place, before, unknown, size_name)
        network, _ = configuration_sets(body)
        changes: dict[str, Any] = {} if network is None else network_goal(network)
        if body.availability_set_name:
            changes["availability_set"] = body.availability_set_name
        size = size_goal(body.role_size) if body.role_size else {}

        def change(tx: Tx) -> None:
            role = require_role(tx, call)
            changes.update({**_extensions(role, body), "disks": _disks(role, body, new_disks)})
            changes.update(_moved(tx, role, changes))
            if size and len(changes["disks"]) - 1 > (require_size(size["size"]).max_data_disk_count or 0):
                limit = require_size(size["size"]).max_data_disk_count
                raise errors.TOO_MANY_DATA_DISKS(size=size["size"], limit=limit)
            lock_deployment(tx, call)
            if size and role.goal["power"] != "deallocated":
                self._quotas.check_cores(tx, call.subscription, size["cores"] - role.goal["cores"])
            goal = {**role.goal, **changes, **size}
            if any(goal[part] != role.goal[part] for part in _BUILT_IN):
                goal["rebuilds"] = role.goal.get("rebuilds", 0) + 1
            tx.set_goal("role", role.key, goal, after=deployments.insert_disks(tx, plan, place, role.key))

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Role; with `comp=media` its disks and their blobs go too. BadRequest: it is the only one."""
        delete_disks = call.query.get("comp", "").lower() == "media"

        def change(tx: Tx) -> None:
            role = require_role(tx, call)
            others = [
                one for one in tx.list("role", parent=role.parent) if one.present and one.key != role.key
            ]
            if not others:
                raise errors.ONLY_ROLE(name=role.goal["name"])
            lock_deployment(tx, call)
            deployments.remove_role(tx, role, delete_disks=delete_disks)

        _rules.accept(self._engine, call, change)
        return Reply()

    def start(self, call: Call) -> Reply:
        """Start Role: its operation ends when the guest is ready."""
        return self._change(call, [call.params["role"]], lambda goal: _started(goal, wait=True))

    def restart(self, call: Call) -> Reply:
        """Restart Role: its operation ends when the guest is ready again."""
        return self._change(call, [call.params["role"]], _restarted)

    def shut_down(self, call: Call) -> Reply:
        """Shutdown Role: `Stopped` keeps the address, `StoppedDeallocated` gives it up."""
        power = _shutdown_action(call.body.post_shutdown_action)
        return self._change(call, [call.params["role"]], lambda goal: _shut_down(goal, power))

    def start_several(self, call: Call) -> Reply:
        """Start Roles: its operation ends before the guests are ready."""
        return self._change(call, call.body.roles or [], lambda goal: _started(goal, wait=False))

    def shut_down_several(self, call: Call) -> Reply:
        """Shutdown Roles."""
        power = _shutdown_action(call.body.post_shutdown_action)
        return self._change(call, call.body.roles or [], lambda goal: _shut_down(goal, power))

    def capture_vm_image(self, call: Call) -> Reply:
        """Capture VM Image: all disks of the role; a generalized role is removed when that is done.

        BadRequest: a role to be captured as Generalized is not stopped.
        """
        body = call.body
        name = _rules.check_resource_name(body.vm_image_name, "an image")
        state = vm_images.os_state(body.os_state)
        attributes = {
            "label": body.vm_image_label,
            "description": body.description,
            "language": body.language,
            "image_family": body.image_family,
            "recommended_vm_size": body.recommended_vm_size,
        }
        given = {key: value for key, value in attributes.items() if value is not None}
        key, taken = vm_images.key_of(call.subscription, name), errors.IMAGE_EXISTS(name=name)

        stamp = self._free_stamp(call, name)

        def change(tx: Tx) -> None:
            deployment = lock_deployment(tx, call)
            role = tx.lock("role", require_role(tx, call).key)
            if state == "Generalized":
                self._require_stopped(role)
            goal = {
                **self._captured(tx, role, deployment, name, stamp),
                "name": name,
                "os_state": state,
                "attributes": given,
            }
            _media.hold_accounts(tx, goal["media"])
            _rules.insert(tx, vm_images.KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        return Reply()

    def capture_role(self, call: Call) -> Reply:
        """Capture Role: the system disk becomes an OS image; the role is removed, or set up anew and started.

        BadRequest: the role is not stopped, or what is to set it up is missing or not acceptable.
        """
        body = call.body
        action = (body.post_capture_action or "").lower()
        if action not in CAPTURE_ACTIONS:
            raise errors.INVALID_ELEMENT(element="PostCaptureAction", expected="Delete or Reprovision")
        name = _rules.check_resource_name(body.target_image_name, "an image")
        self._images.require_own_name(name)
        key, taken = os_images.key_of(call.subscription, name), errors.IMAGE_EXISTS(name=name)
        stamp = self._free_stamp(call, name)
        provisioning = self._reprovisioning(call) if action == "reprovision" else None

        def change(tx: Tx) -> None:
            deployment = lock_deployment(tx, call)
            role = tx.lock("role", require_role(tx, call).key)
            self._require_stopped(role)
            captured = self._captured(tx, role, deployment, name, stamp)
            first = captured["disks"][0]
            goal = {
                "name": name,
                "label": body.target_image_label,
                "os": captured["os"],
                "media_link": first["media_link"],
                "media": [first["media"]],
                "size": first["size"],
                "source": first["source"],
                "location": captured["location"],
                "affinity_group": captured["affinity_group"],
                "attributes": {},
                "capture": {**captured["capture"], "reprovisioned": provisioning is not None},
            }
            _media.hold_accounts(tx, goal["media"])
            image = _rules.insert(
                tx, os_images.KIND, key, subscription=call.subscription, goal=goal, taken=taken
            )
            if provisioning is not None:
                self._reprovision(tx, role, image, provisioning, body.provisioning_configuration)

        _rules.accept(self._engine, call, change)
        return Reply()

    def _reprovisioning(self, call: Call) -> bytes:
        """The document that sets up a captured role anew."""
        service = self._read(lambda reader: deployments.require_service(reader, call))
        role = self._read(lambda reader: require_role(reader, call))
        place = Place(
            call.subscription, service.goal["name"], call.params["deployment"], service.goal["location"]
        )
        configuration = call.body.provisioning_configuration
        return self._planner.provisioning(place, role.goal["name"], configuration, role.goal["os"])

    def _reprovision(
        self, tx: Tx, role: Resource, image: Resource, provisioning: bytes, configuration: Any
    ) -> None:
        """Start a captured role as a new machine, once its image is there."""
        if role.goal["power"] == "deallocated":
            self._quotas.check_cores(tx, role.subscription, role.goal["cores"])
        goal = {
            **_started(role.goal, wait=False),
            "host_name": host_name(configuration),
            "identity": role.goal.get("identity", 0) + 1,
        }
        tx.set_goal("role", role.key, goal, after=[image.ref])
        tx.patch_state("role", role.key, provisioning=base64.b64encode(provisioning).decode())

    def _free_stamp(self, call: Call, name: str) -> str:
        """Ends the names of an image's blobs: the day, and a number if the day has such blobs already."""
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        stamps = (f"{today}-{number}" if number else today for number in count())

        def is_free(stamp: str) -> bool:
            found = self._read(lambda reader: _copies(reader, require_role(reader, call), name, stamp))
            return all(self._media.is_free(copy["media"]) for copy in found)

        return next(stamp for stamp in stamps if is_free(stamp))

    def _captured(
        self, tx: Tx, role: Resource, deployment: Resource, name: str, stamp: str
    ) -> dict[str, Any]:
        """The part of an image's goal that tells where its disks come from and go to."""
        copies = _copies(tx, role, name, stamp)
        first = disks.require(tx, role.subscription, role.goal["disks"][0]["name"])
        return {
            "os": role.goal["os"],
            "disks": copies,
            "media": [copy["media"] for copy in copies],
            "location": first.goal["location"],
            "affinity_group": first.goal["affinity_group"],
            "capture": {
                "service": deployment.goal["service"],
                "deployment": deployment.goal["name"],
                "role": role.goal["name"],
                "role_key": role.key,
                "deployment_key": deployment.key,
                "machine": machine_id(role),
                "state": self._view.status(role),
                "size": role.goal["size"],
            },
        }

    def _require_stopped(self, role: Resource) -> None:
        status = self._view.status(role)
        if status not in ("StoppedVM", "StoppedDeallocated"):
            raise errors.ROLE_NOT_STOPPED(name=role.goal["name"], status=status)

    def _change(
        self, call: Call, names: Sequence[str], new_goal: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> Reply:
        def change(tx: Tx) -> None:
            deployment = lock_deployment(tx, call)
            for name in names:
                role = _role(tx, deployment, name)
                goal = new_goal(role.goal)
                if role.goal["power"] == "deallocated" != goal["power"]:
                    self._quotas.check_cores(tx, call.subscription, goal["cores"])
                tx.set_goal("role", role.key, goal)

        _rules.accept(self._engine, call, change)
        return Reply()


def require_role(reader: Reader, call: Call) -> Resource:
    """The role that a call names."""
    return _role(reader, deployments.require(reader, call), call.params["role"])


def _role(reader: Reader, deployment: Resource, name: str) -> Resource:
    key, missing = deployments.role_key(deployment.key, name), errors.ROLE_NOT_FOUND(name=name)
    return _rules.owned(reader, "role", key, deployment.subscription, missing)


def lock_deployment(tx: Tx, call: Call) -> Resource:
    """Keep other operations away from the deployment that a call names."""
    return tx.lock(deployments.KIND, _require_machines(deployments.require(tx, call)).key)


def _require_machines(deployment: Resource) -> Resource:
    """The deployment, if it has virtual machines."""
    if _upgrade.is_package(deployment):
        raise errors.NOT_A_VM_DEPLOYMENT(name=deployment.goal["name"])
    return deployment


def _place(reader: Reader, call: Call) -> Place:
    """Where the role that a call names is, or is to be."""
    service = deployments.require_service(reader, call)
    deployment = _require_machines(deployments.require(reader, call))
    return Place(call.subscription, service.goal["name"], deployment.goal["name"], service.goal["location"])


def _moved(tx: Tx, role: Resource, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A role's subnet and static address after an update, and its address there; what is left out stays.

    :raises ServiceError: BadRequest; there is no such place, or the address is not free there.
    """
    subnet = changes.get("subnet_name") or role.goal["subnet_name"]
    moves = (subnet or "").lower() != (role.goal["subnet_name"] or "").lower()
    static = changes.get("static_address") or (None if moves else role.goal["static_address"])
    wanted = {"subnet_name": subnet, "static_address": static}
    if static == role.goal["address"] or not (moves or static != role.goal["static_address"]):
        return wanted
    found = _private_networks.allocate(tx, role.parent or "", [subnet] if subnet else [], static)
    stays = static is None and found["subnet"] == role.goal["subnet"]
    return wanted if stays else {**wanted, **found}


def _extensions(role: Resource, body: Any) -> dict[str, Any]:
    """What an update changes of a role's guest agent and extensions."""
    agent = body.provision_guest_agent
    agent = role.goal["provision_guest_agent"] if agent is None else agent
    changes: dict[str, Any] = {"provision_guest_agent": agent}
    if body.resource_extension_references is not None:
        references = list(body.resource_extension_references)
        changes["extensions"] = resource_extensions.goal_of(role.goal["name"], references, agent)
    return changes


def _unknown_disks(role: Resource, body: Any) -> list[Any]:
    """The data disks of an update that a role does not have."""
    known = {one["name"].lower() for one in role.goal["disks"]}
    return [
        disk for disk in body.data_virtual_hard_disks or () if (disk.disk_name or "").lower() not in known
    ]


def _disks(role: Resource, body: Any, new_disks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A role's disks as an update wants them."""
    given = {(disk.disk_name or "").lower(): disk for disk in body.data_virtual_hard_disks or ()}
    system, *others = role.goal["disks"]
    asked = body.os_virtual_hard_disk
    if asked is not None and (asked.disk_name or system["name"]).lower() != system["name"].lower():
        raise errors.NOT_SUPPORTED(operation="Update Role with another system disk")
    found = [_changed_disk(system, asked)]
    for one in others:
        found.append(_changed_disk(one, given.get(one["name"].lower())))
    found += new_disks
    luns = [one["lun"] for one in found]
    for lun in luns:
        if luns.count(lun) > 1 or (lun is not None and not 0 <= lun <= vm_images.HIGHEST_LUN):
            raise errors.INVALID_LUN(lun=lun, highest=vm_images.HIGHEST_LUN)
    return found


def _changed_disk(one: Mapping[str, Any], asked: Any) -> dict[str, Any]:
    if asked is None:
        return dict(one)
    lun = one["lun"] if getattr(asked, "lun", None) is None else asked.lun
    return {**one, "lun": lun, "caching": _media.caching(asked.host_caching, one["caching"])}


def _started(goal: Mapping[str, Any], *, wait: bool) -> dict[str, Any]:
    return {**goal, "power": "started", "starts": goal["starts"] + 1, "wait_ready": wait}


def _restarted(goal: Mapping[str, Any]) -> dict[str, Any]:
    return {**goal, "power": "started", "restarts": goal["restarts"] + 1, "wait_ready": True}


def _shut_down(goal: Mapping[str, Any], power: str) -> dict[str, Any]:
    """A role that has given up its machine stays without one."""
    return {**goal, "power": "deallocated" if goal["power"] == "deallocated" else power}


def _shutdown_action(given: str | None) -> str:
    power = SHUTDOWN_ACTIONS.get((given or "").lower())
    if power is None:
        expected = "Stopped or StoppedDeallocated"
        raise errors.INVALID_ELEMENT(element="PostShutdownAction", expected=expected)
    return power


def _copies(reader: Reader, role: Resource, image: str, stamp: str) -> list[dict[str, Any]]:
    """The disks of an image to be made of a role."""
    return [
        _copy(disks.require(reader, role.subscription, one["name"]), one, image, stamp)
        for one in role.goal["disks"]
    ]


def _copy(disk: Resource, one: Mapping[str, Any], image: str, stamp: str) -> dict[str, Any]:
    """One disk of an image to be: its blob lies beside the disk's own (behaviours.md, section 12)."""
    part = "os" if one["lun"] is None else f"datadisk-{one['lun']}"
    name = f"{image}-{part}-{stamp}"
    media = disk.goal["media"][0]
    folder, _, _ = media["blob"].rpartition("/")
    blob = f"{name}.vhd"
    return {
        "name": name,
        "lun": one["lun"],
        "caching": one["caching"],
        "media_link": f"{disk.goal['media_link'].rsplit('/', 1)[0]}/{blob}",
        "media": {**media, "blob": f"{folder}/{blob}" if folder else blob},
        "size": disk.goal["size"],
        "source": {"type": "blob", "media": media},
    }
