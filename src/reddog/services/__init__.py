"""The rules: one module per kind of resource. They validate, and change goals; reconcilers do the rest."""

from reddog.services._call import Call, Handler, Reply
from reddog.services._services import Services, ServicesSettings
from reddog.services._virtual_ips import blocks_of
from reddog.services.os_images import PlatformImage
from reddog.services.quotas import Quotas

__all__ = ["Call", "Handler", "PlatformImage", "Quotas", "Reply", "Services", "ServicesSettings", "blocks_of"]
