"""Proofs that a vote is final, or on the chain, fetched from a node and checked."""

from __future__ import annotations

import time

from votenet.client.answers import ON_CHAIN, fetch_amendments, fetch_vote_status, wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.header_pages import check_page
from votenet.client.log_view import LogView
from votenet.core.election.definition import Election
from votenet.core.faults import fault
from votenet.core.ledger.block import check_sequence, header_from_hex
from votenet.core.ledger.vote import HashedVote, Vote, check_vote, forgery, hash_vote
from votenet.core.log.certificate import Certificate, check_certificate
from votenet.core.log.merkle import root_from_path
from votenet.core.log.tlog_proof import parse_proof
from votenet.core.records.receipt import Receipt, check_receipt, make_final_receipt, make_receipt
from votenet.errors import NotProven, Rejected, Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetProof, Proof
from votenet.protocol.wire.peer_messages import GetHeaders, Headers


async def fetch_proof(node: NodeConnection, view: LogView, voter_id: str, key: str | None = None) -> Proof:
    """The vote of a voter and its path to the Merkle root of a header, checked; with named nodes, to the log.

    Checked are signature, path and the work of that header. That the header is on the chain is the word of
    the node. Arguments and errors as `AsyncElectionClient.proof`.
    """
    proof, vote = await _ask_in_block(node, view.election, voter_id, key)
    if view.election.named:
        await _final_receipt(node, view, proof, vote)
    else:
        _check_path(proof, vote, view.election)
    return proof


async def fetch_receipt(
    node: NodeConnection, view: LogView, voter_id: str, key: str | None = None
) -> Receipt:
    """The receipt of a voter, checked as `votenet verify` checks it, and that it is of this voter.

    Arguments and errors as `AsyncElectionClient.receipt`; Unreachable if the chain changed meanwhile.
    """
    proof, vote = await _ask_in_block(node, view.election, voter_id, key)
    if view.election.named:
        receipt = await _final_receipt(node, view, proof, vote)
    else:
        headers = await _headers_up_to(node, view.election, proof)
        receipt = make_receipt(
            view.election, vote, headers, path=proof.path, position=proof.position, size=proof.size
        )
        check_receipt(receipt, int(time.time()))
    return receipt


async def _final_receipt(node: NodeConnection, view: LogView, proof: Proof, vote: Vote) -> Receipt:
    """Its certificate and path hold, and its log is the one that was seen before."""
    if not proof.proof:
        raise _too_few_signed(node.address, proof.height, vote.voter_id)
    in_force = (await fetch_amendments(node, view.election)).election
    receipt = make_final_receipt(in_force, vote, proof.proof)
    check_receipt(receipt, int(time.time()))
    await view.check(node, certificate_of(receipt, view.election))
    return receipt


def certificate_of(receipt: Receipt, election: Election) -> Certificate:
    """The certificate in a final receipt. Raises NotProven."""
    return check_certificate(parse_proof(receipt.proof).note, election.named_keys)


async def fetch_waiting_vote(
    node: NodeConnection, election: Election, voter_id: str, key: str | None = None
) -> HashedVote:
    """The vote of a voter that waits for its block at a node, checked.

    Raises:
        Rejected: not-found.
        NotProven: not-final, when it is in a block, which no certificate covers yet; other-key; wrong-answer.
    """
    proof, vote = await _ask(node, voter_id, key)
    if proof.height:
        raise _too_few_signed(node.address, proof.height, voter_id)
    hashed = hash_vote(vote)
    try:
        check_vote(hashed, election)
    except Rejected as error:
        raise wrong_answer(node.address, f"a vote that breaks the rules: {error.message}") from error
    if (wrong := forgery(hashed, election)) is not None:
        raise wrong_answer(node.address, f"a vote that proves nothing: {wrong.message}")
    return hashed


async def _ask_in_block(
    node: NodeConnection, election: Election, voter_id: str, key: str | None
) -> tuple[Proof, Vote]:
    """The answer about a vote in a block. Raises as `fetch_receipt`."""
    proof, vote = await _ask(node, voter_id, key)
    if proof.height == 0:
        waits = f"the vote of {voter_id!r} waits for its block at {node.address}"
        if not election.named:
            raise Rejected("not-found", waits).advising("Ask again in a moment.")
        raise NotProven(
            f"{waits}, and is not final",
            code="not-final",
            next_step="It is final once enough named nodes have signed: ask again in a moment.",
        )
    return proof, vote


