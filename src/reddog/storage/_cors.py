"""Cross-origin resource sharing: the rules of a service, and what browsers are told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web
from lxml import etree
from multidict import CIMultiDict

from reddog.storage._account import Account
from reddog.storage._errors import StorageError
from reddog.storage._request import parse_xml

MOST_RULES = 5
METHODS = ("DELETE", "GET", "HEAD", "MERGE", "PATCH", "POST", "OPTIONS", "PUT")
_SIMPLE = ("date", "server", "x-ms-request-id", "x-ms-version")
_FIELDS = {
    "AllowedOrigins": "origins",
    "AllowedMethods": "methods",
    "AllowedHeaders": "headers",
    "ExposedHeaders": "exposed",
}


@dataclass(frozen=True)
class Rule:
    """A rule: what it allows, each `*` or names, of which the headers' may end with a `*`; seconds to keep it."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int = 0

    def allows(self, origin: str, method: str) -> bool:
        """Whether this rule is for that origin and method."""
        return method.upper() in self.methods and any(_is_origin(origin, one) for one in self.origins)

    def allows_headers(self, names: Iterable[str]) -> bool:
        """Whether a request may have these headers."""
        return all(_matches(name, self.headers) for name in names)


KEY = web.RequestKey("cors", list[Rule])  # where a request keeps the rules of its service


def read_rules(element: etree._Element) -> list[Rule]:
    """The rules in a `Cors` element. InvalidXmlNodeValue, InvalidXmlDocument: they are none."""
    rules = [_read_rule(entry) for entry in element.iterchildren("CorsRule")]
    if len(rules) > MOST_RULES:
        raise StorageError("InvalidXmlDocument", 400, f"A service has up to {MOST_RULES} CORS rules.")
    return rules


def _read_rule(entry: etree._Element) -> Rule:
    found: dict[str, tuple[str, ...]] = {}
    for tag, name in _FIELDS.items():
        text = entry.findtext(tag) or ""
        found[name] = tuple(part.strip() for part in text.split(",") if part.strip())
    age = (entry.findtext("MaxAgeInSeconds") or "0").strip()
    if not age.isascii() or not age.isdigit() or len(age) > 10 or int(age) >= 1 << 31:
        raise _bad_rule(f"MaxAgeInSeconds is {age[:20]!r}, which is no number of seconds.")
    if not found["origins"] or not found["methods"]:
        raise _bad_rule("A CORS rule needs AllowedOrigins and AllowedMethods.")
    unknown = [method for method in found["methods"] if method not in METHODS]
    if unknown:
        raise _bad_rule(f"AllowedMethods has {unknown[0][:20]!r}; known are {', '.join(METHODS)}.")
    return Rule(**found, max_age=int(age))


def _bad_rule(message: str) -> StorageError:
    return StorageError("InvalidXmlNodeValue", 400, message)


def rules(account: Account, service: str) -> list[Rule]:
    """The rules that are set for a service."""
    with account.index.transaction():
        document = account.index.properties(service)
    if not document or "<CorsRule" not in document:
        return []
    found = parse_xml(f"<properties>{document}</properties>".encode()).find("Cors")
    return [] if found is None else read_rules(found)


def preflight(request: web.Request, known: Sequence[Rule]) -> web.StreamResponse:
    """Answer a browser's question, whether it may send a request. CorsPreflightFailure (403): no."""
    origin = request.headers.get("Origin")
    method = request.headers.get("Access-Control-Request-Method")
    if not origin or not method:
        raise StorageError("InvalidHeaderValue", 400, "A required CORS header is not present.")
    asked = request.headers.get("Access-Control-Request-Headers")
    names = [name.strip() for name in (asked or "").split(",") if name.strip()]
    for rule in known:
        if not rule.allows(origin, method) or not rule.allows_headers(names):
            continue
        headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": method,
            "Access-Control-Max-Age": str(rule.max_age),
            "Access-Control-Allow-Credentials": "true",
        }
        if asked is not None:
            headers["Access-Control-Allow-Headers"] = asked
        return web.Response(status=200, headers=headers)
    message = "CORS not enabled or no matching rule found for this request."
    raise StorageError("CorsPreflightFailure", 403, message)


def answer(request: web.Request, headers: CIMultiDict[str], known: list[Rule]) -> None:
    """Add to an answer what the browser has to be told."""
    origin = request.headers.get("Origin", "")
    for rule in known:
        if not rule.allows(origin, request.method):
            continue
        everybody = rule.origins == ("*",)
        headers["Access-Control-Allow-Origin"] = "*" if everybody else origin
        if not everybody:
            headers["Vary"] = "Origin"
            headers["Access-Control-Allow-Credentials"] = "true"
        exposed = [name for name in headers if name.lower() in _SIMPLE or _matches(name, rule.exposed)]
        headers["Access-Control-Expose-Headers"] = ",".join(dict.fromkeys(exposed))
        return
    if known:
        headers["Vary"] = "Origin"


def _is_origin(origin: str, allowed: str) -> bool:
    """Whether an origin is the allowed one; a `*` in it stands for any text."""
    text, parts = origin.strip().lower(), allowed.lower().split("*")
    if len(parts) == 1:
        return text == parts[0]
    position, end = len(parts[0]), len(text) - len(parts[-1])
    if position > end or not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    for part in parts[1:-1]:
        position = text.find(part, position, end) + len(part)
        if position < len(part):
            return False
    return True


def _matches(name: str, allowed: Sequence[str]) -> bool:
    """Whether a header's name is among the allowed ones, which may end with a `*`."""
    lowered = name.lower()
    return any(
        lowered.startswith(one[:-1].lower()) if one.endswith("*") else lowered == one.lower()
        for one in allowed
    )
