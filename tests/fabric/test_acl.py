"""Access control lists: who may connect."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddog.fabric import AclRule
from reddog.fabric._acl import permits

PERMIT, DENY = AclRule("permit", "10.1.0.0/16"), AclRule("deny", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("rules", "client", "permitted"),
    [
        ((), "10.0.0.1", True),
        ((DENY,), "10.0.0.1", False),
        ((DENY,), "11.0.0.1", True),
        ((PERMIT,), "10.1.0.1", True),
        ((PERMIT,), "10.2.0.1", False),
        ((PERMIT, DENY), "10.1.0.1", True),
        ((PERMIT, DENY), "10.2.0.1", False),
        ((PERMIT, DENY), "11.0.0.1", False),
        ((DENY, PERMIT), "10.1.0.1", False),
    ],
)
def test_the_first_rule_that_fits_decides(rules: tuple[AclRule, ...], client: str, permitted: bool) -> None:
    assert permits(rules, client) is permitted


@given(
    st.lists(
        st.tuples(st.sampled_from(["permit", "deny"]), st.integers(0, 2**32 - 1), st.integers(0, 32)),
        max_size=6,
    ),
    st.ip_addresses(v=4),
)
def test_any_list_decides_as_a_search_through_its_subnets(
    drawn: list[tuple[str, int, int]], client: IPv4Address
) -> None:
    made = [(action, IPv4Network((number, length), strict=False)) for action, number, length in drawn]
    rules = [AclRule(action, str(subnet)) for action, subnet in made]  # type: ignore[arg-type]
    fitting = [action == "permit" for action, subnet in made if client in subnet]
    default = all(action == "deny" for action, _ in made)
    assert permits(rules, str(client)) is (fitting[0] if fitting else default)
