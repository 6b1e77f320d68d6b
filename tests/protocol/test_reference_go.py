"""The chain as the reference node, written in Go, decodes it."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

from support.elections import make_election, make_vote, make_votes
from support.nodes import HandNode
from votenet.protocol.reference_go import reference_chain


def as_go_reads_it(line: bytes) -> Any:
    message = json.loads(line)
    assert set(message) == {"type", "data"}
    assert message["type"] == "blockchain_update"
    return json.loads(base64.b64decode(message["data"], validate=True))


def chain_of(node: HandNode) -> Any:
    genesis = node.chain.genesis.header
    return as_go_reads_it(reference_chain(node.election, genesis, node.store.blocks_in_order()))


def test_the_empty_chain_has_the_genesis_entry_and_the_candidates() -> None:
    chain = chain_of(HandNode())
    (genesis,) = chain["Blocks"]
    assert set(genesis) == {"Index", "Timestamp", "Data", "PrevHash", "Hash", "Nonce"}
    assert genesis["Index"] == 0
    assert genesis["PrevHash"] == ""
    assert genesis["Data"] == {
        "voter_id": "system",
        "candidate_id": "Genesis Block",
        "timestamp": genesis["Timestamp"],
    }
    assert chain["Election"] == {"Candidates": ["Alice", "Bob", "Charlie"], "Votes": {}, "Voters": {}}


def test_one_entry_a_vote_linked_by_hashes_in_chain_order() -> None:
    node = HandNode(make_election(max_block_votes=2))
    votes = make_votes(node.election, 5)
    node.submit(*votes)
    for _ in range(3):
        node.mine()
    chain = chain_of(node)
    entries = chain["Blocks"]
    assert [entry["Index"] for entry in entries] == [0, 1, 2, 3, 4, 5]
    for before, entry in pairwise(entries):
        assert entry["PrevHash"] == before["Hash"]
    by_hash = {base64.b64encode(vote.id).decode(): vote.vote for vote in votes}
    for entry in entries[1:]:
        vote = by_hash.pop(entry["Hash"])
        assert entry["Data"] == {
            "voter_id": vote.voter_id,
            "candidate_id": vote.choices[0][0],
            "timestamp": vote.time,
        }
        assert entry["Timestamp"] == vote.time
    assert by_hash == {}
    assert {entry["Nonce"] for entry in entries[1:]} == {e.header.nonce for e in node.chain.best[1:]}
    assert chain["Election"]["Voters"] == {vote.voter_id: True for vote in votes}
    assert chain["Election"]["Votes"] == {"Alice": 1, "Bob": 2, "Charlie": 2}


def test_no_counts_where_they_are_shown_after_closing() -> None:
    node = HandNode(make_election(results="after-close", closes=2**33))
    node.submit(make_vote(node.election, "v", "Bob"))
    node.mine()
    chain = chain_of(node)
    assert (chain["Election"]["Votes"], chain["Election"]["Voters"]) == ({}, {"v": True})


def test_names_of_any_script_and_quotes_survive() -> None:
    names = ['"quoted"\\', "Łukasz \U0001f5f3"]
    node = HandNode(make_election(candidates=names))
    node.submit(make_vote(node.election, "wähler/\u4e00", names[1]))
    node.mine()
    chain = chain_of(node)
    assert chain["Election"]["Candidates"] == names
    assert chain["Election"]["Votes"] == {names[1]: 1}
    assert chain["Blocks"][1]["Data"]["voter_id"] == "wähler/\u4e00"
