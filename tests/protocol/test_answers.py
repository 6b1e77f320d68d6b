"""Questions that change nothing: S16, results, where a vote stands, what a node says of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node_support import CLIENT, HandNode, sent
from support import TRIVIAL_BITS, key_of, make_election, make_vote, make_votes, mine_block
from votenet.core.block import header_from_hex
from votenet.core.election import election_from_file
from votenet.core.merkle import root_from_path
from votenet.core.outcome import Outcome
from votenet.core.vote import seal
from votenet.protocol.events import Checked, Received
from votenet.protocol.messages import (
    CUT_OFF,
    MAX_HEADERS,
    MAX_PEERS_IN_LINE,
    ElectionInfo,
    GetElection,
    GetHeaders,
    GetPeers,
    GetProof,
    GetResults,
    GetStatus,
    GetVoteStatus,
    Headers,
    Message,
    NodeStatus,
    NodeWarning,
    Peers,
    Proof,
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


def test_results_say_who_won_and_count_once_for_each_tip() -> None:
    election = make_election(method="instant-runoff", max_choices=3, closes=2**33)
    node = HandNode(election)
    first = ask(node, GetResults())
    assert isinstance(first, Results)
    assert (first.outcome, first.closes) == (Outcome(state="undecided"), 2**33)
    cast = [("Bob",), ("Bob",), ("Alice",), ("Alice",), ("Charlie", "Alice")]
    node.submit(*(make_vote(election, f"v{n}", *choices) for n, choices in enumerate(cast)))
    node.mine()
    results = ask(node, GetResults())
    assert isinstance(results, Results)
    assert results.counts == (("Alice", 2), ("Bob", 2), ("Charlie", 1))
    assert results.outcome is not None
    assert results.outcome.winners == ("Alice",)
    assert [one.counts for one in results.outcome.rounds][1:] == [(("Alice", 3), ("Bob", 2))]
    counted = node.core.answers._counted
    ask(node, GetResults())
    assert node.core.answers._counted is counted


def test_s17_a_long_count_is_one_job_and_the_core_goes_on_meanwhile() -> None:
    names = tuple(f"c{number}" for number in range(40))
    node = HandNode(make_election(candidates=names, method="instant-runoff"))
    node.submit(*(make_vote(node.election, f"v{n}", name) for n, name in enumerate(names)))
    node.mine()
    asked = node.take(Received(CLIENT, GetResults(id=1)), Received(CLIENT + 1, GetResults(id=2)))
    assert sent(asked, CLIENT) == sent(asked, CLIENT + 1) == []
    (job,) = asked.check
    # While it runs: another question for another count, and a block that changes what is counted.
    node.submit(make_vote(node.election, "late", "c7"), link=CLIENT + 2)
    node.mine()
    late = node.take(Received(CLIENT + 3, GetResults(id=3)))
    assert late.check == sent(late, CLIENT + 3) == []
    first = node.take(Checked(job.id, job.run()))
    found = [
        (answer.id, answer.height, answer.votes) for _, answer in first.send if isinstance(answer, Results)
    ]
    assert found == [(1, 1, 40), (2, 1, 40)]
    (again,) = first.check
    second = node.take(Checked(again.id, again.run()))
    (three,) = sent(second, CLIENT + 3)
    assert (three.id, three.height, three.votes) == (3, 2, 41)
    assert isinstance(ask(node, GetResults(id=4)), Results)
    assert not node.take(Received(CLIENT, GetResults(id=5))).check, "counted once for each tip"


def test_of_a_long_answer_there_is_one_copy_until_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand questions on one link while the votes were counted: 5.4 GB of answers at once."""
    names = tuple(f"c{number}" for number in range(40))
    node = HandNode(make_election(candidates=names, method="instant-runoff"))
    node.submit(*(make_vote(node.election, f"v{n}", name) for n, name in enumerate(names)))
    node.mine()
    (job,) = node.take(*(Received(CLIENT, GetResults(id=n)) for n in range(2000))).check
    told: list[Any] = []
    monkeypatch.setattr(node.core.state, "answer", lambda link, line: told.append(line))
    node.take(Checked(job.id, job.run()))
    assert [answer.request_id for answer in told] == list(range(2000))
    assert len({id(answer.line) for answer in told}) == 1


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
    node.core.answers.traffic = lambda: (70, 30)
    node.meet(1)
    node.submit(make_vote(node.election))
    node.now += 7.9
    status = ask(node, GetStatus(id=2))
    assert isinstance(status, NodeStatus)
    assert (status.name, status.node_key, status.listen) == ("hand", key_of("us").public_hex, "us:1")
    assert (status.height, status.votes, status.waiting, status.peers, status.known_peers) == (0, 0, 1, 1, 8)
    assert (status.synced, status.mining, status.uptime, status.work) == (True, True, 7, "0")
    assert status.bits == node.election.bits
    assert (status.peer_bytes_sent, status.peer_bytes_received) == (70, 30)
    node.mine()
    after = ask(node, GetStatus())
    assert isinstance(after, NodeStatus)
    assert (after.height, after.mining, int(after.work, 16)) == (1, False, node.chain.tip.work)


