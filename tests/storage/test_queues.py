"""Queues as the current client for Python uses them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import (
    AccessPolicy,
    BinaryBase64DecodePolicy,
    BinaryBase64EncodePolicy,
    CorsRule,
    QueueClient,
    QueueSasPermissions,
)
from azure.storage.queue.aio import QueueServiceClient as AsyncQueueServiceClient

WEEK = timedelta(days=7)


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    found = error.value.error_code
    return error.value.status_code, str(getattr(found, "value", found))


def texts(messages) -> list[str]:
    return [message.content for message in messages]


def near(moment: datetime | None, seconds: float) -> bool:
    assert moment is not None
    return abs((moment - datetime.now(UTC)).total_seconds() - seconds) < 20


def test_a_message_is_put_got_and_deleted(queue: QueueClient):
    sent = queue.send_message("text <&> \n ü 🐶")
    assert near(sent.inserted_on, 0)
    assert near(sent.next_visible_on, 0)
    assert near(sent.expires_on, WEEK.total_seconds())
    got = queue.receive_message()
    assert got is not None
    assert (got.id, got.content, got.dequeue_count) == (sent.id, "text <&> \n ü 🐶", 1)
    assert near(got.next_visible_on, 30)
    assert got.pop_receipt != sent.pop_receipt
    assert queue.receive_message() is None
    queue.delete_message(got)
    with pytest.raises(ResourceNotFoundError) as error:
        queue.delete_message(got)
    assert code(error) == (404, "MessageNotFound")


def test_messages_are_got_in_the_order_in_which_they_became_visible(queue: QueueClient):
    for number in range(40):
        queue.send_message(str(number))
    first = list(queue.receive_messages(max_messages=5, visibility_timeout=600))
    assert texts(first) == [str(number) for number in range(5)]
    queue.update_message(first[2], visibility_timeout=0)
    rest = list(queue.receive_messages(messages_per_page=32, max_messages=64))
    assert texts(rest) == [*(str(number) for number in range(5, 40)), "2"]
    assert [one.dequeue_count for one in rest] == [1] * 35 + [2]


def test_a_message_that_was_not_deleted_comes_back(queue: QueueClient):
    queue.send_message("again")
    assert queue.receive_message(visibility_timeout=1)
    end = time.monotonic() + 20
    while (got := queue.receive_message()) is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (got.content, got.dequeue_count) == ("again", 2)


def test_a_message_may_be_put_for_later_and_updated_by_its_first_receipt(queue: QueueClient):
    sent = queue.send_message("later", visibility_timeout=500)
    assert queue.peek_messages(max_messages=32) == []
    assert near(sent.next_visible_on, 500)
    updated = queue.update_message(sent, content="sooner", visibility_timeout=0)
    assert updated.pop_receipt != sent.pop_receipt
    assert texts(queue.peek_messages()) == ["sooner"]
    with pytest.raises(ResourceNotFoundError) as error:
        queue.update_message(sent.id, sent.pop_receipt, visibility_timeout=0)
    assert code(error) == (404, "MessageNotFound")


def test_an_update_without_text_keeps_the_text(queue: QueueClient):
    sent = queue.send_message("text")
    updated = queue.update_message(sent, visibility_timeout=0)
    assert texts(queue.peek_messages()) == ["text"]
    assert near(updated.next_visible_on, 0)
    queue.delete_message(sent.id, updated.pop_receipt)
    assert queue.peek_messages() == []


def test_peeking_changes_nothing(queue: QueueClient):
    for number in range(3):
        queue.send_message(str(number))
    for _ in range(2):
        peeked = queue.peek_messages(max_messages=2)
        assert [(one.content, one.dequeue_count) for one in peeked] == [("0", 0), ("1", 0)]
    assert len(list(queue.receive_messages(max_messages=32))) == 3


def test_the_receipt_of_another_message_does_not_do(queue: QueueClient):
    one, other = queue.send_message("one"), queue.send_message("other")
    for receipt in (other.pop_receipt, "invalid"):
        for change in (
            lambda receipt=receipt: queue.delete_message(one.id, receipt),
            lambda receipt=receipt: queue.update_message(one.id, receipt, visibility_timeout=0),
        ):
            with pytest.raises(HttpResponseError) as error:
                change()
            assert code(error) == (400, "PopReceiptMismatch")
    with pytest.raises(ResourceNotFoundError) as error:
        queue.delete_message("not-an-id", one.pop_receipt)
    assert code(error) == (404, "MessageNotFound")


def test_messages_expire_or_never_do(queue: QueueClient):
    assert queue.send_message("for ever", time_to_live=-1).expires_on.year == 9999
    assert near(queue.send_message("long", time_to_live=100 * 86400).expires_on, 100 * 86400)
    short = queue.send_message("short", time_to_live=1)
    end = time.monotonic() + 20
    while len(queue.peek_messages(max_messages=32)) > 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    with pytest.raises(ResourceNotFoundError):
        queue.delete_message(short)
    assert queue.get_queue_properties().approximate_message_count == 2


def test_a_message_has_up_to_64_kibibytes(queue: QueueClient):
    largest = "é" * 32768
    sent = queue.send_message(largest)
    assert texts(queue.peek_messages()) == [largest]
    for change in (
        lambda: queue.send_message(largest + "a"),
        lambda: queue.update_message(sent, content=largest + "a", visibility_timeout=0),
    ):
        with pytest.raises(HttpResponseError) as error:
            change()
        assert code(error) == (413, "RequestBodyTooLarge")


def test_bytes_are_sent_in_base64(server, queue: QueueClient):
    coded = QueueClient(
        server.queues().url,
        "queue",
        credential=server.keys[0],
        message_encode_policy=BinaryBase64EncodePolicy(),
        message_decode_policy=BinaryBase64DecodePolicy(),
    )
    coded.send_message(bytes(range(256)))
    assert coded.receive_message().content == bytes(range(256))


def test_clearing_deletes_the_hidden_ones_too(queue: QueueClient):
    queue.set_queue_metadata({"a": "b"})
    for number in range(5):
        queue.send_message(str(number))
    got = queue.receive_message()
    queue.clear_messages()
    found = queue.get_queue_properties()
    assert (found.approximate_message_count, found.metadata) == (0, {"a": "b"})
    with pytest.raises(ResourceNotFoundError):
        queue.delete_message(got)


def test_creating_again_needs_the_same_metadata(server, queue: QueueClient):
    created = server.queues().create_queue("other", metadata={"Key": "value"})
    assert created.get_queue_properties().metadata == {"Key": "value"}
    with pytest.raises(ResourceExistsError) as error:  # the client's own idea of a success
        created.create_queue(metadata={"key": "value"})
    assert error.value.status_code == 204
    for metadata in ({"Key": "other"}, {}, {"Key": "value", "more": "1"}):
        with pytest.raises(ResourceExistsError) as error:
            created.create_queue(metadata=metadata)
        assert code(error) == (409, "QueueAlreadyExists")


def test_a_deleted_queue_is_gone_with_its_messages(queue: QueueClient):
    queue.send_message("text")
    queue.delete_queue()
    for operation in (
        queue.delete_queue,
        queue.get_queue_properties,
        queue.get_queue_access_policy,
        lambda: queue.send_message("text"),
        queue.receive_message,
        queue.peek_messages,
        queue.clear_messages,
        lambda: queue.set_queue_metadata({}),
        lambda: queue.set_queue_access_policy({}),
    ):
        with pytest.raises(ResourceNotFoundError) as error:
            operation()
        assert code(error) == (404, "QueueNotFound")
    queue.create_queue()
    assert queue.get_queue_properties().approximate_message_count == 0


def test_queues_are_listed_page_by_page(server):
    client = server.queues()
    for name in ("b-1", "b-2", "b-3", "aaa"):
        client.create_queue(name, metadata={"Of": name})
    assert [one.name for one in client.list_queues()] == ["aaa", "b-1", "b-2", "b-3"]
    pages = [list(page) for page in client.list_queues("b-", True, results_per_page=2).by_page()]
    assert [[(one.name, one.metadata) for one in page] for page in pages] == [
        [("b-1", {"Of": "b-1"}), ("b-2", {"Of": "b-2"})],
        [("b-3", {"Of": "b-3"})],
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ab", "OutOfRangeInput"),
        ("a" * 64, "OutOfRangeInput"),
        ("Queue", "InvalidResourceName"),
        ("a--b", "InvalidResourceName"),
        ("-ab", "InvalidResourceName"),
        ("ab-", "InvalidResourceName"),
        ("a_b", "InvalidResourceName"),
        ("käse", "InvalidResourceName"),
    ],
)
def test_names_that_no_queue_can_have_are_refused(server, name: str, expected: str):
    with pytest.raises(HttpResponseError) as error:
        server.queues().create_queue(name)
    assert code(error) == (400, expected)
    assert list(server.queues().list_queues()) == []


@pytest.mark.parametrize("name", ["abc", "0-1-2", "a" * 63])
def test_other_names_are_good(server, name: str):
    server.queues().create_queue(name)
    assert [one.name for one in server.queues().list_queues()] == [name]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda queue: queue.send_message("a", visibility_timeout=604801), "OutOfRangeQueryParameterValue"),
        (lambda queue: queue.send_message("a", visibility_timeout=-1), "OutOfRangeQueryParameterValue"),
        (lambda queue: queue.send_message("a", visibility_timeout=9, time_to_live=9), "InvalidQueryParameterValue"),
        (lambda queue: queue.send_message("a", time_to_live=0), "InvalidQueryParameterValue"),
        (lambda queue: queue.send_message("a", time_to_live=-2), "OutOfRangeQueryParameterValue"),
        (lambda queue: queue.receive_message(visibility_timeout=0), "OutOfRangeQueryParameterValue"),
        (lambda queue: queue.receive_message(visibility_timeout=604801), "OutOfRangeQueryParameterValue"),
        (lambda queue: list(queue.receive_messages(messages_per_page=33)), "OutOfRangeQueryParameterValue"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(queue: QueueClient, change, expected: str):
    with pytest.raises(HttpResponseError) as error:
        change(queue)
    assert code(error) == (400, expected)
    assert queue.get_queue_properties().approximate_message_count == 0


def test_stored_access_policies_come_back(queue: QueueClient):
    now = datetime.now(UTC).replace(microsecond=0)
    policy = AccessPolicy(QueueSasPermissions(read=True, process=True), now + WEEK, now)
    queue.set_queue_access_policy({"first": policy, "second": AccessPolicy(QueueSasPermissions(add=True))})
    found = queue.get_queue_access_policy()
    assert {name: one and one.permission for name, one in found.items()} == {"first": "rp", "second": "a"}
    with pytest.raises(HttpResponseError) as error:
        queue.set_queue_access_policy({"wrong": AccessPolicy("rwdl")})
    assert code(error) == (400, "InvalidXmlDocument")
    queue.set_queue_access_policy({})
    assert queue.get_queue_access_policy() == {}


def test_service_properties(server):
    client = server.queues()
    rule = CorsRule(["https://example.org"], ["GET"], max_age_in_seconds=5)
    client.set_service_properties(cors=[rule])
    assert [one.allowed_origins for one in client.get_service_properties()["cors"]] == ["https://example.org"]


def test_the_secondary_is_read_like_the_primary(server, queue: QueueClient):
    queue.send_message("text")
    second = server.queues({"account_name": "acct", "account_key": server.keys[0]}, "acct-secondary")
    assert texts(second.get_queue_client("queue").peek_messages()) == ["text"]


def test_consumers_at_the_same_time_get_messages_of_their_own(queue: QueueClient):
    for number in range(60):
        queue.send_message(str(number))

    def consume(_: int) -> list[str]:
        return texts(queue.receive_messages(messages_per_page=4, max_messages=40, visibility_timeout=600))

    with ThreadPoolExecutor(6) as pool:
        got = [text for found in pool.map(consume, range(6)) for text in found]
    assert sorted(got, key=int) == [str(number) for number in range(60)]


async def test_the_asynchronous_client(server):
    url = f"http://127.0.0.1:{server.ports['queue']}/acct"
    async with AsyncQueueServiceClient(url, credential=server.keys[0]) as client:
        queue = await client.create_queue("queue", metadata={"a": "b"})
        async with queue:
            await asyncio.gather(*(queue.send_message(str(number)) for number in range(20)))
            assert (await queue.get_queue_properties()).approximate_message_count == 20
            assert len(await queue.peek_messages(max_messages=32)) == 20
            got = [one async for one in queue.receive_messages(messages_per_page=8)]
            assert sorted(int(one.content) for one in got) == list(range(20))
            updated = await queue.update_message(got[0], content="new", visibility_timeout=0)
            await queue.delete_message(updated)
            await asyncio.gather(*(queue.delete_message(one) for one in got[1:]))
            assert (await queue.get_queue_properties()).approximate_message_count == 0
            await queue.clear_messages()
            assert [one.name async for one in client.list_queues()] == ["queue"]
            await queue.delete_queue()
