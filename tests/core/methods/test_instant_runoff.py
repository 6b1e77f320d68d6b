"""Instant runoff: rounds, ties and their breaking, against a plain count written another way."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of, make_election
from support.plain_runoff import PlainRunoff
from votenet.ballots.check import ReadingOptions, check_ballots, found_candidates
from votenet.ballots.layout import Columns
from votenet.ballots.marking_rules import MarkingRules
from votenet.core.election.definition import Election
from votenet.core.methods.method import MAX_ROUND_COUNTS, ContestResult
from votenet.core.methods.tally import Ballot, Tally
from votenet.storage.ballot_source import read_ballot_file

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed")
RUNOFF = make_election(candidates=NAMES, method="instant-runoff", max_choices=5)

ballots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True).map(tuple)
piles = st.lists(ballots, min_size=1, max_size=14)


def hashed(election: Election, name: str) -> str:
    """The lot, from its description alone."""
    text = json.dumps([election.network_hex, "1", name], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"votenet/tie/2\n" + text.encode()).hexdigest()


def by_hand(cast: list[Ballot], election: Election) -> tuple[str, list[str]]:
    """Winner and order of elimination: every ballot read anew in every round, one leaves at a time."""
    gone: list[str] = []
    history: list[Counter[str]] = []
    while True:
        left = [name for name in election.names if name not in gone]
        tops = [next((c for c in ballot if c in left), None) for ballot in cast]
        count = Counter(top for top in tops if top is not None)
        for name in left:
            if count[name] > sum(count.values()) / 2:
                return name, gone
        # (this round, the one before, …, the first; then the lot): the smallest leaves.
        past = [count, *reversed(history)]
        ranks = {name: ([c[name] for c in past], hashed(election, name)) for name in left}
        gone.append(min(left, key=lambda name: ranks[name]))
        history.append(count)


def runoff(*cast: tuple[str, int]) -> ContestResult:
    """Ballots as ("Ann Bo", times)."""
    return RUNOFF.contests[0].decide(Tally({tuple(names.split()): times for names, times in cast}))


@given(piles)
@settings(max_examples=300)
def test_rounds_agree_with_a_plain_count(cast: list[Ballot]) -> None:
    tally = Tally()
    tally.add(cast)
    outcome = RUNOFF.contests[0].decide(tally)
    winner, gone = by_hand(cast, RUNOFF)
    assert outcome.winners[0] == winner
    if outcome.state == "tied":
        assert outcome.tied == (winner, gone[-1])
        assert len(outcome.rounds[-2].counts) == 2
        assert all(one.counts[0][1] == one.counts[1][1] for one in outcome.rounds[-2:-1])
    else:
        assert (outcome.state, outcome.tied) == ("won", ())
    ours = [name for one in outcome.rounds for name in one.eliminated]
    empty = {name for name in NAMES if all(ballot[0] != name for ballot in cast)}
    assert [name for name in ours if name not in empty] == [name for name in gone if name not in empty]
    for one in outcome.rounds:
        assert sum(votes for _, votes in one.counts) + one.exhausted == len(cast)
        assert bool(one.tied) == bool(one.tie_break)
    last = outcome.rounds[-1].counts
    assert last[0] == (winner, last[0][1])
    assert 2 * last[0][1] > sum(votes for _, votes in last)


@given(st.lists(st.tuples(ballots, st.integers(1, 3)), min_size=1, max_size=14))
@settings(max_examples=500)
def test_rounds_and_tie_breaks_agree_with_the_plain_algorithm(
    cast: list[tuple[Ballot, int]],
) -> None:
    tally = Tally(dict(cast))
    assert RUNOFF.contests[0].decide(tally) == PlainRunoff(tally, RUNOFF).outcome()


def lines_run(call: Callable[[], object]) -> int:
    """Lines of `core/methods/instant_runoff.py` that a call runs, each turn of a loop anew."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith("instant_runoff.py"):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        # One vote each, nothing to hand on: every round is a tie of all, decided by lot.
        (lambda names: {(name,): 1 for name in names}, 30),
        # Every ballot ranks as many as it may, each beginning with another: ballots move in every round.
        (lambda names: {tuple((names[at:] + names[:at])[:64]): 1 for at in range(len(names))}, 30),
        # The next round differs for two candidates at a time: histories are long and alike.
        (lambda names: {tuple(names[at : at + 2]): 1 + at // 2 for at in range(len(names))}, 30),
    ],
    ids=["tied", "ring", "chain"],
)
def test_the_work_of_a_runoff_follows_ballots_and_rounds_even_with_ties(
    shape: Callable[[list[str]], dict[Ballot, int]], most: int
) -> None:
    """The plain algorithm took 17 s for 1,000 tied candidates, at every block."""
    names = [f"c{number}" for number in range(150)]
    election = make_election(candidates=tuple(names), method="instant-runoff", max_choices=64)
    tally = Tally(shape(names))
    work = lines_run(lambda: election.contests[0].decide(tally))
    choices = sum(map(len, tally.ballots))
    assert work < most * (choices + len(names)) + 10 * len(names) ** 2, work
    assert election.contests[0].decide(tally) == PlainRunoff(tally, election).outcome()


@given(st.permutations(range(8)), st.lists(ballots, min_size=8, max_size=8))
@settings(max_examples=30)
def test_the_order_of_the_ballots_changes_nothing(order: list[int], cast: list[Ballot]) -> None:
    straight, shuffled = Tally(), Tally()
    straight.add(cast)
    shuffled.add([cast[index] for index in order])
    assert RUNOFF.contests[0].decide(straight) == RUNOFF.contests[0].decide(shuffled)


