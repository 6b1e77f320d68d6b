"""Numbers of named nodes: liars, quorum, holders of a vote."""

from __future__ import annotations

import pytest

from votenet.core.election.quorum import (
    enough_holders,
    faults_of,
    holders_sentence,
    quorum_of,
    tolerance_sentence,
)

TABLE = {1: (0, 1, 1), 2: (0, 2, 1), 3: (0, 2, 2), 4: (1, 3, 4), 5: (1, 4, 4), 6: (1, 4, 5), 7: (2, 5, 7)}
"""Named nodes to liars, quorum, holders."""


@pytest.mark.parametrize("nodes", TABLE)
def test_the_numbers_of_small_elections(nodes: int) -> None:
    assert (faults_of(nodes), quorum_of(nodes), enough_holders(nodes)) == TABLE[nodes]


@pytest.mark.parametrize("nodes", range(1, 65))
def test_two_quorums_share_an_honest_node_and_honest_nodes_are_a_quorum(nodes: int) -> None:
    liars, quorum = faults_of(nodes), quorum_of(nodes)
    assert 2 * quorum - nodes >= liars + 1
    assert nodes - liars >= quorum
    assert 2 * (quorum - 1) <= nodes + liars, "no smaller quorum would do"


def test_a_voter_is_promised_no_more_than_holds() -> None:
    assert holders_sentence(3, 5) == "received by 3 of 5: wait for final, or for 4 of 5"
    assert holders_sentence(4, 5) == "received by 4 of 5: it will be counted, even if 1 of them lies"
    assert holders_sentence(7, 7) == "received by 7 of 7: it will be counted, even if 2 of them lie"
    assert holders_sentence(1, 2) == "received by 1 of 2: it will be counted, if no named node lies"


def test_an_organiser_is_told_what_named_nodes_tolerate() -> None:
    assert tolerance_sentence(1) == "1 named node: it decides alone"
    assert tolerance_sentence(2) == "2 named nodes: both must agree, none may be down or lie"
    assert tolerance_sentence(3) == "3 named nodes: 2 must agree, 1 may be down, none may lie"
    assert tolerance_sentence(5) == "5 named nodes: 4 must agree, 1 may be down or lie"
    assert tolerance_sentence(6) == "6 named nodes: 4 must agree, 2 may be down, and 1 of them may lie"
    assert tolerance_sentence(7) == "7 named nodes: 5 must agree, 2 may be down or lie"
