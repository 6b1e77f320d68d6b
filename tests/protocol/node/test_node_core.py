"""NodeCore's two doors: peers, hints, and events that come too late."""

from __future__ import annotations

import pytest

from support.elections import key_of, make_election, make_vote, make_votes, mine_block
from support.nodes import CLIENT, SEED, HandNode, headers_of, refused, sent
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.node.events import Checked, CheckJob, Hint, LinkDown, Mined, PeerUp, Received, Tick
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.fields import encode_data
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.peer_messages import (
    BlockchainUpdate,
    GetPeers,
    HaveVotes,
    NewPeerJoined,
    NotReached,
    Peers,
    Ping,
    Pong,
    RequestBlockchain,
    ShutdownPeer,
)

# -- links to the same node ------------------------------------------------------------------------


def keys_in_order() -> tuple[str, str]:
    """Names of two nodes, the one with the smaller key first."""
    one, two = sorted(("us", "them"), key=lambda name: key_of(name).public_hex)
    return one, two


def core_of(name: str) -> HandNode:
    node = HandNode()
    node.state.info = node.info.__class__(
        name, "0", key_of(name).public_hex, f"{name}:1", "", False, node.now, SEED
    )
    return node


def up(link: int, name: str, *, outbound: bool) -> PeerUp:
    return PeerUp(link, PeerInfo(key_of(name).public_hex, f"{name}:1", 0, 0), outbound)


@pytest.mark.parametrize("first_at_small", [1, 2])
@pytest.mark.parametrize("first_at_big", [1, 2])
def test_nodes_that_dial_each_other_at_once_keep_the_same_link(
    first_at_small: int, first_at_big: int
) -> None:
    """Link 1 was dialled by the node with the smaller key, link 2 by the other; they come up in any order."""
    small, big = keys_in_order()
    dropped = []
    for name, other, first in ((small, big, first_at_small), (big, small, first_at_big)):
        node = core_of(name)
        dialled_by_us = 1 if name == small else 2
        for link in (first, 3 - first):
            ready = node.run(up(link, other, outbound=link == dialled_by_us))
        dropped.append(refused(ready))
        assert list(node.state.sync.peers) == [1]
    assert dropped == [[(2, "duplicate-connection")], [(2, "duplicate-connection")]]


def test_a_second_link_in_the_same_direction_is_refused_and_the_first_stays() -> None:
    node = HandNode()
    node.meet(1, key="them")
    assert refused(node.meet(2, key="them")) == [(2, "duplicate-connection")]
    assert list(node.state.sync.peers) == [1]
    node.lose(2)
    assert list(node.state.sync.peers) == [1]
    node.lose(1)
    node.meet(3, key="them")
    assert list(node.state.sync.peers) == [3]


def test_questions_of_a_dropped_link_are_asked_again() -> None:
    small, big = keys_in_order()
    node = core_of(small)
    node.run(up(2, big, outbound=False))
    block = mine_block(node.election)
    node.receive(2, headers_of(block))
    node.run(up(1, big, outbound=True))
    assert len(sent(node.receive(1, headers_of(block)), 1)) == 1


# -- lines of those who are no peers ---------------------------------------------------------------


def test_lines_of_a_link_that_is_no_peer_mean_nothing() -> None:
    node = HandNode()
    block = mine_block(node.election)
    for message in (headers_of(block), HaveVotes(ids=bytes(16)), Peers(addresses=("x:1",)), Pong()):
        ready = node.receive(5, message)
        assert (ready.send, ready.refuse, ready.hints) == ([], [], [])
    assert len(node.chain.entries) == 1


def test_links_that_go_down_twice_or_never_came_up_are_no_matter() -> None:
    node = HandNode()
    node.meet(1)
    node.run(LinkDown(1), LinkDown(1), LinkDown(99))
    assert node.state.sync.peers == {}


# -- the messages of the reference node ------------------------------------------------------------


def test_hints_name_an_address_and_change_nothing_else() -> None:
    node = HandNode()
    address = encode_data(b"localhost:3000")
    ready = node.receive(CLIENT, NewPeerJoined(data=address), ShutdownPeer(data=address))
    assert ready.hints == [
        Hint("broadcast", "localhost:3000", CLIENT),
        Hint("left", "localhost:3000", CLIENT),
    ]
    assert (ready.send, ready.save, ready.refuse) == ([], [], [])


