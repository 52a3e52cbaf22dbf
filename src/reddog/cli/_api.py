"""The cloud as its own commands see it: through the API, like every other client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.sax.saxutils import unescape

from reddog.cli._output import CommandError, ExitCode
from reddog.cli._running import RunningCloud

if TYPE_CHECKING:
    from azure.servicemanagement import ServiceManagementService


@contextmanager
def connect(running: RunningCloud) -> Iterator[ServiceManagementService]:
    """A client of the running cloud; what the service refuses becomes a command's error."""
    import requests  # slow to import, and most commands need none of it
    from azure.common import AzureException, AzureMissingResourceHttpError

    from azure.servicemanagement import ServiceManagementService

    summary = running.summary
    with requests.Session() as session:
        session.cert = str(summary["certificate"])
        session.verify = str(summary["ca_certificate"])
        session.trust_env = False
        try:
            yield ServiceManagementService(
                summary["subscription_id"], host=summary["management_host"], request_session=session
            )
        except AzureMissingResourceHttpError as error:
            raise CommandError(_message(error), exit_code=ExitCode.NOT_FOUND) from None
        except (AzureException, requests.RequestException) as error:
            raise CommandError(
                _message(error), "See `reddog status` and the log in the data directory."
            ) from None


def _message(error: Exception) -> str:
    """What the service said, without the XML around it."""
    found = re.search(r"<Message>(.*?)</Message>", str(error), re.DOTALL)
    return unescape(found[1]) if found else str(error)
