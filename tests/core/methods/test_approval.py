"""Approval: every choice of a ballot is a vote."""

from __future__ import annotations

from support.elections import make_election
from votenet.core.methods.method import ContestResult
from votenet.core.methods.tally import Tally

APPROVAL = make_election(candidates=("Ann", "Bo", "Cy", "Dee", "Ed"), method="approval", max_choices=5)


def test_approval_counts_every_choice_of_a_ballot() -> None:
    tally = Tally({("Ann", "Bo", "Cy"): 2, ("Bo",): 1, ("Dee", "Bo"): 1, ("Cy", "Dee"): 1})
    assert APPROVAL.contests[0].decide(tally) == ContestResult(state="won", winners=("Bo",))
    counts = [(line.candidate, line.votes) for line in APPROVAL.contests[0].count(tally)]
    assert counts == [("Bo", 4), ("Cy", 3), ("Ann", 2), ("Dee", 2), ("Ed", 0)]
    assert tally.votes == 5
