"""Who won: from a tally to winners, the rounds of an instant runoff, and how ties are broken.

What lives here: Outcome, the rounds, the tie-break. What must not: the chain, votes' signatures.

The rules are published in docs/elections.md. Everything follows from the ballots and the
definition: a tie is broken by earlier rounds, then by a lot that hashes the network id and the
candidate's name, so that nothing a voter or a miner does at the end can choose it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from votenet.core.election import Election
from votenet.core.encoding import DOMAIN_TIE, canonical, domain_hash
from votenet.core.tally import Ballot, Tally

MAX_ROUND_COUNTS: Final = 2000
"""Counts in the rounds of one outcome: it must fit one line whatever is voted on."""

Counts = tuple[tuple[str, int], ...]


class Round(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One round of an instant runoff.

    `counts` names who continues, most votes first; `eliminated` who leaves at its end, nobody in the
    last. Where several had the fewest, `tied` names them and `tie_break` says what chose: `round N`
    (the fewest votes in that earlier round) or `lot`.
    """

    number: int
    counts: Counts
    exhausted: int = 0
    eliminated: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    tie_break: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ballots decide.

    `state`: won (one winner), tied (several have the most, in an instant runoff the last two: `winners`
    names them, the first by lot first) or undecided (no votes). `rounds_left_out` counts early rounds
    that are not listed.
    """

    state: Literal["won", "tied", "undecided"]
    winners: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    rounds_left_out: int = 0


def decide(tally: Tally, election: Election) -> Outcome:
    """The outcome of an election by its own method. Raises KeyError for a method that is not known."""
    counts = tally.count(election)
    if not tally.votes:
        return Outcome(state="undecided")
    if election.definition.method == "instant-runoff":
        return _Runoff(tally, election).outcome()
    leaders = [line.candidate for line in counts if line.votes == counts[0].votes]
    leaders.sort(key=lambda name: lot(election, name), reverse=True)
    return Outcome(state="won" if len(leaders) == 1 else "tied", winners=tuple(leaders))


def work(tally: Tally, election: Election) -> int:
    """About how many steps `decide` takes, a microsecond each; moves of ballots are not foreseen."""
    candidates = len(election.definition.candidates)
    rounds = candidates * candidates if election.definition.method == "instant-runoff" else candidates
    return len(tally.ballots) + rounds


def lot(election: Election, candidate: str) -> bytes:
    """The candidate's lot, 32 bytes: of those in a tie the smallest is eliminated."""
    return domain_hash(DOMAIN_TIE, canonical([election.network_hex, candidate]))


class _Runoff:
    """The piles of ballots while candidates are eliminated; a ballot moves only when its pile falls.

    The work is that of reading each ballot once, and of one pass over the continuing candidates in every
    round, however many are tied: `order` keeps them as the tie-break wants them.
    """

    def __init__(self, tally: Tally, election: Election) -> None:
        names = election.definition.candidates
        self.place = {name: index for index, name in enumerate(names)}
        self.piles: dict[str, list[tuple[Ballot, int, int]]] = {name: [] for name in names}
        """Ballots by the candidate that they count for: choices, the position of that one, how many."""
        self.votes = dict.fromkeys(names, 0)
        self.exhausted = 0
        self.history: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
        """(round, votes) of each candidate, for the rounds in which the votes were others than before."""
        self.rank = dict.fromkeys(names, 0)
        """Equal for candidates that had the same votes in every round; else the larger for whoever had
        more in the latest round that differs."""
        self.order = sorted(names, key=lambda name: lot(election, name))
        """Who continues, the first to be eliminated first: by rank, then by lot."""
        self._deal(((ballot, 0, times) for ballot, times in tally.ballots.items()), 1)

    def outcome(self) -> Outcome:
        """Rounds until one candidate has more than half of the continuing ballots."""
        late: deque[_Past] = deque()
        listed, number, continuing = 0, 0, sum(self.votes.values())
        while True:
            number += 1
            over = 2 * self.votes[self.order[-1]] > continuing
            out, tie_break = ((), "") if over else self._last()
            late.append(_Past(number, dict(self.votes), self.exhausted, out, tie_break))
            listed += len(self.votes)
            while listed > MAX_ROUND_COUNTS:
                listed -= len(late.popleft().votes)
            if over:
                rounds = tuple(past.round(self.place) for past in late)
                left_out = number - len(rounds)
                equal = _settled_by_lot(late)
                return Outcome(
                    state="tied" if equal else "won",
                    winners=(self.order[-1], *equal),
                    rounds=rounds,
                    rounds_left_out=left_out,
                )
            before = self.exhausted
            self._eliminate(out, number + 1)
            continuing -= self.exhausted - before

    def _last(self) -> tuple[tuple[str, ...], str]:
        """Who leaves now, and what broke the tie."""
        first = self.order[0]
        fewest = self.votes[first]
        if fewest == 0:  # without votes all leave at once: they hand nothing on
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
        """Each ballot onto the pile of its next choice that continues, or out; `number` of the round."""
        piles, votes = self.piles, self.votes
        gained = set()
        for ballot, position, times in ballots:
            while position < len(ballot) and ballot[position] not in piles:
                position += 1
            if position == len(ballot):
                self.exhausted += times
                continue
            choice = ballot[position]
            piles[choice].append((ballot, position, times))
            votes[choice] += times
            gained.add(choice)
        for name in gained:
            self.history[name].append((number, votes[name]))
        if gained:
            self._sort()

    def _sort(self) -> None:
        """By votes, equal ones as they stood: so the latest round that differs decides, then the lot."""
        votes, rank = self.votes, self.rank
        self.order.sort(key=votes.__getitem__)
        number, last = 0, (-1, -1)
        for name in self.order:
            key = votes[name], rank[name]
            number += key != last
            rank[name], last = number, key


class _Past(NamedTuple):
    """A round that may be listed; its counts are put in order only if it is."""

    number: int
    votes: dict[str, int]
    exhausted: int
    eliminated: tuple[str, ...]
    tie_break: str

    def round(self, place: dict[str, int]) -> Round:
        fewest = min(self.votes.values())
        tied = tuple(name for name in self.votes if self.votes[name] == fewest) if self.tie_break else ()
        return Round(
            number=self.number,
            counts=tuple(sorted(self.votes.items(), key=lambda line: (-line[1], place[line[0]]))),
            exhausted=self.exhausted,
            eliminated=self.eliminated,
            tied=tied,
            tie_break=self.tie_break,
        )


def _settled_by_lot(rounds: Sequence[_Past]) -> tuple[str, ...]:
    """Whom the winner left behind by nothing but the lot: the last two were equal in every round."""
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
