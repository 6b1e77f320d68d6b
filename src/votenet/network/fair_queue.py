"""A queue in which nobody waits for a crowd: lanes take turns.

What lives here: FairQueue. What must not: what is queued, and who has which lane.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items of one lane come out in their order; lanes with items take turns, one item each."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._held: dict[str, deque[T]] = {}

    def __bool__(self) -> bool:
        """Whether there is an item to get now."""
        return bool(self._lanes)

    def put(self, lane: str, item: T) -> None:
        held = self._held.get(lane)
        if held is None:
            self._lanes.setdefault(lane, deque()).append(item)
        else:
            held.append(item)

    def hold(self, lane: str, first: T) -> None:
        """A lane has no turns until `release`; `first`, which was just got from it, comes first then."""
        held = self._held.setdefault(lane, self._lanes.pop(lane, deque()))
        held.appendleft(first)

    def release(self, lane: str) -> None:
        held = self._held.pop(lane, None)
        if held:
            self._lanes[lane] = held

    def get(self) -> T:
        """The next item. Raises IndexError when there is none."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        lane, items = self._lanes.popitem(last=False)
        item = items.popleft()
        if items:
            self._lanes[lane] = items  # behind all others
        return item

    def clear(self) -> None:
        self._lanes.clear()
        self._held.clear()
