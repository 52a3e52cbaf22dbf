"""Methods about OS images, VM images and resource extensions."""

from __future__ import annotations

from collections.abc import Iterable

from reddog import wire

from ._bodies import changed_os_image, changed_vm_image, new_vm_image, only
from ._common_error import _require
from ._deployments import _media, _role
from .models import (
    AsynchronousOperationResult,
    CaptureRoleAsVMImage,
    Images,
    OSDiskConfiguration,
    OSImage,
    OSImageDetails,
    ResourceExtensions,
    VMImage,
    VMImages,
)
from .servicemanagementclient import _ServiceManagementClient

_REPLICATION_VERSION = "2015-04-01"


class _ImageMethods(_ServiceManagementClient):
    def list_resource_extensions(self) -> ResourceExtensions:
        """List the extensions that a machine's agent can install (List Resource Extensions)."""
        return self._get(ResourceExtensions, "List Resource Extensions")

    def list_resource_extension_versions(
        self, publisher_name: str, extension_name: str
    ) -> ResourceExtensions:
        """List the versions of one extension (List Resource Extension Versions).

        publisher_name, extension_name: as in `list_resource_extensions`.

        Raises AzureMissingResourceHttpError when there is no such extension.
        """
        params = {"publisher": publisher_name, "extension": extension_name}
        return self._get(ResourceExtensions, "List Resource Extension Versions", params)

    # -- VM images ----------------------------------------------------------------------------------------

    def replicate_vm_image(
        self, vm_image_name: str, regions: Iterable[str], offer: str, sku: str, version: str
    ) -> AsynchronousOperationResult:
        """Start to copy an image to other locations (Replicate OS Image).

        vm_image_name: the image.  regions: names of locations.  offer, sku, version: how the image is
            published.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's, AzureConflictHttpError when
        another image has this offer, SKU and version.
        """
        _require(vm_image_name=vm_image_name, regions=regions, offer=offer, sku=sku, version=version)
        attributes = wire.ComputeImageAttributes(offer=offer, sku=sku, version=version)
        body = wire.ReplicationInput(target_locations=list(regions), compute_image_attributes=attributes)
        params = {"image": vm_image_name}
        return self._start("Replicate OS Image", params, body, x_ms_version=_REPLICATION_VERSION)

    def unreplicate_vm_image(self, vm_image_name: str) -> AsynchronousOperationResult:
        """Start to delete an image's copies in other locations (Unreplicate OS Image).

        vm_image_name: the image.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's.
        """
        _require(vm_image_name=vm_image_name)
        params = {"image": vm_image_name}
        return self._start("Unreplicate OS Image", params, x_ms_version=_REPLICATION_VERSION)

    def share_vm_image(self, vm_image_name: str, permission: str) -> AsynchronousOperationResult:
        """Start to share an image (Share OS Image).

        vm_image_name: the image.  permission: Public, MSDN or Private.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's and 400 when it has not been
        replicated.
        """
        _require(vm_image_name=vm_image_name, permission=permission)
        params, query = {"image": vm_image_name}, [("permission", permission)]
        return self._start("Share OS Image", params, query=query, x_ms_version=_REPLICATION_VERSION)

    def capture_vm_image(
        self, service_name: str, deployment_name: str, role_name: str, options: CaptureRoleAsVMImage
    ) -> AsynchronousOperationResult:
        """Start to make a VM image of a machine with all its disks (Capture VM Image).

        service_name, deployment_name, role_name: the machine.
        options: state of its operating system (Specialized or Generalized), name and label of the image; the
            rest may be None.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine, AzureHttpError 400 when a generalized one is not stopped,
        AzureConflictHttpError when the image's name is taken.
        """
        params = _role(service_name, deployment_name, role_name)
        _require(options=options)
        _require(
            **{
                "options.os_state": options.os_state,
                "options.vm_image_name": options.vm_image_name,
                "options.vm_image_label": options.vm_image_label,
            }
        )
        body = wire.CaptureRoleAsVMImageOperation(
            os_state=options.os_state,
            vm_image_name=options.vm_image_name,
            vm_image_label=options.vm_image_label,
            description=options.description,
            language=options.language,
            image_family=options.image_family,
            recommended_vm_size=options.recommended_vm_size,
        )
        return self._start("Capture VM Image", params, body)

    def create_vm_image(self, vm_image: VMImage) -> AsynchronousOperationResult:
        """Start to make a VM image of blobs (Create VM Image).

        vm_image: name, label, and `os_disk_configuration` with os_state, os and media_link; the rest may be
            None.

        Returns the operation's request id.  Raises AzureConflictHttpError when the name is taken,
        AzureHttpError 400 when a blob cannot be a disk.
        """
        _require(vm_image=vm_image)
        disk = vm_image.os_disk_configuration or OSDiskConfiguration()
        _require(
            **{
                "vm_image.name": vm_image.name,
                "vm_image.label": vm_image.label,
                "vm_image.os_disk_configuration.os_state": disk.os_state,
                "vm_image.os_disk_configuration.os": disk.os,
                "vm_image.os_disk_configuration.media_link": disk.media_link,
            }
        )
        return self._start("Create VM Image", body=new_vm_image(vm_image))

    def delete_vm_image(self, vm_image_name: str, delete_vhd: bool = False) -> AsynchronousOperationResult:
        """Start to delete a VM image (Delete VM Image).

        vm_image_name: the image.  delete_vhd: also the blobs under it.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureConflictHttpError while a disk is being made of it.
        """
        _require(vm_image_name=vm_image_name)
        return self._start("Delete VM Image", {"image": vm_image_name}, query=_media(delete_vhd))

    def list_vm_images(
        self, location: str | None = None, publisher: str | None = None, category: str | None = None
    ) -> VMImages:
        """List the VM images (List VM Images).

        location, publisher: only those of this place or publisher.
        category: only Public, Private, User or MSDN images.
        """
        query = [("location", location), ("publisher", publisher), ("category", category)]
        given = [(name, value) for name, value in query if value]
        return self._get(VMImages, "List VM Images", query=given)

    def update_vm_image(self, vm_image_name: str, vm_image: VMImage) -> AsynchronousOperationResult:
        """Change what a VM image says of itself and how its disks are cached (Update VM Image).

        vm_image_name: the image.  vm_image: its new label, description, caching and so on.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's.
        """
        _require(vm_image_name=vm_image_name, vm_image=vm_image)
        return self._start("Update VM Image", {"image": vm_image_name}, changed_vm_image(vm_image))

    # -- OS images ----------------------------------------------------------------------------------------

    def list_os_images(self) -> Images:
        """List the platform's OS images and those of the subscription (List OS Images)."""
        return self._get(Images, "List OS Images")

    def get_os_image(self, image_name: str) -> OSImage:
        """Return one OS image (Get OS Image).

        image_name: its name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(OSImage, "Get OS Image", {"image": image_name})

    def get_os_image_details(self, image_name: str) -> OSImageDetails:
        """Return one OS image with the progress of its copies (Get OS Image Details).

        image_name: its name.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(OSImageDetails, "Get OS Image Details", {"image": image_name})

    def add_os_image(self, label: str, media_link: str, name: str, os: str) -> AsynchronousOperationResult:
        """Make an OS image of a blob (Add OS Image).

        label: up to 100 characters.  media_link: URL of the blob, a fixed VHD.
        name: of the image, unique in the subscription.  os: Linux or Windows.

        Returns the operation's request id.  Raises AzureConflictHttpError when the name is taken.
        """
        _require(label=label, media_link=media_link, name=name, os=os)
        return self._start("Add OS Image", body=_os_image(label, media_link, name, os))

    def update_os_image(
        self, image_name: str, label: str, media_link: str, name: str, os: str
    ) -> AsynchronousOperationResult:
        """Change an OS image (Update OS Image); the parameters are those of `add_os_image`.

        image_name: the image.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's.
        """
        _require(image_name=image_name, label=label, media_link=media_link, name=name, os=os)
        body = _os_image(label, media_link, name, os)
        return self._start("Update OS Image", {"image": image_name}, body)

    def update_os_image_from_image_reference(
        self, image_name: str, os_image: OSImage
    ) -> AsynchronousOperationResult:
        """Change what an OS image says of itself (Update OS Image).

        image_name: the image.  os_image: its new label, description, family and so on.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such image, AzureHttpError 403 when it is another publisher's.
        """
        _require(image_name=image_name, os_image=os_image)
        return self._start("Update OS Image", {"image": image_name}, changed_os_image(os_image))

    def delete_os_image(self, image_name: str, delete_vhd: bool = False) -> AsynchronousOperationResult:
        """Delete an OS image (Delete OS Image).

        image_name: the image.  delete_vhd: also the blob under it.

        Returns the operation's request id.  Raises AzureHttpError while a disk was made of it.
        """
        _require(image_name=image_name)
        return self._start("Delete OS Image", {"image": image_name}, query=_media(delete_vhd))


def _os_image(label: str, media_link: str, name: str, os: str) -> wire.OSImage:
    return only(wire.OSImage, label=label, media_link=media_link, name=name, os=os)
