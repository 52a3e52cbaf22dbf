"""What all clients of the management service share: sessions, filters, raw requests, waiting."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Self, TypeVar

import requests

from reddog import wire

from ._common_error import (
    _ERROR_ASYNC_OP_FAILURE,
    _ERROR_ASYNC_OP_TIMEOUT,
    _general_error_handler,
    _validate_not_none,
)
from ._endpoint import DEFAULT_HOST, resolve
from ._http import HTTPError, HTTPRequest, HTTPResponse
from ._http.httpclient import _HTTPClient, quoted
from ._path import expand
from ._tls import prepare_session
from .constants import (
    _USER_AGENT_STRING,
    AZURE_MANAGEMENT_CERTFILE,
    AZURE_MANAGEMENT_SUBSCRIPTIONID,
    DEFAULT_HTTP_TIMEOUT,
    X_MS_VERSION,
)
from .models import AsynchronousOperationResult, AzureAsyncOperationHttpError, Operation

T = TypeVar("T")
Send = Callable[[HTTPRequest], HTTPResponse]
Filter = Callable[[HTTPRequest, Send], HTTPResponse]
Query = Iterable[tuple[str, Any]]


def wait_for_operation_status_progress_default_callback(elapsed: float) -> None:
    """Print a dot; `elapsed`, in seconds, is not used."""
    sys.stdout.write(".")
    sys.stdout.flush()


def wait_for_operation_status_success_default_callback(elapsed: float) -> None:
    """End the line of dots; `elapsed`, in seconds, is not used."""
    sys.stdout.write("\n")
    sys.stdout.flush()


def wait_for_operation_status_failure_default_callback(
    elapsed: float, ex: AzureAsyncOperationHttpError
) -> NoReturn:
    """End the line of dots, print the operation's attributes, and raise `ex`; `elapsed`, in seconds, is not used."""
    sys.stdout.write("\n")
    sys.stdout.flush()
    print(vars(ex.result))
    raise ex


