"""The durable store: resources and operations in one database."""

from reddog.store._database import Database
from reddog.store._errors import DiskFull, StoreError
from reddog.store._session import ReadSession, WriteSession
from reddog.store._store import Store
from reddog.store._types import OperationRecord, Reader, Ref, Resource, Status
from reddog.store._writer import Outcome

__all__ = [
    "Database",
    "DiskFull",
    "OperationRecord",
    "Outcome",
    "ReadSession",
    "Reader",
    "Ref",
    "Resource",
    "Status",
    "Store",
    "StoreError",
    "WriteSession",
]
