"""Each node is counted once, and a liar cannot fill the memory."""

from __future__ import annotations

from votenet.protocol.consensus.outputs import PRECOMMIT, PREVOTE, RoundStatement
from votenet.protocol.consensus.votes import ROUNDS_AHEAD, StatementLog, VoteSet

A, B = b"a" * 32, b"b" * 32


def prevote(node: int, round_number: int = 0, value: bytes = A) -> RoundStatement:
    return RoundStatement(PREVOTE, 7, round_number, node, value)


def test_a_quorum_is_of_nodes_for_one_value() -> None:
    votes = VoteSet()
    for node in range(3):
        votes.add(prevote(node, value=B if node == 2 else A))
    assert len(votes) == 3
    assert votes.value_with(2) == A
    assert votes.value_with(3) is None


def test_a_removed_vote_is_not_counted_and_leaves_nothing_behind() -> None:
    votes = VoteSet()
    votes.add(prevote(0))
    votes.remove(0)
    votes.remove(1)
    assert (len(votes), dict(votes.counts)) == (0, {})


def test_the_first_statement_keeps_its_place() -> None:
    log = StatementLog()
    first, second = prevote(1), prevote(1, value=B)
    assert log.add(first, 0) is first
    assert log.add(second, 0) is first
    assert log.add(first._replace(kind=PRECOMMIT), 0) == first._replace(kind=PRECOMMIT)
    assert log.by(1) == [first, first._replace(kind=PRECOMMIT)]


def test_of_rounds_ahead_a_node_has_only_its_highest_few() -> None:
    log = StatementLog()
    for number in range(1000, 3000, 2):
        log.add(prevote(1, number), 5)
    assert sorted(log.rounds) == list(range(3000 - 2 * ROUNDS_AHEAD, 3000, 2))
    assert log.add(prevote(1, 7), 5) is None
    assert log.add(prevote(1, 5), 5) is not None, "a round that we have reached has its place"
    assert log.add(prevote(2, 7), 5) is not None, "another node has its own places"
    assert log.highest == {1: 2998, 2: 7}


def test_a_full_window_takes_more_of_a_round_that_it_holds() -> None:
    log = StatementLog()
    for number in range(1, ROUNDS_AHEAD + 1):
        log.add(prevote(1, number), 0)
    precommit = prevote(1, 1)._replace(kind=PRECOMMIT)
    assert log.add(precommit, 0) is precommit
    assert len(log.rounds) == ROUNDS_AHEAD


def test_nothing_is_known_of_a_round_without_statements() -> None:
    log = StatementLog()
    assert list(log.of_round(3)) == []
    assert log.find(PREVOTE, 3, 0) is None
    assert log.rounds == {}


def test_a_quorum_of_prevotes_is_counted_or_came_in_one_piece() -> None:
    log = StatementLog()
    for node in (0, 1):
        log.add(prevote(node), 0)
    assert log.prevotes_of(0, 3) == ()
    assert log.prevotes_of(0, 2) == (prevote(0), prevote(1))
    piece = (prevote(0), prevote(1), prevote(2))
    log.quorums[0] = piece
    assert log.prevotes_of(0, 3) == piece
