"""Errors that every method shares."""

from __future__ import annotations

from typing import NoReturn

from azure.common import AzureHttpError

from ._http import HTTPError

_ERROR_VALUE_NONE = "{0} should not be None."
_ERROR_ASYNC_OP_FAILURE = "Asynchronous operation did not succeed."
_ERROR_ASYNC_OP_TIMEOUT = "Timed out waiting for async operation to complete."


def _general_error_handler(http_error: HTTPError) -> NoReturn:
    """Raise the AzureHttpError (404 and 409 have kinds of their own) with an answer's reason and body."""
    message = str(http_error)
    if http_error.respbody is not None:
        message += "\n" + http_error.respbody.decode("utf-8-sig", errors="replace")
    raise AzureHttpError(message, http_error.status)


def _validate_not_none(param_name: str, param: object) -> None:
    if param is None:
        raise ValueError(_ERROR_VALUE_NONE.format(param_name))


def _require(**values: object) -> None:
    """Raise ValueError for the first value that is None."""
    for name, value in values.items():
        _validate_not_none(name, value)
