"""The facts of an election's minutes, from an archive and from a final result file."""

from __future__ import annotations

import msgspec
import pytest

from support.amendments import AUTHORITY
from support.club_evening import CHAIR, EXTENDED, MEMBERS, certificate_with_witness, club_evening
from support.named_files import CLOSES, Batch, NamedFile, named_definition, whole_story
from support.reports import weighed_blank_report
from votenet.core.election.amendment import sign_amendment
from votenet.core.election.contest import ContestReport
from votenet.core.election.roll import Roll
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.election_report import ElectionReport, report_of_archive, report_of_result
from votenet.core.records.final_result import result_of_archive
from votenet.errors import NotProven

NOW = 2_000_000_000


def report_of(
    file: NamedFile, roll: Roll | None = None, now: int = NOW, certificate: str | None = None
) -> ElectionReport:
    check = ArchiveCheck(file.pack(certificate).splitlines(keepends=True), now, roll=roll)
    return report_of_archive(check, check.blocks(), now)


def counts_of(report: ElectionReport) -> list[ContestReport]:
    found = [contest.count for contest in report.contests]
    assert None not in found
    return [count for count in found if count is not None]


def test_a_whole_election_is_told_with_every_round_and_who_signed() -> None:
    roll, file = club_evening()
    report = report_of(file, roll)
    assert (report.final, report.undecided, report.hidden, report.source) == (True, "", False, "archive")
    assert (report.votes, report.registered, report.roll_weight) == (35, 41, sum(roll.weights.values()) + 2)
    assert report.signed_by == tuple((f"node {node}", report.definition.created + 9) for node in range(4))
    assert (report.named, report.quorum, report.cosigned_by) == (5, 4, ())
    chair, board, bylaws, site = counts_of(report)
    assert chair.outcome.winners == ("Bo Berg",)
    assert len(chair.outcome.rounds) == len(CHAIR) - 1
    assert len(board.outcome.winners) == 3
    assert board.outcome.quota == str(board.weight // 4 + 1)
    assert [one.name for one in bylaws.outcome.conditions] == ["threshold", "quorum"]
    assert len(site.outcome.matrix) == 5


def test_what_is_not_counted_is_told_with_the_reason() -> None:
    roll, file = club_evening()
    whys = {one.why for one in report_of(file, roll).not_counted}
    assert whys == {
        "another vote of this voter is counted, or the voter has another key now",
        "in time at 1 of 5 named nodes, 2 are needed",
    }
    assert {one.why for one in report_of(whole_story().file).not_counted} == {
        "another vote of this voter is counted",
        "in time at 1 of 5 named nodes, 2 are needed",
    }


def test_before_the_closing_it_says_why_nothing_is_decided() -> None:
    roll, file = club_evening(closed=False)
    assert report_of(file, roll, EXTENDED - 1).undecided == "voting goes on"
    after = report_of(file, roll, EXTENDED)
    assert after.undecided == "voting has ended, and the named nodes are closing the poll"
    assert not after.final
    assert after.not_counted == ()


def test_a_lot_is_shown_of_all_whom_only_the_lot_separates() -> None:
    file = NamedFile()
    file.block(Batch([file.vote("a", "Alice"), file.vote("b", "Bob")]))
    (contest,) = report_of(file).contests
    assert contest.count is not None
    assert set(contest.count.outcome.tied) == {name for name, _ in contest.lots} == {"Alice", "Bob"}
    assert all(len(lot) == 64 for _, lot in contest.lots)


def test_a_final_result_file_gives_the_same_counts_without_rounds() -> None:
    roll, file = club_evening()
    check = ArchiveCheck(file.pack().splitlines(keepends=True), NOW, roll=roll)
    result = result_of_archive(check, check.blocks())
    told, counted = report_of_result(result, file.network_hex), report_of(file, roll)
    assert (told.source, told.final, told.votes) == ("result", True, counted.votes)
    assert told.not_counted == counted.not_counted
    assert told.signed_by == counted.signed_by
    assert (told.amendments, told.closes, told.registered) == (
        counted.amendments,
        counted.closes,
        counted.registered,
    )
    for left, right in zip(counts_of(told), counts_of(counted), strict=True):
        assert (left.counts, left.blank, left.outcome.winners) == (
            right.counts,
            right.blank,
            right.outcome.winners,
        )
        assert left.outcome.quota == right.outcome.quota
        assert left.outcome.conditions == right.outcome.conditions
    assert not any(contest.has_rounds for contest in told.contests)
    with pytest.raises(NotProven) as refused:
        report_of_result(result, "00" * 32)
    assert refused.value.code == "network-mismatch"
    with pytest.raises(NotProven):
        report_of_result(msgspec.structs.replace(result, certificate=""), None)


def test_amendments_are_told_with_the_roll_and_the_hours_in_force() -> None:
    roll, file = club_evening()
    report = report_of(file, roll)
    assert [(one.number, one.action) for one in report.amendments] == [
        (1, "add-voter"),
        (2, "replace-key"),
        (3, "extend"),
    ]
    assert (report.definition.closes, report.closes) == (CLOSES, EXTENDED)
    assert report.registered == len(MEMBERS) + 1


def test_counts_that_are_shown_after_closing_are_not_told_before() -> None:
    roll, file = club_evening(closed=False, results="after-close")
    early = report_of(file, roll, EXTENDED + 1)
    assert (early.hidden, early.votes) == (True, 35)
    assert all(contest.count is None for contest in early.contests)
    roll, file = club_evening(results="after-close")
    assert not report_of(file, roll).hidden


def test_an_election_that_was_cancelled_has_no_counts_and_is_not_final() -> None:
    file = NamedFile(named_definition(authority_key=AUTHORITY.public_hex))
    file.block(Batch([file.vote("a", "Alice")]))
    cancel = sign_amendment(AUTHORITY, network_hex=file.network_hex, number=1, action="cancel")
    file.block(Batch((), [msgspec.to_builtins(cancel)]))
    report = report_of(file)
    assert report.cancelled_at == file.tip.time
    assert (report.cancelled, report.final, report.hidden) == (True, False, False)
    assert report.undecided == "the election was cancelled"
    assert [contest.count for contest in report.contests] == [None]


def test_witnesses_who_cosigned_are_named() -> None:
    roll, file = club_evening()
    assert report_of(file, roll, certificate=certificate_with_witness(file)).cosigned_by == (
        "Harbour Society",
    )


@pytest.mark.parametrize("final_file", [False, True])
def test_of_secret_ballots_with_weights_only_the_weight_of_blank_ones_is_known(final_file: bool) -> None:
    (count,) = counts_of(weighed_blank_report(final_file))
    assert (count.votes, count.weight, count.blank, count.blank_weighed) == (3, 7, 2, True)
    assert dict(count.counts) == {"Alice": 5, "Bob": 0, "Çelik": 0}
