"""How long a node that was put back from a backup says nothing, so that it never contradicts what it forgot.

Its disk does not know what its key signed after the backup. It was at most one height beyond every honest
node that was in the quorum for the newest block (docs/consensus.md has the proof). So others tell their
heights, and the node says nothing there and at the next one. What others hold of its statements proves less:
a liar may hide some, and an honest node forgets them when it restarts.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Final

from votenet.core.election.quorum import enough_tellers, quorum_of

SILENT_HEIGHTS: Final = 2
"""The height that an honest node tells, and the next one: the lost disk may have held statements of both."""


class Silence:
    """Of one restored node, from its start until it may speak."""

    def __init__(self, nodes: int, known_height: int = 0, lost: Collection[int] = ()) -> None:
        """
        Args:
            known_height: the disk knows every statement up to this height, because the node had been stopped
                for good when the backup was taken; 0: it went on.
            lost: named nodes that will never tell, because their disks are lost, too.
        """
        self.nodes, self.known_height, self.lost = nodes, known_height, frozenset(lost)
        self.twin = False
        """Another process speaks with our key now: this one says nothing any more."""
        self._told: dict[int, int] = {}
        """The height of each other named node when it first told."""

    def tell(self, node: int, height: int) -> None:
        """Another named node was at most at this height when it said so, after our start.

        No signature is over this: the caller tells what came over a link that it has reason to trust.
        """
        self._told.setdefault(node, height)

    @property
    def floor(self) -> int | None:
        """The lowest height at which our key has signed nothing; None while too few have told their heights.

        Whoever else told a higher one may lie: the lowest heights of enough nodes will do.
        """
        enough = enough_tellers(self.nodes)
        if len(self._told) < enough:
            return None
        return sorted(self._told.values())[enough - 1] + SILENT_HEIGHTS

    def may_end(self, height: int, answers: Set[int], others: Set[int]) -> bool:
        """Whether we may speak at this height, once others have told which of our statements there they hold.

        Args:
            answers: named nodes that have told that.
            others: all named nodes but us.
        """
        if self.twin:
            return False
        if (floor := self.floor) is not None and height >= floor:
            return True
        quorum_told = len(self._told) >= quorum_of(self.nodes) - 1
        if quorum_told and max(self._told.values(), default=0) <= self.known_height:
            return True  # nothing was decided since it was stopped: its statements are on the disk
        # Others may hide what we said, or have forgotten it. Where they can decide nothing without us, or an
        # operator has given nodes up, we take their word for it.
        needed = len(others) < quorum_of(self.nodes) or bool(self.lost)
        return needed and others - self.lost <= answers

    def is_twins(self, height: int) -> bool:
        """Whether an own statement of this height that we did not make is of a process that runs now."""
        return (floor := self.floor) is not None and height >= floor
