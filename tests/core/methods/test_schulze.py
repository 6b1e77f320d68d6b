"""Schulze: the paper's example, a plain count, Belenios, Condorcet winners, ties."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of
from support.random_profiles import ANSWERS, profile
from votenet.core.election.contest import CheckedContest
from votenet.core.methods.method import ContestResult
from votenet.core.methods.schulze import MAX_MATRIX
from votenet.core.methods.tally import Ballot, Tally

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed")

ballots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True).map(tuple)
piles = st.lists(st.tuples(ballots, st.integers(1, 20)), min_size=1, max_size=12)


def schulze(names: tuple[str, ...] = NAMES, seats: int = 1) -> CheckedContest:
    return contest_of("schulze", names, seats=seats, max=len(names))


def tally_of(cast: list[tuple[Ballot, int]]) -> Tally:
    tally = Tally()
    tally.add([ballot for ballot, _ in cast], [weight for _, weight in cast])
    return tally


def preferring(cast: list[tuple[Ballot, int]], one: str, other: str) -> int:
    """Weight of the ballots that prefer one to the other, from what that means."""
    places = [({name: place for place, name in enumerate(ballot)}, weight) for ballot, weight in cast]
    return sum(weight for place, weight in places if place.get(one, 99) < place.get(other, 99))


def by_hand(
    cast: list[tuple[Ballot, int]], contest: CheckedContest, seats: int
) -> tuple[list[str], set[str]]:
    """Winners, and who was tied for the last seat: every path between two candidates is tried."""

    def link(one: str, other: str) -> tuple[int, int]:
        votes, against = preferring(cast, one, other), preferring(cast, other, one)
        return (votes, -against) if votes > against else (0, 0)

    def path(one: str, other: str) -> tuple[int, int]:
        between = [name for name in NAMES if name not in (one, other)]
        ways = (way for length in range(len(NAMES) - 1) for way in permutations(between, length))
        return max(min(link(*step) for step in pairwise((one, *way, other))) for way in ways)

    beats = {
        one: {other for other in NAMES if one != other and path(one, other) > path(other, one)}
        for one in NAMES
    }
    left, winners = list(NAMES), list[str]()
    while len(winners) < seats:
        best = [one for one in left if not any(one in beats[other] for other in left)]
        if len(best) > seats - len(winners):
            best.sort(key=contest.lot, reverse=True)
            return winners + best[: seats - len(winners)], set(best)
        winners += best
        left = [one for one in left if one not in best]
    return winners, set()


def test_the_example_of_the_paper() -> None:
    """Schulze 2011, section 3.1 (Example 1): 21 voters, D wins."""
    lines = ["8 acdb", "2 badc", "4 cdba", "4 dbac", "3 dcba"]
    tally = Tally({tuple(line.split()[1]): int(line.split()[0]) for line in lines})
    result = schulze(("a", "b", "c", "d"), seats=3).decide(tally)
    assert result.matrix == (
        ("a", (0, 8, 14, 10)),
        ("b", (13, 0, 6, 2)),
        ("c", (7, 15, 0, 12)),
        ("d", (11, 19, 9, 0)),
    )
    assert (result.state, result.winners) == ("won", ("d", "a", "c"))


def test_belenios_gives_the_same_order_to_a_thousand_profiles() -> None:
    assert len(ANSWERS["schulze"]) == 1000
    for number, order in ANSWERS["schulze"].items():
        asked = profile(int(number))
        result = schulze(asked.names, seats=len(asked.names) - 1).decide(asked.tally)
        assert (result.state, "".join(result.winners)) == ("won", order[:-1]), number


@given(piles, st.integers(1, 4))
@settings(max_examples=80)
def test_results_agree_with_a_plain_count_over_every_path(cast: list[tuple[Ballot, int]], seats: int) -> None:
    contest = schulze(seats=seats)
    result = contest.decide(tally_of(cast))
    winners, tied = by_hand(cast, contest, seats)
    assert (list(result.winners), set(result.tied)) == (winners, tied)
    assert result.state == ("tied" if tied else "won")
    for (one, row), name in zip(result.matrix, NAMES, strict=True):
        assert (one, list(row)) == (name, [preferring(cast, one, other) for other in NAMES])


@given(piles, st.integers(2, 1_000_000))
@settings(max_examples=80)
def test_a_condorcet_winner_wins_and_weights_and_order_change_nothing(
    cast: list[tuple[Ballot, int]], scale: int
) -> None:
    result = schulze().decide(tally_of(cast))
    for one in NAMES:
        if all(
            preferring(cast, one, other) > preferring(cast, other, one) for other in NAMES if one != other
        ):
            assert (result.state, result.winners) == ("won", (one,))
    scaled = schulze().decide(tally_of([(ballot, weight * scale) for ballot, weight in reversed(cast)]))
    assert (scaled.state, scaled.winners, scaled.tied) == (result.state, result.winners, result.tied)


def test_a_tie_for_the_last_seat_names_all_who_are_tied_and_the_largest_lots_sit() -> None:
    contest = schulze(seats=3)
    by_lot = tuple(sorted(("Bo", "Cy", "Dee"), key=contest.lot, reverse=True))
    cycle = [
        (("Ann", "Bo", "Cy", "Dee"), 1),
        (("Ann", "Cy", "Dee", "Bo"), 1),
        (("Ann", "Dee", "Bo", "Cy"), 1),
    ]
    result = contest.decide(tally_of(cycle))
    assert (result.state, result.winners, result.tied) == ("tied", ("Ann", *by_lot[:2]), by_lot)
    wider = schulze(seats=4).decide(tally_of(cycle))
    assert (wider.state, wider.winners) == ("won", ("Ann", "Bo", "Cy", "Dee")), "equal, and all of them sit"


def test_of_two_links_with_as_many_votes_the_one_with_fewer_against_it_is_stronger() -> None:
    lines = ["2 Ann Bo", "1 Ann Bo Cy", "1 Bo", "1 Bo Cy Ann", "2 Cy", "2 Cy Ann"]
    tally = Tally({tuple(line.split()[1:]): int(line.split()[0]) for line in lines})
    result = schulze(("Ann", "Bo", "Cy"), seats=2).decide(tally)
    rows = [row for _, row in result.matrix]
    assert rows == [(0, 5, 3), (2, 0, 5), (5, 4, 0)], "a ring of 5:2, 5:4 and 5:3"
    assert (result.state, result.winners) == ("won", ("Cy", "Ann")), "Bo before Cy is the weakest link"


def test_a_matrix_of_many_candidates_is_left_out() -> None:
    names = tuple(f"c{number}" for number in range(MAX_MATRIX + 1))
    assert len(schulze(names[:-1]).decide(Tally({("c7",): 1})).matrix) == MAX_MATRIX
    result = schulze(names).decide(Tally({("c7", "c3"): 1}))
    assert result == ContestResult(state="won", winners=("c7",))


def test_more_candidates_than_it_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="schulze takes at most 100 candidates, not 101"):
        schulze(tuple(f"c{number}" for number in range(101)))
