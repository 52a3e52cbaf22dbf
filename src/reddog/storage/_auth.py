"""Who calls: shared key, shared key lite, shared access signatures, or nobody in particular."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote

from aiohttp import web

from reddog.storage._account import Account
from reddog.storage._errors import StorageError

CLOCK_SKEW = timedelta(minutes=15)
_SIGNED_HEADERS = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date"),
    *("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"),
)
_RESPONSE_OVERRIDES = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}
_KEY_RANGE = ("spk", "srk", "epk", "erk")
_SAS_PARAMETERS = (
    *("sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "ses", "snapshot", "tn"),
    *_KEY_RANGE,
    *_RESPONSE_OVERRIDES,
)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_TOO_FINE = re.compile(r"(\.\d{6})\d+")  # .NET and JavaScript clients write seven digits
_TIME_FORMATS = (
    *("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%fZ"),
    *("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"),
)


@dataclass(frozen=True)
class Identity:
    """What a caller may do.

    owner: everything. permissions: letters of a shared access signature. resources: what it is for: `s`
    (service), `c` (container), `o` (blob), `l` (listing one container). anonymous: only what is public. table: the
    only table that may be used, in lower case, and key_range: spk, srk, epk, erk, its first and last keys.
    """

    owner: bool = False
    anonymous: bool = False
    permissions: str = ""
    resources: str = ""
    overrides: dict[str, str] = field(default_factory=dict)
    table: str = ""
    key_range: dict[str, str] = field(default_factory=dict)


def _no_policies(_: str) -> Mapping[str, Mapping[str, str]]:
    return {}


@dataclass(frozen=True)
class Signable:
    """What a request is for, as shared access signatures name it.

    service: blob, table or queue. container: or the queue, or the table. policies: finds the stored access policies of
    the one with that name.
    """

    service: str
    container: str = ""
    blob: str = ""
    policies: Callable[[str], Mapping[str, Mapping[str, str]]] = _no_policies


def blob_signable(account: Account, container: str, blob: str) -> Signable:
    """What a request for a container or a blob is for."""

    def policies(name: str) -> Mapping[str, Mapping[str, str]]:
        with account.index.transaction():
            found = account.index.container(name)
        return found.policies if found is not None else {}

    return Signable("blob", container, blob, policies)


def refused(message: str) -> StorageError:
    """The answer to a signature that is not good."""
    text = "Server failed to authenticate the request. Make sure the value of the Authorization header is formed "
    text = f"{text}correctly including the signature. {message}"
    return StorageError("AuthenticationFailed", 403, text, details={"AuthenticationErrorDetail": message})


def not_permitted() -> StorageError:
    """The answer to a signature that is good, for something else."""
    message = "This request is not authorized to perform this operation using this permission."
    return StorageError("AuthorizationPermissionMismatch", 403, message)


def identify(
    request: web.Request, account: Account, query: Mapping[str, str], signable: Signable
) -> Identity:
    """Who sent a request.

    :raises StorageError: 403 AuthenticationFailed and its kin; 400 for an Authorization header that is none.
    """
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        _check_shared_key(request, account, query, signable.service, authorization)
        return Identity(owner=True)
    if "sig" in query:
        return identify_signed(request, account, query, signable)
    return Identity(anonymous=True)


def identify_signed(
    request: web.Request, account: Account, query: Mapping[str, str], signable: Signable
) -> Identity:
    """What a shared access signature permits. AuthenticationFailed: it is not good, or no longer."""
    if _CONTROL.search("".join([query.get(name, "") for name in _SAS_PARAMETERS])):
        raise refused("The shared access signature holds control characters.")  # lines are what is signed
    if "ss" in query:
        return _account_signature(request, account, query, signable.service)
    return _service_signature(request, account, query, signable)


# -- Shared key ------------------------------------------------------------------------------------------


def _check_shared_key(
    request: web.Request, account: Account, query: Mapping[str, str], service: str, authorization: str
) -> None:
    scheme, _, credential = authorization.partition(" ")
    name, _, signature = credential.strip().partition(":")
    if scheme.lower() == "bearer":
        raise refused(
            "Bearer tokens are not accepted: this cloud has no directory. Use a key of the account, or a SAS."
        )
    if scheme not in ("SharedKey", "SharedKeyLite") or not signature:
        message = "The Authorization header is not in the form of SharedKey ACCOUNT:SIGNATURE."
        raise StorageError("InvalidAuthenticationInfo", 400, message)
    if name != account.name:
        raise refused(f"The account in the header is not {account.name}.")
    if service != "table" or {"x-ms-date", "Date"} & request.headers.keys():
        _check_date(
            request
        )  # emulators' clients sign table requests without one: then nobody can have taken it away
    texts = _texts(request, account, query, service, lite=scheme == "SharedKeyLite")
    if not any(_is_signed(text, signature, account.keys) for text in texts):
        raise refused("The signature does not match: check the account key and the headers that are signed.")


def _texts(
    request: web.Request, account: Account, query: Mapping[str, str], service: str, *, lite: bool
) -> set[str]:
    """The texts that may have been signed."""
    if service == "table":
        resource = _resource(request, account)
        named = {resource, resource.rstrip("/")}  # a slash at the end of a URL means nothing
        return {_table_text(request, query, one, lite=lite) for one in named}
    write = _lite_text if lite else _full_text
    return {write(request, account, query, _canonical_headers(request, order)) for order in _ORDERS}


def _table_text(request: web.Request, query: Mapping[str, str], resource: str, *, lite: bool) -> str:
    date = request.headers.get("x-ms-date") or request.headers.get("Date") or ""
    md5, kind = request.headers.get("Content-MD5", ""), request.headers.get("Content-Type", "")
    head = date if lite else "\n".join((request.method, md5, kind, date))
    return f"{head}\n{resource}{_comp(query)}"


def _check_date(request: web.Request) -> None:
    value = request.headers.get("x-ms-date") or request.headers.get("Date")
    try:
        sent = parsedate_to_datetime(value or "")
    except (TypeError, ValueError, OverflowError):
        raise refused("The date header is missing or is not a date.") from None
    if sent.tzinfo is None:
        sent = sent.replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - sent) > CLOCK_SKEW:
        raise refused(
            f"The request's date is more than 15 minutes off; it is {datetime.now(UTC):%H:%M} UTC here."
        )


def _full_text(request: web.Request, account: Account, query: Mapping[str, str], headers: str) -> str:
    values = {name: request.headers.get(name, "") for name in _SIGNED_HEADERS}
    if values["Content-Length"] == "0" and request.headers.get("x-ms-version", "") >= "2015-02-21":
        values["Content-Length"] = ""
    if "x-ms-date" in request.headers:
        values["Date"] = ""
    head = "\n".join((request.method, *values.values()))
    resource = _resource(request, account)
    named = sorted((name, ",".join(sorted(_all_values(request, name)))) for name in query)
    parameters = "".join(f"\n{name}:{value}" for name, value in named)
    return f"{head}\n{headers}{resource}{parameters}"


def _lite_text(request: web.Request, account: Account, query: Mapping[str, str], headers: str) -> str:
    date = "" if "x-ms-date" in request.headers else request.headers.get("Date", "")
    md5, kind = request.headers.get("Content-MD5", ""), request.headers.get("Content-Type", "")
    head = "\n".join((request.method, md5, kind, date))
    return f"{head}\n{headers}{_resource(request, account)}{_comp(query)}"


def _comp(query: Mapping[str, str]) -> str:
    return f"?comp={query['comp']}" if "comp" in query else ""


def _resource(request: web.Request, account: Account) -> str:
    path = request.raw_path.partition("?")[0]
    if path.startswith(("http://", "https://")):
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    return f"/{account.name}{path or '/'}"


def _all_values(request: web.Request, name: str) -> Iterator[str]:
    return (value for key, value in request.query.items() if key.lower() == name)


def _as_written(name: str) -> tuple[object, ...]:
    return (name,)


def _as_words(name: str) -> tuple[object, ...]:
    """Marks before digits before letters, and hyphens do not count: the order of today's clients."""
    return [(char.isalnum(), char) for char in name if char != "-"], name.count("-")


