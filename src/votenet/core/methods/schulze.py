"""Schulze: candidates in order of preference, compared two by two; the strongest paths decide.

M. Schulze, "A new monotonic, clone-independent, reversal symmetric, and Condorcet-consistent single-winner
election method", Social Choice and Welfare 36 (2011), with the strength of links by winning votes.
docs/elections.md tells the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from votenet.core.limits import MAX_SCHULZE_CANDIDATES
from votenet.core.methods.method import ContestResult, CountingRules, Matrix, Method, count_first
from votenet.core.methods.tally import Tally

MAX_MATRIX: Final = 40
"""A matrix of more candidates is left out: it would have thousands of numbers."""
LANE: Final = 64
"""Bits of one candidate's number in a row that is one integer: weights sum up to less than 2^53."""


def _decide(tally: Tally, rules: CountingRules) -> ContestResult:
    matrix = _preferences(tally, rules.candidates)
    paths = _strongest_paths(matrix)
    winners: list[int] = []
    left = list(range(len(paths)))
    tied: list[str] = []
    while len(winners) < rules.seats:
        # 1. The best of those who are left: no other of them beats them over paths.
        best = [one for one in left if all(paths[one][other] >= paths[other][one] for other in left)]
        left = [one for one in left if one not in best]
        # 2. More than there are seats: the lot chooses.
        free = rules.seats - len(winners)
        if len(best) > free:
            best.sort(key=lambda one: rules.lot(rules.candidates[one]), reverse=True)
            tied = [rules.candidates[one] for one in best]
        winners += best[:free]
    return ContestResult(
        state="tied" if tied else "won",
        winners=tuple(rules.candidates[one] for one in winners),
        tied=tuple(tied),
        matrix=_named(matrix, rules.candidates) if len(matrix) <= MAX_MATRIX else (),
    )


SCHULZE: Final = Method(
    name="schulze",
    ballot="candidates in order of preference",
    counted="two by two, see below",
    count=count_first,
    decide=_decide,
    ranked=True,
    max_seats=None,
    max_candidates=MAX_SCHULZE_CANDIDATES,
    steps=lambda candidates: candidates**3 // 5,
)


def _named(matrix: Sequence[Sequence[int]], candidates: Sequence[str]) -> Matrix:
    return tuple((name, tuple(row)) for name, row in zip(candidates, matrix, strict=True))


def _preferences(tally: Tally, candidates: Sequence[str]) -> list[list[int]]:
    """Weight of the ballots that prefer the candidate of the row to that of the column.

    A ballot prefers those whom it ranks to all others. The row of a candidate is one long integer with a
    lane for each other, so that a ballot costs as many steps as it has choices, not as many as it has pairs.
    """
    place = {name: index for index, name in enumerate(candidates)}
    ranked = [0] * len(candidates)
    behind = [0] * len(candidates)
    # 1. For each candidate: the weight of the ballots that rank it, and of those that rank others behind it.
    for ballot, weight in tally.ballots.items():
        later = 0
        for name in reversed(ballot):
            index = place[name]
            ranked[index] += weight
            behind[index] += later
            later += weight << LANE * index
    # 2. One is preferred wherever it is ranked, but where the other is ranked before it.
    lanes = [_lanes(row, len(candidates)) for row in behind]
    return [
        [0 if one == other else ranked[one] - lanes[other][one] for other in range(len(candidates))]
        for one in range(len(candidates))
    ]


def _lanes(row: int, count: int) -> list[int]:
    return [row >> LANE * index & (1 << LANE) - 1 for index in range(count)]


def _strongest_paths(matrix: Sequence[Sequence[int]]) -> list[list[int]]:
    """The strength of the strongest path from one candidate to another.

    A path is as strong as its weakest link. Floyd and Warshall's algorithm: paths over the first candidates,
    each round over one more.
    """
    count = len(matrix)
    paths = [
        [_strength(votes, matrix[other][one]) for other, votes in enumerate(row)]
        for one, row in enumerate(matrix)
    ]
    for over in range(count):
        onward = paths[over]
        for one, row in enumerate(paths):
            reach = row[over]
            if reach and one != over:
                paths[one] = [max(direct, min(reach, rest)) for direct, rest in zip(row, onward, strict=True)]
    return paths


def _strength(votes: int, against: int) -> int:
    """Of a link, 0 for none: more votes are stronger, and of equal ones those with fewer against them."""
    return (votes << LANE) - against if votes > against else 0