def test_a_majority_of_first_choices_needs_one_round() -> None:
    outcome = runoff(("Ann", 3), ("Bo", 2))
    assert outcome.winners == ("Ann",)
    assert len(outcome.rounds) == 1
    assert outcome.rounds[0].eliminated == ()


def test_a_ballot_moves_on_or_is_exhausted() -> None:
    outcome = runoff(("Ann", 4), ("Bo", 3), ("Cy Bo", 2), ("Dee", 1))
    none, first, second, last = outcome.rounds
    assert set(none.eliminated) == {"Ed"}  # without votes: all such leave first, together
    assert (first.eliminated, second.eliminated) == (("Dee",), ("Cy",))
    assert last.counts == (("Bo", 5), ("Ann", 4))
    assert last.exhausted == 1
    assert outcome.winners == ("Bo",), "5 of 9 continuing ballots"


def test_a_tie_is_broken_by_the_latest_round_that_differs() -> None:
    # Bo and Cy are equal in the third round; in the second Cy had fewer.
    outcome = runoff(("Ann", 6), ("Bo", 5), ("Cy", 4), ("Dee Cy", 1))
    broken = outcome.rounds[2]
    assert (set(broken.tied), broken.tie_break, broken.eliminated) == ({"Bo", "Cy"}, "round 2", ("Cy",))
    assert outcome.winners == ("Ann",)


def test_a_tie_from_the_start_is_broken_by_lot() -> None:
    outcome = runoff(("Ann", 2), ("Bo", 2))
    loser, winner = sorted(("Ann", "Bo"), key=lambda name: hashed(RUNOFF, name))
    broken = outcome.rounds[1]
    assert (broken.tie_break, broken.eliminated) == ("lot", (loser,))
    assert (outcome.state, outcome.tied) == ("tied", (winner, loser)), "a lot is no majority"


def test_a_thousand_rounds_are_cut_to_the_last_ones() -> None:
    names = tuple(f"c{number}" for number in range(300))
    election = make_election(candidates=names, method="instant-runoff")
    outcome = election.contests[0].decide(Tally({(name,): number + 1 for number, name in enumerate(names)}))
    assert sum(len(one.counts) for one in outcome.rounds) <= MAX_ROUND_COUNTS
    assert outcome.rounds_left_out == outcome.rounds[0].number - 1 > 0
    assert outcome.winners == ("c299",)


def test_minneapolis_elects_betsy_hodges() -> None:
    columns = Columns(choices=("rank1", "Rank2", "rank3"))
    options = ReadingOptions(columns, MarkingRules(blanks=frozenset({"UWI"})))
    data = read_ballot_file(Path("minneapolis-2013"))
    names = found_candidates(data, options)
    election = make_election(candidates=names, method="instant-runoff", max_choices=3)
    tally = Tally()
    tally.add(ballot.choices[0] for ballot in check_ballots(data, options).ballots)
    outcome = election.contests[0].decide(tally)
    assert (outcome.state, outcome.winners) == ("won", ("BETSY HODGES",))
    assert outcome.rounds[0].counts[:2] == (("BETSY HODGES", 28983), ("MARK ANDREW", 19664))
    # The city's own last round, to the ballot.
    assert outcome.rounds[-1].counts == (("BETSY HODGES", 38870), ("MARK ANDREW", 24972))


def of_preflib(name: str) -> tuple[tuple[str, ...], Tally]:
    """Candidates and ballots of a PrefLib file; a ballot ends where it has two at one rank."""
    lines = (Path(__file__).parents[2] / "vectors" / name).read_text(encoding="utf-8").splitlines()
    names = tuple(line.split(": ")[1] for line in lines if line.startswith("# ALTERNATIVE NAME"))
    tally = Tally()
    for line in lines:
        if not line.startswith("#"):
            times, ranks = line.split(": ")
            choices = [int(rank) for rank in ranks.partition("{")[0].split(",") if rank]
            tally.add([tuple(names[choice - 1] for choice in choices)] * int(times))
    return names, tally


def test_burlington_elects_bob_kiss() -> None:
    names, tally = of_preflib("burlington2009.toi")
    outcome = contest_of("instant-runoff", names, max=6).decide(tally)
    assert (outcome.state, outcome.winners) == ("won", ("Bob Kiss",))
    # The city's rounds: small candidates left at once there, one by one here.
    firsts = {"Kurt Wright": 2951, "Bob Kiss": 2585, "Andy Montroll": 2063, "Dan Smith": 1306}
    assert dict(outcome.rounds[0].counts) == firsts | {"Write-In": 36, "James Simpson": 35}
    assert dict(outcome.rounds[-2].counts) == {"Kurt Wright": 3294, "Bob Kiss": 2981, "Andy Montroll": 2554}
    # 4,061 there: one ballot has two candidates at one rank, and its later ranks counted.
    assert dict(outcome.rounds[-1].counts) == {"Bob Kiss": 4313, "Kurt Wright": 4060}


def test_takoma_park_elects_reuben_snipper_in_the_first_round() -> None:
    names, tally = of_preflib("takoma2007.toi")
    outcome = contest_of("instant-runoff", names, max=4).decide(tally)
    assert (outcome.state, outcome.winners, len(outcome.rounds)) == ("won", ("Reuben Snipper",), 1)
    assert [votes for _, votes in outcome.rounds[0].counts] == [107, 72, 23, 1]
