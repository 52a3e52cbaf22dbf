"""Service definitions and configurations: what they say, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddog.packages import (
    Endpoint,
    LoadBalancerProbe,
    LocalStorage,
    PackageError,
    Task,
    Variable,
    check_configuration,
    parse_configuration,
    parse_definition,
    with_instances,
)
from service_packages import ENTRY, cscfg, csdef, role_xml

WHOLE = """
<Startup><Task commandLine="setup.sh a" executionContext="elevated" taskType="background">
  <Environment><Variable name="A" value="1" /></Environment></Task></Startup>
<Runtime executionContext="elevated"><Environment>
  <Variable name="B"><RoleInstanceValue xpath="/RoleEnvironment/Deployment/@id" /></Variable></Environment>
  <EntryPoint><ProgramEntryPoint commandLine="run.sh -v" setReadyOnProcessStart="false" /></EntryPoint></Runtime>
<Imports><Import moduleName="Diagnostics" /></Imports>
<Endpoints>
  <InputEndpoint name="web" protocol="HTTP" port="80" localPort="8080" loadBalancerProbe="p" />
  <InternalEndpoint name="inner" protocol="any" />
  <InternalEndpoint name="fixed" protocol="tcp"><FixedPort port="7000" /></InternalEndpoint>
  <InstanceInputEndpoint name="each" protocol="udp" localPort="53">
    <AllocatePublicPortFrom><FixedPortRange min="5000" max="5009" /></AllocatePublicPortFrom>
  </InstanceInputEndpoint></Endpoints>
<LocalResources><LocalStorage name="cache" sizeInMB="20" cleanOnRoleRecycle="false" /></LocalResources>
<ConfigurationSettings><Setting name="Color" /></ConfigurationSettings>
<Certificates><Certificate name="tls" storeLocation="LocalMachine" storeName="My" /></Certificates>
"""
PROBES = (
    "<LoadBalancerProbes>"
    '<LoadBalancerProbe name="p" protocol="http" path="up" intervalInSeconds="20" />'
    "</LoadBalancerProbes>"
)


def test_everything_that_a_definition_says_is_read() -> None:
    found = parse_definition(
        csdef(role_xml("Web", WHOLE, "Large", "WebRole"), domains=3, inside=PROBES).encode()
    )
    role = found.roles[0]
    assert (found.name, found.upgrade_domain_count) == ("App", 3)
    assert (role.name, role.kind, role.vm_size) == ("Web", "WebRole", "Large")
    assert role.startup == (Task("setup.sh a", "background", True, (Variable("A", "1"),)),)
    assert role.environment == (Variable("B", None, "/RoleEnvironment/Deployment/@id"),)
    assert (role.command_line, role.ready_on_start, role.elevated) == ("run.sh -v", False, True)
    assert role.endpoints == (
        Endpoint("web", "Input", "http", 80, 8080, None, LoadBalancerProbe("p", "http", "/up", None, 20)),
        Endpoint("inner", "Internal", "any"),
        Endpoint("fixed", "Internal", "tcp", 7000),
        Endpoint("each", "InstanceInput", "udp", None, 53, (5000, 5009)),
    )
    assert role.local_storage == (LocalStorage("cache", 20, False),)
    assert (role.settings, role.certificates, role.has_imports) == (("Color",), {"tls": True}, True)


def test_what_a_definition_leaves_out_has_its_default() -> None:
    found = parse_definition(csdef('<WebRole name="Web" />').encode())
    role = found.roles[0]
    assert (found.upgrade_domain_count, role.vm_size, role.command_line) == (5, "Small", None)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (csdef("<!-- none -->"), "no role"),
        (csdef(role_xml("Web"), role_xml("web")), "two roles"),
        (csdef(role_xml("-web")), "no name of a role"),
        (csdef(role_xml(), domains=0), "upgradeDomainCount"),
        (csdef(role_xml(), domains=21), "upgradeDomainCount"),
        (csdef('<VirtualMachineRole name="vm" />'), "was withdrawn"),
        (csdef("<WorkerRole />"), "lacks the attribute name"),
        (csdef(role_xml(inside='<Endpoints><InputEndpoint name="a" protocol="tcp" /></Endpoints>')), "port"),
        (
            csdef(
                role_xml(inside='<Endpoints><InputEndpoint name="a" protocol="ip" port="1" /></Endpoints>')
            ),
            "protocol 'ip'",
        ),
        (
            csdef(
                role_xml(inside='<Endpoints><InputEndpoint name="a" protocol="tcp" port="0" /></Endpoints>')
            ),
            "a port",
        ),
        (
            csdef(
                role_xml(
                    inside='<Endpoints><InputEndpoint name="a" protocol="tcp" port="1" loadBalancerProbe="p"/>'
                    "</Endpoints>"
                )
            ),
            "the probe p",
        ),
        (
            csdef(
                role_xml(inside='<Endpoints><InstanceInputEndpoint name="a" protocol="tcp" /></Endpoints>')
            ),
            "FixedPortRange",
        ),
        (
            csdef(role_xml(inside='<Startup><Task commandLine="a" taskType="odd" /></Startup>')),
            "type of a task",
        ),
        (
            csdef(role_xml(inside='<Runtime><Environment><Variable name="a b" /></Environment></Runtime>')),
            "name of a variable",
        ),
        (
            csdef(role_xml(inside="<Runtime><EntryPoint><ProgramEntryPoint /></EntryPoint></Runtime>")),
            "commandLine",
        ),
        (
            csdef(role_xml(inside='<LocalResources><LocalStorage name="../x" /></LocalResources>')),
            "local storage",
        ),
        (csdef(inside=PROBES.replace("http", "udp")), "protocol 'udp'"),
        (csdef(inside=PROBES.replace('path="up"', 'path="a b"')), "the path"),
        (csdef(inside=PROBES.replace('"20"', '"1"')), "intervalInSeconds"),
        ("<ServiceDefinition><WorkerRole name='a'/></ServiceDefinition>", "lacks the attribute name"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(definition: str, message: str) -> None:
    with pytest.raises(PackageError, match=message) as caught:
        parse_definition(definition.encode())
    assert caught.value.remedy


def in_subnet(*roles: str) -> str:
    """A configuration's network in which roles have a subnet."""
    inside = "".join(
        f'<InstanceAddress roleName="{role}"><Subnets><Subnet name="a" /></Subnets></InstanceAddress>'
        for role in roles
    )
    return f"<NetworkConfiguration><AddressAssignments>{inside}</AddressAssignments></NetworkConfiguration>"


