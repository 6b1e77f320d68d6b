"""Plurality: one choice a ballot, most votes win."""

from __future__ import annotations

import pytest

from support.elections import make_election
from votenet.core.methods.method import ContestResult
from votenet.core.methods.tally import Tally
from votenet.errors import ConfigError

PLURALITY = make_election(candidates=("Ann", "Bo", "Cy"))


def test_the_candidate_with_the_most_votes_wins_without_a_majority() -> None:
    tally = Tally({("Ann",): 3, ("Bo",): 4, ("Cy",): 2})
    assert PLURALITY.contests[0].decide(tally) == ContestResult(state="won", winners=("Bo",))
    assert [(line.candidate, line.votes) for line in PLURALITY.contests[0].count(tally)] == [
        ("Bo", 4),
        ("Ann", 3),
        ("Cy", 2),
    ]


def test_a_ballot_must_not_hold_choices_that_are_not_counted() -> None:
    with pytest.raises(ConfigError, match="plurality counts one choice a ballot, not 2") as refused:
        make_election(candidates=("Ann", "Bo"), max_choices=2)
    assert "approval or instant-runoff" in refused.value.next_step
