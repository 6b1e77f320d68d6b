"""Single transferable vote by the rules of Scottish council elections: Weighted Inclusive Gregory.

The Scottish Local Government Elections Order 2007 (SSI 2007/42), schedule 1, rules 45 to 52;
docs/elections.md tells them. Where they leave a tie to the returning officer's lot, the published lot
decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from votenet.core.limits import MAX_STV_CANDIDATES
from votenet.core.methods.method import (
    ContestResult,
    CountingRules,
    Method,
    Round,
    count_first,
)
from votenet.core.methods.tally import BLANK, Ballot, Tally

UNIT: Final = 100_000
"""Votes are counted in hundred-thousandths: the rules take transfer values to five decimal places."""


STV: Final = Method(
    name="stv",
    ballot="candidates in order of preference",
    counted="in rounds, with transfers, see below",
    count=count_first,
    decide=lambda tally, rules: _StvCount(tally, rules).result(),
    ranked=True,
    max_seats=None,
    max_candidates=MAX_STV_CANDIDATES,
    steps=lambda candidates: 2 * candidates * candidates,
)


class _Parcel(NamedTuple):
    """Equal ballots in a candidate's hands."""

    ballot: Ballot
    place: int
    """Of the candidate on the ballot."""
    weight: int
    value: int
    """Of each when the candidate received it, in units."""


class _Tie(NamedTuple):
    """Which candidates had the same votes when one was chosen, and what chose: `Round.tie_break`.

    `level` has those among them with the same votes in every round: they are left to the lot.
    """

    names: tuple[str, ...] = ()
    broken_by: str = ""
    level: tuple[str, ...] = ()


