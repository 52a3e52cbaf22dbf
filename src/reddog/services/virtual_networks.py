"""Virtual networks: the network configuration of a subscription, and the sites in it (behaviours.md, section 16)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _network_configuration, _rules, affinity_groups
from reddog.services._call import Call, Handler, Reply
from reddog.services._network_configuration import NetworkConfiguration
from reddog.services.locations import require_location
from reddog.services.quotas import Quotas
from reddog.wire import (
    AddressSpace,
    Dns,
    DnsServer,
    DnsServers,
    LocalNetworkSite,
    LocalNetworkSites,
    SiteConnection,
    SiteConnections,
    SiteGateway,
    Subnet,
    Subnets,
    VirtualNetworkSite,
    VirtualNetworkSites,
    errors,
    only,
)

KIND = "network_configuration"  # one for each subscription, whose id is its key
SITE = "virtual_network_site"
CONTENT_TYPE = "text/plain"


def key_of(subscription: str, name: str) -> str:
    """A virtual network site's key."""
    return f"{subscription}/{name}".lower()


def require(reader: Reader, subscription: str, name: str) -> Resource:
    """The site in which a deployment is to be. BadRequest: there is none of that name."""
    missing = errors.VIRTUAL_NETWORK_NOT_FOUND(name=name)
    return _rules.owned(reader, SITE, key_of(subscription, name), subscription, missing)


def site_for(reader: Reader, service: Resource, name: str | None) -> Resource | None:
    """The site that a new deployment of a hosted service names, if it does.

    :raises ServiceError: BadRequest; there is none of that name, or it is in another location than the service.
    """
    if not name:
        return None
    site, location = require(reader, service.subscription, name), service.goal["location"]
    if site.goal["location"] and location and site.goal["location"] != location:
        raise errors.VIRTUAL_NETWORK_ELSEWHERE(name=name, location=site.goal["location"], other=location)
    return site


def users_of(reader: Reader, site: Resource) -> list[Resource]:
    """The deployments in a site, also those on their way out."""
    rows = reader.list("deployment", site.subscription)
    name = site.goal["name"].lower()
    return [row for row in rows if (row.goal.get("virtual_network") or "").lower() == name]


def dns_servers_of(reader: Reader, subscription: str) -> int:
    """How many DNS servers a subscription has: in its network configuration, and in its deployments."""
    row = reader.get(KIND, subscription)
    configured = len(row.goal["dns_servers"]) if row is not None else 0
    deployed = reader.list("deployment", subscription)
    return configured + sum(len(one.goal.get("dns", ())) for one in deployed)


class VirtualNetworks:
    """Read and replace the network configuration, and list its sites.

    Args:
        engine: Takes the changes.
        quotas: How many sites and DNS servers a subscription may have.
    """

    def __init__(self, engine: Engine, quotas: Quotas) -> None:
        self._engine = engine
        self._read = engine.store.read
        self._quotas = quotas

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Get Network Configuration": self.get,
            "Set Network Configuration": self.set,
            "List Virtual Network Sites": self.list,
        }

    def get(self, call: Call) -> Reply:
        """Get Network Configuration. ResourceNotFound: none has been set yet."""
        row = self._read(lambda reader: reader.get(KIND, call.subscription))
        if row is None:
            raise errors.NETWORK_CONFIGURATION_NOT_FOUND()
        return Reply(row.goal["document"].encode(), content_type=CONTENT_TYPE)

    def set(self, call: Call) -> Reply:
        """Set Network Configuration: the document replaces the one before as a whole.

        :raises ServiceError: 400; the document is not valid, or takes away what deployments use. 409; the limit of
            sites or DNS servers would be passed.
        """
        given = _network_configuration.read(call.body or b"")
        for site in given.sites:
            site["location"] = site["location"] and require_location(site["location"])

        def change(tx: Tx) -> None:
            before = tx.get(KIND, call.subscription)
            self._check_quotas(tx, call, given, before)
            goal = {
                "document": given.document,
                "sites": [site["name"] for site in given.sites],
                "local_sites": given.local_sites,
                "dns_servers": given.dns_servers,
            }
            if before is None:
                tx.insert(KIND, call.subscription, subscription=call.subscription, goal=goal)
            else:
                tx.set_goal(KIND, call.subscription, goal)
            _replace_sites(tx, call.subscription, given.sites)

        _rules.accept(self._engine, call, change)
        return Reply()

    def list(self, call: Call) -> Reply:
        """List Virtual Network Sites, in the configuration's order."""

        def read(reader: Reader) -> VirtualNetworkSites:
            row = reader.get(KIND, call.subscription)
            names = row.goal["sites"] if row is not None else ()
            sites = [reader.get(SITE, key_of(call.subscription, name)) for name in names]
            return VirtualNetworkSites([_shown(reader, site) for site in sites if site is not None])

        return Reply(self._read(read))

    def _check_quotas(self, tx: Tx, call: Call, given: NetworkConfiguration, before: Resource | None) -> None:
        used = {"dns_servers": dns_servers_of(tx, call.subscription)}  # deployments have some too
        for limit, goal_name, named in (
            ("virtual_network_sites", "sites", given.sites),
            ("local_network_sites", "local_sites", given.local_sites),
            ("dns_servers", "dns_servers", given.dns_servers),
        ):
            here = len(before.goal[goal_name]) if before is not None else 0
            self._quotas.check(limit, used.get(limit, here), len(named) - here)


