"""The vote: its record, its canonical bytes, its id, its signature, its rules.

What lives here: everything that one vote can be checked for on its own. What must not: whether
the voter has voted before (`core/chain.py`, `core/mempool.py`), keys on disk, clocks.

The record that is hashed into a block is the canonical JSON of all six fields, signature
included. Its RFC 6962 leaf hash is the vote id, so an inclusion proof starts at the id that the
voter was given. The signature covers DOMAIN_VOTE and the canonical JSON of the other five fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from votenet.core.election import Election
from votenet.core.encoding import DOMAIN_VOTE, Unsigned, canonical
from votenet.core.keys import Claim, SigningKey, native_batches, verify_all
from votenet.core.limits import MAX_CHOICES, MAX_NAME, MAX_VOTE_BYTES, MAX_VOTER_ID
from votenet.core.merkle import leaf_hash, leaf_hashes
from votenet.core.text import is_plain, text_fault
from votenet.errors import Rejected

VoterId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_VOTER_ID)]
Choices = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)], ...],
    msgspec.Meta(min_length=1, max_length=MAX_CHOICES),
]
_Key = Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
_Signature = Annotated[str, msgspec.Meta(min_length=128, max_length=128)]


class UnsignedVote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the voter signs."""

    choices: Choices
    network_id: _Key
    time: Unsigned
    voter_id: VoterId
    voter_key: _Key


