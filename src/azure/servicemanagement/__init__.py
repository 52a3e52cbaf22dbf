"""The classic Azure Service Management API, with the interface of `azure-servicemanagement-legacy` 0.20.8.

from azure.servicemanagement import *

sms = ServiceManagementService(subscription_id, certificate_path)
for location in sms.list_locations():
    print(location.name)
"""

from . import (
    constants,
    models,
    publishsettings,
    schedulermanagementservice,
    servicebusmanagementservice,
    servicemanagementclient,
    servicemanagementservice,
    sqldatabasemanagementservice,
    websitemanagementservice,
)
from .constants import (
    AZURE_MANAGEMENT_CERTFILE,
    AZURE_MANAGEMENT_SUBSCRIPTIONID,
    MANAGEMENT_HOST,
    X_MS_VERSION,
)
from .constants import __author__ as __author__
from .constants import __version__ as __version__
from .models import *  # noqa: F403
from .publishsettings import get_certificate_from_publish_settings
from .schedulermanagementservice import SchedulerManagementService
from .servicebusmanagementservice import ServiceBusManagementService
from .servicemanagementclient import parse_response_for_async_op
from .servicemanagementservice import ServiceManagementService
from .sqldatabasemanagementservice import SqlDatabaseManagementService
from .websitemanagementservice import WebsiteManagementService

__all__ = [
    "AZURE_MANAGEMENT_CERTFILE",
    "AZURE_MANAGEMENT_SUBSCRIPTIONID",
    "MANAGEMENT_HOST",
    "X_MS_VERSION",
    "SchedulerManagementService",
    "ServiceBusManagementService",
    "ServiceManagementService",
    "SqlDatabaseManagementService",
    "WebsiteManagementService",
    "constants",
    "get_certificate_from_publish_settings",
    "models",
    "parse_response_for_async_op",
    "publishsettings",
    "schedulermanagementservice",
    "servicebusmanagementservice",
    "servicemanagementclient",
    "servicemanagementservice",
    "sqldatabasemanagementservice",
    "websitemanagementservice",
]
__all__ += models.__all__
