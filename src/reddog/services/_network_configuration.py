"""The network configuration: the one document that describes a subscription's virtual networks (behaviours.md, 16)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import Any

from lxml import etree

from reddog.wire import errors

NAMESPACE = "http://schemas.microsoft.com/ServiceHosting/2011/07/NetworkConfiguration"
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_NS = {"n": NAMESPACE}
Node = Any  # lxml's element
Prefix = tuple[str, IPv4Network]


@dataclass(frozen=True)
class NetworkConfiguration:
    """What a document says.

    document: as it is told again. sites: goals of virtual network sites, in the document's order: name, location or
    affinity group, address space, subnets, DNS servers, gateway. local_sites, dns_servers: their names.
    """

    document: str
    sites: list[dict[str, Any]]
    local_sites: list[str]
    dns_servers: list[str]


def read(data: bytes) -> NetworkConfiguration:
    """Read and check a document.

    :raises ServiceError: 400; the document does not follow its schema, or contradicts itself.
    """
    root = _validated(data)
    servers = [
        {"name": str(node.get("name")), "address": str(_address(node, node.get("IPAddress")))}
        for node in _all(root, "DnsServer")
    ]
    local_sites = [_local_site(node) for node in _all(root, "LocalNetworkSite")]
    sites = [_site(node, servers, local_sites) for node in _all(root, "VirtualNetworkSite")]
    for what, named in (
        ("DNS servers", servers),
        ("local network sites", local_sites),
        ("virtual network sites", sites),
    ):
        _require_different(what, [one["name"] for one in named])
    return NetworkConfiguration(
        document=DECLARATION + etree.tostring(root, encoding="unicode"),
        sites=sites,
        local_sites=[site["name"] for site in local_sites],
        dns_servers=[server["name"] for server in servers],
    )


def _validated(data: bytes) -> Node:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line, column = getattr(error, "position", (0, 0))
        raise _schema_error(
            line, column, getattr(error, "msg", str(error)) or "the document is empty"
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _schema_error(1, 1, "A document type declaration is not allowed.")
    schema = _schema()
    if not schema.validate(root):
        log: Any = schema.error_log
        first = log[0]
        raise _schema_error(first.line, first.column, first.message.replace(f"{{{NAMESPACE}}}", ""))
    return root


def _schema_error(line: int, column: int, detail: str) -> Exception:
    return errors.NETWORK_CONFIGURATION_SCHEMA(line=line, column=column, detail=detail)


@cache
def _schema() -> etree.XMLSchema:
    file = resources.files("reddog.services").joinpath("_data/network_configuration.xsd")
    return etree.XMLSchema(etree.fromstring(file.read_bytes()))


# -- Parts -------------------------------------------------------------------------------------------------


def _site(node: Node, servers: Sequence[Any], local_sites: Sequence[Any]) -> dict[str, Any]:
    name = str(node.get("name"))
    location, group = node.get("Location"), node.get("AffinityGroup")
    if bool(location) == bool(group):
        raise _wrong(node, f"the site {name} needs exactly one of Location and AffinityGroup")
    space = _prefixes(node, "n:AddressSpace/n:AddressPrefix")
    _require_apart(node, f"the address space of {name}", space)
    subnets = [_subnet(subnet) for subnet in _all(node, "Subnet")]
    _require_different(f"subnets of {name}", [subnet for subnet, _ in subnets])
    for subnet, (text, prefix) in subnets:
        if not any(prefix.subnet_of(whole) for _, whole in space):
            raise _wrong(
                node, f"the subnet {subnet} ({text}) is not within the address space of the site {name}"
            )
    _require_apart(node, f"the subnets of {name}", [prefix for _, prefix in subnets])
    return {
        "name": name,
        "location": location or None,
        "affinity_group": group or None,
        "address_space": [text for text, _ in space],
        "subnets": [{"name": subnet, "prefix": text} for subnet, (text, _) in subnets],
        "dns_servers": [_named(ref, "DNS server", servers) for ref in _all(node, "DnsServerRef")],
        "gateway": _gateway(node.find("n:Gateway", _NS), local_sites),
    }


def _subnet(node: Node) -> tuple[str, Prefix]:
    return str(node.get("name")), _prefix(node.find("n:AddressPrefix", _NS))


def _local_site(node: Node) -> dict[str, Any]:
    gateway = _text(node, "VPNGatewayAddress")
    return {
        "name": str(node.get("name")),
        "address_space": [text for text, _ in _prefixes(node, "n:AddressSpace/n:AddressPrefix")],
        "gateway_address": str(_address(node, gateway)) if gateway else "",
    }


def _gateway(node: Node | None, local_sites: Sequence[Any]) -> dict[str, Any] | None:
    if node is None:
        return None
    sites = [
        {
            **_named(ref, "local network site", local_sites),
            "connections": [connection.get("type") for connection in _all(ref, "Connection")],
        }
        for ref in _all(node, "LocalNetworkSiteRef")
    ]
    pool = _prefixes(node, "n:VPNClientAddressPool/n:AddressPrefix")
    return {"profile": node.get("profile") or "", "sites": sites, "client_pool": [text for text, _ in pool]}


def _named(ref: Node, what: str, there: Sequence[Any]) -> dict[str, Any]:
    name = str(ref.get("name"))
    for one in there:
        if one["name"].lower() == name.lower():
            return dict(one)
    raise _wrong(ref, f"there is no {what} named {name}")


def _prefixes(node: Node, path: str) -> list[Prefix]:
    return [_prefix(found) for found in node.iterfind(path, _NS)]


def _prefix(node: Node) -> Prefix:
    text = str(node.text).strip()
    return text, _made(node, text, IPv4Network, "an address prefix, such as 10.0.0.0/16, without host bits")


def _address(node: Node, text: str | None) -> IPv4Address:
    given = (text or "").strip()
    address: IPv4Address = _made(node, given, IPv4Address, "an IPv4 address")
    return address


def _made(node: Node, text: str, make: Callable[[str], Any], expected: str) -> Any:
    try:
        return make(text)
    except ValueError:
        raise _wrong(node, f"'{text}' is not {expected}") from None


def _require_different(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise errors.INVALID_NETWORK_CONFIGURATION(detail=f"there are two {what} named {name}")
        seen.add(name.lower())


def _require_apart(node: Node, what: str, prefixes: Iterable[Prefix]) -> None:
    for (one, first), (other, second) in combinations(prefixes, 2):
        if first.overlaps(second):
            raise _wrong(node, f"{one} and {other} overlap in {what}")


def _wrong(node: Node, detail: str) -> Exception:
    return errors.INVALID_NETWORK_CONFIGURATION(detail=f"{detail} (line {node.sourceline})")


def _all(node: Node, tag: str) -> list[Node]:
    return list(node.iter(f"{{{NAMESPACE}}}{tag}"))


def _text(node: Node, tag: str) -> str:
    return str(node.findtext(f"n:{tag}", "", _NS)).strip()
