"""DNS servers of deployments: what their machines ask instead of the platform's own (behaviours.md, section 15)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reddog.engine import Engine, Tx
from reddog.services import _dns, _private_networks, _rules, deployments, virtual_networks
from reddog.services._call import Call, Handler, Reply
from reddog.services._dns import Server
from reddog.services.quotas import Quotas
from reddog.wire import errors


class DnsServersService:
    """Add, change and remove DNS servers of a deployment; running guests learn of it with their next lease.

    Args:
        engine: Takes the changes.
        quotas: How many a subscription may have.
    """

    def __init__(self, engine: Engine, quotas: Quotas) -> None:
        self._engine = engine
        self._quotas = quotas

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "Add DNS Server": self.add,
            "Update DNS Server": self.update,
            "Delete DNS Server": self.delete,
        }

    def add(self, call: Call) -> Reply:
        """Add DNS Server. ConflictError: the deployment has one of that name, or the limit is reached."""
        server = _dns.goal_of(call.body)

        def change(tx: Tx, servers: list[Server]) -> list[Server]:
            if _dns.find(servers, server["name"]) is not None:
                raise errors.DNS_SERVER_EXISTS(name=server["name"])
            self._quotas.check("dns_servers", virtual_networks.dns_servers_of(tx, call.subscription), 1)
            return [*servers, server]

        return self._change(call, change)

    def update(self, call: Call) -> Reply:
        """Update DNS Server: its address. BadRequest: the body has another name than the path."""
        server = _dns.goal_of(call.body)
        name = call.params["dns-server"]
        if server["name"].lower() != name.lower():
            raise errors.DNS_SERVER_RENAMED(name=name, given=server["name"])

        def change(tx: Tx, servers: list[Server]) -> list[Server]:
            there = _required(servers, name)
            changed = {**there, "address": server["address"]}
            return [changed if one is there else one for one in servers]

        return self._change(call, change)

    def delete(self, call: Call) -> Reply:
        """Delete DNS Server."""

        def change(tx: Tx, servers: list[Server]) -> list[Server]:
            there = _required(servers, call.params["dns-server"])
            return [one for one in servers if one is not there]

        return self._change(call, change)

    def _change(self, call: Call, change: Callable[[Tx, list[Server]], list[Server]]) -> Reply:
        def make(tx: Tx) -> None:
            row = deployments.require(tx, call)
            _private_networks.changed(tx, row, dns=change(tx, list(row.goal.get("dns", ()))))

        _rules.accept(self._engine, call, make)
        return Reply()


def _required(servers: list[Server], name: str) -> Server:
    found = _dns.find(servers, name)
    if found is None:
        raise errors.DNS_SERVER_NOT_FOUND(name=name)
    return found
