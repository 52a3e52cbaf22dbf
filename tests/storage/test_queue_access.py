"""Who may do what with queues: keys, shared access signatures, stored policies; and accounts that share nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import (
    AccessPolicy,
    AccountSasPermissions,
    QueueClient,
    QueueSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_queue_sas,
)

import signing

HOUR = timedelta(hours=1)
Operation = Callable[[QueueClient], object]
OPERATIONS: dict[str, Operation] = {
    "metadata": lambda queue: queue.get_queue_properties(),
    "peek": lambda queue: queue.peek_messages(),
    "put": lambda queue: queue.send_message("mine"),
    "get": lambda queue: queue.receive_message(visibility_timeout=1),
    "update": lambda queue: queue.update_message("0", "0", visibility_timeout=0),
    "delete": lambda queue: queue.delete_message("0", "0"),
    "clear": lambda queue: queue.clear_messages(),
    "set metadata": lambda queue: queue.set_queue_metadata({}),
    "get acl": lambda queue: queue.get_queue_access_policy(),
    "set acl": lambda queue: queue.set_queue_access_policy({}),
    "drop": lambda queue: queue.delete_queue(),
    "create": lambda queue: queue.create_queue(),
}


def now() -> datetime:
    return datetime.now(UTC)


def code(error: pytest.ExceptionInfo[HttpResponseError]) -> str:
    found = error.value.error_code
    return str(getattr(found, "value", found))


def allowed(queue: QueueClient) -> set[str]:
    """The names of the operations that are not refused for want of permission; none of them destroys anything."""
    found = set()
    for name, operation in OPERATIONS.items():
        try:
            operation(queue)
        except HttpResponseError as error:
            if error.status_code == 403:
                continue
        found.add(name)
    return found


@pytest.fixture
def guest(server, queue: QueueClient) -> Callable[..., QueueClient]:
    """A client with a signature for one queue."""

    def make(permissions: str = "", name: str = "queue", **more) -> QueueClient:
        terms = {"permission": QueueSasPermissions.from_string(permissions), "expiry": now() + HOUR, **more}
        sas = generate_queue_sas("acct", name, server.keys[0], **terms)
        return server.queues(sas).get_queue_client("queue")

    return make


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ("r", {"metadata", "peek"}),
        ("a", {"put"}),
        ("u", {"update"}),
        ("p", {"get", "delete"}),
        ("raup", {"metadata", "peek", "put", "update", "get", "delete"}),
    ],
)
def test_a_queues_signature_permits_what_it_says(guest, permissions: str, expected: set[str]):
    assert allowed(guest(permissions)) == expected


def test_a_signature_is_for_one_queue_of_one_account(server, queue, guest):
    with pytest.raises(HttpResponseError) as error:
        guest("raup", name="other").peek_messages()
    assert code(error) == "AuthenticationFailed"
    server.storage.ensure_account("other", *server.keys)
    server.queues(account="other").create_queue("queue")
    sas = generate_queue_sas("acct", "queue", server.keys[0], QueueSasPermissions(read=True), now() + HOUR)
    with pytest.raises(HttpResponseError) as error:
        server.queues(sas, "other").get_queue_client("queue").peek_messages()
    assert code(error) == "AuthenticationFailed"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"expiry": now() - HOUR}, "AuthenticationFailed"),
        ({"start": now() + HOUR, "expiry": now() + 2 * HOUR}, "AuthenticationFailed"),
        ({"ip": "10.1.2.3"}, "AuthorizationSourceIPMismatch"),
        ({"protocol": "https"}, "AuthorizationProtocolMismatch"),
    ],
)
def test_a_signature_outside_of_its_bounds_is_refused(guest, terms, expected: str):
    with pytest.raises(HttpResponseError) as error:
        guest("raup", **terms).peek_messages()
    assert (error.value.status_code, code(error)) == (403, expected)


def test_a_stored_policy_says_what_a_signature_permits_until_it_is_changed(server, queue: QueueClient):
    sas = generate_queue_sas("acct", "queue", server.keys[0], policy_id="workers")
    guest = server.queues(sas).get_queue_client("queue")

    def store(permissions: str, expiry: datetime) -> None:
        policy = AccessPolicy(QueueSasPermissions.from_string(permissions), expiry, now() - HOUR)
        queue.set_queue_access_policy({"workers": policy})

    with pytest.raises(HttpResponseError) as error:
        guest.peek_messages()
    assert code(error) == "AuthenticationFailed"
    store("r", now() + HOUR)
    assert allowed(guest) == {"metadata", "peek"}
    store("a", now() + HOUR)
    assert allowed(guest) == {"put"}
    store("r", now() - HOUR / 2)
    assert allowed(guest) == set()
    queue.delete_queue()
    queue.create_queue()
    assert allowed(guest) == set()


def test_a_stored_policy_may_tell_its_times_in_ticks(server, queue: QueueClient):
    sas = generate_queue_sas("acct", "queue", server.keys[0], policy_id="ticks")
    policy = AccessPolicy(QueueSasPermissions(read=True), "2999-12-31T11:22:33.4567890Z", "2017-12-31T00:00Z")
    queue.set_queue_access_policy({"ticks": policy})
    assert allowed(server.queues(sas).get_queue_client("queue")) == {"metadata", "peek"}


@pytest.mark.parametrize(
    ("kinds", "permissions", "expected"),
    [
        ("o", "raup", {"peek", "put", "update", "get", "delete"}),
        ("o", "d", {"clear"}),
        ("c", "raup", {"metadata"}),
        ("c", "w", {"set metadata", "create"}),
        ("c", "c", {"create"}),
        ("s", "rwdlacup", set()),
    ],
)
def test_an_accounts_signature_is_for_its_kinds_of_resources(server, queue, kinds, permissions, expected):
    types = ResourceTypes.from_string(kinds)
    sas = generate_account_sas(
        "acct", server.keys[0], types, AccountSasPermissions.from_string(permissions), now() + HOUR
    )
    assert allowed(server.queues(sas).get_queue_client("queue")) == expected


def test_listing_takes_an_accounts_signature_for_the_service(server, queue: QueueClient, guest):
    def names(kinds: str) -> list[str]:
        permission, types = AccountSasPermissions(list=True), ResourceTypes.from_string(kinds)
        sas = generate_account_sas("acct", server.keys[0], types, permission, now() + HOUR)
        return [one.name for one in server.queues(sas).list_queues()]

    assert names("s") == ["queue"]
    with pytest.raises(HttpResponseError) as error:
        names("co")
    assert code(error) == "AuthorizationResourceTypeMismatch"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "?comp=list"),
        ("PUT", "/other"),
        ("GET", "/queue?comp=metadata"),
        ("GET", "/queue/messages"),
        ("POST", "/queue/messages"),
        ("DELETE", "/queue"),
    ],
)
def test_nobody_does_anything_without_saying_who(server, queue: QueueClient, method: str, path: str):
    status, headers, _ = signing.ask(server.ports["queue"], method, f"/acct{path}", {})
    assert (status, headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")


def test_a_new_key_works_at_once_and_the_old_one_no_more(server, queue: QueueClient):
    fresh = "bmV3" * 22
    server.storage.ensure_account("acct", fresh, server.keys[1])
    assert [one.name for one in server.queues(fresh).list_queues()] == ["queue"]
    with pytest.raises(HttpResponseError) as error:
        queue.peek_messages()
    assert code(error) == "AuthenticationFailed"


def test_accounts_share_no_queues(server, queue: QueueClient):
    server.storage.ensure_account("other", *server.keys)
    other = server.queues(account="other")
    assert list(other.list_queues()) == []
    theirs = other.create_queue("queue")
    mine = queue.send_message("mine")
    theirs.send_message("theirs")
    with pytest.raises(HttpResponseError):
        theirs.delete_message(mine)
    assert [one.content for one in queue.peek_messages(max_messages=9)] == ["mine"]
    assert [one.content for one in theirs.peek_messages(max_messages=9)] == ["theirs"]
    server.storage.remove_account("acct")
    assert [path.name for path in server.root.iterdir()] == ["other"]
    assert [one.content for one in theirs.peek_messages(max_messages=9)] == ["theirs"]
    with pytest.raises(HttpResponseError) as error:
        queue.send_message("late")
    assert (error.value.status_code, code(error)) == (404, "ResourceNotFound")
    server.storage.ensure_account("acct", *server.keys)
    assert list(server.queues().list_queues()) == []
