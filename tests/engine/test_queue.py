"""The work queue: due times, coalescing, one taker per item."""

from __future__ import annotations

import threading
import time

from reddog.engine._queue import WorkQueue


def test_items_come_when_they_are_due_and_in_that_order():
    queue = WorkQueue()
    queue.add(("later",), 0.05)
    queue.add(("now",))
    begin = time.monotonic()
    assert queue.take() == ("now",)
    assert queue.take() == ("later",)
    assert time.monotonic() - begin >= 0.05


def test_of_several_times_the_earlier_counts():
    queue = WorkQueue()
    queue.add(("a",), 60)
    queue.add(("a",))
    queue.add(("a",), 30)
    assert queue.take() == ("a",)
    queue.done(("a",))
    queue.add(("end",), 0.05)
    assert queue.take() == ("end",)


def test_an_item_in_progress_is_handed_out_again_only_when_done():
    queue = WorkQueue()
    queue.add(("a",))
    assert queue.take() == ("a",)
    queue.add(("a",))
    queue.add(("a",))
    queue.add(("b",))
    assert queue.take() == ("b",)
    queue.add(("end",), 0.05)
    assert queue.take() == ("end",)
    queue.done(("a",))
    assert queue.take() == ("a",)


def test_an_earlier_item_wakes_those_who_wait_for_a_later_one():
    queue = WorkQueue()
    queue.add(("later",), 60)
    taken = []
    threads = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    queue.add(("soon",), 0.05)
    queue.add(("now",))
    end = time.monotonic() + 5
    while len(taken) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert taken == [("now",), ("soon",)]
    queue.stop()
    for thread in threads:
        thread.join(5)
    assert taken[2:] == [None]


def test_discarded_items_take_no_room():
    queue = WorkQueue()
    for number in range(10_000):
        queue.add(("deadline", str(number)), 900)
        queue.discard(("deadline", str(number)))
    assert len(queue._heap) < 200
    queue.add(("end",))
    assert queue.take() == ("end",)


def test_a_stopped_queue_hands_out_nothing():
    queue = WorkQueue()
    queue.add(("a",))
    queue.stop()
    assert queue.take() is None
    queue.add(("b",))
    assert queue.take() is None
