"""A named node that says too much is not listened to; one that contradicts an old block is found out."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import keys_of_node, make_votes
from support.named_network import NamedNetwork, named
from support.named_node import among_named
from votenet.core.ledger.statement import Commit
from votenet.errors import Rejected
from votenet.protocol.consensus.outputs import NO_BLOCK, NO_ROUND, PRECOMMIT, PREVOTE, RoundStatement
from votenet.protocol.node.heard_statements import HeardStatements, most_statements
from votenet.protocol.node.round_statements import statement_of, write_vote
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.named_messages import ConsensusVotes


def signed(state: NodeState, made: RoundStatement) -> RoundStatement:
    signature = statement_of(made, state.election).sign(keys_of_node(made.node).statement)
    return made._replace(signature=signature)


def test_of_each_node_a_bounded_number_of_statements_is_checked_and_kept() -> None:
    state = among_named().core.state
    heard = HeardStatements(state)

    def prevote(node: int, number: int, height: int = 1) -> RoundStatement:
        return signed(state, RoundStatement(PREVOTE, height, number, node, NO_BLOCK, NO_ROUND, ""))

    most = most_statements(0)
    assert [heard.take(prevote(1, number), 0) for number in range(most + 5)] == [True] * most + [False] * 5
    assert heard.take(prevote(2, 0), 0), "others are heard as before"
    assert heard.take(prevote(1, most), 1), "and the same one once rounds have passed"
    assert heard.take(prevote(1, 0, height=2), 0)
    heard.begin_height(2)
    assert prevote(1, 0, height=2) in heard
    assert prevote(1, 0) not in heard
    assert sum(heard.take(prevote(1, number, height=2), 0) for number in range(1, most + 5)) == most - 1
    with pytest.raises(Rejected, match="not signed by named node 2"):
        heard.take(prevote(2, 1)._replace(signature="00" * 64), 0)


def late(net: NamedNetwork, node: int, value: bytes, number: int | None = None) -> ConsensusVotes:
    """Its precommit for block 1, after that was decided."""
    state = net.core(named(0)).state
    round_number = msgspec.json.decode(state.chain.best[1].commit, type=Commit).round
    made = RoundStatement(PRECOMMIT, 1, round_number if number is None else number, node, value, NO_ROUND, "")
    return ConsensusVotes(votes=(write_vote(signed(state, made)),))


def decided() -> tuple[NamedNetwork, int]:
    """A network with three blocks, and a node whose precommit is in the commit of the first, at node 0."""
    net = NamedNetwork(4)
    for at in range(3):
        net.cast(make_votes(net.election, 1, first=at + 1), named(0))
        assert net.run_until(lambda at=at: net.all_count(at + 1), 60.0)  # type: ignore[misc]
    commit = msgspec.json.decode(net.core(named(0)).state.chain.best[1].commit, type=Commit)
    return net, max(map(int, commit.signatures))


@pytest.mark.parametrize("value", [b"x" * 32, NO_BLOCK])
def test_a_precommit_that_contradicts_an_old_commit_is_evidence(value: bytes) -> None:
    net, node = decided()
    state = net.core(named(node)).state
    for _ in range(3):
        state.send(state.named_links()[0], late(net, node, value))
    assert net.run_until(lambda: all(len(one.core.state.lies) == 1 for one in net.alive()), 10.0)
    (lie,) = net.core(named(1)).state.lies
    assert lie.startswith(f"Node {node} (Node {node}) precommitted")
    assert net.refusals == []


def test_old_precommits_that_contradict_nothing_are_no_lies() -> None:
    net, node = decided()
    state = net.core(named(node)).state
    block = net.core(named(0)).state.chain.best[1].hash
    for message in (late(net, node, block), late(net, node, b"x" * 32, number=7)):
        state.send(state.named_links()[0], message)
    net.run(5.0)
    assert all(one.core.state.lies == () for one in net.alive())
    assert net.refusals == []


def test_a_forged_precommit_against_an_old_commit_closes_the_link() -> None:
    net, node = decided()
    state = net.core(named(node)).state
    (vote,) = late(net, node, NO_BLOCK).votes
    false = msgspec.structs.replace(vote, signature="00" * 64)
    state.send(state.named_links()[0], ConsensusVotes(votes=(false,)))
    net.run(2.0)
    assert [refusal.code for refusal in net.refusals] == ["bad-statement"]
    assert all(one.core.state.lies == () for one in net.alive())
