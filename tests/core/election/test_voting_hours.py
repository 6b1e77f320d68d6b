"""When a named node takes votes, lets others know that the hour has passed, and signs its list."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.election.quorum import faults_of, quorum_of
from votenet.core.election.voting_hours import LISTS_LATE_SECONDS, VotingHours

CLOSES, GRACE = 1000, 30


def hours(
    nodes: int = 5, now: float = CLOSES - 100, *, hour: bool = False, listed: bool = False
) -> VotingHours:
    """Those of node 0."""
    made = VotingHours(0, nodes, CLOSES, GRACE, hour_signed=hour, list_signed=listed)
    made.advance(now)
    return made


def test_votes_are_taken_until_the_clock_says_that_it_is_over() -> None:
    node = hours()
    assert node.takes_votes
    assert not node.hour_due
    node.advance(CLOSES - 1)
    assert node.takes_votes
    node.advance(CLOSES)
    assert not node.takes_votes
    assert node.hour_due
    assert not node.list_due


def test_a_clock_that_is_set_back_opens_nothing_again() -> None:
    node = hours(now=CLOSES)
    node.advance(CLOSES - 50)
    assert not node.takes_votes


def test_a_list_that_a_node_would_rather_not_sign_is_needed_where_too_few_others_have_for_long() -> None:
    node = hours(now=CLOSES)
    node.sign_hour()
    for now in (CLOSES, CLOSES + GRACE, CLOSES + 2 * GRACE + LISTS_LATE_SECONDS - 1):
        node.advance(now)
        assert not node.needs_more_lists(3)
    node.advance(CLOSES + 2 * GRACE + LISTS_LATE_SECONDS)
    assert node.needs_more_lists(3)
    assert not node.needs_more_lists(4), "they are a quorum, and may do without"
    node.advance(CLOSES + 2 * GRACE + 2 * LISTS_LATE_SECONDS)
    assert node.needs_more_lists(4), "they did not: one of them may leave no room for another"


def test_one_more_than_may_lie_close_a_node_whose_clock_is_slow() -> None:
    node = hours()
    node.passed_at(0)  # itself: it has not
    node.passed_at(3)
    node.passed_at(3)
    assert node.takes_votes
    node.passed_at(4)
    assert not node.takes_votes
    assert node.hour_due


def test_a_slow_clock_does_not_make_the_others_wait() -> None:
    node = hours(now=CLOSES - 600)
    node.passed_at(1)
    node.passed_at(2)
    node.sign_hour()
    node.advance(CLOSES - 600 + GRACE - 1)
    assert not node.grace_over
    node.advance(CLOSES - 600 + GRACE)
    assert node.list_due


@pytest.mark.parametrize(
    ("acceptors", "taken"), [((), False), ((3,), False), ((3, 4), True), ((1, 2, 3), True)]
)
def test_a_vote_that_is_handed_on_needs_acceptances_of_one_more_than_may_lie_before_and_in_the_grace(
    acceptors: tuple[int, ...], taken: bool
) -> None:
    node = hours()
    assert node.takes_handed_on(set(acceptors)) is taken
    node.advance(CLOSES)
    assert node.takes_handed_on(set(acceptors)) is taken
    node.advance(CLOSES + GRACE)
    assert not node.takes_handed_on(set(acceptors)), "the grace is over"


def test_the_grace_ends_early_when_all_others_have_nothing_more_to_hand_on() -> None:
    node = hours(now=CLOSES)
    node.sign_hour()
    for other in (1, 2, 3):
        node.passed_at(other)
    assert not node.grace_over
    node.passed_at(4)
    assert node.list_due
    node.sign_list()
    assert not node.list_due
    assert not node.takes_handed_on({1, 2, 3, 4})


def test_the_list_is_signed_after_the_hour_and_once() -> None:
    node = hours(now=CLOSES + GRACE)
    assert not node.list_due, "the hour comes first: votes that were taken must be handed on"
    node.sign_hour()
    node.sign_list()
    for sign in (node.sign_hour, node.sign_list):
        with pytest.raises(AssertionError):
            sign()


def test_a_node_that_is_started_again_keeps_to_what_it_signed() -> None:
    after_hour = hours(now=CLOSES - 40, hour=True)  # the clock is wrong now
    assert not after_hour.takes_votes
    assert after_hour.takes_handed_on({1, 2})
    assert not after_hour.hour_due
    after_list = hours(now=CLOSES - 40, listed=True)
    assert not after_list.takes_votes
    assert not after_list.takes_handed_on({1, 2, 3, 4})
    assert after_list.grace_over
    assert not after_list.hour_due
    assert not after_list.list_due


def test_a_proposer_waits_a_second_grace_for_lists_beyond_a_quorum() -> None:
    node = hours(now=CLOSES)
    assert not node.may_propose_closing(5)
    node.advance(CLOSES + GRACE)
    assert [node.may_propose_closing(lists) for lists in (3, 4, 5)] == [False, False, True]
    node.advance(CLOSES + 2 * GRACE)
    assert [node.may_propose_closing(lists) for lists in (3, 4, 5)] == [False, True, True]


def test_a_node_alone_closes_at_once() -> None:
    node = hours(1, now=CLOSES)
    node.sign_hour()
    node.sign_list()
    assert node.may_propose_closing(1)


@given(
    nodes=st.integers(1, 7),
    events=st.lists(st.one_of(st.tuples(st.just("clock"), st.integers(900, 1100)),
                              st.tuples(st.just("passed"), st.integers(0, 6)),
                              st.tuples(st.just("sign"), st.just(0)))),
)  # fmt: skip
def test_what_is_over_stays_over(nodes: int, events: list[tuple[str, int]]) -> None:
    node = hours(nodes, now=900)
    steps = [(True, False, False, False)]
    for kind, value in events:
        if kind == "clock":
            node.advance(value)
        elif kind == "passed":
            node.passed_at(value)
        elif node.hour_due:
            node.sign_hour()
        elif node.list_due:
            node.sign_list()
        steps.append((node.takes_votes, node.grace_over, node.hour_signed, node.list_signed))
        assert not (node.list_signed and node.takes_handed_on(set(range(nodes))))
    for before, after in itertools.pairwise(steps):
        assert before[0] >= after[0]
        assert all(old <= new for old, new in zip(before[1:], after[1:], strict=True))


@pytest.mark.parametrize("nodes", range(1, 8))
def test_liars_alone_can_neither_close_a_poll_nor_add_a_vote_nor_make_a_closing_block(nodes: int) -> None:
    liars = set(range(1, 1 + faults_of(nodes)))
    node = hours(nodes)
    for liar in liars:
        node.passed_at(liar)
    assert node.takes_votes
    assert not node.takes_handed_on(liars)
    node.advance(CLOSES)
    assert not node.takes_handed_on(liars)
    node.advance(CLOSES + 2 * GRACE)
    assert not node.may_propose_closing(quorum_of(nodes) - 1)
