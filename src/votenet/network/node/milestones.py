"""What the log of a node says of the way of an election: amendments, the closing, the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from votenet.protocol.node.node_core import NodeCore


class _Stand(NamedTuple):
    amendments: int
    closed: bool
    final: bool


class Milestones:
    """Tells each step once. What was so at the first look was told before a restart, or is on the chain."""

    def __init__(self) -> None:
        self._told: _Stand | None = None

    def look(self, core: NodeCore) -> Iterator[str]:
        """A line for each step since the last look."""
        election, closing = core.state.election, core.closing
        closed = closing is not None and closing.end.late is not None
        now = _Stand(len(election.amendments), closed, core.is_final)
        told, self._told = self._told or now, now
        for one in election.amendments[told.amendments :]:
            yield f"amendment {one.number} is in force: {one.action}"
        if now.closed and not told.closed:
            yield "voting is over: the closing block is on the chain"
        if now.final and not told.final:
            what = "the cancellation is" if election.cancelled else "the votes are"
            yield f"{what} final: block {core.state.chain.tip.height:,} is the last one, and signed"
