"""The vote: its record, its canonical bytes, its id, its signature, its rules.

Whether the voter has voted before is asked elsewhere (`chain.py`, `mempool.py`).

The record that is hashed into a block is the canonical JSON of all fields, signature included. Its
RFC 6962 leaf hash is the vote id, so an inclusion proof starts at the id that the voter was given. The
signature covers DOMAIN_VOTE and the canonical JSON of the other fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Final

import msgspec

from votenet.core.election.definition import Election
from votenet.core.encoding import DOMAIN_VOTE, Unsigned, VoterId, canonical
from votenet.core.keys import Claim, SigningKey, verify
from votenet.core.ledger.secret_vote import ForgedVote, check_credential, check_form, proof_fault
from votenet.core.limits import (
    MAX_CHOICES,
    MAX_CONTESTS,
    MAX_NAME,
    MAX_RECORD_BYTES,
    MAX_VOTE_BYTES,
    MAX_VOTER_ID,
)
from votenet.core.log.merkle import leaf_hash, leaf_hashes
from votenet.core.text import check_voter_id, is_plain
from votenet.errors import Rejected

Choices = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)], ...],
    msgspec.Meta(max_length=MAX_CHOICES),
]
"""The choices of a voter in one contest, in order of preference."""
_Key = Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
_Signature = Annotated[str, msgspec.Meta(min_length=128, max_length=128)]


class Vote(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """A signed vote: choices for each contest in order; `time` in Unix seconds; keys in hexadecimal.

    `ballot` is an encrypted ballot and stands only in the votes of secret elections.
    """

    ballot: str = ""
    choices: Annotated[tuple[Choices, ...], msgspec.Meta(max_length=MAX_CONTESTS)]
    network_id: _Key
    signature: _Signature
    time: Unsigned
    voter_id: VoterId
    voter_key: _Key


class HashedVote(msgspec.Struct, frozen=True, gc=False):
    """A vote with its canonical record and its id (32 bytes), computed once.

    No reference cycle can lead through it (`gc=False`), so that Python's garbage collector need not look at
    each of a city's votes.
    """

    vote: Vote
    record: bytes
    id: bytes

    @property
    def voter_id(self) -> str:
        return self.vote.voter_id


def hash_vote(vote: Vote) -> HashedVote:
    record = canonical(vote)
    return HashedVote(vote, record, leaf_hash(record))


def hash_votes(votes: Sequence[Vote]) -> list[HashedVote]:
    records = list(map(canonical, votes))
    return list(map(HashedVote, votes, records, leaf_hashes(records)))


def sign_vote(
    key: SigningKey,
    *,
    network_hex: str,
    voter_id: str,
    choices: Sequence[Sequence[str]],
    time: int,
    ballot: str = "",
) -> HashedVote:
    """A voter's signed vote; `time` in Unix seconds, `network_hex` the election's network id.

    Args:
        choices: for each contest the candidates, in order of preference; none beside an encrypted ballot.
        ballot: the encrypted one of a secret election.
    """
    unsigned: dict[str, Any] = {
        **({"ballot": ballot} if ballot else {}),
        "choices": tuple(map(tuple, choices)),
        "network_id": network_hex,
        "time": time,
        "voter_id": voter_id,
        "voter_key": key.public_hex,
    }
    signature = key.sign(DOMAIN_VOTE + canonical(unsigned))
    return hash_vote(Vote(**unsigned, signature=signature.hex()))


def forgery(hashed: HashedVote, election: Election) -> ForgedVote | None:
    """Why no honest program sends this vote: its signature or a proof of its ballot; None if all holds."""
    return forgeries([hashed], election)[0]


def forgeries(votes: Sequence[HashedVote], election: Election) -> list[ForgedVote | None]:
    """`forgery` of each vote. A signature takes about 60 microseconds of CPU; after it come the proofs."""
    secret = election.secret is not None
    return [
        _bad_signature(hashed) if not holds else proof_fault(hashed.vote, election) if secret else None
        for hashed, holds in zip(votes, signatures_hold(votes), strict=True)
    ]


def _bad_signature(hashed: HashedVote) -> ForgedVote:
    return ForgedVote("bad-signature", f"the vote of {hashed.voter_id!r} is not signed by its key")


def signature_holds(hashed: HashedVote) -> bool:
    """Whether the vote was signed by the key that it names."""
    return signatures_hold([hashed])[0]


def signatures_hold(votes: Sequence[HashedVote]) -> list[bool]:
    """Whether each vote was signed by the key that it names, without the GIL where the C core is built."""
    verify_records = native_verifier()
    if verify_records is None:
        return [verify(*_claim(hashed)) for hashed in votes]
    return verify_records(DOMAIN_VOTE, [hashed.record for hashed in votes])


@cache
def native_verifier() -> Callable[[bytes, Sequence[bytes]], list[bool]] | None:
    try:
        from votenet.core.native import verify_records
    except ImportError:
        return None
    return verify_records


_SIGNATURE_MEMBER: Final = b',"signature":"'


def _claim(hashed: HashedVote) -> Claim:
    """Key, signed bytes and signature of a vote. C does the same.

    The signature's member is cut out of the record. It stands there once: within a JSON string no quotation
    mark follows a comma without a backslash between. Hexadecimal digits are written as they are.
    """
    vote, record = hashed.vote, hashed.record
    try:
        public, signature = bytes.fromhex(vote.voter_key), bytes.fromhex(vote.signature)
    except ValueError:
        return b"", b"", b""  # no key has that length: it holds for nothing
    begin = record.index(_SIGNATURE_MEMBER)
    end = begin + len(_SIGNATURE_MEMBER) + len(vote.signature) + 1
    return public, b"".join((DOMAIN_VOTE, record[:begin], record[end:])), signature


def check_vote(hashed: HashedVote, election: Election) -> None:
    """Check every rule about a vote that needs neither the chain, the clock nor a signature or proof.

    Raises:
        Rejected: network-mismatch, bad-vote, bad-choices, unknown-candidate, vote-too-large; where
            the election has its roll: not-on-roll, wrong-key, of secret ballots bad-document,
            unknown-credential.
    """
    check_ballot(hashed, election)
    check_on_roll(hashed.vote, election)


def rules_broken(votes: Sequence[HashedVote], election: Election) -> list[Rejected | None]:
    """Why `check_vote` refuses each vote; None where it does not.

    Where voters choose one name in one contest, without a roll, nearly all votes pass one expression: that
    takes half a microsecond, and `check_vote` more than one.
    """
    (contest, *others) = election.contests
    rules = contest.definition
    if others or election.secret is not None or not rules.min <= 1 <= rules.max:
        return [_rule_broken(hashed, election) for hashed in votes]
    if election.registered is not None or election.given_keys:
        return [_rule_broken(hashed, election) for hashed in votes]
    network, candidates = election.network_hex, contest.candidates
    return [
        None
        if (vote := hashed.vote).network_id == network
        and len(hashed.record) <= MAX_VOTE_BYTES
        and len(vote.choices) == 1
        and len(chosen := vote.choices[0]) == 1
        and chosen[0] in candidates
        and 1 <= len(voter := vote.voter_id) <= MAX_VOTER_ID
        and is_plain(voter)
        and (keys := vote.signature + vote.voter_key) == keys.lower()
        and not vote.ballot
        else _rule_broken(hashed, election)
        for hashed in votes
    ]


def _rule_broken(hashed: HashedVote, election: Election) -> Rejected | None:
    try:
        check_vote(hashed, election)
    except Rejected as error:
        return error.with_traceback(None)
    return None


def check_ballot(hashed: HashedVote, election: Election) -> None:
    """`check_vote` without the roll. Raises Rejected."""
    vote = hashed.vote
    if vote.network_id != election.network_hex:
        raise Rejected("network-mismatch", "this vote belongs to another election")
    most = MAX_VOTE_BYTES if election.secret is None else MAX_RECORD_BYTES
    if len(hashed.record) > most:
        raise Rejected("vote-too-large", f"a vote has at most {most} bytes")
    check_voter_id(vote.voter_id)
    # Upper-case digits would give the same vote a second id.
    if vote.signature != vote.signature.lower() or vote.voter_key != vote.voter_key.lower():
        raise Rejected("bad-vote", "keys and signatures are written in lower-case hexadecimal")
    if election.secret is not None:
        check_form(vote)
        return
    if vote.ballot:
        raise Rejected("bad-vote", "this election has no encrypted ballots")
    contests = election.contests
    if len(vote.choices) != len(contests):
        asked = "1 contest" if len(contests) == 1 else f"{len(contests)} contests"
        raise Rejected("bad-choices", f"this election has {asked}, the vote {len(vote.choices)}")
    for contest, choices in zip(contests, vote.choices, strict=True):
        contest.check(choices)


def ballots(votes: Iterable[HashedVote]) -> list[tuple[Choices, ...]]:
    """What is counted of each vote: its choices in every contest."""
    return [hashed.vote.choices for hashed in votes]


def check_on_roll(vote: Vote, election: Election) -> None:
    """Check the voter and the key of a vote against the roll in force, as far as it is here.

    Raises:
        Rejected: not-on-roll, wrong-key, bad-document, unknown-credential.
    """
    known = election.given_keys if election.registered is None else election.registered
    key = known.get(vote.voter_id)
    if key is None and election.registered is not None:
        raise Rejected("not-on-roll", f"{vote.voter_id!r} is not on the roll of this election")
    if key is not None and key != vote.voter_key:
        raise Rejected("wrong-key", f"the vote of {vote.voter_id!r} is not signed by the key on the roll")
    if election.secret is not None:
        check_credential(vote, election)


def check_all_on_roll(votes: Iterable[HashedVote], election: Election) -> None:
    """`check_on_roll` of each vote. Raises Rejected."""
    for hashed in votes:
        check_on_roll(hashed.vote, election)


def check_hours(time: int, election: Election) -> None:
    """Check that the election is open at `time`, in Unix seconds. Raises Rejected: not-open, closed."""
    opens, closes = election.definition.opens, election.closes
    if opens is not None and time < opens:
        raise Rejected("not-open", "voting has not begun", opens=opens)
    if closes is not None and time >= closes:
        raise Rejected("closed", "voting has ended", closes=closes)


def check_header_hours(time: int, election: Election) -> None:
    """Check the time of a block with votes. Raises Rejected: not-open, closed.

    Named nodes close voting by their closing lists, not by a header's time.
    """
    opens = election.definition.opens
    if not election.named:
        check_hours(time, election)
    elif opens is not None and time < opens:
        raise Rejected("not-open", "voting has not begun", opens=opens)
