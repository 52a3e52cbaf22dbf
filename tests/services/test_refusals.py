"""Refusals in the words of the real service, as they were recorded or quoted (behaviours.md, section 2)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from services import bodies
from services.world import World, url

SVC = {"service": "svc"}
DEP = {**SVC, "deployment": "dep"}
VM = {**DEP, "role": "vm"}


def deploy(place: World, *roles: object, **values: object) -> None:
    place.do("Create Virtual Machine Deployment", bodies.deployment(*roles, **values), **SVC)


def invalid_port(place: World) -> str:
    role = bodies.role(network=bodies.network(bodies.endpoint(port=99999)))
    return place.refuses("BadRequest", "Create Virtual Machine Deployment", bodies.deployment(role), **SVC)


def duplicate_port(place: World) -> str:
    endpoints = bodies.endpoint("a", 80, 80), bodies.endpoint("b", 80, 81)
    role = bodies.role(network=bodies.network(*endpoints))
    return place.fails("Create Virtual Machine Deployment", bodies.deployment(role), **SVC)[1]


def invalid_service_name(place: World) -> str:
    return place.refuses("BadRequest", "Create Cloud Service", bodies.service("not_a_name"))


def no_virtual_network(place: World) -> str:
    body = bodies.deployment(virtual_network_name="net")
    return place.refuses("BadRequest", "Create Virtual Machine Deployment", body, **SVC)


def only_role(place: World) -> str:
    deploy(place)
    return place.refuses("BadRequest", "Delete Role", **VM)


def invalid_affinity_group_name(place: World) -> str:
    return place.refuses("BadRequest", "Delete Affinity Group", name="not a name!")


def invalid_account_name(place: World) -> str:
    return place.refuses("BadRequest", "Check Storage Account Name Availability", account="No")


def disk_in_use(place: World) -> str:
    deploy(place)
    return place.refuses("BadRequest", "Delete Disk", disk=place.rows("disk")[0].goal["name"])


def leased_blob(place: World) -> str:
    place.do("Add Disk", bodies.disk("taken", place.put_vhd(url("vm.vhd"))))
    return place.refuses("BadRequest", "Add Disk", bodies.disk("again", url("vm.vhd")))


def account_with_disks(place: World) -> str:
    place.do("Add Disk", bodies.disk("kept", place.put_vhd(url("kept.vhd"))))
    return place.refuses("BadRequest", "Delete Storage Account", account="acct")


def no_deployment(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get Deployment by slot", slot="Production", **SVC)


def no_service(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get Cloud Service Properties", service="other")


def no_role(place: World) -> str:
    deploy(place)
    return place.refuses("ResourceNotFound", "Get Role", **{**VM, "role": "other"})


def no_service_certificate(place: World) -> str:
    return place.refuses(
        "ResourceNotFound", "Get Service Certificate", algorithm="sha1", thumbprint="0" * 40, **SVC
    )


def no_management_certificate(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get Management Certificate", thumbprint="0" * 40)


def no_affinity_group(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get Affinity Group Properties", name="other")


def no_account(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get Storage Account Properties", account="other")


def no_image(place: World) -> str:
    return place.refuses("ResourceNotFound", "Get OS Image", image="other")


def name_taken(place: World) -> str:
    return place.refuses("ConflictError", "Create Cloud Service", bodies.service())


def slot_occupied(place: World) -> str:
    deploy(place)
    body = bodies.deployment(bodies.role("two"), name="second")
    return place.refuses("ConflictError", "Create Virtual Machine Deployment", body, **SVC)


SAID: list[tuple[Callable[[World], str], str]] = [
    (invalid_port, "A parameter was incorrect"),
    (duplicate_port, r"Port 80 is already in use by one of the endpoints in this deployment\. "),
    (invalid_service_name, r"The hosted service name is invalid\."),
    (no_virtual_network, r"The virtual network net does not exist\."),
    (only_role, r"Role vm is the only role present in the deployment and so cannot be removed\. "),
    (invalid_affinity_group_name, r"The affinity group name is invalid\."),
    (
        invalid_account_name,
        "The name is not a valid storage account name. Storage account names must be between 3 and 24 characters",
    ),
    (
        disk_in_use,
        r"A disk with name \S+ is currently in use by virtual machine vm running within hosted service svc, "
        r"deployment dep\.",
    ),
    (leased_blob, r"A lease conflict occurred with the blob \S+vm\.vhd"),
    (
        account_with_disks,
        r"Storage account acct has 1 container\(s\) which have an active image and/or disk artifacts\.",
    ),
    (no_deployment, r"No deployments were found\."),
    (no_service, r"The hosted service does not exist\."),
    (no_role, r"Role other was not found in the currently deployed service\."),
    (no_service_certificate, r"The certificate was not found\."),
    (no_management_certificate, r"The certificate was not found\."),
    (no_affinity_group, r"The affinity group does not exist\."),
    (no_account, r"The storage account 'other' was not found\."),
    (no_image, r"The image with the specified name does not exist\."),
    (name_taken, r"The specified DNS name is already taken\."),
    (slot_occupied, r"The specified deployment slot Production is occupied\."),
]


@pytest.mark.parametrize(("provoke", "said"), SAID, ids=[one[0].__name__ for one in SAID])
def test_a_refusal_says_what_the_real_service_said(
    place: World, provoke: Callable[[World], str], said: str
) -> None:
    message = provoke(place)
    assert re.match(said, message), message
