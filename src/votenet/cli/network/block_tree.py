"""A tree of blocks as text: a column with a line for each branch, beside the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from votenet.client.block_list import ShownBlock

BEST: Final = "●"
ASIDE: Final = "○"


class TreeRow(NamedTuple):
    """A line of the table. `block`: None where a branch only leaves another."""

    lanes: str
    block: ShownBlock | None


def tree_rows(blocks: Sequence[ShownBlock], best: frozenset[str]) -> Iterator[TreeRow]:
    """The blocks with parents above children, and the drawing to the left of them.

    Args:
        best: hashes of the blocks of the branch that is drawn as a straight line.
    """
    ordered = sorted(blocks, key=lambda block: (block.height, block.hash in best, block.hash))
    shown = {block.hash for block in ordered}
    lane_of: dict[str, int] = {}
    goes_on: dict[str, str] = {}
    """Of each block the child that stands below it, its last one; others begin a branch of their own."""
    for block in ordered:
        if block.hash in best or block.previous not in best:
            goes_on[block.previous] = block.hash
    left = _children(ordered)
    active: set[int] = set()
    for block in ordered:
        if block.hash in best:
            lane = 0
        elif goes_on.get(block.previous) == block.hash and block.previous in lane_of:
            lane = lane_of[block.previous]
        else:
            lane = next(number for number in range(1, len(ordered) + 2) if number not in active)
            if block.previous in shown:
                yield TreeRow(_fork(lane_of[block.previous], lane, active), None)
        active.add(lane)
        lane_of[block.hash] = lane
        yield TreeRow(_row(lane, active, BEST if block.hash in best else ASIDE), block)
        if not left[block.hash]:
            active.discard(lane)


def _children(blocks: Sequence[ShownBlock]) -> dict[str, int]:
    """How many of the blocks stand on each."""
    found = {block.hash: 0 for block in blocks}
    for block in blocks:
        if block.previous in found:
            found[block.previous] += 1
    return found


def _row(lane: int, active: set[int], sign: str) -> str:
    width = max(active) + 1
    return " ".join(sign if one == lane else "│" if one in active else " " for one in range(width))


def _fork(start: int, end: int, active: set[int]) -> str:
    """A line from one lane to a new one."""
    low, high = min(start, end), max(start, end)
    found = []
    for lane in range(max(high, *active) + 1):
        if lane == start:
            sign = "├" if start < end else "┤"
        elif lane == end:
            sign = "╮" if start < end else "╭"
        elif low < lane < high:
            sign = "┼" if lane in active else "─"
        else:
            sign = "│" if lane in active else " "
        found.append(sign + ("─" if low <= lane < high else " "))
    return "".join(found).rstrip()
