"""How many times each ballot was cast, and the votes of each candidate.

A tally keeps one number for each distinct ballot, not for each vote: adding or taking back a block costs
only its own votes, and every method can count from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

Ballot = tuple[str, ...]
"""The choices of one voter in one contest, in order of preference; none for a blank ballot."""
BLANK: Final[Ballot] = ()


class CandidateCount(msgspec.Struct, frozen=True):
    """One line of a result."""

    candidate: str
    votes: int


class Tally:
    """The ballots of one contest: the weight of each distinct one; `votes`, `blank`, `weight` in all.

    `votes` is the number of ballots, blank ones included, and `blank` the number of those. A ballot of an
    election without weights weighs 1. `blank_weighed`: `blank` is their weight instead, as of secret ballots
    with weights, whose sums do not tell how many of them are blank.
    """

    __slots__ = ("ballots", "blank", "blank_weighed", "votes", "weight")

    def __init__(self, ballots: Mapping[Ballot, int] | None = None) -> None:
        """Args: ballots: how many times each was cast, with weight 1."""
        self.ballots: Counter[Ballot] = Counter(ballots or {})
        self.votes = self.weight = self.ballots.total()
        self.blank = self.ballots[BLANK]
        self.blank_weighed = False

    def add(self, ballots: Iterable[Ballot], weights: Sequence[int] | None = None) -> None:
        """Args: weights: of each ballot; None where all weigh 1."""
        batch = list(ballots)
        if weights is None:
            self.ballots.update(batch)
        else:
            for ballot, weight in zip(batch, weights, strict=True):
                self.ballots[ballot] += weight
        self.votes += len(batch)
        self.blank += batch.count(BLANK)
        self.weight += len(batch) if weights is None else sum(weights)

    def take_back(self, ballots: Iterable[Ballot], weights: Sequence[int] | None = None) -> None:
        """Undo `add`. Raises ValueError for a ballot that was never added."""
        batch = list(ballots)
        for ballot, weight in zip(batch, weights or [1] * len(batch), strict=True):
            left = self.ballots[ballot] - weight
            if left < 0:
                raise ValueError(f"ballot {ballot!r} was never counted")
            if left:
                self.ballots[ballot] = left
            else:
                del self.ballots[ballot]
            self.votes -= 1
            self.blank -= ballot == BLANK
            self.weight -= weight

    def copy(self) -> Tally:
        """The same count, which later blocks do not change."""
        made = Tally()
        made.ballots = self.ballots.copy()
        made.votes, made.blank, made.weight = self.votes, self.blank, self.weight
        made.blank_weighed = self.blank_weighed
        return made


class ElectionTally:
    """The tallies of all contests of an election, in order; `votes` is the number of votes.

    A `sealed` one is of secret ballots: it has their number and weight, and no choices.
    """

    __slots__ = ("contests", "sealed", "votes")

    def __init__(self, contests: int, *, sealed: bool = False) -> None:
        self.contests = tuple(Tally() for _ in range(contests))
        self.sealed = sealed
        self.votes = 0

    def add(self, choices: Sequence[Sequence[Ballot]], weights: Sequence[int] | None = None) -> None:
        """Count votes: of each its ballot in every contest. `weights` as in `Tally.add`."""
        if self.sealed:
            self._count(len(choices), len(choices) if weights is None else sum(weights))
            return
        for place, tally in enumerate(self.contests):
            tally.add([ballots[place] for ballots in choices], weights)
        self.votes += len(choices)

    def take_back(self, choices: Sequence[Sequence[Ballot]], weights: Sequence[int] | None = None) -> None:
        """Undo `add`. Raises ValueError for a ballot that was never added."""
        if self.sealed:
            self._count(-len(choices), -len(choices) if weights is None else -sum(weights))
            return
        for place, tally in enumerate(self.contests):
            tally.take_back([ballots[place] for ballots in choices], weights)
        self.votes -= len(choices)

    def _count(self, votes: int, weight: int) -> None:
        self.votes += votes
        for tally in self.contests:
            tally.votes += votes
            tally.weight += weight

    def copy(self) -> ElectionTally:
        """The same counts, which later blocks do not change."""
        made = ElectionTally(0, sealed=self.sealed)
        made.contests, made.votes = tuple(tally.copy() for tally in self.contests), self.votes
        return made


def count_choices(tally: Tally, candidates: Sequence[str], most: int | None) -> list[CandidateCount]:
    """Votes (weights) of every candidate, most first; equal ones in the order of `candidates`.

    Args:
        most: how many choices of each ballot count, from the first on; None for all.
    """
    totals: Counter[str] = Counter()
    for ballot, weight in tally.ballots.items():
        for choice in ballot[:most]:
            totals[choice] += weight
    return sorted((CandidateCount(name, totals[name]) for name in candidates), key=lambda line: -line.votes)
