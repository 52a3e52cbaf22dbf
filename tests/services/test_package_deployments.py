"""Deployments of packages: created, started, suspended, deleted, and what is refused."""

from __future__ import annotations

import base64
import errno
import tarfile
from pathlib import Path
from typing import Any

import pytest

from certificates import make_client
from reddog import wire
from reddog.fabric import Probe
from reddog.services import _instance_reconciler, _package_files
from reddog.services._package_plan import PackagePlanner
from reddog.services.quotas import cores_of
from service_packages import ENTRY, cscfg, csdef, make_package, old_package, role_xml
from services import bodies
from services.world import SUBSCRIPTION, World, leaks, opened, url

ENDPOINTS = (
    '<Runtime><EntryPoint><ProgramEntryPoint commandLine="run.sh" /></EntryPoint></Runtime>'
    '<Endpoints><InputEndpoint name="http" protocol="http" port="8080" localPort="80" />'
    '<InstanceInputEndpoint name="each" protocol="tcp" localPort="22"><AllocatePublicPortFrom>'
    '<FixedPortRange min="10022" max="10060" /></AllocatePublicPortFrom></InstanceInputEndpoint>'
    '<InternalEndpoint name="inner" protocol="tcp" /></Endpoints>'
)
SETTING = '<ConfigurationSettings><Setting name="Color" /></ConfigurationSettings>'
DEP = {"service": "svc", "deployment": "dep"}
SLOT = {"service": "svc", "slot": "production"}


def upload(world: World, definition: str = "", name: str = "app.cspkg", **values: Any) -> str:
    """Make a package and upload it; returns its URL."""
    package = make_package(world.directory.parent, definition, **values)
    return world.put_blob(url(name), package.read_bytes(), "BlockBlob")


def create(world: World, configuration: str = "", **values: Any) -> None:
    """Create the deployment `dep` of the uploaded package, and wait until nothing happens any more."""
    body = bodies.package_deployment(configuration or cscfg(), **values)
    world.do("Create Deployment (package)", body, **SLOT)
    world.rest()


def get(world: World) -> Any:
    return world.call("Get Deployment by name", **DEP)


def states(deployment: Any) -> list[tuple[str, str, str]]:
    return [
        (one.instance_name, one.instance_status, one.power_state) for one in deployment.role_instance_list
    ]


def ready(world: World, name: str = "dep") -> None:
    """Wait until all instances are ready."""

    def is_ready() -> bool:
        found = world.call("Get Deployment by name", service="svc", deployment=name)
        return all(one.instance_status == "ReadyRole" for one in found.role_instance_list)

    world.eventually(is_ready)
    world.rest()


def test_a_new_deployment_is_suspended(place: World) -> None:
    upload(place)
    create(place, extended_properties={"a": "b"})
    found = get(place)
    assert (found.status, found.deployment_slot, found.label) == ("Suspended", "Production", "dep")
    assert states(found) == [
        ("Web_IN_0", "StoppedVM", "Stopped"),
        ("Web_IN_1", "StoppedVM", "Stopped"),
    ]
    assert [(one.instance_upgrade_domain, one.instance_fault_domain) for one in found.role_instance_list] == [
        (0, 0),
        (1, 1),
    ]
    assert found.role_instance_list[0].instance_size == "ExtraSmall"
    assert (found.upgrade_domain_count, found.locked, found.rollback_allowed) == ("2", False, False)
    assert found.upgrade_status is None
    assert (found.configuration, found.extended_properties) == (cscfg(), {"a": "b"})
    assert [role.role_name for role in found.role_list] == ["Web"]
    assert found.role_list[0].os_version.startswith("WA-GUEST-OS-4.")
    assert found.virtual_ips[0].name == "__PseudoBackEndContractVip"
    assert found.sdk_version
    assert place.driver.list() == []
    assert place.store.read(lambda reader: cores_of(reader, SUBSCRIPTION)) == 2
    by_slot = place.call("Get Deployment by slot", **SLOT)
    assert by_slot == found
    service = place.call("Get Cloud Service Properties", service="svc", query={"embed-detail": "true"})
    assert service.deployments[0] == found


