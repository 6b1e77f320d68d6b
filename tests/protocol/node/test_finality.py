"""Named nodes decide the blocks of a whole network, in virtual time; a node's part of that, by hand."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import (
    keys_of_node,
    make_votes,
    mine_named,
)
from support.named_network import NamedNetwork, named
from support.named_node import among_named, precommit, proposal
from support.nodes import refused
from support.simulated_link import SimulatedLink
from votenet.core.ledger.block import genesis_header
from votenet.core.ledger.statement import (
    HourPassedStatement,
    PrevoteStatement,
)
from votenet.protocol.consensus.outputs import PREVOTE
from votenet.protocol.consensus.votes import ROUNDS_AHEAD
from votenet.protocol.node.events import CheckJob, Event, Mined
from votenet.protocol.wire.client_messages import FinalityStatus
from votenet.protocol.wire.named_messages import (
    ConsensusVote,
    ConsensusVotes,
    GetConsensus,
    HourPassed,
    QuorumMessage,
)


@pytest.mark.parametrize("count", range(1, 8))
def test_every_vote_is_decided_and_no_height_twice(count: int) -> None:
    net = NamedNetwork(count)
    for at, vote in enumerate(make_votes(net.election, 12)):
        net.cast([vote], named(at % count))
        net.run(0.2)
    assert net.run_until(lambda: net.all_count(12), 60.0)
    assert net.no_two_decisions()
    assert net.run_until(net.all_certified, 5.0)
    assert net.refusals == []


def test_who_took_part_in_a_decision_asks_nobody_for_its_header() -> None:
    asked: list[bytes] = []

    class Listened(NamedNetwork):
        def delay_on(self, link: SimulatedLink, line: bytes) -> float:
            asked.extend([line] if line.startswith(b'{"type":"get_headers"') else [])
            return 0.01

    net = Listened(5)
    net.run(5.0)
    asked.clear()
    for at, vote in enumerate(make_votes(net.election, 5)):
        net.cast([vote], named(at))
        assert net.run_until(lambda: net.all_certified() and net.all_count(at + 1), 20.0)  # noqa: B023
    assert asked == []


def test_no_block_is_proposed_while_no_record_waits() -> None:
    net = NamedNetwork(5)
    net.cast(make_votes(net.election, 1), named(0))
    assert net.run_until(lambda: net.all_count(1), 30.0)
    net.run(30.0)
    assert {node.core.state.chain.tip.height for node in net.alive()} == {1}


def test_the_status_says_what_is_decided_and_which_named_nodes_are_reached() -> None:
    net = NamedNetwork(5, relays=["relay"])
    net.crash(named(4))
    net.cast(make_votes(net.election, 1), named(0))
    assert net.run_until(lambda: net.all_count(1), 30.0)
    assert net.run_until(lambda: all(len(node.core.checkpoints.signers) == 4 for node in net.alive()), 5.0)  # type: ignore[union-attr]
    stands = {name: net.core(name).status(net.now).finality for name in (named(2), "relay")}
    expected = FinalityStatus(
        named=5,
        quorum=4,
        index=2,
        reachable=(0, 1, 2, 3),
        decided=1,
        round=0,
        certificate=1,
        signers=(0, 1, 2, 3),
    )
    assert stands[named(2)] == expected
    assert stands["relay"] == msgspec.structs.replace(expected, index=None, round=None)


def test_relays_follow_what_was_decided_and_have_its_certificate() -> None:
    net = NamedNetwork(4, relays=["relay"])
    net.cast(make_votes(net.election, 5), "relay")
    assert net.run_until(lambda: net.all_count(5), 30.0)
    assert net.run_until(net.all_certified, 5.0)
    assert net.core("relay").state.chain.tip.commit


def test_with_fewer_than_a_quorum_votes_wait_and_are_decided_when_nodes_are_back() -> None:
    net = NamedNetwork(5)
    for index in (3, 4):
        net.crash(named(index))
    net.cast(make_votes(net.election, 5), named(0))
    net.run(40.0)
    assert net.all_count(0)
    assert len(net.core(named(0)).state.pool) == 5
    net.restart(named(3))
    assert net.run_until(lambda: net.all_count(5), 60.0)
    net.restart(named(4))
    assert net.run_until(lambda: net.all_count(5), 60.0)
    assert net.no_two_decisions()


def test_neither_side_of_three_and_two_decides_and_after_healing_all_do() -> None:
    net = NamedNetwork(5)
    net.partition([named(0), named(1), named(2)], [named(3), named(4)])
    net.cast(make_votes(net.election, 3), named(0))
    net.cast(make_votes(net.election, 3, first=10), named(4))
    net.run(60.0)
    assert net.all_count(0)
    net.heal()
    assert net.run_until(lambda: net.all_count(6), 60.0)
    assert net.no_two_decisions()


@pytest.mark.parametrize("seed", range(6))
def test_nodes_killed_at_any_save_say_nothing_else_after_a_restart(seed: int) -> None:
    net = NamedNetwork(4, seed=seed)
    for at in range(10):
        net.cast(make_votes(net.election, 2, first=10 * at + 1), named((at + 1) % 4))
        victim = named(at % 4)
        net.crash(victim, net.random.choice(["before save", "after save", "now"]))
        net.run(net.random.uniform(0.1, 2.0))
        net.restart(victim)
        net.run(net.random.uniform(0.0, 1.0))
    assert net.run_until(lambda: len({node.core.state.chain.tip.hash for node in net.alive()}) == 1, 90.0)
    assert net.run_until(lambda: all(not len(node.core.state.pool) for node in net.alive()), 60.0)
    assert net.no_two_decisions()
    assert [node.core.state.lies for node in net.alive()] == [()] * 4


def test_a_late_node_catches_up_by_headers_and_their_commits() -> None:
    net = NamedNetwork(4)
    net.crash(named(3))
    for at in range(6):
        net.cast(make_votes(net.election, 1, first=at + 1), named(0))
        net.run(4.0)
    assert net.run_until(lambda: net.all_count(6), 60.0)
    net.restart(named(3))
    assert net.run_until(lambda: net.all_count(6), 30.0)
    assert net.run_until(net.all_certified, 5.0)


def test_a_statement_without_room_is_heard_again_when_its_round_is_reached() -> None:
    net = NamedNetwork(4)
    net.run(5.0)
    core = net.core(named(0))
    finality = core.finality
    assert finality is not None

    def hear(node: int, round_number: int) -> None:
        made = PrevoteStatement(
            network_id=net.election.network_hex, node=node, block="", height=1, round=round_number
        )
        vote = ConsensusVote(
            kind="prevote",
            height=1,
            round=round_number,
            node=node,
            signature=made.sign(keys_of_node(node).statement),
            block="",
        )
        link = core.state.named_links()[node]
        finality.on_consensus_votes(link, ConsensusVotes(votes=(vote,)), net.now)

    for number in [*range(2, 2 + ROUNDS_AHEAD), 1]:
        hear(1, number)
    assert finality.machine.log.find(PREVOTE, 1, 1) is None
    hear(2, 1)
    assert finality.machine.round == 1
    hear(1, 1)
    assert finality.machine.log.find(PREVOTE, 1, 1) is not None


def test_a_nonce_that_is_found_just_after_a_decision_is_in_vain() -> None:
    net = NamedNetwork(4)
    net.run(5.0)
    slow = net.nodes[named(1)]  # proposes first at height 1, and searches until others have decided
    core, step, found = slow.core, slow.core.step, 0
    assert core.finality is not None
    core.finality.machine.search_seconds = 1000.0
    net.search_seconds = lambda template: 1e9 if slow.template is template else 0.3  # type: ignore[method-assign]

    def step_and_find(event: Event, now: float) -> list[CheckJob]:
        nonlocal found
        assert core.finality is not None
        tip, template = core.state.chain.tip, core.finality.template
        jobs = [*step(event, now)]
        if template is not None and core.state.chain.tip is not tip:
            found += 1
            jobs += step(Mined(template.id, 0), now)
        return jobs

    core.step = step_and_find  # type: ignore[method-assign]
    net.partition([named(1)], [named(0), named(2), named(3)])
    net.cast(make_votes(net.election, 1), named(1))
    net.cast(make_votes(net.election, 1, first=10), named(0))
    assert net.run_until(lambda: net.core(named(0)).state.chain.tally.votes == 1, 60.0)
    net.heal()
    assert net.run_until(lambda: net.core(named(1)).state.chain.tally.votes >= 1, 60.0)
    assert found == 1
    assert net.no_two_decisions()


# -- one node by hand, among liars ---------------------------------------------------------------------


def test_only_named_nodes_say_what_named_nodes_say() -> None:
    us = among_named()
    hour = HourPassedStatement(closes=2**31, network_id=us.election.network_hex, node=1)
    said = (
        ConsensusVotes(votes=(precommit(us, 1, b"b" * 32),)),
        HourPassed(closes=2**31, node=1, signature=hour.sign(keys_of_node(1).statement)),
        GetConsensus(height=1),
    )
    for message in said:
        us.meet(9)
        assert refused(us.receive(9, message)) == [(9, "unexpected-message")]
        assert refused(us.receive(1, message)) == []


def test_a_quorum_of_true_votes_with_false_signatures_is_refused() -> None:
    """Else the commit of the block would be one that no other node takes."""
    us, block = among_named(), b"b" * 32
    us.receive(1, ConsensusVotes(votes=(precommit(us, 1, block),)))
    us.receive(2, ConsensusVotes(votes=(precommit(us, 2, block),)))
    false = [
        ConsensusVote(kind="precommit", height=1, round=0, node=node, block=block.hex(), signature="00" * 64)
        for node in (1, 2)
    ]
    ready = us.receive(3, QuorumMessage(votes=(*false, precommit(us, 3, block))))
    assert refused(ready) == [(3, "bad-statement")]


def test_a_proposal_for_the_next_height_with_cut_ids_is_refused_at_once() -> None:
    us = among_named()
    first = mine_named(us.election, genesis_header(us.election), 1, node=1)
    second = mine_named(us.election, first.header, 2, node=2)
    ready = us.receive(2, proposal(us, second, 0, height=2, ids=b"cut"))
    assert refused(ready) == [(2, "bad-message")]


def test_a_commit_is_passed_on_to_those_that_have_not_sent_it() -> None:
    us, block = among_named(), b"b" * 32
    ready = us.receive(1, QuorumMessage(votes=tuple(precommit(us, node, block) for node in (1, 2, 3))))
    assert [link for link, message in ready.send if isinstance(message, QuorumMessage)] == [2, 3]
