"""Disks, OS images and VM images."""

from __future__ import annotations

from reddog.wire._schema import (
    Collection,
    WireType,
    boolean,
    element,
    elements,
    integer,
    model,
    strings,
    text,
)


@model
class Disks(Collection["Disk"]):
    """The element ``Disks``."""

    disks: list[Disk] = elements("Disk")


@model
class Disk(WireType):
    """The element ``Disk``."""

    affinity_group: str | None = text("AffinityGroup", "")
    attached_to: AttachedTo | None = element("AttachedTo", "AttachedTo")
    os: str | None = text("OS", "")
    is_corrupted: str | None = text("IsCorrupted", "")
    label: str | None = text("Label", "")
    location: str | None = text("Location", "")
    logical_disk_size_in_gb: int | None = integer("LogicalDiskSizeInGB", 0)
    media_link: str | None = text("MediaLink", "")
    name: str | None = text("Name", "")
    source_image_name: str | None = text("SourceImageName", "")
    resized_size_in_gb: int | None = integer("ResizedSizeInGB")
    remote_source_image_link: str | None = text("RemoteSourceImageLink")
    is_premium: bool | None = boolean("IsPremium")
    pricing_detail_link: str | None = text("PricingDetailLink")
    created_time: str | None = text("CreatedTime")
    io_type: str | None = text("IOType")
    has_operating_system: str | None = text("HasOperatingSystem", "")


@model
class AttachedTo(WireType):
    """The element ``AttachedTo``."""

    deployment_name: str | None = text("DeploymentName", "")
    hosted_service_name: str | None = text("HostedServiceName", "")
    role_name: str | None = text("RoleName", "")


@model
class Images(Collection["OSImage"]):
    """The element ``Images``."""

    images: list[OSImage] = elements("OSImage")


@model
class OSImage(WireType):
    """The element ``OSImage``."""

    affinity_group: str | None = text("AffinityGroup", "")
    category: str | None = text("Category", "")
    label: str | None = text("Label", "")
    location: str | None = text("Location", "")
    logical_size_in_gb: int | None = integer("LogicalSizeInGB", 0)
    media_link: str | None = text("MediaLink", "")
    name: str | None = text("Name", "")
    os: str | None = text("OS", "")
    eula: str | None = text("Eula", "")
    description: str | None = text("Description", "")
    image_family: str | None = text("ImageFamily", "")
    show_in_gui: bool | None = boolean("ShowInGui", True)
    published_date: str | None = text("PublishedDate", "")
    is_premium: bool | None = boolean("IsPremium", True)
    icon_uri: str | None = text("IconUri", "")
    privacy_uri: str | None = text("PrivacyUri", "")
    recommended_vm_size: str | None = text("RecommendedVMSize", "")
    publisher_name: str | None = text("PublisherName", "")
    pricing_detail_link: str | None = text("PricingDetailLink", "")
    small_icon_uri: str | None = text("SmallIconUri", "")
    language: str | None = text("Language", "")
    os_state: str | None = text("OSState", "")
    io_type: str | None = text("IOType")


@model
class OSImageDetails(WireType):
    """The element ``OSImageDetails``."""

    affinity_group: str | None = text("AffinityGroup")
    category: str | None = text("Category", "")
    label: str | None = text("Label", "")
    location: str | None = text("Location", "")
    logical_size_in_gb: int | None = integer("LogicalSizeInGB", 0)
    media_link: str | None = text("MediaLink", "")
    name: str | None = text("Name", "")
    os: str | None = text("OS", "")
    eula: str | None = text("Eula", "")
    description: str | None = text("Description", "")
    image_family: str | None = text("ImageFamily", "")
    show_in_gui: bool | None = boolean("ShowInGui", True)
    published_date: str | None = text("PublishedDate", "")
    is_premium: bool | None = boolean("IsPremium", True)
    icon_uri: str | None = text("IconUri", "")
    privacy_uri: str | None = text("PrivacyUri", "")
    recommended_vm_size: str | None = text("RecommendedVMSize", "")
    publisher_name: str | None = text("PublisherName")
    pricing_detail_link: str | None = text("PricingDetailLink")
    small_icon_uri: str | None = text("SmallIconUri", "")
    language: str | None = text("Language", "")
    os_state: str | None = text("OSState")
    io_type: str | None = text("IOType")
    is_corrupted: bool | None = boolean("IsCorrupted")
    replication_progress: ReplicationProgress | None = element("ReplicationProgress", "ReplicationProgress")
    compute_image_attributes: ComputeImageAttributes | None = element(
        "ComputeImageAttributes", "ComputeImageAttributes", absent=True
    )
    marketplace_image_attributes: MarketplaceImageAttributes | None = element(
        "MarketplaceImageAttributes", "MarketplaceImageAttributes", absent=True
    )


