"""Elections with several contests, and random ones of every method: few ballots, and ties in most."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from support.elections import CREATED, TRIVIAL_BITS, key_of, make_election
from votenet.core.election.definition import Candidate, Contest, Election, Quorum, Threshold
from votenet.core.election.roll import Roll, with_roll
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.core.methods.registry import METHODS

Choices = tuple[str, ...]


def random_contest(dice: random.Random, number: int) -> Contest:
    """A contest that keeps all rules, in an election with a roll; its id is its number."""
    method = dice.choice(list(METHODS))
    names = [f"{name}{number}" for name in "ABCDEFG"[: dice.randint(2, 3 if method == "motion" else 7)]]
    one_seat = METHODS[method].max_seats == 1 or method == "motion"
    most = METHODS[method].max_choices or dice.randint(1, len(names))
    fields: dict[str, Any] = {}
    if method == "motion":
        share = dice.choice(["simple", "absolute", "two-thirds", "three-quarters"])
        basis = "cast" if share == "simple" else dice.choice(["cast", "roll"])
        fields["threshold"] = Threshold(basis=basis, share=share)
        fields["quorum"] = dice.choice([None, Quorum(percent=dice.randint(1, 100))])
    return Contest(
        blank=dice.random() < 0.5,
        candidates=tuple(Candidate(name=name) for name in names),
        id=f"c{number}",
        max=most,
        method=method,
        min=dice.randint(1, most),
        seats=1 if one_seat else dice.randint(1, max(1, len(names) - 1)),
        title=f"Contest {number}",
        **fields,
    )


def random_choices(dice: random.Random, contest: Contest) -> Choices:
    """A ballot that the contest takes."""
    if contest.blank and dice.random() < 0.2:
        return ()
    names = [candidate.name for candidate in contest.candidates]
    return tuple(dice.sample(names, dice.randint(contest.min, contest.max)))


class RandomElection(NamedTuple):
    """An election with a roll, and the votes of some on it."""

    held: Election
    roll: Roll
    votes: list[HashedVote]


def random_election(dice: random.Random, most_contests: int = 4) -> RandomElection:
    """1 to 4 contests of any method; half of the elections have weights. A third of the roll stays away."""
    contests = [random_contest(dice, number) for number in range(dice.randint(1, most_contests))]
    weighted = dice.random() < 0.5
    weights = [1, 2, 3, 500, 1_000_000] if weighted else [1]
    names = [f"voter {number}" for number in range(dice.randint(1, 15))]
    roll = Roll((name, key_of(name).public_hex, dice.choice(weights)) for name in names)
    held = election_of(contests, roll, weighted=weighted)
    votes = [
        ballot_of(held, name, *(random_choices(dice, contest) for contest in contests))
        for name in names
        if dice.random() < 0.7
    ]
    return RandomElection(held, roll, votes)


def election_of(contests: Iterable[Contest], roll: Roll | None = None, **fields: Any) -> Election:
    """An election with these contests, its roll at hand where it has one; `fields` as in its definition."""
    simple = make_election(bits=TRIVIAL_BITS, roll=roll).definition
    definition = msgspec.structs.replace(simple, contests=tuple(contests), **fields)
    return with_roll(Election(definition), roll)


def ballot_of(held: Election, voter: str, *choices: Sequence[str]) -> HashedVote:
    """A signed vote with these choices, a list for each contest; no rule about them is checked."""
    return sign_vote(
        key_of(voter), network_hex=held.network_hex, voter_id=voter, choices=choices, time=CREATED + 1
    )