async def _ask(node: NodeConnection, voter_id: str, key: str | None) -> tuple[Proof, Vote]:
    proof = await node.ask(GetProof(voter_id=voter_id), Proof)
    if proof.vote is None:
        raise Rejected("not-found", f"no vote of {voter_id!r} is known at {node.address}")
    _check_owner(proof.vote, voter_id, key, node.address)
    return proof, proof.vote


def _too_few_signed(address: Address, height: int, voter_id: str) -> NotProven:
    return NotProven(
        f"the vote of {voter_id!r} is in block {height} at {address}, but not final yet: too few named nodes"
        " have signed",
        code="not-final",
        next_step="Ask again in a moment.",
    )


def _check_owner(vote: Vote, voter_id: str, key: str | None, address: Address) -> None:
    if vote.voter_id != voter_id:
        raise wrong_answer(address, f"the vote of {vote.voter_id!r}, not of {voter_id!r}")
    if key not in (None, vote.voter_key):
        raise NotProven(
            f"the vote of {voter_id!r} at {address} is signed by the key {vote.voter_key[:16]}…, not by"
            f" yours, {(key or '')[:16]}…: another person voted under this id",
            code="other-key",
            next_step="Ask another node with --node HOST:PORT; if it says the same, tell the organisers.",
        )


def _check_path(proof: Proof, vote: Vote, election: Election) -> None:
    hashed = hash_vote(vote)
    try:
        check_vote(hashed, election)
        header = header_from_hex(proof.header)
    except Rejected as error:
        raise fault(error.code, error.message) from error
    if (wrong := forgery(hashed, election)) is not None:
        raise fault(wrong.code, wrong.message)
    path = [bytes.fromhex(sibling) for sibling in proof.path]
    if root_from_path(hashed.id, proof.position, proof.size, path) != header.merkle_root:
        raise fault("bad-merkle-path", "the path does not lead from the vote to the header")
    if (refusal := check_sequence([header])[1]) is not None:
        raise fault(refusal.code, refusal.message)


async def _headers_up_to(node: NodeConnection, election: Election, proof: Proof) -> list[str]:
    """From genesis' successor to the header of the proof; those that did not fit into it are asked for.

    Raises:
        Unreachable: the chain changed meanwhile.
        NotProven: wrong-answer; headers that do not hold, or do not follow those before.
    """
    headers = list(proof.headers[: proof.height])
    while headers and len(headers) < proof.height:
        last = header_from_hex(headers[-1]).hash
        more = (await node.ask(GetHeaders(locator=(last.hex(),)), Headers)).headers
        if not more:
            break
        page = [header_from_hex(text) for text in more]
        if page[0].previous != last:
            raise wrong_answer(node.address, "a chain that changes while it is read")
        try:
            check_page(election, page, len(headers) + len(page), None)
        except Rejected as error:
            raise wrong_answer(node.address, f"headers that do not hold: {error.message}") from error
        headers += more[: proof.height - len(headers)]
    if not headers or headers[-1] != proof.header:
        raise Unreachable(f"the chain at {node.address} changed meanwhile: ask again")
    return headers


async def fetch_confirmations(node: NodeConnection, view: LogView, receipt: Receipt) -> int:
    """Blocks on the best branch of this node from the block of the vote on, that one included.

    Raises:
        NotProven: network-mismatch; the receipt is of another election than the node. split-view; its log is
            another one than that of the node.
        NotProven: abandoned; the vote is not there, or in another block than the receipt says. The message
            says where it is now.
    """
    report = check_receipt(receipt, int(time.time()))
    if view.election.network_hex != report.network_id:
        raise fault("network-mismatch", f"{node.address} belongs to another network")
    if receipt.proof:
        await view.check(node, certificate_of(receipt, view.election))
    status = await fetch_vote_status(node, report.voter_id)
    told, expected = status.vote_id, report.vote_id
    if report.chain is not None:
        told, expected = status.block, report.chain.block
    if status.state in ON_CHAIN and told == expected:
        return status.confirmations
    if status.state in ON_CHAIN:
        now = f"the vote there is in block {status.block} at height {status.height}: make a new receipt"
    elif status.state == "accepted":
        now = "the vote there waits for a block: make a new receipt soon"
    else:
        now = f"no vote of {report.voter_id!r} is known there: is that node up to date?"
    raise fault("abandoned", f"the block is not on the chain of {node.address}; {now}")
