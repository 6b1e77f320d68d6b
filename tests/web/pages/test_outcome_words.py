"""Who has won, in words: winner, elected and carried only where the result is final."""

from __future__ import annotations

import re

import pytest

from support.elections import contest_of
from votenet.core.election.definition import Quorum, Threshold
from votenet.core.methods.method import Condition, ContestResult, Round
from votenet.web.pages import outcome_words
from votenet.web.words import Words

EN = Words("en")
LOT = "Equal votes for A and B. The lot chose A."
LEAVES = "B has the fewest votes and leaves; the ballots go to their next choice."
SURPLUS = "A has more votes than needed: the part that is too much goes to the next choices."
FINAL_WORDS = re.compile("winner|elected|carried\\.|terpilih|pemenang|diterima\\.", re.IGNORECASE)


def plain(text: str) -> str:
    return re.sub("<[^>]*>", "", text)


@pytest.mark.parametrize(
    ("found", "final", "text"),
    [
        (ContestResult(state="won", winners=("A",)), True, "Winner: A."),
        (ContestResult(state="won", winners=("A", "B")), True, "Winners: A and B."),
        (ContestResult(state="won", winners=("A",)), False, "Ahead so far: A."),
        (ContestResult(state="tied", winners=("C", "A"), tied=("A", "B")), True, "Winners: C. " + LOT),
        (ContestResult(state="tied", winners=("A",), tied=("A", "B")), True, LOT),
        (ContestResult(state="tied", winners=("A",), tied=("A", "B")), False, "Equal votes so far: A and B."),
        (
            ContestResult(state="tied", winners=("C", "A"), tied=("A", "B")),
            False,
            "Ahead so far: C. Equal votes so far: A and B.",
        ),
        (ContestResult(state="carried"), True, "The motion is carried."),
        (ContestResult(state="carried"), False, "If voting ended now, the motion would be carried."),
        (ContestResult(state="rejected"), True, "The motion is rejected."),
        (ContestResult(state="undecided"), False, "No choice has a vote yet."),
        (ContestResult(state="undecided"), True, "Undecided: there are no votes."),
        (ContestResult(state="cancelled"), False, "Cancelled: nothing is counted."),
    ],
)
def test_decisions(found: ContestResult, final: bool, text: str) -> None:
    assert plain(outcome_words.decision(EN, found, final)) == text


def test_blank_ballots_alone_are_not_called_no_votes() -> None:
    text = outcome_words.decision(EN, ContestResult(state="undecided"), True, votes=5)
    assert text == "Undecided: every ballot is blank."


@pytest.mark.parametrize("language", ["en", "id"])
def test_nobody_has_won_before_the_end(language: str) -> None:
    words = Words(language)
    for state in ("won", "tied", "undecided"):
        found = ContestResult(state=state, winners=("A",), tied=("A", "B"))  # type: ignore[arg-type]
        assert not FINAL_WORDS.search(outcome_words.decision(words, found, False))
    one = Round(number=1, counts=(("A", 2),), elected=("A",))
    assert not FINAL_WORDS.search(outcome_words.round_sentence(words, one, False))
    assert FINAL_WORDS.search(outcome_words.round_sentence(words, one, True))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"elected": ("A",), "surplus": "A"}, f"A is elected. {SURPLUS}"),
        ({"eliminated": ("B",)}, LEAVES),
        ({"eliminated": tuple("BCDEF")}, "5 candidates with the fewest votes leave."),
        ({}, "The count ends."),
        (
            {"eliminated": ("B",), "tied": ("A", "B"), "tie_break": "lot"},
            f"{LEAVES} A and B had equal votes; the lot decided.",
        ),
        (
            {"surplus": "A", "tied": ("A", "B"), "tie_break": "round 2"},
            f"{SURPLUS} A and B had equally many votes beyond the quota; the votes of round 2 decided.",
        ),
    ],
)
def test_rounds(fields: dict[str, object], text: str) -> None:
    one = Round(number=3, counts=(("A", 2), ("B", 1)), **fields)  # type: ignore[arg-type]
    assert plain(outcome_words.round_sentence(EN, one, True)) == text


def test_motions() -> None:
    motion = contest_of(
        "motion",
        ("Yes", "No", "Abstain"),
        threshold=Threshold(basis="cast", share="two-thirds"),
        quorum=Quorum(percent=50),
    ).definition
    assert outcome_words.threshold(EN, motion).endswith("At least 50% of the roll must vote.")
    assert outcome_words.how_to_choose(EN, motion) == "Vote for it, against it, or abstain."
    found = ContestResult(
        state="rejected", conditions=(Condition(name="quorum", needed=20, got=9, met=False),)
    )
    ((_, text),) = outcome_words.conditions(EN, found)
    assert text == "Ballots cast: 9 of the 20 that are needed."


def test_weights_of_a_motion_are_not_called_numbers_of_ballots() -> None:
    motion = contest_of(
        "motion",
        ("Yes", "No", "Abstain"),
        threshold=Threshold(basis="roll", share="absolute"),
        quorum=Quorum(percent=50),
    ).definition
    needs = outcome_words.threshold(EN, motion, weighted=True)
    assert needs.endswith("Ballots with at least 50% of the weight of the roll must be cast.")
    for met in (True, False):
        both = (
            Condition(name="threshold", needed=501, got=200, met=met),
            Condition(name="quorum", needed=500, got=300, met=met),
        )
        found = ContestResult(state="rejected", conditions=both)
        assert [text for _, text in outcome_words.conditions(EN, found, weighted=True)] == [
            "Weight of the votes for the motion: 200 of the 501 that it needs.",
            "Weight of the ballots cast: 300 of the 500 that is needed.",
        ]
        indonesian = [text for _, text in outcome_words.conditions(Words("id"), found, weighted=True)]
        assert indonesian[1] == "Bobot surat suara masuk: 300 dari 500 yang diperlukan."


def test_methods_and_ballots() -> None:
    stv = contest_of("stv", ("A", "B", "C"), seats=2, max=3).definition
    assert outcome_words.method(EN, stv).endswith("There are 2 seats.")
    assert outcome_words.how_to_choose(EN, stv) == "Put up to 3 in your order, the best first."
    assert outcome_words.threshold(EN, stv) == ""
    one = contest_of("plurality", ("A", "B")).definition
    assert outcome_words.how_to_choose(EN, one) == "Choose one."


def test_every_winner_is_named() -> None:
    names = tuple(f"c{n}" for n in range(64))
    for found in (
        ContestResult(state="won", winners=names),
        ContestResult(state="tied", winners=names, tied=names[32:]),
        ContestResult(state="tied", winners=names, tied=(*names, "d")),
    ):
        text = plain(outcome_words.decision(EN, found, True))
        assert all(re.search(rf"{name}\b", text) for name in names)
