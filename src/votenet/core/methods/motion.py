"""Motion: for, against or abstain; carried if it reaches its threshold and, where it has one, its quorum."""

from __future__ import annotations

from typing import Final, Literal

from votenet.core.methods.method import (
    Condition,
    ContestResult,
    CountingRules,
    Method,
    MotionRules,
    count_first,
)
from votenet.core.methods.tally import Tally


def _decide(tally: Tally, rules: CountingRules) -> ContestResult:
    motion = rules.motion
    if motion is None:
        raise ValueError("a motion without its threshold")
    yes, no = (tally.ballots[name,] for name in rules.candidates[:2])
    conditions = [_condition("threshold", _votes_needed(motion, yes + no, tally.weight, rules), yes)]
    if motion.quorum:
        conditions.append(_condition("quorum", _share(_roll_weight(rules), motion.quorum, 100), tally.weight))
    carried = all(condition.met for condition in conditions)
    return ContestResult(state="carried" if carried else "rejected", conditions=tuple(conditions))


MOTION: Final = Method(
    name="motion",
    ballot="for, against or abstain: the candidates in this order",
    counted="that option, against a threshold",
    count=count_first,
    decide=_decide,
    max_choices=1,
)


def _condition(name: Literal["threshold", "quorum"], needed: int, got: int) -> Condition:
    return Condition(name=name, needed=needed, got=got, met=got >= needed)


def _votes_needed(motion: MotionRules, cast: int, weight: int, rules: CountingRules) -> int:
    """The least weight for the motion that carries it: never 0, so that nothing is carried without votes.

    Args:
        cast: weight for and against.
        weight: of all ballots, abstentions and blank ones included.
    """
    of_roll = motion.basis == "roll"
    if motion.share == "simple":  # more for than against
        return cast // 2 + 1
    if motion.share == "absolute":  # more than half of all who voted, or of the roll
        return (_roll_weight(rules) if of_roll else weight) // 2 + 1
    base = _roll_weight(rules) if of_roll else cast
    parts, whole = {"two-thirds": (2, 3), "three-quarters": (3, 4)}[motion.share]
    return max(1, _share(base, parts, whole))


def _share(base: int, parts: int, whole: int) -> int:
    """`parts` of `whole` of a number, rounded up."""
    return -(-base * parts // whole)


def _roll_weight(rules: CountingRules) -> int:
    if rules.roll_weight is None:
        raise ValueError("a share of the roll cannot be counted without its weight")
    return rules.roll_weight
