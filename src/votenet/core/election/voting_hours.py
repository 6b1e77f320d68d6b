"""The hours of an election at one named node: several nodes judge together when voting is over."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from votenet.core.election.quorum import faults_of, quorum_of

LISTS_LATE_SECONDS: Final = 600
"""After both graces: whoever has still signed no closing list by then is taken for gone."""


class VotingHours:
    """When a named node takes votes, says that the hour has passed, and signs its closing list.

    A pure machine. Tell it the clock (`advance`) and what others have signed (`passed_at`) before you ask.
    The clock never goes back here. Times in Unix seconds.

    Args:
        node: the index of this node, of `nodes` named ones.
        closes: the closing time of the election.
        grace_seconds: how long votes that other nodes accepted in time may still arrive.
        hour_signed, list_signed: what this node has signed before it was started again.
    """

    def __init__(
        self,
        node: int,
        nodes: int,
        closes: int,
        grace_seconds: int,
        *,
        hour_signed: bool = False,
        list_signed: bool = False,
    ) -> None:
        self.closes = closes
        self.hour_signed = hour_signed or list_signed
        self.list_signed = list_signed
        self._grace = grace_seconds
        self._nodes = nodes
        self._others = frozenset(range(nodes)) - {node}
        self._passed: set[int] = set()
        self._now = 0.0
        self._stopped_at: float | None = None
        self._grace_ended_at: float | None = None

    # -- what happened -------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """The clock of this node."""
        self._now = max(self._now, now)
        self._judge()

    def passed_at(self, node: int) -> None:
        """Named node `node` has signed that the hour has passed, or a list for this closing time."""
        self._passed |= self._others & {node}
        self._judge()

    def sign_hour(self) -> None:
        """This node signs that the hour has passed. First it hands on every vote that it took."""
        assert self.hour_due
        self.hour_signed = True

    def sign_list(self) -> None:
        """This node signs its closing list: from here on it accepts nothing, whatever the clock says.

        The list is saved before it is sent.
        """
        assert self.list_due
        self.list_signed = True

    def list_came_back(self) -> None:
        """Others hold a list that this node signed before it lost its state."""
        self.hour_signed = self.list_signed = True
        self._judge()

    # -- what follows --------------------------------------------------------------------------

    @property
    def takes_votes(self) -> bool:
        """Whether a vote from a voter may be taken."""
        return self._stopped_at is None

    def takes_handed_on(self, accepted_by: Set[int]) -> bool:
        """Whether a vote that another node hands on may be taken.

        `accepted_by` are the named nodes whose acceptances of it, dated before closing, have been checked:
        one more than may lie are needed. That holds before the closing, too: such a vote has no share of the
        pool, and one liar could fill it.
        """
        if self.list_signed or self.grace_over:
            return False
        return len(accepted_by) > faults_of(self._nodes)

    @property
    def hour_due(self) -> bool:
        return not self.takes_votes and not self.hour_signed

    @property
    def grace_over(self) -> bool:
        """From here on only a closing block and what follows from it may be prevoted."""
        return self._grace_ended_at is not None

    @property
    def list_due(self) -> bool:
        return self.grace_over and self.hour_signed and not self.list_signed

    def needs_more_lists(self, lists: int) -> bool:
        """Whether the election may not end without a node that would rather sign no closing list.

        Asked while there is no closing block. Others have signed `lists` of them, and had both graces and
        LISTS_LATE_SECONDS for more. Where these are a quorum, they had twice as long: a liar's list may leave
        no room for another, and a list may have come to this node alone.
        """
        if self._grace_ended_at is None:
            return False
        waits = 1 if lists < quorum_of(self._nodes) else 2
        return self._now >= self._grace_ended_at + self._grace + waits * LISTS_LATE_SECONDS

    def may_propose_closing(self, lists: int) -> bool:
        """Whether a proposer that has `lists` closing lists, its own included, should wait no longer.

        It waits a second grace for lists beyond a quorum.
        """
        if self._grace_ended_at is None or lists < quorum_of(self._nodes):
            return False
        return lists == self._nodes or self._now >= self._grace_ended_at + self._grace

    def _judge(self) -> None:
        enough_others = len(self._passed) > faults_of(self._nodes)
        if self._stopped_at is None and (self._now >= self.closes or enough_others or self.hour_signed):
            self._stopped_at = self._now
        if self._stopped_at is None or self._grace_ended_at is not None:
            return
        # The grace of a slow clock begins when the others say so: no node waits for its list.
        grace_ends = min(self.closes, self._stopped_at) + self._grace
        if self._now >= grace_ends or self._passed == self._others or self.list_signed:
            self._grace_ended_at = self._now
