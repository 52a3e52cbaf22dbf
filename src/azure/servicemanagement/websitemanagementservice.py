"""The client for web sites and webspaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lxml import etree

from ._endpoint import DEFAULT_HOST
from ._plain_models import WINDOWS_AZURE, append, decode, document, unprefixed
from ._website_models import MetricDefinitions, MetricResponses, PublishData, Site, Sites, WebSpace, WebSpaces
from .constants import DEFAULT_HTTP_TIMEOUT
from .models import AsynchronousOperationResult
from .servicemanagementclient import _async_result, _ServiceManagementClient

_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"


class WebsiteManagementService(_ServiceManagementClient):
    """Manages the web sites of one subscription.

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

    def list_webspaces(self) -> WebSpaces:
        """List the webspaces of the subscription."""
        path = f"/{self.subscription_id}/services/webspaces"
        return decode(WebSpaces, self.perform_get(path).body)

    def get_webspace(self, webspace_name: str) -> WebSpace:
        """Return one webspace.

        webspace_name: its name, such as "eastuswebspace".
        """
        return decode(WebSpace, self.perform_get(self._webspace(webspace_name)).body)

    def list_sites(self, webspace_name: str) -> Sites:
        """List the web sites of a webspace.

        webspace_name: the webspace.
        """
        return decode(Sites, self.perform_get(self._webspace(webspace_name) + "/sites").body)

    def get_site(self, webspace_name: str, website_name: str) -> Site:
        """Return one web site.

        webspace_name, website_name: the site.
        """
        return decode(Site, self.perform_get(self._site(webspace_name, website_name)).body)

    def create_site(
        self,
        webspace_name: str,
        website_name: str,
        geo_region: str,
        host_names: Iterable[str],
        plan: str = "VirtualDedicatedPlan",
        compute_mode: str = "Shared",
        server_farm: str | None = None,
        site_mode: str | None = None,
    ) -> Site:
        """Make a web site and return it.

        webspace_name: its webspace, made if it is not there.  website_name: its name.  geo_region: such as
            "East US".
        host_names: where it is reached.  plan: of the webspace.  compute_mode: Shared or Dedicated.
        server_farm: name of its servers when dedicated.  site_mode: Limited (free) or Basic (shared).
        """
        top = etree.Element(f"{{{WINDOWS_AZURE}}}Site", nsmap=unprefixed(WINDOWS_AZURE))
        names = etree.SubElement(top, f"{{{WINDOWS_AZURE}}}HostNames", nsmap={"a": _ARRAYS})
        for host_name in host_names:
            etree.SubElement(names, f"{{{_ARRAYS}}}string").text = host_name
        mode = [("ComputeMode", compute_mode), ("ServerFarm", server_farm), ("SiteMode", site_mode)]
        append(top, [("Name", website_name), *mode])
        space = etree.SubElement(top, f"{{{WINDOWS_AZURE}}}WebSpaceToCreate")
        append(space, [("GeoRegion", geo_region), ("Name", webspace_name), ("Plan", plan)])
        path = self._webspace(webspace_name) + "/sites"
        return decode(Site, self.perform_post(path, etree.tostring(top)).body)

    def delete_site(
        self,
        webspace_name: str,
        website_name: str,
        delete_empty_server_farm: bool = False,
        delete_metrics: bool = False,
    ) -> None:
        """Delete a web site.

        webspace_name, website_name: the site.  delete_empty_server_farm: also its servers, if it was their
            last.
        delete_metrics: also what was measured of it.
        """
        wanted = {"deleteEmptyServerFarm": delete_empty_server_farm, "deleteMetrics": delete_metrics}
        query = "&".join(f"{name}=true" for name, value in wanted.items() if value)
        self.perform_delete(self._site(webspace_name, website_name) + (f"?{query}" if query else ""))

    def update_site(
        self, webspace_name: str, website_name: str, state: str | None = None
    ) -> AsynchronousOperationResult:
        """Start or stop a web site.

        webspace_name, website_name: the site.  state: Running or Stopped.

        Returns the request id.
        """
        body = document("Site", WINDOWS_AZURE, [("State", state)])
        return _async_result(self.perform_put(self._site(webspace_name, website_name), body))

    def restart_site(self, webspace_name: str, website_name: str) -> AsynchronousOperationResult:
        """Restart a web site.

        webspace_name, website_name: the site.

        Returns the request id.
        """
        return _async_result(self.perform_post(self._site(webspace_name, website_name) + "/restart/", None))

    def get_historical_usage_metrics(
        self,
        webspace_name: str,
        website_name: str,
        metrics: Iterable[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        time_grain: str | None = None,
    ) -> MetricResponses:
        """Return what was measured of a web site.

        webspace_name, website_name: the site.  metrics: names from `get_metric_definitions`; default: all.
        start_time, end_time: the period, such as "2015-06-01T00:00:00.000Z".  time_grain: such as "PT1H".
        """
        names = ",".join(metrics) if metrics else None
        wanted = {"names": names, "StartTime": start_time, "EndTime": end_time, "TimeGrain": time_grain}
        query = "&".join(f"{name}={value}" for name, value in wanted.items() if value)
        path = self._site(webspace_name, website_name) + "/metrics/" + (f"?{query}" if query else "")
        return decode(MetricResponses, self.perform_get(path).body)

    def get_metric_definitions(self, webspace_name: str, website_name: str) -> MetricDefinitions:
        """Return what is measured of a web site.

        webspace_name, website_name: the site.
        """
        path = self._site(webspace_name, website_name) + "/metricdefinitions/"
        return decode(MetricDefinitions, self.perform_get(path).body)

    def get_publish_profile_xml(self, webspace_name: str, website_name: str) -> str:
        """Return how to publish to a web site, as XML text; it holds passwords.

        webspace_name, website_name: the site.
        """
        path = self._site(webspace_name, website_name) + "/publishxml/"
        return (self.perform_get(path).body or b"").decode("utf-8")

    def get_publish_profile(self, webspace_name: str, website_name: str) -> PublishData:
        """Return how to publish to a web site; it holds passwords.

        webspace_name, website_name: the site.
        """
        path = self._site(webspace_name, website_name) + "/publishxml/"
        return decode(PublishData, self.perform_get(path).body)

    def _webspace(self, webspace_name: str) -> str:
        return f"/{self.subscription_id}/services/webspaces//{webspace_name}"

    def _site(self, webspace_name: str, website_name: str) -> str:
        return f"{self._webspace(webspace_name)}/sites/{website_name}"
