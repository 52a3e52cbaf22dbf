"""Methods about reserved IP addresses, DNS servers and virtual networks."""

from __future__ import annotations

from reddog import wire

from ._bodies import only
from ._common_error import _require
from ._deployments import _deployment
from .models import AsynchronousOperationResult, ReservedIP, ReservedIPs, VirtualNetworkSites
from .servicemanagementclient import _ServiceManagementClient

_ASSOCIATION_VERSION = "2015-02-01"


class _NetworkMethods(_ServiceManagementClient):
    def create_reserved_ip_address(
        self, name: str, label: str | None = None, location: str | None = None
    ) -> AsynchronousOperationResult:
        """Start to reserve a public IP address (Create Reserved IP Address).

        name: unique in the subscription.  label: up to 100 characters.  location: a name from
            `list_locations`.

        Returns the operation's request id.  Raises AzureConflictHttpError when the name is taken or
        the subscription's limit is reached.
        """
        _require(name=name)
        body = only(wire.ReservedIP, name=name, label=label, location=location)
        return self._start("Create Reserved IP Address", body=body)

    def delete_reserved_ip_address(self, name: str) -> AsynchronousOperationResult:
        """Start to give up a reserved IP address (Delete Reserved IP Address).

        name: of the reservation.

        Returns the operation's request id.  Raises AzureHttpError while a deployment uses it.
        """
        _require(name=name)
        return self._start("Delete Reserved IP Address", {"ip": name})

    def associate_reserved_ip_address(
        self, name: str, service_name: str, deployment_name: str, virtual_ip_name: str | None = None
    ) -> AsynchronousOperationResult:
        """Start to give a reserved IP address to a deployment (Associate Reserved IP Address).

        name: of the reservation.  service_name, deployment_name: the deployment.
        virtual_ip_name: which of its addresses to replace; default: the first.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such reservation or deployment, AzureHttpError 400 when either is in use already.
        """
        body = _association(name, service_name, deployment_name, virtual_ip_name)
        return self._start(
            "Associate Reserved IP Address", {"ip": name}, body, x_ms_version=_ASSOCIATION_VERSION
        )

    def disassociate_reserved_ip_address(
        self, name: str, service_name: str, deployment_name: str, virtual_ip_name: str | None = None
    ) -> AsynchronousOperationResult:
        """Start to take a reserved IP address from a deployment (Disassociate Reserved IP Address).

        The parameters are those of `associate_reserved_ip_address`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such reservation, AzureHttpError 400 when the deployment does not have it.
        """
        body = _association(name, service_name, deployment_name, virtual_ip_name)
        return self._start(
            "Disassociate Reserved IP Address", {"ip": name}, body, x_ms_version=_ASSOCIATION_VERSION
        )

    def get_reserved_ip_address(self, name: str) -> ReservedIP:
        """Return a reserved IP address (Get Reserved IP Address).

        name: of the reservation.

        Raises AzureMissingResourceHttpError when there is none.
        """
        _require(name=name)
        return self._get(ReservedIP, "Get Reserved IP Address", {"ip": name})

    def list_reserved_ip_addresses(self) -> ReservedIPs:
        """List the reserved IP addresses of the subscription (List Reserved IP Addresses)."""
        return self._get(ReservedIPs, "List Reserved IP Addresses")

    def list_virtual_network_sites(self) -> VirtualNetworkSites:
        """List the virtual networks of the subscription (List Virtual Network Sites)."""
        return self._get(VirtualNetworkSites, "List Virtual Network Sites")

    # -- DNS servers of a deployment ----------------------------------------------------------------------

    def add_dns_server(
        self, service_name: str, deployment_name: str, dns_server_name: str, address: str
    ) -> AsynchronousOperationResult:
        """Start to add a DNS server to a deployment (Add DNS Server).

        service_name, deployment_name: the deployment.  dns_server_name: unique in it.  address: its IPv4
            address.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such deployment.
        """
        params = _deployment(service_name, deployment_name)
        return self._start("Add DNS Server", params, _dns_server(dns_server_name, address))

    def update_dns_server(
        self, service_name: str, deployment_name: str, dns_server_name: str, address: str
    ) -> AsynchronousOperationResult:
        """Start to change the address of a DNS server (Update DNS Server); parameters as in `add_dns_server`.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such server.
        """
        params = {**_deployment(service_name, deployment_name), "dns-server": dns_server_name}
        return self._start("Update DNS Server", params, _dns_server(dns_server_name, address))

    def delete_dns_server(
        self, service_name: str, deployment_name: str, dns_server_name: str
    ) -> AsynchronousOperationResult:
        """Start to remove a DNS server from a deployment (Delete DNS Server).

        service_name, deployment_name: the deployment.  dns_server_name: the server.

        Returns the operation's request id.  Raises AzureMissingResourceHttpError when there is no
        such server.
        """
        params = {**_deployment(service_name, deployment_name), "dns-server": dns_server_name}
        _require(dns_server_name=dns_server_name)
        return self._start("Delete DNS Server", params)


def _association(
    name: str, service_name: str, deployment_name: str, virtual_ip_name: str | None
) -> wire.ReservedIPAssociation:
    _require(name=name, service_name=service_name, deployment_name=deployment_name)
    return wire.ReservedIPAssociation(
        service_name=service_name, deployment_name=deployment_name, virtual_ip_name=virtual_ip_name or None
    )


def _dns_server(dns_server_name: str, address: str) -> wire.DnsServer:
    _require(dns_server_name=dns_server_name, address=address)
    return wire.DnsServer(name=dns_server_name, address=address)
