"""The facts of an election for its minutes, out of a checked archive or a final result file.

Text, HTML, CSV and JSON only print them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.core.election.amendment import Amendment, with_amendments
from votenet.core.election.contest import CheckedContest, ContestReport
from votenet.core.election.definition import Contest, Election, ElectionDefinition
from votenet.core.election.outcome_text import undecided_because
from votenet.core.election.quorum import faults_of
from votenet.core.log.certificate import Certificate, good_lines
from votenet.core.log.signed_note import parse_key
from votenet.core.methods.method import ContestResult
from votenet.core.methods.tally import Tally
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import (
    ArchiveBlocks,
    ContestCounts,
    FinalResult,
    LeftOut,
    ResultBuilder,
    check_result,
)
from votenet.errors import NotProven

ALL_ROUNDS: Final = 100_000
"""Counts in the rounds of a contest: minutes have them all, but for a thousand candidates in STV."""


@dataclass(frozen=True, slots=True)
class ContestFacts:
    """One question and its count. `lots`: candidate and lot (hexadecimal) of all whom only the lot separates.

    `count` is None where no counts are shown, and in an election that was cancelled. `has_rounds` is false
    where the source has no rounds.
    """

    definition: Contest
    count: ContestReport | None
    lots: tuple[tuple[str, str], ...]
    has_rounds: bool


@dataclass(frozen=True, slots=True)
class NotCountedVote:
    """A vote that a named node had accepted and that is not counted, by its id; `why` for people."""

    id: str
    lists: int
    why: str


@dataclass(frozen=True, slots=True)
class ElectionReport:
    """What the minutes of an election say. Times in Unix seconds.

    `source` is "archive" (every vote was counted again) or "result" (the counts are the word of the file).
    `undecided` says why there is no winner; empty in a final result. `signed_by`: names of the named nodes
    whose signatures hold, with the time of each.
    """

    definition: ElectionDefinition
    network_id: str
    source: str
    undecided: str
    hidden: bool
    """Whether counts are shown only after closing, and voting is not closed."""
    cancelled_at: int | None
    """The time of the block with the cancel; None in an election that was not cancelled."""
    closes: int | None
    """In force, behind all amendments."""
    amendments: tuple[Amendment, ...]
    registered: int | None
    roll_weight: int | None
    votes: int
    height: int
    tip: str
    contests: tuple[ContestFacts, ...]
    not_counted: tuple[NotCountedVote, ...]
    signed_by: tuple[tuple[str, int], ...]
    cosigned_by: tuple[str, ...]
    """Witnesses whose cosignatures hold."""
    named: int
    quorum: int
    log_size: int | None
    """Records in the log that is signed."""
    by_card: int | None = None
    """Voters whose code the organiser printed, by the organiser's own list; None without it."""
    ended: bool = False
    """Whether the closing time has passed: the named nodes close the poll, or have closed it."""

    @property
    def cancelled(self) -> bool:
        return self.cancelled_at is not None

    @property
    def final(self) -> bool:
        """Whether this is the final result: voting is over, and a quorum of named nodes has signed it."""
        return not self.undecided


def report_of_archive(check: ArchiveCheck, blocks: ArchiveBlocks, now: int) -> ElectionReport:
    """The report of an archive, after all checks. `blocks` are those of `check`; `now` in Unix seconds.

    Raises:
        NotProven: with the first fault of the archive.
    """
    builder = ResultBuilder(check.election)
    for entry, votes in blocks:
        builder.add(votes, entry.extras)
    election, tally, certificate, over = check.election, check.tally, check.certificate, check.end.over
    left_out: tuple[LeftOut, ...] = ()
    if check.end.counted and certificate is not None and not tally.sealed:
        left_out = builder.result(
            height=check.chain.tip.height,
            tip_hex=check.chain.tip.hash.hex(),
            tally=tally,
            certificate=str(certificate.note),
        ).not_counted
    opened = election.secret is not None and not tally.sealed
    shown = not election.cancelled and (opened or election.counts_shown(now, over))
    contests = tuple(
        _counted(election, contest.definition, counted) if shown else _not_shown(contest.definition)
        for contest, counted in zip(election.contests, tally.contests, strict=True)
    )
    return _report(
        election, "archive", contests, left_out, certificate, now,
        over=over, votes=tally.votes, height=check.chain.tip.height, tip=check.chain.tip.hash.hex(),
        cancelled_at=check.chain.tip.header.time if election.cancelled else None,  # no block follows a cancel
    )  # fmt: skip


