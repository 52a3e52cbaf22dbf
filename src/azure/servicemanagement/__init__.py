"""The classic Azure Service Management API, with the interface of `azure-servicemanagement-legacy` 0.20.8.

from azure.servicemanagement import *

sms = ServiceManagementService(subscription_id, certificate_path)
for location in sms.list_locations():
    print(location.name)
"""

from .constants import (
    AZURE_MANAGEMENT_CERTFILE,
    AZURE_MANAGEMENT_SUBSCRIPTIONID,
    MANAGEMENT_HOST,
    X_MS_VERSION,
    __author__,
    __version__,
)
from .models import *  # noqa: F403
from .publishsettings import get_certificate_from_publish_settings
from .schedulermanagementservice import SchedulerManagementService
from .servicebusmanagementservice import ServiceBusManagementService
from .servicemanagementclient import parse_response_for_async_op
from .servicemanagementservice import ServiceManagementService
from .sqldatabasemanagementservice import SqlDatabaseManagementService
from .websitemanagementservice import WebsiteManagementService
