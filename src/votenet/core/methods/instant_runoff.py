"""Instant runoff: candidates in order of preference; the weakest leave round by round.

docs/elections.md publishes the rules. Everything follows from the ballots and the definition: earlier
rounds break a tie, then a lot that hashes the network id and the candidate's name. So nothing that a
voter or a miner does at the end can choose the loser of a tie.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from votenet.core.methods.method import (
    ContestResult,
    CountingRules,
    Method,
    Round,
    count_first,
)
from votenet.core.methods.tally import Ballot, Tally

INSTANT_RUNOFF: Final = Method(
    name="instant-runoff",
    ballot="candidates in order of preference",
    counted="in rounds, see below",
    count=count_first,
    decide=lambda tally, rules: _Runoff(tally, rules).result(),
    ranked=True,
    steps=lambda candidates: candidates * candidates,
)


class _Runoff:
    """The piles of ballots while candidates are eliminated; a ballot moves only when its pile falls.

    Each ballot is read once, and each round passes once over the continuing candidates, however many are
    tied: `order` keeps them sorted as the tie-break wants them.
    """

    def __init__(self, tally: Tally, rules: CountingRules) -> None:
        candidates = rules.candidates
        self.round_counts = rules.round_counts
        self.listed_at = {name: index for index, name in enumerate(candidates)}
        self.piles: dict[str, list[tuple[Ballot, int, int]]] = {name: [] for name in candidates}
        """Ballots by the candidate they count for: choices, index of that choice, how many."""
        self.votes = dict.fromkeys(candidates, 0)
        self.exhausted = 0
        self.history: dict[str, list[tuple[int, int]]] = {name: [] for name in candidates}
        """(round, votes) of each candidate, for the rounds in which its votes changed."""
        self.rank = dict.fromkeys(candidates, 0)
        """Equal for candidates with the same votes in every round; else larger for the one with more votes
        in the latest round that differs."""
        self.order = sorted(candidates, key=rules.lot)
        """Continuing candidates, the next to be eliminated first: by rank, then by lot."""
        self._deal(((ballot, 0, weight) for ballot, weight in tally.ballots.items() if ballot), 1)

    def result(self) -> ContestResult:
        """Rounds until one candidate has more than half of the continuing ballots."""
        late: deque[_PastRound] = deque()
        listed, number, continuing = 0, 0, sum(self.votes.values())
        while True:
            number += 1
            # 1. Does the leader have a majority of the ballots that still name a continuing candidate?
            decided = 2 * self.votes[self.order[-1]] > continuing
            # 2. If not, choose who leaves.
            leaving, tie_break = ((), "") if decided else self._weakest()
            # 3. Keep the round for the report, as many of the latest ones as fit.
            late.append(_PastRound(number, dict(self.votes), self.exhausted, leaving, tie_break))
            listed += len(self.votes)
            while listed > self.round_counts:
                listed -= len(late.popleft().votes)
            if decided:
                tied = _separated_by_lot(late)
                return ContestResult(
                    state="tied" if tied else "won",
                    winners=(self.order[-1],),
                    tied=(self.order[-1], *tied) if tied else (),
                    rounds=tuple(past.as_round(self.listed_at) for past in late),
                    rounds_left_out=number - len(late),
                )
            # 4. Hand the ballots of those who leave to the next choices on them.
            before = self.exhausted
            self._eliminate(leaving, number + 1)
            continuing -= self.exhausted - before

    def _weakest(self) -> tuple[tuple[str, ...], str]:
        """Who leaves now, and what broke the tie."""
        first = self.order[0]
        fewest = self.votes[first]
        if fewest == 0:  # all without votes leave at once: they have no ballots to hand on
            return tuple(name for name in self.votes if self.votes[name] == 0), ""
        second = self.order[1]
        if self.votes[second] > fewest:
            return (first,), ""
        if self.rank[second] == self.rank[first]:
            return (first,), "lot"
        return (first,), f"round {_latest_difference(self.history[first], self.history[second])}"

    def _eliminate(self, names: tuple[str, ...], number: int) -> None:
        piles = [self.piles.pop(name) for name in names]
        for name in names:
            del self.votes[name]
        del self.order[: len(names)]  # the fewest votes stand first
        self._deal((ballot for pile in piles for ballot in pile), number)

    def _deal(self, ballots: Iterable[tuple[Ballot, int, int]], number: int) -> None:
        """Put each ballot onto the pile of its next continuing choice, or out, for round `number`."""
        piles, votes = self.piles, self.votes
        gained = set()
        for ballot, index, times in ballots:
            while index < len(ballot) and ballot[index] not in piles:
                index += 1
            if index == len(ballot):
                self.exhausted += times
                continue
            choice = ballot[index]
            piles[choice].append((ballot, index, times))
            votes[choice] += times
            gained.add(choice)
        for name in gained:
            self.history[name].append((number, votes[name]))
        if gained:
            self._sort()

    def _sort(self) -> None:
        """By votes. Equal ones stay as they stood: the latest round that differs decides, then the lot."""
        votes, rank = self.votes, self.rank
        self.order.sort(key=votes.__getitem__)
        number, last = 0, (-1, -1)
        for name in self.order:
            key = votes[name], rank[name]
            number += key != last
            rank[name], last = number, key


class _PastRound(NamedTuple):
    """A round that may be listed; its counts are sorted only if it is."""

    number: int
    votes: dict[str, int]
    exhausted: int
    eliminated: tuple[str, ...]
    tie_break: str

    def as_round(self, listed_at: dict[str, int]) -> Round:
        fewest = min(self.votes.values())
        tied = tuple(name for name in self.votes if self.votes[name] == fewest) if self.tie_break else ()
        names = sorted(self.votes, key=lambda name: (-self.votes[name], listed_at[name]))
        return Round(
            number=self.number,
            counts=tuple((name, self.votes[name]) for name in names),
            exhausted=self.exhausted,
            eliminated=self.eliminated,
            tied=tied,
            tie_break=self.tie_break,
        )


def _separated_by_lot(rounds: Sequence[_PastRound]) -> tuple[str, ...]:
    """The last one eliminated, if only the lot separated it from the winner."""
    if len(rounds) > 1 and rounds[-2].tie_break == "lot" and len(rounds[-2].votes) == 2:
        return rounds[-2].eliminated
    return ()


def _latest_difference(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> int:
    """The latest round in which two candidates, equal now, had different votes."""
    since = 0
    for (late, votes), (other_late, other_votes) in zip(reversed(one), reversed(other), strict=False):
        if votes != other_votes:
            return since - 1
        if late != other_late:
            return max(late, other_late) - 1
        since = late
    raise AssertionError("two candidates with the same history have no difference")
