"""Static addresses in virtual networks: whether one can be had (behaviours.md, section 12)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from reddog.engine import Engine, Reader
from reddog.services import _private_networks, virtual_networks
from reddog.services._call import Call, Handler, Reply
from reddog.wire import AddressAvailabilityResponse

ALTERNATIVES = 5


class StaticAddresses:
    """Tells whether an address is free.

    Args:
        engine: Whose store is read.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = engine.store.read

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"Check Static IP Availability": self.check}

    def check(self, call: Call) -> Reply:
        """Check Static IP Availability: and when it cannot be had, some of its subnet that can.

        BadRequest: there is no such virtual network.
        """
        address = call.query.get("address", "")

        def read(reader: Reader) -> AddressAvailabilityResponse:
            site = virtual_networks.require(reader, call.subscription, call.params["vnet"])
            used = _private_networks.used_in(reader, virtual_networks.users_of(reader, site))
            subnets = list(_private_networks.subnets_of(site).values())
            if any(_private_networks.is_free(subnet, address, used) for subnet in subnets):
                return AddressAvailabilityResponse(True, [])
            around = [one for one in subnets if _private_networks.is_free(one, address, set())] or subnets
            free = (one for subnet in around for one in _private_networks.free_addresses(subnet, used))
            return AddressAvailabilityResponse(False, list(islice(free, ALTERNATIVES)))

        return Reply(self._read(read))
