"""A contest's ballots, lots and count."""

from __future__ import annotations

from typing import Any

import pytest

from votenet.core.election.contest import CheckedContest
from votenet.core.election.definition import Candidate, Contest
from votenet.core.methods.tally import Tally
from votenet.errors import Rejected

NETWORK = "ab" * 32


def contest(*, only: bool = False, **fields: Any) -> CheckedContest:
    names = fields.pop("names", ("Ann", "Bo", "Cy"))
    made = {"id": "board", "method": "approval", "max": 2, "title": "Board"} | fields
    candidates = tuple(Candidate(name=name) for name in names)
    return CheckedContest(Contest(candidates=candidates, **made), NETWORK, only=only)


@pytest.mark.parametrize(
    ("fields", "choices", "said"),
    [
        ({}, ("Ann", "Bo", "Cy"), "a vote has 1 to 2 choices in contest 'board'"),
        ({}, (), "a vote has 1 to 2 choices in contest 'board'"),
        ({"only": True}, (), "a vote has 1 to 2 choices"),
        ({"min": 2, "blank": True}, ("Ann",), "a vote has 2 choices in contest 'board' or is blank"),
        ({"max": 1}, ("Ann", "Bo"), "a vote has 1 choice in contest 'board'"),
        ({}, ("Ann", "Ann"), "a candidate is chosen twice in contest 'board'"),
        ({}, ("Zoe",), "'Zoe' is not a candidate in contest 'board'; choose from: Ann, Bo, Cy"),
    ],
)
def test_a_ballot_that_the_contest_does_not_allow(
    fields: dict[str, Any], choices: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Rejected) as refused:
        contest(**fields).check(choices)
    assert refused.value.message == said
    assert refused.value.code == ("unknown-candidate" if "Zoe" in choices else "bad-choices")


def test_a_blank_ballot_is_taken_where_it_is_allowed_and_decides_nothing() -> None:
    board = contest(blank=True, min=2)
    board.check(())
    board.check(("Bo", "Ann"))
    report = board.report(Tally({(): 3}))
    assert (report.votes, report.blank, report.weight) == (3, 3, 3)
    assert report.outcome.state == "undecided"


def test_a_report_counts_weights_and_names_blanks() -> None:
    tally = Tally()
    tally.add([("Bo",), ("Ann", "Bo"), ()], [5, 2, 10])
    report = contest(blank=True).report(tally)
    assert report.counts == (("Bo", 7), ("Ann", 2), ("Cy", 0))
    assert (report.votes, report.blank, report.weight) == (3, 1, 17)
    assert report.outcome.winners == ("Bo",)


def test_lots_of_one_name_differ_between_contests() -> None:
    assert contest().lot("Ann") != contest(id="chair").lot("Ann")


@pytest.mark.parametrize("method", ["instant-runoff", "stv"])
def test_the_earliest_rounds_are_left_out_where_many_contests_share_one_line(method: str) -> None:
    names = tuple(f"c{number}" for number in range(20))
    definition = Contest(
        candidates=tuple(Candidate(name=name) for name in names), max=20, method=method, title="Many"
    )
    tally = Tally({(name,): number + 1 for number, name in enumerate(names)})
    whole = CheckedContest(definition, NETWORK, only=True).decide(tally)
    cut = CheckedContest(definition, NETWORK, only=True, round_counts=60).decide(tally)
    assert whole.rounds_left_out == 0
    assert sum(len(one.counts) for one in cut.rounds) <= 60
    assert cut.rounds == whole.rounds[cut.rounds_left_out :] != ()
    assert cut.winners == whole.winners
