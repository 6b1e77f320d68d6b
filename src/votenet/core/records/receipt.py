"""The receipt: one file that proves, without the network, that a vote was received, or that it is counted.

In an election with named nodes it holds the proof that the vote is in the log which a quorum of them signed:
that is final. Before that it holds what single nodes signed when they received the vote. Without named nodes
it holds the chain of headers up to the vote's block; another branch may have more work by now.
`docs/audit.md` says what to compare a receipt with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import msgspec

from votenet.core.election.amendment import Amendments, with_amendments
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.election.quorum import NEVER_FINAL, holders_sentence
from votenet.core.election.roll import RollSource, roll_from, with_roll
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.faults import fault
from votenet.core.ledger.block import Header, check_sequence
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.vote import (
    HashedVote,
    Vote,
    check_header_hours,
    check_vote,
    forgery,
    hash_vote,
)
from votenet.core.limits import FORMAT_VERSION, MAX_NAMED_NODES, RECEIPT_FORMAT
from votenet.core.log.certificate import check_certificate
from votenet.core.log.merkle import root_from_path
from votenet.core.log.tlog_proof import check_path, parse_proof
from votenet.core.records.acceptance import Acceptance
from votenet.core.records.archive import (
    checked_election,
    registration_of,
    signed_by,
    strict_header,
)
from votenet.core.records.canonical_record import check_format, decode_record
from votenet.errors import NotProven, Rejected


class ChainProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way from a vote to the work that was done on top of it.

    `headers` go from genesis' successor to the vote's block; `path` from the leaf up. The vote is leaf
    `position` of the `size` leaves below the last header's Merkle root.
    """

    headers: tuple[str, ...]
    path: tuple[Hex32, ...]
    position: Unsigned
    size: Unsigned


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. Exactly one of `acceptances`, `chain` and `proof` (a C2SP tlog-proof) proves something.

    `amendments` are those up to the vote's block, perhaps later ones too. They say who is on the roll.
    """

    acceptances: Annotated[tuple[Acceptance, ...], msgspec.Meta(max_length=MAX_NAMED_NODES)]
    amendments: Amendments
    chain: ChainProof | None
    definition: ElectionDefinition
    format: str
    proof: str
    version: Unsigned
    vote: Vote


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """Where a chain of headers has the vote. `work` is cumulative; times in Unix seconds."""

    block: str
    block_time: int
    height: int
    position: int
    work: int


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    """The content of a receipt that was checked; times in Unix seconds.

    `finality` says in words how final the vote is, `final` whether it is. `signed_by`: the names of the nodes
    that signed the log with the vote, `received_by`: of those that signed that they received it.
    """

    title: str
    network_id: str
    registration: str
    voter_id: str
    choices: tuple[tuple[str, ...], ...]
    vote_id: str
    time: int
    final: bool
    finality: str
    signed_by: tuple[str, ...] = ()
    received_by: tuple[str, ...] = ()
    index: int | None = None
    """Which leaf of the log the vote is."""
    chain: ChainFacts | None = None


def make_receipt(
    election: Election, vote: Vote, headers: Sequence[str], *, path: Sequence[str], position: int, size: int
) -> Receipt:
    """For an election without named nodes."""
    chain = ChainProof(headers=tuple(headers), path=tuple(path), position=position, size=size)
    return _receipt(election, vote, chain=chain)


def make_final_receipt(election: Election, vote: Vote, proof: str) -> Receipt:
    """With a tlog-proof whose checkpoint is a certificate."""
    return _receipt(election, vote, proof=proof)


def make_received_receipt(election: Election, vote: Vote, acceptances: Iterable[Acceptance]) -> Receipt:
    """With one acceptance of each node that signed one."""
    found = tuple(sorted(acceptances, key=lambda acceptance: acceptance.node))
    return _receipt(election, vote, acceptances=found)


def _receipt(
    election: Election,
    vote: Vote,
    *,
    chain: ChainProof | None = None,
    proof: str = "",
    acceptances: tuple[Acceptance, ...] = (),
) -> Receipt:
    return Receipt(
        acceptances=acceptances,
        amendments=election.amendments,
        chain=chain,
        definition=election.definition,
        format=RECEIPT_FORMAT,
        proof=proof,
        version=FORMAT_VERSION,
        vote=vote,
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of the file: canonical JSON and a newline."""
    return canonical(receipt) + b"\n"


def decode_receipt(data: bytes) -> Receipt:
    """Raises NotProven as `decode_record` does; truncated when the closing newline is missing."""
    if not data.endswith(b"\n"):
        raise fault("truncated", "a receipt ends with a newline")
    return decode_record(data[:-1], Receipt)