def test_a_deployment_can_be_started_at_once(place: World) -> None:
    upload(place)
    create(place, start_deployment=True)
    ready(place)
    found = get(place)
    assert found.status == "Running"
    assert states(found) == [("Web_IN_0", "ReadyRole", "Started"), ("Web_IN_1", "ReadyRole", "Started")]


def test_packages_of_old_sdks_are_deployed_too(place: World) -> None:
    place.put_blob(url("app.cspkg"), old_package(), "BlockBlob")
    create(place)
    assert len(get(place).role_instance_list) == 2


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("Update Deployment Status by name", DEP),
        pytest.param("Update Deployment Status by slot", SLOT),
    ],
)
def test_a_deployment_is_started_and_suspended(place: World, name: str, how: dict[str, str]) -> None:
    upload(place)
    create(place)
    place.do(name, bodies.status("Running"), **how)
    ready(place)
    assert get(place).status == "Running"
    place.do(name, bodies.status("running"), **how)  # the state that it has
    place.do(name, bodies.status("Suspended"), **how)
    place.rest()
    assert get(place).status == "Suspended"
    assert [state[1:] for state in states(get(place))] == [("StoppedVM", "Stopped")] * 2
    place.do(name, bodies.status("Suspended"), **how)
    assert place.refuses("InvalidXmlRequest", name, bodies.status("Paused"), **how)


def test_endpoints_are_opened_on_the_virtual_ip(place: World) -> None:
    upload(place, csdef(role_xml(inside=ENDPOINTS)))
    create(place, start_deployment=True)
    ready(place)
    found = get(place)
    address = found.virtual_ips[0].address
    assert found.virtual_ips[0].name == "AppContractContract"
    assert [(one.role_name, one.vip, one.port) for one in found.input_endpoint_list] == [
        ("Web", address, "8080")
    ]
    shown = [
        [(one.name, one.public_port, one.local_port, one.protocol) for one in instance.instance_endpoints]
        for instance in found.role_instance_list
    ]
    assert shown[0] == [("http", "8080", "80", "http"), ("each", "10022", "22", "tcp")]
    assert shown[1] == [("http", "8080", "80", "http"), ("each", "10023", "22", "tcp")]
    first, second = (place.driver.spec(f"ri-{row.uid}") for row in place.rows("role_instance"))
    assert [(one.address, one.port, one.guest_port) for one in first.forwards] == [
        (address, 8080, 80),
        (address, 10022, 22),
    ]
    assert [one.port for one in second.forwards] == [8080, 10023]
    assert first.forwards[0].probe == Probe("tcp", 80, interval=2, timeout=5)
    assert {place.driver.connect(address, 8080) for _ in range(4)} == {first.id, second.id}
    told = [one.ip_address for one in found.role_instance_list]
    assert told == [one.network.address for one in (first, second)]
    assert [address.rpartition(".")[2] for address in told] == ["4", "5"]
    assert place.driver.resolve(first.id, "Web_IN_1") == told[1]


def test_endpoints_are_probed_as_the_definition_says(place: World) -> None:
    probes = (
        '<LoadBalancerProbes><LoadBalancerProbe name="p" protocol="http" path="/up" port="81" '
        'intervalInSeconds="7" timeoutInSeconds="9" /></LoadBalancerProbes>'
    )
    inside = ENDPOINTS.replace('localPort="80"', 'localPort="80" loadBalancerProbe="p"')
    upload(place, csdef(role_xml(inside=inside), inside=probes))
    create(place, start_deployment=True)
    first = place.driver.spec(f"ri-{place.rows('role_instance')[0].uid}")
    assert first.forwards[0].probe == Probe("http", 81, "/up", interval=7, timeout=9)


