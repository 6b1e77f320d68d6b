"""Motions: every threshold on its edge, quorum, abstentions, blank ballots, weights."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import contest_of
from votenet.core.election.contest import CheckedContest
from votenet.core.election.definition import Quorum, Threshold
from votenet.core.methods.method import Condition
from votenet.core.methods.tally import Tally

OPTIONS = ("Yes", "No", "Abstain")


def motion(share: str, basis: str = "cast", quorum: int | None = None) -> CheckedContest:
    percent = None if quorum is None else Quorum(percent=quorum)
    threshold = Threshold(basis=basis, share=share)  # type: ignore[arg-type]
    return contest_of("motion", OPTIONS, threshold=threshold, quorum=percent, blank=True)


def cast(yes: int, no: int, abstain: int = 0, blank: int = 0) -> Tally:
    return Tally({("Yes",): yes, ("No",): no, ("Abstain",): abstain, (): blank})


@pytest.mark.parametrize(
    ("share", "basis", "least", "most"),
    [
        # On a roll of 30: the fewest that carry it, the most that do not.
        ("simple", "cast", cast(5, 4, 9, 2), cast(5, 5, 9, 2)),
        ("absolute", "cast", cast(11, 4, 3, 3), cast(10, 4, 3, 3)),
        ("absolute", "roll", cast(16, 2), cast(15, 0)),
        ("two-thirds", "cast", cast(8, 4, 9, 9), cast(7, 4, 0, 0)),
        ("two-thirds", "roll", cast(20, 5), cast(19, 0)),
        ("three-quarters", "cast", cast(9, 3, 9, 9), cast(8, 3, 0, 0)),
        ("three-quarters", "roll", cast(23, 1), cast(22, 0)),
    ],
)
def test_a_threshold_is_met_on_its_edge_and_not_below(
    share: str, basis: str, least: Tally, most: Tally
) -> None:
    contest = motion(share, basis)
    enough, short = contest.decide(least, 30), contest.decide(most, 30)
    assert (enough.state, short.state) == ("carried", "rejected")
    needed = enough.conditions[0].needed
    yes = least.ballots["Yes",]
    assert enough.conditions == (Condition(name="threshold", needed=needed, got=yes, met=True),)
    assert needed == yes, "the fewest that carry it"
    assert not short.conditions[0].met
    assert (enough.winners, enough.tied, short.winners) == ((), (), ())


def test_a_quorum_counts_every_ballot_and_the_result_says_which_condition_failed() -> None:
    contest = motion("two-thirds", quorum=40)
    reached = contest.decide(cast(4, 2, 3, 3), 30)
    assert [(one.name, one.needed, one.got, one.met) for one in reached.conditions] == [
        ("threshold", 4, 4, True),
        ("quorum", 12, 12, True),
    ]
    assert reached.state == "carried"
    missed = contest.decide(cast(9, 2), 30)
    assert [one.met for one in missed.conditions] == [True, False]
    assert missed.state == "rejected"
    both = contest.decide(cast(5, 6), 30)
    assert [one.met for one in both.conditions] == [False, False]
    # 50 percent of an odd roll is rounded up.
    assert motion("simple", quorum=50).decide(cast(9, 0), 19).conditions[1].needed == 10


@pytest.mark.parametrize("share", ["simple", "absolute", "two-thirds", "three-quarters"])
@pytest.mark.parametrize("tally", [cast(0, 0, 3, 0), cast(0, 0, 0, 2)], ids=["abstentions", "blanks"])
def test_without_votes_for_or_against_it_is_rejected(share: str, tally: Tally) -> None:
    result = motion(share).decide(tally)
    assert (result.state, result.conditions[0].met) == ("rejected", False)
    assert result.conditions[0].needed > 0


def test_a_motion_may_have_two_options() -> None:
    contest = contest_of("motion", ("For", "Against"), threshold=Threshold(basis="cast", share="simple"))
    assert contest.decide(Tally({("For",): 1})).state == "carried"
    assert contest.decide(Tally({("Against",): 2, ("For",): 1})).state == "rejected"


counts = st.integers(0, 40)


@given(
    votes=st.tuples(counts, counts, counts, counts).filter(any),
    share=st.sampled_from(["simple", "absolute", "two-thirds", "three-quarters"]),
    basis=st.sampled_from(["cast", "roll"]),
    quorum=st.none() | st.integers(1, 100),
    absent=st.integers(0, 100),
    scale=st.integers(1, 1000),
)
@settings(max_examples=300)
def test_a_motion_is_decided_by_the_published_inequalities_for_any_weights(
    votes: tuple[int, int, int, int], share: str, basis: str, quorum: int | None, absent: int, scale: int
) -> None:
    if share == "simple":
        basis = "cast"
    yes, no, abstain, blank = (scale * number for number in votes)
    everybody = yes + no + abstain + blank
    roll = everybody + scale * absent
    part = {"two-thirds": Fraction(2, 3), "three-quarters": Fraction(3, 4)}.get(share)
    if part is not None:
        base = roll if basis == "roll" else yes + no
        enough = base > 0 and Fraction(yes, base) >= part
    else:
        enough = yes > no if share == "simple" else 2 * yes > (roll if basis == "roll" else everybody)
    present = quorum is None or 100 * everybody >= quorum * roll
    result = motion(share, basis, quorum).decide(cast(yes, no, abstain, blank), roll)
    assert result.state == ("carried" if enough and present else "rejected")
    assert [one.met for one in result.conditions] == [enough, present][: len(result.conditions)]
    assert len(result.conditions) == (1 if quorum is None else 2)
