"""Extensions are listed, and roles keep and show references to them; their status says that none is installed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from reddog import wire
from services import bodies
from services.world import World

CREATE, UPDATE = "Create Virtual Machine Deployment", "Update Role"
ROLE = {"service": "svc", "deployment": "dep", "role": "vm"}
SECRET = base64.b64encode(b'{"storageAccountKey": "secret"}').decode()
PUBLIC = base64.b64encode(b'{"commandToExecute": "ls"}').decode()


def reference(name: str = "CustomScriptForLinux", **values: Any) -> wire.ResourceExtensionReference:
    given = {"reference_name": name, "publisher": "Microsoft.OSTCExtensions", "version": "1.*"} | values
    return wire.only(wire.ResourceExtensionReference, name=name, **given)


def parameters(*given: tuple[str, str, str]) -> wire.ResourceExtensionParameterValues:
    values = [wire.only(wire.ResourceExtensionParameterValue, key=k, value=v, type=t) for k, v, t in given]
    return wire.ResourceExtensionParameterValues(values)


def role(*references: Any, **values: Any) -> Any:
    given = wire.ResourceExtensionReferences(list(references))
    return bodies.role(resource_extension_references=given, **values)


def changed(*references: Any, **values: Any) -> Any:
    given = wire.ResourceExtensionReferences(list(references))
    return wire.only(wire.PersistentVMRole, role_name="vm", resource_extension_references=given, **values)


def references(world: World) -> list[tuple[str, str, str]]:
    found = world.call("Get Role", **ROLE).resource_extension_references or ()
    return [(one.name, one.version, one.state) for one in found]


def statuses(world: World) -> list[tuple[str, str, str]]:
    instance = world.call("Get Deployment by name", service="svc", deployment="dep").role_instance_list[0]
    found = instance.resource_extension_status_list or ()
    assert all("not been installed" in one.formatted_message.message for one in found)
    return [(one.handler_name, one.version, one.status) for one in found]


def test_the_extensions_of_the_time_are_listed_and_said_not_to_be_installed(world: World) -> None:
    listed = world.call("List Resource Extensions")
    found = {(one.publisher, one.name): one for one in listed}
    assert len(found) == len(listed) > 40
    script = found["Microsoft.OSTCExtensions", "CustomScriptForLinux"]
    assert (script.version, script.is_json_extension, script.supported_os) == ("1.3", True, "Linux")
    assert all(one.label and "not installed" in one.description for one in listed)
    assert not any(one.replication_completed for one in listed)
    assert found["Chef.Bootstrap.WindowsAzure", "ChefClient"].version == "1207.12"


def test_an_extensions_versions_are_listed_oldest_first(world: World) -> None:
    where = {"publisher": "chef.bootstrap.windowsazure", "extension": "CHEFCLIENT"}
    versions = [one.version for one in world.call("List Resource Extension Versions", **where)]
    assert (len(versions), versions[0], versions[-1]) == (8, "11.10.4", "1207.12.3.0")
    world.refuses("ResourceNotFound", "List Resource Extension Versions", publisher="x", extension="y")


def test_references_are_kept_and_shown_without_what_is_private(place: World) -> None:
    given = parameters(("settings", PUBLIC, "Public"), ("keys", SECRET, "Private"))
    one = reference(resource_extension_parameter_values=given)
    place.do(CREATE, bodies.deployment(role(one, reference("VMAccessForLinux"))), service="svc")
    assert references(place) == [
        ("CustomScriptForLinux", "1.*", "Enable"),
        ("VMAccessForLinux", "1.*", "Enable"),
    ]
    shown = place.call("Get Role", **ROLE).resource_extension_references[0]
    (value,) = shown.resource_extension_parameter_values
    assert (value.key, value.value, value.type) == ("settings", PUBLIC, "Public")
    place.call("Get Deployment by name", service="svc", deployment="dep")
    everything = b"".join(place.answers) + repr(place.rows("role")).encode()
    assert PUBLIC.encode() in everything
    assert SECRET.encode() not in everything


def test_their_status_says_what_has_become_of_them(place: World) -> None:
    place.do(CREATE, bodies.deployment(role(reference(), provision_guest_agent=True)), service="svc")
    assert statuses(place) == [("Microsoft.OSTCExtensions.CustomScriptForLinux", "1.3", "NotReady")]
    place.do(UPDATE, changed(reference(state="disable", version="1.2")), **ROLE)
    assert references(place) == [("CustomScriptForLinux", "1.2", "Disable")]
    assert statuses(place) == [("Microsoft.OSTCExtensions.CustomScriptForLinux", "1.2", "NotReady")]
    place.do(UPDATE, changed(reference(state="Uninstall")), **ROLE)
    assert references(place) == [("CustomScriptForLinux", "1.*", "Uninstall")]
    assert statuses(place) == []


def test_an_update_replaces_them_or_leaves_them_alone(place: World) -> None:
    place.do(CREATE, bodies.deployment(role(reference())), service="svc")
    place.do(UPDATE, wire.only(wire.PersistentVMRole, role_name="vm", role_size="Medium"), **ROLE)
    assert [name for name, _, _ in references(place)] == ["CustomScriptForLinux"]
    place.do(UPDATE, changed(reference("OSPatchingForLinux", version="*")), **ROLE)
    assert [name for name, _, _ in references(place)] == ["OSPatchingForLinux"]
    place.do(UPDATE, changed(), **ROLE)
    assert references(place) == []


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ([reference("Unknown")], "List Resource Extensions"),
        ([reference(publisher="Nobody")], "List Resource Extensions"),
        ([reference(version="1.4")], "the newest is 1.3"),
        ([reference(version="2.*")], "the newest is 1.3"),
        ([reference(version="latest")], "the newest is 1.3"),
        ([reference(version="1")], "the newest is 1.3"),
        ([reference(), reference(reference_name="other")], "twice"),
        ([reference(), reference("VMAccessForLinux", reference_name="customscriptforlinux")], "twice"),
    ],
)
def test_what_is_not_in_the_catalogue_is_refused(place: World, given: list[Any], what: str) -> None:
    assert what in place.refuses("BadRequest", CREATE, bodies.deployment(role(*given)), service="svc")


def test_malformed_references_are_refused(place: World) -> None:
    for values in (
        {"state": "Asleep"},
        {"resource_extension_parameter_values": parameters(("k", "not base64", "Public"))},
        {"resource_extension_parameter_values": parameters(("k", PUBLIC, "Other"))},
        {"reference_name": None},
    ):
        body = bodies.deployment(role(reference(**values)))
        place.refuses("InvalidXmlRequest", CREATE, body, service="svc")


def test_extensions_want_the_guest_agent(place: World) -> None:
    without = bodies.deployment(role(reference(), provision_guest_agent=False))
    assert "ProvisionGuestAgent" in place.refuses("BadRequest", CREATE, without, service="svc")
    place.do(CREATE, bodies.deployment(bodies.role(provision_guest_agent=False)), service="svc")
    place.refuses("BadRequest", UPDATE, changed(reference()), **ROLE)
    place.do(UPDATE, changed(reference(), provision_guest_agent=True), **ROLE)
    assert references(place) == [("CustomScriptForLinux", "1.*", "Enable")]
