"""The client for hosted services, virtual machines, disks, images, storage accounts and the subscription."""

from __future__ import annotations

from typing import Any

from ._deployments import _DeploymentMethods
from ._disks import _DiskMethods
from ._endpoint import DEFAULT_HOST
from ._hosted_services import _HostedServiceMethods
from ._images import _ImageMethods
from ._networks import _NetworkMethods
from ._storage_accounts import _StorageAccountMethods
from ._subscriptions import _SubscriptionMethods
from ._virtual_machines import _VirtualMachineMethods
from .constants import DEFAULT_HTTP_TIMEOUT


class ServiceManagementService(
    _SubscriptionMethods,
    _StorageAccountMethods,
    _HostedServiceMethods,
    _DeploymentMethods,
    _VirtualMachineMethods,
    _ImageMethods,
    _DiskMethods,
    _NetworkMethods,
):
    """Manages one subscription of the classic cloud, as `azure-servicemanagement-legacy` 0.20.8 does.

    Every method sends one request.  A method that starts something returns an AsynchronousOperationResult
    whose `request_id` goes to `get_operation_status` or `wait_for_operation_status`.  All raise
    `azure.common.AzureHttpError` (404: AzureMissingResourceHttpError, 409: AzureConflictHttpError) with
    `status_code` for an answer of 300 and more, ValueError for a missing argument, and requests' exceptions
    when there is no answer.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        cert_file: str | None = None,
        host: str = DEFAULT_HOST,
        request_session: Any = None,
        timeout: float | None = DEFAULT_HTTP_TIMEOUT,
    ) -> None:
        """Make a client.

        subscription_id: the subscription to manage; default: AZURE_MANAGEMENT_SUBSCRIPTIONID.
        cert_file: path of the .pem file with the management certificate and its key; default:
            AZURE_MANAGEMENT_CERTFILE.  Not used when `request_session` is given.
        host: "host" or "host:port".  Without one: AZURE_MANAGEMENT_HOST, else the cloud that `reddog up` left
            in the profile (whose subscription and certificate stand in for missing ones), else the public
            host.
        request_session: a requests session (or compatible) that authenticates by itself.
        timeout: seconds to wait for a connection and for each read.

        Raises ValueError when subscription or certificate is missing everywhere, or the profile is damaged.
        """
        super().__init__(subscription_id, cert_file, host, request_session, timeout)
