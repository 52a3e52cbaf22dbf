"""Methods about deployments, those of web and worker roles above all, and about role instances."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from reddog import wire

from ._common_error import _require
from ._storage_accounts import _properties
from .models import AsynchronousOperationResult, Deployment
from .servicemanagementclient import _ServiceManagementClient


class _DeploymentMethods(_ServiceManagementClient):
    def get_deployment_by_slot(self, service_name: str, deployment_slot: str) -> Deployment:
        """Return the deployment in a slot (Get Deployment by slot).

        service_name: the hosted service.  deployment_slot: production or staging.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(Deployment, "Get Deployment by slot", _slot(service_name, deployment_slot))

    def get_deployment_by_name(self, service_name: str, deployment_name: str) -> Deployment:
        """Return a deployment with its roles and instances (Get Deployment by name).

        service_name: the hosted service.  deployment_name: the deployment.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(Deployment, "Get Deployment by name", _deployment(service_name, deployment_name))

    def create_deployment(
        self,
        service_name: str,
        deployment_slot: str,
        name: str,
        package_url: str,
        label: str,
        configuration: str,
        start_deployment: bool = False,
        treat_warnings_as_error: bool = False,
        extended_properties: Mapping[str, str] | None = None,
    ) -> AsynchronousOperationResult:
        """Start to deploy a service package (Create Deployment).

        service_name: the hosted service.  deployment_slot: production or staging.
        name: of the deployment, unique in the service.  label: up to 100 characters.
        package_url: the package's blob.  configuration: the service configuration, in base64.
        start_deployment: run it at once; else it stays suspended.
        treat_warnings_as_error: fail when the package has warnings.
        extended_properties: as in `create_hosted_service`.

        Returns the operation's request id.  Raises AzureConflictHttpError when the slot is taken.
        """
        params = _slot(service_name, deployment_slot)
        _require(name=name, package_url=package_url, label=label, configuration=configuration)
        body = wire.CreateDeployment(
            name=name,
            package_url=package_url,
            label=label,
            configuration=_plain(configuration),
            start_deployment=start_deployment,
            treat_warnings_as_error=treat_warnings_as_error,
            extended_properties=_properties(extended_properties),
        )
        return self._start("Create Deployment (package)", params, body)

    def delete_deployment(
        self, service_name: str, deployment_name: str, delete_vhd: bool = False
    ) -> AsynchronousOperationResult:
        """Start to delete a deployment with its machines (Delete Deployment by name).

        service_name: the hosted service.  deployment_name: the deployment.
        delete_vhd: also the machines' disks and the blobs under them.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is none.
        """
        params = _deployment(service_name, deployment_name)
        return self._start("Delete Deployment by name", params, query=_media(delete_vhd))

    def swap_deployment(
        self, service_name: str, production: str, source_deployment: str
    ) -> AsynchronousOperationResult:
        """Start to swap the deployments of the two slots (Swap Deployment).

        service_name: the hosted service.  production: name of the deployment in production.
        source_deployment: name of the one in staging.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such service or deployment.
        """
        _require(service_name=service_name, production=production, source_deployment=source_deployment)
        body = wire.Swap(production=production, source_deployment=source_deployment)
        return self._start("Swap Deployment", {"service": service_name}, body)

    def change_deployment_configuration(
        self,
        service_name: str,
        deployment_name: str,
        configuration: str,
        treat_warnings_as_error: bool = False,
        mode: str = "Auto",
        extended_properties: Mapping[str, str] | None = None,
    ) -> AsynchronousOperationResult:
        """Start to change a deployment's configuration (Change Deployment Configuration by name).

        service_name, deployment_name: the deployment.  configuration: the new one, in base64.
        treat_warnings_as_error: fail when there are warnings.
        mode: Auto, or Manual (then `walk_upgrade_domain` applies it domain by domain).
        extended_properties: as in `create_hosted_service`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        _require(configuration=configuration)
        body = wire.ChangeConfiguration(
            configuration=_plain(configuration),
            treat_warnings_as_error=treat_warnings_as_error,
            mode=mode,
            extended_properties=_properties(extended_properties),
        )
        return self._start("Change Deployment Configuration by name", params, body)

    def update_deployment_status(
        self, service_name: str, deployment_name: str, status: str
    ) -> AsynchronousOperationResult:
        """Start to run or to suspend a deployment (Update Deployment Status by name).

        service_name, deployment_name: the deployment.  status: Running or Suspended.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        _require(status=status)
        body = wire.UpdateDeploymentStatus(status=status)
        return self._start("Update Deployment Status by name", params, body)

    def upgrade_deployment(
        self,
        service_name: str,
        deployment_name: str,
        mode: str,
        package_url: str,
        configuration: str,
        label: str,
        force: bool,
        role_to_upgrade: str | None = None,
        extended_properties: Mapping[str, str] | None = None,
    ) -> AsynchronousOperationResult:
        """Start to upgrade a deployment to another package (Upgrade Deployment by name).

        service_name, deployment_name: the deployment.  mode: Auto or Manual.
        package_url: the package's blob.  configuration: the service configuration, in base64.
        label: up to 100 characters.  force: go on even where local data is lost.
        role_to_upgrade: this role alone.  extended_properties: as in `create_hosted_service`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        _require(mode=mode, package_url=package_url, configuration=configuration, label=label, force=force)
        body = wire.UpgradeDeployment(
            mode=mode,
            package_url=package_url,
            configuration=_plain(configuration),
            label=label,
            role_to_upgrade=role_to_upgrade,
            force=force,
            extended_properties=_properties(extended_properties),
        )
        return self._start("Upgrade Deployment by name", params, body)

    def walk_upgrade_domain(
        self, service_name: str, deployment_name: str, upgrade_domain: int
    ) -> AsynchronousOperationResult:
        """Start to upgrade the next domain of a manual upgrade (Walk Upgrade Domain by name).

        service_name, deployment_name: the deployment.  upgrade_domain: number of the domain, from 0.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment, AzureHttpError 400 when no upgrade waits for it.
        """
        params = _deployment(service_name, deployment_name)
        _require(upgrade_domain=upgrade_domain)
        body = wire.WalkUpgradeDomain(upgrade_domain=upgrade_domain)
        return self._start("Walk Upgrade Domain by name", params, body)

    def rollback_update_or_upgrade(
        self, service_name: str, deployment_name: str, mode: str, force: bool
    ) -> AsynchronousOperationResult:
        """Start to undo a running upgrade (Rollback Update Or Upgrade by name).

        service_name, deployment_name: the deployment.  mode: Auto or Manual.
        force: go on even where local data is lost.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        _require(mode=mode, force=force)
        body = wire.RollbackUpdateOrUpgrade(mode=mode, force=force)
        return self._start("Rollback Update Or Upgrade by name", params, body)

    # -- Role instances -----------------------------------------------------------------------------------

    def reboot_role_instance(
        self, service_name: str, deployment_name: str, role_instance_name: str
    ) -> AsynchronousOperationResult:
        """Start to reboot an instance (Reboot Role Instance by name).

        service_name, deployment_name, role_instance_name: the instance.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such instance.
        """
        params = _instance(service_name, deployment_name, role_instance_name)
        return self._start("Reboot Role Instance by name", params)

    def reimage_role_instance(
        self, service_name: str, deployment_name: str, role_instance_name: str
    ) -> AsynchronousOperationResult:
        """Start to install an instance's operating system anew (Reimage Role Instance by name).

        service_name, deployment_name, role_instance_name: the instance.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such instance.
        """
        params = _instance(service_name, deployment_name, role_instance_name)
        return self._start("Reimage Role Instance by name", params)

    def rebuild_role_instance(
        self, service_name: str, deployment_name: str, role_instance_name: str
    ) -> AsynchronousOperationResult:
        """Start to install an instance anew and to empty its local drives (Rebuild Role Instance by name).

        service_name, deployment_name, role_instance_name: the instance.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such instance.
        """
        params = _instance(service_name, deployment_name, role_instance_name)
        return self._start("Rebuild Role Instance by name", params)

    def delete_role_instances(
        self, service_name: str, deployment_name: str, role_instance_names: Iterable[str]
    ) -> AsynchronousOperationResult:
        """Start to delete some instances of a deployment (Delete Role Instances by name).

        service_name, deployment_name: the deployment.  role_instance_names: the instances' names.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        _require(role_instance_names=role_instance_names)
        body = wire.RoleInstances(names=list(role_instance_names))
        return self._start("Delete Role Instances by name", params, body)


def _plain(configuration: str) -> str:
    """A service configuration comes as base64; the wire encodes it again."""
    try:
        return base64.b64decode(configuration).decode("utf-8")
    except ValueError as error:
        raise ValueError(f"configuration has to be base64 of UTF-8 text: {error}") from error


def _deployment(service_name: str, deployment_name: str) -> dict[str, object]:
    _require(service_name=service_name, deployment_name=deployment_name)
    return {"service": service_name, "deployment": deployment_name}


def _slot(service_name: str, deployment_slot: str) -> dict[str, object]:
    _require(service_name=service_name, deployment_slot=deployment_slot)
    return {"service": service_name, "slot": deployment_slot}


def _instance(service_name: str, deployment_name: str, role_instance_name: str) -> dict[str, object]:
    params = _deployment(service_name, deployment_name)
    _require(role_instance_name=role_instance_name)
    return {**params, "instance": role_instance_name}


def _role(service_name: str, deployment_name: str, role_name: str) -> dict[str, object]:
    params = _deployment(service_name, deployment_name)
    _require(role_name=role_name)
    return {**params, "role": role_name}


def _media(wanted: bool) -> list[tuple[str, object]]:
    """The query that makes a deletion include disks and blobs."""
    return [("comp", "media")] if wanted else []
