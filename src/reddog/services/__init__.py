"""The rules: one module per kind of resource. They validate, and change goals; reconcilers do the rest."""

from reddog.services._call import Call, Handler, Reply
from reddog.services._services import Services, ServicesSettings
from reddog.services._virtual_ips import blocks_of
from reddog.services.os_images import PlatformImage

__all__ = ["Call", "Handler", "PlatformImage", "Reply", "Services", "ServicesSettings", "blocks_of"]