def check_receipt(
    receipt: Receipt, now: int, trusted: str | None = None, roll: RollSource = None
) -> ReceiptReport:
    """Check everything that the receipt claims.

    Args:
        now: the clock, Unix seconds; without named nodes no header may be more than two hours ahead of it.
        trusted: the network id (hexadecimal) of the election that the voter took part in.
        roll: who may vote with which key; without it that is not checked.

    Raises:
        NotProven: with the code of the first fault.
        ConfigError: this is not the roll of that election.
    """
    check_format(receipt.format, receipt.version, RECEIPT_FORMAT)
    election = checked_election(receipt.definition)
    if trusted not in (None, election.network_hex):
        raise fault("network-mismatch", f"this receipt is of network {election.network_hex}")
    if (voters := roll_from(roll, election)) is not None:
        election = with_roll(election, voters)
    _check_kind(receipt, election)
    election = with_amendments(election, receipt.amendments)
    try:
        return _check(receipt, election, now)
    except Rejected as error:
        raise fault(error.code, error.message) from error


def _check_kind(receipt: Receipt, election: Election) -> None:
    carried = [
        name
        for name, there in (
            ("a chain", receipt.chain is not None),
            ("a proof of the log", receipt.proof != ""),
            ("acceptances", receipt.acceptances != ()),
        )
        if there
    ]
    right = ["a proof of the log", "acceptances"] if election.named else ["a chain"]
    if len(carried) != 1 or carried[0] not in right:
        found = " and ".join(carried) or "nothing"
        raise fault("bad-receipt", f"a receipt of this election carries {' or '.join(right)}, not {found}")


def _check(receipt: Receipt, election: Election, now: int) -> ReceiptReport:
    hashed = hash_vote(receipt.vote)
    check_vote(hashed, election)
    if (wrong := forgery(hashed, election)) is not None:
        raise fault(wrong.code, wrong.message)
    report = ReceiptReport(
        title=election.definition.title,
        network_id=election.network_hex,
        registration=registration_of(election),
        voter_id=hashed.voter_id,
        choices=hashed.vote.choices,
        vote_id=hashed.id.hex(),
        time=hashed.vote.time,
        final=False,
        finality=NEVER_FINAL,
    )
    if receipt.chain is not None:
        return replace(report, chain=_check_chain(receipt.chain, hashed, election, now))
    if receipt.proof:
        return _check_proof(receipt.proof, hashed, election, report)
    return _check_acceptances(receipt.acceptances, hashed, election, report)


def _check_chain(chain: ChainProof, hashed: HashedVote, election: Election, now: int) -> ChainFacts:
    tip = _check_headers([strict_header(text) for text in chain.headers], election, now).tip
    if tip.height == 0:
        raise fault("broken-chain", "the receipt has no headers")
    check_header_hours(tip.header.time, election)
    path = [bytes.fromhex(sibling) for sibling in chain.path]
    if root_from_path(hashed.id, chain.position, chain.size, path) != tip.header.merkle_root:
        raise fault("bad-merkle-path", "the path does not lead from the vote to the last header")
    return ChainFacts(
        block=tip.hash.hex(),
        block_time=tip.header.time,
        height=tip.height,
        position=chain.position,
        work=tip.work,
    )


def _check_proof(text: str, hashed: HashedVote, election: Election, report: ReceiptReport) -> ReceiptReport:
    proof = parse_proof(text)
    certificate = check_certificate(proof.note, election.named_keys)
    check_path(proof, hashed.id)
    signers = sorted(certificate.signers)
    return replace(
        report,
        final=True,
        finality=f"final: {signed_by(signers, election)}",
        signed_by=election.node_names(signers),
        index=proof.index,
    )


def _check_acceptances(
    acceptances: Sequence[Acceptance], hashed: HashedVote, election: Election, report: ReceiptReport
) -> ReceiptReport:
    nodes = [acceptance.node for acceptance in acceptances]
    if any(left >= right for left, right in pairwise(nodes)):
        raise fault("bad-acceptance", "each named node accepts once, in the order of the nodes")
    closes = election.closes
    for acceptance in acceptances:
        if closes is not None and acceptance.time >= closes:
            raise fault("bad-acceptance", f"named node {acceptance.node} accepted after the closing")
        acceptance.check(election.network_hex, hashed.id, election.statement_keys)
    return replace(
        report,
        finality=f"not final yet: {holders_sentence(len(nodes), election.named)}",
        received_by=election.node_names(nodes),
    )


def _check_headers(headers: Sequence[Header], election: Election, now: int) -> Chain:
    """A chain of these headers alone: links and work checked all at once, then the rules one by one."""
    chain = Chain(election)
    hashes, refusal = check_sequence(headers)
    for height, header in enumerate(headers, start=1):
        if header.previous != chain.tip.hash:
            raise fault("broken-chain", f"header {height} does not name the hash of the one before it")
        known = hashes[height - 1] if height <= len(hashes) else None
        try:
            entry = chain.add_header(header, now, known)
        except Rejected as error:
            raise fault(error.code, f"header {height}: {error.message}") from error
        if known is None and refusal is not None:
            raise NotProven(refusal.message, code=refusal.code)
        chain.add_body(entry, lambda _: ())
    return chain
