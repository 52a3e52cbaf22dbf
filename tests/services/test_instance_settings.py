"""What the guest of a role instance is told: values for any shell, and the instance's own."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddog.packages import parse_configuration, parse_definition
from reddog.services._instance_settings import Instance, instance_value, settings_files
from reddog.services._package_plan import _role_plan
from service_packages import cscfg, csdef, role_xml

INSIDE = (
    '<Runtime><EntryPoint><ProgramEntryPoint commandLine="run.sh" /></EntryPoint></Runtime>'
    '<Endpoints><InputEndpoint name="http" protocol="http" port="80" localPort="8080" /></Endpoints>'
    '<LocalResources><LocalStorage name="cache" sizeInMB="7" /></LocalResources>'
    '<ConfigurationSettings><Setting name="Some.Color" /></ConfigurationSettings>'
)
WHO = Instance("Web_IN_2", "d1", 2, 1, "10.0.2.15", {"http": 80})
CURRENT = "/RoleEnvironment/CurrentInstance"


def plan(color: str = "red") -> dict[str, Any]:
    definition = parse_definition(csdef(role_xml(inside=INSIDE)).encode())
    configuration = parse_configuration(cscfg(settings={"Some.Color": "-"})).roles[0]
    made = _role_plan(definition.roles[0], configuration, "p1")
    return {**made, "settings": {"Some.Color": color}}


@pytest.mark.parametrize(
    ("xpath", "value"),
    [
        ("/RoleEnvironment/Deployment/@id", "d1"),
        ("/RoleEnvironment/Deployment/@emulated", "false"),
        (f"{CURRENT}/@id", "Web_IN_2"),
        (f"{CURRENT}/@roleName", "Web"),
        (f"{CURRENT}/@updateDomain", "2"),
        (f"{CURRENT}/@faultDomain", "1"),
        (f"{CURRENT}/ConfigurationSettings/ConfigurationSetting[@name='Some.Color']/@value", "red"),
        (f"{CURRENT}/LocalResources/LocalResource[@name='cache']/@path", "/role/local/cache"),
        (f"{CURRENT}/LocalResources/LocalResource[@name='cache']/@sizeInMB", "7"),
        (f"{CURRENT}/Endpoints/Endpoint[@name='http']/@port", "8080"),
        (f"{CURRENT}/Endpoints/Endpoint[@name='http']/@publicPort", "80"),
        (f"{CURRENT}/Endpoints/Endpoint[@name='http']/@address", "10.0.2.15"),
        (f"{CURRENT}/Endpoints/Endpoint[@name='http']/@protocol", "http"),
        (f"{CURRENT}/Endpoints/Endpoint[@name='none']/@port", ""),
        ("/Other", ""),
    ],
)
def test_values_of_the_instance_are_found(xpath: str, value: str) -> None:
    assert instance_value(xpath, plan(), WHO) == value


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=40))
def test_any_setting_arrives_in_the_environment(color: str) -> None:
    text = settings_files(plan(color), WHO, ())["reddog-role/environment"]
    script = text + 'printf %s "$Some_Color|$RoleName|$RoleInstanceID|$RoleDeploymentID|$RoleRoot"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{color}|Web|Web_IN_2|d1|/role"
