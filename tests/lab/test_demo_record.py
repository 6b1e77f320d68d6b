"""The count by hand that the demo compares with: it must itself be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from support.elections import make_election
from votenet.core.methods.tally import Tally
from votenet.lab.demo_record import (
    ALL_BALLOTS,
    PUBLISHED_LAST_ROUND,
    PUBLISHED_WINNER,
    DemoBallot,
    as_csv,
    candidate_names,
    motion_counts,
    record_ballots,
    wrong_round,
)


def test_the_record_has_the_published_first_choices() -> None:
    counts = Counter(ballot.ranks[0] for ballot in record_ballots(ALL_BALLOTS))
    assert (counts.total(), len(counts), len(candidate_names())) == (ALL_BALLOTS, 38, 35)
    published = {
        "BETSY HODGES": 28_935,
        "MARK ANDREW": 19_584,
        "DON SAMUELS": 8_335,
        "CAM WINTON": 7_511,
        "JACKIE CHERRYHOMES": 3_524,
        "BOB FINE": 2_094,
        "DAN COHEN": 1_798,
        "STEPHANIE WOODRUFF": 1_010,
        "MARK V ANDERSON": 975,
        "undervote": 834,
        "DOUG MANN": 779,
        "OLE SAVIOR": 693,
    }
    assert {name: counts[name] for name in published} == published


def rounds_of(ballots: Sequence[DemoBallot]) -> list[dict[str, Any]]:
    """The rounds that votenet counts, as its commands print them."""
    tally = Tally()
    tally.add(ballot.choices for ballot in ballots if ballot.choices)
    election = make_election(candidates=candidate_names(), method="instant-runoff", max_choices=3)
    rounds: list[dict[str, Any]] = msgspec.to_builtins(election.contests[0].decide(tally).rounds)
    return rounds


def test_the_count_by_hand_agrees_with_the_published_rounds() -> None:
    ballots = record_ballots(ALL_BALLOTS)
    rounds = rounds_of(ballots)
    assert (
        dict(rounds[-1]["counts"]) == PUBLISHED_LAST_ROUND == {"BETSY HODGES": 38_870, "MARK ANDREW": 24_972}
    )
    assert wrong_round(ballots, rounds, PUBLISHED_WINNER) == ""


def test_the_count_by_hand_finds_what_is_wrong() -> None:
    ballots = record_ballots(1_000)
    rounds = rounds_of(ballots)
    assert wrong_round(ballots, rounds, PUBLISHED_WINNER) == ""
    for told, winner, why in (
        (rounds, "MARK ANDREW", "MARK ANDREW has no majority in the last round"),
        ([*rounds[:3], *rounds[4:]], PUBLISHED_WINNER, "other counts"),
        ([*rounds[:-1], rounds[-1] | {"exhausted": 1}], PUBLISHED_WINNER, "exhausted ballots, not 1"),
        ([*rounds[:-2], rounds[-2] | {"eliminated": [PUBLISHED_WINNER]}], "", "the fewest votes"),
        ([*rounds[:-1], rounds[-1] | {"eliminated": ["BETSY HODGES", "MARK ANDREW"]}], "", "has left"),
    ):
        assert why in wrong_round(ballots, told, winner)


def test_a_sample_is_spread_evenly_and_its_motion_follows_from_the_numbers() -> None:
    ballots = record_ballots(1_000)
    assert motion_counts(ballots) == {"Yes": 600, "No": 300, "Abstain": 100}
    lines = as_csv(ballots).splitlines()
    assert (lines[0], len(lines)) == ("id,mayor 1,mayor 2,mayor 3,motion", 1_001)
    assert (lines[-1][:12], lines[-1][-8:]) == ("mpls-001000,", ",Abstain")
