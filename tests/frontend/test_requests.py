"""HTTP over the endpoint: versions, routing, bodies, headers, connections."""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import ssl
import threading
import time

import aiohttp
import pytest

from reddog.engine import OperationRequest, Tx
from reddog.frontend import _dispatch, _server
from reddog.services import Call, Reply
from reddog.wire import HostedService, errors, only

from .conftest import SUBSCRIPTION, VERSION, Endpoint, StartEndpoint

SERVICES = "/services/hostedservices"
CREATE = (
    '<CreateHostedService xmlns="http://schemas.microsoft.com/windowsazure"><ServiceName>web</ServiceName>'
    "<Label>d2Vi</Label><Location>West US</Location></CreateHostedService>"
)
SMUGGLED = b"POST / HTTP/1.1\r\nHost: x\r\n"


def head(method: str, path: str, **headers: object) -> bytes:
    """A request line and headers; underscores in names mean hyphens."""
    lines = [f"{method} /{SUBSCRIPTION}{path} HTTP/1.1", "Host: localhost", f"x-ms-version: {VERSION}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


# -- What every answer has --------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/locations", "/nowhere", "/operations"])
async def test_every_answer_has_a_request_id_of_its_own(endpoint: Endpoint, path: str) -> None:
    async with endpoint.session() as session:
        answers = [await session.ask(path) for _ in range(3)]
    ids = {seen.headers["x-ms-request-id"] for seen in answers}
    assert len(ids) == 3
    assert all(len(id) == 32 and id == id.lower() and int(id, 16) for id in ids)


async def test_answers_have_the_service_s_headers(endpoint: Endpoint) -> None:
    seen = await endpoint.ask()
    assert seen.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert seen.headers["Cache-Control"] == "no-cache"
    assert "Microsoft-HTTPAPI/2.0" in seen.headers["Server"]
    assert seen.headers["Date"]
    assert seen.headers["Content-Length"] == str(len(seen.body))


async def test_an_answer_without_a_body_says_so(endpoint: Endpoint) -> None:
    endpoint.handlers["Create Cloud Service"] = lambda call: Reply(location="https://somewhere/")
    seen = await endpoint.ask(SERVICES, method="POST", body=CREATE)
    assert (seen.status, seen.headers["Content-Length"], seen.headers["Location"]) == (
        201,
        "0",
        "https://somewhere/",
    )
    assert "Content-Type" not in seen.headers


# -- Versions and routing ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "version", [None, "", "2014", "2014-13-01", "14-10-01", "2014-10-01x", "２０１４-10-01"]
)
async def test_a_missing_or_malformed_version_is_answered_400(
    endpoint: Endpoint, version: str | None
) -> None:
    seen = await endpoint.ask(version=version)
    assert seen.status == 400
    assert "<Code>MissingOrIncorrectVersionHeader</Code>" in seen.body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "ResourceNotFound"),
        ("PUT", "/locations", 405, "MethodNotAllowed"),
        ("POST", "/locations", 405, "MethodNotAllowed"),
        ("GET", "/operations", 400, "MissingOrInvalidRequiredQueryParameter"),
    ],
)
async def test_what_the_table_does_not_have_is_refused(
    endpoint: Endpoint, method: str, path: str, status: int, code: str
) -> None:
    seen = await endpoint.ask(path, method=method)
    assert (seen.status, f"<Code>{code}</Code>" in seen.body) == (status, True)


async def test_paths_match_without_regard_to_case(endpoint: Endpoint) -> None:
    assert (await endpoint.ask("/LOCATIONS", subscription=SUBSCRIPTION.upper())).status == 200


async def test_a_handler_gets_the_call_as_it_was_sent(endpoint: Endpoint) -> None:
    calls: list[Call] = []

    def get(call: Call) -> Reply:
        calls.append(call)
        return Reply()

    endpoint.handlers["Get Cloud Service Properties"] = get
    seen = await endpoint.ask(f"{SERVICES}/MyWeb%2D1?Embed-Detail=true")
    (call,) = calls
    assert call.params["service"] == "MyWeb-1"
    assert call.query == {"embed-detail": "true"}
    assert (call.subscription, call.version) == (SUBSCRIPTION, VERSION)
    assert call.request_id == seen.headers["x-ms-request-id"]
    assert call.thumbprint == endpoint.clients["admin"].certificate.thumbprint


