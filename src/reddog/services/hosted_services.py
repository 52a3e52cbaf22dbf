"""Cloud services (the API calls them hosted services): what deployments are made in (behaviours.md, section 9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from reddog.engine import Engine, Reader, Resource, Tx
from reddog.services import _rules, affinity_groups
from reddog.services._call import Call, Handler, Reply
from reddog.services._lists import listed
from reddog.services.locations import compute_capabilities
from reddog.services.quotas import NO_QUOTAS, Quotas
from reddog.wire import (
    NIL,
    AvailabilityResponse,
    Deployment,
    Deployments,
    HostedService,
    HostedServiceProperties,
    errors,
    only,
)
from reddog.wire import HostedServices as HostedServiceList

KIND = "hosted_service"
DOMAIN = "cloudapp.net"
TAKEN_REASON = "A hosted service with the specified name already exists."
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


DeploymentsOf = Callable[[Reader, str], list[Deployment]]


class HostedServices:
    """Create, read, change and delete cloud services.

    Args:
        engine: Takes the changes.
        base_url: The management endpoint's URL, without a slash at its end.
        deployments_of: Tells a service's deployments.
        quotas: How many services a subscription may have.
    """

    def __init__(
        self, engine: Engine, base_url: str, deployments_of: DeploymentsOf, quotas: Quotas = NO_QUOTAS
    ) -> None:
        self._quotas = quotas
        self._engine = engine
        self._read = engine.store.read
        self._base_url = base_url
        self._deployments_of = deployments_of

    def handlers(self) -> Mapping[str, Handler]:
        """The operations by name."""
        return {
            "List Cloud Services": self.list,
            "Get Cloud Service Properties": self.get,
            "Create Cloud Service": self.create,
            "Update Cloud Service": self.update,
            "Delete Cloud Service": self.delete,
            "Check Cloud Service Name Availability": self.check_availability,
        }

    def list(self, call: Call) -> Reply:
        """List Cloud Services."""
        return listed(self._read, HostedServiceList([]), KIND, call.subscription, self._listed)

    def get(self, call: Call) -> Reply:
        """Get Cloud Service Properties, with its deployments if `embed-detail=true`."""
        detailed = call.query.get("embed-detail", "").lower() == "true"

        def read(reader: Reader) -> HostedService:
            row = reader.get(KIND, call.params["service"].lower())
            if row is None or row.subscription != call.subscription:
                raise errors.HOSTED_SERVICE_NOT_FOUND()
            shown = self.shown(reader, row)
            if detailed:
                shown.deployments = Deployments(self._deployments_of(reader, row.key))
            return shown

        return Reply(self._read(read), lasting=not detailed)

    def create(self, call: Call) -> Reply:
        """Create Cloud Service. ConflictError: the DNS name is taken, in any subscription."""
        body = call.body
        name = body.service_name or ""
        if not _NAME.fullmatch(name):
            raise errors.INVALID_HOSTED_SERVICE_NAME()
        _check(body, name)
        location = affinity_groups.check_place(body.location, body.affinity_group)

        def change(tx: Tx) -> None:
            affinity_groups.require(tx, call.subscription, body.affinity_group)
            self._quotas.check_count(tx, call.subscription, KIND)
            goal = {
                "name": name,
                "label": body.label,
                "description": body.description,
                "location": location,
                "affinity_group": body.affinity_group,
                "extended_properties": body.extended_properties or {},
                "reverse_dns": body.reverse_dns_fqdn,
            }
            taken = errors.DNS_NAME_TAKEN()
            _rules.insert(tx, KIND, name, subscription=call.subscription, goal=goal, taken=taken)

        _rules.accept(self._engine, call, change)
        location_header = f"{self._base_url}/subscriptions/{call.subscription}/compute/{name}"
        return Reply(location=location_header)

    def update(self, call: Call) -> Reply:
        """Update Cloud Service: what the body leaves out stays as it is."""
        body = call.body
        _check(body, call.params["service"])
        changes = {
            "label": body.label,
            "description": body.description,
            "extended_properties": body.extended_properties,
            "reverse_dns": body.reverse_dns_fqdn,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            raise errors.NOTHING_TO_UPDATE(elements="Label, Description, ExtendedProperties")

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            tx.set_goal(KIND, row.key, {**row.goal, **given})

        _rules.accept(self._engine, call, change)
        return Reply()

    def delete(self, call: Call) -> Reply:
        """Delete Cloud Service with its certificates. ConflictError: it has deployments."""

        def change(tx: Tx) -> None:
            row = _owned(tx, call)
            names = []
            for deployment in tx.list("deployment", parent=row.key):
                if not deployment.present:
                    raise _rules.locked(deployment)
                names.append(deployment.goal["name"])
            if names:
                raise errors.HOSTED_SERVICE_IN_USE(name=row.goal["name"], deployments=", ".join(names))
            for certificate in tx.list("service_certificate", parent=row.key):
                tx.drop("service_certificate", certificate.key)
            tx.remove(KIND, row.key)

        _rules.accept(self._engine, call, change)
        return Reply()

    def check_availability(self, call: Call) -> Reply:
        """Check Cloud Service Name Availability. BadRequest: the name is invalid."""
        name = call.params["service"]
        if not _NAME.fullmatch(name):
            raise errors.INVALID_HOSTED_SERVICE_NAME()
        if self._read(lambda reader: reader.get(KIND, name.lower())) is None:
            return Reply(only(AvailabilityResponse, result=True, reason=NIL))
        return Reply(only(AvailabilityResponse, result=False, reason=TAKEN_REASON))

    def _listed(self, reader: Reader, row: Resource) -> HostedService:
        shown = self.shown(reader, row)
        shown.compute_capabilities = compute_capabilities()
        return shown

    def shown(self, reader: Reader, row: Resource) -> HostedService:
        """A hosted service as the API tells it, without its deployments."""
        goal = row.goal
        return only(
            HostedService,
            url=f"{self._base_url}/{row.subscription}/services/hostedservices/{goal['name']}",
            service_name=goal["name"],
            hosted_service_properties=only(
                HostedServiceProperties,
                description=NIL if goal["description"] is None else goal["description"],
                affinity_group=goal["affinity_group"],
                location=goal["location"],
                label=goal["label"],
                status="Deleting" if _is_going(reader, row) else "Created",
                date_created=_rules.timestamp(row.created),
                date_last_modified=_rules.timestamp(row.modified),
                extended_properties=_shown_properties(goal),
                reverse_dns_fqdn=goal["reverse_dns"],
            ),
        )


def _owned(reader: Reader, call: Call) -> Resource:
    missing = errors.HOSTED_SERVICE_NOT_FOUND()
    return _rules.owned(reader, KIND, call.params["service"], call.subscription, missing)


def _is_going(reader: Reader, row: Resource) -> bool:
    """Whether the service or one of its deployments is on its way out."""
    if not row.present or row.operation is None:  # whoever deletes a deployment holds its service
        return not row.present
    return any(not deployment.present for deployment in reader.list("deployment", parent=row.key))


def _check(body: Any, name: str) -> None:
    _rules.check_label(body.label)
    _rules.check_description(body.description)
    _rules.check_extended_properties(body.extended_properties)
    reverse_dns = body.reverse_dns_fqdn
    if reverse_dns and reverse_dns.lower() != f"{name}.{DOMAIN}.".lower():
        raise errors.INVALID_REVERSE_DNS(given=reverse_dns, expected=f"{name}.{DOMAIN}.")


def _shown_properties(goal: Mapping[str, Any]) -> dict[str, str]:
    """The extended properties, with those that the service adds outside of affinity groups."""
    if goal["location"] is None:
        return dict(goal["extended_properties"])
    added = {"ResourceGroup": goal["name"], "ResourceLocation": goal["location"]}
    return {**goal["extended_properties"], **added}