_ORDERS = (_as_written, _as_words)


def _canonical_headers(request: web.Request, order: Callable[[str], tuple[object, ...]]) -> str:
    found: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        if name.lower().startswith("x-ms-"):
            found.setdefault(name.lower(), []).append(" ".join(value.split("\r\n")).strip())
    return "".join(f"{name}:{','.join(found[name])}\n" for name in sorted(found, key=order))


def _is_signed(text: str, signature: str, keys: Sequence[str]) -> bool:
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = (
        hmac.new(base64.b64decode(key), text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
        for key in keys
    )
    return any(hmac.compare_digest(given, one) for one in expected)


# -- Shared access signatures ----------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # a signature comes with request after request
def _check_signature(text: str, signature: str, keys: tuple[str, str]) -> None:
    if not _is_signed(text, signature, keys):
        raise refused("The shared access signature does not match.")


_ACCOUNT_SIGNED = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses")


def _account_signature(
    request: web.Request, account: Account, query: Mapping[str, str], service: str
) -> Identity:
    names = _ACCOUNT_SIGNED if query.get("sv", "") >= "2020-12-06" else _ACCOUNT_SIGNED[:-1]
    text = "\n".join((account.name, *[query.get(name, "") for name in names], ""))
    _check_signature(text, query["sig"], account.keys)
    _check_bounds(request, query)
    if service[0] not in query.get("ss", ""):
        message = "This request is not authorized to perform this operation using this service."
        raise StorageError("AuthorizationServiceMismatch", 403, message)
    return Identity(
        permissions=query.get("sp", ""), resources=query.get("srt", ""), overrides=_overrides(query)
    )


def _service_signature(
    request: web.Request, account: Account, query: Mapping[str, str], signable: Signable
) -> Identity:
    write = {"blob": _blob_text, "table": _table_signature_text, "queue": _queue_text}[signable.service]
    _check_signature(write(account, query, signable), query["sig"], account.keys)
    name = _name(query, signable)
    terms = _terms(query, signable.policies(name) if "si" in query else {})
    _check_bounds(request, terms)
    resources = (
        "o" if query.get("sr") in ("b", "bs") else "lo"
    )  # a container itself takes an account's signature
    table, bounds = "", dict[str, str]()
    if signable.service == "table":
        table, bounds = name.lower(), {key: query[key] for key in _KEY_RANGE if key in query}
    return Identity(
        permissions=terms.get("sp", ""),
        resources=resources,
        overrides=_overrides(query) if signable.service == "blob" else {},
        table=table,
        key_range=bounds,
    )


def _blob_text(account: Account, query: Mapping[str, str], signable: Signable) -> str:
    kind = query.get("sr", "")
    if kind not in ("b", "c", "bs"):
        raise refused(f"The signed resource {kind[:20]!r} is not b, bs or c.")
    if not signable.container or (kind != "c" and not signable.blob):
        raise refused("The shared access signature is not for this resource.")
    version = query.get("sv", "")
    path = f"{signable.container}/{signable.blob}" if kind != "c" else signable.container
    values = _first_values(account, query, "blob", path)
    if version >= "2018-11-09":
        values += [kind, query.get("snapshot", "") if kind == "bs" else ""]
    if version >= "2020-12-06":
        values.append(query.get("ses", ""))
    if version >= "2013-08-15":
        values += [query.get(name, "") for name in _RESPONSE_OVERRIDES]
    return "\n".join(values)


def _table_signature_text(account: Account, query: Mapping[str, str], signable: Signable) -> str:
    name = _name(query, signable)
    if not name:
        raise refused("The shared access signature names no table (tn).")
    values = _first_values(account, query, "table", name.lower())
    return "\n".join(values + [query.get(name, "") for name in _KEY_RANGE])


def _name(query: Mapping[str, str], signable: Signable) -> str:
    """The container, queue or table that a signature is for; a table can be named by it."""
    return (signable.service == "table" and query.get("tn")) or signable.container


def _queue_text(account: Account, query: Mapping[str, str], signable: Signable) -> str:
    if not signable.container:
        raise refused("The shared access signature is not for this resource.")
    return "\n".join(_first_values(account, query, "queue", signable.container))


def _first_values(account: Account, query: Mapping[str, str], service: str, path: str) -> list[str]:
    """What a service's signatures begin with."""
    version = query.get("sv", "")
    resource = f"/{account.name}/{path}"
    if version >= "2015-02-21":
        resource = f"/{service}{resource}"
    values = [query.get("sp", ""), query.get("st", ""), query.get("se", ""), resource, query.get("si", "")]
    if version >= "2015-04-05":
        values += [query.get("sip", ""), query.get("spr", "")]
    return [*values, version] if version else values


def _terms(query: Mapping[str, str], policies: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The signature's own terms, completed by those of the stored access policy that it names."""
    terms = dict(query)
    identity = query.get("si")
    if identity is None:
        return terms
    policy = policies.get(identity)
    if policy is None:
        raise refused("The stored access policy of the shared access signature does not exist.")
    for name, key in (("st", "start"), ("se", "expiry"), ("sp", "permission")):
        if policy.get(key):
            if query.get(name):
                raise refused(f"{name} is given both in the signature and in the stored access policy.")
            terms[name] = policy[key]
    return terms


def _check_bounds(request: web.Request, terms: Mapping[str, str]) -> None:
    """Start, expiry, addresses and protocol of a signature."""
    now = datetime.now(UTC)
    if not terms.get("se"):
        raise refused("The shared access signature has no expiry.")
    if now >= _moment(terms["se"]):
        raise refused(f"The shared access signature has expired: se={terms['se']}.")
    if terms.get("st") and now < _moment(terms["st"]):
        raise refused(f"The shared access signature is not valid yet: st={terms['st']}.")
    if not terms.get("sp"):
        raise refused("The shared access signature has no permissions.")
    if terms.get("sip") and not _is_within(request.remote or "", terms["sip"]):
        message = "This request is not authorized to perform this operation using this source IP."
        raise StorageError("AuthorizationSourceIPMismatch", 403, message)
    if terms.get("spr", "").lower() == "https" and request.scheme != "https":
        message = "This request is not authorized to perform this operation using this protocol."
        raise StorageError("AuthorizationProtocolMismatch", 403, message)


@lru_cache(maxsize=1024)  # a signature comes with request after request
def _moment(text: str) -> datetime:
    known = _TOO_FINE.sub(r"\1", unquote(text))
    for form in _TIME_FORMATS:
        try:
            found = datetime.strptime(known, form)
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise refused(f"{text[:50]!r} is not a time.")


def _is_within(address: str, allowed: str) -> bool:
    first, _, last = allowed.partition("-")
    try:
        lowest, highest = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
        caller = ipaddress.ip_address(address)
        return lowest.version == caller.version and int(lowest) <= int(caller) <= int(highest)
    except ValueError:
        return False


def _overrides(query: Mapping[str, str]) -> dict[str, str]:
    return {header: query[name] for name, header in _RESPONSE_OVERRIDES.items() if query.get(name)}