# -- Bodies -----------------------------------------------------------------------------------------------
async def test_a_body_is_decoded_into_its_type(endpoint: Endpoint) -> None:
    endpoint.handlers["Create Cloud Service"] = lambda call: Reply(
        location=f"{call.body.service_name} {call.body.label}"
    )
    seen = await endpoint.ask(SERVICES, method="POST", body=CREATE)
    assert seen.headers["Location"] == "web web"


async def test_the_network_configuration_passes_as_it_is(endpoint: Endpoint) -> None:
    kept = []

    def keep(call: Call) -> Reply:
        kept.append(call.body)
        return Reply()

    path, document = "/services/networking/media", b"<?xml version='1.0'?> <anything/>"
    endpoint.handlers["Set Network Configuration"] = keep
    endpoint.handlers["Get Network Configuration"] = lambda call: Reply(kept[0], content_type="text/plain")
    assert (await endpoint.ask(path, method="PUT", body=document)).status == 202
    seen = await endpoint.ask(path)
    assert (seen.body.encode(), seen.headers["Content-Type"]) == (document, "text/plain")
    empty = await endpoint.ask(path, method="PUT")
    assert "<Code>MissingOrInvalidRequestBody</Code>" in empty.body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "MissingOrInvalidRequestBody"),
        ("<Create", "InvalidXmlRequest"),
        ("<Other xmlns='http://schemas.microsoft.com/windowsazure'/>", "InvalidXmlRequest"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + CREATE, "InvalidXmlRequest"),
        (CREATE.replace("<Label>d2Vi</Label>", ""), "InvalidXmlRequest"),
    ],
    ids=["none", "broken", "wrong root", "document type", "missing element"],
)
async def test_a_body_that_is_not_the_operation_s_is_answered_400(
    endpoint: Endpoint, body: str, code: str
) -> None:
    seen = await endpoint.ask(SERVICES, method="POST", body=body)
    assert (seen.status, f"<Code>{code}</Code>" in seen.body) == (400, True)


