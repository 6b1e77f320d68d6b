"""A count on a screen: rounds, matrix, turnout."""

from __future__ import annotations

import pytest

from votenet.cli.election.outcome_view import counts_hidden, show_matrix, show_rounds, turnout
from votenet.core.methods.method import ContestResult, Round


def test_counts_are_not_promised_for_a_time_that_has_passed() -> None:
    assert counts_hidden(100, now=99).startswith("Counts are shown after closing, at ")
    for now in (100, 101):
        assert counts_hidden(100, now) == (
            "Voting has ended: counts are shown once the named nodes have closed the poll."
        )


def test_rounds_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    many = Round(number=1, counts=tuple((f"c{n}", 9 - n) for n in range(5)), eliminated=("c4",), exhausted=3)
    empty = Round(number=2, counts=(("c0", 9),), eliminated=tuple("wxyz"))
    show_rounds(
        ContestResult(state="won", winners=("c0",), rounds=(many, empty), rounds_left_out=4), final=False
    )
    shown = capsys.readouterr().out
    assert "(4 earlier rounds are not shown)" in shown
    assert "c0 9, c1 8, c2 7, 2 more" in shown
    assert "4 candidates without votes" in shown
    show_rounds(ContestResult(state="undecided"), final=False)
    assert capsys.readouterr().out == ""


def test_a_round_with_a_surplus_says_whose_it_is_and_what_chose_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = Round(
        number=6,
        counts=(("Ann", "1311.00000"), ("Bo", "1311.00000"), ("Cy", "946.00000")),
        exhausted="227.00000",
        elected=("Ann", "Bo"),
        surplus="Ann",
        tied=("Ann", "Bo"),
        tie_break="round 5",
    )
    outcome = ContestResult(state="won", winners=("Ann", "Bo"), rounds=(one,))
    show_rounds(outcome, final=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Ann 1311.00000, Bo 1311.00000, Cy 946.00000" in shown
    assert "elected: Ann, Bo; surplus of Ann" in shown
    show_rounds(outcome, final=False)
    assert "would be elected: Ann, Bo" in " ".join(capsys.readouterr().out.split())


def test_a_matrix_names_its_rows_and_columns_where_there_is_room(capsys: pytest.CaptureFixture[str]) -> None:
    show_matrix(ContestResult(state="won", matrix=(("Ann", (0, 1200)), ("[b]Bo[/b]", (7, 0)))))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["preferred", "to", "Ann", "[b]Bo[/b]"], ["Ann", "1,200"], ["[b]Bo[/b]", "7"]]
    show_matrix(ContestResult(state="won", matrix=tuple((f"c{n}", (0,) * 11) for n in range(11))))
    show_matrix(ContestResult(state="won"))
    assert capsys.readouterr().out == ""


def test_turnout() -> None:
    assert turnout(5, 10) == "5 of 10 registered (50.0%)"
    assert turnout(0, 0) == "0 of 0 registered (0.0%)"
