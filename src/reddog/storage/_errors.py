"""The storage service's errors: code and status as its clients know them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape


class StorageError(Exception):
    """A refusal, as the storage services tell it.

    Args:
        code: The `x-ms-error-code`.
        status: The HTTP status.
        message: One sentence for people, without secrets.
        headers: More headers of the answer.
        details: More elements of the `Error` document.
    """

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.details = details or {}
        self.code = code
        self.status = status
        self.message = message

    def to_xml(self) -> bytes:
        """The `Error` document."""
        elements = {"Code": self.code, "Message": self.message, **self.details}
        body = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
        return f'<?xml version="1.0" encoding="utf-8"?><Error>{body}</Error>'.encode("utf-8", "replace")


class BlobUrlError(StorageError):
    """A text is not the URL of a blob in this cloud."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidUri", 400, message)


class AccountNotFound(StorageError):  # noqa: N818 - named as the service's codes are
    """There is no such storage account."""

    def __init__(self, name: str) -> None:
        super().__init__("ResourceNotFound", 404, f"There is no storage account {name!r} in this cloud.")
        self.name = name


class AccountDamaged(Exception):  # noqa: N818
    """The files of a storage account cannot be used. message: which and why. remedy: what to do next."""

    def __init__(self, directory: Path, reason: Exception) -> None:
        self.message = f"The storage account in {directory} cannot be used: {reason}."
        self.remedy = (
            "Restore that directory from a backup; or move it away, start the cloud, and delete the account, which "
            "is empty then."
        )
        super().__init__(f"{self.message} {self.remedy}")


class ContainerNotFound(StorageError):  # noqa: N818
    """There is no such container."""

    def __init__(self) -> None:
        super().__init__("ContainerNotFound", 404, "The specified container does not exist.")


class BlobNotFound(StorageError):  # noqa: N818
    """There is no such blob."""

    def __init__(self) -> None:
        super().__init__("BlobNotFound", 404, "The specified blob does not exist.")


class BlobExists(StorageError):  # noqa: N818
    """There is such a blob already."""

    def __init__(self) -> None:
        super().__init__("BlobAlreadyExists", 409, "The specified blob already exists.")


class QueueNotFound(StorageError):  # noqa: N818
    """There is no such queue."""

    def __init__(self) -> None:
        super().__init__("QueueNotFound", 404, "The specified queue does not exist.")


class MessageNotFound(StorageError):  # noqa: N818
    """There is no such message, or somebody else has got it meanwhile."""

    def __init__(self) -> None:
        super().__init__("MessageNotFound", 404, "The specified message does not exist.")


class LeaseConflict(StorageError):  # noqa: N818
    """Somebody else holds a lease."""

    def __init__(self, code: str = "LeaseAlreadyPresent", status: int = 409, message: str = "") -> None:
        super().__init__(code, status, message or "There is already a lease present.")


class NoSpace(StorageError):  # noqa: N818
    """The disk is full."""

    def __init__(self) -> None:
        super().__init__("InsufficientStorage", 507, "There is no space left on the cloud's disk.")


def bad_header(name: str, value: str) -> StorageError:
    """A header has a value that it may not have."""
    shown = value if len(value) < 100 else value[:100] + "..."
    message = "The value for one of the HTTP headers is not in the correct format."
    return StorageError("InvalidHeaderValue", 400, f"{message} {name}: {shown}")


def missing_header(name: str) -> StorageError:
    """A header is required."""
    return StorageError("MissingRequiredHeader", 400, f"The header {name} is required and was not given.")


def bad_query(name: str, value: str) -> StorageError:
    """A query parameter has a value that it may not have."""
    shown = value if len(value) < 100 else value[:100] + "..."
    message = f"The value {shown!r} of the query parameter {name} is not valid."
    return StorageError("InvalidQueryParameterValue", 400, message)


def out_of_range(name: str, value: str, least: int, most: int) -> StorageError:
    """A query parameter has a number that it may not have."""
    text = "One of the query parameters specified in the request URI is outside the permissible range."
    message = f"{text} {name} is {value[:20]}; it may be {least} to {most}."
    return StorageError("OutOfRangeQueryParameterValue", 400, message)


def pop_receipt_mismatch() -> StorageError:
    """A pop receipt is none of this message's."""
    message = "The specified pop receipt did not match the pop receipt for a dequeued message."
    return StorageError("PopReceiptMismatch", 400, message)


def wrong_type() -> StorageError:
    """The operation is for another type of blob."""
    return StorageError("InvalidBlobType", 409, "The blob type is invalid for this operation.")


def archived() -> StorageError:
    """The blob is in the archive tier."""
    return StorageError("BlobArchived", 409, "This operation is not permitted on an archived blob.")


def no_overwriting() -> StorageError:
    """A signature lets its holder create a blob, not replace one."""
    message = "This request is not authorized to perform blob overwrites."
    return StorageError("UnauthorizedBlobOverwrite", 403, message)


def not_met() -> StorageError:
    """A condition of the request is not met."""
    message = "The condition specified using HTTP conditional header(s) is not met."
    return StorageError("ConditionNotMet", 412, message)


def replaced_meanwhile() -> StorageError:
    """What a request was about to use was deleted or replaced while it ran."""
    return StorageError("ServerBusy", 503, "The blob was replaced or deleted just now. Please retry.")


def not_available(what: str) -> StorageError:
    """What this service does not have."""
    return StorageError("NotImplemented", 501, f"{what} is not available in this cloud yet.")
