"""Runs the calls of `calls.py`, or decodes answers, with the running interpreter's `azure.servicemanagement`.

    python driver.py requests                 prints what each call puts on the wire
    python driver.py decode < answers.json    decodes [[client, method, args, status, body], ...] and prints the
    objects; without args the method is called as calls.py calls it first

Standard library and requests alone, so that it runs in either environment.
"""

import base64
import json
import sys
import warnings
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).parent))
import calls

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
REQUEST_ID = "0123456789abcdef0123456789abcdef"
HEADERS = ("x-ms-version", "content-type", "content-length", "accept", "user-agent")


class Recorder(requests.Session):
    """A session that answers everything itself."""

    def __init__(self, status=200, body=b"<Empty/>", headers=None):
        super().__init__()
        self.sent = []
        self.status, self.body = status, body
        self.answer_headers = headers or {"x-ms-request-id": REQUEST_ID}

    def send(self, request, **kwargs):
        body = request.body.encode() if isinstance(request.body, str) else request.body
        self.sent.append(
            {
                "method": request.method,
                "url": request.url,
                "headers": {name: request.headers.get(name) for name in HEADERS},
                "body": None if body is None else base64.b64encode(body).decode(),
            }
        )
        response = requests.Response()
        response.status_code, response.reason, response._content = self.status, "OK", self.body
        response.headers.update(self.answer_headers)
        response.request, response.url = request, request.url
        response.raw = type("Raw", (), {})()
        return response


def plain(value, depth=0):
    """An object as JSON: models as their public attributes."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {"dict": {str(key): plain(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return {
        "class": type(value).__name__,
        "attributes": {name: plain(item) for name, item in vars(value).items() if not name.startswith("_")},
    }


def run(package, client, name, args, kwargs, session):
    service = getattr(package, client)(
        SUBSCRIPTION, "unused.pem", host="example.invalid", request_session=session
    )
    try:
        return plain(getattr(service, name)(*args, **kwargs))
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}


def send_all(package):
    results = []
    main = [("ServiceManagementService", *call) for call in calls.calls(package)]
    for client, name, args, kwargs in main + calls.calls_of_other_clients(package):
        session = Recorder()
        outcome = run(package, client, name, args, kwargs, session)
        results.append({"client": client, "method": name, "sent": session.sent, "outcome": outcome})
    return results


def decode_all(package, answers):
    results = []
    known = {}
    for name, args, kwargs in reversed(calls.calls(package)):
        known[name] = args, kwargs  # the first call of each method
    for client, name, given, status, body in answers:
        data = base64.b64decode(body[4:]) if body.startswith("b64:") else body.encode("utf-8")
        args, kwargs = known[name] if given is None else (given, {})
        results.append(run(package, client, name, args, kwargs, Recorder(status, data)))
    return results


def main():
    warnings.simplefilter("ignore")
    import azure.servicemanagement as package

    result = send_all(package) if sys.argv[1] == "requests" else decode_all(package, json.load(sys.stdin))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
