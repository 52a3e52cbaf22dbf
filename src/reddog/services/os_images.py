"""OS images: the platform's own, and those that users register (behaviours.md, section 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.services import _media, _rules, image_publishing, locations
from reddog.services._call import Call, Handler, Reply
from reddog.services._capture import remove_captured
from reddog.services._media import MediaLinks
from reddog.storage import Storage
from reddog.wire import Images, OSImage, OSImageDetails, errors, only

KIND = "os_image"
SYSTEMS = {"linux": "Linux", "windows": "Windows"}
_ATTRIBUTES = (
    "eula",
    "description",
    "image_family",
    "show_in_gui",
    "published_date",
    "icon_uri",
    "privacy_uri",
    "recommended_vm_size",
    "small_icon_uri",
    "language",
)


@dataclass(frozen=True)
class PlatformImage:
    """An image that the cloud offers to every subscription; `size` in bytes, footer excluded.

    runs_roles: its guest runs the roles of service packages.
    """

    name: str
    label: str
    os: str
    family: str
    publisher: str
    description: str
    published: datetime
    size: int
    path: Path
    runs_roles: bool = False


@dataclass(frozen=True)
class ImageSource:
    """Where a new disk's bytes come from: `origin` as a disk's goal keeps it, `size` in bytes."""

    name: str
    os: str
    size: int
    origin: Mapping[str, Any]


def key_of(subscription: str, name: str) -> str:
    """An OS image's key."""
    return f"{subscription}/{name}".lower()


