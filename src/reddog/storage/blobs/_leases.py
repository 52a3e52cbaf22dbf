"""Leases of containers and blobs: acquire, renew, change, release, break; and what they keep others from."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from reddog.storage._errors import LeaseConflict, bad_header, missing_header

INFINITE = -1
SHORTEST, LONGEST = 15, 60  # seconds
Lease = dict[str, Any]
"""id, duration (seconds, -1: infinite), and `until` or `breaking` (times) where it ends. Empty: none."""


def state(lease: Mapping[str, Any]) -> str:
    """available, leased, expired, breaking or broken."""
    if not lease:
        return "available"
    now = time.time()
    if "breaking" in lease:
        return "breaking" if now < lease["breaking"] else "broken"
    if lease["duration"] != INFINITE and now >= lease["until"]:
        return "expired"
    return "leased"


def is_active(lease: Mapping[str, Any]) -> bool:
    """Whether changes need the lease's id."""
    return state(lease) in ("leased", "breaking")


def infinite(identity: str) -> Lease:
    """A lease without an end."""
    return {"id": identity.lower(), "duration": INFINITE}


def check_write(lease: Mapping[str, Any], given: str | None, what: str = "Blob") -> None:
    """Refuse a change without the id of the active lease, or with the id of none.

    :raises LeaseConflict: 412, with the code that says which.
    """
    if is_active(lease):
        if given is None:
            raise LeaseConflict(
                "LeaseIdMissing", 412, f"There is a lease on the {what.lower()} and no lease ID."
            )
        _check_same(lease, given, what)
    else:
        check_read(lease, given, what)


def check_read(lease: Mapping[str, Any], given: str | None, what: str = "Blob") -> None:
    """Refuse a lease id that is not the one of the active lease; reading needs none."""
    if given is None:
        return
    if not is_active(lease):
        found = state(lease)
        code = "LeaseLost" if found in ("expired", "broken") else f"LeaseNotPresentWith{what}Operation"
        raise LeaseConflict(code, 412, f"There is currently no lease on the {what.lower()}.")
    _check_same(lease, given, what)


def _check_same(lease: Mapping[str, Any], given: str, what: str) -> None:
    try:
        same = str(uuid.UUID(given)) == lease["id"]
    except ValueError:
        same = False
    if not same:
        code = f"LeaseIdMismatchWith{what}Operation"
        raise LeaseConflict(code, 412, f"The lease ID does not match that of the {what.lower()}.")


def act(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    """Carry out Lease Blob or Lease Container.

    Returns the new lease, the HTTP status and the headers of the answer.
    """
    action = headers.get("x-ms-lease-action", "").lower()
    actions = {"acquire": _acquire, "renew": _renew, "change": _change, "release": _release, "break": _break}
    if action not in actions:
        if not action:
            raise missing_header("x-ms-lease-action")
        raise bad_header("x-ms-lease-action", action)
    return actions[action](lease, headers, what)


def _acquire(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    duration = _number(headers, "x-ms-lease-duration", INFINITE)
    if duration != INFINITE and not SHORTEST <= duration <= LONGEST:
        raise bad_header("x-ms-lease-duration", str(duration))
    proposed = headers.get("x-ms-proposed-lease-id")
    identity = _uuid("x-ms-proposed-lease-id", proposed) if proposed else str(uuid.uuid4())
    found = state(lease)
    if found in ("leased", "breaking") and lease["id"] != identity:
        raise LeaseConflict()
    if found == "breaking":
        message = "The lease is in the breaking state and cannot be acquired until it is broken."
        raise LeaseConflict("LeaseIsBreakingAndCannotBeAcquired", 409, message)
    new: Lease = {"id": identity, "duration": duration}
    if duration != INFINITE:
        new["until"] = time.time() + duration
    return new, 201, {"x-ms-lease-id": identity}


def _renew(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    _same(lease, headers, what)
    if state(lease) in ("breaking", "broken"):
        message = "The lease has been broken or is breaking and cannot be renewed."
        raise LeaseConflict("LeaseIsBrokenAndCannotBeRenewed", 409, message)
    new = dict(lease)
    if new["duration"] != INFINITE:
        new["until"] = time.time() + new["duration"]
    return new, 200, {"x-ms-lease-id": new["id"]}


def _change(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    proposed = headers.get("x-ms-proposed-lease-id")
    if proposed is None:
        raise missing_header("x-ms-proposed-lease-id")
    identity = _uuid("x-ms-proposed-lease-id", proposed)
    if is_active(lease) and lease["id"] == identity:
        return lease, 200, {"x-ms-lease-id": identity}
    _same(lease, headers, what)
    if state(lease) == "breaking":
        message = "The lease is in the breaking state and cannot be changed."
        raise LeaseConflict("LeaseIsBreakingAndCannotBeChanged", 409, message)
    if state(lease) != "leased":
        raise LeaseConflict("LeaseNotPresentWithLeaseOperation", 409, "There is currently no lease.")
    return {**lease, "id": identity}, 200, {"x-ms-lease-id": identity}


def _release(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    _same(lease, headers, what)
    return {}, 200, {}


def _break(lease: Lease, headers: Mapping[str, str], what: str) -> tuple[Lease, int, dict[str, str]]:
    found = state(lease)
    if found == "available":
        raise LeaseConflict("LeaseNotPresentWithLeaseOperation", 409, "There is currently no lease.")
    now = time.time()
    if found in ("broken", "expired"):
        return {**lease, "breaking": now}, 202, {"x-ms-lease-time": "0"}
    ends = float(lease.get("breaking") or lease.get("until") or now)
    left = max(0, round(ends - now))
    period = _number(headers, "x-ms-lease-break-period", left)
    if not 0 <= period <= LONGEST:
        raise bad_header("x-ms-lease-break-period", str(period))
    breaking = now + period
    if "breaking" in lease or lease["duration"] != INFINITE:
        period, breaking = min(period, left), min(breaking, ends)
    return {**lease, "breaking": breaking}, 202, {"x-ms-lease-time": str(period)}


def _same(lease: Lease, headers: Mapping[str, str], what: str) -> None:
    given = headers.get("x-ms-lease-id")
    if given is None:
        raise missing_header("x-ms-lease-id")
    if not lease or _uuid("x-ms-lease-id", given) != lease["id"]:
        raise LeaseConflict("LeaseIdMismatchWithLeaseOperation", 409, "The lease ID does not match.")


def _number(headers: Mapping[str, str], name: str, default: int) -> int:
    value = headers.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise bad_header(name, value) from None


def _uuid(name: str, value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise bad_header(name, value) from None
