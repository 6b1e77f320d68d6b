"""How far a node that is behind has come: a line now and then.

What lives here: Progress. What must not: logging, sockets; whoever asks tells it to people.
"""

from __future__ import annotations

from typing import Final

from votenet.protocol.state import NodeState

PROGRESS_SECONDS: Final = 1.0
WORTH_TELLING: Final = 2
"""Blocks behind: one block is on its way all the time."""


class Progress:
    """Words for a node that catches up, at most one line in PROGRESS_SECONDS."""

    def __init__(self) -> None:
        self._next = 0.0

    def look(self, state: NodeState, now: float) -> str | None:
        """What to tell at `now` (seconds of any steady clock); None: nothing, or not yet."""
        tip, goal = state.chain.tip, state.sync.goal
        if now < self._next or goal is None or goal.height < tip.height + WORTH_TELLING:
            return None
        self._next = now + PROGRESS_SECONDS
        share = tip.height / goal.height
        votes = state.chain.tally.votes
        return f"catching up: block {tip.height:,} of {goal.height:,} ({share:.0%}), {votes:,} votes checked"
