"""Names and defaults that programs written against `azure-servicemanagement-legacy` 0.20.8 import."""

__author__ = "The reddog authors"
__version__ = "0.20.8"
"""The release of `azure-servicemanagement-legacy` whose interface this package has."""

_USER_AGENT_STRING = "pyazure/" + __version__

AZURE_MANAGEMENT_CERTFILE = "AZURE_MANAGEMENT_CERTFILE"
"""Environment variable with the path of the management certificate."""

AZURE_MANAGEMENT_SUBSCRIPTIONID = "AZURE_MANAGEMENT_SUBSCRIPTIONID"
"""Environment variable with the subscription id."""

AZURE_MANAGEMENT_HOST = "AZURE_MANAGEMENT_HOST"
"""Environment variable with the management host ("host" or "host:port") used when no host is given."""

AZURE_MANAGEMENT_CA = "AZURE_MANAGEMENT_CA"
"""Environment variable with the path of a further certificate authority (PEM) to trust."""

MANAGEMENT_HOST = "management.core.windows.net"
"""Host of the public service."""

DEFAULT_HTTP_TIMEOUT = 65
"""Seconds to wait for a connection and for each read."""

X_MS_VERSION = "2014-10-01"
"""Version of the service that requests ask for unless the operation needs a later one."""
