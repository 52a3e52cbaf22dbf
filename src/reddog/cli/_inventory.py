"""The virtual machines of a running cloud, as the API tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reddog.cli._api import connect
from reddog.cli._output import CommandError, ExitCode
from reddog.cli._running import RunningCloud

if TYPE_CHECKING:
    from azure.servicemanagement import ServiceManagementService


def machines(running: RunningCloud) -> list[dict[str, Any]]:
    """One row per role instance: service, deployment, name, status, power state, address, endpoints."""
    with connect(running) as client:
        return [
            row for service in client.list_hosted_services() for row in _of(client, str(service.service_name))
        ]


def find_machine(running: RunningCloud, name: str) -> dict[str, Any]:
    """The row of one machine, by ``ROLE`` or ``SERVICE/ROLE``.

    :raises CommandError: there is none (exit code 4), or several services have a role of that name.
    """
    service, _, role = name.rpartition("/")
    found = [
        row
        for row in machines(running)
        if row["name"].lower() == role.lower() and (not service or row["service"].lower() == service.lower())
    ]
    if not found:
        raise CommandError(
            f"There is no virtual machine named {name}.", "`reddog status` lists them.", ExitCode.NOT_FOUND
        )
    if len(found) > 1:
        choices = ", ".join(f"{row['service']}/{row['name']}" for row in found)
        raise CommandError(f"Several virtual machines are named {name}.", f"Choose one of: {choices}")
    return found[0]


def _of(client: ServiceManagementService, service_name: str) -> list[dict[str, Any]]:
    properties = client.get_hosted_service_properties(service_name, embed_detail=True)
    return [
        {
            "service": service_name,
            "deployment": deployment.name,
            "name": instance.instance_name,
            "status": instance.instance_status,
            "power": instance.power_state,
            "virtual_ip": deployment.virtual_ips[0].address if deployment.virtual_ips else "",
            "endpoints": {
                endpoint.name: f"{endpoint.vip}:{endpoint.public_port}->{endpoint.local_port}/{endpoint.protocol}"
                for endpoint in instance.instance_endpoints or ()
            },
        }
        for deployment in properties.deployments or ()
        for instance in deployment.role_instance_list or ()
    ]