class Vote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A signed vote. `choices` in order of preference; `time` in Unix seconds; keys in hexadecimal."""

    choices: Choices
    network_id: _Key
    signature: _Signature
    time: Unsigned
    voter_id: VoterId
    voter_key: _Key


class SealedVote(msgspec.Struct, frozen=True, gc=False):
    """A vote with what is computed from it once: canonical record and id (32 bytes).

    Made by `seal`, or by `unseal` from a record that `seal` made: `record` is always canonical. No cycle
    can lead through it, so that Python's search for garbage need not look at each of a city's votes.
    """

    vote: Vote
    record: bytes
    id: bytes

    @property
    def voter_id(self) -> str:
        return self.vote.voter_id


def seal(vote: Vote) -> SealedVote:
    """Compute record and id of a vote."""
    record = canonical(vote)
    return SealedVote(vote, record, leaf_hash(record))


def seal_all(votes: Sequence[Vote]) -> list[SealedVote]:
    """`seal` of each."""
    records = list(map(canonical, votes))
    return list(map(SealedVote, votes, records, leaf_hashes(records)))


_decoder = msgspec.json.Decoder(Vote)


def unseal(record: bytes) -> SealedVote:
    """A stored record back to a sealed vote.

    Raises:
        msgspec.DecodeError: the bytes are not a vote record.
    """
    return SealedVote(_decoder.decode(record), record, leaf_hash(record))


def sign_vote(
    key: SigningKey, *, network_hex: str, voter_id: str, choices: Sequence[str], time: int
) -> SealedVote:
    """A voter's signed vote; `time` in Unix seconds, `network_hex` the election's network id."""
    unsigned = UnsignedVote(
        choices=tuple(choices), network_id=network_hex, time=time, voter_id=voter_id, voter_key=key.public_hex
    )
    signature = key.sign(DOMAIN_VOTE + canonical(unsigned)).hex()
    return seal(
        Vote(
            choices=unsigned.choices,
            network_id=network_hex,
            signature=signature,
            time=time,
            voter_id=voter_id,
            voter_key=unsigned.voter_key,
        )
    )


def signature_holds(sealed: SealedVote) -> bool:
    """Whether the vote was signed by the key that it names. About 60 microseconds of CPU."""
    return signatures_hold([sealed])[0]


def signatures_hold(votes: Sequence[SealedVote]) -> list[bool]:
    """`signature_holds` of each vote, in one call without the GIL where the C core is built."""
    native = native_batches()
    if native is None:
        return verify_all([_claim(sealed) for sealed in votes])
    found: list[bool] = native.verify_records(DOMAIN_VOTE, [sealed.record for sealed in votes])
    return found


_SIGNATURE_MEMBER: Final = b',"signature":"'


def _claim(sealed: SealedVote) -> Claim:
    """What the voter claims to have signed: the canonical JSON of the five other fields. C does the same.

    It is cut out of the record. The member stands there once: within a JSON string no quotation mark
    follows a comma without a backslash between. Hexadecimal digits are written as they are.
    """
    vote, record = sealed.vote, sealed.record
    try:
        public, signature = bytes.fromhex(vote.voter_key), bytes.fromhex(vote.signature)
    except ValueError:
        return b"", b"", b""  # no key has that length: it holds for nothing
    begin = record.index(_SIGNATURE_MEMBER)
    end = begin + len(_SIGNATURE_MEMBER) + len(vote.signature) + 1
    return public, b"".join((DOMAIN_VOTE, record[:begin], record[end:])), signature


def check_voter_id(voter_id: str) -> None:
    """Whether somebody may be called so. Raises Rejected bad-vote."""
    if not 1 <= len(voter_id) <= MAX_VOTER_ID:
        raise Rejected("bad-vote", f"a voter id has 1 to {MAX_VOTER_ID} characters")
    if not is_plain(voter_id):
        raise Rejected("bad-vote", f"the voter id {voter_id!r} has {text_fault(voter_id)}")


def check_vote(sealed: SealedVote, election: Election) -> None:
    """Every rule about a vote that needs neither the chain, the clock nor the signature.

    Raises:
        Rejected: network-mismatch, bad-vote, bad-choices, unknown-candidate, vote-too-large; where
            the election has its roll: not-on-roll, wrong-key.
    """
    vote = sealed.vote
    if vote.network_id != election.network_hex:
        raise Rejected("network-mismatch", "this vote belongs to another election")
    if len(sealed.record) > MAX_VOTE_BYTES:
        raise Rejected("vote-too-large", f"a vote has at most {MAX_VOTE_BYTES} bytes")
    check_voter_id(vote.voter_id)
    # Upper-case digits would give the same vote a second id.
    if vote.signature != vote.signature.lower() or vote.voter_key != vote.voter_key.lower():
        raise Rejected("bad-vote", "keys and signatures are written in lower-case hexadecimal")
    if not 1 <= len(vote.choices) <= election.max_choices:
        raise Rejected("bad-choices", f"a vote has 1 to {election.max_choices} choices")
    if len(set(vote.choices)) != len(vote.choices):
        raise Rejected("bad-choices", "a candidate is chosen twice")
    for choice in vote.choices:
        if choice not in election.candidates:
            words, names = election.offer
            raise Rejected(
                "unknown-candidate",
                f"{choice!r} is not a candidate; choose from: {words}",
                **({"candidates": list(names)} if names else {}),
            )
    if election.registered is not None:
        check_registered(vote, election.registered)


def check_registered(vote: Vote, registered: Mapping[str, str]) -> None:
    """Whether a vote is that of somebody on the roll: voter id to key (hexadecimal).

    Raises:
        Rejected: not-on-roll, wrong-key.
    """
    key = registered.get(vote.voter_id)
    if key is None:
        raise Rejected("not-on-roll", f"{vote.voter_id!r} is not on the roll of this election")
    if key != vote.voter_key:
        raise Rejected("wrong-key", f"the vote of {vote.voter_id!r} is not signed by the key on the roll")


def check_hours(time: int, election: Election) -> None:
    """Whether the election is open at `time`: a block's time on the chain, the clock before it.

    Raises:
        Rejected: not-open, closed.
    """
    opens, closes = election.definition.opens, election.definition.closes
    if opens is not None and time < opens:
        raise Rejected("not-open", "voting has not begun", opens=opens)
    if closes is not None and time >= closes:
        raise Rejected("closed", "voting has ended", closes=closes)
