"""Publishing images: to locations, and to other subscriptions (behaviours.md, section 14).

Whoever owns an image is its publisher. All locations of a cloud are one machine, so an image is in each of them as
soon as that is asked for; what is published has a name of its own, which every subscription may use.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _rules
from reddog.services._call import Call, Handler, Reply
from reddog.services.locations import require_location
from reddog.wire import (
    ComputeImageAttributes,
    MarketplaceImageAttributes,
    Plan,
    ReplicationProgress,
    ReplicationProgressElement,
    SerializedBoolean,
    SerializedString,
    errors,
    only,
)

PERMISSIONS = {"public": "Public", "private": "Private", "msdn": "MSDN"}
ATTRIBUTES_SINCE = "2015-04-01"  # the version from which answers tell offer, SKU and version
_PUBLISHERS = uuid.UUID("0f7b6b0e-3f9c-4a5e-9f0c-5c1d9f1b2a44")  # namespace of the publishers' prefixes
_WORD = re.compile(r"[A-Za-z0-9.-]{1,64}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_KINDS = ("os_image", "vm_image")  # that share the offers of a publisher
Require = Callable[[Reader, str, str], Resource]


def published_name(image: Resource) -> str:
    """The name under which every subscription knows an image, once it is public."""
    return f"{uuid.uuid5(_PUBLISHERS, image.subscription).hex}__{image.goal['name']}"


def published(reader: Reader, kind: str) -> list[Resource]:
    """The public images of all subscriptions."""
    return [row for row in reader.list(kind) if row.present and _is_public(row)]


def find_published(reader: Reader, kind: str, name: str) -> Resource | None:
    """The public image of a published name."""
    if "__" not in name:
        return None
    rows = published(reader, kind)
    return next((row for row in rows if published_name(row).lower() == name.lower()), None)


def publisher_of(reader: Reader, image: Resource) -> str:
    """The name of an image's publisher: its subscription's."""
    row = reader.get("subscription", image.subscription)
    return row.goal["name"] if row is not None else image.subscription


def locations_of(image: Resource) -> list[str]:
    """Where an image has been replicated to."""
    return list((image.goal.get("replication") or {}).get("locations", ()))


def progress(image: Resource) -> ReplicationProgress:
    """How far replication has come: done, wherever it was asked for."""
    made = [only(ReplicationProgressElement, location=name, progress=100) for name in locations_of(image)]
    return ReplicationProgress(made)


def attributes(image: Resource) -> dict[str, Any]:
    """What the details of an image tell of how it is published."""
    given = image.goal.get("replication") or {}
    compute, marketplace = given.get("compute"), given.get("marketplace")
    plan = marketplace and marketplace["plan"]
    return {
        "compute_image_attributes": only(ComputeImageAttributes, **compute) if compute else None,
        "marketplace_image_attributes": only(
            MarketplaceImageAttributes,
            publisher_id=marketplace["publisher_id"],
            plan=only(Plan, **plan) if plan else None,
        )
        if marketplace
        else None,
    }


class ImagePublishing:
    """Replicate, withdraw and share images.

    Args:
        engine: Takes the changes.
        require_os_image, require_vm_image: Find the image that a subscription may publish, by its name.
    """

    def __init__(self, engine: Engine, require_os_image: Require, require_vm_image: Require) -> None:
        self._engine = engine
        self._require = {"os_image": require_os_image, "vm_image": require_vm_image}

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Replicate OS Image": partial(self.replicate, kind="os_image"),
            "Unreplicate OS Image": partial(self.unreplicate, kind="os_image"),
            "Share OS Image": self.share_os_image,
            "Share OS Image (older, synchronous)": partial(self.share, kind="os_image"),
            "Replicate VM Image": partial(self.replicate, kind="vm_image"),
            "Unreplicate VM Image": partial(self.unreplicate, kind="vm_image"),
            "Share VM Image": partial(self.share, kind="vm_image"),
        }

    def share_os_image(self, call: Call) -> Reply:
        """Let every subscription have an image, as Share VM Image does; the answer's `false` says nothing."""
        self.share(call, kind="os_image")
        return Reply(SerializedBoolean(False))

    def replicate(self, call: Call, *, kind: str) -> Reply:
        """Have an image in these locations, and in no others; returns its published name.

        :raises ServiceError: 400; a location, the offer, the SKU or the version is not valid. 409; another image of
            the subscription has the same three.
        """
        replication = _replication(call.body)

        def change(tx: Tx) -> str:
            image = self._owned(tx, call, kind)
            _require_own_offer(tx, image, replication["compute"])
            tx.set_goal(kind, image.key, {**image.goal, "replication": replication})
            return published_name(image)

        return Reply(SerializedString(_rules.accept(self._engine, call, change)))

    def unreplicate(self, call: Call, *, kind: str) -> Reply:
        """Withdraw an image from all locations, and so from other subscriptions; the owner keeps it."""

        def change(tx: Tx) -> None:
            image = self._owned(tx, call, kind)
            tx.set_goal(kind, image.key, {**image.goal, "replication": None, "permission": "Private"})

        _rules.accept(self._engine, call, change)
        return Reply()

    def share(self, call: Call, *, kind: str) -> Reply:
        """Let every subscription have an image (Public), those of MSDN, which are none here, or the owner alone.

        :raises ServiceError: 400; there is no such permission, or the image has not been replicated.
        """
        given = call.query.get("permission", "")
        permission = PERMISSIONS.get(given.lower())
        if permission is None:
            raise errors.INVALID_PERMISSION(given=given)

        def change(tx: Tx) -> None:
            image = self._owned(tx, call, kind)
            if permission != "Private" and not locations_of(image):
                raise errors.IMAGE_NOT_REPLICATED(name=image.goal["name"])
            tx.set_goal(kind, image.key, {**image.goal, "permission": permission})

        _rules.accept(self._engine, call, change)
        return Reply()

    def _owned(self, reader: Reader, call: Call, kind: str) -> Resource:
        return self._require[kind](reader, call.subscription, call.params["image"])