def test_everything_that_a_configuration_says_is_read() -> None:
    network = (
        '<NetworkConfiguration><VirtualNetworkSite name="net" /><AddressAssignments><ReservedIPs>'
        '<ReservedIP name="kept" /></ReservedIPs><InstanceAddress roleName="web"><Subnets><Subnet name="a" />'
        '<Subnet name="b" /></Subnets></InstanceAddress></AddressAssignments><Dns><DnsServers>'
        '<DnsServer name="own" IPAddress="10.0.0.9" /></DnsServers></Dns></NetworkConfiguration>'
    )
    mark = "ab" * 20
    found = parse_configuration("\ufeff" + cscfg({"Web": 3}, {"Color": "a &amp; b"}, network, {"tls": mark}))
    role = found.role("WEB")
    assert role is not None
    assert (found.service_name, found.os_family, found.os_version) == ("App", 4, "*")
    assert (role.instances, role.settings, role.certificates) == (
        3,
        {"Color": "a & b"},
        {"tls": mark.upper()},
    )
    assert (found.reserved_ip, found.virtual_network) == ("kept", "net")
    assert (role.subnets, found.dns_servers) == (("a", "b"), (("own", "10.0.0.9"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "well-formed"),
        ("<a/>", "begins with a"),
        (cscfg({"Web": 0}), "instance count"),
        (cscfg({"Web": 1001}), "instance count"),
        (cscfg(settings={"A": "&#9;&#10;&#127;"}), "control character"),
        (cscfg(certificates={"a": "12"}), "no thumbprint"),
        (cscfg().replace("<Instances", "<Other"), "no Instances"),
        (cscfg({"Web": 1, "web": 1}), "two roles"),
        (cscfg(inside=in_subnet("Web")), "no VirtualNetworkSite"),
        (cscfg(inside=in_subnet("Else")), "names the role else"),
        (cscfg(inside=in_subnet("Web", "web")), "two InstanceAddress"),
        (cscfg(settings={"A": "b"}).replace("value", "valve"), "has no value"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(PackageError, match=message):
        parse_configuration(text)


@pytest.mark.parametrize(
    ("inside", "configuration", "message"),
    [
        ("", cscfg({"Web": 1, "Other": 1}), "the role Other"),
        ("", cscfg({"Other": 1}), "the role Other"),
        (
            '<ConfigurationSettings><Setting name="A" /></ConfigurationSettings>',
            cscfg(),
            "lacks the setting A",
        ),
        ("", cscfg(settings={"A": "b"}), "has the setting A"),
        ('<Certificates><Certificate name="c" /></Certificates>', cscfg(), "lacks the certificate c"),
        (
            '<Endpoints><InstanceInputEndpoint name="e" protocol="tcp" localPort="1"><AllocatePublicPortFrom>'
            '<FixedPortRange min="1" max="2" /></AllocatePublicPortFrom></InstanceInputEndpoint></Endpoints>',
            cscfg({"Web": 3}),
            "only 2 public ports",
        ),
    ],
)
def test_a_configuration_of_another_definition_is_refused(
    inside: str, configuration: str, message: str
) -> None:
    definition = parse_definition(csdef(role_xml(inside=ENTRY + inside)).encode())
    with pytest.raises(PackageError, match=message):
        check_configuration(definition, parse_configuration(configuration))


def test_settings_of_plugins_belong_to_roles_with_imports() -> None:
    text = cscfg(settings={"Microsoft.WindowsAzure.Plugins.Diagnostics.ConnectionString": "x"})
    imports = '<Imports><Import moduleName="Diagnostics" /></Imports>'
    check_configuration(parse_definition(csdef(role_xml(inside=imports)).encode()), parse_configuration(text))


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_instance_counts_change_and_nothing_else_does(before: int, after: int) -> None:
    text = cscfg({"Web": before, "Other": 7}, {"A": "b"}, "<!-- a remark -->")
    changed = with_instances(text, {"web": after})
    found = parse_configuration(changed)
    assert [role.instances for role in found.roles] == [after, 7]
    assert with_instances(changed, {"Web": before}) == with_instances(text, {})
    assert "<!-- a remark -->" in changed
