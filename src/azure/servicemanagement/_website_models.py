"""Models of the website client."""

from __future__ import annotations

from typing import ClassVar

from reddog.wire import model

from ._plain_models import Collection, Model, attribute, child, many, texts


@model
class WebSpace(Model):
    """A webspace: web sites of one region."""

    availability_state: str = ""
    geo_location: str = ""
    geo_region: str = ""
    name: str = ""
    plan: str = ""
    status: str = ""
    subscription: str = ""


@model
class WebSpaces(Collection):
    """The webspaces of a subscription."""

    _items: ClassVar[str] = "web_space"
    web_space: list[WebSpace] = many(WebSpace)


@model
class HostNameSslState(Model):
    """The TLS state of one host name."""

    name: str = ""
    ssl_state: str = ""


@model
class HostNameSslStates(Collection):
    """TLS states of a site, by host name."""

    _items: ClassVar[str] = "host_name_ssl_state"
    host_name_ssl_state: list[HostNameSslState] = many(HostNameSslState)


@model
class Site(Model):
    """A web site."""

    admin_enabled: bool = False
    availability_state: str = ""
    compute_mode: str = ""
    enabled: bool = False
    enabled_host_names: list[str] | None = texts("string")
    host_name_ssl_states: HostNameSslStates | None = child(HostNameSslStates)
    host_names: list[str] | None = texts("string")
    last_modified_time_utc: str = ""
    name: str = ""
    repository_site_name: str = ""
    self_link: str = ""
    server_farm: str = ""
    site_mode: str = ""
    state: str = ""
    storage_recovery_default_state: str = ""
    usage_state: str = ""
    web_space: str = ""


@model
class Sites(Collection):
    """The web sites of a webspace."""

    _items: ClassVar[str] = "site"
    site: list[Site] = many(Site)


@model
class PublishProfile(Model):
    """One way to publish to a web site; its password is a secret."""

    profile_name: str | None = attribute("profileName")
    publish_method: str | None = attribute("publishMethod")
    publish_url: str | None = attribute("publishUrl")
    msdeploysite: str | None = attribute("msdeploySite")
    user_name: str | None = attribute("userName")
    user_pwd: str | None = attribute("userPWD")
    destination_app_url: str | None = attribute("destinationAppUrl")
    sql_server_db_connection_string: str | None = attribute("SQLServerDBConnectionString")
    my_sqldb_connection_string: str | None = attribute("mySQLDBConnectionString")
    hosting_provider_forum_link: str | None = attribute("hostingProviderForumLink")
    control_panel_link: str | None = attribute("controlPanelLink")


@model
class PublishData(Model):
    """How to publish to a web site."""

    publish_profiles: list[PublishProfile] = many(PublishProfile, "publishProfile")


@model
class MetricSample(Model):
    """One sample of a metric."""

    count: int = 0
    time_created: str = ""
    total: int = 0


@model
class Values(Collection):
    """Samples of a metric."""

    _items: ClassVar[str] = "metric_sample"
    metric_sample: list[MetricSample] = many(MetricSample)


@model
class Data(Model):
    """What was measured of one metric."""

    display_name: str = ""
    end_time: str = ""
    name: str = ""
    primary_aggregation_type: str = ""
    start_time: str = ""
    time_grain: str = ""
    unit: str = ""
    values: Values | None = child(Values)


@model
class MetricResponse(Model):
    """The answer about one metric."""

    code: str = ""
    data: Data | None = child(Data)
    message: str = ""


@model
class MetricResponses(Collection):
    """Answers about metrics of a site."""

    _items: ClassVar[str] = "metric_response"
    metric_response: list[MetricResponse] = many(MetricResponse)


@model
class MetricAvailability(Model):
    """How long samples of one length are kept."""

    retention: str = ""
    time_grain: str = ""


@model
class MetricAvailabilities(Collection):
    """How long samples of a metric are kept."""

    _items: ClassVar[str] = "metric_availability"
    metric_availability: list[MetricAvailability] = many(MetricAvailability, "MetricAvailabilily")


@model
class MetricDefinition(Model):
    """One metric of a site."""

    display_name: str = ""
    metric_availabilities: MetricAvailabilities | None = child(MetricAvailabilities)
    name: str = ""
    primary_aggregation_type: str = ""
    unit: str = ""


@model
class MetricDefinitions(Collection):
    """The metrics of a site."""

    _items: ClassVar[str] = "metric_definition"
    metric_definition: list[MetricDefinition] = many(MetricDefinition)
