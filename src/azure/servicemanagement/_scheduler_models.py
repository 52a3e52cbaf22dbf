"""Models of the scheduler client."""

from __future__ import annotations

from typing import ClassVar

from reddog.wire import model

from ._plain_models import Collection, Model, child, many


@model
class MaxRecurrence(Model):
    """How often a job may run at most."""

    frequency: str = ""
    interval: int = 0


@model
class Quota(Model):
    """The limits of a job collection."""

    max_job_count: int = 0
    max_recurrence: MaxRecurrence | None = child(MaxRecurrence)


@model
class IntrinsicSettings(Model):
    """The plan of a job collection and its limits."""

    plan: str = ""
    quota: Quota | None = child(Quota)


@model
class OperationStatus(Model):
    """How the last operation on a resource ended."""

    type: str = ""
    result: str = ""


@model
class Resource(Model):
    """A resource of a cloud service, such as a job collection."""

    resource_provider_namespace: str = ""
    type: str = ""
    name: str = ""
    schema_version: str = ""
    e_tag: str = ""
    state: str = ""
    intrinsic_settings: IntrinsicSettings | None = child(IntrinsicSettings)
    operation_status: OperationStatus | None = child(OperationStatus)


@model
class Resources(Collection):
    """The resources of a cloud service."""

    _items: ClassVar[str] = "resource"
    resource: list[Resource] = many(Resource)


@model
class CloudService(Model):
    """A cloud service that holds job collections."""

    name: str = ""
    label: str = ""
    description: str = ""
    geo_region: str = ""
    resources: Resources | None = child(Resources)


@model
class CloudServices(Collection):
    """The cloud services that hold job collections."""

    _items: ClassVar[str] = "cloud_service"
    cloud_service: list[CloudService] = many(CloudService)
