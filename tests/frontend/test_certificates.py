"""Who gets in: certificates over real TLS."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from certificates import make_client
from reddog.services import Call, Reply
from reddog.wire import OPERATIONS

from .conftest import OTHER, SUBSCRIPTION, Endpoint, subject


async def test_a_registered_certificate_gets_an_answer(endpoint: Endpoint) -> None:
    seen = await endpoint.ask()
    assert (seen.status, "West US" in seen.body) == (200, True)


async def test_no_certificate_is_answered_403_in_words(endpoint: Endpoint) -> None:
    seen = await endpoint.ask(client=None)
    assert seen.status == 403
    assert "<Code>AuthenticationFailed</Code>" in seen.body
    assert len(seen.headers["x-ms-request-id"]) == 32


async def test_a_certificate_of_another_subscription_is_answered_403(endpoint: Endpoint) -> None:
    assert (await endpoint.ask(client="other")).status == 403
    assert (await endpoint.ask(client="other", subscription=OTHER)).status == 200


async def test_an_unknown_subscription_is_refused_like_a_foreign_one(endpoint: Endpoint) -> None:
    unknown = await endpoint.ask(subscription="00000000-0000-0000-0000-000000000000")
    foreign = await endpoint.ask(subscription=OTHER)
    assert (unknown.status, unknown.body) == (foreign.status, foreign.body) == (403, foreign.body)


async def test_the_path_of_list_subscriptions_is_no_way_around_authorization(endpoint: Endpoint) -> None:
    seen = await endpoint.ask("/services/hostedservices", subscription="subscriptions")
    assert seen.status == 403
    assert (await endpoint.ask("", subscription="Subscriptions")).status == 200


@pytest.mark.parametrize("path", ["/%2e/locations", "/../x/locations", "//locations", "/%00/locations"])
async def test_odd_paths_do_not_get_around_authorization(endpoint: Endpoint, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nx-ms-version: 2014-10-01\r\nConnection: close\r\n\r\n"
    assert (await endpoint.speak(request.encode())).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_unregistered_certificate_is_answered_403_in_words(
    endpoint: Endpoint, version: ssl.TLSVersion
) -> None:
    for client in ("stranger", "stranger", "admin", None, "stranger"):
        status, body = await ask_with(endpoint, client, version)
        assert (status, "AuthenticationFailed" in body) == (
            (200, False) if client == "admin" else (403, True)
        )


async def ask_with(endpoint: Endpoint, client: object, version: ssl.TLSVersion) -> tuple[int, str]:
    context = endpoint.context(client)  # type: ignore[arg-type]
    context.maximum_version = context.minimum_version = version
    url = f"https://localhost:{endpoint.port}/{SUBSCRIPTION}/locations"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url, headers={"x-ms-version": "2014-10-01"}) as response,
    ):
        return response.status, await response.text()


async def test_where_python_shows_no_messages_the_log_says_what_to_do(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.access.context._msg_callback = None  # type: ignore[attr-defined]
    caplog.set_level(logging.WARNING)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await endpoint.ask(client="stranger")
    assert "reddog cert add" in caplog.text


async def test_a_certificate_signed_by_a_registered_one_is_not_registered_by_that(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    signed = make_client(tmp_path, "signed", issuer=endpoint.clients["admin"])
    assert (await endpoint.ask(client=signed)).status == 403


async def test_a_registered_certificate_may_be_signed_by_an_unknown_authority(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    signed = make_client(tmp_path, "signed", issuer=endpoint.clients["stranger"])
    endpoint.register(signed)
    assert (await endpoint.ask(client=signed)).status == 200


async def test_certificates_of_the_same_name_are_told_apart(endpoint: Endpoint, tmp_path: Path) -> None:
    twins = [make_client(tmp_path, "twin") for _ in range(3)]
    endpoint.register(twins[0], twins[1])
    assert [(await endpoint.ask(client=twin)).status for twin in twins[:2]] == [200, 200]
    assert (await endpoint.ask(client=twins[2])).status == 403


@pytest.mark.parametrize(
    ("begin", "end"),
    [(timedelta(days=-9), timedelta(days=-2)), (timedelta(days=2), timedelta(days=9))],
    ids=["expired", "not yet valid"],
)
async def test_a_certificate_out_of_its_time_is_answered_403_with_both_clocks(
    endpoint: Endpoint, tmp_path: Path, begin: timedelta, end: timedelta
) -> None:
    client = make_client(tmp_path, "untimely", begin=begin, end=end)
    endpoint.register(client)
    seen = await endpoint.ask(client=client)
    assert seen.status == 403
    assert "<Code>AuthenticationFailed</Code>" in seen.body
    assert f"{client.certificate.not_after:%Y-%m-%d}" in seen.body
    assert "it is now" in seen.body


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_key_of_1024_bits_is_taken(
    endpoint: Endpoint, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    client = make_client(tmp_path, "weak", bits=1024)
    endpoint.register(client)
    context = endpoint.context(client)
    context.maximum_version = context.minimum_version = version
    connector = aiohttp.TCPConnector(ssl=context)
    url = f"https://localhost:{endpoint.port}/{SUBSCRIPTION}/locations"
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers={"x-ms-version": "2014-10-01"}) as response,
    ):
        assert response.status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_tls_older_than_1_2_is_refused(endpoint: Endpoint) -> None:
    context = endpoint.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, aiohttp.ClientError)):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            await session.get(f"https://localhost:{endpoint.port}/")


async def test_a_certificate_works_as_soon_as_it_is_added(endpoint: Endpoint) -> None:
    endpoint.register(endpoint.clients["admin"], endpoint.clients["stranger"])
    assert (await endpoint.ask(client="stranger")).status == 200


async def test_a_certificate_that_openssl_cannot_read_shuts_nobody_else_out(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    good = subject(endpoint.clients["admin"])
    bad = replace(good, thumbprint="00" * 20, der=b"not a certificate")
    endpoint.access.update([SUBSCRIPTION], [bad, good])
    assert (await endpoint.ask()).status == 200
    assert "00" * 20 in caplog.text


async def test_a_certificate_that_is_for_clients_works_and_one_for_servers_only_does_not(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    client = make_client(tmp_path, "client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    server = make_client(tmp_path, "server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    endpoint.register(client, server)
    assert (await endpoint.ask(client=client)).status == 200
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await endpoint.ask(client=server)


async def test_a_removed_certificate_stops_working_on_open_connections_too(endpoint: Endpoint) -> None:
    async with endpoint.session() as session:
        assert (await session.ask()).status == 200
        endpoint.register(endpoint.clients["other"])
        assert (await session.ask()).status == 403
        assert (await endpoint.ask()).status == 403
        endpoint.register(endpoint.clients["admin"])
        assert (await session.ask()).status == 200


async def test_a_resumed_tls_session_is_authorized_by_its_certificate(endpoint: Endpoint) -> None:
    context = endpoint.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    statuses, session = [], None
    for registered in ("admin", "admin", "other"):
        endpoint.register(endpoint.clients[registered])
        status, session = await _resume(endpoint, context, session)
        statuses.append(status)
    assert statuses == ["200", "200", "403"]


async def _resume(
    endpoint: Endpoint, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[str, ssl.SSLSession | None]:
    def ask() -> tuple[str, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", endpoint.port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost", session=session) as tls,
        ):
            assert tls.session_reused is (session is not None)
            request = f"GET /{SUBSCRIPTION}/locations HTTP/1.1\r\nHost: x\r\nx-ms-version: 2014-10-01\r\n\r\n"
            tls.sendall(request.encode())
            return tls.recv(100).split()[1].decode(), tls.session

    return await asyncio.to_thread(ask)


async def test_every_operation_is_refused_to_others(endpoint: Endpoint) -> None:
    """Derived from the operation table, so that none can be forgotten."""

    def called(call: Call) -> Reply:
        raise AssertionError(f"{call.operation.name} was called")

    endpoint.handlers.update(dict.fromkeys(OPERATIONS, called))
    for client in ("other", "stranger", None):
        async with endpoint.session(client) as session:
            for name, operation in OPERATIONS.items():
                if client == "other" and name == "List Subscriptions":
                    continue  # everybody may list their own
                path = re.sub(r"\[.*|\{subscription-id\}", "", operation.uri)
                path = re.sub(r"\{[^}]*\}", "x", path).removeprefix("/")
                subscription = None if name == "List Subscriptions" else SUBSCRIPTION
                prefix = "/" if subscription is None else ""
                seen = await session.ask(prefix + path, method=operation.method, subscription=subscription)
                assert (name, seen.status) == (name, 403)
