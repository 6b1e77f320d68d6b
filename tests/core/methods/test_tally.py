"""Counting votes, and taking them back exactly."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import make_election
from votenet.core.methods.tally import Ballot, CandidateCount, Tally

RUNOFF = make_election(max_choices=2, method="instant-runoff")
APPROVAL = make_election(max_choices=2, method="approval")

ballots = st.lists(st.sampled_from(["Alice", "Bob", "Charlie"]), min_size=1, max_size=2, unique=True)
batches = st.lists(ballots.map(tuple), max_size=12)


@given(batches, batches)
@settings(max_examples=60)
def test_taking_back_is_the_inverse_of_adding(kept: list[Ballot], taken: list[Ballot]) -> None:
    tally = Tally()
    tally.add(kept)
    before = (dict(tally.ballots), tally.votes, RUNOFF.contests[0].count(tally))
    tally.add(iter(taken))
    assert tally.votes == len(kept) + len(taken)
    assert tally.ballots == Counter(kept + taken)
    tally.take_back(iter(taken))
    # As a dict: a ballot counted zero times must not stay behind.
    assert (dict(tally.ballots), tally.votes, RUNOFF.contests[0].count(tally)) == before


@given(batches)
@settings(max_examples=30)
def test_counting_is_counting(cast: list[Ballot]) -> None:
    tally = Tally()
    tally.add(cast)
    firsts = {line.candidate: line.votes for line in RUNOFF.contests[0].count(tally)}
    approval = {line.candidate: line.votes for line in APPROVAL.contests[0].count(tally)}
    for name in ("Alice", "Bob", "Charlie"):
        assert firsts[name] == sum(ballot[0] == name for ballot in cast)
        assert approval[name] == sum(name in ballot for ballot in cast)
    assert sum(firsts.values()) == len(cast)


def test_a_result_names_every_candidate_most_votes_first() -> None:
    tally = Tally({("Charlie",): 5, ("Bob", "Alice"): 1, ("Alice",): 1})
    assert tally.votes == 7
    assert RUNOFF.contests[0].count(tally) == [
        CandidateCount("Charlie", 5),
        CandidateCount("Alice", 1),  # equal ones as the election lists them
        CandidateCount("Bob", 1),
    ]
    assert APPROVAL.contests[0].count(tally) == [
        CandidateCount("Charlie", 5),
        CandidateCount("Alice", 2),
        CandidateCount("Bob", 1),
    ]


def test_an_empty_tally() -> None:
    assert Tally().votes == 0
    assert [line.votes for line in RUNOFF.contests[0].count(Tally())] == [0, 0, 0]


@pytest.mark.parametrize("ballot", [("Bob",), ("Alice", "Bob")])
def test_a_ballot_that_was_never_added_cannot_be_taken_back(ballot: Ballot) -> None:
    tally = Tally({("Alice",): 1})
    with pytest.raises(ValueError, match="never counted"):
        tally.take_back([ballot])
    assert dict(tally.ballots) == {("Alice",): 1}
    assert tally.votes == 1


def test_a_tally_copies_its_ballots() -> None:
    source: dict[Ballot, int] = {("Alice",): 1}
    tally = Tally(source)
    tally.add([("Alice",)])
    assert source == {("Alice",): 1}
