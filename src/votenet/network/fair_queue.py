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

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def put(self, lane: str, item: T) -> None:
        self._lanes.setdefault(lane, deque()).append(item)

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
