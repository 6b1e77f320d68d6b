"""An instant runoff counted the plain way: every round looks at every candidate and every earlier round.

`core/methods/instant_runoff.py` must agree with it whatever the ballots.
"""

from __future__ import annotations

from collections.abc import Iterable

from votenet.core.election.definition import Election
from votenet.core.methods.method import MAX_ROUND_COUNTS, ContestResult, Round
from votenet.core.methods.tally import Ballot, Tally


class PlainRunoff:
    """The piles of ballots while candidates are eliminated; a ballot moves only when its pile falls."""

    def __init__(self, tally: Tally, election: Election) -> None:
        self.election = election
        self.place = {name: index for index, name in enumerate(election.names)}
        self.piles: dict[str, list[tuple[Ballot, int]]] = {name: [] for name in self.place}
        self.votes = dict.fromkeys(self.place, 0)
        self.exhausted = 0
        self.past: list[dict[str, int]] = []
        self._deal(tally.ballots.items())

    def outcome(self) -> ContestResult:
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
                before = rounds[-2] if len(rounds) > 1 else None
                equal = before is not None and before.tie_break == "lot" and len(before.counts) == 2
                return ContestResult(
                    state="tied" if equal else "won",
                    winners=(order[0],),
                    tied=(order[0], *before.eliminated) if before is not None and equal else (),
                    rounds=listed,
                    rounds_left_out=left_out,
                )
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
        return (min(left, key=lambda name: self.election.contests[0].lot(name)),), tied, "lot"

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
