"""Limits of a subscription: told, kept, and another subscription's not touched."""

from __future__ import annotations

from reddog import wire
from services import bodies
from services.world import OTHER, World

ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}


def test_services_are_limited_by_subscription(world: World) -> None:
    for number in range(20):
        world.do("Create Cloud Service", bodies.service(f"svc{number}"))
    message = world.refuses("ConflictError", "Create Cloud Service", bodies.service("another"))
    assert "limit of 20 hosted services" in message
    world.do("Create Cloud Service", bodies.service("another"), subscription=OTHER)
    world.do("Delete Cloud Service", service="svc0")
    world.do("Create Cloud Service", bodies.service("one-more"))


def test_cores_are_limited_and_given_back(place: World) -> None:
    place.do(
        "Create Virtual Machine Deployment", bodies.deployment(bodies.role(role_size="A9")), service="svc"
    )
    large = bodies.role("two", role_size="A7")
    message = place.refuses("ConflictError", "Add Role", large, service="svc", deployment="dep")
    assert "limit of 20 cores is reached: 16 are in use and 8 more" in message
    grown = wire.only(wire.PersistentVMRole, role_name="vm", role_size="ExtraLarge")
    place.do("Update Role", grown, **ROLE)  # fewer cores are always possible
    place.do("Add Role", large, service="svc", deployment="dep")
    deallocated = wire.ShutdownRoleOperation(post_shutdown_action="StoppedDeallocated")
    place.do("Shutdown Role", deallocated, **ROLE)
    place.do("Add Role", bodies.role("three", role_size="A7"), service="svc", deployment="dep")
    place.refuses("ConflictError", "Start Role", wire.StartRoleOperation(), **ROLE)
