"""From a paper to choices: every rule, and the words that are no names."""

from __future__ import annotations

from typing import Any

from votenet.ballots.marking_rules import Marked, MarkingRules, marked
from votenet.ballots.paper import Rank

NAMES = {name: name for name in ("Ann", "Bo", "Cy")}


def read(ranks: str, **rules: Any) -> Marked:
    """`Ann > Bo+Cy > > Ann` by these rules."""
    made = tuple(
        Rank(column, tuple(name.strip() for name in rank.split("+") if name.strip()))
        for column, rank in enumerate(ranks.split(">"), start=1)
    )
    return marked(made, MarkingRules(**rules), NAMES, frozenset())


def test_each_rule() -> None:
    for ranks, rules, choices, faults in (
        ("Ann > > Bo", {}, "Ann Bo", 0),
        ("Ann > > Bo", {"skips": "end"}, "Ann", 0),
        ("Ann > > Bo > > Cy", {"skips": "end-at-two"}, "Ann Bo Cy", 0),
        ("Ann > > undervote > Bo", {"skips": "end-at-two"}, "Ann", 0),
        ("Ann > Bo+Cy > Bo", {}, "Ann Bo", 1),
        ("Ann > Bo+Cy > Bo", {"over_votes": "skip"}, "Ann Bo", 0),
        ("Ann > Bo+Cy > Bo", {"over_votes": "end"}, "Ann", 0),
        ("Ann > OverVote > Bo", {}, "Ann Bo", 0),
        ("Ann > overvote > Bo", {"over_votes": "end"}, "Ann", 0),
        ("Ann > overvote > Bo", {"over_votes": "refuse"}, "Ann Bo", 1),
        ("Ann > Bo|Cy", {"over_votes": "skip"}, "Ann", 0),
        ("Ann > Ann > Bo", {}, "Ann Bo", 0),
        ("Ann > Ann > Bo", {"repeats": "end"}, "Ann", 0),
        ("Ann > Ann > Bo", {"repeats": "refuse"}, "Ann Bo", 1),
        ("Dee > Bo", {}, "Bo", 1),
        ("Dee > Bo", {"unknown": "skip"}, "Bo", 0),
        ("- > Bo", {"blanks": frozenset({"-"})}, "Bo", 0),
        ("Skipped > > ", {"skips": "end"}, "", 0),
    ):
        found = read(ranks, **rules)  # type: ignore[arg-type]
        assert (" ".join(found.choices), len(found.faults)) == (choices, faults), (ranks, rules)


def test_a_candidate_may_have_the_name_of_a_mark() -> None:
    names = {"Blank": "Blank", "overvote": "overvote"}
    ranks = (Rank(1, ("Blank",)), Rank(2, ("overvote",)))
    assert marked(ranks, MarkingRules(), names, frozenset()).choices == ["Blank", "overvote"]


def test_withdrawn_candidates_are_passed_over() -> None:
    ranks = (Rank(1, ("Ann",)), Rank(2, ("Bo",)))
    assert marked(ranks, MarkingRules(), None, frozenset({"Ann"})).choices == ["Bo"]