@model
class ReplicationProgress(Collection["ReplicationProgressElement"]):
    """The element ``ReplicationProgress``."""

    replication_progress_elements: list[ReplicationProgressElement] = elements("ReplicationProgressElement")


@model
class ReplicationProgressElement(WireType):
    """The element ``ReplicationProgressElement``."""

    location: str | None = text("Location", "")
    progress: int | None = integer("Progress", 0)


@model
class ComputeImageAttributes(WireType):
    """The element ``ComputeImageAttributes``."""

    offer: str | None = text("Offer", required=True)
    sku: str | None = text("Sku", required=True)
    version: str | None = text("Version", required=True)


@model
class MarketplaceImageAttributes(WireType):
    """The element ``MarketplaceImageAttributes``."""

    publisher_id: str | None = text("PublisherId")
    plan: Plan | None = element("Plan", "Plan", absent=True)


@model
class Plan(WireType):
    """The element ``Plan``."""

    name: str | None = text("Name")
    publisher: str | None = text("Publisher")
    product: str | None = text("Product")


@model
class ReplicationInput(WireType):
    """The element ``ReplicationInput`` of a request."""

    target_locations: list[str] | None = strings("TargetLocations", "Region", absent=True, required=True)
    compute_image_attributes: ComputeImageAttributes | None = element(
        "ComputeImageAttributes", "ComputeImageAttributes", absent=True
    )
    marketplace_image_attributes: MarketplaceImageAttributes | None = element(
        "MarketplaceImageAttributes", "MarketplaceImageAttributes", absent=True
    )


@model
class VMImages(Collection["VMImage"]):
    """The element ``VMImages``."""

    vm_images: list[VMImage] = elements("VMImage")


@model
class VMImage(WireType):
    """The element ``VMImage``."""

    _unordered = True
    _order = (
        "name",
        "label",
        "category",
        "description",
        "os_disk_configuration",
        "data_disk_configurations",
        "service_name",
        "deployment_name",
        "role_name",
        "location",
        "affinity_group",
        "created_time",
        "modified_time",
        "language",
        "image_family",
        "recommended_vm_size",
        "is_premium",
        "eula",
        "icon_uri",
        "small_icon_uri",
        "privacy_uri",
        "publisher_name",
        "published_date",
        "show_in_gui",
        "pricing_detail_link",
        "vm_image_state",
        "role_state_on_capture",
        "role_size_on_capture",
    )

    name: str | None = text("Name")
    label: str | None = text("Label")
    description: str | None = text("Description")
    category: str | None = text("Category")
    os_disk_configuration: OSDiskConfiguration | None = element("OSDiskConfiguration", "OSDiskConfiguration")
    data_disk_configurations: DataDiskConfigurations | None = element(
        "DataDiskConfigurations", "DataDiskConfigurations"
    )
    service_name: str | None = text("ServiceName")
    deployment_name: str | None = text("DeploymentName")
    role_name: str | None = text("RoleName")
    location: str | None = text("Location")
    affinity_group: str | None = text("AffinityGroup")
    created_time: str | None = text("CreatedTime")
    modified_time: str | None = text("ModifiedTime")
    language: str | None = text("Language")
    image_family: str | None = text("ImageFamily")
    recommended_vm_size: str | None = text("RecommendedVMSize")
    is_premium: bool | None = boolean("IsPremium", False)
    eula: str | None = text("Eula")
    icon_uri: str | None = text("IconUri")
    small_icon_uri: str | None = text("SmallIconUri")
    privacy_uri: str | None = text("PrivacyUri")
    publisher_name: str | None = text("PublisherName")
    published_date: str | None = text("PublishedDate")
    show_in_gui: bool | None = boolean("ShowInGui", False)
    pricing_detail_link: str | None = text("PricingDetailLink")
    vm_image_state: str | None = text("VMImageState")
    role_state_on_capture: str | None = text("RoleStateOnCapture")
    role_size_on_capture: str | None = text("RoleSizeOnCapture")


