"""At which height the votes of the last blocks stand, looked up by vote id for a closing block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from votenet.core.log.tiles import log_leaves_between
from votenet.protocol.node.state import NodeState


class VoteHeights:
    """Reads each block once, however many closing blocks are proposed and however low their lists begin.

    The leaf of a vote in the election's log is its id, so tiles are read, not votes.
    """

    def __init__(self, state: NodeState, sizes: Sequence[int]) -> None:
        """`sizes`: of the log behind each block, by height."""
        self._state, self._sizes = state, sizes
        self._heights: dict[bytes, int] = {}
        self._first = self._end = 0
        """Blocks `first` to `end` (not with it) have been read."""

    def between(self, lowest: int, height: int) -> Callable[[bytes], bool]:
        """Whether a vote is in a block above `lowest` and below `height`.

        Every block up to that one is on the chain.
        """
        if not self._end:
            self._first = self._end = height
        for at in range(self._end, height):
            self._read(at)
        for at in range(self._first - 1, lowest, -1):
            self._read(at)
        self._first, self._end = min(self._first, lowest + 1), max(self._end, height)
        heights = self._heights
        return lambda vote_id: lowest < heights.get(vote_id, 0) < height

    def _read(self, height: int) -> None:
        entry = self._state.chain.best[height]
        unsaved = self._state.unsaved.get(entry.hash)
        if unsaved is not None:
            ids = [hashed.id for hashed in unsaved]
        else:
            start, end = self._sizes[height - 1], self._sizes[height]
            ids = log_leaves_between(start, end - 1, self._state.source.tile)  # the last one is the header
        self._heights.update(dict.fromkeys(ids, height))

    def forget(self) -> None:
        """Free the memory: the election is closed."""
        self._heights, self._first, self._end = {}, 0, 0
