"""A count in words: winners only where it is final, ties, motions, rounds."""

from __future__ import annotations

import pytest

from votenet.core.election.contest import ContestReport
from votenet.core.election.outcome_text import ballots_line, decision, leaving, tie, tie_breaks, verdict
from votenet.core.methods.method import Condition, ContestResult, Round

BROKEN = Round(
    number=2, counts=(("Ann", 1), ("Bo", 1)), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="lot"
)


WON = ContestResult(state="won", winners=("Ann",))
BOTH = ContestResult(state="won", winners=("Ann", "Bo"))
TIE = ContestResult(state="tied", winners=("Bo",), tied=("Bo", "Ann"))
LAST_SEAT = ContestResult(state="tied", winners=("Ann", "Cy"), tied=("Cy", "Bo"))
MANY = tuple(f"c{n}" for n in range(64))


def report_of(outcome: ContestResult, **fields: int) -> ContestReport:
    members: dict[str, int] = {"seats": 1, "votes": 5, "blank": 0, "weight": 5}
    return ContestReport(
        id="1", title="T", method="stv", counts=(("Ann", 3), ("Bo", 2)), outcome=outcome, **members | fields
    )


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        (ContestResult(state="undecided"), "Undecided: no votes yet.", "Undecided: no votes."),
        (WON, "Ahead so far: Ann", "Winner: Ann"),
        (BOTH, "Ahead so far: Ann, Bo", "Winners: Ann, Bo"),
        (TIE, "Tied so far: Bo, Ann", "Tied: Bo, Ann; the lot chose Bo (see docs/elections.md)"),
        (
            LAST_SEAT,
            "Ahead so far: Ann. Tied so far: Cy, Bo",
            "Winners: Ann. Tied: Cy, Bo; the lot chose Cy (see docs/elections.md)",
        ),
        (
            ContestResult(state="won", winners=MANY),
            f"Ahead so far: {', '.join(MANY)}",
            f"Winners: {', '.join(MANY)}",
        ),
        (ContestResult(state="carried"), "So far it would be carried.", "Carried."),
        (ContestResult(state="rejected"), "So far it would be rejected.", "Rejected."),
    ],
)
def test_a_winner_is_named_only_in_a_final_result(outcome: ContestResult, before: str, after: str) -> None:
    assert (decision(outcome, final=False), decision(outcome, final=True)) == (before, after)


def test_blank_ballots_alone_are_not_called_no_votes() -> None:
    blank = report_of(ContestResult(state="undecided"), votes=5, blank=5)
    assert list(verdict(blank, final=True)) == ["Undecided: every ballot is blank."]
    assert list(verdict(blank, final=False)) == ["Undecided: every ballot is blank so far."]


def test_the_verdict_names_quota_conditions_and_ties() -> None:
    outcome = ContestResult(
        state="rejected",
        quota="3",
        conditions=(Condition(name="quorum", needed=6, got=5, met=False),),
        rounds=(BROKEN,),
    )
    assert list(verdict(report_of(outcome), final=True)) == [
        "Rejected.",
        "Quota: 3",
        "Quorum not met: 5 of 6 needed",
        "Tie in round 2 between Ann, Bo: Bo left, by lot",
    ]


def test_the_ballots_of_a_contest_in_a_line() -> None:
    assert ballots_line(report_of(WON)) == "stv: 5 ballots"
    weighed = report_of(BOTH, seats=2, votes=1, blank=1, weight=7)
    assert ballots_line(weighed) == "stv, 2 seats: 1 ballot, weight 7, 1 blank"
    secret = report_of(WON, votes=3, blank=4, weight=9, blank_weighed=True)
    assert ballots_line(secret) == "stv: 3 ballots, weight 9, 4 of it blank"


def test_what_happens_in_a_round() -> None:
    one = Round(number=6, counts=(), elected=("Ann", "Bo"), surplus="Ann")
    assert leaving(one, final=True, most=3) == "elected: Ann, Bo; surplus of Ann"
    assert leaving(one, final=False, most=3) == "would be elected: Ann, Bo; surplus of Ann"
    out = Round(number=6, counts=(), eliminated=("a", "b", "c"))
    assert leaving(out, final=True, most=3) == "a, b, c"
    assert leaving(out, final=True, most=2) == "3 candidates without votes"


def test_a_tie_says_whether_the_lot_chose() -> None:
    assert tie(ContestResult(state="tied", winners=("Bo",), tied=("Bo", "Ann"))) == (
        "Tied: Bo, Ann; the lot chose Bo (see docs/elections.md)"
    )
    runoff = ContestResult(state="tied", winners=("Ann",), tied=("Ann", "Bo"), rounds=(BROKEN,))
    assert tie(runoff) == "Tied: Ann, Bo; the lot chose Ann (see docs/elections.md)"
    assert list(tie_breaks(runoff)) == ["Tie in round 2 between Ann, Bo: Bo left, by lot"]


def test_a_tie_of_a_thousand_is_a_line_that_can_be_read() -> None:
    names = tuple(f"c{n}" for n in range(1000))
    one = Round(number=1, counts=(), eliminated=("c0",), tied=names, tie_break="lot")
    (line,) = tie_breaks(ContestResult(state="won", winners=("c1",), rounds=(one,)))
    assert "c19, … (1,000 in all): c0 left, by lot" in line
    assert "c19, … (1,000 in all)" in tie(ContestResult(state="tied", winners=names[:1], tied=names))


def test_a_tie_broken_by_an_earlier_round_names_it() -> None:
    earlier = ContestResult(
        state="won",
        winners=("Ann",),
        rounds=(Round(number=3, counts=(), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="round 1"),),
    )
    assert list(tie_breaks(earlier)) == [
        "Tie in round 3 between Ann, Bo: Bo left, by the fewest votes in round 1"
    ]


def test_a_tie_of_surpluses_says_what_chose_the_first() -> None:
    one = Round(number=6, counts=(), surplus="Ann", tied=("Ann", "Bo"), tie_break="round 5")
    outcome = ContestResult(state="won", winners=("Ann", "Bo"), rounds=(one,))
    told = ["Tie in round 6 between Ann, Bo: surplus of Ann first, by the most votes in round 5"]
    assert list(tie_breaks(outcome)) == told