def _is_public(image: Resource) -> bool:
    return image.goal.get("permission") == "Public" and bool(locations_of(image))


def _replication(body: Any) -> dict[str, Any]:
    given = body.target_locations or []
    if not given:
        raise errors.MISSING_ELEMENT(element="Region", parent="TargetLocations")
    return {
        "locations": list(dict.fromkeys(require_location(name or "") for name in given)),
        "compute": _compute(body.compute_image_attributes),
        "marketplace": _marketplace(body.marketplace_image_attributes),
    }


def _compute(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    for element, value in (("Offer", given.offer), ("Sku", given.sku)):
        if not _WORD.fullmatch(value or ""):
            expected = "1 to 64 letters, digits, hyphens and periods"
            raise errors.INVALID_ELEMENT(element=element, expected=expected)
    if not _VERSION.fullmatch(given.version or ""):
        raise errors.INVALID_ELEMENT(element="Version", expected="three numbers, such as 1.0.0")
    return {"offer": given.offer, "sku": given.sku, "version": given.version}


def _marketplace(given: Any) -> dict[str, Any] | None:
    if given is None:
        return None
    plan = given.plan
    parts = plan and {"name": plan.name, "publisher": plan.publisher, "product": plan.product}
    return {"publisher_id": given.publisher_id, "plan": parts}


def _require_own_offer(reader: Reader, image: Resource, compute: Mapping[str, str] | None) -> None:
    """Refuse an offer, SKU and version that another image of the subscription has."""
    if compute is None:
        return
    for other in _images(reader, image.subscription):
        theirs = (other.goal.get("replication") or {}).get("compute")
        if other.ref != image.ref and theirs is not None and _lower(theirs) == _lower(compute):
            raise errors.OFFER_TAKEN(name=other.goal["name"], **compute)


def _images(reader: Reader, subscription: str) -> Iterable[Resource]:
    return (row for kind in _KINDS for row in reader.list(kind, subscription) if row.present)


def _lower(compute: Mapping[str, str]) -> list[str]:
    return [compute[part].lower() for part in ("offer", "sku", "version")]
