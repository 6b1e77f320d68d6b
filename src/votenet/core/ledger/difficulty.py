"""Retargeting: how hard the next block must be, so that blocks under load come one an interval.

After every block the target moves by a small part of how late or early that block was: with blocks twice
as fast as wanted the difficulty has doubled after about a hundred of them. It never falls below the
genesis value, and never rises above MAX_RISE times that. Otherwise a miner with a thousand times the power of
all others could make a burst of blocks and leave, and no block would be found for hours or days.

Time is measured between the *median times* of consecutive blocks (MEDIAN_SPAN ancestors each). They never
fall, and no miner can move one alone: with plain times a miner could write early and late ones in turn.

Blocks are mined only while votes wait, so a long gap says nothing about the difficulty: it counts as one
interval. Two long gaps in a row may also mean that most of the mining power has left. They count, up to
a limit, so that a network can never be stuck with blocks that are too hard to find. If it was only idle
twice, it is not under load and an easier block does no harm.
"""

from __future__ import annotations

from votenet.core.limits import LONG_GAP, MAX_RISE, RETARGET_SPAN
from votenet.pow import bits_to_target, target_to_bits


def next_bits(bits: int, floor_bits: int, interval: int, gap: int, gap_before: int) -> int:
    """The compact target of the block after one with `bits`.

    Args:
        bits: compact target of the parent.
        floor_bits: compact target of genesis: the easiest there is.
        interval: seconds wanted between blocks.
        gap: median time of the parent minus that of the block before it, seconds.
        gap_before: the same, one block earlier.
    """
    span = RETARGET_SPAN * interval
    target = bits_to_target(bits) * (span + _counted(interval, gap, gap_before) - interval) // span
    easiest = bits_to_target(floor_bits)
    hardest = max(easiest // MAX_RISE, 1)
    return floor_bits if target >= easiest else target_to_bits(max(target, hardest))


def _counted(interval: int, gap: int, gap_before: int) -> int:
    longest = LONG_GAP * interval
    if gap <= longest:
        return gap
    return longest if gap_before > longest else interval
