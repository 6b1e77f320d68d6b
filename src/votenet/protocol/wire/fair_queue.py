"""A queue whose lanes take turns, so that a crowded lane does not delay the others."""

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

    def __len__(self) -> int:
        """Items to get now; those of held lanes do not count."""
        return sum(map(len, self._lanes.values()))

    def put(self, lane: str, item: T) -> None:
        held = self._held.get(lane)
        if held is None:
            self._lanes.setdefault(lane, deque()).append(item)
        else:
            held.append(item)

    def put_first(self, lane: str, item: T) -> None:
        """Put an item before all others; its lane has the next turn."""
        self._lanes.setdefault(lane, deque()).appendleft(item)
        self._lanes.move_to_end(lane, last=False)

    def stay(self, lane: str) -> None:
        """Give the next turn to a lane, if it has items."""
        if lane in self._lanes:
            self._lanes.move_to_end(lane, last=False)

    def hold(self, lane: str, first: T) -> None:
        """Give a lane no turns until `release`; `first`, which was just got from it, comes first then."""
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