def test_instances_share_endpoints_of_udp(place: World) -> None:
    upload(place, csdef(role_xml(inside=ENDPOINTS.replace('protocol="http"', 'protocol="udp"'))))
    create(place, start_deployment=True)
    ready(place)
    first, second = (place.driver.spec(f"ri-{row.uid}") for row in place.rows("role_instance"))
    for spec in first, second:
        assert [one.name for one in spec.forwards] == ["http", "each"]
        assert spec.forwards[0].protocol == "udp"
        assert spec.forwards[0].probe == Probe("none", 80, interval=2, timeout=5)
    assert first.forwards[0].port == second.forwards[0].port


def test_the_guest_is_told_who_it_is(place: World) -> None:
    inside = ENDPOINTS.replace(
        "<Runtime>",
        '<Runtime executionContext="elevated"><Environment><Variable name="WHO"><RoleInstanceValue '
        'xpath="/RoleEnvironment/CurrentInstance/@id" /></Variable></Environment>',
    )
    upload(place, csdef(role_xml(inside=inside + SETTING)))
    create(place, cscfg(settings={"Color": "it's red"}), start_deployment=True)
    (first, _) = place.rows("role_instance")
    spec = place.driver.spec(f"ri-{first.uid}")
    content, settings = (disk.path.read_bytes() for disk in spec.data_disks)
    assert content.startswith(b"approot")
    assert b"exec sleep 1000" in content
    assert settings.startswith(b"reddog-role/")
    for text in (
        b"export WHO=Web_IN_0\n",
        b"export Color='it'\"'\"'s red'\n",
        b"export RoleName=Web\n",
        b"instance=Web_IN_0\n",
    ):
        assert text in settings
    assert spec.os_disk.size > 256 << 20
    assert spec.os_disk.path.stat().st_blocks < 100_000
    assert (spec.cores, spec.memory_mb) == (1, 768)


def test_a_deployment_goes_with_everything_of_it(place: World) -> None:
    upload(place)
    create(place, start_deployment=True)
    ready(place)
    assert "dep" in place.refuses("ConflictError", "Delete Cloud Service", service="svc")
    place.do("Delete Deployment by slot", **SLOT)
    place.rest()
    assert place.refuses("ResourceNotFound", "Get Deployment by name", **DEP) == "No deployments were found."
    assert place.driver.list() == []
    assert place.blobs() == {"vhds/app.cspkg": False}  # the package is the user's
    place.do("Delete Cloud Service", service="svc")


def test_a_service_goes_with_its_deployments(place: World) -> None:
    upload(place)
    create(place, start_deployment=True)
    place.do("Delete Cloud Service and its media", service="svc", query={"comp": "media"})
    place.rest()
    assert place.driver.list() == []
    assert place.rows("package") == place.rows("role_instance") == []


def test_the_package_is_not_needed_once_it_was_taken_in(place: World) -> None:
    upload(place)
    create(place)
    place.put_blob(url("app.cspkg"), b"something else", "BlockBlob")
    place.do("Update Deployment Status by name", bodies.status("Running"), **DEP)
    ready(place)


def test_a_machine_that_dies_is_started_again(place: World) -> None:
    upload(place)
    create(place, start_deployment=True)
    ready(place)
    machine = f"ri-{place.rows('role_instance')[0].uid}"
    for fault in (place.driver.kill, place.driver.panic, place.driver.guest_shutdown):
        fault(machine)
        place.eventually(lambda: place.driver.observe(machine).power == "running")
        ready(place)


def test_a_full_disk_fails_the_creation_by_name(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_package_files, "copy_sparse", full)
    upload(place)
    body = bodies.package_deployment(cscfg())
    code, message = place.fails("Create Deployment (package)", body, **SLOT)
    assert (code, "Free some space" in message) == ("InternalError", True)
    place.rest()
    assert place.rows("package") == []


