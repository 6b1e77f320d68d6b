"""Four nodes, one of them a liar that may say anything: every run of two rounds, and random longer ones.

`CONSENSUS_CHECK=all` has the liar in other places, too, and two rounds after a round 0 with a late quorum.

The check can fail: machines with a planted fault do not pass it.
"""

from __future__ import annotations

import os
import random

import pytest

from support.consensus_checker import START, VALUES, Checker, NodeView, Violation
from votenet.protocol.consensus.outputs import NO_BLOCK, NO_ROUND, RoundStatement, RoundStep
from votenet.protocol.consensus.tendermint import Tendermint

WALKS, WALK_STEPS, WALK_ROUNDS = 200, 120, 5


AFTER_ROUND_0 = NodeView(
    1, (("precommit", 0, NO_BLOCK, NO_ROUND), ("prevote", 0, VALUES[1], NO_ROUND)), None, NO_ROUND, None
)
"""All have prevoted B in round 0, but too late for a lock."""
CASES = [(0, 2, START)]
if "CONSENSUS_CHECK" in os.environ:
    CASES += [(1, 2, START), (2, 2, START), (2, 3, AFTER_ROUND_0)]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("liar", "rounds", "first"), CASES)
def test_no_run_of_two_rounds_breaks_a_promise(liar: int, rounds: int, first: NodeView) -> None:
    """Node r proposes in round r; a liar with the index 3 is the same as with 2."""
    checker = Checker({liar}, rounds)
    assert checker.run(first) > 100_000
    assert checker.decisions > 50_000


@pytest.mark.parametrize(("nodes", "liars"), [(4, 1), (5, 1), (6, 1), (7, 2)])
def test_random_longer_runs_break_no_promise(nodes: int, liars: int) -> None:
    dice = random.Random(nodes)
    for _ in range(WALKS // nodes):
        checker = Checker(set(dice.sample(range(nodes), liars)), WALK_ROUNDS, nodes=nodes)
        checker.walk(dice, WALK_STEPS)


# -- planted faults ----------------------------------------------------------------------------------


class SmallQuorum(Tendermint):
    """A quorum is one node too small."""

    def __init__(self, nodes: int, index: int, search_seconds: float) -> None:
        super().__init__(nodes, index, search_seconds)
        self.quorum -= 1


class NoLock(Tendermint):
    """Lines 23 and 29 forget the lock."""

    def _lock_allows(self, value: bytes, valid_round: int) -> bool:
        return True


class AnyValidRound(Tendermint):
    """Line 28 believes a proposer's valid round without its quorum of prevotes."""

    def _prevotes_for(self, value: bytes, round_number: int) -> tuple[RoundStatement, ...]:
        return (RoundStatement("prevote", self.height, round_number, 0, value),)


class LateLock(Tendermint):
    """Line 29 lets a lock of a later round go."""

    def _lock_allows(self, value: bytes, valid_round: int) -> bool:
        return valid_round != NO_ROUND or super()._lock_allows(value, valid_round)


class LockNotRestored(Tendermint):
    """A restart forgets the lock, but not what was said."""

    def _resume(self) -> None:
        super()._resume()
        self.locked_value, self.locked_round = None, NO_ROUND


class StepNotRestored(Tendermint):
    """A restart forgets that the node has voted in this round."""

    def _resume(self) -> None:
        super()._resume()
        self.step = RoundStep.PROPOSE


class NoLockAtAll(Tendermint):
    """Lines 38 and 39 are left out: a precommit for a block does not lock it."""

    def _precommit(self, value: bytes) -> bool:
        self.locked_value, self.locked_round = None, NO_ROUND
        return super()._precommit(value)


class DecidesByPrevotes(Tendermint):
    """Line 49 takes a quorum of prevotes for a decision."""

    def _count(self, statement: RoundStatement) -> None:
        prevotes = self.log.of_round(statement.round).prevotes
        if statement.value != NO_BLOCK and prevotes.counts[statement.value] >= self.quorum:
            self._decide(prevotes.for_value(statement.value))
        super()._count(statement)


@pytest.mark.parametrize(
    ("machine_type", "liar", "what"),
    [
        (SmallQuorum, 0, "decided"),
        (NoLock, 0, "decided"),
        (AnyValidRound, 1, "decided"),
        (LockNotRestored, 0, "decided|a restart"),
        (StepNotRestored, 0, "contradicts itself|a restart"),
        (NoLockAtAll, 0, "a restart"),
        (DecidesByPrevotes, 0, "decided"),
    ],
)
def test_a_planted_fault_is_found(machine_type: type[Tendermint], liar: int, what: str) -> None:
    with pytest.raises(Violation, match=what):
        Checker({liar}, 2, machine_type).run(START)


def test_a_lock_that_yields_to_an_older_quorum_is_found() -> None:
    with pytest.raises(Violation, match="decided"):
        Checker({2}, 3, LateLock).run(AFTER_ROUND_0)
