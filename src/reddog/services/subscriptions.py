"""Subscriptions: whose resources are whose (behaviours.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping

from reddog.engine import Engine, Reader
from reddog.services import _rules, virtual_networks
from reddog.services._call import Call, Handler, Reply
from reddog.services.quotas import Quotas, cores_of
from reddog.wire import Subscription, errors, only
from reddog.wire import Subscriptions as SubscriptionList

KIND = "subscription"
LIMITS = {
    "max_public_ip_count": 5,
    "max_network_security_groups": 100,
    "max_network_security_rules_per_group": 200,
    "max_route_tables": 100,
    "max_routes_per_route_table": 100,
}  # of a subscription of 2015 (behaviours.md, section 4); a counter that is zero is left out
NO_DIRECTORY = "00000000-0000-0000-0000-000000000000"


class Subscriptions:
    """Read subscriptions."""

    def __init__(self, engine: Engine, quotas: Quotas | None = None) -> None:
        self._read = engine.store.read
        self._quotas = quotas or Quotas()

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"Get Subscription": self.get, "List Subscriptions": self.list}

    def get(self, call: Call) -> Reply:
        """Get Subscription: its limits, and how much of them is in use."""
        return Reply(self._read(lambda reader: self._shown(reader, call.subscription)), lasting=True)

    def list(self, call: Call) -> Reply:
        """List Subscriptions that the caller's certificate may manage."""

        def read(reader: Reader) -> SubscriptionList:
            rows = reader.list("management_certificate")
            mine = sorted({row.subscription for row in rows if row.goal["thumbprint"] == call.thumbprint})
            return SubscriptionList([self._shown(reader, subscription) for subscription in mine])

        return Reply(self._read(read))

    def _shown(self, reader: Reader, subscription: str) -> Subscription:
        row = reader.get(KIND, subscription)
        if row is None:
            raise errors.SUBSCRIPTION_NOT_FOUND(subscription=subscription)
        return only(
            Subscription,
            subscription_id=subscription,
            subscription_name=row.goal["name"],
            subscription_status="Active",
            max_core_count=self._quotas.cores,
            max_storage_accounts=self._quotas.storage_accounts,
            max_hosted_services=self._quotas.hosted_services,
            max_reserved_ips=self._quotas.reserved_ips,
            max_virtual_network_sites=self._quotas.virtual_network_sites,
            max_local_network_sites=self._quotas.local_network_sites,
            max_dns_servers=self._quotas.dns_servers,
            current_virtual_network_sites=reader.count(virtual_networks.SITE, subscription) or None,
            current_dns_servers=virtual_networks.dns_servers_of(reader, subscription) or None,
            current_core_count=cores_of(reader, subscription),
            current_hosted_services=reader.count("hosted_service", subscription),
            current_storage_accounts=reader.count("storage_account", subscription),
            account_admin_live_email_id="",
            service_admin_live_email_id="",
            offer_categories="",
            aad_tenant_id=NO_DIRECTORY,
            created_time=_rules.timestamp(row.created),
            current_reserved_ips=reader.count("reserved_ip", subscription),
            current_network_security_groups=reader.count("network_security_group", subscription),
            **LIMITS,
        )
