"""Methods about disks, on their own and as data disks of a machine."""

from __future__ import annotations

from reddog import wire

from ._bodies import only
from ._common_error import _require
from ._deployments import _media, _role
from .models import AsynchronousOperationResult, DataVirtualHardDisk, Disk, Disks
from .servicemanagementclient import _ServiceManagementClient


class _DiskMethods(_ServiceManagementClient):
    def get_data_disk(
        self, service_name: str, deployment_name: str, role_name: str, lun: int
    ) -> DataVirtualHardDisk:
        """Return a data disk of a machine (Get Data Disk).

        service_name, deployment_name, role_name: the machine.  lun: the disk's number, 0 to 31.

        Raises AzureMissingResourceHttpError when there is none.
        """
        params = _lun(service_name, deployment_name, role_name, lun)
        return self._get(DataVirtualHardDisk, "Get Data Disk", params)

    def add_data_disk(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        lun: int,
        host_caching: str | None = None,
        media_link: str | None = None,
        disk_label: str | None = None,
        disk_name: str | None = None,
        logical_disk_size_in_gb: int | None = None,
        source_media_link: str | None = None,
    ) -> AsynchronousOperationResult:
        """Start to attach a data disk to a machine (Add Data Disk).

        service_name, deployment_name, role_name: the machine.  lun: the disk's number, 0 to 31, not in use.
        host_caching: None, ReadOnly or ReadWrite (as text).
        media_link: where the blob of a new, empty disk is to be.  logical_disk_size_in_gb: its size.
        disk_name: a disk of the subscription, in place of a new one.  disk_label: up to 100 characters.
        source_media_link: a blob that holds a disk, in place of a new one.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine, AzureHttpError 400 for a LUN in use, a bad size or a blob that cannot be a
        disk.
        """
        params = _lun(service_name, deployment_name, role_name, lun)
        body = _data_disk(
            host_caching, disk_label, disk_name, lun, logical_disk_size_in_gb, media_link, source_media_link
        )
        return self._start("Add Data Disk", params, body)

    def update_data_disk(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        lun: int,
        host_caching: str | None = None,
        media_link: str | None = None,
        updated_lun: int | None = None,
        disk_label: str | None = None,
        disk_name: str | None = None,
        logical_disk_size_in_gb: int | None = None,
    ) -> AsynchronousOperationResult:
        """Start to change a data disk of a machine (Update Data Disk).

        lun: the disk's number.  updated_lun: its new number.  The others as in `add_data_disk`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such disk.
        """
        params = _lun(service_name, deployment_name, role_name, lun)
        body = _data_disk(
            host_caching, disk_label, disk_name, updated_lun, logical_disk_size_in_gb, media_link, None
        )
        return self._start("Update Data Disk", params, body)

    def delete_data_disk(
        self, service_name: str, deployment_name: str, role_name: str, lun: int, delete_vhd: bool = False
    ) -> AsynchronousOperationResult:
        """Start to detach a data disk from a machine (Delete Data Disk).

        service_name, deployment_name, role_name: the machine.  lun: the disk's number.
        delete_vhd: also delete the disk and its blob.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such disk.
        """
        params = _lun(service_name, deployment_name, role_name, lun)
        return self._start("Delete Data Disk", params, query=_media(delete_vhd))

    # -- Disks of the subscription ------------------------------------------------------------------------

    def list_disks(self) -> Disks:
        """List the disks of the subscription (List Disks)."""
        return self._get(Disks, "List Disks")

    def get_disk(self, disk_name: str) -> Disk:
        """Return one disk (Get Disk).

        disk_name: its name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(Disk, "Get Disk", {"disk": disk_name})

    def add_disk(self, has_operating_system: bool, label: str, media_link: str, name: str, os: str) -> None:
        """Make a disk of a blob (Add Disk).

        has_operating_system: not sent; `os` says it.  label: up to 100 characters.
        media_link: URL of the blob, a fixed VHD.  name: unique in the subscription.  os: Linux or Windows.

        Raises AzureConflictHttpError when the name is taken.
        """
        _require(label=label, media_link=media_link, name=name, os=os)
        self._perform("Add Disk", body=_disk(label, media_link, name, os))

    def update_disk(
        self,
        disk_name: str,
        has_operating_system: bool | None = None,
        label: str | None = None,
        media_link: str | None = None,
        name: str | None = None,
        os: str | None = None,
    ) -> None:
        """Change the label of a disk (Update Disk); the other values are not sent.

        disk_name: the disk.  label: up to 100 characters, required.
        has_operating_system, media_link, name, os: ignored, as they always were.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(disk_name=disk_name, label=label)
        self._perform("Update Disk", {"disk": disk_name}, _disk(label, None, None, None))

    def delete_disk(self, disk_name: str, delete_vhd: bool = False) -> None:
        """Delete a disk (Delete Disk).

        disk_name: the disk.  delete_vhd: also the blob under it.

        Raises AzureMissingResourceHttpError when there is none, AzureHttpError while a machine uses it.
        """
        _require(disk_name=disk_name)
        self._perform("Delete Disk", {"disk": disk_name}, query=_media(delete_vhd))


def _lun(service_name: str, deployment_name: str, role_name: str, lun: int) -> dict[str, object]:
    params = _role(service_name, deployment_name, role_name)
    _require(lun=lun)
    return {**params, "lun": lun}


def _data_disk(
    host_caching: str | None,
    disk_label: str | None,
    disk_name: str | None,
    lun: int | None,
    logical_disk_size_in_gb: int | None,
    media_link: str | None,
    source_media_link: str | None,
) -> wire.DataVirtualHardDisk:
    return only(
        wire.DataVirtualHardDisk,
        media_link=media_link,
        host_caching=host_caching,
        disk_label=disk_label,
        disk_name=disk_name,
        lun=lun,
        logical_disk_size_in_gb=logical_disk_size_in_gb,
        source_media_link=source_media_link,
    )


def _disk(label: str | None, media_link: str | None, name: str | None, os: str | None) -> wire.Disk:
    return only(wire.Disk, os=os, label=label, media_link=media_link, name=name)
