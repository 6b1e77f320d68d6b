"""What all methods have in common: no result without votes, ties, the lot."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of, make_election
from votenet.core.election.definition import Election, Threshold
from votenet.core.methods.method import ContestResult
from votenet.core.methods.registry import METHODS
from votenet.core.methods.tally import Tally

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed")
ELECTIONS = {name: make_election(candidates=NAMES, method=name) for name in ("approval", "instant-runoff")}
SIMPLE = Threshold(basis="cast", share="simple")
CONTESTS = {name: contest_of(name, NAMES) for name in METHODS if name != "motion"}
CONTESTS["motion"] = contest_of("motion", NAMES[:3], threshold=SIMPLE)


def hashed(election: Election, name: str) -> str:
    """The lot, from its description alone."""
    text = json.dumps([election.network_hex, "1", name], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"votenet/tie/2\n" + text.encode()).hexdigest()


def test_the_lot_is_the_published_hash_and_differs_by_election() -> None:
    runoff, approval = ELECTIONS["instant-runoff"], ELECTIONS["approval"]
    assert runoff.contests[0].lot("Ann").hex() == hashed(runoff, "Ann")
    assert runoff.contests[0].lot("Ann") != runoff.contests[0].lot("Bo")
    assert runoff.contests[0].lot("Ann") != approval.contests[0].lot("Ann")


@pytest.mark.parametrize("name", METHODS)
def test_without_votes_nothing_is_decided(name: str) -> None:
    assert CONTESTS[name].decide(Tally()) == ContestResult(state="undecided")


@pytest.mark.parametrize("name", METHODS)
def test_blank_ballots_elect_no_candidate(name: str) -> None:
    result = CONTESTS[name].decide(Tally({(): 3}))
    assert (result.state, result.winners) == ("rejected" if name == "motion" else "undecided", ())


@pytest.mark.parametrize("name", [name for name in METHODS if name != "motion"])
def test_a_tie_at_the_top_is_called_one_with_the_order_by_lot(name: str) -> None:
    contest = CONTESTS[name]
    result = contest.decide(Tally({("Ann",): 2, ("Bo",): 2, ("Cy",): 1}))
    first = max(("Ann", "Bo"), key=contest.lot)
    assert result.state == "tied"
    assert result.winners == (first,)
    assert result.tied == (first, *({"Ann", "Bo"} - {first}))


@pytest.mark.parametrize("name", METHODS)
def test_a_result_is_the_same_behind_a_line_of_json(name: str) -> None:
    result = CONTESTS[name].decide(Tally({("Ann",): 3, ("Bo",): 2, ("Cy",): 2}))
    assert msgspec.json.decode(msgspec.json.encode(result), type=ContestResult) == result


@given(data=st.data(), name=st.sampled_from(list(METHODS)))
@settings(max_examples=150)
def test_a_ballot_of_a_weight_counts_as_so_many_ballots_in_any_order(data: st.DataObject, name: str) -> None:
    contest = CONTESTS[name]
    most = METHODS[name].max_choices or 3
    ballot = st.lists(st.sampled_from(contest.names), max_size=most, unique=True).map(tuple)
    cast = data.draw(st.lists(st.tuples(ballot, st.integers(1, 9)), max_size=12))
    weighted, copies = Tally(), Tally()
    weighted.add([choices for choices, _ in cast], [weight for _, weight in cast])
    for choices, weight in reversed(cast):
        copies.add([choices] * weight)
    assert contest.decide(weighted) == contest.decide(copies)
    assert contest.count(weighted) == contest.count(copies)
