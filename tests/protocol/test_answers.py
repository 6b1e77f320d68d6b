"""Questions that change nothing: S16, results, where a vote stands, what a node says of itself."""

from __future__ import annotations

import json

from node_support import CLIENT, HandNode, sent
from support import key_of, make_election, make_vote, mine_block
from votenet.core.election import election_from_file
from votenet.protocol.messages import (
    MAX_PEERS_IN_LINE,
    ElectionInfo,
    GetElection,
    GetPeers,
    GetResults,
    GetStatus,
    GetVoteStatus,
    Message,
    NodeStatus,
    Peers,
    Results,
    VoteStatus,
    decode_message,
    encode_message,
)


def ask(node: HandNode, message: Message) -> Message:
    (answer,) = sent(node.receive(CLIENT, message), CLIENT)
    return decode_message(encode_message(answer))


def test_s16_results_count_the_chain_and_tell_what_waits() -> None:
    node = HandNode()
    node.submit(
        *(make_vote(node.election, f"v{n}", name) for n, name in enumerate(["Bob", "Bob", "Charlie"]))
    )
    node.mine()
    node.submit(make_vote(node.election, "late", "Alice"))
    results = ask(node, GetResults(id=5))
    assert isinstance(results, Results)
    assert results.counts == (("Bob", 2), ("Charlie", 1), ("Alice", 0))
    assert (results.votes, results.waiting, results.height, results.id) == (3, 1, 1, 5)
    assert results.tip == node.chain.tip.hash.hex()
    assert results.network_id == node.election.network_hex


def test_s11_the_election_comes_as_the_bytes_that_are_hashed() -> None:
    node = HandNode()
    answer = ask(node, GetElection())
    assert isinstance(answer, ElectionInfo)
    assert election_from_file(bytes(answer.definition)).network_hex == node.election.network_hex
    assert json.loads(bytes(answer.definition))["candidates"] == ["Alice", "Bob", "Charlie"]


def test_where_a_vote_stands_from_unknown_to_confirmed() -> None:
    node = HandNode()
    vote = make_vote(node.election, "v")
    question = GetVoteStatus(voter_id="v", id=1)
    assert ask(node, question) == VoteStatus(voter_id="v", state="unknown", id=1)
    node.submit(make_vote(node.election, "other"), vote)
    waiting = ask(node, question)
    assert waiting == VoteStatus(
        voter_id="v", state="accepted", vote_id=vote.id.hex(), time=vote.vote.time, id=1
    )
    node.mine()
    block = node.chain.tip
    status = ask(node, question)
    assert isinstance(status, VoteStatus)
    assert (status.state, status.vote_id, status.height) == ("in_block", vote.id.hex(), 1)
    assert (status.block, status.block_time) == (block.hash.hex(), block.header.time)
    assert node.store.votes_of(block.hash)[status.position or 0].id == vote.id
    assert status.confirmations == 1
    node.meet(1)
    node.give(1, mine_block(node.election, block.header))
    confirmed = ask(node, question)
    assert isinstance(confirmed, VoteStatus)
    assert confirmed.confirmations == 2


def test_status_tells_what_a_supervisor_wants_to_know() -> None:
    node = HandNode()
    node.core.answers.known_peers = 8
    node.meet(1)
    node.submit(make_vote(node.election))
    node.now += 7.9
    status = ask(node, GetStatus(id=2))
    assert isinstance(status, NodeStatus)
    assert (status.name, status.node_key, status.listen) == ("hand", key_of("us").public_hex, "us:1")
    assert (status.height, status.votes, status.waiting, status.peers, status.known_peers) == (0, 0, 1, 1, 8)
    assert (status.synced, status.mining, status.uptime, status.work) == (True, True, 7, "0")
    assert status.bits == node.election.bits
    node.mine()
    after = ask(node, GetStatus())
    assert isinstance(after, NodeStatus)
    assert (after.height, after.mining, int(after.work, 16)) == (1, False, node.chain.tip.work)


def test_peers_that_accept_no_connections_are_not_named() -> None:
    node = HandNode()
    node.meet(1, listen="a:1")
    node.state.sync.peers[1].greeted = node.state.sync.peers[1].greeted._replace(listen="")
    assert ask(node, GetPeers()) == Peers(addresses=())


def test_no_more_peers_are_named_than_a_line_may_have() -> None:
    node = HandNode(make_election())
    for link in range(1, MAX_PEERS_IN_LINE + 3):
        node.meet(link, key=f"k{link}")
    answer = ask(node, GetPeers())
    assert isinstance(answer, Peers)
    assert len(answer.addresses) == MAX_PEERS_IN_LINE
