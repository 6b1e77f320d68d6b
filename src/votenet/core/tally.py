"""Counting: from ballots to a result.

What lives here: Tally (how many ballots of each kind) and the counting methods. What must not:
votes' signatures, the chain.

A tally keeps one number per distinct ballot (the ordered choices), not per vote: adding or taking
back a block costs its own votes only, and any method can count from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from votenet.core.election import Election
from votenet.core.limits import Method

Ballot = tuple[str, ...]

COUNTED: Final[dict[Method, slice]] = {
    "plurality": slice(1),
    "approval": slice(None),
    "instant-runoff": slice(1),
}
"""Which choices of a ballot count, by method: an unknown one is an error, never counted in some other way."""


class CandidateCount(msgspec.Struct, frozen=True):
    """One line of a result."""

    candidate: str
    votes: int


class Tally:
    """How many times each ballot was cast."""

    __slots__ = ("ballots", "votes")

    def __init__(self, ballots: dict[Ballot, int] | None = None) -> None:
        self.ballots: Counter[Ballot] = Counter(ballots or {})
        self.votes = sum(self.ballots.values())

    def add(self, ballots: Iterable[Ballot]) -> None:
        batch = list(ballots)
        self.ballots.update(batch)
        self.votes += len(batch)

    def take_back(self, ballots: Iterable[Ballot]) -> None:
        """Undo `add`. Raises ValueError for a ballot that was never added."""
        for ballot in ballots:
            count = self.ballots[ballot]
            if count <= 0:
                raise ValueError(f"ballot {ballot!r} was never counted")
            if count == 1:
                del self.ballots[ballot]
            else:
                self.ballots[ballot] = count - 1
            self.votes -= 1

    def copy(self) -> Tally:
        """The same count, that later blocks do not change."""
        made = Tally()
        made.ballots, made.votes = self.ballots.copy(), self.votes
        return made

    def count(self, election: Election) -> list[CandidateCount]:
        """Votes of every candidate, most first; equal ones in the order of the definition.

        In an instant runoff these are the first choices; `core/outcome.py` has the rounds.
        """
        counted = COUNTED[election.definition.method]
        totals: Counter[str] = Counter()
        for ballot, times in self.ballots.items():
            for choice in ballot[counted]:
                totals[choice] += times
        names = election.definition.candidates
        place = {name: index for index, name in enumerate(names)}
        ranked = sorted(names, key=lambda name: (-totals[name], place[name]))
        return [CandidateCount(name, totals[name]) for name in ranked]
