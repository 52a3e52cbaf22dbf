"""A private network: one process that joins its machines, and outlives the cloud that started it.

The process is a switch for the Ethernet frames of its machines, which it reads from unix sockets in their
directories; it gives them their addresses (DHCP), resolves their host names (DNS) and spreads the
connections of load-balanced forwards over them. Whatever else a machine sends goes to that machine's own
way out, behind the second of its sockets. No privileges are needed, and nobody who may not read the
directories can join.
"""

from reddog.fabric.lan._client import Lan
from reddog.fabric.lan._plan import (
    LAN_SOCKET,
    UPLINK_SOCKET,
    Backend,
    Member,
    Place,
    Subnet,
    endpoint,
    mac_of,
)

__all__ = ["LAN_SOCKET", "UPLINK_SOCKET", "Backend", "Lan", "Member", "Place", "Subnet", "endpoint", "mac_of"]
