"""Profiles of ranked ballots by number, the same on every machine.

`tests/vectors/belenios.json` has what `belenios-tool method schulze` and `belenios-tool method stv`
(version 3.0) answered for some of them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

from votenet.core.methods.tally import Ballot, Tally

ANSWERS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "belenios.json").read_text()
)


class Profile(NamedTuple):
    """Candidates are called 0, 1, 2, …"""

    names: tuple[str, ...]
    seats: int
    ballots: tuple[Ballot, ...]

    @property
    def tally(self) -> Tally:
        tally = Tally()
        tally.add(self.ballots)
        return tally

    @property
    def ranks(self) -> list[list[int]]:
        """The ballots as belenios-tool reads them: the rank of each candidate from 1 on, 0 for none."""
        return [
            [ballot.index(name) + 1 if name in ballot else 0 for name in self.names]
            for ballot in self.ballots
        ]


def profile(number: int) -> Profile:
    """3 to 7 candidates, 15 to 74 ballots."""
    source = random.Random(number)

    def below(most: int) -> int:
        # `random()` gives the same numbers in every version of Python; the other methods need not.
        return int(source.random() * most)

    names = tuple(map(str, range(3 + below(5))))
    ballots = []
    for _ in range(15 + below(60)):
        left = list(names)
        ballots.append(tuple(left.pop(below(len(left))) for _ in range(1 + below(len(names)))))
    return Profile(names, 1 + below(len(names) - 1), tuple(ballots))