def _replace_sites(tx: Tx, subscription: str, sites: list[dict[str, Any]]) -> None:
    there = {row.key: row for row in tx.list(SITE, subscription)}
    for site in sites:
        _require_affinity_group(tx, subscription, site)
        key = key_of(subscription, site["name"])
        row = there.pop(key, None)
        if row is None:
            goal = {**site, "id": str(uuid.uuid4())}
            tx.insert(SITE, key, subscription=subscription, goal=goal)
        elif (goal := {**site, "id": row.goal["id"]}) != row.goal:
            _require_keeps_what_is_used(tx, row, site)
            tx.set_goal(SITE, key, goal)
    for row in there.values():
        _require_unused(tx, row)
        tx.remove(SITE, row.key)


def _require_affinity_group(reader: Reader, subscription: str, site: Mapping[str, Any]) -> None:
    name = site["affinity_group"]
    key = name and affinity_groups.key_of(subscription, name)
    if key and _rules.find(reader, affinity_groups.KIND, key, subscription) is None:
        raise errors.AFFINITY_GROUP_NOT_FOUND()


def _require_unused(reader: Reader, site: Resource) -> None:
    for user in users_of(reader, site):
        raise errors.VIRTUAL_NETWORK_IN_USE(name=site.goal["name"], deployment=user.goal["name"])


def _require_keeps_what_is_used(reader: Reader, site: Resource, wanted: Mapping[str, Any]) -> None:
    """A site with deployments may grow; its place and its subnets stay."""
    kept = all(subnet in wanted["subnets"] for subnet in site.goal["subnets"])
    same = all(wanted[part] == site.goal[part] for part in ("location", "affinity_group"))
    if not (kept and same):
        _require_unused(reader, site)


# -- As the API tells it -----------------------------------------------------------------------------------


def _shown(reader: Reader, row: Resource) -> VirtualNetworkSite:
    goal = row.goal
    servers = [only(DnsServer, **server) for server in goal["dns_servers"]]
    return only(
        VirtualNetworkSite,
        name=goal["name"],
        id=goal["id"],
        affinity_group=goal["affinity_group"],
        state="Created",
        in_use=True if users_of(reader, row) else None,
        address_space=AddressSpace(goal["address_space"]),
        subnets=Subnets(
            [only(Subnet, name=one["name"], address_prefix=one["prefix"]) for one in goal["subnets"]]
        ),
        dns=only(Dns, dns_servers=DnsServers(servers)) if servers else None,
        gateway=_shown_gateway(goal["gateway"]) if goal["gateway"] else None,
        location=goal["location"],
    )


def _shown_gateway(gateway: Mapping[str, Any]) -> SiteGateway:
    return only(
        SiteGateway,
        profile=gateway["profile"],
        sites=LocalNetworkSites([_shown_local_site(site) for site in gateway["sites"]]),
        vpn_client_address_pool=AddressSpace(gateway["client_pool"]),
        vnet_names="",
    )


def _shown_local_site(site: Mapping[str, Any]) -> LocalNetworkSite:
    return only(
        LocalNetworkSite,
        name=site["name"],
        address_space=AddressSpace(site["address_space"]),
        vpn_gateway_address=site["gateway_address"],
        connections=SiteConnections([only(SiteConnection, type=type) for type in site["connections"]]),
    )
