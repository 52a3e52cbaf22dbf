"""Operations on the messages of a queue."""

from __future__ import annotations

from aiohttp import web

from reddog.storage._errors import bad_query
from reddog.storage._request import empty, http_date
from reddog.storage.queues._request import QueueRequest, shown

HOUR, DAY = 3600, 86400  # seconds
WEEK = 7 * DAY
MOST_AT_ONCE = 32
_HIDDEN_WHEN_GOT = 30  # seconds
_LONGEST_HIDDEN_BEFORE_2011 = 2 * HOUR
_LONGEST = 1 << 62


async def put(request: QueueRequest) -> web.StreamResponse:
    """Put Message."""
    name, lasts = request.queue, _time_to_live(request)
    hidden = request.integer("visibilitytimeout", 0, 0, WEEK)
    if lasts is not None and hidden >= lasts:
        raise bad_query("visibilitytimeout", f"{hidden} (it has to be less than messagettl)")
    text = await request.text()
    message = await request.account.queues.write_briefly(lambda queues: queues.put(name, text, hidden, lasts))
    if request.version < "2016-05-31":
        return empty(201)
    told = ("MessageId", "InsertionTime", "ExpirationTime", "PopReceipt", "TimeNextVisible")
    return shown([message], told, 201)


def _time_to_live(request: QueueRequest) -> int | None:
    """Seconds that a message lasts; None for ever."""
    if request.version < "2017-07-29":
        return request.integer("messagettl", WEEK, 1, WEEK)
    lasts = request.integer("messagettl", WEEK, -1, _LONGEST)
    if lasts == 0:
        raise bad_query("messagettl", "0 (it has to be at least 1, or -1 for a message that lasts for ever)")
    return None if lasts == -1 else lasts


async def get(request: QueueRequest) -> web.StreamResponse:
    """Get Messages: they are hidden from others for a while, not deleted."""
    longest = WEEK if request.version >= "2011-08-18" else _LONGEST_HIDDEN_BEFORE_2011
    name, limit = request.queue, request.integer("numofmessages", 1, 1, MOST_AT_ONCE)
    hidden = request.integer("visibilitytimeout", _HIDDEN_WHEN_GOT, 1, longest)
    messages = await request.account.queues.write_briefly(lambda queues: queues.get(name, limit, hidden))
    told = ("MessageId", "InsertionTime", "ExpirationTime", "PopReceipt", "TimeNextVisible")
    return shown(messages, (*told, *_counted(request), "MessageText"))


async def peek(request: QueueRequest) -> web.StreamResponse:
    """Peek Messages."""
    name, limit = request.queue, request.integer("numofmessages", 1, 1, MOST_AT_ONCE)
    messages = await request.account.queues.read(lambda queues: queues.peek(name, limit))
    told = ("MessageId", "InsertionTime", "ExpirationTime", *_counted(request), "MessageText")
    return shown(messages, told)


def _counted(request: QueueRequest) -> tuple[str, ...]:
    return ("DequeueCount",) if request.version >= "2009-09-19" else ()


async def update(request: QueueRequest) -> web.StreamResponse:
    """Update Message: its visibility, and its text where there is a body."""
    name, identity, receipt = request.queue, request.message.lower(), request.required("popreceipt")
    request.required("visibilitytimeout")
    hidden = request.integer("visibilitytimeout", 0, 0, WEEK)
    text = await request.text() if request.body_size else None
    message = await request.account.queues.write_briefly(
        lambda queues: queues.update(name, identity, receipt, hidden, text)
    )
    headers = {"x-ms-popreceipt": message.pop_receipt, "x-ms-time-next-visible": http_date(message.visible)}
    return empty(204, headers)


async def delete(request: QueueRequest) -> web.StreamResponse:
    """Delete Message."""
    name, identity, receipt = request.queue, request.message.lower(), request.required("popreceipt")
    await request.account.queues.write_briefly(lambda queues: queues.remove(name, identity, receipt))
    return empty(204)


async def clear(request: QueueRequest) -> web.StreamResponse:
    """Clear Messages."""
    name = request.queue
    await request.account.queues.write(lambda queues: queues.clear(name))
    return empty(204)
