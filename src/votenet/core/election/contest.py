"""One contest of a checked election: its ballots' rules, its count, its result."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec

from votenet.core.encoding import DOMAIN_TIE, canonical, domain_hash
from votenet.core.methods.method import (
    CANCELLED,
    MAX_ROUND_COUNTS,
    UNDECIDED,
    ContestResult,
    CountingRules,
    MotionRules,
)
from votenet.core.methods.registry import method_named
from votenet.core.methods.tally import BLANK, CandidateCount, Tally
from votenet.errors import Rejected

if TYPE_CHECKING:
    from votenet.core.election.definition import Contest

MAX_OFFERED: Final = 50
"""Candidates that a refusal names in its sentence."""
OFFERED_CHARACTERS: Final = 400
"""Characters of the candidates' names in a refusal."""


class ContestReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contest's count: `counts` in weights, most first (first choices where ballots are ranked).

    `votes` is the number of ballots, `blank` that of the blank ones among them, `weight` that of all ballots.
    With `blank_weighed` `blank` is a weight, too: secret ballots with weights do not tell the number.
    """

    id: str
    title: str
    method: str
    seats: int
    counts: tuple[tuple[str, int], ...]
    votes: int
    blank: int
    weight: int
    outcome: ContestResult
    blank_weighed: bool = False


class CheckedContest:
    """A contest whose definition is checked, with what follows from it.

    Args:
        network_hex: the election's network id; lots depend on it.
        only: whether it is the one contest of its election: refusals need not name it.
        round_counts: see CountingRules.
    """

    def __init__(
        self, contest: Contest, network_hex: str, *, only: bool, round_counts: int = MAX_ROUND_COUNTS
    ) -> None:
        self.definition = contest
        self.names = tuple(candidate.name for candidate in contest.candidates)
        """The candidates in the order of the definition."""
        self.candidates = frozenset(self.names)
        self.method = method_named(contest.method)
        self._network_hex = network_hex
        self._round_counts = round_counts
        self._where = "" if only else f" in contest {contest.id!r}"

    def check(self, choices: Sequence[str]) -> None:
        """Check a ballot. Raises Rejected: bad-choices, unknown-candidate."""
        contest = self.definition
        if not choices and contest.blank:
            return
        if not contest.min <= len(choices) <= contest.max:
            allowed = f"{contest.max}" if contest.min == contest.max else f"{contest.min} to {contest.max}"
            plural = "choice" if contest.min == contest.max == 1 else "choices"
            blank = " or is blank" if contest.blank else ""
            raise Rejected("bad-choices", f"a vote has {allowed} {plural}{self._where}{blank}")
        if len(choices) > 1 and len(set(choices)) < len(choices):
            raise Rejected("bad-choices", f"a candidate is chosen twice{self._where}")
        for choice in choices:
            if choice not in self.candidates:
                words, names = self.offer
                raise Rejected(
                    "unknown-candidate",
                    f"{choice!r} is not a candidate{self._where}; choose from: {words}",
                    **({"candidates": list(names)} if names else {}),
                )

    @cached_property
    def offer(self) -> tuple[str, tuple[str, ...]]:
        """The candidates for a refusal: in words, and as names where they are few.

        A request may have a thousand votes for unknown candidates, and each refusal lists these.
        """
        names = self.names
        lengths = list(accumulate(map(len, names)))
        shown = min(MAX_OFFERED, sum(length <= OFFERED_CHARACTERS for length in lengths))
        words = ", ".join(names[:shown])
        if shown < len(names):
            words += f", … ({len(names)} in all)"
        return words, names if lengths[-1] <= OFFERED_CHARACTERS else ()

    # -- counting ------------------------------------------------------------------------------

    def lot(self, candidate: str) -> bytes:
        """The candidate's lot, 32 bytes: of tied candidates the smallest lot loses."""
        return domain_hash(DOMAIN_TIE, canonical([self._network_hex, self.definition.id, candidate]))

    def rules(self, roll_weight: int | None = None) -> CountingRules:
        """Args: roll_weight: the weight of all voters on the roll, if there is one."""
        contest = self.definition
        threshold, quorum = contest.threshold, contest.quorum
        motion = None
        if threshold is not None:
            motion = MotionRules(threshold.basis, threshold.share, 0 if quorum is None else quorum.percent)
        return CountingRules(
            candidates=self.names,
            lot=self.lot,
            seats=contest.seats,
            max_choices=contest.max,
            motion=motion,
            roll_weight=roll_weight,
            round_counts=self._round_counts,
        )

    def count(self, tally: Tally) -> list[CandidateCount]:
        """Votes of every candidate, most first; equal ones in the order of the definition."""
        return self.method.count(tally, self.rules())

    def decide(self, tally: Tally, roll_weight: int | None = None) -> ContestResult:
        """The result by the contest's own method. Blank ballots alone decide a motion, nothing else.

        Their weight is compared, not their number: of secret ballots with weights that is not known.
        """
        all_blank = tally.ballots[BLANK] == tally.weight
        if not tally.votes or (all_blank and self.definition.threshold is None):
            return UNDECIDED
        return self.method.decide(tally, self.rules(roll_weight))

    def report(self, tally: Tally, roll_weight: int | None = None) -> ContestReport:
        """The count and the result, for people and programs."""
        return ContestReport(
            id=self.definition.id,
            title=self.definition.title,
            method=self.method.name,
            seats=self.definition.seats,
            counts=tuple((line.candidate, line.votes) for line in self.count(tally)),
            votes=tally.votes,
            blank=tally.blank,
            blank_weighed=tally.blank_weighed,
            weight=tally.weight,
            outcome=self.decide(tally, roll_weight),
        )

    def cancelled_report(self) -> ContestReport:
        """Of an election that was cancelled: no count, no result."""
        return ContestReport(
            id=self.definition.id,
            title=self.definition.title,
            method=self.method.name,
            seats=self.definition.seats,
            counts=(),
            votes=0,
            blank=0,
            weight=0,
            outcome=CANCELLED,
        )

    def sealed_report(self, tally: Tally) -> ContestReport:
        """Of secret ballots that are not opened: how many there are."""
        return msgspec.structs.replace(
            self.cancelled_report(), votes=tally.votes, weight=tally.weight, outcome=UNDECIDED
        )

    def counting_steps(self, tally: Tally) -> int:
        """About how many steps `decide` takes, a microsecond each; moves of ballots are not foreseen."""
        return len(tally.ballots) + self.method.steps(len(self.names))