class _ServiceManagementClient:
    """Base of the clients.

    subscription_id: the subscription to manage; default: AZURE_MANAGEMENT_SUBSCRIPTIONID.
    cert_file: path of the .pem file with the management certificate and its key; default:
        AZURE_MANAGEMENT_CERTFILE. Not used when `request_session` is given.
    host: "host" or "host:port".  Without one: AZURE_MANAGEMENT_HOST, else the cloud that `reddog up` left in
        the profile (whose subscription and certificate stand in for missing ones), else the public host.
    request_session: a requests session (or compatible) that authenticates by itself.
    timeout: seconds to wait for a connection and for each read.

    Raises ValueError when subscription or certificate is missing everywhere, or the profile is damaged.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        cert_file: str | None = None,
        host: str = DEFAULT_HOST,
        request_session: Any = None,
        timeout: float | None = DEFAULT_HTTP_TIMEOUT,
    ) -> None:
        endpoint = resolve(host)
        profile = endpoint.profile
        self.requestid = None
        self.host = endpoint.host
        self.x_ms_version = X_MS_VERSION
        self.content_type = "application/atom+xml;type=entry;charset=utf-8"
        self.subscription_id: str = (
            subscription_id
            or os.environ.get(AZURE_MANAGEMENT_SUBSCRIPTIONID)
            or (profile.subscription_id if profile else "")
        )
        self.cert_file = cert_file
        if not cert_file and request_session is None:
            self.cert_file = os.environ.get(AZURE_MANAGEMENT_CERTFILE) or (
                profile.certificate if profile else None
            )
        # On a session of ours the adapter also serves redirects to other hosts.
        prefix = "https://" if request_session is None else f"https://{self.host}/"
        self.request_session = self._new_session() if request_session is None else request_session
        prepare_session(self.request_session, prefix, endpoint.ca_files)
        self._httpclient = _HTTPClient(
            service_instance=self,
            cert_file=self.cert_file,
            request_session=self.request_session,
            timeout=timeout,
            user_agent=_USER_AGENT_STRING,
        )
        self._filter: Send = self._httpclient.perform_request

    def _new_session(self) -> requests.Session:
        if not self.cert_file or not self.subscription_id:
            raise ValueError("You need to provide subscription id and certificate file")
        session = requests.Session()
        session.cert = self.cert_file
        return session

    @staticmethod
    def should_use_requests(cert_file: str | None) -> bool:
        """Whether `cert_file` is a file, not a place in Windows' certificate store; always true elsewhere."""
        return not (sys.platform.startswith("win") and cert_file and not os.path.isfile(cert_file))

    def with_filter(self, filter: Filter) -> Self:
        """Return a client like this one whose requests pass through `filter`.

        filter: called with the HTTPRequest and the next step; it returns what the next step returned, or
            another HTTPResponse.  The next step raises HTTPError for a status of 300 and more.
        """
        result = type(self)(
            self.subscription_id, self.cert_file, self.host, self.request_session, self._httpclient.timeout
        )
        result._httpclient = self._httpclient  # proxy and timeout stay common to both
        following = self._filter
        result._filter = lambda request: filter(request, following)
        return result

    def set_proxy(
        self, host: str, port: int | str, user: str | None = None, password: str | None = None
    ) -> None:
        """Send all further requests through an HTTP proxy (CONNECT).

        host: name or address of the proxy.  port: its port.  user, password: for basic authentication at the
            proxy.
        """
        self._httpclient.set_proxy(host, port, user, password)

    @property
    def timeout(self) -> float | None:
        """Seconds to wait for a connection and for each read."""
        return self._httpclient.timeout

    @timeout.setter
    def timeout(self, value: float | None) -> None:
        self._httpclient.timeout = value

    # -- Raw requests -------------------------------------------------------------------------------------

    def perform_get(self, path: str, x_ms_version: str | None = None) -> HTTPResponse:
        """Send a GET.

        path: path and query, not quoted, such as "/<subscription-id>/services/hostedservices".
        x_ms_version: the service's version to ask for; default: `x_ms_version` of this client.

        Returns the answer.  Raises AzureHttpError for a status of 300 and more.
        """
        return self._perform_raw("GET", path, b"", x_ms_version)

    def perform_put(self, path: str, body: Any, x_ms_version: str | None = None) -> HTTPResponse:
        """Send a PUT with `body` (text, bytes, None); see `perform_get`."""
        return self._perform_raw("PUT", path, _get_request_body(body), x_ms_version)

    def perform_post(self, path: str, body: Any, x_ms_version: str | None = None) -> HTTPResponse:
        """Send a POST with `body` (text, bytes, None); see `perform_get`."""
        return self._perform_raw("POST", path, _get_request_body(body), x_ms_version)

    def perform_delete(self, path: str, x_ms_version: str | None = None) -> HTTPResponse:
        """Send a DELETE; see `perform_get`."""
        return self._perform_raw("DELETE", path, b"", x_ms_version)

    def _perform_raw(self, method: str, path: str, body: bytes, x_ms_version: str | None) -> HTTPResponse:
        request = self._new_request(method, body, x_ms_version)
        request.path = path
        self._httpclient._update_request_uri_query(request)
        return self._perform_request(request)

    def _new_request(self, method: str, body: bytes, x_ms_version: str | None) -> HTTPRequest:
        request = HTTPRequest()
        request.method = method
        request.host = self.host
        request.body = body
        if method != "GET":
            request.headers.append(("Content-Length", str(len(body))))
        request.headers.append(("x-ms-version", x_ms_version or self.x_ms_version))
        if method != "GET":
            request.headers.append(("Content-Type", self.content_type))
        return request

    def _perform_request(self, request: HTTPRequest) -> HTTPResponse:
        try:
            return self._filter(request)
        except HTTPError as error:
            _general_error_handler(error)

    # -- Operations of the table --------------------------------------------------------------------------

    def _perform(
        self,
        name: str,
        params: Mapping[str, object] | None = None,
        body: wire.WireType | None = None,
        query: Query = (),
        x_ms_version: str | None = None,
    ) -> HTTPResponse:
        """Perform the operation `name` of the operation table.

        params: values of the path's placeholders.  query: values of the query's optional parts; None leaves
            one out.
        """
        operation = wire.OPERATIONS[name]
        data = b"" if body is None else wire.encode(body)
        request = self._new_request(operation.method, data, x_ms_version)
        given = {"subscription-id": self.subscription_id, **(params or {})}
        path, request.query = expand(operation.uri, given, dict(query))
        request.path = quoted(path, request.query)
        return self._perform_request(request)

    def _get(
        self,
        response_type: type[T],
        name: str,
        params: Mapping[str, object] | None = None,
        body: wire.WireType | None = None,
        query: Query = (),
    ) -> T:
        """Perform an operation and decode its answer."""
        return wire.decode(response_type, self._perform(name, params, body, query).body or b"")

    def _start(
        self,
        name: str,
        params: Mapping[str, object] | None = None,
        body: wire.WireType | None = None,
        query: Query = (),
        x_ms_version: str | None = None,
    ) -> AsynchronousOperationResult:
        """Perform an operation and return its request id."""
        return _async_result(self._perform(name, params, body, query, x_ms_version))

    # -- Operations that run on ---------------------------------------------------------------------------

    wait_for_operation_status_progress_default_callback = staticmethod(
        wait_for_operation_status_progress_default_callback
    )
    wait_for_operation_status_success_default_callback = staticmethod(
        wait_for_operation_status_success_default_callback
    )
    wait_for_operation_status_failure_default_callback = staticmethod(
        wait_for_operation_status_failure_default_callback
    )

    def wait_for_operation_status(
        self,
        request_id: str | None,
        wait_for_status: str = "Succeeded",
        timeout: float = 30,
        sleep_interval: float = 5,
        progress_callback: Callable[[float], object]
        | None = wait_for_operation_status_progress_default_callback,
        success_callback: Callable[[float], object]
        | None = wait_for_operation_status_success_default_callback,
        failure_callback: Callable[[float, AzureAsyncOperationHttpError], object]
        | None = wait_for_operation_status_failure_default_callback,
    ) -> Operation:
        """Poll an operation until it has `wait_for_status`, has failed, or the time is over.

        request_id: of the request that started it.  wait_for_status: InProgress, Succeeded or Failed.
        timeout: seconds in all.  sleep_interval: seconds between two polls.
        progress_callback(elapsed): after each poll; the default prints a dot.
        success_callback(elapsed): at the end; the default ends the line.
        failure_callback(elapsed, ex): on failure and on time-out; the default prints the operation and raises
            `ex`, an AzureAsyncOperationHttpError with the operation as `result`.  None for any callback: none
            is called.
        """
        start = time.time()
        for _ in range(int(timeout // sleep_interval + 1)):
            result = self.get_operation_status(request_id)
            elapsed = time.time() - start
            if result.status == wait_for_status:
                if success_callback is not None:
                    success_callback(elapsed)
                return result
            if result.error:
                return _failed(_ERROR_ASYNC_OP_FAILURE, result, elapsed, failure_callback)
            if progress_callback is not None:
                progress_callback(elapsed)
            time.sleep(sleep_interval)
        return _failed(_ERROR_ASYNC_OP_TIMEOUT, result, elapsed, failure_callback)

    def get_operation_status(self, request_id: str | None) -> Operation:
        """Return how an operation stands (Get Operation Status).

        request_id: of the request that started it.

        Returns an Operation: `status` is InProgress, Succeeded or Failed; `http_status_code` and `error`
        follow.

        Raises AzureMissingResourceHttpError when there is no such operation.
        """
        _validate_not_none("request_id", request_id)
        return self._get(Operation, "Get Operation Status", {"request-id": request_id})


def _failed(
    message: str,
    result: Operation,
    elapsed: float,
    callback: Callable[[float, AzureAsyncOperationHttpError], object] | None,
) -> Operation:
    if callback is not None:
        callback(elapsed, AzureAsyncOperationHttpError(message, result.status, result))
    return result


def _get_request_body(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode("utf-8")


def _async_result(response: HTTPResponse) -> AsynchronousOperationResult:
    result = AsynchronousOperationResult()
    for name, value in response.headers or ():
        if name.lower() == "x-ms-request-id":
            result.request_id = value
    return result


def parse_response_for_async_op(response: HTTPResponse | None) -> AsynchronousOperationResult | None:
    """Return the request id of an answer, to be given to `get_operation_status`; None for no answer."""
    return None if response is None else _async_result(response)