def report_of_result(result: FinalResult, trusted: str | None = None) -> ElectionReport:
    """The report of a final result file, once its signatures are checked. It has no rounds.

    Args:
        trusted: the network id (hexadecimal) of the election.

    Raises:
        NotProven: as `check_result`.
    """
    certificate = check_result(result, trusted)
    election = with_amendments(Election(result.definition), result.amendments)
    contests = tuple(
        _facts(
            election,
            contest.definition,
            ContestReport(
                id=counted.id, title=contest.definition.title, method=contest.method.name,
                seats=contest.definition.seats, counts=counted.counts, votes=counted.votes,
                blank=counted.blank, weight=counted.weight, blank_weighed=_blank_weighed(election, counted),
                outcome=ContestResult(
                    state=counted.state,  # type: ignore[arg-type]
                    winners=counted.winners, tied=counted.tied, quota=counted.quota,
                    conditions=counted.conditions,
                ),
            ),
            has_rounds=False,
        )
        for contest, counted in zip(election.contests, result.contests, strict=True)
    )  # fmt: skip
    return _report(
        election, "result", contests, result.not_counted, certificate, 0,
        over=True, votes=result.votes, height=result.height, tip=result.tip, cancelled_at=None,
    )  # fmt: skip


def _blank_weighed(election: Election, counted: ContestCounts) -> bool:
    """As in `ContestReport`: of secret ballots with weights. Of all of them together the number is known."""
    if election.secret is None or counted.weight == counted.votes:
        return False
    return counted.blank > 0 and any(votes for _, votes in counted.counts)


def _report(
    election: Election,
    source: str,
    contests: tuple[ContestFacts, ...],
    left_out: Sequence[LeftOut],
    certificate: Certificate | None,
    now: int,
    *,
    over: bool,
    votes: int,
    height: int,
    tip: str,
    cancelled_at: int | None,
) -> ElectionReport:
    definition, closes = election.definition, election.closes
    final = over and certificate is not None
    signers = {} if certificate is None else certificate.signers
    return ElectionReport(
        definition=definition,
        network_id=election.network_hex,
        source=source,
        undecided=undecided_because(
            opens=definition.opens,
            closes=closes,
            named=election.named,
            over=over,
            final=final,
            now=now,
            cancelled=election.cancelled,
        ),
        hidden=not election.cancelled and any(contest.count is None for contest in contests),
        cancelled_at=cancelled_at,
        closes=closes,
        amendments=election.amendments,
        registered=election.roll_size,
        roll_weight=election.roll_weight,
        votes=votes,
        height=height,
        tip=tip,
        contests=contests,
        not_counted=tuple(_not_counted(left_out, election)),
        signed_by=tuple((definition.nodes[node].name, at) for node, at in sorted(signers.items())),
        cosigned_by=() if certificate is None else tuple(_witnesses(definition, certificate)),
        named=election.named,
        quorum=election.quorum,
        log_size=None if certificate is None else certificate.size,
        ended=over or (closes is not None and now >= closes),
    )


def _counted(election: Election, contest: Contest, tally: Tally) -> ContestFacts:
    counting = CheckedContest(contest, election.network_hex, only=True, round_counts=ALL_ROUNDS)
    return _facts(election, contest, counting.report(tally, election.roll_weight), has_rounds=True)


def _facts(election: Election, contest: Contest, count: ContestReport, *, has_rounds: bool) -> ContestFacts:
    by_lot = [one.tied for one in count.outcome.rounds if one.tie_break == "lot"]
    names = dict.fromkeys(name for tied in (*by_lot, count.outcome.tied) for name in tied)
    lot = CheckedContest(contest, election.network_hex, only=True).lot
    lots = tuple((name, lot(name).hex()) for name in names)
    return ContestFacts(contest, count, lots, has_rounds)


def _not_shown(contest: Contest) -> ContestFacts:
    return ContestFacts(contest, None, (), has_rounds=False)


def _not_counted(left_out: Iterable[LeftOut], election: Election) -> Iterator[NotCountedVote]:
    """The votes with the reason: what too few nodes say that they hold may be the invention of liars."""
    named = election.named
    needed = faults_of(named) + 1
    twice = "another vote of this voter is counted"
    if election.given_keys:
        twice += ", or the voter has another key now"
    for one in left_out:
        few = f"in time at {one.lists} of {named} named nodes, {needed} are needed"
        why = twice if one.lists >= needed else few
        yield NotCountedVote(one.id, one.lists, why)


def _witnesses(definition: ElectionDefinition, certificate: Certificate) -> Iterator[str]:
    for witness in definition.witnesses:
        with contextlib.suppress(NotProven):  # a key that cannot be read
            if good_lines(certificate.note, [parse_key(witness.key)]):
                yield witness.name
