"""Composition: from settings to a running cloud."""

from reddog.cloud._cloud import AZURE_DOMAIN, Cloud
from reddog.cloud._errors import CloudError
from reddog.cloud._machines import machine_console, make_driver, record_power_cycle

__all__ = ["AZURE_DOMAIN", "Cloud", "CloudError", "machine_console", "make_driver", "record_power_cycle"]