class _StvCount:
    """The state of a count: who holds which ballots, at which value."""

    def __init__(self, tally: Tally, rules: CountingRules) -> None:
        self.candidates = rules.candidates
        self.seats = rules.seats
        self.round_counts = rules.round_counts
        self.lots = {name: rules.lot(name) for name in rules.candidates}
        self.votes = dict.fromkeys(rules.candidates, 0)
        """In units, of all who are not excluded."""
        self.parcels: dict[str, list[_Parcel]] = {name: [] for name in rules.candidates}
        self.continuing = list(rules.candidates)
        self.elected: list[str] = []
        self.over_quota: list[str] = []
        """Elected candidates whose surplus is still to be transferred."""
        self.history: list[dict[str, int]] = []
        """Votes at the end of each round."""
        self.rank = dict.fromkeys(rules.candidates, 0)
        """Equal for candidates with the same votes in every round; else larger for the one with more votes
        in the latest round that differs."""
        # Rule 45: every ballot lies with its first choice, at the value 1.
        for ballot, weight in tally.ballots.items():
            if ballot != BLANK:
                self._give(_Parcel(ballot, 0, weight, UNIT))
        self.total = sum(self.votes.values())
        # Rule 46: valid ballots / (seats + 1), the fraction dropped, and one more.
        self.quota = (self.total // UNIT // (self.seats + 1) + 1) * UNIT

    def result(self) -> ContestResult:
        """Rounds until every seat is filled."""
        late: deque[Round] = deque()
        listed, tie = 0, _Tie()
        while True:
            self._close_round()
            # 1. Rule 47: who has the quota is elected, the one with the most votes first.
            reached = [name for name in self._by_votes(self.continuing) if self.votes[name] >= self.quota]
            self._elect(reached)
            # 2. Rule 52: as many candidates as seats are left, and they have them.
            if len(self.continuing) <= self.seats - len(self.elected):
                last = self._by_votes(self.continuing)
                self._elect(last)
                reached += last
            # 3. If seats are left, choose whose surplus is transferred, or who is excluded.
            over = len(self.elected) == self.seats
            surplus, excluded, chosen_by = ("", "", _Tie()) if over else self._next()
            # 4. Keep the round for the report, as many of the latest ones as fit.
            late.append(self._round(reached, surplus, excluded, chosen_by))
            listed += len(late[-1].counts)
            while listed > self.round_counts:
                listed -= len(late.popleft().counts)
            if over:
                break
            # 5. Hand the ballots on.
            if surplus:
                self._transfer_surplus(surplus)
            else:
                tie = chosen_by
                self._exclude(excluded)
        # The lot gave a seat where it chose the last one to be excluded, and all the others have seats.
        by_lot = len(set(tie.level).difference(self.elected)) == 1
        tied = sorted(tie.level, key=self.lots.__getitem__, reverse=True) if by_lot else []
        return ContestResult(
            state="tied" if tied else "won",
            winners=tuple(self.elected),
            tied=tuple(tied),
            rounds=tuple(late),
            rounds_left_out=len(self.history) - len(late),
            quota=str(self.quota // UNIT),
        )

    def _close_round(self) -> None:
        """Record the votes, and rank by them; equal ones stay as earlier rounds ranked them."""
        keys = {name: (votes, self.rank[name]) for name, votes in self.votes.items()}
        places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
        self.rank = {name: places[key] for name, key in keys.items()}
        self.history.append(dict(self.votes))

    def _by_votes(self, names: Iterable[str]) -> list[str]:
        """Most votes first; of equal ones those with more in the latest round that differs, then by lot."""
        return sorted(names, key=lambda name: (self.rank[name], self.lots[name]), reverse=True)

    def _elect(self, names: Sequence[str]) -> None:
        self.elected += names
        self.continuing = [name for name in self.continuing if name not in names]
        self.over_quota += [name for name in names if self.votes[name] > self.quota]

    def _next(self) -> tuple[str, str, _Tie]:
        """Whose surplus is transferred now, or who is excluded; and what chose among equal ones."""
        if self.over_quota:  # rules 48 and 49: the largest first
            first = self._by_votes(self.over_quota)
            return first[0], "", self._tie(first)
        last = self._by_votes(self.continuing)[::-1]  # rules 50 and 51: the fewest votes
        return "", last[0], self._tie(last)

    def _tie(self, order: Sequence[str]) -> _Tie:
        """How the first of these came to be the first."""
        chosen = order[0]
        equal = {name for name in order if self.votes[name] == self.votes[chosen]}
        if len(equal) == 1:
            return _Tie()
        names = tuple(name for name in self.candidates if name in equal)
        level = tuple(name for name in names if self.rank[name] == self.rank[chosen])
        if len(level) > 1:
            return _Tie(names, "lot", level)
        pairs = ((past[chosen], past[order[1]]) for past in reversed(self.history))
        back = next(index for index, (one, other) in enumerate(pairs) if one != other)
        return _Tie(names, f"round {len(self.history) - back}")

    def _transfer_surplus(self, name: str) -> None:
        """Rule 48: every ballot moves at the part of its value that is the surplus, cut to a unit."""
        self.over_quota.remove(name)
        votes = self.votes[name]
        surplus = votes - self.quota
        self._hand_on(name, lambda value: surplus * value // votes)
        self.votes[name] = self.quota

    def _exclude(self, name: str) -> None:
        """Rule 50: every ballot moves at the value at which it came."""
        self.continuing.remove(name)
        self._hand_on(name, lambda value: value)
        del self.votes[name]

    def _hand_on(self, name: str, worth: Callable[[int], int]) -> None:
        """Give the ballots of a candidate to their next choices that continue; others stay behind."""
        parcels, self.parcels[name] = self.parcels[name], []
        continuing = set(self.continuing)
        for ballot, place, weight, value in parcels:
            for index in range(place + 1, len(ballot)):
                if ballot[index] in continuing:
                    self._give(_Parcel(ballot, index, weight, worth(value)))
                    break

    def _give(self, parcel: _Parcel) -> None:
        name = parcel.ballot[parcel.place]
        self.parcels[name].append(parcel)
        self.votes[name] += parcel.weight * parcel.value

    def _round(self, elected: Sequence[str], surplus: str, excluded: str, tie: _Tie) -> Round:
        names = sorted(self.votes, key=lambda name: -self.votes[name])
        return Round(
            number=len(self.history),
            counts=tuple((name, _text(self.votes[name])) for name in names),
            exhausted=_text(self.total - sum(self.votes.values())),
            elected=tuple(elected),
            surplus=surplus,
            eliminated=(excluded,) if excluded else (),
            tied=tie.names,
            tie_break=tie.broken_by,
        )


def _text(votes: int) -> str:
    return f"{votes // UNIT}.{votes % UNIT:05d}"
