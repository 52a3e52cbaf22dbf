"""VM images: a machine's disks, captured together (behaviours.md, sections 12 and 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.fabric import ComputeDriver
from reddog.services import _media, _rules, image_publishing
from reddog.services._call import Call, Handler, Reply
from reddog.services._capture import remove_captured
from reddog.services._machine_errors import machine_errors
from reddog.services._media import MediaLinks
from reddog.services.os_images import system
from reddog.storage import Storage
from reddog.wire import (
    DataDiskConfiguration,
    DataDiskConfigurations,
    OSDiskConfiguration,
    VMImage,
    VMImageDetails,
    VMImages,
    errors,
    only,
)

KIND = "vm_image"
HIGHEST_LUN = 15  # the API's numbers go from 0 to 15
STATES = {"generalized": "Generalized", "specialized": "Specialized"}
_ATTRIBUTES = (
    "label",
    "description",
    "language",
    "image_family",
    "recommended_vm_size",
    "eula",
    "icon_uri",
    "small_icon_uri",
    "privacy_uri",
    "show_in_gui",
)


def key_of(subscription: str, name: str) -> str:
    """A VM image's key."""
    return f"{subscription}/{name}".lower()


def require(reader: Reader, subscription: str, name: str) -> Resource:
    """The subscription's own VM image. ForbiddenError: it is another publisher's; ResourceNotFound: there is none."""
    missing = errors.IMAGE_NOT_FOUND()
    if image_publishing.find_published(reader, KIND, name):
        missing = errors.FORBIDDEN()
    return _rules.owned(reader, KIND, key_of(subscription, name), subscription, missing)


def require_usable(reader: Reader, subscription: str, name: str) -> Resource:
    """The VM image that a subscription makes a machine of: its own, or a public one."""
    found = image_publishing.find_published(reader, KIND, name)
    return found or require(reader, subscription, name)


def os_state(value: str | None) -> str:
    """`Generalized` or `Specialized`, however it was written."""
    found = STATES.get((value or "").lower())
    if found is None:
        raise errors.INVALID_ELEMENT(element="OSState", expected="Generalized or Specialized")
    return found


