"""Who won: from a tally to winners, the rounds of an instant runoff, and how ties are broken.

What lives here: Outcome, the rounds, the tie-break. What must not: the chain, votes' signatures.

The rules are published in docs/elections.md. Everything follows from the ballots and the
definition: a tie is broken by earlier rounds, then by a lot that hashes the network id and the
candidate's name, so that nothing a voter or a miner does at the end can choose it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

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

    `state`: won (one winner), tied (several have the most: `winners` names them, the first by lot
    first) or undecided (no votes). `rounds_left_out` counts early rounds that are not listed.
    """

    state: Literal["won", "tied", "undecided"]
    winners: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    rounds_left_out: int = 0


def decide(tally: Tally, election: Election) -> Outcome:
    """The outcome of an election by its own method."""
    if not tally.votes:
        return Outcome(state="undecided")
    if election.definition.method == "instant-runoff":
        return _Runoff(tally, election).outcome()
    counts = tally.count(election)
    leaders = [line.candidate for line in counts if line.votes == counts[0].votes]
    leaders.sort(key=lambda name: lot(election, name), reverse=True)
    return Outcome(state="won" if len(leaders) == 1 else "tied", winners=tuple(leaders))


def lot(election: Election, candidate: str) -> bytes:
    """The candidate's lot, 32 bytes: of those in a tie the smallest is eliminated."""
    return domain_hash(DOMAIN_TIE, canonical([election.network_hex, candidate]))


class _Runoff:
    """The piles of ballots while candidates are eliminated; a ballot moves only when its pile falls."""

    def __init__(self, tally: Tally, election: Election) -> None:
        self.election = election
        self.place = {name: index for index, name in enumerate(election.definition.candidates)}
        self.piles: dict[str, list[tuple[Ballot, int]]] = {name: [] for name in self.place}
        self.votes = dict.fromkeys(self.place, 0)
        self.exhausted = 0
        self.past: list[dict[str, int]] = []
        self._deal(tally.ballots.items())

    def outcome(self) -> Outcome:
        """Rounds until one candidate has more than half of the continuing ballots."""
        rounds: list[Round] = []
        while True:
            order = sorted(self.votes, key=lambda name: (-self.votes[name], self.place[name]))
            counts = tuple((name, self.votes[name]) for name in order)
            number, exhausted = len(rounds) + 1, self.exhausted
            if 2 * counts[0][1] > sum(self.votes.values()):
                rounds.append(Round(number=number, counts=counts, exhausted=exhausted))
                listed = _latest(rounds)
                left_out = len(rounds) - len(listed)
                return Outcome(state="won", winners=(order[0],), rounds=listed, rounds_left_out=left_out)
            out, tied, tie_break = self._last()
            rounds.append(
                Round(
                    number=number,
                    counts=counts,
                    exhausted=exhausted,
                    eliminated=out,
                    tied=tied,
                    tie_break=tie_break,
                )
            )
            self._eliminate(out)

    def _last(self) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Who leaves now, who was tied for it, and what broke the tie."""
        fewest = min(self.votes.values())
        tied = tuple(name for name in self.votes if self.votes[name] == fewest)
        if fewest == 0 or len(tied) == 1:  # without votes all leave at once: they hand nothing on
            return tied, (), ""
        left = list(tied)
        for number in range(len(self.past), 0, -1):
            before = self.past[number - 1]
            least = min(before[name] for name in left)
            left = [name for name in left if before[name] == least]
            if len(left) == 1:
                return (left[0],), tied, f"round {number}"
        return (min(left, key=lambda name: lot(self.election, name)),), tied, "lot"

    def _eliminate(self, names: Iterable[str]) -> None:
        self.past.append(dict(self.votes))
        piles = [self.piles.pop(name) for name in names]
        self.votes = {name: votes for name, votes in self.votes.items() if name in self.piles}
        for pile in piles:
            self._deal(pile)

    def _deal(self, ballots: Iterable[tuple[Ballot, int]]) -> None:
        """Each ballot onto the pile of its first choice that continues, or out."""
        for ballot, times in ballots:
            choice = next((name for name in ballot if name in self.piles), None)
            if choice is None:
                self.exhausted += times
            else:
                self.piles[choice].append((ballot, times))
                self.votes[choice] += times


def _latest(rounds: list[Round]) -> tuple[Round, ...]:
    """The last rounds, as many as one outcome may list."""
    first, room = len(rounds), MAX_ROUND_COUNTS
    while first and len(rounds[first - 1].counts) <= room:
        first -= 1
        room -= len(rounds[first].counts)
    return tuple(rounds[first:])
