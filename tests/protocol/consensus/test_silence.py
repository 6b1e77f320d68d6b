from __future__ import annotations

import itertools

import pytest

from votenet.core.election.quorum import enough_tellers, faults_of, quorum_of
from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    OwnKeyElsewhere,
    RoundStatement,
    Send,
)
from votenet.protocol.consensus.silence import SILENT_HEIGHTS, Silence
from votenet.protocol.consensus.tendermint import Tendermint

BLOCK = b"b" * 32


@pytest.mark.parametrize("nodes", range(2, 14))
def test_those_who_tell_enough_include_an_honest_node_of_every_quorum_that_decides(nodes: int) -> None:
    quorum, faults = quorum_of(nodes), faults_of(nodes)
    shared = enough_tellers(nodes) + (quorum - 1) - (nodes - 1)
    assert shared >= faults + 1
    assert enough_tellers(nodes) <= nodes - 1
    assert 2 * enough_tellers(nodes) > nodes - 1, "only one of two processes with one key hears of so many"


@pytest.mark.parametrize("nodes", [4, 5])
def test_whatever_liars_tell_the_floor_is_beyond_what_was_signed(nodes: int) -> None:
    """The node had come to height 9: a quorum had decided height 8, so its honest members are there."""
    others = range(1, nodes)
    for decisive in itertools.combinations(others, quorum_of(nodes) - 1):
        for liar in others:
            for told in itertools.permutations(others, enough_tellers(nodes)):
                silence = Silence(nodes)
                for node in told:
                    honest = 8 if node in decisive else 1
                    silence.tell(node, 1 if node == liar else honest)
                assert silence.floor is not None
                assert silence.floor > 9


def test_false_heights_end_the_silence_too_early() -> None:
    """Nobody signs a height: the links must be such that nobody rewrites them (docs/security.md)."""
    silence = Silence(5)
    for node in range(1, 5):
        silence.tell(node, 3)  # a stranger has rewritten an 8
    assert silence.floor is not None
    assert silence.floor < 9


def test_a_liar_who_tells_too_much_cannot_silence_a_node_for_ever() -> None:
    silence = Silence(5)
    for node, height in enumerate((7, 7, 10**9, 6), start=1):
        silence.tell(node, height)
    assert silence.floor == 7 + SILENT_HEIGHTS


def test_the_first_word_of_each_counts() -> None:
    silence = Silence(5)
    for node in (1, 2):
        silence.tell(node, 3)
    for height in range(20):
        silence.tell(2, height)
    assert silence.floor is None
    silence.tell(3, 4)
    assert silence.floor == 4 + SILENT_HEIGHTS


def restored(nodes: int = 5, height: int = 3, **how: object) -> Tendermint:
    machine = Tendermint(nodes, 0, search_seconds=1.0)
    machine.start(height, 0.0, None, Silence(nodes, **how))  # type: ignore[arg-type]
    machine.set_wanted(True, 0.0)
    return machine


def answer(machine: Tendermint, nodes: range, height: int) -> list[object]:
    made: list[object] = []
    for node in nodes:
        made += machine.height_told(node, height, 1.0)
        made += machine.own_statements_from(node, height, [], 1.0)
    return made + list(machine.tick(1000.0))


def test_a_restored_node_speaks_at_the_third_height_and_not_before() -> None:
    machine = restored()
    answer(machine, range(1, 5), 3)
    for height in (4, 5):
        assert machine.recovering
        machine.start_height(height, 1.0)
        answer(machine, range(1, 5), height)
    assert not machine.recovering
    assert machine.silence is None


def test_while_it_is_silent_it_proposes_and_votes_for_nothing_and_still_hears_what_is_decided() -> None:
    machine = restored()
    said = answer(machine, range(1, 5), 3)
    for kind, value in ((PROPOSAL, BLOCK), (PREVOTE, BLOCK), (PRECOMMIT, NO_BLOCK), (PRECOMMIT, BLOCK)):
        for node in range(1, 5):
            if kind != PROPOSAL or machine.proposer(0) == node:
                round_number = 1 if value == BLOCK and kind == PRECOMMIT else 0
                made = RoundStatement(kind, 3, round_number, node, value)
                said += machine.receive(made, 2.0)
    assert [one for one in said if isinstance(one, Send)] == []
    assert machine.decided is not None


def test_of_two_nodes_neither_goes_on_alone_so_the_word_of_the_other_is_enough() -> None:
    machine = restored(nodes=2)
    machine.tick(1000.0)
    assert machine.recovering
    answer(machine, range(1, 2), 3)
    assert not machine.recovering


def test_with_five_nodes_the_word_of_all_is_not_enough_unless_an_operator_gives_a_node_up_for_lost() -> None:
    machine = restored()
    answer(machine, range(1, 5), 3)
    assert machine.recovering
    machine = restored(lost=(4,))
    answer(machine, range(1, 3), 3)
    assert machine.recovering
    answer(machine, range(3, 4), 3)
    assert not machine.recovering


def test_a_moved_node_speaks_at_once_where_nothing_was_decided_since_it_stopped() -> None:
    machine = restored(known_height=3)
    answer(machine, range(1, 3), 3)
    assert machine.recovering
    answer(machine, range(3, 4), 3)
    assert not machine.recovering


def test_a_moved_node_is_silent_like_any_other_where_the_others_have_gone_on() -> None:
    machine = restored(known_height=3, height=4)
    answer(machine, range(1, 5), 4)
    assert machine.recovering


def test_a_statement_beyond_what_it_can_have_signed_is_of_a_second_process_and_it_stays_silent() -> None:
    machine = restored()
    answer(machine, range(1, 5), 3)
    machine.start_height(4, 1.0)
    machine.start_height(5, 1.0)
    foreign = RoundStatement(PREVOTE, 5, 0, 0, BLOCK)
    assert machine.own_statements_from(1, 5, [foreign], 1.0) == [OwnKeyElsewhere(foreign)]
    for height in (5, 6, 7):
        answer(machine, range(1, 5), height)
        assert machine.recovering
        machine.start_height(height + 1, 1.0)


def test_an_own_statement_that_it_can_have_forgotten_is_of_no_second_process() -> None:
    machine = restored()
    answer(machine, range(1, 5), 3)
    machine.start_height(4, 1.0)
    assert machine.own_statements_from(1, 4, [RoundStatement(PREVOTE, 4, 0, 0, BLOCK)], 1.0) == []
    machine.start_height(5, 1.0)
    answer(machine, range(1, 5), 5)
    assert not machine.recovering
