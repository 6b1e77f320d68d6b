"""Waits follow the search time and grow with the round, up to a limit."""

from __future__ import annotations

import pytest

from votenet.protocol.consensus.timeouts import MAX_GROWTH, propose_seconds, votes_seconds


def test_a_proposal_is_waited_for_as_long_as_four_searches_take() -> None:
    assert propose_seconds(0, 1.0) == pytest.approx(5.0)
    assert propose_seconds(0, 0.1) == pytest.approx(1.4)


def test_waits_grow_with_the_round_up_to_a_limit() -> None:
    assert [votes_seconds(number) for number in (0, 1, 10)] == pytest.approx([0.2, 0.3, 1.2])
    assert votes_seconds(10**9) == pytest.approx(0.2 + MAX_GROWTH)
    assert propose_seconds(10, 0.0) == pytest.approx(6.0)
    assert propose_seconds(10**9, 0.0) == pytest.approx(1.0 + MAX_GROWTH)
