"""Sums of secret ballots and what shares open: the same counts as voting in public, for any t trustees."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from support.secret_definitions import CLOSES, SecretSetup, contest
from votenet.core.election.definition import Threshold
from votenet.core.ledger.secret_count import checked_share, open_count
from votenet.core.ledger.vote import HashedVote
from votenet.core.methods.tally import ElectionTally
from votenet.errors import NotProven
from votenet.secret.documents import encode
from votenet.secret.tally import EncryptedTally

CONTESTS = (
    contest(),
    contest("Setuju?", ("Ya", "Tidak"), id="2", method="motion", blank=True,
            threshold=Threshold(basis="cast", share="simple")),
    contest("Anggota", ("A", "B", "C", "D"), id="3", method="block", max=2, seats=2),
)  # fmt: skip


def random_votes(setup: SecretSetup, rng: random.Random) -> tuple[list[HashedVote], ElectionTally]:
    """Votes of all voters, and the tally of the same votes in public."""
    public = ElectionTally(len(CONTESTS))
    votes = []
    for voter, weight in zip(setup.voters, setup.weights, strict=True):
        chosen, named = [], []
        for one in CONTESTS:
            names = [candidate.name for candidate in one.candidates]
            picked = (
                set() if one.blank and rng.random() < 0.4 else set(rng.sample(names, rng.randint(1, one.max)))
            )
            blank = [int(not picked)] if one.blank else []
            chosen.append(blank + [int(name in picked) for name in names])
            named.append(tuple(name for name in names if name in picked))
        votes.append(setup.vote(voter, chosen))
        public.add([named], [weight])
    return votes, public


@pytest.mark.parametrize("weights", [(1, 1, 1, 1, 1), (3, 1, 40, 1, 2)])
def test_any_two_of_three_trustees_open_the_counts_of_the_same_votes_in_public(
    weights: tuple[int, ...],
) -> None:
    setup = SecretSetup(contests=CONTESTS, weights=weights)
    votes, public = random_votes(setup, random.Random(sum(weights)))
    counted = setup.counted(votes)
    shares = [checked_share(setup.election, counted, setup.share(place, counted)) for place in (1, 2, 3)]
    for some in (*itertools.combinations(shares, 2), shares):
        opened = open_count(setup.election, counted, {one.place: one.decryption for one in some})
        assert opened is not None
        for ours, theirs in zip(setup.election.reports(opened), setup.election.reports(public), strict=True):
            assert ours.counts == theirs.counts
            assert ours.outcome == theirs.outcome
            assert (ours.votes, ours.weight) == (theirs.votes, theirs.weight)
            assert ours.blank_weighed == (setup.roll.weighted and 0 < theirs.blank < theirs.votes)
            assert ours.blank >= theirs.blank if ours.blank_weighed else ours.blank == theirs.blank


def test_a_blank_ballot_that_weighs_as_much_as_there_are_votes_does_not_undo_the_others() -> None:
    chair = contest("Ketua", ("A", "B"), blank=True)
    setup = SecretSetup(contests=(chair,), weights=(3, 4, 3, 1, 1))
    cast = zip(setup.voters, ([1, 0, 0], [0, 1, 0], [0, 1, 0]), strict=False)
    counted = setup.counted([setup.vote(voter, [chosen]) for voter, chosen in cast])
    shares = [checked_share(setup.election, counted, setup.share(place, counted)) for place in (1, 2)]
    opened = open_count(setup.election, counted, {one.place: one.decryption for one in shares})
    assert opened is not None
    (report,) = setup.election.reports(opened)
    assert dict(report.counts) == {"A": 7, "B": 0}
    assert (report.votes, report.weight, report.blank, report.blank_weighed) == (3, 10, 3, True)
    assert (report.outcome.state, report.outcome.winners) == ("won", ("A",))


def test_one_share_opens_nothing() -> None:
    setup = SecretSetup()
    counted = setup.counted([setup.vote("voter-1")])
    one = checked_share(setup.election, counted, setup.share(1, counted))
    assert open_count(setup.election, counted, {1: one.decryption}) is None


def test_nobody_voted() -> None:
    setup = SecretSetup()
    counted = setup.counted([])
    shares = [checked_share(setup.election, counted, setup.share(place, counted)) for place in (1, 3)]
    opened = open_count(setup.election, counted, {one.place: one.decryption for one in shares})
    assert opened is not None
    assert setup.election.reports(opened)[0].outcome.state == "undecided"


def test_a_share_of_another_count_is_refused_and_names_the_trustee() -> None:
    setup = SecretSetup()
    counted = setup.counted([setup.vote("voter-1")])
    fewer = setup.counted([])
    with pytest.raises(NotProven, match="trustee 2") as caught:
        checked_share(setup.election, counted, setup.share(2, fewer))
    assert caught.value.code == "bad-decryption"


@pytest.mark.parametrize("fields", [{"nodes": 4}, {"weights": (1, 1, 1, 1)}, {"closes": CLOSES + 1}])
def test_no_share_of_an_election_holds_in_another_with_the_same_contests_and_trustees(
    fields: dict[str, Any],
) -> None:
    """Nobody has voted in either: the sums are the same, and so are the keys."""
    setup, other = SecretSetup(), SecretSetup(**fields)
    counted = setup.counted([])
    assert encode(counted.tally) == encode(other.counted([]).tally)
    assert other.verification_keys == setup.verification_keys
    checked_share(setup.election, counted, setup.share(2, counted))
    with pytest.raises(NotProven, match="trustee 2") as caught:
        checked_share(setup.election, counted, other.share(2, counted))
    assert caught.value.code == "bad-decryption"


def test_the_sum_does_not_depend_on_the_order_or_the_blocks() -> None:
    setup = SecretSetup()
    votes = [setup.vote(voter) for voter in setup.voters]

    def summed(parts: list[list[HashedVote]]) -> EncryptedTally:
        return setup.counted([vote for part in parts for vote in part]).tally

    assert encode(summed([votes])) == encode(summed([votes[3:], votes[:3]]))


def test_a_chain_of_secret_votes_tells_only_how_many_there_are() -> None:
    setup = SecretSetup(weights=(2, 3, 1, 1, 1))
    tally = setup.election.new_tally()
    tally.add([(), ()], [2, 3])
    (report,) = setup.election.reports(tally)
    assert (report.votes, report.weight, report.counts, report.outcome.state) == (2, 5, (), "undecided")
    tally.take_back([()], [3])
    assert (tally.votes, tally.contests[0].weight, tally.copy().sealed) == (1, 2, True)
    assert not setup.election.counts_shown(2**40, over=True)
