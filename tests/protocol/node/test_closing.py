"""The end of an election at named nodes: it has every vote that enough of them held in time, and no other."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    keys_of_node,
    make_election,
    make_vote,
    make_votes,
    named_nodes,
)
from support.named_network import NamedNetwork, named
from support.nodes import NOW, HandNode
from votenet.core.ledger.closing import sign_list
from votenet.core.ledger.extras import ClosingList, NotCounted
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import accept_group
from votenet.protocol.node import closing as closing_module
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.named_messages import HandedOn, HandedOnVotes

CLOSES = CREATED + 160


def network(count: int, **options: Any) -> NamedNetwork:
    return NamedNetwork(count, closes=CLOSES, **options)


def until_over(net: NamedNetwork, seconds: float = 120.0) -> bool:
    return net.run_until(lambda: all(core_over(net, node.name) for node in net.alive()), seconds)


def core_over(net: NamedNetwork, name: str) -> bool:
    closing = net.core(name).closing
    return closing is not None and closing.end.over


def answer_code(net: NamedNetwork, at: str, first: int) -> object:
    client = net.client(at)
    client.send(encode_message(SubmitVotes(votes=(make_votes(net.election, 1, first=first)[0].vote,))))
    assert net.run_until(lambda: bool(client.lines), 2.0)
    answer = decode_message(client.lines[0])
    assert isinstance(answer, VotesTaken)
    error = answer.outcomes[0].error
    return None if error is None else error["code"]


@pytest.mark.parametrize("count", range(1, 8))
def test_an_election_ends_with_a_closing_block_and_every_vote(count: int) -> None:
    net = network(count)
    for at in range(8):
        net.cast(make_votes(net.election, 1, first=at + 1), named(at % count))
        net.run(0.5)
    net.run(CLOSES - net.now - 0.4)
    net.cast(make_votes(net.election, 3, first=50), named(0))
    assert not net.core(named(0)).is_final
    assert until_over(net)
    assert net.all_count(11)
    assert net.no_two_decisions()
    assert net.now < CLOSES + 15, "with all nodes up nobody waits for the grace"
    assert net.run_until(net.all_certified, 5.0)
    assert all(node.core.is_final for node in net.alive())


def test_after_closing_no_vote_is_taken_and_no_block_follows() -> None:
    net = network(4)
    net.cast(make_votes(net.election, 2), named(0))
    net.run(CLOSES - net.now + 0.5)
    assert answer_code(net, named(1), 20) == "closed"
    assert until_over(net)
    height = net.core(named(0)).state.chain.tip.height
    net.run(60.0)
    assert net.core(named(0)).state.chain.tip.height == height
    assert net.all_count(2)


def test_with_a_node_down_the_grace_is_waited_for_and_the_election_ends() -> None:
    net = network(5)
    net.crash(named(4))
    net.cast(make_votes(net.election, 4), named(1))
    assert until_over(net, CLOSES - net.now + 120.0)
    assert net.now > CLOSES + net.election.definition.chain.grace_seconds
    assert net.all_count(4)
    net.restart(named(4))
    assert until_over(net)
    assert net.all_count(4)


def test_below_a_quorum_nothing_ends_and_what_waited_is_counted_when_nodes_are_back() -> None:
    net = network(5)
    for index in (3, 4):
        net.crash(named(index))
    net.cast(make_votes(net.election, 6), named(0))
    net.run(CLOSES - net.now + 100.0)
    assert not any(core_over(net, node.name) for node in net.alive())
    net.restart(named(3))
    net.restart(named(4))
    assert until_over(net)
    assert net.all_count(6)


def test_all_killed_at_the_moment_of_closing_end_the_election_after_their_restart() -> None:
    net = network(5)
    net.cast(make_votes(net.election, 5), named(2))
    net.run(CLOSES - net.now + 0.05)
    for name in net.names:
        net.crash(name)
    net.run(5.0)
    for name in net.names:
        net.restart(name)
    assert until_over(net)
    assert net.all_count(5)
    assert net.no_two_decisions()


@pytest.mark.parametrize("seed", range(4))
def test_kills_around_the_closing_lose_no_vote_that_all_nodes_held(seed: int) -> None:
    net = network(4, seed=seed)
    net.cast(make_votes(net.election, 5), named(seed % 4))
    net.run(CLOSES - net.now - 1.0)
    for at in range(8):
        victim = named(net.random.randrange(4))
        net.crash(victim, net.random.choice(["before save", "after save", "now"]))
        net.run(net.random.uniform(0.1, 1.0))
        net.restart(victim)
        net.run(net.random.uniform(0.1, 3.0 if at % 2 else 0.3))
    assert until_over(net, 200.0)
    assert net.all_count(5)
    assert net.no_two_decisions()


@pytest.mark.parametrize(
    "killed", [False, True], ids=["all stay up", "all are killed between the late blocks"]
)
def test_two_late_votes_of_one_voter_in_different_blocks_keep_no_election_from_its_end(killed: bool) -> None:
    net = network(3, max_block_votes=1)
    net.run(CLOSES - net.now - 5.0)
    net.partition(*([name] for name in net.names))
    for at, choice in enumerate(("Alice", "Bob")):
        net.cast([make_vote(net.election, "twice", choice)], named(at))
    net.cast(make_votes(net.election, 3), named(2))
    net.run(CLOSES - net.now + 1.0)
    net.heal()

    def of_twice() -> bool:
        return all("twice" in net.core(name).state.chain.voters for name in net.names)

    assert net.run_until(of_twice, 120.0)
    assert [core_over(net, name) for name in net.names] == [False] * 3, "the other vote comes later"
    for name in net.names if killed else ():
        net.restart(name)
    assert until_over(net)
    assert net.all_count(4)
    records = [one.value for entry in net.core(named(0)).state.chain.best for one in entry.extras.records]
    assert [one.vote.voter_id for one in records if isinstance(one, NotCounted)] == ["twice"]
    assert [len(net.core(name).state.pool) for name in net.names] == [0] * 3
    assert [list(net.nodes[name].store.load().waiting) for name in net.names] == [[]] * 3


def test_a_partition_over_the_closing_is_ended_after_it_heals() -> None:
    net = network(5)
    net.run(CLOSES - net.now - 2.0)
    net.partition([named(0), named(1), named(2)], [named(3), named(4)])
    net.cast(make_votes(net.election, 4), named(0))
    net.cast(make_votes(net.election, 2, first=20), named(3))
    net.run(90.0)
    assert not any(core_over(net, name) for name in net.names)
    net.heal()
    assert until_over(net)
    assert net.all_count(6), "f + 1 nodes listed each of them"
    assert net.no_two_decisions()


def test_votes_that_more_nodes_accepted_in_time_than_may_lie_are_handed_on_in_the_grace() -> None:
    net = network(5)
    net.run(CLOSES - net.now - 5.0)
    net.partition([named(0), named(1), named(2)], [named(3), named(4)])
    net.cast(make_votes(net.election, 3), named(0))
    net.run(CLOSES - net.now + 2.0)
    late = net.core(named(3)).state
    assert (len(late.pool), len(late.chain.voters)) == (0, 0)
    net.heal()
    assert net.run_until(lambda: len(late.pool) + len(late.chain.voters) == 3, 5.0)
    assert until_over(net)
    assert net.all_count(3)


@pytest.mark.parametrize("count", range(2, 8))
def test_votes_that_are_handed_on_before_the_closing_need_as_many_acceptances_as_after_it(count: int) -> None:
    """They have no share of the pool: one liar could fill it, and the disk, with votes of its own making."""
    closes = int(NOW) + 1000
    us = HandNode(make_election(bits=TRIVIAL_BITS, nodes=named_nodes(count), closes=closes), index=0)
    us.meet(1, key="node 1")
    votes, network_hex = make_votes(us.election, 3), us.election.network_hex

    def handed_on(vote: HashedVote, signers: int, time: int = int(NOW)) -> HandedOn:
        made = [
            accept_group(
                keys_of_node(n).statement, network_hex=network_hex, node=n, time=time, vote_ids=[vote.id]
            )
            for n in range(signers)
        ]
        return HandedOn(vote=vote.vote, acceptances=tuple(group.acceptance(0) for group in made))

    faults = us.election.faults
    lines = [handed_on(votes[0], faults), handed_on(votes[1], faults + 1, closes)]
    us.receive(1, HandedOnVotes(votes=(*lines, handed_on(votes[2], faults + 1))))
    assert [hashed.id for hashed in us.state.pool] == [votes[2].id]


def test_votes_that_only_liars_accepted_in_time_are_not_taken_in_the_grace() -> None:
    net = network(5)
    net.run(CLOSES - net.now - 5.0)
    net.partition([named(0)], [named(1), named(2), named(3), named(4)])
    net.cast(make_votes(net.election, 3), named(0))
    net.run(CLOSES - net.now + 2.0)
    net.heal()
    assert until_over(net)
    assert net.all_count(0)


def test_a_node_with_an_old_disk_takes_its_own_closing_list_back_and_signs_no_second_one() -> None:
    net = network(5)
    old = copy.deepcopy(net.nodes[named(0)].store)
    net.cast(make_votes(net.election, 4), named(1))
    assert net.run_until(lambda: net.all_count(4), 30.0)
    for index in (3, 4):
        net.crash(named(index))
    net.cast(make_votes(net.election, 2, first=20), named(0))
    net.run(CLOSES - net.now + 40.0)
    core = net.core(named(0))
    assert core.closing is not None
    assert core.closing.list_signed
    assert not core_over(net, named(0))
    net.crash(named(0))
    net.nodes[named(0)].store = old
    for index in (0, 3, 4):
        net.restart(named(index))
    assert until_over(net)
    assert net.all_count(6)
    assert [node.core.state.lies for node in net.alive()] == [()] * 5


def test_a_closing_list_that_names_a_low_height_makes_no_node_read_the_votes_of_the_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = network(4)
    for at in range(6):
        net.cast(make_votes(net.election, 2, first=2 * at + 1), named(at % 4))
        net.run(4.0)
    assert net.run_until(lambda: net.all_count(12), 20.0)
    read: list[bytes] = []
    for node in net.alive():
        source = node.core.state.source

        def votes_of(block_hash: bytes, stored: Any = source.votes_of) -> Any:
            read.append(block_hash)
            return stored(block_hash)

        source.votes_of = votes_of  # type: ignore[method-assign]

    def sign(*arguments: Any, node: int, height: int, **others: Any) -> Any:
        return sign_list(*arguments, node=node, height=0 if node == 3 else height, **others)

    monkeypatch.setattr(closing_module, "sign_list", sign)
    net.run(CLOSES - net.now - 0.4)
    net.cast(make_votes(net.election, 3, first=50), named(0))
    assert until_over(net)
    assert net.all_count(15)
    records = [one.value for entry in net.core(named(0)).state.chain.best for one in entry.extras.records]
    assert 0 in [record.height for record in records if isinstance(record, ClosingList)]
    assert not read
