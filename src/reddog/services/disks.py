"""Disks: page blobs that virtual machines use (behaviours.md, section 13)."""

from __future__ import annotations

from collections.abc import Mapping

from reddog.engine import Context, Converged, Engine, Reader, Reconciler, Resource, Retry, Tx
from reddog.services import _media, _rules
from reddog.services._call import Call, Handler, Reply
from reddog.services._media import MediaLinks
from reddog.services.os_images import system
from reddog.storage import Storage
from reddog.wire import AttachedTo, Disk, Disks, errors, only

KIND = "disk"


def key_of(subscription: str, name: str) -> str:
    """A disk's key."""
    return f"{subscription}/{name}".lower()


def require(reader: Reader, subscription: str, name: str) -> Resource:
    """The subscription's disk of that name, or the API's refusal."""
    return _rules.owned(reader, KIND, key_of(subscription, name), subscription, errors.DISK_NOT_FOUND())


def find(reader: Reader, subscription: str, name: str) -> Resource | None:
    """The subscription's disk of that name, if it is there, even on its way out."""
    return reader.get(KIND, key_of(subscription, name))


def detach(tx: Tx, disk: Resource, role: Resource, *, delete: bool) -> None:
    """Detach a disk from a role that stays, and delete it afterwards if asked: should detaching fail, it stays."""
    tx.patch_state(KIND, disk.key, delete_when_detached=delete)
    tx.set_goal(KIND, disk.key, {**disk.goal, "attached": None}, after=[role.ref])


def release_from_role(tx: Tx, disk: Resource, role: Resource, *, delete: bool) -> None:
    """Detach a disk once the role's machine has let go of it, and delete it with its blob if asked."""
    after = [role.ref]
    if delete:
        tx.patch_state(KIND, disk.key, delete_blob=True)
        tx.remove(KIND, disk.key, after=after)
    else:
        tx.set_goal(KIND, disk.key, {**disk.goal, "attached": None}, after=after)


class DisksService:
    """List, read, add, relabel and delete disks."""

    def __init__(self, engine: Engine, media: MediaLinks) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._media = media

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Disks": self.list,
            "Get Disk": self.get,
            "Add Disk": self.add,
            "Update Disk": self.update,
            "Delete Disk": self.delete,
        }

    def list(self, call: Call) -> Reply:
        """List Disks."""
        rows = self._read(lambda reader: reader.list(KIND, call.subscription))
        return Reply(Disks([shown(row) for row in rows if row.present]))

    def get(self, call: Call) -> Reply:
        """Get Disk. ResourceNotFound: there is no such disk."""
        return Reply(
            shown(self._read(lambda reader: require(reader, call.subscription, call.params["disk"])))
        )

    def add(self, call: Call) -> Reply:
        """Add Disk: a fixed VHD in a page blob of the subscription becomes a disk, and is leased as long."""
        body = call.body
        name = _rules.check_resource_name(body.name, "a disk")
        link = body.media_link or ""
        key, taken = key_of(call.subscription, name), errors.DISK_EXISTS(name=name)
        self._read(lambda reader: _rules.require_free(reader, KIND, key, taken))
        account, address = self._read(lambda reader: self._media.parse(reader, link, call.subscription))
        size = self._media.vhd_size(link, address)
        self._media.require_unleased(link, address)
        goal = {
            "name": name,
            "label": body.label,
            "os": system(body.os) if body.os else None,
            "media_link": link,
            "media": [_media.as_goal(address)],
            "size": size,
            "source": {"type": "adopt"},
            "source_image": None,
            "attached": None,
            "location": account.goal["location"],
            "affinity_group": account.goal["affinity_group"],
        }

        def change(tx: Tx) -> Resource:
            _media.hold_accounts(tx, goal["media"])
            return _rules.insert(tx, KIND, key, subscription=call.subscription, goal=goal, taken=taken)

        return Reply(shown(_rules.accept(self._engine, call, change)))

    def update(self, call: Call) -> Reply:
        """Update Disk: gives it another label. NotImplemented: it would change the size."""
        if call.body.resized_size_in_gb:
            raise errors.NOT_SUPPORTED(operation="Update Disk with ResizedSizeInGB")

        def change(tx: Tx) -> Resource:
            row = require(tx, call.subscription, call.params["disk"])
            return tx.set_goal(KIND, row.key, {**row.goal, "label": call.body.label})

        return Reply(shown(_rules.accept(self._engine, call, change)))

    def delete(self, call: Call) -> Reply:
        """Delete Disk; the blob stays unless `comp=media`. BadRequest: a virtual machine uses it."""

        def change(tx: Tx) -> None:
            row = require(tx, call.subscription, call.params["disk"])
            used = row.goal["attached"]
            if used:
                raise errors.DISK_IN_USE(name=row.goal["name"], **used)
            tx.patch_state(KIND, row.key, delete_blob=call.query.get("comp", "").lower() == "media")
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()


class DiskReconciler(Reconciler):
    """Makes a disk's blob, keeps it leased, and gives it back."""

    kind = KIND

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def converge(self, row: Resource, ctx: Context) -> Converged | Retry:
        """See `Reconciler.converge`."""
        _media.converge(self._storage, row, rolling_back=ctx.rolling_back)
        ctx.checkpoint("disk")
        return Converged()

    def finish(self, tx: Tx, row: Resource, succeeded: bool) -> None:
        """Delete a disk that was to go once it had been detached."""
        if not row.present or not row.state.get("delete_when_detached"):
            return
        tx.patch_state(KIND, row.key, delete_when_detached=False)
        if succeeded and row.goal["attached"] is None:
            tx.patch_state(KIND, row.key, delete_blob=True)
            tx.remove(KIND, row.key)


def shown(row: Resource) -> Disk:
    """A disk as the API tells it."""
    goal = row.goal
    used = goal["attached"]
    attached = used and AttachedTo(used["deployment"], used["service"], used["role"])
    return only(
        Disk,
        affinity_group=goal["affinity_group"],
        attached_to=attached or None,
        os=goal["os"],
        label=goal["label"],
        location=goal["location"],
        logical_disk_size_in_gb=_media.in_gib(goal["size"]),
        media_link=goal["media_link"],
        name=goal["name"],
        source_image_name=goal["source_image"],
        is_premium=False,
        io_type="Standard",
        created_time=_rules.timestamp(row.created),
    )
