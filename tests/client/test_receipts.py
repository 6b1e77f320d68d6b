"""Receipts and proofs: fetched from a real node, and from nodes that lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.cli.conftest import RunningNode

from support.elections import (
    TRIVIAL_BITS,
    Ledger,
    key_of,
    make_election,
    make_vote,
    mine_block,
    named_nodes,
)
from support.lying_node import lying_node
from support.ports import free_port
from support.shown_log import SignedLog, leaves
from votenet.client.connection import NodeConnection
from votenet.client.election_client import AsyncElectionClient
from votenet.client.log_view import LogView
from votenet.client.receipts import fetch_proof, fetch_receipt
from votenet.core.election.definition import Election
from votenet.core.ledger.block import header_from_hex
from votenet.core.log.merkle import merkle_path
from votenet.core.records.receipt import check_receipt, decode_receipt, encode_receipt, make_receipt
from votenet.errors import NotProven, Rejected, VotenetError
from votenet.protocol.wire.address import Address

ELECTION = make_election(bits=TRIVIAL_BITS)


def ask(address: Address, work: Callable[[AsyncElectionClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AsyncElectionClient(address) as election:
            return await work(election)

    return asyncio.run(main())


def test_a_receipt_of_a_counted_vote_holds_offline(node: RunningNode) -> None:
    cast = ask(node.address, lambda election: election.cast("paper", "Alice", key=key_of("paper")))
    receipt = ask(node.address, lambda election: election.receipt("paper"))
    report = check_receipt(
        decode_receipt(encode_receipt(receipt)), receipt.vote.time + 60, node.election.network_hex
    )
    assert report.chain is not None
    assert (report.chain.block, report.vote_id, report.chain.height) == (
        cast.block,
        cast.vote_id,
        cast.height,
    )
    assert ask(node.address, lambda election: election.confirmations(receipt)) >= 1
    proof = ask(node.address, lambda election: election.proof("paper"))
    assert proof.vote == receipt.vote
    assert receipt.chain is not None
    assert proof.header == receipt.chain.headers[-1]


def test_a_vote_that_is_nowhere_has_neither_receipt_nor_proof(node: RunningNode) -> None:
    for method in (AsyncElectionClient.receipt, AsyncElectionClient.proof):
        with pytest.raises(Rejected) as refused:
            ask(node.address, lambda election, method=method: method(election, "nobody"))  # type: ignore[misc]
        assert refused.value.code == "not-found"


def a_proof(election: Election = ELECTION, voter: str = "alice", key: str = "alice") -> dict[str, Any]:
    """A good proof of the vote of this voter, one of two in the second block."""
    ledger = Ledger(election)
    first = ledger.grow()
    mine = make_vote(election, voter, key=key_of(key))
    second = ledger.grow(mine, make_vote(election, "other"))
    leaves = [vote.id for vote in second.votes]
    position = leaves.index(mine.id)
    return {
        "type": "proof", "vote": json.loads(mine.record), "header": second.header.pack().hex(), "height": 2,
        "position": position, "size": 2, "path": [hash_.hex() for hash_ in merkle_path(leaves, position)],
        "headers": [block.header.pack().hex() for block in (first, second)],
    }  # fmt: skip


def told(proof: dict[str, Any], fetch: Any, key: str | None = None, **answers: Any) -> Any:
    """What `fetch` makes of a node that gives this proof of the vote of alice."""

    async def main() -> Any:
        async with NodeConnection(liar) as node:
            return await fetch(node, LogView(ELECTION), "alice", key)

    lies = {name: lambda _, answer=answer: answer for name, answer in answers.items()}
    with lying_node(ELECTION, {"get_proof": lambda _: proof} | lies) as liar:
        return asyncio.run(main())


def test_a_good_proof_holds() -> None:
    for fetch in (fetch_proof, fetch_receipt):
        assert told(a_proof(), fetch, key_of("alice").public_hex).vote.voter_id == "alice"


@pytest.mark.parametrize("fetch", [fetch_proof, fetch_receipt])
@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (a_proof(voter="mallory", key="mallory"), "wrong-answer"),
        (a_proof(key="mallory"), "other-key"),
        (a_proof() | {"path": []}, "bad-merkle-path"),
        (a_proof() | {"size": 3}, "bad-merkle-path"),
        (a_proof(make_election(bits=TRIVIAL_BITS, title="Other")), "network-mismatch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_proof_that_does_not_hold_is_not_believed(fetch: Any, proof: dict[str, Any], code: str) -> None:
    with pytest.raises(NotProven) as refused:
        told(proof, fetch, key_of("alice").public_hex)
    assert refused.value.code == code


def test_a_forged_signature_or_a_header_without_work_is_found_out() -> None:
    good = a_proof()
    forged = good | {"vote": good["vote"] | {"signature": "00" * 64}}
    header = header_from_hex(good["header"])._replace(bits=0x03000001)
    lazy = good | {"header": header.pack().hex()}
    for proof, code in ((forged, "bad-signature"), (lazy, "bad-work")):
        with pytest.raises(NotProven) as refused:
            told(proof, fetch_proof)
        assert refused.value.code == code


def test_headers_that_did_not_fit_are_asked_for() -> None:
    good = a_proof()
    short = good | {"headers": good["headers"][:1]}
    rest = {"type": "headers", "headers": good["headers"][1:]}
    chain = told(short, fetch_receipt, get_headers=rest).chain
    assert chain is not None
    assert chain.headers == tuple(good["headers"])
    with pytest.raises(VotenetError) as refused:
        told(short, fetch_receipt, get_headers=rest | {"headers": []})
    assert refused.value.code == "unreachable"


def test_a_node_that_sends_headers_without_end_is_left() -> None:
    """It says that the vote is far up, and sends the same page again and again, or headers without work."""
    good = a_proof()
    far = good | {"headers": good["headers"][:1], "height": 2**40}
    lazy = header_from_hex(good["headers"][1])._replace(bits=0x03000001).pack().hex()
    for page in (good["headers"], [lazy]):
        with pytest.raises(NotProven) as refused:
            told(far, fetch_receipt, get_headers={"type": "headers", "headers": page})
        assert refused.value.code == "wrong-answer"


@pytest.mark.parametrize(
    ("voter", "word"), [("elsewhere", "is in block"), ("nowhere", "no vote of 'nowhere'")]
)
def test_the_receipt_of_an_abandoned_block_says_where_the_vote_is(
    node: RunningNode, voter: str, word: str
) -> None:
    vote = make_vote(node.election, voter, "Bob", time=node.election.definition.created)
    block = mine_block(node.election, votes=[vote])
    lost = make_receipt(node.election, vote.vote, [block.header.pack().hex()], path=[], position=0, size=1)
    if voter == "elsewhere":
        ask(node.address, lambda election: election.cast(voter, "Alice", key=key_of(voter)))
    with pytest.raises(NotProven) as refused:
        ask(node.address, lambda election: election.confirmations(lost))
    assert refused.value.code == "abandoned"
    assert word in refused.value.message


def test_a_receipt_of_another_network_is_refused(node: RunningNode) -> None:
    vote = make_vote(ELECTION)
    header = mine_block(ELECTION, votes=[vote]).header.pack().hex()
    other = make_receipt(ELECTION, vote.vote, [header], path=[], position=0, size=1)
    with pytest.raises(NotProven) as refused:
        ask(node.address, lambda election: election.confirmations(other))
    assert refused.value.code == "network-mismatch"


def test_a_dead_node_is_passed_over() -> None:
    dead = Address("127.0.0.1", free_port())

    async def main() -> str:
        async with AsyncElectionClient([dead, liar]) as election:
            return (await election.receipt("alice")).vote.voter_id

    with lying_node(ELECTION, {"get_proof": lambda _: a_proof()}) as liar:
        assert asyncio.run(main()) == "alice"


# -- named nodes ---------------------------------------------------------------------------------------

NAMED = make_election(nodes=named_nodes(4))
ALICE = make_vote(NAMED, "alice")
LOG = SignedLog(NAMED, [*leaves(2), ALICE.id, *leaves(9)])


def final(log: SignedLog, fetch: Any, **changed: Any) -> Any:
    """What `fetch` makes of a node that proves the vote of alice with leaf 2 of this log."""
    proof = {
        "type": "proof",
        "vote": json.loads(ALICE.record),
        "height": 1,
        "proof": log.proof_of(2),
    } | changed
    answers: dict[str, Any] = {"get_proof": lambda _: proof, "get_checkpoint": log.checkpoint}

    async def main() -> Any:
        async with NodeConnection(address) as node:
            return await fetch(node, LogView(NAMED), "alice", key_of("alice").public_hex)

    with lying_node(NAMED, answers) as address:
        return asyncio.run(main())


def test_a_final_receipt_has_the_certificate_of_the_log() -> None:
    receipt = final(LOG, fetch_receipt)
    report = check_receipt(receipt, 0)
    assert (report.final, report.signed_by, report.index) == (True, ("Node 0", "Node 1", "Node 2"), 2)
    assert final(LOG, fetch_proof).proof == receipt.proof


@pytest.mark.parametrize("fetch", [fetch_proof, fetch_receipt])
@pytest.mark.parametrize(
    ("log", "changed", "code"),
    [
        (LOG, {"proof": ""}, "not-final"),
        (LOG, {"proof": LOG.proof_of(3)}, "bad-proof"),
        (LOG, {"proof": "c2sp.org/tlog-proof@v1\nindex 2\n"}, "bad-proof"),
        (LOG, {"vote": json.loads(make_vote(NAMED, "alice", "Bob").record)}, "bad-proof"),
        (LOG, {"vote": json.loads(make_vote(NAMED, "bob").record)}, "wrong-answer"),
        (LOG, {"vote": json.loads(make_vote(NAMED, "alice", key=key_of("x")).record)}, "other-key"),
        (SignedLog(NAMED, LOG.leaves, [0, 1]), {}, "bad-certificate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_proof_of_the_log_that_does_not_hold_is_not_believed(
    fetch: Any, log: SignedLog, changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(NotProven) as refused:
        final(log, fetch, **changed)
    assert refused.value.code == code


def test_a_receipt_of_another_log_than_the_nodes_is_a_split_view() -> None:
    receipt = final(LOG, fetch_receipt)
    status = {"type": "vote_status", "voter_id": "alice", "state": "final", "vote_id": ALICE.id.hex()}
    status |= {"block": "ab" * 32, "height": 1, "position": 0, "confirmations": 3}
    for log, code in ((SignedLog(NAMED, [*LOG.leaves, *leaves(5)]), ""), (SignedLog(NAMED, leaves(20)), "x")):
        answers: dict[str, Any] = {"get_vote_status": lambda _: status, "get_checkpoint": log.checkpoint}
        with lying_node(NAMED, answers) as address:
            if not code:
                assert ask(address, lambda election: election.confirmations(receipt)) == 3
                continue
            with pytest.raises(NotProven) as refused:
                ask(address, lambda election: election.confirmations(receipt))
            assert refused.value.code == "split-view"