async def test_a_body_that_is_announced_too_large_is_refused_unread(endpoint: Endpoint) -> None:
    answer = await endpoint.speak(head("POST", SERVICES, Content_Length=_server.LARGEST_BODY + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"RequestBodyTooLarge" in answer


async def test_a_chunked_body_is_refused_when_it_grows_too_large(endpoint: Endpoint) -> None:
    async def pieces():
        for _ in range(_server.LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    seen = await endpoint.ask(SERVICES, method="POST", body=pieces())
    assert seen.status == 413


async def test_of_strangers_no_body_is_read(endpoint: Endpoint) -> None:
    answer = await endpoint.speak(head("POST", SERVICES, Content_Length=100), client=None)
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_client_that_waits_for_100_continue_gets_it(endpoint: Endpoint) -> None:
    reader, writer = await endpoint.open()
    writer.write(head("POST", SERVICES, Content_Length=len(CREATE), Expect="100-continue"))
    assert await asyncio.wait_for(reader.readline(), 5) == b"HTTP/1.1 100 Continue\r\n"
    writer.write(CREATE.encode())
    assert await reader.readline() == b"\r\n"
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_a_body_that_does_not_arrive_is_answered_408(start: StartEndpoint) -> None:
    endpoint = await start(body_timeout=0.2)
    answer = await endpoint.speak(head("POST", SERVICES, Content_Length=500) + b"<Create")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_goes_away_half_way_through_a_body_changes_nothing(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    called = threading.Event()
    endpoint.handlers["Create Cloud Service"] = lambda call: called.set() or Reply()
    _, writer = await endpoint.open()
    writer.write(head("POST", SERVICES, Content_Length=len(CREATE)) + CREATE[:50].encode())
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    for _ in range(50):
        if "the client went away" in caplog.text:
            break
        await asyncio.sleep(0.05)
    assert "the client went away" in caplog.text
    assert not called.is_set()
    assert "Traceback" not in caplog.text
    assert (await endpoint.ask()).status == 200


async def test_a_compressed_body_is_refused_by_name(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A few bytes could become many, and no client of the classic API sends any."""
    seen = await endpoint.ask(
        "/services/hostedservices", method="POST", body=b"123", headers={"Content-Encoding": "gzip"}
    )
    assert seen.status == 400
    assert "Content-Encoding 'gzip' is not taken" in seen.body
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "drop by drop"])
async def test_a_client_that_sends_no_whole_request_is_let_go(start: StartEndpoint, dripping: bool) -> None:
    endpoint = await start(keep_alive=0.5)
    reader, writer = await endpoint.open()
    writer.write(b"GET / HTTP/1.1\r\n")
    closed = asyncio.ensure_future(reader.read())
    while not closed.done():
        if dripping:
            writer.write(b"x-more: y\r\n")
        await asyncio.wait([closed], timeout=0.1)
    assert not closed.exception()
    writer.transport.abort()


# -- What is no HTTP --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nx-long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x-one: more\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nx: y\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        SMUGGLED + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        SMUGGLED + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        SMUGGLED + b"Content-Length: +5\r\n\r\n12345",
        SMUGGLED + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        SMUGGLED + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ],
    ids=[
        *(
            "no request line",
            "version",
            "long line",
            "long header",
            "bad header",
            "many headers",
            "folded header",
        ),
        *("bare line feeds", "two kinds of length", "two lengths", "odd length", "odd coding", "two codings"),
    ],
)
async def test_what_is_no_http_is_answered_400_and_closed(
    endpoint: Endpoint, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await endpoint.speak(text)
    assert re.match(rb"HTTP/1\.[01] 400 ", answer)
    assert b"<Code>BadRequest</Code>" in answer
    assert b"x-ms-request-id: " in answer
    assert "Traceback" not in caplog.text


async def test_broken_chunks_are_answered_400(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    text = head("POST", SERVICES, Transfer_Encoding="chunked") + b"zz\r\n\r\n"
    assert re.match(rb"HTTP/1\.[01] 400 ", await endpoint.speak(text))
    assert "Traceback" not in caplog.text


async def test_plain_http_on_the_tls_port_is_closed(endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        assert b"HTTP" not in await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    assert (await endpoint.ask()).status == 200


# -- Failures and locks -----------------------------------------------------------------------------------
async def test_an_unexpected_failure_is_a_500_that_tells_the_client_nothing(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(call: Call) -> Reply:
        raise RuntimeError("the inner workings")

    endpoint.handlers["List Locations"] = fail
    seen = await endpoint.ask()
    assert (seen.status, "<Code>InternalError</Code>" in seen.body) == (500, True)
    assert "inner" not in seen.body
    assert seen.headers["x-ms-request-id"] in caplog.text
    assert "the inner workings" in caplog.text


async def test_a_full_disk_is_told_and_changes_nothing(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    store = endpoint.engine.store
    writer = store._database._writer._connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]

    def create(call: Call) -> Reply:
        def insert(tx: Tx) -> None:
            goal = {"name": call.body.service_name, "label": "x" * 100_000}
            tx.insert("hosted_service", "web", subscription=SUBSCRIPTION, goal=goal)

        endpoint.engine.accept(OperationRequest(call.request_id, "Create", SUBSCRIPTION), insert)
        return Reply()

    endpoint.handlers["Create Cloud Service"] = create
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    seen = await endpoint.ask(SERVICES, method="POST", body=CREATE)
    assert seen.status == 500
    assert "no space left on the cloud" in seen.body
    assert "Free disk space" in caplog.text
    assert "Traceback" not in caplog.text
    assert store.read(lambda reader: reader.count("hosted_service")) == 0
    writer.execute("PRAGMA max_page_count = 1000000")
    assert (await endpoint.ask(SERVICES, method="POST", body=CREATE)).status < 300


async def test_a_refusal_is_answered_with_its_status_and_code(endpoint: Endpoint) -> None:
    def refuse(call: Call) -> Reply:
        raise errors.HOSTED_SERVICE_NOT_FOUND()

    endpoint.handlers["Get Cloud Service Properties"] = refuse
    seen = await endpoint.ask(f"{SERVICES}/web")
    assert seen.status == 404
    assert "<Code>ResourceNotFound</Code><Message>The hosted service does not exist.</Message>" in seen.body


def changing(endpoint: Endpoint, kind: str) -> None:
    """Let Delete Cloud Service change the row "web" of a kind."""

    def change(call: Call) -> Reply:
        request = OperationRequest(call.request_id, call.operation.name, call.subscription)
        endpoint.engine.accept(request, lambda tx: tx.set_goal(kind, "web", {"name": "other"}))
        return Reply()

    endpoint.handlers["Delete Cloud Service"] = change


async def test_a_change_waits_for_the_operation_that_holds_its_object(endpoint: Endpoint) -> None:
    endpoint.hold("hosted_service")
    changing(endpoint, "hosted_service")
    waiting = asyncio.create_task(endpoint.ask(f"{SERVICES}/web", method="DELETE"))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    endpoint.gates["hosted_service"].open.set()
    assert (await waiting).status == 200


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hosted_service", "an operation on this hosted service that requires exclusive access"),
        ("deployment", "an operation with x-ms-requestid {id} on this deployment that requires exclusive"),
        ("network_configuration", "An update to your network configuration is currently underway."),
    ],
)
async def test_a_change_that_has_waited_too_long_is_answered_409(
    start: StartEndpoint, kind: str, message: str
) -> None:
    endpoint = await start(patience=0.3)
    id = endpoint.hold(kind)
    changing(endpoint, kind)
    began = time.monotonic()
    seen = await endpoint.ask(f"{SERVICES}/web", method="DELETE")
    assert time.monotonic() - began > 0.3
    assert (seen.status, "<Code>ConflictError</Code>" in seen.body) == (409, True)
    assert message.format(id=id) in seen.body


async def test_many_changes_that_wait_leave_room_for_other_requests(endpoint: Endpoint) -> None:
    endpoint.hold("deployment")
    changing(endpoint, "deployment")
    async with endpoint.session() as session:
        waiting = [asyncio.create_task(session.ask(f"{SERVICES}/web", method="DELETE")) for _ in range(100)]
        await asyncio.sleep(0.5)
        assert (await asyncio.wait_for(session.ask(), 3)).status == 200
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
    endpoint.gates["deployment"].open.set()


async def test_what_comes_and_goes_meanwhile_is_a_conflict_in_the_end(start: StartEndpoint) -> None:
    endpoint = await start(patience=0.2)
    changing(endpoint, "deployment")
    seen = await endpoint.ask(f"{SERVICES}/web", method="DELETE")
    assert (seen.status, "retry later" in seen.body) == (409, True)


async def test_the_log_has_one_line_for_a_request_and_no_secret(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reddog.frontend")
    async with endpoint.session() as session:
        body = "<UserPassword>Pa55</UserPassword>"
        first = await session.ask("/x%0Aforged?sig=secret", method="POST", body=body)
        second = await session.ask()
    await endpoint.front_end.stop()
    said = [record.getMessage() for record in caplog.records if record.name == "reddog.frontend"]
    lines = "\n".join(said).splitlines()
    assert len(lines) == 2
    for line, start, seen in zip(
        lines,
        (f"POST /{SUBSCRIPTION}/x%0Aforged", f"GET /{SUBSCRIPTION}/locations"),
        (first, second),
        strict=True,
    ):
        assert line.startswith(f"{start} {seen.status} ")
        assert seen.headers["x-ms-request-id"] in line
    assert "secret" not in caplog.text
    assert "Pa55" not in caplog.text


async def test_a_request_is_in_the_log_a_moment_later(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reddog.frontend")
    seen = await endpoint.ask()
    for _ in range(50):
        if seen.headers["x-ms-request-id"] in caplog.text:
            break
        await asyncio.sleep(0.05)
    assert seen.headers["x-ms-request-id"] in caplog.text


# -- Kept answers -----------------------------------------------------------------------------------------
def counting(endpoint: Endpoint, *, lasting: bool) -> list[Call]:
    """Let Get Cloud Service Properties tell how often it was called."""
    calls: list[Call] = []

    def get(call: Call) -> Reply:
        calls.append(call)
        return Reply(only(HostedService, service_name=f"asked {len(calls)} times"), lasting=lasting)

    endpoint.handlers["Get Cloud Service Properties"] = get
    return calls


async def test_a_lasting_answer_is_given_again_until_something_is_stored(endpoint: Endpoint) -> None:
    counting(endpoint, lasting=True)
    async with endpoint.session() as session:
        first = await session.ask(f"{SERVICES}/web")
        again = await session.ask(f"{SERVICES}/web")
        assert "asked 1 times" in first.body == again.body
        assert first.headers["x-ms-request-id"] != again.headers["x-ms-request-id"]
        endpoint.gates["hosted_service"].open.set()
        endpoint.engine.wait(endpoint.hold("hosted_service"), 10)
        assert "asked 2 times" in (await session.ask(f"{SERVICES}/web")).body


async def test_a_lasting_answer_is_for_the_same_request_of_somebody_who_may_ask(endpoint: Endpoint) -> None:
    calls = counting(endpoint, lasting=True)
    await endpoint.ask(f"{SERVICES}/web")
    for options in (
        {"version": "2013-08-01"},
        {"path": f"{SERVICES}/other"},
        {"path": f"{SERVICES}/web?a=b"},
    ):
        await endpoint.ask(**{"path": f"{SERVICES}/web", **options})
    assert len(calls) == 4
    assert (await endpoint.ask(f"{SERVICES}/web", client="other")).status == 403
    assert (await endpoint.ask(f"{SERVICES}/web", client=None)).status == 403
    assert (await endpoint.ask(f"{SERVICES}/web", version=None)).status == 400
    assert (await endpoint.ask(f"{SERVICES}/web", method="PATCH")).status == 405


async def test_an_answer_made_while_something_was_being_stored_is_not_kept(endpoint: Endpoint) -> None:
    calls = counting(endpoint, lasting=True)
    inner = endpoint.handlers["Get Cloud Service Properties"]

    def get(call: Call) -> Reply:
        reply = inner(call)
        if len(calls) == 1:
            endpoint.hold("deployment")  # after the handler has read
        return reply

    endpoint.handlers["Get Cloud Service Properties"] = get
    assert "asked 1 times" in (await endpoint.ask(f"{SERVICES}/web")).body
    assert "asked 2 times" in (await endpoint.ask(f"{SERVICES}/web")).body


async def test_kept_answers_take_bounded_memory(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dispatch, "MOST_KEPT", 10 * _dispatch.KEPT_OVERHEAD)
    counting(endpoint, lasting=True)
    async with endpoint.session() as session:
        for number in range(100):
            await session.ask(f"{SERVICES}/web{number}")
            assert len(endpoint.front_end._dispatcher._kept._answers) <= 10


async def test_other_answers_are_made_anew_every_time(endpoint: Endpoint) -> None:
    calls = counting(endpoint, lasting=False)
    for _ in range(3):
        await endpoint.ask(f"{SERVICES}/web")
    assert len(calls) == 3


# -- Connections ------------------------------------------------------------------------------------------
async def test_ipv6_loopback_is_served_too(endpoint: Endpoint) -> None:
    if not _server._has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    async with endpoint.session() as session:
        assert (await session.ask(host="[::1]")).status == 200
        assert (await session.ask(host="127.0.0.1")).status == 200


async def test_requests_are_served_while_others_wait(endpoint: Endpoint) -> None:
    free = threading.Event()

    def wait(call: Call) -> Reply:
        free.wait(20)
        return Reply()

    endpoint.handlers["List Storage Accounts"] = wait
    async with endpoint.session() as session:
        slow = [asyncio.create_task(session.ask("/services/storageservices")) for _ in range(10)]
        seen = await asyncio.gather(*(session.ask() for _ in range(50)))
        assert {one.status for one in seen} == {200}
        assert not any(task.done() for task in slow)
        free.set()
        assert {one.status for one in await asyncio.gather(*slow)} == {200}


async def test_a_thousand_idle_connections_do_no_harm(endpoint: Endpoint) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip("this process may not open 3000 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    idle = []
    try:
        for _ in range(20):
            idle += await asyncio.gather(*(endpoint.open() for _ in range(50)))
        began = time.monotonic()
        assert (await endpoint.ask()).status == 200
        assert time.monotonic() - began < 5
    finally:
        for _, writer in idle:
            writer.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_long_list_is_sent_in_pieces(endpoint: Endpoint) -> None:
    asked: list[int] = []

    def pieces():
        for number in range(5):
            asked.append(number)
            yield b"<a>%d</a>" % number

    endpoint.handlers["List Locations"] = lambda call: Reply(pieces())
    seen = await endpoint.ask()
    assert seen.headers["Transfer-Encoding"] == "chunked"
    assert seen.body == "".join(f"<a>{number}</a>" for number in range(5))
    assert asked == list(range(5))


async def test_requests_under_way_are_finished_when_the_server_stops(start: StartEndpoint) -> None:
    endpoint = await start()
    began = threading.Event()

    def work(call: Call) -> Reply:
        began.set()
        time.sleep(0.5)
        return Reply(location="done")

    endpoint.handlers["Create Cloud Service"] = work
    async with endpoint.session() as session:
        await session.ask()
        under_way = asyncio.create_task(session.ask(SERVICES, method="POST", body=CREATE))
        await asyncio.to_thread(began.wait, 5)
        stopping = asyncio.create_task(endpoint.front_end.stop())
        assert (await under_way).headers["Location"] == "done"
        await stopping
        with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
            await session.ask()


async def test_a_port_that_is_taken_is_told_and_leaves_nothing_open(
    endpoint: Endpoint, start: StartEndpoint
) -> None:
    second = _server.FrontEnd(
        "127.0.0.1", endpoint.port, access=endpoint.access, dispatcher=endpoint.front_end._dispatcher
    )
    with pytest.raises(OSError, match=str(endpoint.port)):
        await second.start()
    assert (await endpoint.ask()).status == 200
