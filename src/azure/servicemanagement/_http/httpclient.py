"""Sends requests through azure-core's pipeline and turns answers into what filters see."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import (
    DistributedTracingPolicy,
    HttpLoggingPolicy,
    RedirectPolicy,
    SansIOHTTPPolicy,
)
from azure.core.pipeline.transport import HttpRequest as CoreRequest
from azure.core.pipeline.transport import HttpResponse as CoreResponse
from azure.core.pipeline.transport import RequestsTransport

from .._tls import explain
from . import HTTPError, HTTPRequest, HTTPResponse

_SAFE = "/()$=',"
_MAX_REDIRECTS = 10
_LOGGER = logging.getLogger("azure.servicemanagement")


class _StayEncrypted(SansIOHTTPPolicy[CoreRequest, CoreResponse]):
    """Refuses a redirect from https to anything else: the body may hold passwords."""

    def on_response(self, request: Any, response: Any) -> None:
        location = response.http_response.headers.get("location", "")
        secure = urlsplit(request.http_request.url).scheme == "https"
        if response.http_response.status_code == 307 and secure and urlsplit(location).scheme == "http":
            raise requests.exceptions.InvalidURL(
                f"The service redirects to {location}, which is not encrypted; not followed."
            )


class _HTTPClient:
    """Performs HTTPRequests over one requests session.

    cert_file: only kept for reading; the session holds the certificate.  protocol: "https" or "http".
    timeout: seconds, for connecting and for each read.
    """

    def __init__(
        self,
        service_instance: object,
        cert_file: str | None = None,
        protocol: str = "https",
        request_session: Any = None,
        timeout: float | None = 65,
        user_agent: str = "",
    ) -> None:
        self.service_instance = service_instance
        self.cert_file = cert_file
        self.protocol = protocol
        self.proxy_host: str | None = None
        self.proxy_port: int | str | None = None
        self.proxy_user: str | None = None
        self.proxy_password: str | None = None
        self.request_session = request_session
        self.timeout = timeout
        self.user_agent = user_agent
        policies: list[Any] = [
            RedirectPolicy(redirect_max=_MAX_REDIRECTS),
            _StayEncrypted(),
            DistributedTracingPolicy(),
            HttpLoggingPolicy(logger=_LOGGER),  # headers and queries redacted, bodies never
        ]
        transport = RequestsTransport(session=request_session, session_owner=False)
        self._pipeline: Pipeline[CoreRequest, CoreResponse] = Pipeline(transport, policies)

    def set_proxy(
        self, host: str, port: int | str, user: str | None = None, password: str | None = None
    ) -> None:
        """Tunnel through the HTTP proxy at host:port, with basic authentication when a user is given."""
        self.proxy_host = host
        self.proxy_port = port
        self.proxy_user = user
        self.proxy_password = password

    def get_uri(self, request: HTTPRequest) -> str:
        """Return the URL of the request."""
        protocol = (request.protocol_override or self.protocol).lower()
        return f"{protocol}://{request.host}{request.path}"

    def perform_request(self, request: HTTPRequest) -> HTTPResponse:
        """Send the request, following redirects with the same method and body.

        Raises HTTPError for a status of 300 and more, and requests' exceptions when there is no answer.
        """
        response = self._run(request)
        headers = [(name.lower(), value) for name, value in response.headers.items()]
        body = response.body() or None
        if response.status_code >= 300:
            raise HTTPError(response.status_code, response.reason or "", headers, body)
        return HTTPResponse(response.status_code, response.reason or "", headers, body)

    def _run(self, request: HTTPRequest) -> CoreResponse:
        headers = {name: value for name, value in request.headers if value}
        headers["User-Agent"] = self.user_agent
        core_request = CoreRequest(request.method, self.get_uri(request), headers, data=request.body or None)
        try:
            return self._pipeline.run(
                core_request,
                connection_timeout=self.timeout,
                read_timeout=self.timeout,
                connection_verify=None,  # the session decides
                proxies=self._proxies(),
            ).http_response
        except AzureError as error:
            raise self._explained(error, request.host) from error

    def _explained(self, error: AzureError, host: str) -> requests.exceptions.RequestException:
        """Return the requests exception behind `error`, as programs expect it, with what to do next."""
        cause = error.inner_exception
        hint = explain(cause or error, host, self.timeout)
        text = f"{cause or error}\n{hint}" if hint else str(cause or error)
        if isinstance(cause, requests.exceptions.RequestException):
            return type(cause)(text, request=cause.request, response=cause.response)
        return requests.exceptions.ConnectionError(text)

    def _proxies(self) -> dict[str, str] | None:
        if not self.proxy_host:
            return None
        user = ""
        if self.proxy_user and self.proxy_password:
            user = f"{quote(self.proxy_user, safe='')}:{quote(self.proxy_password, safe='')}@"
        url = f"http://{user}{self.proxy_host}:{self.proxy_port}"
        return {"http": url, "https": url}

    def _update_request_uri_query(self, request: HTTPRequest) -> tuple[str, list[tuple[str, str]]]:
        """Split the query off the request's path, quote both, and return the quoted path and the query."""
        path, _, query_string = request.path.partition("?")
        pairs = (item.partition("=") for item in query_string.split("&") if "=" in item)
        request.query.extend((name, value) for name, _, value in pairs)
        request.path = quoted(path, request.query)
        return request.path, request.query


def quoted(path: str, query: list[tuple[str, str]]) -> str:
    """Return path and query as they go on the wire."""
    text = quote(path, _SAFE)
    if query:
        text += "?" + "&".join(f"{name}={quote(str(value), _SAFE)}" for name, value in query)
    return text
