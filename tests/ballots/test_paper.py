"""Papers are values: equal ones are one."""

from __future__ import annotations

from votenet.ballots.paper import Ballot, Paper, Rank


def test_equal_papers_and_ballots_are_the_same() -> None:
    assert len({Paper(1, ((Rank(1, ("Ann",)),),)), Paper(1, ((Rank(1, ("Ann",)),),), "", 1)}) == 1
    assert Ballot(1, 2, "v", ()) == Ballot(1, 2, "v", ())
