"""The durable store: resources and operations in one database."""

from reddog.store._errors import StoreError
from reddog.store._types import OperationRecord, Reader, Ref, Resource, Status

__all__ = ["OperationRecord", "Reader", "Ref", "Resource", "Status", "StoreError"]
