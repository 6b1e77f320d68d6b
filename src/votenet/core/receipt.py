"""The receipt: one file that proves to anybody, without the network, that a vote is on a chain.

What lives here: the record and its check. What must not: files, asking nodes (`cli/receipt.py`).

It proves that the work in its headers was done on top of a block that holds the vote; it cannot tell
whether another branch has more work by now. `docs/audit.md` says what to compare it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from votenet.core.archive import checked_election, registration_of, strict_header
from votenet.core.block import Header, check_sequence
from votenet.core.chain import Chain
from votenet.core.election import Election, ElectionDefinition
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.evidence import decode_record, fault
from votenet.core.limits import FORMAT_VERSION, RECEIPT_FORMAT
from votenet.core.merkle import root_from_path
from votenet.core.roll import Roll, with_roll
from votenet.core.vote import Vote, check_hours, check_vote, seal, signature_holds
from votenet.errors import NotProven, Rejected


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `headers` go from genesis' successor to the vote's block; `path` from the leaf up.

    The vote is leaf `position` of the `size` leaves below the last header's Merkle root.
    """

    definition: ElectionDefinition
    format: str
    headers: tuple[str, ...]
    path: tuple[Hex32, ...]
    position: Unsigned
    size: Unsigned
    version: Unsigned
    vote: Vote


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    """What a receipt that holds says. `work` is cumulative; times in Unix seconds."""

    title: str
    network_id: str
    registration: str
    voter_id: str
    choices: tuple[str, ...]
    vote_id: str
    time: int
    block: str
    block_time: int
    height: int
    position: int
    work: int


def make_receipt(
    election: Election, vote: Vote, headers: Sequence[str], *, path: Sequence[str], position: int, size: int
) -> Receipt:
    """A receipt, unchecked."""
    return Receipt(
        definition=election.definition,
        format=RECEIPT_FORMAT,
        headers=tuple(headers),
        path=tuple(path),
        position=position,
        size=size,
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
    receipt: Receipt, now: int, trusted: str | None = None, roll: Roll | None = None
) -> ReceiptReport:
    """Everything that the receipt claims.

    Args:
        now: the clock, Unix seconds; no header may be more than two hours ahead of it.
        trusted: the network id (hexadecimal) of the election that the voter took part in.
        roll: who may vote with which key; without it that is not checked.

    Raises:
        NotProven: with the code of the first fault.
        ConfigError: this is not the roll of that election.
    """
    if receipt.format != RECEIPT_FORMAT:
        raise fault("wrong-format", f"this is {receipt.format!r}, not {RECEIPT_FORMAT!r}")
    if receipt.version != FORMAT_VERSION:
        raise fault("wrong-version", f"version {receipt.version} is not known here")
    election = checked_election(receipt.definition)
    if trusted not in (None, election.network_hex):
        raise fault("network-mismatch", f"this receipt is of network {election.network_hex}")
    if roll is not None:
        election = with_roll(election, roll)
    try:
        return _check(receipt, election, now)
    except Rejected as error:
        raise fault(error.code, error.message) from error


def _check(receipt: Receipt, election: Election, now: int) -> ReceiptReport:
    sealed = seal(receipt.vote)
    check_vote(sealed, election)
    if not signature_holds(sealed):
        raise fault("bad-signature", f"the vote of {sealed.voter_id!r} is not signed by its key")
    tip = _check_headers([strict_header(text) for text in receipt.headers], election, now).tip
    if tip.height == 0:
        raise fault("broken-chain", "the receipt has no headers")
    check_hours(tip.header.time, election)
    path = [bytes.fromhex(sibling) for sibling in receipt.path]
    if root_from_path(sealed.id, receipt.position, receipt.size, path) != tip.header.merkle_root:
        raise fault("bad-merkle-path", "the path does not lead from the vote to the last header")
    return ReceiptReport(
        title=election.definition.title,
        network_id=election.network_hex,
        registration=registration_of(election),
        voter_id=sealed.voter_id,
        choices=sealed.vote.choices,
        vote_id=sealed.id.hex(),
        time=sealed.vote.time,
        block=tip.hash.hex(),
        block_time=tip.header.time,
        height=tip.height,
        position=receipt.position,
        work=tip.work,
    )


def _check_headers(headers: Sequence[Header], election: Election, now: int) -> Chain:
    """A chain of these headers alone: links and work all at once, then the rules one by one."""
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
