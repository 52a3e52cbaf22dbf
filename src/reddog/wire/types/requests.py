"""Requests that change deployments and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reddog.wire._schema import (
    WireType,
    boolean,
    element,
    encoded,
    integer,
    model,
    names,
    pairs,
    strings,
    text,
)

if TYPE_CHECKING:
    from reddog.wire.types.deployments import Dns, ExtensionConfiguration, LoadBalancers
    from reddog.wire.types.roles import ConfigurationSet, RoleList


@model
class DeploymentRequest(WireType):
    """The element ``Deployment`` of a request."""

    _xml_name = "Deployment"

    name: str | None = text("Name", required=True)
    deployment_slot: str | None = text("DeploymentSlot", required=True)
    label: str | None = text("Label", required=True)
    role_list: RoleList | None = element("RoleList", "RoleList", absent=True, required=True)
    virtual_network_name: str | None = text("VirtualNetworkName")
    dns: Dns | None = element("Dns", "Dns", absent=True)
    reserved_ip_name: str | None = text("ReservedIPName")
    load_balancers: LoadBalancers | None = element("LoadBalancers", "LoadBalancers", absent=True)


@model
class CreateDeployment(WireType):
    """The element ``CreateDeployment`` of a request."""

    name: str | None = text("Name", required=True)
    package_url: str | None = text("PackageUrl", required=True)
    label: str | None = encoded("Label", required=True)
    configuration: str | None = encoded("Configuration", required=True)
    start_deployment: bool | None = boolean("StartDeployment")
    treat_warnings_as_error: bool | None = boolean("TreatWarningsAsError")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    extension_configuration: ExtensionConfiguration | None = element(
        "ExtensionConfiguration", "ExtensionConfiguration", absent=True
    )


@model
class ChangeConfiguration(WireType):
    """The element ``ChangeConfiguration`` of a request."""

    configuration: str | None = encoded("Configuration", required=True)
    treat_warnings_as_error: bool | None = boolean("TreatWarningsAsError")
    mode: str | None = text("Mode")
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    extension_configuration: ExtensionConfiguration | None = element(
        "ExtensionConfiguration", "ExtensionConfiguration", absent=True
    )


@model
class UpdateDeploymentStatus(WireType):
    """The element ``UpdateDeploymentStatus`` of a request."""

    status: str | None = text("Status", required=True)


@model
class UpgradeDeployment(WireType):
    """The element ``UpgradeDeployment`` of a request."""

    mode: str | None = text("Mode", required=True)
    package_url: str | None = text("PackageUrl", required=True)
    configuration: str | None = encoded("Configuration", required=True)
    label: str | None = encoded("Label", required=True)
    role_to_upgrade: str | None = text("RoleToUpgrade")
    treat_warnings_as_error: bool | None = boolean("TreatWarningsAsError")
    force: bool | None = boolean("Force", required=True)
    extended_properties: dict[str, str] | None = pairs("ExtendedProperties", "ExtendedProperty", absent=True)
    extension_configuration: ExtensionConfiguration | None = element(
        "ExtensionConfiguration", "ExtensionConfiguration", absent=True
    )


@model
class WalkUpgradeDomain(WireType):
    """The element ``WalkUpgradeDomain``."""

    upgrade_domain: int | None = integer("UpgradeDomain", required=True)


@model
class RollbackUpdateOrUpgrade(WireType):
    """The element ``RollbackUpdateOrUpgrade``."""

    mode: str | None = text("Mode", required=True)
    force: bool | None = boolean("Force", required=True)


@model
class Swap(WireType):
    """The element ``Swap``; ``Production`` is empty where there is none."""

    production: str | None = text("Production")
    source_deployment: str | None = text("SourceDeployment", required=True)


@model
class RoleInstances(WireType):
    """The element ``RoleInstances`` of a request."""

    names: list[str] = names("Name")


@model
class StartRoleOperation(WireType):
    """The element ``StartRoleOperation`` of a request."""

    operation_type: str | None = text("OperationType", "StartRoleOperation")


@model
class RestartRoleOperation(WireType):
    """The element ``RestartRoleOperation`` of a request."""

    operation_type: str | None = text("OperationType", "RestartRoleOperation")


@model
class ShutdownRoleOperation(WireType):
    """The element ``ShutdownRoleOperation`` of a request."""

    operation_type: str | None = text("OperationType", "ShutdownRoleOperation")
    post_shutdown_action: str | None = text("PostShutdownAction")


@model
class CaptureRoleOperation(WireType):
    """The element ``CaptureRoleOperation`` of a request."""

    operation_type: str | None = text("OperationType", "CaptureRoleOperation")
    post_capture_action: str | None = text("PostCaptureAction", required=True)
    provisioning_configuration: ConfigurationSet | None = element(
        "ProvisioningConfiguration", "ConfigurationSet", absent=True
    )
    target_image_label: str | None = text("TargetImageLabel", required=True)
    target_image_name: str | None = text("TargetImageName", required=True)


@model
class CaptureRoleAsVMImageOperation(WireType):
    """The element ``CaptureRoleAsVMImageOperation`` of a request."""

    operation_type: str | None = text("OperationType", "CaptureRoleAsVMImageOperation")
    os_state: str | None = text("OSState")
    vm_image_name: str | None = text("VMImageName", required=True)
    vm_image_label: str | None = text("VMImageLabel", required=True)
    description: str | None = text("Description")
    language: str | None = text("Language")
    image_family: str | None = text("ImageFamily")
    recommended_vm_size: str | None = text("RecommendedVMSize")


@model
class StartRolesOperation(WireType):
    """The element ``StartRolesOperation`` of a request."""

    operation_type: str | None = text("OperationType", "StartRolesOperation")
    roles: list[str] | None = strings("Roles", "Name", absent=True, required=True)


@model
class ShutdownRolesOperation(WireType):
    """The element ``ShutdownRolesOperation`` of a request."""

    operation_type: str | None = text("OperationType", "ShutdownRolesOperation")
    roles: list[str] | None = strings("Roles", "Name", absent=True, required=True)
    post_shutdown_action: str | None = text("PostShutdownAction", required=True)


@model
class CaptureRoleAsVMImage(WireType):
    """What ``capture_vm_image`` is told of the image to make; it goes as ``CaptureRoleAsVMImageOperation``."""

    os_state: str | None = text("OSState")
    vm_image_name: str | None = text("VMImageName")
    vm_image_label: str | None = text("VMImageLabel")
    description: str | None = text("Description")
    language: str | None = text("Language")
    image_family: str | None = text("ImageFamily")
    recommended_vm_size: str | None = text("RecommendedVMSize")


@model
class AsynchronousOperationResult(WireType):
    """The request id of a change that was accepted; no element of the API."""

    request_id: str | None = None