def test_a_machine_that_keeps_dying_rests_between_its_starts(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_instance_reconciler, "HEAL_PAUSE", 1.0)
    upload(place)
    create(place, cscfg({"Web": 1}), start_deployment=True)
    ready(place)
    machine = f"ri-{place.rows('role_instance')[0].uid}"
    looked: list[str] = []
    observe = place.driver.observe
    monkeypatch.setattr(place.driver, "observe", lambda id: looked.append(id) or observe(id))
    place.driver.kill(machine)
    place.eventually(lambda: observe(machine).power == "running")
    assert len(looked) < 50
    ready(place)


def test_a_start_that_fails_leaves_the_deployment_suspended(place: World) -> None:
    upload(place)
    create(place)
    place.driver.fail_next_start()
    place.fails("Update Deployment Status by name", bodies.status("Running"), **DEP)
    place.rest()
    assert get(place).status == "Suspended"
    place.do("Update Deployment Status by name", bodies.status("Running"), **DEP)
    ready(place)


def test_a_creation_that_fails_leaves_nothing(place: World) -> None:
    upload(place)
    place.driver.fail_next_start()
    body = bodies.package_deployment(cscfg(), start_deployment=True)
    place.fails("Create Deployment (package)", body, **SLOT)
    place.rest()
    assert place.rows("deployment") == place.rows("package") == place.rows("role_instance") == []


def test_roles_for_windows_do_not_claim_to_run_on_real_machines(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(place.driver), "capabilities", place.driver.capabilities | {"boots"})
    upload(place, csdef('<WebRole name="Web" />'))
    create(place, cscfg({"Web": 1}), start_deployment=True)
    (one,) = get(place).role_instance_list
    assert (one.instance_status, one.power_state) == ("FailedStartingRole", "Stopped")
    assert "started by the .NET runtime of Windows" in one.instance_state_details
    assert place.driver.list() == []
    place.do("Delete Deployment by name", **DEP)


def test_what_cannot_be_created_is_refused(place: World) -> None:
    def refused(configuration: str = "", code: str = "BadRequest", **values: Any) -> str:
        params = {"service": "svc", "slot": values.pop("slot", "staging")}
        body = bodies.package_deployment(configuration or cscfg(), **values)
        message = place.refuses(code, "Create Deployment (package)", body, **params)
        place.rest()
        return message

    assert "Upload the .cspkg file first" in refused()
    assert "does not have" in refused(package_url=url("app.cspkg", account="nosuch"))
    assert "not a blob's URL" in refused(package_url="https://example.com/a")
    place.put_blob(url("app.cspkg"), b"no package", "BlockBlob")
    assert "no ZIP file" in refused()
    upload(place)
    assert "lacks the role Web" in refused("<ServiceConfiguration serviceName='a' />")
    assert "well-formed" in refused("<")
    assert "slot" in refused(slot="other", code="InvalidXmlRequest")
    assert "100 characters" in refused(label="x" * 101)
    site = network('<VirtualNetworkSite name="net" />')
    assert "virtual network net does not exist" in refused(cscfg(inside=site))
    assert "reserved IP none" in refused(cscfg(inside=network(RESERVED.format("none"))))
    assert "limit of 20 cores" in refused(cscfg({"Web": 21}), "ConflictError")
    create(place)
    assert "slot Production is occupied" in refused(slot="production", code="ConflictError", name="new")
    assert "named 'dep'" in refused(code="ConflictError")


def network(inside: str) -> str:
    return f"<NetworkConfiguration>{inside}</NetworkConfiguration>"


RESERVED = '<AddressAssignments><ReservedIPs><ReservedIP name="{}" /></ReservedIPs></AddressAssignments>'


