"""What a role's description asks for, checked and made definite before anything is changed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reddog.engine import Engine, Resource
from reddog.fabric.provisioning import GuestCertificate
from reddog.services import (
    _media,
    _provisioning,
    _rules,
    disks,
    resource_extensions,
    service_certificates,
    vm_images,
)
from reddog.services._endpoints import network_goal
from reddog.services._media import MediaLinks
from reddog.services.os_images import ImageSource, OSImagesService, system
from reddog.services.role_sizes import require_size
from reddog.wire import (
    ConfigurationSet,
    LinuxConfigurationSet,
    WindowsConfigurationSet,
    errors,
)

_ROLE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Place:
    """Where a role is to be: subscription, hosted service, deployment, and the service's location."""

    subscription: str
    service: str
    deployment: str
    location: str | None


@dataclass
class RolePlan:
    """A role to be made. `new_disks` are goals of disks to insert; `disks` names those already there."""

    name: str
    goal: dict[str, Any]
    provisioning: bytes | None = field(repr=False)
    new_disks: list[dict[str, Any]]
    existing_disks: list[str]


class RolePlanner:
    """Turns a `Role` of a request into a `RolePlan`.

    Args:
        engine: Whose store is read.
        media: Reads media links.
        images: Knows the OS images.
        endpoints: Gives an account's endpoint URLs, the blob service's first.
    """

    def __init__(
        self,
        engine: Engine,
        media: MediaLinks,
        images: OSImagesService,
        endpoints: Callable[[str], list[str]],
    ) -> None:
        self._read = engine.store.read
        self._media = media
        self._images = images
        self._endpoints = endpoints

    def plan(self, place: Place, role: Any) -> RolePlan:
        """Check everything that can be checked without changing anything.

        :raises ServiceError: a name, size, image, media link, disk, endpoint or password is not acceptable.
        """
        name = role.role_name or ""
        if not _ROLE_NAME.fullmatch(name):
            rule = "use 1 to 64 letters, digits, hyphens, dots and underscores, with a letter or digit first."
            raise errors.INVALID_NAME(name=name, what="a role", rule=rule)
        size = require_size(role.role_size or "Small")
        network, configuration = configuration_sets(role)
        plan = RolePlan(name, {}, None, [], [])
        described = self._disks(place, role, plan)
        if len(described) - 1 > (size.max_data_disk_count or 0):
            raise errors.TOO_MANY_DATA_DISKS(size=size.name, limit=size.max_data_disk_count)
        if described[0].pop("generalized"):
            plan.provisioning = self.provisioning(place, name, configuration, described[0]["os"])
        plan.goal = {
            "name": name,
            **size_goal(role.role_size or "Small"),
            "disks": [{key: disk[key] for key in ("name", "lun", "caching")} for disk in described],
            "os": described[0]["os"],
            **network_goal(network),
            "host_name": configuration and _provisioning.host_name(configuration),
            "availability_set": role.availability_set_name or None,
            "provision_guest_agent": role.provision_guest_agent,
            "extensions": resource_extensions.goal_of(
                name, role.resource_extension_references or (), role.provision_guest_agent
            ),
            "vm_image": role.vm_image_name or None,
            "label": role.label,
            "power": "started",
            "starts": 1,
            "restarts": 0,
            "rebuilds": 0,
        }
        return plan

    def plan_data_disks(
        self, place: Place, role: Resource, given: Iterable[Any], size: str
    ) -> tuple[RolePlan, list[dict[str, Any]]]:
        """Data disks for a role that is there: what to insert, and the role's new entries.

        :raises ServiceError: the role's size, which is named, takes no more, or a disk is not acceptable.
        """
        plan = RolePlan(role.goal["name"], {}, None, [], [])
        entries: list[dict[str, Any]] = []
        limit = require_size(size).max_data_disk_count or 0
        for disk in given:
            others = [*role.goal["disks"], *entries]
            if len(others) > limit:  # the system's disk does not count
                raise errors.TOO_MANY_DATA_DISKS(size=size, limit=limit)
            if disk.lun is None:
                taken = [other["lun"] for other in others]
                disk.lun = next(lun for lun in range(limit + 1) if lun not in taken)
            stamp = _Stamp(place, f"{plan.name}-{disk.lun}")
            entries.append(self._data_disk(place, disk, stamp, plan, others))
        return plan, entries

    def provisioning(self, place: Place, role: str, configuration: Any, os: str) -> bytes:
        """The document that sets up a guest of a generalized image.

        :raises ServiceError: there is no configuration for that operating system, or it is not acceptable.
        """
        expected = WindowsConfigurationSet if os == "Windows" else LinuxConfigurationSet
        if not isinstance(configuration, expected):
            raise errors.PROVISIONING_REQUIRED(role=role, os=os)

        def find(thumbprint: str) -> GuestCertificate:
            return self._read(lambda reader: service_certificates.find(reader, place.service, thumbprint))

        return _provisioning.document(configuration, role, find)

    def _disks(self, place: Place, role: Any, plan: RolePlan) -> list[dict[str, Any]]:
        """All disks of the role, the system's first."""
        stamp = _Stamp(place, plan.name)
        if role.vm_image_name:
            found = self._from_vm_image(place, role, stamp, plan)
        else:
            found = [self._system_disk(place, role.os_virtual_hard_disk, stamp, plan)]
        for disk in role.data_virtual_hard_disks or ():
            found.append(self._data_disk(place, disk, stamp, plan, found))
        links = [goal["media_link"] for goal in plan.new_disks]
        if len(set(links)) != len(links):
            raise errors.MEDIA_EXISTS(url=links[-1])
        return found

    def _from_vm_image(self, place: Place, role: Any, stamp: _Stamp, plan: RolePlan) -> list[dict[str, Any]]:
        name = role.vm_image_name
        image = self._read(lambda reader: vm_images.require_usable(reader, place.subscription, name))
        if not image.settled:
            raise _rules.locked(image)
        found = []
        for disk in image.goal["disks"]:
            link = self._link_for_copy(place, role, image, disk, stamp)
            source = ImageSource(
                name, image.goal["os"], disk["size"], {"type": "blob", "media": disk["media"]}
            )
            label, caching = None, disk["caching"]
            os = image.goal["os"] if disk["lun"] is None else None
            goal = self._new_disk(place, link, stamp, source, label, os=os)
            plan.new_disks.append(goal)
            found.append({"name": goal["name"], "lun": disk["lun"], "caching": caching, "os": os})
        found[0]["generalized"] = image.goal["os_state"] == "Generalized"
        return found

    def _link_for_copy(
        self, place: Place, role: Any, image: Resource, disk: Mapping[str, Any], stamp: _Stamp
    ) -> str:
        """Where a VM image's disk is copied to: below `MediaLocation`, else beside the image's blob if one's own."""
        if role.media_location:
            return f"{role.media_location.rstrip('/')}/{stamp.blob()}"
        if image.subscription != place.subscription:
            return self._default_link(place, stamp)
        base: str = disk["media_link"].rsplit("/", 1)[0]
        return f"{base}/{stamp.blob()}"

    def _system_disk(self, place: Place, disk: Any, stamp: _Stamp, plan: RolePlan) -> dict[str, Any]:
        if disk is None or not (disk.source_image_name or disk.disk_name or disk.remote_source_image_link):
            raise errors.MISSING_ELEMENT(element="OSVirtualHardDisk", parent="Role")
        caching = _media.caching(disk.host_caching, "ReadWrite")
        if not disk.source_image_name and not disk.remote_source_image_link:
            row = self._existing(place, disk.disk_name, plan)
            if not row.goal["os"]:
                raise errors.NOT_AN_OS_DISK(name=row.goal["name"])
            found = {"name": row.goal["name"], "os": row.goal["os"]}
            return {**found, "lun": None, "caching": caching, "generalized": False}
        source = self._image(place, disk)
        link = disk.media_link or self._default_link(place, stamp)
        goal = self._new_disk(
            place,
            link,
            stamp,
            source,
            disk.disk_label,
            os=source.os,
            name=disk.disk_name,
            size=_resized(disk.resized_size_in_gb, source.size),
        )
        plan.new_disks.append(goal)
        return {"name": goal["name"], "os": source.os, "lun": None, "caching": caching, "generalized": True}

    def _image(self, place: Place, disk: Any) -> ImageSource:
        if disk.source_image_name:
            name = disk.source_image_name
            return self._read(lambda reader: self._images.source(reader, place.subscription, name))
        link = disk.remote_source_image_link
        _, address = self._read(lambda reader: self._media.parse(reader, link, place.subscription))
        size = self._media.vhd_size(link, address)
        origin = {"type": "blob", "media": _media.as_goal(address)}
        return ImageSource("", system(disk.os), size, origin)

    def _data_disk(
        self, place: Place, disk: Any, stamp: _Stamp, plan: RolePlan, others: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        lun = disk.lun or 0
        if not 0 <= lun <= vm_images.HIGHEST_LUN or lun in [other["lun"] for other in others]:
            raise errors.INVALID_LUN(lun=lun, highest=vm_images.HIGHEST_LUN)
        caching = _media.caching(disk.host_caching, "None")
        size = _media.in_bytes(disk.logical_disk_size_in_gb) if disk.logical_disk_size_in_gb else 0
        if disk.disk_name and not size and not disk.source_media_link:
            row = self._existing(place, disk.disk_name, plan)
            return {"name": row.goal["name"], "lun": lun, "caching": caching}
        link = disk.media_link or self._default_link(place, stamp)
        if disk.source_media_link:
            source, link = self._adopted(place, disk.source_media_link), disk.source_media_link
        elif size:
            source = ImageSource("", "", size, {"type": "empty"})
        else:
            raise errors.MISSING_ELEMENT(element="LogicalDiskSizeInGB", parent="DataVirtualHardDisk")
        goal = self._new_disk(place, link, stamp, source, disk.disk_label, os=None, name=disk.disk_name)
        plan.new_disks.append(goal)
        return {"name": goal["name"], "lun": lun, "caching": caching}

    def _adopted(self, place: Place, link: str) -> ImageSource:
        _, address = self._read(lambda reader: self._media.parse(reader, link, place.subscription))
        size = self._media.vhd_size(link, address)
        self._media.require_unleased(link, address)
        return ImageSource("", "", size, {"type": "adopt"})

    def _existing(self, place: Place, name: str, plan: RolePlan) -> Resource:
        row = self._read(lambda reader: disks.require(reader, place.subscription, name))
        if row.operation is not None or not row.settled:
            raise _rules.locked(row)
        if row.goal["attached"]:
            raise errors.DISK_IN_USE(name=row.goal["name"], **row.goal["attached"])
        plan.existing_disks.append(row.key)
        return row

    def _new_disk(
        self,
        place: Place,
        link: str,
        stamp: _Stamp,
        source: ImageSource,
        label: str | None,
        *,
        os: str | None,
        name: str | None = None,
        size: int | None = None,
    ) -> dict[str, Any]:
        account, address = self._read(lambda reader: self._media.parse(reader, link, place.subscription))
        if source.origin["type"] != "adopt":
            self._media.require_free(link, address)
        return {
            "name": _rules.check_resource_name(name, "a disk") if name else stamp.disk(),
            "label": label,
            "os": os,
            "media_link": link,
            "media": [_media.as_goal(address)],
            "size": size or source.size,
            "source": dict(source.origin),
            "source_image": source.name or None,
            "attached": None,
            "location": account.goal["location"],
            "affinity_group": account.goal["affinity_group"],
        }

    def _default_link(self, place: Place, stamp: _Stamp) -> str:
        """A new blob in an account of the service's location, else in any of the subscription's."""
        accounts = self._read(lambda reader: reader.list("storage_account", place.subscription))
        present = [row for row in accounts if row.present]
        present.sort(key=lambda row: row.goal["location"] != place.location)
        if not present:
            raise errors.NO_STORAGE_ACCOUNT()
        return f"{self._endpoints(present[0].key)[0].rstrip('/')}/vhds/{stamp.blob()}"


class _Stamp:
    """Makes names for a role's new disks: deployment, role, number and time (behaviours.md, section 12)."""

    def __init__(self, place: Place, role: str) -> None:
        self._place = place
        self._role = role
        self._disks = self._blobs = 0
        self._suffix = f"{datetime.now(UTC):%Y%m%d%H%M%S}{random.randrange(10000):04}"  # noqa: S311 - a name

    def disk(self) -> str:
        """A disk's name."""
        self._disks += 1
        return f"{self._place.deployment}-{self._role}-{self._disks - 1}-{self._suffix}"

    def blob(self) -> str:
        """A blob's name."""
        self._blobs += 1
        return f"{self._place.service}-{self._role}-{self._blobs - 1}-{self._suffix}.vhd"


def size_goal(name: str) -> dict[str, Any]:
    """The part of a role's goal that its size decides. BadRequest: there is no such size."""
    size = require_size(name)
    return {"size": size.name, "cores": size.cores, "memory_mb": size.memory_in_mb}


def configuration_sets(role: Any) -> tuple[ConfigurationSet | None, Any]:
    """The network configuration and the provisioning configuration, where given."""
    network, provisioning = None, None
    for one in role.configuration_sets or ():
        if isinstance(one, LinuxConfigurationSet | WindowsConfigurationSet):
            provisioning = one
        else:
            network = one
    return network, provisioning


def _resized(gib: int | None, size: int) -> int:
    if not gib:
        return size
    resized = _media.in_bytes(gib)
    if resized < size:
        raise errors.DISK_TOO_SMALL(size=gib, needed=_media.in_gib(size))
    return resized
