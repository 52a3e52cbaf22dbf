"""Limits of a subscription: told, kept, and another subscription's not touched."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from azure.servicemanagement import ServiceManagementService
from reddog import wire
from reddog.services import Quotas
from reddog.settings import Settings
from services import bodies
from services.world import OTHER, World
from tours import simulated_cloud

ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}


def test_services_are_limited_by_subscription(world: World) -> None:
    for number in range(20):
        world.do("Create Cloud Service", bodies.service(f"svc{number}"))
    message = world.refuses("ConflictError", "Create Cloud Service", bodies.service("another"))
    assert "limit of 20 hosted services" in message
    world.do("Create Cloud Service", bodies.service("another"), subscription=OTHER)
    world.do("Delete Cloud Service", service="svc0")
    world.do("Create Cloud Service", bodies.service("one-more"))


def test_networks_are_limited_by_what_the_configuration_holds(world: World) -> None:
    sites = [bodies.site(f"net{number}") for number in range(51)]
    message = world.refuses("ConflictError", "Set Network Configuration", bodies.networks(*sites))
    assert "limit of 50 virtual network sites" in message
    world.do("Set Network Configuration", bodies.networks(*sites[:50]))
    for what, element in (
        ("local network sites", "<LocalNetworkSites>{}</LocalNetworkSites>"),
        ("dns servers", "<Dns><DnsServers>{}</DnsServers></Dns>"),
    ):
        one = (
            "<LocalNetworkSite name='n{0}'/>"
            if "local" in what
            else "<DnsServer name='n{0}' IPAddress='192.0.2.{0}'/>"
        )
        many = [one.format(number) for number in range(21)]
        document = bodies.networks(more=element.format("".join(many)))
        assert f"limit of 20 {what}" in world.refuses("ConflictError", "Set Network Configuration", document)
        world.do("Set Network Configuration", bodies.networks(more=element.format("".join(many[:20]))))


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


def test_every_limit_has_a_setting_and_the_cloud_obeys_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {limit.name: limit.default for limit in fields(Quotas)}
    assert limits == {name: getattr(Settings(tmp_path), f"max_{name}") for name in limits}
    given = {f"max_{name}": number for number, name in enumerate(limits, start=3)}
    with simulated_cloud(tmp_path / "cloud", **given) as known:
        monkeypatch.setenv("AZURE_MANAGEMENT_CA", known["ca_certificate"])
        client = ServiceManagementService(
            known["subscription_id"], known["certificate"], host=known["management_host"]
        )
        told = client.get_subscription()
    attributes = {"max_core_count" if name == "max_cores" else name for name in given}
    assert {getattr(told, name) for name in attributes} == set(given.values())
