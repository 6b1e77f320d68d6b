"""Choices in several contests, as they are typed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from support.elections import make_election
from votenet.cli.votes.choices import choice_fields, example_vote, given_choices
from votenet.core.election.contest import CheckedContest
from votenet.core.election.definition import Candidate, Contest, Election
from votenet.errors import Rejected, VotenetError


class Club:
    """The contests of an election that no definition holds yet."""

    def __init__(self) -> None:
        chair = Contest(candidates=(Candidate(name="Ann"), Candidate(name="Bo")), id="chair", title="Chair")
        names = ("Bo", "Cy", "Dee, Dr.")
        board = Contest(
            candidates=tuple(Candidate(name=name) for name in names), id="board", title="Board",
            method="instant-runoff", max=3, blank=True,
        )  # fmt: skip
        self.definition = SimpleNamespace(title="The club")
        self.contests = tuple(CheckedContest(one, "ab" * 32, only=False) for one in (chair, board))


CLUB = cast(Election, Club())


def given(*names: str, in_contests: tuple[str, ...] = ()) -> Any:
    return given_choices(CLUB, names, in_contests)


def test_choices_by_contest() -> None:
    found = given(in_contests=("chair=Ann", "board=Cy,Bo", "board=Dee, Dr."))
    assert found == {"chair": ["Ann"], "board": ["Cy", "Bo", "Dee, Dr."]}
    assert given(in_contests=("board=",)) == {"board": []}
    assert given("Ann", "Bo") == ("Ann", "Bo")


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(Rejected, match="does not say CONTEST=CANDIDATE"):
        given(in_contests=("Ann",))
    with pytest.raises(VotenetError) as refused:
        given("Ann", in_contests=("board=Cy",))
    assert refused.value.code == "contradiction"


def test_without_choices_each_contest_is_asked_for_until_its_ballot_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["3", "Ann", "x", "2, 1", ""])
    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    assert given() == {"chair": ["Ann"], "board": ["Cy", "Bo"]}
    assert asked[0] == "One number"
    assert asked[-1] == "1 to 3 numbers, in order of preference, with commas; nothing for a blank ballot"
    shown = capsys.readouterr().err
    assert shown.startswith("Election: The club\n\nChair\n   1  Ann\n")
    assert "'3' is not a number from 1 to 2" in shown
    assert "'x' is not a number from 1 to 3" in shown


def test_what_was_asked_for_is_shown_as_a_whole_and_cast_only_after_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["2", "2, 1"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    asked = []

    def confirm(text: str, **options: object) -> bool:
        asked.append((text, capsys.readouterr().err.splitlines()[-2:]))
        return False

    monkeypatch.setattr("click.confirm", confirm)
    with pytest.raises(click.exceptions.Exit) as declined:
        given()
    assert declined.value.exit_code == 130
    ((question, above),) = asked
    assert question.startswith("Cast this vote?")
    assert above == ["Chair: Bo", "Board: Cy > Bo"]
    assert capsys.readouterr().err == "Nothing was cast.\n"
    assert given("Ann") == ("Ann",), "what stands on the command line is not asked about"


def test_without_a_terminal_the_next_step_names_every_contest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(VotenetError) as refused:
        given()
    assert refused.value.next_step == (
        "Name one in each contest: votenet vote voter123 --in chair=Ann --in board=Bo"
    )


def test_an_example_names_a_candidate_that_can_be_typed() -> None:
    assert str(example_vote(CLUB, "-x")) == "votenet vote --in chair=Ann --in board=Bo -- -x"
    assert str(example_vote(make_election(candidates=("-f", "Bo")), "ann")) == "votenet vote ann Bo"


def test_fields_name_contests_and_blank_ballots() -> None:
    assert list(choice_fields(CLUB, (("Ann",), ()))) == [("Chair", "Ann"), ("Board", "(blank)")]
    assert list(choice_fields(CLUB, (("Ann",), ("Cy", "Bo")))) == [("Chair", "Ann"), ("Board", "Cy > Bo")]
