"""The queue service: what it has, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping

from reddog.storage import _service
from reddog.storage._auth import Signable
from reddog.storage._errors import QueueNotFound, StorageError
from reddog.storage._front import Key, Operation, Service
from reddog.storage._request import StorageRequest
from reddog.storage.queues import _messages, _operations
from reddog.storage.queues._request import QueueRequest, check_name

_LAST_LEVEL = 3  # QUEUE/messages/MESSAGE


class QueueService(Service[QueueRequest]):
    """The queue service of all accounts."""

    def __init__(self) -> None:
        super().__init__("queue", _OPERATIONS)

    def read(self, parts: StorageRequest) -> QueueRequest:
        """See `Service.read`."""
        path = parts.path[:-1] if parts.path and not parts.path[-1] else parts.path
        if len(path) > _LAST_LEVEL or path[1:2] not in ([], ["messages"]):
            raise StorageError(
                "InvalidUri", 400, "There is nothing but QUEUE/messages/MESSAGE in an account."
            )
        if path:
            check_name(path[0])
        queue, _, message = (*path, "", "", "")[:_LAST_LEVEL]
        return QueueRequest(**{**vars(parts), "path": path}, queue=queue, message=message)

    def signable(self, request: QueueRequest) -> Signable:
        """See `Service.signable`."""

        def policies(name: str) -> Mapping[str, Mapping[str, str]]:
            try:
                return request.account.queues.look(lambda queues: queues.queue(name)).policies
            except QueueNotFound:
                return {}

        return Signable("queue", request.queue, policies=policies)


_OPERATIONS: dict[Key, Operation[QueueRequest]] = {
    ("service", "GET", "list", ""): Operation("List Queues", _operations.list_queues, "l", "s"),
    ("service", "GET", "properties", "service"): Operation(
        "Get Queue Service Properties", _service.get_properties, "r", "s"
    ),
    ("service", "PUT", "properties", "service"): Operation(
        "Set Queue Service Properties", _service.set_properties, "w", "s"
    ),
    ("service", "GET", "stats", "service"): Operation(
        "Get Queue Service Stats", _service.get_stats, "r", "s"
    ),
    ("queue", "PUT", "", ""): Operation("Create Queue", _operations.create, "cw", "c"),
    ("queue", "DELETE", "", ""): Operation("Delete Queue", _operations.delete, "d", "c"),
    ("queue", "GET", "metadata", ""): Operation("Get Queue Metadata", _operations.get, "r", "cl"),
    ("queue", "HEAD", "metadata", ""): Operation("Get Queue Metadata", _operations.get, "r", "cl"),
    ("queue", "PUT", "metadata", ""): Operation("Set Queue Metadata", _operations.set_metadata, "w", "c"),
    ("queue", "GET", "acl", ""): Operation("Get Queue ACL", _operations.get_acl, "", "c"),
    ("queue", "HEAD", "acl", ""): Operation("Get Queue ACL", _operations.get_acl, "", "c"),
    ("queue", "PUT", "acl", ""): Operation("Set Queue ACL", _operations.set_acl, "", "c"),
    ("messages", "POST", "", ""): Operation("Put Message", _messages.put, "a"),
    ("messages", "GET", "", ""): Operation("Get Messages", _messages.get, "p"),
    ("messages", "GET", "peekonly", ""): Operation("Peek Messages", _messages.peek, "r"),
    ("messages", "DELETE", "", ""): Operation("Clear Messages", _messages.clear, "d"),
    ("message", "DELETE", "", ""): Operation("Delete Message", _messages.delete, "p"),
    ("message", "PUT", "", ""): Operation("Update Message", _messages.update, "u"),
}