@pytest.mark.parametrize(
    ("definition", "configuration", "message"),
    [
        (csdef(role_xml(size="Basic_A1")), cscfg(), "web and worker roles cannot have"),
        (csdef(role_xml(size="Enormous")), cscfg(), "web and worker roles cannot have"),
        (
            csdef(role_xml("Web", ENDPOINTS), role_xml("Two", ENDPOINTS)),
            cscfg({"Web": 1, "Two": 1}),
            "Port 8080 is already in use",
        ),
        (
            csdef(role_xml(inside='<Certificates><Certificate name="c" /></Certificates>')),
            cscfg(certificates={"c": "A" * 40}),
            f"The certificate with thumbprint {'A' * 40} was not found.",
        ),
        (
            csdef(
                role_xml(inside='<LocalResources><LocalStorage name="a" sizeInMB="99999" /></LocalResources>')
            ),
            cscfg(),
            "local storage of the role Web",
        ),
    ],
)
def test_packages_that_do_not_fit_are_refused(
    place: World, definition: str, configuration: str, message: str
) -> None:
    upload(place, definition)
    body = bodies.package_deployment(configuration)
    assert message in place.refuses("BadRequest", "Create Deployment (package)", body, **SLOT)


def test_operations_on_virtual_machines_are_refused(place: World) -> None:
    upload(place)
    create(place)
    place.refuses("BadRequest", "Add Role", bodies.role("vm"), **DEP)
    body = wire.only(wire.StartRolesOperation, operation_type="StartRolesOperation", roles=["Web_IN_0"])
    place.refuses("BadRequest", "Start Roles", body, **DEP)
    place.do(
        "Create Virtual Machine Deployment",
        bodies.deployment(name="vms", deployment_slot="staging"),
        service="svc",
    )
    message = place.refuses(
        "BadRequest",
        "Update Deployment Status by name",
        bodies.status("Running"),
        service="svc",
        deployment="vms",
    )
    assert "has virtual machines" in message


def test_a_reserved_ip_is_the_address(place: World) -> None:
    ip = wire.only(wire.ReservedIP, name="kept", location="West US")
    place.do("Create Reserved IP Address", ip)
    upload(place, csdef(role_xml(inside=ENDPOINTS)))
    create(place, cscfg(inside=network(RESERVED.format("kept"))), start_deployment=True)
    reserved = place.call("Get Reserved IP Address", ip="kept")
    found = get(place)
    assert (found.virtual_ips[0].address, found.reserved_ip_name) == (reserved.address, "kept")
    body = wire.ReservedIPAssociation("svc", "dep")
    place.do("Disassociate Reserved IP Address", body, ip="kept")
    place.rest()
    address = get(place).virtual_ips[0].address
    assert address != reserved.address
    first = place.driver.spec(f"ri-{place.rows('role_instance')[0].uid}")
    assert {one.address for one in first.forwards} == {address}


def add_certificate(world: World, name: str, form: str = "cer") -> str:
    made = make_client(world.directory.parent, name)
    data = base64.b64encode(made.pfx("p") if form == "pfx" else made.certificate.der).decode()
    body = wire.only(wire.CertificateFile, data=data, certificate_format=form, password="p")
    world.do("Add Service Certificate", body, service="svc")
    return made.certificate.thumbprint


def certified(*names: str, domains: int | None = None) -> str:
    """A definition whose role has certificates."""
    inside = "".join(f'<Certificate name="{name}" />' for name in names)
    return csdef(role_xml(inside=f"{ENTRY}<Certificates>{inside}</Certificates>"), domains=domains)


