"""Questions that change nothing: results, the state of a vote, the status of the node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.elections import key_of, make_election, make_vote, mine_block
from support.nodes import CLIENT, NOW, HandNode, sent
from votenet.core.election.definition import election_from_file
from votenet.core.methods.method import ContestResult
from votenet.protocol.node.events import Checked, Received
from votenet.protocol.node.state import NodeFacts
from votenet.protocol.wire.client_messages import (
    CUT_OFF,
    ElectionInfo,
    GetElection,
    GetResults,
    GetStatus,
    GetVoteStatus,
    NodeStatus,
    NodeWarning,
    Results,
    VoteStatus,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import MAX_PEERS_IN_LINE, GetPeers, Peers


def ask(node: HandNode, message: Message) -> Message:
    (answer,) = sent(node.receive(CLIENT, message), CLIENT)
    return decode_message(encode_message(answer))


def test_results_count_the_chain_and_the_waiting_votes() -> None:
    node = HandNode()
    node.submit(
        *(make_vote(node.election, f"v{n}", name) for n, name in enumerate(["Bob", "Bob", "Charlie"]))
    )
    node.mine()
    node.submit(make_vote(node.election, "late", "Alice"))
    results = ask(node, GetResults(id=5))
    assert isinstance(results, Results)
    assert results.contests[0].counts == (("Bob", 2), ("Charlie", 1), ("Alice", 0))
    assert (results.votes, results.waiting, results.height, results.id) == (3, 1, 1, 5)
    assert results.tip == node.chain.tip.hash.hex()
    assert results.network_id == node.election.network_hex


def test_results_name_the_winner_and_count_once_for_each_tip() -> None:
    election = make_election(method="instant-runoff", max_choices=3, closes=2**33)
    node = HandNode(election)
    first = ask(node, GetResults())
    assert isinstance(first, Results)
    assert (first.contests[0].outcome, first.closes) == (ContestResult(state="undecided"), 2**33)
    cast = [("Bob",), ("Bob",), ("Alice",), ("Alice",), ("Charlie", "Alice")]
    node.submit(*(make_vote(election, f"v{n}", *choices) for n, choices in enumerate(cast)))
    node.mine()
    results = ask(node, GetResults())
    assert isinstance(results, Results)
    assert results.contests[0].counts == (("Alice", 2), ("Bob", 2), ("Charlie", 1))
    assert results.contests[0].outcome is not None
    assert results.contests[0].outcome.winners == ("Alice",)
    assert [one.counts for one in results.contests[0].outcome.rounds][1:] == [(("Alice", 3), ("Bob", 2))]
    counted = node.core.answers._counted
    ask(node, GetResults())
    assert node.core.answers._counted is counted


def test_before_closing_the_number_of_votes_alone_is_told_where_counts_are_shown_after_it() -> None:
    election = make_election(results="after-close", closes=int(NOW) + 60)
    node = HandNode(election)
    node.submit(make_vote(election, "v", "Bob"))
    node.mine()
    early = ask(node, GetResults())
    assert isinstance(early, Results)
    assert (early.contests, early.votes) == ((), 1)
    node.now += 60
    late = ask(node, GetResults())
    assert isinstance(late, Results)
    assert late.contests[0].counts[0] == ("Bob", 1)


def test_a_long_count_is_one_job_and_the_core_goes_on_meanwhile() -> None:
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
    first = node.take(Checked(job, job.run()))
    found = [
        (answer.id, answer.height, answer.votes) for _, answer in first.send if isinstance(answer, Results)
    ]
    assert found == [(1, 1, 40), (2, 1, 40)]
    (again,) = first.check
    second = node.take(Checked(again, again.run()))
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
    node.take(Checked(job, job.run()))
    assert [answer.request_id for answer in told] == list(range(2000))
    assert len({id(answer.line) for answer in told}) == 1


def test_the_election_comes_as_the_bytes_that_are_hashed() -> None:
    node = HandNode()
    answer = ask(node, GetElection())
    assert isinstance(answer, ElectionInfo)
    assert election_from_file(bytes(answer.definition)).network_hex == node.election.network_hex
    (contest,) = json.loads(bytes(answer.definition))["contests"]
    assert [candidate["name"] for candidate in contest["candidates"]] == ["Alice", "Bob", "Charlie"]


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


def test_status_has_all_that_a_supervisor_needs() -> None:
    facts = NodeFacts(known_peers=lambda: 8, traffic=lambda: (70, 30), disk_free=lambda: 5 << 30)
    node = HandNode(facts=facts)
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
    assert (status.clock, status.disk_free) == (int(node.now), 5 << 30)
    node.mine()
    after = ask(node, GetStatus())
    assert isinstance(after, NodeStatus)
    assert (after.height, after.mining, int(after.work, 16)) == (1, False, node.chain.tip.work)


def test_peers_that_accept_no_connections_are_not_named() -> None:
    node = HandNode()
    node.meet(1, listen="a:1")
    node.state.sync.peers[1].peer_info = node.state.sync.peers[1].peer_info._replace(listen="")
    assert ask(node, GetPeers()) == Peers(addresses=("us:1",))


def test_addresses_that_were_never_met_are_not_passed_on() -> None:
    node = HandNode(facts=NodeFacts(is_met=lambda address: address == "b:2", bootstraps=lambda: ["c:3"]))
    node.meet(1, listen="a:1"), node.meet(2, listen="b:2")
    assert ask(node, GetPeers()) == Peers(addresses=("us:1", "b:2"), bootstraps=("c:3",))


def test_no_more_peers_are_named_than_a_line_may_have() -> None:
    node = HandNode(make_election())
    for link in range(1, MAX_PEERS_IN_LINE + 3):
        node.meet(link, key=f"k{link}")
    answer = ask(node, GetPeers())
    assert isinstance(answer, Peers)
    assert len(answer.addresses) == MAX_PEERS_IN_LINE


def test_a_node_that_is_cut_off_says_why_and_is_not_synced() -> None:
    assert HandNode().core.status(NOW).synced
    warning = NodeWarning(code=CUT_OFF, message="joined to none of 4 known nodes")
    node = HandNode(facts=NodeFacts(warnings=lambda: (warning,)))
    status = node.core.status(node.now)
    assert not status.synced
    assert status.cut_off == "joined to none of 4 known nodes"
    assert decode_message(encode_message(status)) == status
