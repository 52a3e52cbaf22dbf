"""Methods about virtual machines: deployments made of them, and their roles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reddog import wire

from ._bodies import only, provisioning, role
from ._common_error import _require
from ._deployments import _deployment, _media, _role
from .models import (
    AsynchronousOperationResult,
    DataVirtualHardDisk,
    DnsServer,
    LinuxConfigurationSet,
    OSVirtualHardDisk,
    PersistentVMRole,
    ResourceExtensionReference,
    WindowsConfigurationSet,
)
from .servicemanagementclient import _ServiceManagementClient

SystemConfiguration = LinuxConfigurationSet | WindowsConfigurationSet


class _VirtualMachineMethods(_ServiceManagementClient):
    def get_role(self, service_name: str, deployment_name: str, role_name: str) -> PersistentVMRole:
        """Return a virtual machine's role (Get Role).

        service_name, deployment_name, role_name: the machine.

        Raises AzureMissingResourceHttpError when there is none.
        """
        return self._get(PersistentVMRole, "Get Role", _role(service_name, deployment_name, role_name))

    def create_virtual_machine_deployment(
        self,
        service_name: str,
        deployment_name: str,
        deployment_slot: str,
        label: str,
        role_name: str,
        system_config: SystemConfiguration | None,
        os_virtual_hard_disk: OSVirtualHardDisk | None,
        network_config: Any = None,
        availability_set_name: str | None = None,
        data_virtual_hard_disks: Iterable[DataVirtualHardDisk] | None = None,
        role_size: str | None = None,
        role_type: str = "PersistentVMRole",
        virtual_network_name: str | None = None,
        resource_extension_references: Iterable[ResourceExtensionReference] | None = None,
        provision_guest_agent: bool | None = None,
        vm_image_name: str | None = None,
        media_location: str | None = None,
        dns_servers: Iterable[DnsServer] | None = None,
        reserved_ip_name: str | None = None,
    ) -> AsynchronousOperationResult:
        """Start to make a deployment with one virtual machine (Create Virtual Machine Deployment).

        service_name: the hosted service.  deployment_name: unique in it.  deployment_slot: production or
            staging.
        label: of the deployment, up to 100 characters.
        role_name: the machine's name.
        system_config: how to set up its operating system; None for a specialized disk or image.
        os_virtual_hard_disk: its disk: an image and where the disk's blob is to be, or a disk of the
            subscription; None with `vm_image_name`.
        network_config: a ConfigurationSet with endpoints and subnets; without endpoints nothing reaches the
            machine.
        availability_set_name: machines of one set are kept apart.
        data_virtual_hard_disks: further disks.  role_size: a name from `list_role_sizes`.
        role_type: PersistentVMRole.  virtual_network_name: of a virtual network.
        resource_extension_references: extensions to install.  provision_guest_agent: with the agent that does
            it.
        vm_image_name: a VM image to start from.  media_location: where blobs of its disks are to be.
        dns_servers: for the machines of the deployment.  reserved_ip_name: its public address.

        Returns the operation's request id.  Raises AzureConflictHttpError when the slot or the name is taken,
        AzureHttpError 400 for a bad value.
        """
        _require(
            service_name=service_name,
            deployment_name=deployment_name,
            deployment_slot=deployment_slot,
            label=label,
            role_name=role_name,
        )
        machine = role(
            wire.Role,
            role_name=role_name,
            role_type=role_type,
            system_config=system_config,
            network_config=network_config,
            os_virtual_hard_disk=os_virtual_hard_disk,
            data_virtual_hard_disks=data_virtual_hard_disks,
            resource_extension_references=resource_extension_references,
            vm_image_name=vm_image_name,
            media_location=media_location,
            availability_set_name=availability_set_name,
            role_size=role_size,
            provision_guest_agent=provision_guest_agent,
        )
        body = only(
            wire.DeploymentRequest,
            name=deployment_name,
            deployment_slot=deployment_slot,
            label=label,
            role_list=only(wire.RoleList, roles=[machine]),
            virtual_network_name=virtual_network_name,
            dns=_dns(dns_servers),
            reserved_ip_name=reserved_ip_name,
        )
        return self._start("Create Virtual Machine Deployment", {"service": service_name}, body)

    def add_role(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        system_config: SystemConfiguration | None,
        os_virtual_hard_disk: OSVirtualHardDisk | None,
        network_config: Any = None,
        availability_set_name: str | None = None,
        data_virtual_hard_disks: Iterable[DataVirtualHardDisk] | None = None,
        role_size: str | None = None,
        role_type: str = "PersistentVMRole",
        resource_extension_references: Iterable[ResourceExtensionReference] | None = None,
        provision_guest_agent: bool | None = None,
        vm_image_name: str | None = None,
        media_location: str | None = None,
    ) -> AsynchronousOperationResult:
        """Start to add a virtual machine to a deployment (Add Role).

        service_name, deployment_name: the deployment.  The others as in `create_virtual_machine_deployment`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no such
        deployment, AzureConflictHttpError when the name is taken.
        """
        params = _deployment(service_name, deployment_name)
        _require(role_name=role_name)
        body = role(
            wire.PersistentVMRole,
            role_name=role_name,
            role_type=role_type,
            system_config=system_config,
            network_config=network_config,
            os_virtual_hard_disk=os_virtual_hard_disk,
            data_virtual_hard_disks=data_virtual_hard_disks,
            resource_extension_references=resource_extension_references,
            vm_image_name=vm_image_name,
            media_location=media_location,
            availability_set_name=availability_set_name,
            role_size=role_size,
            provision_guest_agent=provision_guest_agent,
        )
        return self._start("Add Role", params, body)

    def update_role(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        os_virtual_hard_disk: OSVirtualHardDisk | None = None,
        network_config: Any = None,
        availability_set_name: str | None = None,
        data_virtual_hard_disks: Iterable[DataVirtualHardDisk] | None = None,
        role_size: str | None = None,
        role_type: str = "PersistentVMRole",
        resource_extension_references: Iterable[ResourceExtensionReference] | None = None,
        provision_guest_agent: bool | None = None,
    ) -> AsynchronousOperationResult:
        """Start to change a virtual machine: its size, endpoints, caching (Update Role).

        service_name, deployment_name, role_name: the machine.  The others as in
            `create_virtual_machine_deployment`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no such
        machine.
        """
        params = _role(service_name, deployment_name, role_name)
        body = role(
            wire.PersistentVMRole,
            role_name=role_name,
            role_type=role_type,
            network_config=network_config,
            os_virtual_hard_disk=os_virtual_hard_disk,
            data_virtual_hard_disks=data_virtual_hard_disks,
            resource_extension_references=resource_extension_references,
            availability_set_name=availability_set_name,
            role_size=role_size,
            provision_guest_agent=provision_guest_agent,
        )
        return self._start("Update Role", params, body)

    def delete_role(
        self, service_name: str, deployment_name: str, role_name: str, complete: bool = False
    ) -> AsynchronousOperationResult:
        """Start to delete a virtual machine of a deployment that has others (Delete Role).

        service_name, deployment_name, role_name: the machine.
        complete: also its disks and the blobs under them.

        Returns the operation's request id.  Raises AzureHttpError 400 for the only machine of its deployment.
        """
        params = _role(service_name, deployment_name, role_name)
        return self._start("Delete Role", params, query=_media(complete))

    def capture_role(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        post_capture_action: str,
        target_image_name: str,
        target_image_label: str,
        provisioning_configuration: SystemConfiguration | None = None,
    ) -> AsynchronousOperationResult:
        """Start to make an OS image of a machine's disk (Capture Role).

        service_name, deployment_name, role_name: the machine, shut down.
        post_capture_action: Delete, or Reprovision (the machine starts anew with
            `provisioning_configuration`).
        target_image_name: unique in the subscription.  target_image_label: up to 100 characters.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine, AzureHttpError 400 when it is not stopped, AzureConflictHttpError when the
        image's name is taken.
        """
        params = _role(service_name, deployment_name, role_name)
        _require(
            post_capture_action=post_capture_action,
            target_image_name=target_image_name,
            target_image_label=target_image_label,
        )
        body = wire.CaptureRoleOperation(
            post_capture_action=post_capture_action,
            provisioning_configuration=provisioning(provisioning_configuration),
            target_image_label=target_image_label,
            target_image_name=target_image_name,
        )
        return self._start("Capture Role", params, body)

    def start_role(
        self, service_name: str, deployment_name: str, role_name: str
    ) -> AsynchronousOperationResult:
        """Start a virtual machine (Start Role).

        service_name, deployment_name, role_name: the machine.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine, AzureConflictHttpError when it takes more cores than the subscription has
        left.
        """
        params = _role(service_name, deployment_name, role_name)
        return self._start("Start Role", params, wire.StartRoleOperation())

    def start_roles(
        self, service_name: str, deployment_name: str, role_names: Iterable[str]
    ) -> AsynchronousOperationResult:
        """Start several virtual machines of a deployment (Start Roles).

        service_name, deployment_name: the deployment.  role_names: the machines.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine, AzureConflictHttpError when they take more cores than the subscription has
        left.
        """
        params = _deployment(service_name, deployment_name)
        _require(role_names=role_names)
        return self._start("Start Roles", params, wire.StartRolesOperation(roles=list(role_names)))

    def restart_role(
        self, service_name: str, deployment_name: str, role_name: str
    ) -> AsynchronousOperationResult:
        """Start to restart a virtual machine (Restart Role).

        service_name, deployment_name, role_name: the machine.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine.
        """
        params = _role(service_name, deployment_name, role_name)
        return self._start("Restart Role", params, wire.RestartRoleOperation())

    def shutdown_role(
        self,
        service_name: str,
        deployment_name: str,
        role_name: str,
        post_shutdown_action: str = "Stopped",
    ) -> AsynchronousOperationResult:
        """Start to shut a virtual machine down (Shutdown Role).

        service_name, deployment_name, role_name: the machine.
        post_shutdown_action: Stopped (it keeps its place), or StoppedDeallocated (it gives up place and
            address).

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine.
        """
        params = _role(service_name, deployment_name, role_name)
        _require(post_shutdown_action=post_shutdown_action)
        body = wire.ShutdownRoleOperation(post_shutdown_action=post_shutdown_action)
        return self._start("Shutdown Role", params, body)

    def shutdown_roles(
        self,
        service_name: str,
        deployment_name: str,
        role_names: Iterable[str],
        post_shutdown_action: str = "Stopped",
    ) -> AsynchronousOperationResult:
        """Start to shut several virtual machines of a deployment down (Shutdown Roles).

        service_name, deployment_name: the deployment.  role_names: the machines.
        post_shutdown_action: as in `shutdown_role`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such machine.
        """
        params = _deployment(service_name, deployment_name)
        _require(role_names=role_names, post_shutdown_action=post_shutdown_action)
        body = wire.ShutdownRolesOperation(roles=list(role_names), post_shutdown_action=post_shutdown_action)
        return self._start("Shutdown Roles", params, body)


def _dns(servers: Iterable[DnsServer] | None) -> wire.Dns | None:
    given = [only(wire.DnsServer, server, "name", "address") for server in servers or ()]
    return only(wire.Dns, dns_servers=only(wire.DnsServers, dns_servers=given)) if given else None
