"""Block vote: several choices a ballot, several seats; ties for the last seat."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of
from votenet.core.methods.method import ContestResult
from votenet.core.methods.tally import Ballot, Tally

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed")
BOARD = contest_of("block", NAMES, seats=3, max=3)

ballots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple)


def test_every_choice_of_a_ballot_is_a_vote_and_the_seats_go_to_the_most_votes() -> None:
    tally = Tally({("Ann", "Bo", "Cy"): 3, ("Bo",): 2, ("Dee", "Cy"): 1, (): 4})
    assert BOARD.decide(tally) == ContestResult(state="won", winners=("Bo", "Cy", "Ann"))
    counts = [(line.candidate, line.votes) for line in BOARD.count(tally)]
    assert counts == [("Bo", 5), ("Cy", 4), ("Ann", 3), ("Dee", 1), ("Ed", 0)]


def test_a_tie_for_the_last_seat_names_all_who_are_tied_and_the_largest_lots_sit() -> None:
    tally = Tally({("Ann", "Bo"): 2, ("Ann", "Cy"): 2, ("Ann", "Dee"): 2, ("Ed",): 1})
    by_lot = sorted(("Bo", "Cy", "Dee"), key=BOARD.lot, reverse=True)
    result = BOARD.decide(tally)
    assert result == ContestResult(state="tied", winners=("Ann", *by_lot[:2]), tied=tuple(by_lot))


def test_equal_candidates_who_all_sit_are_no_tie() -> None:
    result = BOARD.decide(Tally({("Ann", "Bo", "Cy"): 2, ("Dee",): 1}))
    assert (result.state, set(result.winners)) == ("won", {"Ann", "Bo", "Cy"})


@given(st.lists(st.tuples(ballots, st.integers(1, 9)), min_size=1, max_size=12))
@settings(max_examples=60)
def test_no_candidate_outside_has_more_votes_than_an_elected_one(cast: list[tuple[Ballot, int]]) -> None:
    tally = Tally()
    tally.add((ballot for ballot, _ in cast), [weight for _, weight in cast])
    votes = {name: sum(weight for ballot, weight in cast if name in ballot) for name in NAMES}
    result = BOARD.decide(tally)
    last = min(votes[name] for name in result.winners)
    outside = [name for name in NAMES if name not in result.winners]
    assert len(set(result.winners)) == 3
    assert max(votes[name] for name in outside) <= last
    level = {name for name in NAMES if votes[name] == last}
    assert set(result.tied) == (level if level & set(outside) else set())
    assert (result.state == "tied") == bool(result.tied)
