"""Counting, and taking back exactly what was added."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import make_election
from votenet.core.outcome import decide
from votenet.core.tally import Ballot, CandidateCount, Tally

RUNOFF = make_election(max_choices=2, method="instant-runoff")
APPROVAL = make_election(max_choices=2, method="approval")

ballots = st.lists(st.sampled_from(["Alice", "Bob", "Charlie"]), min_size=1, max_size=2, unique=True)
batches = st.lists(ballots.map(tuple), max_size=12)


@given(batches, batches)
@settings(max_examples=60)
def test_taking_back_is_the_inverse_of_adding(kept: list[Ballot], taken: list[Ballot]) -> None:
    tally = Tally()
    tally.add(kept)
    before = (dict(tally.ballots), tally.votes, tally.count(RUNOFF))
    tally.add(iter(taken))
    assert tally.votes == len(kept) + len(taken)
    assert tally.ballots == Counter(kept + taken)
    tally.take_back(iter(taken))
    # As a dict: a ballot counted zero times must not stay behind.
    assert (dict(tally.ballots), tally.votes, tally.count(RUNOFF)) == before


@given(batches)
@settings(max_examples=30)
def test_counting_is_counting(cast: list[Ballot]) -> None:
    tally = Tally()
    tally.add(cast)
    firsts = {line.candidate: line.votes for line in tally.count(RUNOFF)}
    approval = {line.candidate: line.votes for line in tally.count(APPROVAL)}
    for name in ("Alice", "Bob", "Charlie"):
        assert firsts[name] == sum(ballot[0] == name for ballot in cast)
        assert approval[name] == sum(name in ballot for ballot in cast)
    assert sum(firsts.values()) == len(cast)


def test_s11_a_result_names_every_candidate_most_votes_first() -> None:
    tally = Tally({("Charlie",): 5, ("Bob", "Alice"): 1, ("Alice",): 1})
    assert tally.votes == 7
    assert tally.count(RUNOFF) == [
        CandidateCount("Charlie", 5),
        CandidateCount("Alice", 1),  # equal ones as the election lists them
        CandidateCount("Bob", 1),
    ]
    assert tally.count(APPROVAL) == [
        CandidateCount("Charlie", 5),
        CandidateCount("Alice", 2),
        CandidateCount("Bob", 1),
    ]


def test_an_empty_tally() -> None:
    assert Tally().votes == 0
    assert [line.votes for line in Tally().count(RUNOFF)] == [0, 0, 0]


@pytest.mark.parametrize("ballot", [("Bob",), ("Alice", "Bob")])
def test_a_ballot_that_was_never_added_cannot_be_taken_back(ballot: Ballot) -> None:
    tally = Tally({("Alice",): 1})
    with pytest.raises(ValueError, match="never counted"):
        tally.take_back([ballot])
    assert dict(tally.ballots) == {("Alice",): 1}
    assert tally.votes == 1


def test_a_tally_does_not_share_what_it_was_made_from() -> None:
    source: dict[Ballot, int] = {("Alice",): 1}
    tally = Tally(source)
    tally.add([("Alice",)])
    assert source == {("Alice",): 1}


def test_an_unknown_method_is_counted_in_no_way() -> None:
    """No definition has one; if one ever did, it would not be taken for a plurality."""
    election = make_election()
    election.definition = msgspec.structs.replace(election.definition, method="borda")
    for count in (Tally().count, lambda held: decide(Tally({("Alice",): 1}), held)):
        with pytest.raises(KeyError, match="borda"):
            count(election)
