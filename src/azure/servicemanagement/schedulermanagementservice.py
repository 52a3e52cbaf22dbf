"""The client for the scheduler: cloud services, job collections, jobs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from reddog import wire

from ._common_error import _require
from ._endpoint import DEFAULT_HOST
from ._plain_models import WINDOWS_AZURE, append, decode, document, unprefixed
from ._scheduler_models import CloudService, CloudServices, Resource
from .constants import DEFAULT_HTTP_TIMEOUT
from .models import AsynchronousOperationResult, AvailabilityResponse
from .servicemanagementclient import _async_result, _ServiceManagementClient


class SchedulerManagementService(_ServiceManagementClient):
    """Manages the job collections of one subscription.

    The methods about single jobs leave `content_type` at "application/json", as the interface always did.

    All methods raise `azure.common.AzureHttpError` for an answer of 300 and more, as those of
    ServiceManagementService do.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        cert_file: str | None = None,
        host: str = DEFAULT_HOST,
        request_session: Any = None,
        timeout: float | None = DEFAULT_HTTP_TIMEOUT,
    ) -> None:
        """Make a client; the parameters are those of ServiceManagementService."""
        super().__init__(subscription_id, cert_file, host, request_session, timeout)

    # -- Cloud services -----------------------------------------------------------------------------------

    def list_cloud_services(self) -> CloudServices:
        """List the cloud services of the subscription with their job collections."""
        return decode(CloudServices, self.perform_get(f"/{self.subscription_id}/cloudservices").body)

    def create_cloud_service(
        self, cloud_service_id: str, label: str, description: str, geo_region: str
    ) -> AsynchronousOperationResult:
        """Start to make a cloud service for job collections.

        cloud_service_id: its name.  label, description: texts.  geo_region: such as "West Europe".

        Returns the request id.
        """
        _require(
            cloud_service_id=cloud_service_id, label=label, description=description, geo_region=geo_region
        )
        values = [("Label", label), ("Description", description), ("GeoRegion", geo_region)]
        body = document("CloudService", WINDOWS_AZURE, values)
        return _async_result(self.perform_put(self._cloud_service(cloud_service_id), body))

    def get_cloud_service(self, cloud_service_id: str) -> CloudService:
        """Return one cloud service with its job collections.

        cloud_service_id: its name.
        """
        _require(cloud_service_id=cloud_service_id)
        return decode(CloudService, self.perform_get(self._cloud_service(cloud_service_id)).body)

    def delete_cloud_service(self, cloud_service_id: str) -> AsynchronousOperationResult:
        """Start to delete a cloud service with its job collections.

        cloud_service_id: its name.

        Returns the request id.
        """
        _require(cloud_service_id=cloud_service_id)
        return _async_result(self.perform_delete(self._cloud_service(cloud_service_id)))

    # -- Job collections ----------------------------------------------------------------------------------

    def check_job_collection_name(
        self, cloud_service_id: str, job_collection_id: str
    ) -> AvailabilityResponse:
        """Say whether a job collection of this name could be made.

        cloud_service_id: the cloud service.  job_collection_id: the name.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id)
        path = self._collection(cloud_service_id)
        path += f"?op=checknameavailability&resourceName={job_collection_id}"
        return wire.decode(AvailabilityResponse, self.perform_post(path, None).body or b"")

    def create_job_collection(
        self, cloud_service_id: str, job_collection_id: str, plan: str = "Standard"
    ) -> AsynchronousOperationResult:
        """Start to make a job collection.

        cloud_service_id: the cloud service.  job_collection_id: its name.  plan: Free or Standard.

        Returns the request id.  Raises ValueError for another plan.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id)
        if plan not in ("Free", "Standard"):
            raise ValueError("Plan: Invalid option must be 'Standard' or 'Free'")
        path = self._collection(cloud_service_id, job_collection_id)
        return _async_result(self.perform_put(path, _job_collection(plan)))

    def delete_job_collection(
        self, cloud_service_id: str, job_collection_id: str
    ) -> AsynchronousOperationResult:
        """Start to delete a job collection with its jobs.

        cloud_service_id, job_collection_id: the collection.

        Returns the request id.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id)
        return _async_result(self.perform_delete(self._collection(cloud_service_id, job_collection_id)))

    def get_job_collection(self, cloud_service_id: str, job_collection_id: str) -> Resource:
        """Return one job collection.

        cloud_service_id, job_collection_id: the collection.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id)
        return decode(Resource, self.perform_get(self._jobs(cloud_service_id, job_collection_id)).body)

    # -- Jobs ---------------------------------------------------------------------------------------------

    def create_job(
        self, cloud_service_id: str, job_collection_id: str, job_id: str, job: Any
    ) -> AsynchronousOperationResult:
        """Start to make a job.

        cloud_service_id, job_collection_id: the collection.  job_id: its name.
        job: what to do and when, as a dict for JSON; datetime values are written in ISO form.

        Returns the request id.
        """
        _require(
            cloud_service_id=cloud_service_id, job_collection_id=job_collection_id, job_id=job_id, job=job
        )
        self.content_type = "application/json"
        path = self._jobs(cloud_service_id, job_collection_id, job_id)
        return _async_result(self.perform_put(path, json.dumps(job, default=_iso)))

    def delete_job(
        self, cloud_service_id: str, job_collection_id: str, job_id: str
    ) -> AsynchronousOperationResult:
        """Start to delete a job.

        cloud_service_id, job_collection_id, job_id: the job.

        Returns the request id.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id, job_id=job_id)
        return _async_result(self.perform_delete(self._jobs(cloud_service_id, job_collection_id, job_id)))

    def get_job(self, cloud_service_id: str, job_collection_id: str, job_id: str) -> Any:
        """Return one job, as decoded JSON.

        cloud_service_id, job_collection_id, job_id: the job.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id, job_id=job_id)
        return self._json(self._jobs(cloud_service_id, job_collection_id, job_id))

    def get_all_jobs(self, cloud_service_id: str, job_collection_id: str) -> Any:
        """Return all jobs of a collection, as decoded JSON.

        cloud_service_id, job_collection_id: the collection.
        """
        _require(cloud_service_id=cloud_service_id, job_collection_id=job_collection_id)
        return self._json(self._jobs(cloud_service_id, job_collection_id, ""))

    def _json(self, path: str) -> Any:
        self.content_type = "application/json"
        return json.loads((self.perform_get(path).body or b"").decode("utf-8"))

    def _cloud_service(self, cloud_service_id: str) -> str:
        return f"/{self.subscription_id}/cloudservices/{cloud_service_id}"

    def _collection(self, cloud_service_id: str, job_collection_id: str | None = None) -> str:
        path = self._cloud_service(cloud_service_id) + "/resources/scheduler/jobCollections"
        return path if job_collection_id is None else f"{path}/{job_collection_id}"

    def _jobs(self, cloud_service_id: str, job_collection_id: str, job_id: str | None = None) -> str:
        scheduler = f"{self._cloud_service(cloud_service_id)}/resources/scheduler"
        path = f"{scheduler}/~/jobCollections/{job_collection_id}"
        if job_id is not None:
            path += f"/jobs/{job_id}"
        return path + "?api-version=2014-04-01"


def _job_collection(plan: str) -> bytes:
    from lxml import etree

    top = etree.Element(f"{{{WINDOWS_AZURE}}}Resource", nsmap=unprefixed(WINDOWS_AZURE))
    append(etree.SubElement(top, f"{{{WINDOWS_AZURE}}}IntrinsicSettings"), [("plan", plan)])
    return etree.tostring(top)


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