def test_instances_are_given_the_certificates_of_their_role(place: World) -> None:
    def told() -> dict[str, str]:
        (settings,) = (place.directory / "roles" / "instances").glob("*/settings.tar")
        with tarfile.open(settings) as archive:
            files = {one.name.partition("/")[2]: archive.extractfile(one) for one in archive}
            return {name: file.read().decode() for name, file in files.items() if file is not None}

    first, second = (add_certificate(place, form, form) for form in ("cer", "pfx"))
    names = '<Certificate name="a" /><Certificate name="b" permissionLevel="elevated" />'
    upload(place, csdef(role_xml(inside=f"{ENTRY}<Certificates>{names}</Certificates>")))
    create(place, cscfg({"Web": 1}, certificates={"a": first, "b": first}), start_deployment=True)
    ready(place)
    files = told()
    assert "BEGIN CERTIFICATE" in files[f"certificates/{first}.crt"]
    assert files["limited-keys"] == f"{first}\n"
    changed = bodies.change(cscfg({"Web": 1}, certificates={"a": second, "b": second}))
    place.do("Change Deployment Configuration by name", changed, **DEP)
    ready(place)
    files = told()
    given = [name for name in files if name.startswith("certificates/")]
    assert given == [f"certificates/{second}.crt", f"certificates/{second}.prv"]
    assert files[given[1]].startswith("-----BEGIN PRIVATE KEY-----\n")
    for mark in (first, second):  # the one before may be rolled back to
        params = {"service": "svc", "algorithm": "sha1", "thumbprint": mark}
        assert "in use by the deployment 'dep'" in place.refuses(
            "ConflictError", "Delete Service Certificate", **params
        )
    place.do("Delete Deployment by name", **DEP)
    place.do("Delete Service Certificate", service="svc", algorithm="sha1", thumbprint=first)


def test_a_certificate_stays_while_an_instance_has_it(place: World) -> None:
    """An update that is walked by hand, and a roll-back that has not come to the instance which has changed."""
    old, new = (add_certificate(place, name) for name in ("old", "new"))
    upload(place, certified("tls", domains=2))
    create(place, cscfg({"Web": 2}, certificates={"tls": old}), start_deployment=True)
    ready(place)
    changed = bodies.change(cscfg({"Web": 2}, certificates={"tls": new}), "Manual")
    place.do("Change Deployment Configuration by name", changed, **DEP)
    place.do("Walk Upgrade Domain by name", bodies.walk(0), **DEP)
    one = "svc/dep/web_in_0"

    def marks() -> list[str]:
        row = place.row("role_instance", one)
        assert row is not None
        return [named["thumbprint"] for named in row.state["applied"]["certificates"]]

    place.eventually(lambda: marks() == [new])
    ready(place)
    place.do("Rollback Update Or Upgrade by name", bodies.rollback("Manual"), **DEP)
    delete = {"service": "svc", "algorithm": "sha1", "thumbprint": new}
    place.refuses("ConflictError", "Delete Service Certificate", **delete)
    place.do("Walk Upgrade Domain by name", bodies.walk(0), **DEP)
    place.eventually(lambda: marks() == [old])
    place.do("Delete Service Certificate", **delete)


def test_a_certificate_that_goes_while_a_package_is_taken_in_is_missed(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, mark = PackagePlanner.take, add_certificate(place, "tls")

    def slowly(*args: Any) -> Any:
        plan = take(*args)
        place.do("Delete Service Certificate", service="svc", algorithm="sha1", thumbprint=mark)
        return plan

    upload(place, certified("tls"))
    given = cscfg(certificates={"tls": mark})
    with monkeypatch.context() as patched:
        patched.setattr(PackagePlanner, "take", slowly)
        body = bodies.package_deployment(given)
        message = place.refuses("BadRequest", "Create Deployment (package)", body, **SLOT)
    assert "was not found" in message
    upload(place)
    create(place)
    mark = add_certificate(place, "other")
    upload(place, certified("tls"))
    monkeypatch.setattr(PackagePlanner, "take", slowly)
    body = bodies.upgrade(cscfg(certificates={"tls": mark}))
    message = place.refuses("BadRequest", "Upgrade Deployment by name", body, **DEP)
    assert "was not found" in message


def test_packages_that_were_never_used_are_removed_at_the_next_start(tmp_path: Path) -> None:
    with opened(tmp_path / "cloud") as world:
        (world.directory / "roles" / "packages" / "left").mkdir()
    with opened(tmp_path / "cloud") as world:
        assert leaks(world) == []
