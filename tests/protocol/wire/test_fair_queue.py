"""Lanes that take turns."""

from __future__ import annotations

import pytest

from votenet.protocol.wire.fair_queue import FairQueue


def test_a_crowd_in_one_lane_does_not_keep_another_waiting() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.put("crowd", f"crowd {number}")
    assert queue.get() == "crowd 0"
    queue.put("one", "one")
    queue.put("two", "two 0")
    queue.put("two", "two 1")
    order = [queue.get() for _ in range(6)]
    assert order == ["crowd 1", "one", "two 0", "crowd 2", "two 1", "crowd 3"]


def test_a_lane_keeps_its_order_and_an_empty_queue_says_so() -> None:
    queue: FairQueue[int] = FairQueue()
    assert not queue
    for number in range(3):
        queue.put("a", number)
    assert queue
    assert [queue.get() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(IndexError):
        queue.get()
    queue.put("a", 1)
    queue.clear()
    assert not queue


def test_a_lane_that_is_held_has_no_turn_and_keeps_its_order() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in (1, 2):
        queue.put("a", number)
    queue.hold("a", queue.get())
    queue.put("a", 3)
    assert not queue
    queue.put("b", 9)
    assert queue.get() == 9
    queue.release("a")
    queue.release("unknown")
    assert [queue.get() for _ in range(3)] == [1, 2, 3]
    queue.put("a", 4)
    queue.hold("a", queue.get())
    queue.clear()
    queue.release("a")
    assert not queue


def test_an_item_put_first_comes_before_all_others() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.put("a", 1), queue.put("b", 2), queue.put("b", 3)
    queue.put_first("b", 0)
    assert len(queue) == 4
    assert [queue.get() for _ in range(4)] == [0, 1, 2, 3]


def test_a_lane_may_stay_for_another_turn() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.put("a", 1), queue.put("b", 3), queue.put("a", 2)
    order = [queue.get()]
    for lane in ("a", "a", "unknown"):
        queue.stay(lane)
    assert [*order, queue.get(), queue.get()] == [1, 2, 3]