def test_peers_that_accept_no_connections_are_not_named() -> None:
    node = HandNode()
    node.meet(1, listen="a:1")
    node.state.sync.peers[1].greeted = node.state.sync.peers[1].greeted._replace(listen="")
    assert ask(node, GetPeers()) == Peers(addresses=("us:1",))


def test_s15_addresses_that_nobody_has_met_are_not_passed_on() -> None:
    node = HandNode()
    node.meet(1, listen="a:1"), node.meet(2, listen="b:2")
    node.core.answers.is_met = lambda address: address == "b:2"
    node.core.answers.bootstraps = lambda: ["c:3"]
    assert ask(node, GetPeers()) == Peers(addresses=("us:1", "b:2"), bootstraps=("c:3",))


def test_no_more_peers_are_named_than_a_line_may_have() -> None:
    node = HandNode(make_election())
    for link in range(1, MAX_PEERS_IN_LINE + 3):
        node.meet(link, key=f"k{link}")
    answer = ask(node, GetPeers())
    assert isinstance(answer, Peers)
    assert len(answer.addresses) == MAX_PEERS_IN_LINE


def test_a_proof_leads_from_the_vote_to_the_header_of_its_block() -> None:
    node = HandNode()
    node.submit(*make_votes(node.election, 7))
    node.mine()
    for vote in node.store.votes_of(node.chain.tip.hash):
        proof = ask(node, GetProof(voter_id=vote.voter_id, id=4))
        assert isinstance(proof, Proof)
        assert proof.vote is not None
        assert (proof.id, proof.height, proof.size, seal(proof.vote)) == (4, 1, 7, vote)
        path = [bytes.fromhex(sibling) for sibling in proof.path]
        root = root_from_path(vote.id, proof.position, proof.size, path)
        assert root == header_from_hex(proof.header).merkle_root
        assert proof.headers == (proof.header,)


def test_a_vote_that_is_in_no_block_has_no_proof() -> None:
    node = HandNode()
    node.submit(make_vote(node.election, "waits"))
    assert ask(node, GetProof(voter_id="waits", id=1)) == Proof(id=1)
    assert ask(node, GetProof(voter_id="nobody")) == Proof()


def test_a_proof_carries_a_bounded_number_of_headers_and_a_client_may_ask_for_the_rest() -> None:
    node = HandNode(make_election(bits=TRIVIAL_BITS))
    header, blocks = node.chain.genesis.header, []
    for _ in range(MAX_HEADERS + 2):
        block = mine_block(node.election, header)
        blocks.append(block)
        header = block.header
    node.meet(1)
    node.give(1, *blocks)
    node.submit(make_vote(node.election, "late"))
    node.mine()
    proof = ask(node, GetProof(voter_id="late"))
    assert isinstance(proof, Proof)
    assert (proof.height, len(proof.headers)) == (MAX_HEADERS + 3, MAX_HEADERS)
    last = header_from_hex(proof.headers[-1]).hash.hex()
    rest = ask(node, GetHeaders(locator=(last,), id=8))
    assert isinstance(rest, Headers)
    assert (rest.id, len(rest.headers), rest.headers[-1]) == (8, 3, proof.header)


def test_a_node_that_is_cut_off_says_why_and_is_not_synced() -> None:
    node = HandNode()
    assert node.core.status(node.now).synced
    warning = NodeWarning(code=CUT_OFF, message="joined to none of 4 known nodes")
    node.core.answers.warnings = lambda: (warning,)
    status = node.core.status(node.now)
    assert not status.synced
    assert status.cut_off == "joined to none of 4 known nodes"
    assert decode_message(encode_message(status)) == status
