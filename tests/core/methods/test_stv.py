"""Scottish STV: counts that councils published, a plain count, Belenios, ties, and what must always hold."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of
from support.plain_stv import PlainStv
from support.random_profiles import ANSWERS, profile
from votenet.core.methods.method import MAX_ROUND_COUNTS, ContestResult, Round
from votenet.core.methods.tally import Ballot, Tally

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed", "Flo")
WARDS = json.loads((Path(__file__).parents[2] / "vectors" / "scottish_wards_2017.json").read_text())["wards"]

ballots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True).map(tuple)


def counted(seats: int, *cast: tuple[str, int]) -> ContestResult:
    """Ballots as ("Ann Bo", times)."""
    contest = contest_of("stv", NAMES, seats=seats, max=6)
    return contest.decide(Tally({tuple(names.split()): times for names, times in cast}))


def published(ward: dict[str, Any]) -> ContestResult:
    """Our count of the ballots of a ward."""
    names = tuple(ward["candidates"])
    tally = Tally()
    for line in ward["ballots"].split(";"):
        times, *choices = map(int, line.split())
        tally.add([tuple(names[choice - 1] for choice in choices)] * times)
    return contest_of("stv", names, seats=ward["seats"], max=len(names)).decide(tally)


def votes_in(one: Round) -> dict[str, Fraction]:
    return {name: Fraction(votes) for name, votes in one.counts}


@pytest.mark.parametrize("ward", WARDS, ids=lambda ward: ward["ward"])
def test_every_stage_of_a_published_count_agrees_to_the_fifth_decimal(ward: dict[str, Any]) -> None:
    names, result = ward["candidates"], published(ward)
    assert result.quota == ward["quota"]
    stages = [[dict(one.counts).get(name, "0.00000") for name in names] for one in result.rounds]
    assert stages == ward["stages"]
    assert (result.state, set(result.winners)) == ("won", set(ward["elected"]))


def test_two_equal_surpluses_of_a_published_count_were_ordered_by_the_stage_before() -> None:
    ward = next(ward for ward in WARDS if ward["ward"] == "Paisley Northeast and Ralston")
    result = published(ward)
    tied = result.rounds[5]
    assert [votes for _, votes in tied.counts[:2]] == ["1311.00000", "1311.00000"]
    assert set(tied.tied) == {"Jim Sharkey", "Neill Graham"}
    assert (tied.surplus, tied.tie_break) == ("Jim Sharkey", "round 5")


def test_belenios_elects_the_same_where_its_rules_are_the_same() -> None:
    """Its STV elects one at a time, and surpluses are exact: where no two reach the quota in one round, and
    nothing is tied, the same candidates win."""
    assert len(ANSWERS["stv"]) == 1000
    for number, winners in ANSWERS["stv"].items():
        asked = profile(int(number))
        contest = contest_of("stv", asked.names, seats=asked.seats, max=len(asked.names))
        result = contest.decide(asked.tally)
        assert "".join(sorted(result.winners)) == winners, number


@given(st.lists(ballots, min_size=1, max_size=40), st.integers(1, 5))
@settings(max_examples=400)
def test_rounds_agree_with_a_plain_count(cast: list[Ballot], seats: int) -> None:
    contest = contest_of("stv", NAMES, seats=seats, max=6)
    tally = Tally()
    tally.add(cast)
    result, plain = contest.decide(tally), PlainStv(cast, NAMES, seats, contest.lot)
    assert result.winners == tuple(plain.winners)
    assert result.quota == str(plain.quota)
    assert len(result.rounds) == len(plain.stages)
    for one, stage in zip(result.rounds, plain.stages, strict=True):
        ours = votes_in(one)
        assert {name: ours.get(name, Fraction(0)) for name in NAMES} == stage


@given(st.lists(st.tuples(ballots, st.integers(1, 50)), min_size=1, max_size=20), st.integers(1, 5))
@settings(max_examples=200)
def test_what_holds_of_every_count(cast: list[tuple[Ballot, int]], seats: int) -> None:
    contest = contest_of("stv", NAMES, seats=seats, max=6)
    weighted, copies = Tally(), Tally()
    weighted.add([ballot for ballot, _ in cast], [weight for _, weight in cast])
    for ballot, weight in reversed(cast):
        copies.add([ballot] * weight)
    result = contest.decide(weighted)
    # A ballot of a weight counts as so many ballots, in whatever order.
    assert result == contest.decide(copies)
    # Every seat is filled, once.
    assert len(set(result.winners)) == len(result.winners) == seats
    elected = [name for one in result.rounds for name in one.elected]
    assert tuple(elected) == result.winners
    total = sum(weight for _, weight in cast)
    for number, one in enumerate(result.rounds, start=1):
        # No vote appears or is lost.
        assert sum(votes_in(one).values()) + Fraction(one.exhausted) == total
        assert one.number == number
        assert bool(one.tied) == bool(one.tie_break)
        # Each round but the last moves one candidate's ballots.
        assert bool(one.surplus) + len(one.eliminated) == (number < len(result.rounds))
    assert int(result.quota) * (seats + 1) > total
    # Who has the quota of first choices is elected, and the last round leaves nobody undecided.
    firsts = {name: sum(weight for ballot, weight in cast if ballot[0] == name) for name in NAMES}
    assert {name for name in NAMES if firsts[name] >= int(result.quota)} <= set(result.winners)
    assert (result.state == "tied") == bool(result.tied)


def test_a_surplus_is_handed_on_at_a_part_of_its_value_which_is_cut_to_five_decimals() -> None:
    # Quota 13 // 3 + 1 = 5. Ann has 2 of 7 too many: each of her ballots is worth 0.28571.
    result = counted(2, ("Ann Bo", 4), ("Ann Cy", 2), ("Ann", 1), ("Bo", 1), ("Cy", 3), ("Dee", 2))
    first, second = result.rounds[:2]
    assert (result.quota, first.elected, first.surplus) == ("5", ("Ann",), "Ann")
    assert dict(second.counts) == {
        "Ann": "5.00000",
        "Cy": "3.57142",
        "Bo": "2.14284",
        "Dee": "2.00000",
        "Ed": "0.00000",
        "Flo": "0.00000",
    }
    assert second.exhausted == "0.28574", "Ann alone: 0.28571, and 0.00003 that is cut off"


def test_the_larger_surplus_is_handed_on_first_and_not_to_the_elected() -> None:
    # Quota 20 // 3 + 1 = 7.
    result = counted(2, ("Ann Bo Cy", 8), ("Bo Ann Dee", 9), ("Cy", 2), ("Dee", 1))
    assert (result.winners, len(result.rounds)) == (("Bo", "Ann"), 1)
    longer = counted(3, ("Ann Bo Cy", 8), ("Bo Ann Dee", 9), ("Cy", 2), ("Dee", 1))
    assert [one.surplus for one in longer.rounds[:3]] == ["Bo", "Ann", ""]
    assert dict(longer.rounds[1].counts)["Dee"] == "3.99997", "1 and 9 x 0.33333, none of it to Ann"


def test_equal_surpluses_are_ordered_by_lot_and_that_may_order_later_ties() -> None:
    # Quota 20 // 4 + 1 = 6. Ann and Bo have 2 too many; Cy and Dee get them, one after the other.
    contest = contest_of("stv", NAMES, seats=3, max=6)
    result = contest.decide(Tally({("Ann", "Cy"): 8, ("Bo", "Dee"): 8, ("Cy",): 2, ("Dee",): 2}))
    second, first = sorted(("Ann", "Bo"), key=contest.lot)
    heir = {"Ann": "Cy", "Bo": "Dee"}
    assert [one.surplus for one in result.rounds[:3]] == [first, second, ""]
    assert (set(result.rounds[0].tied), result.rounds[0].tie_break) == ({"Ann", "Bo"}, "lot")
    assert result.rounds[1].tie_break == "", "the other surplus is the only one now"
    assert result.winners == (first, second, heir[first])
    last = result.rounds[-2]
    assert (set(last.tied), last.tie_break) == ({"Cy", "Dee"}, "round 2")


def test_a_tie_of_the_fewest_is_broken_by_the_latest_round_that_differs() -> None:
    # One seat, quota 9. In round 4 Bo and Cy have 5 each; before Dee's ballot came Cy had 4.
    result = counted(1, ("Ann", 6), ("Bo", 5), ("Cy", 4), ("Dee Cy", 1))
    broken = next(one for one in result.rounds if set(one.tied) == {"Bo", "Cy"})
    assert (broken.tie_break, broken.eliminated) == (f"round {broken.number - 1}", ("Cy",))
    assert (result.state, result.winners) == ("won", ("Ann",))


def test_candidates_who_were_equal_in_every_round_are_excluded_by_lot() -> None:
    contest = contest_of("stv", NAMES, seats=2, max=6)
    result = contest.decide(Tally({("Ann",): 4, ("Bo",): 2, ("Cy",): 2, ("Dee", "Ann"): 1}))
    loser, winner = sorted(("Bo", "Cy"), key=contest.lot)
    assert result.winners == ("Ann", winner)
    assert (result.state, result.tied) == ("tied", (winner, loser))
    last = result.rounds[-2]
    assert (set(last.tied), last.tie_break, last.eliminated) == ({"Bo", "Cy"}, "lot", (loser,))
    # Ed and Flo left by lot, too: they had no votes, and no seat hung on it.
    first = result.rounds[0]
    assert (set(first.tied), first.tie_break) == ({"Ed", "Flo"}, "lot")


def test_who_is_left_when_as_many_seats_are_left_is_elected_without_the_quota() -> None:
    result = counted(2, ("Ann", 5), ("Bo", 3), ("Cy", 2), ("Dee", 1))
    last = result.rounds[-1]
    assert (result.quota, last.elected) == ("4", ("Bo",))
    assert Fraction(dict(last.counts)["Bo"]) < 4
    one = contest_of("stv", ("Ann",)).decide(Tally({("Ann",): 1}))
    assert (one.winners, len(one.rounds)) == (("Ann",), 1)


def test_many_rounds_are_cut_to_the_last_ones() -> None:
    names = tuple(f"c{number}" for number in range(200))
    contest = contest_of("stv", names, seats=64, max=64)
    result = contest.decide(Tally({(name,): number + 1 for number, name in enumerate(names)}))
    assert sum(len(one.counts) for one in result.rounds) <= MAX_ROUND_COUNTS
    assert result.rounds_left_out == result.rounds[0].number - 1 > 0
    assert set(result.winners) == set(names[-64:])


def test_more_candidates_than_it_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="stv takes at most 200 candidates, not 201"):
        contest_of("stv", tuple(f"c{number}" for number in range(201)))


def test_a_lot_that_excludes_one_but_gives_no_seat_is_no_tie() -> None:
    contest = contest_of("stv", ("A", "B", "C"), max=2)
    # A and B are equal in every round. Whoever of them leaves by lot hands the seat to C, not to the other.
    result = contest.decide(Tally({("A", "C"): 2, ("B", "C"): 2, ("C",): 3}))
    assert (result.state, result.winners, result.tied) == ("won", ("C",), ())
    assert result.rounds[0].tie_break == "lot"
    # Without next choices the lot gives the seat to the other of them.
    result = contest.decide(Tally({("A",): 2, ("B",): 2}))
    assert (result.state, set(result.tied)) == ("tied", {"A", "B"})
