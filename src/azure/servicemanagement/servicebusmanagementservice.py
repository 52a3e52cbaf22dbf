"""The client for Service Bus namespaces and what is measured of their entities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from lxml import etree

from . import _feeds as feeds
from ._common_error import _require
from ._endpoint import DEFAULT_HOST
from ._feeds import FeedList
from ._plain_models import unprefixed
from ._service_bus_models import (
    MetricProperties,
    MetricRollups,
    MetricValues,
    NotificationHubDescription,
    QueueDescription,
    RelayDescription,
    ServiceBusNamespace,
    ServiceBusRegion,
    TopicDescription,
)
from .constants import DEFAULT_HTTP_TIMEOUT
from .models import AvailabilityResponse
from .servicemanagementclient import _ServiceManagementClient

X_MS_VERSION = "2012-03-01"

_ATOM = "http://www.w3.org/2005/Atom"
_CONNECT = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
T = TypeVar("T")


class ServiceBusManagementService(_ServiceManagementClient):
    """Manages the Service Bus namespaces of one subscription.

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
        self.x_ms_version = X_MS_VERSION

    # -- Namespaces ---------------------------------------------------------------------------------------

    def get_regions(self) -> FeedList[ServiceBusRegion]:
        """List the regions where namespaces can be made."""
        response = self.perform_get(self._path("Regions/"))
        return feeds.decode_feed(response, feeds.region)

    def list_namespaces(self) -> FeedList[ServiceBusNamespace]:
        """List the namespaces of the subscription."""
        response = self.perform_get(self._path("Namespaces/"))
        return feeds.decode_feed(response, feeds.namespace)

    def get_namespace(self, name: str) -> ServiceBusNamespace:
        """Return one namespace with its endpoints and, once it is active, its key.

        name: its name.
        """
        return feeds.namespace(feeds.parse(self.perform_get(self._path(f"Namespaces/{name}")).body))

    def create_namespace(self, name: str, region: str) -> None:
        """Make a namespace.

        name: unique in the cloud.  region: a code from `get_regions`.
        """
        _require(name=name)
        self.perform_put(self._path(f"Namespaces/{name}"), _new_namespace(region))

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with all its entities.

        name: its name.
        """
        _require(name=name)
        self.perform_delete(self._path(f"Namespaces/{name}"))

    def check_namespace_availability(self, name: str) -> AvailabilityResponse:
        """Say whether a namespace of this name could be made.

        name: the name.

        Returns `result` (bool).
        """
        _require(name=name)
        response = self.perform_get(self._path(f"CheckNamespaceAvailability/?namespace={name}"))
        return feeds.availability(feeds.parse(response.body))

    # -- Entities -----------------------------------------------------------------------------------------

    def list_queues(self, name: str) -> FeedList[QueueDescription]:
        """List the queues of a namespace.

        name: of the namespace.
        """
        _require(name=name)
        return self._entities(name, "Queues", QueueDescription)

    def list_topics(self, name: str) -> FeedList[TopicDescription]:
        """List the topics of a namespace.

        name: of the namespace.
        """
        return self._entities(name, "Topics", TopicDescription)

    def list_notification_hubs(self, name: str) -> FeedList[NotificationHubDescription]:
        """List the notification hubs of a namespace.

        name: of the namespace.
        """
        return self._entities(name, "NotificationHubs", NotificationHubDescription)

    def list_relays(self, name: str) -> FeedList[RelayDescription]:
        """List the relays of a namespace.

        name: of the namespace.
        """
        return self._entities(name, "Relays", RelayDescription)

    # -- Metrics ------------------------------------------------------------------------------------------

    def get_supported_metrics_queue(self, name: str, queue_name: str) -> FeedList[MetricProperties]:
        """List what is measured of a queue.

        name: the namespace.  queue_name: the queue.
        """
        return self._metrics(name, "Queues", queue_name, "/Metrics", MetricProperties)

    def get_supported_metrics_topic(self, name: str, topic_name: str) -> FeedList[MetricProperties]:
        """List what is measured of a topic.

        name: the namespace.  topic_name: the topic.
        """
        return self._metrics(name, "Topics", topic_name, "/Metrics", MetricProperties)

    def get_supported_metrics_notification_hub(self, name: str, hub_name: str) -> FeedList[MetricProperties]:
        """List what is measured of a notification hub.

        name: the namespace.  hub_name: the notification hub.
        """
        return self._metrics(name, "NotificationHubs", hub_name, "/Metrics", MetricProperties)

    def get_supported_metrics_relay(self, name: str, relay_name: str) -> FeedList[MetricProperties]:
        """List what is measured of a relay.

        name: the namespace.  relay_name: the relay.
        """
        return self._metrics(name, "Relays", relay_name, "/Metrics", MetricProperties)

    def get_metrics_data_queue(
        self, name: str, queue_name: str, metric: str, rollup: str, filter_expresssion: str
    ) -> FeedList[MetricValues]:
        """Return what was measured of a queue.

        name: the namespace.  queue_name: the queue.  metric, rollup: names of a metric and of a period.
        filter_expresssion: which values, such as "$filter=Timestamp gt datetime'2015-06-01T00:00:00Z'".
        """
        below = f"/Metrics/{metric}/Rollups/{rollup}/Values?{filter_expresssion}"
        return self._metrics(name, "Queues", queue_name, below, MetricValues)

    def get_metrics_data_topic(
        self, name: str, topic_name: str, metric: str, rollup: str, filter_expresssion: str
    ) -> FeedList[MetricValues]:
        """Return what was measured of a topic.

        name: the namespace.  topic_name: the topic.  metric, rollup: names of a metric and of a period.
        filter_expresssion: which values, such as "$filter=Timestamp gt datetime'2015-06-01T00:00:00Z'".
        """
        below = f"/Metrics/{metric}/Rollups/{rollup}/Values?{filter_expresssion}"
        return self._metrics(name, "Topics", topic_name, below, MetricValues)

    def get_metrics_data_notification_hub(
        self, name: str, hub_name: str, metric: str, rollup: str, filter_expresssion: str
    ) -> FeedList[MetricValues]:
        """Return what was measured of a notification hub.

        name: the namespace.  hub_name: the notification hub.  metric, rollup: names of a metric and of a
            period.
        filter_expresssion: which values, such as "$filter=Timestamp gt datetime'2015-06-01T00:00:00Z'".
        """
        below = f"/Metrics/{metric}/Rollups/{rollup}/Values?{filter_expresssion}"
        return self._metrics(name, "NotificationHubs", hub_name, below, MetricValues)

    def get_metrics_data_relay(
        self, name: str, relay_name: str, metric: str, rollup: str, filter_expresssion: str
    ) -> FeedList[MetricValues]:
        """Return what was measured of a relay.

        name: the namespace.  relay_name: the relay.  metric, rollup: names of a metric and of a period.
        filter_expresssion: which values, such as "$filter=Timestamp gt datetime'2015-06-01T00:00:00Z'".
        """
        below = f"/Metrics/{metric}/Rollups/{rollup}/Values?{filter_expresssion}"
        return self._metrics(name, "Relays", relay_name, below, MetricValues)

    def get_metrics_rollups_queue(self, name: str, queue_name: str, metric: str) -> FeedList[MetricRollups]:
        """List the periods over which a metric of a queue is summed up.

        name: the namespace.  queue_name: the queue.  metric: name of the metric.
        """
        return self._metrics(name, "Queues", queue_name, f"/Metrics/{metric}/Rollups", MetricRollups)

    def get_metrics_rollups_topic(self, name: str, topic_name: str, metric: str) -> FeedList[MetricRollups]:
        """List the periods over which a metric of a topic is summed up.

        name: the namespace.  topic_name: the topic.  metric: name of the metric.
        """
        return self._metrics(name, "Topics", topic_name, f"/Metrics/{metric}/Rollups", MetricRollups)

    def get_metrics_rollups_notification_hub(
        self, name: str, hub_name: str, metric: str
    ) -> FeedList[MetricRollups]:
        """List the periods over which a metric of a notification hub is summed up.

        name: the namespace.  hub_name: the notification hub.  metric: name of the metric.
        """
        return self._metrics(name, "NotificationHubs", hub_name, f"/Metrics/{metric}/Rollups", MetricRollups)

    def get_metrics_rollups_relay(self, name: str, relay_name: str, metric: str) -> FeedList[MetricRollups]:
        """List the periods over which a metric of a relay is summed up.

        name: the namespace.  relay_name: the relay.  metric: name of the metric.
        """
        return self._metrics(name, "Relays", relay_name, f"/Metrics/{metric}/Rollups", MetricRollups)

    def _path(self, below: str) -> str:
        return f"/{self.subscription_id}/services/serviceBus/{below}"

    def _entities(self, name: str, kind: str, cls: type[T]) -> FeedList[T]:
        response = self.perform_get(self._path(f"Namespaces//{name}/{kind}"))
        return feeds.decode_feed(response, lambda entry: feeds.entity(entry, cls))

    def _metrics(self, name: str, kind: str, entity: str, below: str, cls: type[T]) -> FeedList[T]:
        response = self.perform_get(self._path(f"Namespaces//{name}/{kind}/{entity}{below}"))
        return feeds.decode_feed(response, lambda entry: feeds.metric(entry, cls))


def _new_namespace(region: str) -> bytes:
    entry = etree.Element(f"{{{_ATOM}}}entry", nsmap=unprefixed(_ATOM))
    etree.SubElement(entry, f"{{{_ATOM}}}title")
    etree.SubElement(entry, f"{{{_ATOM}}}updated").text = datetime.now(UTC).isoformat()
    etree.SubElement(etree.SubElement(entry, f"{{{_ATOM}}}author"), f"{{{_ATOM}}}name")
    etree.SubElement(entry, f"{{{_ATOM}}}id")
    content = etree.SubElement(entry, f"{{{_ATOM}}}content", type="application/xml")
    description = etree.SubElement(content, f"{{{_CONNECT}}}NamespaceDescription", nsmap=unprefixed(_CONNECT))
    etree.SubElement(description, f"{{{_CONNECT}}}Region").text = region
    return etree.tostring(entry, xml_declaration=True, encoding="utf-8", standalone=True)
