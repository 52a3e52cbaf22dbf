"""Models of the Service Bus client."""

from __future__ import annotations

from typing import ClassVar

from reddog.wire import model

from ._plain_models import Collection, Model, child, many, texts


@model
class ServiceBusRegion(Model):
    """A region where Service Bus namespaces can be made."""

    code: str = ""
    fullname: str = ""


@model
class ServiceBusNamespace(Model):
    """A Service Bus namespace with its endpoints and key."""

    name: str = ""
    region: str = ""
    default_key: str = ""
    status: str = ""
    created_at: str = ""
    acs_management_endpoint: str = ""
    servicebus_endpoint: str = ""
    connection_string: str = ""
    subscription_id: str = ""
    enabled: bool = False


@model
class MetricProperties(Model):
    """A metric that can be asked for."""

    name: str = ""
    primary_aggregation: str = ""
    unit: str = ""
    display_name: str = ""


@model
class MetricValues(Model):
    """Values of a metric at one time."""

    timestamp: str = ""
    min: int = 0
    max: int = 0
    average: int = 0
    total: int = 0


@model
class MetricRollups(Model):
    """A period over which a metric is summed up."""

    time_grain: str = ""
    retention: str = ""


@model
class AuthorizationRule(Model):
    """One right to use an entity; its keys are secrets."""

    claim_type: str = ""
    claim_value: str = ""
    rights: list[str] | None = texts("AccessRights")
    created_time: str = ""
    modified_time: str = ""
    key_name: str = ""
    primary_key: str = ""
    secondary_keu: str = ""


@model
class AuthorizationRules(Collection):
    """Who may use an entity."""

    _items: ClassVar[str] = "authorization_rule"
    authorization_rule: list[AuthorizationRule] = many(AuthorizationRule)


@model
class CountDetails(Model):
    """Messages of a queue or topic, by state."""

    active_message_count: int = 0
    dead_letter_message_count: int = 0
    scheduled_message_count: int = 0
    transfer_message_count: int = 0
    transfer_dead_letter_message_count: int = 0


@model
class QueueDescription(Model):
    """A queue of a namespace."""

    lock_duration: str = ""
    max_size_in_megabytes: int = 0
    requires_duplicate_detection: bool = False
    requires_session: bool = False
    default_message_time_to_live: str = ""
    dead_lettering_on_message_expiration: bool = False
    duplicate_detection_history_time_window: str = ""
    max_delivery_count: int = 0
    enable_batched_operations: bool = False
    size_in_bytes: int = 0
    message_count: int = 0
    is_anonymous_accessible: bool = False
    authorization_rules: AuthorizationRules | None = child(AuthorizationRules)
    status: str = ""
    created_at: str = ""
    updated_at: str = ""
    accessed_at: str = ""
    support_ordering: bool = False
    auto_delete_on_idle: str = ""
    count_details: CountDetails | None = child(CountDetails)
    entity_availability_status: str = ""


@model
class TopicDescription(Model):
    """A topic of a namespace."""

    default_message_time_to_live: str = ""
    max_size_in_megabytes: int = 0
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: str = ""
    enable_batched_operations: bool = False
    size_in_bytes: int = 0
    filtering_messages_before_publishing: bool = False
    is_anonymous_accessible: bool = False
    authorization_rules: AuthorizationRules | None = child(AuthorizationRules)
    status: str = ""
    created_at: str = ""
    updated_at: str = ""
    accessed_at: str = ""
    support_ordering: bool = False
    count_details: CountDetails | None = child(CountDetails)
    subscription_count: int = 0


@model
class NotificationHubDescription(Model):
    """A notification hub of a namespace."""

    registration_ttl: str = ""
    authorization_rules: AuthorizationRules | None = child(AuthorizationRules)


@model
class RelayDescription(Model):
    """A relay of a namespace."""

    path: str = ""
    listener_type: str = ""
    listener_count: int = 0
    created_at: str = ""
    updated_at: str = ""