@model
class VMImageDetails(WireType):
    """The element ``VMImageDetails``."""

    name: str | None = text("Name")
    label: str | None = text("Label")
    category: str | None = text("Category")
    description: str | None = text("Description")
    os_disk_configuration: OSDiskConfiguration | None = element(
        "OSDiskConfiguration", "OSDiskConfiguration", absent=True
    )
    data_disk_configurations: DataDiskConfigurations | None = element(
        "DataDiskConfigurations", "DataDiskConfigurations", absent=True
    )
    service_name: str | None = text("ServiceName")
    deployment_name: str | None = text("DeploymentName")
    role_name: str | None = text("RoleName")
    location: str | None = text("Location")
    affinity_group: str | None = text("AffinityGroup")
    created_time: str | None = text("CreatedTime")
    modified_time: str | None = text("ModifiedTime")
    language: str | None = text("Language")
    image_family: str | None = text("ImageFamily")
    recommended_vm_size: str | None = text("RecommendedVMSize")
    is_premium: bool | None = boolean("IsPremium")
    eula: str | None = text("Eula")
    icon_uri: str | None = text("IconUri")
    small_icon_uri: str | None = text("SmallIconUri")
    privacy_uri: str | None = text("PrivacyUri")
    publisher_name: str | None = text("PublisherName")
    published_date: str | None = text("PublishedDate")
    show_in_gui: bool | None = boolean("ShowInGui")
    pricing_detail_link: str | None = text("PricingDetailLink")
    vm_image_state: str | None = text("VMImageState")
    role_state_on_capture: str | None = text("RoleStateOnCapture")
    role_size_on_capture: str | None = text("RoleSizeOnCapture")
    is_corrupted: bool | None = boolean("IsCorrupted")
    published_name: str | None = text("PublishedName")
    replication_progress: ReplicationProgress | None = element(
        "ReplicationProgress", "ReplicationProgress", absent=True
    )
    compute_image_attributes: ComputeImageAttributes | None = element(
        "ComputeImageAttributes", "ComputeImageAttributes", absent=True
    )
    marketplace_image_attributes: MarketplaceImageAttributes | None = element(
        "MarketplaceImageAttributes", "MarketplaceImageAttributes", absent=True
    )


@model
class OSDiskConfiguration(WireType):
    """The element ``OSDiskConfiguration``."""

    name: str | None = text("Name")
    host_caching: str | None = text("HostCaching")
    os_state: str | None = text("OSState")
    os: str | None = text("OS")
    media_link: str | None = text("MediaLink")
    logical_disk_size_in_gb: int | None = integer("LogicalDiskSizeInGB", -1)
    io_type: str | None = text("IOType")


@model
class DataDiskConfigurations(Collection["DataDiskConfiguration"]):
    """The element ``DataDiskConfigurations``."""

    data_disk_configurations: list[DataDiskConfiguration] = elements("DataDiskConfiguration")


@model
class DataDiskConfiguration(WireType):
    """The element ``DataDiskConfiguration``."""

    name: str | None = text("Name")
    host_caching: str | None = text("HostCaching")
    lun: int | None = integer("Lun", -1)
    media_link: str | None = text("MediaLink")
    logical_disk_size_in_gb: int | None = integer("LogicalDiskSizeInGB", -1)
    io_type: str | None = text("IOType")
