"""An outcome for people: rounds, ties, turnout."""

from __future__ import annotations

import pytest

from votenet.cli.outcome_view import show_rounds, tie, tie_breaks, turnout
from votenet.core.outcome import Outcome, Round

BROKEN = Round(
    number=2, counts=(("Ann", 1), ("Bo", 1)), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="lot"
)


def test_a_tie_says_whether_the_lot_chose() -> None:
    assert tie(Outcome(state="tied", winners=("Bo", "Ann"))) == (
        "Tied: Bo, Ann (in the order of their lots; see docs/elections.md)"
    )
    runoff = Outcome(state="tied", winners=("Ann", "Bo"), rounds=(BROKEN,))
    assert tie(runoff) == "Tied: Ann, Bo; the lot chose Ann (see docs/elections.md)"
    assert list(tie_breaks(runoff)) == ["Tie in round 2 between Ann, Bo: Bo left, by lot"]


def test_a_tie_of_a_thousand_is_a_line_that_can_be_read() -> None:
    names = tuple(f"c{n}" for n in range(1000))
    one = Round(number=1, counts=(), eliminated=("c0",), tied=names, tie_break="lot")
    (line,) = tie_breaks(Outcome(state="won", winners=("c1",), rounds=(one,)))
    assert "c19, … (1,000 in all): c0 left, by lot" in line
    assert "c19, … (1,000 in all)" in tie(Outcome(state="tied", winners=names))


def test_a_tie_broken_by_an_earlier_round_names_it() -> None:
    earlier = Outcome(
        state="won",
        winners=("Ann",),
        rounds=(Round(number=3, counts=(), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="round 1"),),
    )
    assert list(tie_breaks(earlier)) == [
        "Tie in round 3 between Ann, Bo: Bo left, by the fewest votes in round 1"
    ]


def test_rounds_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    many = Round(number=1, counts=tuple((f"c{n}", 9 - n) for n in range(5)), eliminated=("c4",), exhausted=3)
    empty = Round(number=2, counts=(("c0", 9),), eliminated=tuple("wxyz"))
    show_rounds(Outcome(state="won", winners=("c0",), rounds=(many, empty), rounds_left_out=4))
    shown = capsys.readouterr().out
    assert "(4 earlier rounds are not shown)" in shown
    assert "c0 9, c1 8, c2 7, 2 more" in shown
    assert "4 candidates without votes" in shown
    show_rounds(Outcome(state="undecided"))
    assert capsys.readouterr().out == ""


def test_turnout() -> None:
    assert turnout(5, 10) == "5 of 10 registered (50.0%)"
    assert turnout(0, 0) == "0 of 0 registered (0.0%)"