@pytest.mark.parametrize("data", ["?", "QQ", "/w=="])
def test_a_hint_that_is_no_text_is_refused(data: str) -> None:
    node = HandNode()
    assert refused(node.receive(CLIENT, NewPeerJoined(data=data))) == [(CLIENT, "bad-message")]


def test_addresses_that_a_peer_tells_are_hints() -> None:
    node = HandNode()
    node.meet(1)
    ready = node.receive(1, Peers(addresses=("a:1", "b:2"), bootstraps=("c:3",)))
    assert ready.hints == [Hint("gossip", "a:1", 1), Hint("gossip", "b:2", 1)]
    assert ready.servers == [(1, "c:3")]


def test_a_peer_that_cannot_reach_us_says_so() -> None:
    node = HandNode()
    node.meet(1)
    assert node.receive(1, NotReached(address="us:1", seen="10.0.0.5")).not_reached == [
        (1, "us:1", "10.0.0.5")
    ]
    stranger = node.receive(CLIENT, NotReached(address="us:1"))
    assert stranger.not_reached == []


def test_a_chain_without_signatures_is_never_adopted() -> None:
    node = HandNode()
    assert refused(node.receive(CLIENT, BlockchainUpdate(data="QQ=="))) == [(CLIENT, "read-only")]


def test_request_blockchain_is_passed_to_the_shell() -> None:
    assert HandNode().receive(CLIENT, RequestBlockchain()).send_reference_chain == [CLIENT]


# -- events that come too late, and order ----------------------------------------------------------


def test_results_of_unknown_jobs_and_nonces_of_unknown_templates_are_ignored() -> None:
    node = HandNode()
    node.submit(make_vote(node.election))
    before = node.core.status(node.now)
    ready = node.run(Checked(CheckJob(4711, CLIENT, list), [None]), Mined(4711, 0), Mined(4711, None))
    assert (ready.save, ready.send, ready.log) == ([], [], [])
    assert node.core.status(node.now) == before


def test_a_job_is_finished_once() -> None:
    node = HandNode()
    vote = make_vote(node.election)
    (job,) = node.take(Received(CLIENT, SubmitVotes(votes=(vote.vote,)))).check
    done = Checked(job, job.run())
    assert len(node.run(done).send) == 1
    assert node.run(done).send == []


def test_events_of_one_batch_share_one_save() -> None:
    node = HandNode()
    votes = make_votes(node.election, 5)
    jobs = node.take(*(Received(n, SubmitVotes(votes=(v.vote,))) for n, v in enumerate(votes, 1))).check
    ready = node.take(*(Checked(job, job.run()) for job in jobs))
    assert len(ready.save) == 1
    assert [link for link, _ in ready.send] == [1, 2, 3, 4, 5]


def test_a_ready_is_handed_out_once() -> None:
    node = HandNode()
    assert len(node.take(Received(CLIENT, Ping(id=1))).send) == 1
    assert node.take(Tick()).send == []


@pytest.mark.parametrize("message", [Ping(id=3), GetPeers(id=3)])
def test_small_questions_are_answered_with_the_askers_id(message: Message) -> None:
    node = HandNode()
    node.meet(1, listen="p:1"), node.meet(2, listen="q:2")
    (answer,) = sent(node.receive(CLIENT, message), CLIENT)
    assert answer == (
        Pong(id=3) if isinstance(message, Ping) else Peers(addresses=("us:1", "p:1", "q:2"), id=3)
    )


def test_a_core_goes_on_where_its_store_stopped() -> None:
    node = HandNode()
    votes: list[HashedVote] = make_votes(node.election, 4)
    node.submit(*votes[:2])
    node.mine()
    node.submit(*votes[2:])
    again = HandNode(make_election(), store=node.store)
    assert again.chain.tip.hash == node.chain.tip.hash
    assert again.chain.voters == node.chain.voters
    assert again.chain.tally.contests[0].ballots == node.chain.tally.contests[0].ballots
    assert list(again.state.pool) == list(node.state.pool)
    again.run(Tick())
    again.mine()
    assert again.chain.tally.votes == 4
