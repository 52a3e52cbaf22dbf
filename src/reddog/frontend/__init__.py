"""The management endpoint: mutual TLS, authorization, versions, routing, XML in and out."""

from reddog.frontend._access import Access, Subject
from reddog.frontend._dispatch import Dispatcher
from reddog.frontend._server import FrontEnd

__all__ = ["Access", "Dispatcher", "FrontEnd", "Subject"]