class OSImagesService:
    """List, read, register, change and delete OS images."""

    def __init__(self, engine: Engine, media: MediaLinks, platform: Sequence[PlatformImage]) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._media = media
        self._platform = {image.name.lower(): image for image in platform}

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List OS Images": self.list,
            "Get OS Image": self.get,
            "Get OS Image Details": self.details,
            "Add OS Image": self.add,
            "Update OS Image": self.update,
            "Delete OS Image": self.delete,
        }

    def require_own_name(self, name: str) -> None:
        """Refuse the name of one of the platform's images. ConflictError."""
        if name.lower() in self._platform:
            raise errors.IMAGE_EXISTS(name=name)

    def source(self, reader: Reader, subscription: str, name: str) -> ImageSource:
        """The image that a new machine is made from. ResourceNotFound: there is no such image."""
        platform = self._platform.get(name.lower())
        if platform is not None:
            origin = {"type": "file", "path": str(platform.path)}
            return ImageSource(platform.name, platform.os, platform.size, origin)
        image = image_publishing.find_published(reader, KIND, name)
        goal = (image or self.require(reader, subscription, name)).goal
        origin = {"type": "blob", "media": goal["media"][0]}
        return ImageSource(goal["name"], goal["os"], goal["size"], origin)

    def list(self, call: Call) -> Reply:
        """List OS Images: the platform's, the subscription's, and all that are public."""
        platform = [_shown_platform(image) for image in self._platform.values()]

        def read(reader: Reader) -> Images:
            own = [shown(row) for row in reader.list(KIND, call.subscription) if row.present]
            public = [_shown_published(reader, row) for row in image_publishing.published(reader, KIND)]
            return Images([*platform, *own, *public])

        return Reply(self._read(read))

    def get(self, call: Call) -> Reply:
        """Get OS Image. ResourceNotFound: there is no such image."""
        name = call.params["image"]
        platform = self._platform.get(name.lower())

        def read(reader: Reader) -> OSImage:
            public = image_publishing.find_published(reader, KIND, name)
            if public is not None:
                return _shown_published(reader, public)
            return shown(self.require(reader, call.subscription, name))

        return Reply(_shown_platform(platform) if platform else self._read(read))

    def details(self, call: Call) -> Reply:
        """Get OS Image Details, of one's own image. ForbiddenError: it is another publisher's."""
        row = self._read(lambda reader: self.require(reader, call.subscription, call.params["image"]))
        details = only(OSImageDetails, **shown(row).__dict__)
        details.replication_progress = image_publishing.progress(row)
        if call.version >= image_publishing.ATTRIBUTES_SINCE:
            details.__dict__.update(image_publishing.attributes(row))
        return Reply(details)

    def add(self, call: Call) -> Reply:
        """Add OS Image: a fixed VHD in a page blob of the subscription becomes an image, leased as long."""
        body = call.body
        name = _rules.check_resource_name(body.name, "an image")
        self.require_own_name(name)
        link = body.media_link or ""
        key, taken = key_of(call.subscription, name), errors.IMAGE_EXISTS(name=name)
        self._read(lambda reader: _rules.require_free(reader, KIND, key, taken))
        account, address = self._read(lambda reader: self._media.parse(reader, link, call.subscription))
        size = self._media.vhd_size(link, address)
        self._media.require_unleased(link, address)
        goal = {
            "name": name,
            "label": body.label,
            "os": system(body.os),
            "media_link": link,
            "media": [_media.as_goal(address)],
            "size": size,
            "source": {"type": "adopt"},
            "location": account.goal["location"],
            "affinity_group": account.goal["affinity_group"],
            "attributes": _given(body),
            "capture": None,
        }

        def change(tx: Tx) -> Resource:
            _media.hold_accounts(tx, goal["media"])
            return _rules.insert(tx, KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        return Reply(shown(_rules.accept(self._engine, call, change)))

    def update(self, call: Call) -> Reply:
        """Update OS Image: what the body leaves out stays as it is; name, OS and media link always do."""
        body = call.body

        def change(tx: Tx) -> Resource:
            row = self.require(tx, call.subscription, call.params["image"])
            label = row.goal["label"] if body.label is None else body.label
            attributes = {**row.goal["attributes"], **_given(body)}
            return tx.set_goal(KIND, row.key, {**row.goal, "label": label, "attributes": attributes})

        return Reply(shown(_rules.accept(self._engine, call, change)))

    def delete(self, call: Call) -> Reply:
        """Delete OS Image; the blob stays unless `comp=media`. ConflictError: a disk is being made of it."""

        def change(tx: Tx) -> None:
            row = self.require(tx, call.subscription, call.params["image"])
            _require_unused(tx, row)
            tx.patch_state(KIND, row.key, delete_blob=call.query.get("comp", "").lower() == "media")
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def require(self, reader: Reader, subscription: str, name: str) -> Resource:
        """The subscription's own image. ForbiddenError: it is another publisher's; ResourceNotFound: there is none."""
        missing = errors.IMAGE_NOT_FOUND()
        if name.lower() in self._platform or image_publishing.find_published(reader, KIND, name):
            missing = errors.FORBIDDEN()
        return _rules.owned(reader, KIND, key_of(subscription, name), subscription, missing)


class OSImageReconciler(Reconciler):
    """Makes an image's blob where it is captured, keeps it leased, and gives it back."""

    kind = KIND

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        _media.converge(self._storage, row, rolling_back=ctx.rolling_back)
        ctx.checkpoint("image")
        return Converged()

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """A generalized machine goes when its image is there, unless it is set up anew: so it starts again.

        What was to set it up is not kept when it came to nothing.
        """
        capture = row.goal["capture"]
        if capture and capture.get("reprovisioned"):
            if not succeeded and not row.present and tx.get("role", capture["role_key"]) is not None:
                tx.patch_state("role", capture["role_key"], provisioning=None)
        elif succeeded and row.present and capture and row.generation == 1:
            remove_captured(tx, capture)


def system(name: str | None) -> str:
    """`Linux` or `Windows`, however it was written."""
    found = SYSTEMS.get((name or "").lower())
    if found is None:
        raise errors.INVALID_ELEMENT(element="OS", expected="Linux or Windows")
    return found


def shown(row: Resource) -> OSImage:
    """A user's image as the API tells it."""
    goal = row.goal
    return only(
        OSImage,
        **goal["attributes"],
        affinity_group=goal["affinity_group"],
        category="User",
        label=goal["label"],
        location=goal["location"],
        logical_size_in_gb=_media.in_gib(goal["size"]),
        media_link=goal["media_link"],
        name=goal["name"],
        os=goal["os"],
        is_premium=False,
        os_state="Generalized",
        io_type="Standard",
    )


def _shown_platform(image: PlatformImage) -> OSImage:
    return only(
        OSImage,
        category="Public",
        label=image.label,
        location=";".join(locations.NAMES),
        logical_size_in_gb=_media.in_gib(image.size),
        name=image.name,
        os=image.os,
        description=image.description,
        image_family=image.family,
        show_in_gui=True,
        published_date=_rules.timestamp(image.published),
        is_premium=False,
        publisher_name=image.publisher,
        os_state="Generalized",
        io_type="Standard",
    )


def _shown_published(reader: Reader, row: Resource) -> OSImage:
    """A public image as every subscription sees it."""
    image = shown(row)
    image.category, image.media_link, image.affinity_group = "Public", None, None
    image.name = image_publishing.published_name(row)
    image.location = ";".join(image_publishing.locations_of(row))
    image.publisher_name = image_publishing.publisher_of(reader, row)
    return image


def _given(body: Any) -> dict[str, Any]:
    values = ((name, getattr(body, name)) for name in _ATTRIBUTES)
    return {name: value for name, value in values if value is not None}


def _require_unused(reader: Reader, image: Resource) -> None:
    for disk in reader.list("disk"):  # a public image is anybody's
        source = disk.goal["source"]
        if not disk.settled and source.get("media") == image.goal["media"][0]:
            raise errors.IMAGE_IN_USE(name=image.goal["name"], user=f"disk {disk.goal['name']}")
