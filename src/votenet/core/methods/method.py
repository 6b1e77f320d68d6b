"""What a counting method is: its rules for ballots, its count, its result, its words for people.

To add a method, write a module beside `plurality.py` with one `Method`, and name it in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from votenet.core.encoding import Unsigned
from votenet.core.methods.tally import CandidateCount, Tally, count_choices

Lot = Callable[[str], bytes]
"""Gives the lot of a candidate, 32 bytes: of tied candidates the smallest lot loses."""
Count = int | str
"""A number of votes; decimal text such as "12.34567" where a method counts parts of votes."""
Counts = tuple[tuple[str, Count], ...]
Matrix = tuple[tuple[str, tuple[int, ...]], ...]
"""Each candidate with the weight of the ballots that prefer it to each one, in the definition's order."""
MAX_ROUND_COUNTS: Final = 2000
"""Counts in the listed rounds of one contest: more are not read, and all results must fit one line."""


class Round(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One round of a method that counts in rounds.

    `counts` has the continuing candidates and those elected so far, most votes first; `elected` those who
    are elected with these votes. After this round the surplus of `surplus` is transferred, or `eliminated`
    leave. Where several had the same votes, `tied` names them and `tie_break` what chose among them:
    `round N` (the votes in that earlier round) or `lot`.
    """

    number: int
    counts: Counts
    exhausted: Count = 0
    elected: tuple[str, ...] = ()
    surplus: str = ""
    eliminated: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    tie_break: str = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a motion needs: `got` of at least `needed`. Both are weights of ballots."""

    name: Literal["threshold", "quorum"]
    needed: Unsigned
    got: Unsigned
    met: bool


class ContestResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ballots of a contest decide.

    `state`: won (by votes alone), tied (only the lot gave the last seats), carried or rejected (a motion),
    undecided (no votes), cancelled (no votes count). `winners` has those who are elected, at most as many as
    there are seats, in the order of their election; `tied` all whom only the lot separates. `rounds_left_out`
    counts early rounds that are not listed.
    """

    state: Literal["won", "tied", "carried", "rejected", "undecided", "cancelled"]
    winners: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    rounds_left_out: int = 0
    quota: str = ""
    conditions: tuple[Condition, ...] = ()
    matrix: Matrix = ()


class MotionRules(NamedTuple):
    """What a motion needs: its threshold, and a quorum in percent of the roll; 0 for none."""

    basis: Literal["cast", "roll"]
    share: Literal["simple", "absolute", "two-thirds", "three-quarters"]
    quorum: int


class CountingRules(NamedTuple):
    """What a method must know of a contest beside its ballots.

    `candidates` in the order of the definition; `roll_weight` is the weight of all voters on the roll, None
    without a roll; `motion` is None for every other method. `round_counts` is the most counts that the listed
    rounds may have together.
    """

    candidates: tuple[str, ...]
    lot: Lot
    seats: int = 1
    max_choices: int = 1
    motion: MotionRules | None = None
    roll_weight: int | None = None
    round_counts: int = MAX_ROUND_COUNTS


UNDECIDED: Final = ContestResult(state="undecided")
CANCELLED: Final = ContestResult(state="cancelled")


@dataclass(frozen=True, slots=True)
class Method:
    """One way to count ballots.

    `name` stands in definitions; `ballot` and `counted` tell people what to write and what counts
    (the table of docs/elections.md). With `ranked` the order of choices matters. `max_choices` is the most
    that a definition may allow on a ballot, `max_seats` and `max_candidates` likewise; None for no limit.

    `decide` is asked when there is at least one ballot that is not blank. `steps` says, for a number of
    candidates, about how many steps `decide` takes beside reading the ballots.
    """

    name: str
    ballot: str
    counted: str
    count: Callable[[Tally, CountingRules], list[CandidateCount]]
    decide: Callable[[Tally, CountingRules], ContestResult]
    ranked: bool = False
    max_choices: int | None = None
    max_seats: int | None = 1
    max_candidates: int | None = None
    steps: Callable[[int], int] = lambda candidates: candidates


def count_first(tally: Tally, rules: CountingRules) -> list[CandidateCount]:
    """First choices."""
    return count_choices(tally, rules.candidates, 1)


def count_all(tally: Tally, rules: CountingRules) -> list[CandidateCount]:
    """Every choice of every ballot."""
    return count_choices(tally, rules.candidates, None)


def most_votes_win(lines: Sequence[CandidateCount], rules: CountingRules) -> ContestResult:
    """The seats go to the candidates with the most votes; `lines` has most votes first.

    Equal candidates at the last seat are tied: the largest lots have the seats.
    """
    last = lines[rules.seats - 1].votes
    sure = [line.candidate for line in lines if line.votes > last]
    level = sorted((line.candidate for line in lines if line.votes == last), key=rules.lot, reverse=True)
    free = rules.seats - len(sure)
    if len(level) == free:
        return ContestResult(state="won", winners=tuple(line.candidate for line in lines[: rules.seats]))
    return ContestResult(state="tied", winners=(*sure, *level[:free]), tied=tuple(level))
