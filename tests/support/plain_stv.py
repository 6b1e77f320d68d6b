"""Scottish STV counted the plain way: fractions of votes, every paper by itself, by the text of the rules.

`core/methods/stv.py` must agree with it whatever the ballots.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor

from votenet.core.methods.tally import Ballot

Paper = tuple[Ballot, Fraction]
"""What is left of a ballot paper behind its present holder, and its value."""


class PlainStv:
    """Stages until all seats are filled; `stages` has the votes of everybody after each."""

    def __init__(
        self, ballots: list[Ballot], names: tuple[str, ...], seats: int, lot: Callable[[str], bytes]
    ) -> None:
        self.lot = lot
        self.hands: dict[str, list[Paper]] = {name: [] for name in names}
        self.out: set[str] = set()
        self.winners: list[str] = []
        self.stages: list[dict[str, Fraction]] = []
        self.quota = len(ballots) // (seats + 1) + 1
        done: set[str] = set()
        for ballot in ballots:
            self.hands[ballot[0]].append((ballot[1:], Fraction(1)))
        votes = {name: Fraction(len(papers)) for name, papers in self.hands.items()}
        while True:
            self.stages.append(dict(votes))
            hopeful = [name for name in names if name not in self.winners and name not in self.out]
            self.winners += sorted(
                (name for name in hopeful if votes[name] >= self.quota), key=self._standing
            )[::-1]
            hopeful = [name for name in hopeful if name not in self.winners]
            if len(hopeful) <= seats - len(self.winners):
                self.winners += sorted(hopeful, key=self._standing)[::-1]
            if len(self.winners) == seats:
                return
            over = [name for name in self.winners if votes[name] > self.quota and name not in done]
            if over:
                mover = max(over, key=self._standing)
                part = (votes[mover] - self.quota) / votes[mover]
                votes[mover] = Fraction(self.quota)
                done.add(mover)
            else:
                mover = min(hopeful, key=self._standing)
                part = Fraction(1)
                votes[mover] = Fraction(0)
                self.out.add(mover)
                hopeful.remove(mover)
            for rest, value in self.hands[mover]:
                # "to five decimal places (any remainder being ignored)"
                worth = Fraction(floor(value * part * 10**5), 10**5)
                heirs = [name for name in rest if name in hopeful]
                if heirs:
                    self.hands[heirs[0]].append((rest[rest.index(heirs[0]) + 1 :], worth))
                    votes[heirs[0]] += worth

    def _standing(self, name: str) -> tuple[list[Fraction], bytes]:
        """Votes after this stage, the one before, …, then the lot."""
        return [stage[name] for stage in reversed(self.stages)], self.lot(name)