class VMImagesService:
    """List, create, change and delete VM images; capturing is an operation on a role."""

    def __init__(self, engine: Engine, media: MediaLinks) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._media = media

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List VM Images": self.list,
            "Get VM Image Details": self.details,
            "Create VM Image": self.create,
            "Update VM Image": self.update,
            "Delete VM Image": self.delete,
        }

    def list(self, call: Call) -> Reply:
        """List VM Images, narrowed by `location`, `publisher` and `category`."""

        def read(reader: Reader) -> VMImages:
            own = [shown(row) for row in reader.list(KIND, call.subscription)]
            public = [_shown_published(reader, row) for row in image_publishing.published(reader, KIND)]
            return VMImages([image for image in (*own, *public) if _matches(image, call.query)])

        return Reply(self._read(read))

    def details(self, call: Call) -> Reply:
        """Get VM Image Details, of one's own image. ForbiddenError: it is another publisher's."""
        row = self._read(lambda reader: require(reader, call.subscription, call.params["image"]))
        replicated = bool(image_publishing.locations_of(row))
        return Reply(
            only(
                VMImageDetails,
                **shown(row).__dict__,
                published_name=image_publishing.published_name(row) if replicated else None,
                replication_progress=image_publishing.progress(row),
                **image_publishing.attributes(row),
            )
        )

    def create(self, call: Call) -> Reply:
        """Create VM Image of fixed VHDs in page blobs of the subscription."""
        body = call.body
        name = _rules.check_resource_name(body.name, "an image")
        configuration = body.os_disk_configuration
        if configuration is None:
            raise errors.MISSING_ELEMENT(element="OSDiskConfiguration", parent="VMImage")
        disks = [self._adopted(call, configuration, None)]
        for disk in body.data_disk_configurations or ():
            disks.append(self._adopted(call, disk, disk.lun or 0))
        _check_disks(disks)
        account = self._read(
            lambda reader: self._media.parse(reader, disks[0]["media_link"], call.subscription)
        )[0]
        goal = {
            "name": name,
            "os": system(configuration.os),
            "os_state": os_state(configuration.os_state),
            "disks": disks,
            "media": [disk["media"] for disk in disks],
            "location": account.goal["location"],
            "affinity_group": account.goal["affinity_group"],
            "attributes": _given(body),
            "capture": None,
        }
        key, taken = key_of(call.subscription, name), errors.IMAGE_EXISTS(name=name)

        def change(tx: Tx) -> None:
            _media.hold_accounts(tx, goal["media"])
            _rules.insert(tx, KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        return Reply()

    def update(self, call: Call) -> Reply:
        """Update VM Image: what the body leaves out stays as it is."""

        def change(tx: Tx) -> None:
            row = require(tx, call.subscription, call.params["image"])
            attributes = {**row.goal["attributes"], **_given(call.body)}
            tx.set_goal(KIND, row.key, {**row.goal, "attributes": attributes})

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete VM Image; its blobs stay unless `comp=media`. ConflictError: a disk is being made of it."""

        def change(tx: Tx) -> None:
            row = require(tx, call.subscription, call.params["image"])
            _require_unused(tx, row)
            tx.patch_state(KIND, row.key, delete_blob=call.query.get("comp", "").lower() == "media")
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def _adopted(self, call: Call, disk: Any, lun: int | None) -> dict[str, Any]:
        link = disk.media_link or ""
        _, address = self._read(lambda reader: self._media.parse(reader, link, call.subscription))
        size = self._media.vhd_size(link, address)
        self._media.require_unleased(link, address)
        return {
            "name": disk.name or address.blob.rsplit("/", 1)[-1].removesuffix(".vhd"),
            "lun": lun,
            "caching": _media.caching(disk.host_caching, "ReadWrite" if lun is None else "None"),
            "media_link": link,
            "media": _media.as_goal(address),
            "size": size,
            "source": {"type": "adopt"},
        }


class VMImageReconciler(Reconciler):
    """Makes a VM image's blobs from a machine's disks, keeps them leased, and gives them back.

    Args:
        storage: Holds the blobs.
        driver: Runs the machine that is captured.
        scratch: A directory on the same file system as the storage, for copies under way.
    """

    kind = KIND

    def __init__(self, storage: Storage, driver: ComputeDriver, scratch: Path) -> None:
        self._storage = storage
        self._driver = driver
        self._scratch = scratch

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        for index, disk in enumerate(row.goal["disks"]):
            if row.present:
                self._fill(row, ctx, index, disk)
            else:
                delete = bool(row.state.get("delete_blob")) or (ctx.rolling_back and _is_copy(disk))
                _media.give_back(self._storage, row, disk["media"], index, delete=delete)
            ctx.checkpoint("image disk")
        return Converged()

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """A generalized machine cannot start again: it goes when its image is there."""
        capture = row.goal["capture"]
        if succeeded and row.present and capture and row.generation == 1 and _is_generalized(row):
            remove_captured(tx, capture)

    def _fill(self, row: Resource, ctx: Context, index: int, disk: Mapping[str, Any]) -> None:
        found = self._storage.properties(_media.from_goal(disk["media"]))
        if found is not None and found.lease_id == _media.lease_id(row, index):
            return
        capture = row.goal["capture"]
        if capture is None or self._driver.observe(capture["machine"]).power in ("absent", "stopped"):
            _media.fill(self._storage, row, index, disk)
            return
        copy = self._scratch / f"{row.uid}-{index}.vhd"
        copy.unlink(missing_ok=True)
        try:
            with machine_errors(capture["role"]):
                self._driver.backup_disk(capture["machine"], disk["lun"], copy)
            ctx.checkpoint("scratch copy")
            _media.fill(self._storage, row, index, {**disk, "source": {"type": "file", "path": str(copy)}})
        finally:
            copy.unlink(missing_ok=True)


def shown(row: Resource) -> VMImage:
    """A VM image as the API tells it."""
    goal, capture = row.goal, row.goal["capture"] or {}
    first, *others = goal["disks"]
    return only(
        VMImage,
        **goal["attributes"],
        name=goal["name"],
        category="User",
        os_disk_configuration=only(
            OSDiskConfiguration,
            os_state=goal["os_state"],
            os=goal["os"],
            **_shown_disk(first),
        ),
        data_disk_configurations=DataDiskConfigurations(
            [only(DataDiskConfiguration, lun=disk["lun"], **_shown_disk(disk)) for disk in others]
        ),
        service_name=capture.get("service"),
        deployment_name=capture.get("deployment"),
        role_name=capture.get("role"),
        location=goal["location"],
        affinity_group=goal["affinity_group"],
        created_time=_rules.timestamp(row.created),
        modified_time=_rules.timestamp(row.modified),
        is_premium=False,
        vm_image_state=_state(row),
        role_state_on_capture=capture.get("state"),
        role_size_on_capture=capture.get("size"),
    )


def _shown_published(reader: Reader, row: Resource) -> VMImage:
    """A public image as every subscription sees it."""
    image = shown(row)
    for name in "service_name", "deployment_name", "role_name", "affinity_group":
        setattr(image, name, None)
    disks = [image.os_disk_configuration, *(image.data_disk_configurations or ())]
    for disk in disks:
        if disk is not None:
            disk.media_link = None
    image.category, image.name = "Public", image_publishing.published_name(row)
    image.location = ";".join(image_publishing.locations_of(row))
    image.publisher_name = image_publishing.publisher_of(reader, row)
    return image


def _state(row: Resource) -> str:
    if not row.present:
        return "VMImageDeleting"
    return "VMImageReadyForUse" if row.settled else "VMImageCreating"


def _check_disks(disks: Sequence[Mapping[str, Any]]) -> None:
    """Refuse LUNs and blobs that are given twice, and LUNs that there are not."""
    luns = [disk["lun"] for disk in disks[1:]]
    for lun in luns:
        if not 0 <= lun <= HIGHEST_LUN or luns.count(lun) > 1:
            raise errors.INVALID_LUN(lun=lun, highest=HIGHEST_LUN)
    links = [disk["media"] for disk in disks]
    for disk in disks:
        if links.count(disk["media"]) > 1:
            raise errors.LEASE_CONFLICT(url=disk["media_link"])


def _is_generalized(row: Resource) -> bool:
    return bool(row.goal["os_state"] == "Generalized")


def _shown_disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": disk["name"],
        "host_caching": disk["caching"],
        "media_link": disk["media_link"],
        "logical_disk_size_in_gb": _media.in_gib(disk["size"]),
        "io_type": "Standard",
    }


def _is_copy(disk: Mapping[str, Any]) -> bool:
    return bool(disk["source"]["type"] != "adopt")


def _given(body: Any) -> dict[str, Any]:
    values = ((name, getattr(body, name, None)) for name in _ATTRIBUTES)
    return {name: value for name, value in values if value is not None}


def _matches(image: VMImage, query: Mapping[str, str]) -> bool:
    found = {
        "location": (image.location or "").lower().split(";"),
        "publisher": [(image.publisher_name or "").lower()],
        "category": [(image.category or "").lower()],
    }
    return all(query[name].lower() in values for name, values in found.items() if query.get(name))


def _require_unused(reader: Reader, image: Resource) -> None:
    media = image.goal["media"]
    for disk in reader.list("disk"):  # a public image is anybody's
        if not disk.settled and disk.goal["source"].get("media") in media:
            raise errors.IMAGE_IN_USE(name=image.goal["name"], user=f"disk {disk.goal['name']}")
