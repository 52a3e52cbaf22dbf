"""Load-balanced endpoint sets: all their members are changed at once (behaviours.md, section 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reddog.engine import Engine, Resource, Tx
from reddog.services import _rules, deployments
from reddog.services._call import Call, Handler, Reply
from reddog.services._endpoints import network_goal
from reddog.wire import ConfigurationSet, decode, errors

_SHARED = (
    *("local_port", "port", "protocol", "load_balancer_probe", "enable_direct_server_return"),
    *("endpoint_acl", "idle_timeout_in_minutes", "load_balancer_distribution"),
)


class LoadBalancedSets:
    """Changes the endpoints of a set in all roles of a deployment.

    Args:
        engine: Takes the changes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {"Update Load-Balanced Endpoint Set": self.update}

    def update(self, call: Call) -> Reply:
        """Update Load-Balanced Endpoint Set: what the body leaves out stays as it is.

        ResourceNotFound: no role has an endpoint in a set of that name.
        """
        given = {one.load_balanced_endpoint_set_name: one for one in call.body.input_endpoints or ()}
        if not given or len(given) != len(call.body.input_endpoints):
            raise errors.A_PARAMETER_WAS_INCORRECT()

        def change(tx: Tx) -> None:
            deployment = tx.lock(deployments.KIND, deployments.require(tx, call).key)
            roles = [role for role in tx.list("role", parent=deployment.key) if role.present]
            for name in given.keys() - {one["set"] for role in roles for one in role.goal["endpoints"]}:
                raise errors.LOAD_BALANCED_SET_NOT_FOUND(name=name)
            for role in roles:
                if any(one["set"] in given for one in role.goal["endpoints"]):
                    tx.set_goal("role", role.key, {**role.goal, **_changed(role, given)})

        _rules.accept(self._engine, call, change)
        return Reply()


def _changed(role: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a role's goal that its network configuration decides, as it is to be."""
    network = decode(ConfigurationSet, role.goal["network"].encode())
    ports = {one["name"]: one["port"] for one in role.goal["endpoints"]}
    for endpoint in network.input_endpoints or ():
        endpoint.port = str(ports[endpoint.name])
        wanted = given.get(endpoint.load_balanced_endpoint_set_name or "")
        for name in _SHARED if wanted is not None else ():
            if getattr(wanted, name) is not None:
                setattr(endpoint, name, getattr(wanted, name))
    goal = network_goal(network)
    return {name: goal[name] for name in ("network", "endpoints")}
