"""The twin in memory keeps its promises: order, loss, silence, crashes, and the same history for a seed."""

from __future__ import annotations

from support.elections import CREATED, make_election, make_vote, make_votes
from support.simulated_network import SimulatedNetwork
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, SubmitVotes, VotesTaken
from votenet.protocol.wire.peer_messages import Ping, Pong, RequestBlockchain

ELECTION = make_election()
NAMES = ("a", "b", "c")


def network(seed: int = 1, *names: str, mining: bool = True) -> SimulatedNetwork:
    net = SimulatedNetwork(ELECTION, seed=seed, start=CREATED + 100.0)
    for name in names or NAMES:
        net.add(name, mining=mining)
    net.keep_joined(names or NAMES)
    return net


def joined(net: SimulatedNetwork) -> bool:
    return all(node.peers() == set(net.nodes) - {name} for name, node in net.nodes.items())


def accepted(net: SimulatedNetwork, name: str, number: int = 1) -> bool:
    """Whether a vote that is given to a node is acknowledged within a few seconds."""
    client = net.client(name)
    client.ask(SubmitVotes(votes=(make_votes(ELECTION, 1, first=number)[0].vote,), id=1))
    net.run_until(lambda: bool(client.lines) or client.closed, 5.0)
    return any(isinstance(m, VotesTaken) and m.outcomes[0].error is None for m in client.answers())


def test_nodes_join_share_votes_and_count_them_alike() -> None:
    net = network()
    assert net.run_until(lambda: joined(net), 10.0)
    assert accepted(net, "a")
    assert net.run_until(lambda: all(n.core.state.chain.tally.votes == 1 for n in net.nodes.values()), 60.0)


def test_time_passes_only_as_far_as_it_is_let() -> None:
    net = network()
    begin = net.now
    net.run(7.5)
    assert net.now == begin + 7.5
    assert not net.run_until(lambda: False, 2.5)
    assert net.now == begin + 10.0
    assert net.run_until(lambda: True, 1.0)
    assert net.now == begin + 10.0


def test_lines_of_a_wire_keep_their_order() -> None:
    net = network(2, "a")
    client = net.client("a")
    for number in range(200):
        client.ask(Ping(id=number))
    net.run(5.0)
    assert client.answers() == [Pong(id=number) for number in range(200)]


def test_a_stranger_is_refused_as_on_a_socket_and_a_reference_answer_ends_the_wire() -> None:
    net = network(3, "a")
    rude, reference = net.client("a"), net.client("a")
    rude.send(b"garbage")
    reference.ask(RequestBlockchain())
    net.run(5.0)
    assert b'"bad-json"' in rude.lines[0]
    assert rude.closed
    assert [refusal.code for refusal in net.refusals] == ["bad-json"]
    assert b'"blockchain_update"' in reference.lines[0]
    assert reference.closed


def test_a_cut_wire_is_heard_of_by_both_ends_and_laid_again() -> None:
    net = network()
    net.run_until(lambda: joined(net), 10.0)
    net.cut("a", "b")
    assert net.run_until(lambda: "b" not in net.nodes["a"].peers() and "a" not in net.nodes["b"].peers(), 1.0)
    assert net.run_until(lambda: joined(net), 10.0)


def test_a_partition_parts_until_it_is_healed() -> None:
    net = network()
    net.run_until(lambda: joined(net), 10.0)
    net.partition(["a"], ["b", "c"])
    net.run(20.0)
    assert {name: node.peers() for name, node in net.nodes.items()} == {"a": set(), "b": {"c"}, "c": {"b"}}
    assert accepted(net, "a", 1)
    assert accepted(net, "b", 2)
    net.run(30.0)
    assert set(net.nodes["a"].core.state.chain.voters) == {"voter-1"}
    net.heal()
    assert net.run_until(lambda: all(n.core.state.chain.tally.votes == 2 for n in net.nodes.values()), 120.0)


def test_a_silent_partition_is_noticed_only_by_silence() -> None:
    net = network()
    net.run_until(lambda: joined(net), 10.0)
    net.partition(["a"], ["b", "c"], silent=True)
    net.run(30.0)
    assert net.nodes["a"].peers() == {"b", "c"}
    net.heal()
    silent = set(net.nodes["a"].core.state.sync.peers)
    assert net.run_until(lambda: silent.isdisjoint(net.nodes["a"].core.state.sync.peers), 60.0)
    assert net.run_until(lambda: joined(net), 10.0)


def test_a_crash_loses_unsaved_and_keeps_saved_votes() -> None:
    net = network(5, "a", mining=False)
    assert accepted(net, "a", 1)
    net.crash("a", "before save")
    assert not accepted(net, "a", 2)
    assert not net.nodes["a"].alive
    waiting = list(net.restart("a").core.state.pool)
    assert [vote.voter_id for vote in waiting] == ["voter-1"]
    net.crash("a", "after save")
    assert not accepted(net, "a", 3)
    waiting = list(net.restart("a").core.state.pool)
    assert [vote.voter_id for vote in waiting] == ["voter-1", "voter-3"]
    assert net.nodes["a"].crash_point is None


def test_a_stopped_node_does_not_answer() -> None:
    net = network(6, "a", "b")
    net.run_until(lambda: joined(net), 10.0)
    net.crash("a")
    client = net.client("a")
    client.ask(Ping(id=1))
    net.run(5.0)
    assert client.lines == []
    assert client.closed
    assert net.nodes["b"].peers() == set()
    net.restart("a")
    assert net.run_until(lambda: joined(net), 10.0)


def test_mining_takes_simulated_time() -> None:
    net = network(7, "a")
    begin = net.now
    assert accepted(net, "a")
    chain = net.nodes["a"].core.state.chain
    assert net.run_until(lambda: chain.tip.height == 1, 60.0)
    assert net.now - begin > 0.01
    assert int.from_bytes(chain.tip.hash, "little") <= ELECTION.target


def test_a_seed_is_a_history() -> None:
    def history(seed: int) -> tuple[float, bytes]:
        net = network(seed)
        net.run(5.0)
        for number in range(1, 10):
            accepted(net, "a", number)
        net.run(20.0)
        return net.now, net.nodes["c"].core.state.chain.tip.hash

    assert history(8) == history(8)
    assert history(8) != history(9)


def test_links_joined_from_both_sides_at_once_leave_one() -> None:
    net = SimulatedNetwork(ELECTION, seed=1, start=CREATED + 100.0)
    net.add("a"), net.add("b")
    net.join("a", "b"), net.join("b", "a")
    net.run(5.0)
    assert joined(net)
    statuses = []
    for name in ("a", "b"):
        client = net.client(name)
        client.ask(GetStatus(id=1))
        net.run(2.0)
        statuses += client.answers()
    assert [s.peers for s in statuses if isinstance(s, NodeStatus)] == [1, 1]
    assert {refusal.code for refusal in net.refusals} == {"duplicate-connection"}


def test_a_busy_sender_is_held_back_and_nothing_is_lost() -> None:
    net = network(9, "a", mining=False)
    client = net.client("a")
    for number in range(20):
        client.ask(SubmitVotes(votes=(make_vote(ELECTION, f"v{number}").vote,), id=number))
    net.run(20.0)
    assert sorted(m.id or 0 for m in client.answers() if isinstance(m, VotesTaken)) == list(range(20))
    assert len(net.nodes["a"].core.state.pool) == 20
