"""Who won: rounds, ties and their breaking, against a plain count written another way."""

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

from plain_runoff import PlainRunoff
from support import make_election
from votenet.cli.ballots import Ballot as FileBallot
from votenet.cli.ballots import BallotColumns, BallotFile, distinct_choices
from votenet.core.election import Election
from votenet.core.outcome import MAX_ROUND_COUNTS, Outcome, decide, lot
from votenet.core.tally import Ballot, Tally

NAMES = ("Ann", "Bo", "Cy", "Dee", "Ed")
RUNOFF = make_election(candidates=NAMES, method="instant-runoff", max_choices=5)
APPROVAL = make_election(candidates=NAMES, method="approval", max_choices=5)
PLURALITY = make_election(candidates=NAMES)

ballots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True).map(tuple)
piles = st.lists(ballots, min_size=1, max_size=14)


def hashed(election: Election, name: str) -> str:
    """The lot, from its description alone."""
    text = json.dumps([election.network_hex, name], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"votenet/tie/1\n" + text.encode()).hexdigest()


def by_hand(cast: list[Ballot], election: Election) -> tuple[str, list[str]]:
    """Winner and order of elimination: every ballot read anew in every round, one leaves at a time."""
    gone: list[str] = []
    history: list[Counter[str]] = []
    while True:
        left = [name for name in election.definition.candidates if name not in gone]
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


def runoff(*cast: tuple[str, int], election: Election = RUNOFF) -> Outcome:
    """Ballots as ("Ann Bo", times)."""
    return decide(Tally({tuple(names.split()): times for names, times in cast}), election)


@given(piles)
@settings(max_examples=300, deadline=None)
def test_rounds_give_what_a_plain_count_gives(cast: list[Ballot]) -> None:
    tally = Tally()
    tally.add(cast)
    outcome = decide(tally, RUNOFF)
    winner, gone = by_hand(cast, RUNOFF)
    assert outcome.winners[0] == winner
    if outcome.state == "tied":
        assert outcome.winners == (winner, gone[-1])
        assert len(outcome.rounds[-2].counts) == 2
        assert all(one.counts[0][1] == one.counts[1][1] for one in outcome.rounds[-2:-1])
    else:
        assert (outcome.state, len(outcome.winners)) == ("won", 1)
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
@settings(max_examples=500, deadline=None)
def test_rounds_ties_and_what_broke_them_are_those_of_the_plain_algorithm(
    cast: list[tuple[Ballot, int]],
) -> None:
    tally = Tally(dict(cast))
    assert decide(tally, RUNOFF) == PlainRunoff(tally, RUNOFF).outcome()


def lines_run(call: Callable[[], object]) -> int:
    """Lines of `core/outcome.py` that a call runs, each turn of a loop anew."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith("outcome.py"):
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
def test_s17_the_work_of_a_runoff_is_that_of_its_ballots_and_rounds_whatever_is_tied(
    shape: Callable[[list[str]], dict[Ballot, int]], most: int
) -> None:
    """The plain algorithm took 17 s for 1,000 tied candidates, at every block."""
    names = [f"c{number}" for number in range(150)]
    election = make_election(candidates=tuple(names), method="instant-runoff", max_choices=64)
    tally = Tally(shape(names))
    work = lines_run(lambda: decide(tally, election))
    choices = sum(map(len, tally.ballots))
    assert work < most * (choices + len(names)) + 10 * len(names) ** 2, work
    assert decide(tally, election) == PlainRunoff(tally, election).outcome()


@given(st.permutations(range(8)), st.lists(ballots, min_size=8, max_size=8))
@settings(max_examples=30)
def test_the_order_of_the_ballots_changes_nothing(order: list[int], cast: list[Ballot]) -> None:
    straight, shuffled = Tally(), Tally()
    straight.add(cast)
    shuffled.add([cast[index] for index in order])
    assert decide(straight, RUNOFF) == decide(shuffled, RUNOFF)


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
    assert (outcome.state, outcome.winners) == ("tied", (winner, loser)), "a lot is no majority"


def test_the_lot_is_the_published_hash_and_differs_by_election() -> None:
    assert lot(RUNOFF, "Ann").hex() == hashed(RUNOFF, "Ann")
    assert lot(RUNOFF, "Ann") != lot(RUNOFF, "Bo")
    assert lot(RUNOFF, "Ann") != lot(APPROVAL, "Ann")


@pytest.mark.parametrize("election", [RUNOFF, APPROVAL, PLURALITY], ids=lambda e: e.definition.method)
def test_without_votes_nothing_is_decided(election: Election) -> None:
    assert decide(Tally(), election) == Outcome(state="undecided")


def test_approval_counts_every_choice_of_a_ballot() -> None:
    cast = (("Ann Bo Cy", 2), ("Bo", 1), ("Dee Bo", 1), ("Cy Dee", 1))
    assert runoff(*cast, election=APPROVAL) == Outcome(state="won", winners=("Bo",))
    tally = Tally({tuple(names.split()): times for names, times in cast})
    counts = [(line.candidate, line.votes) for line in tally.count(APPROVAL)]
    assert counts == [("Bo", 4), ("Cy", 3), ("Ann", 2), ("Dee", 2), ("Ed", 0)]
    assert tally.votes == 5


@pytest.mark.parametrize("election", [APPROVAL, PLURALITY], ids=lambda e: e.definition.method)
def test_a_tie_at_the_top_is_called_one_with_the_order_by_lot(election: Election) -> None:
    outcome = runoff(("Ann", 2), ("Bo", 2), ("Cy", 1), election=election)
    first = max(("Ann", "Bo"), key=lambda name: hashed(election, name))
    assert outcome.state == "tied"
    assert outcome.winners == (first, *({"Ann", "Bo"} - {first}))


def test_a_thousand_rounds_are_cut_to_the_last_ones() -> None:
    names = tuple(f"c{number}" for number in range(300))
    election = make_election(candidates=names, method="instant-runoff")
    outcome = decide(Tally({(name,): number + 1 for number, name in enumerate(names)}), election)
    assert sum(len(one.counts) for one in outcome.rounds) <= MAX_ROUND_COUNTS
    assert outcome.rounds_left_out == outcome.rounds[0].number - 1 > 0
    assert outcome.winners == ("c299",)


def test_minneapolis_elects_betsy_hodges() -> None:
    source = Path("minneapolis-2013")
    blanks = frozenset({"", "undervote", "overvote", "UWI"})
    names = tuple(name for name in distinct_choices(source, "rank1") if name not in blanks)
    election = make_election(candidates=names, method="instant-runoff", max_choices=3)
    tally = Tally()
    columns = BallotColumns(("rank1", "Rank2", "rank3"), blanks=blanks)
    tally.add(one.choices for one in BallotFile(source).ballots(columns) if isinstance(one, FileBallot))
    outcome = decide(tally, election)
    assert (outcome.state, outcome.winners) == ("won", ("BETSY HODGES",))
    assert outcome.rounds[0].counts[:2] == (("BETSY HODGES", 28983), ("MARK ANDREW", 19664))
    # The city's own last round, to the ballot.
    assert outcome.rounds[-1].counts == (("BETSY HODGES", 38870), ("MARK ANDREW", 24972))
