"""The rules about the encrypted ballot of a vote, beside those that every vote has.

Two steps. What needs no computation (`check_form`, `check_credential`) stands among the rules of `vote.py`:
a ballot by another credential than the voter's is refused before it costs anything. The proofs are checked
where signatures are (`proof_fault`), and like these only once: they depend on ballot and definition alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from votenet.errors import NotProven, Rejected
from votenet.secret.ballot import check_ballot
from votenet.secret.documents import fingerprint
from votenet.secret.group import Point

if TYPE_CHECKING:
    from votenet.core.election.definition import Election
    from votenet.core.ledger.vote import Vote


class ForgedVote(Rejected):
    """Why a vote is refused that no honest program sends: its signature or a proof of its ballot is wrong."""


class _Named(msgspec.Struct, frozen=True):
    """The member of a ballot that says whose it is."""

    credential: str


_named: Final = msgspec.json.Decoder(_Named)


class _AnyCredential:
    """Whose credential it is, `check_credential` says: the roll may have been amended since the check."""

    def __contains__(self, credential: object) -> bool:
        return isinstance(credential, Point)


def named_credential(ballot: str) -> str:
    """The public credential that a ballot names, of which nothing else is looked at.

    Raises:
        msgspec.DecodeError, RecursionError, UnicodeError: it is no ballot.
    """
    return _named.decode(ballot).credential


def check_form(vote: Vote) -> None:
    """Check that a vote has a ballot and nothing that could be read in public. Raises Rejected: bad-vote."""
    if vote.choices:
        raise Rejected("bad-vote", "the ballots of this election are secret: a vote has no open choices")
    if not vote.ballot:
        raise Rejected("bad-vote", "the ballots of this election are secret, and the vote has none")


def check_credential(vote: Vote, election: Election) -> None:
    """Check that the ballot names the credential that the voter has on the roll in force, if that is here.

    Raises:
        Rejected: bad-document, unknown-credential.
    """
    known = election.given_credentials if election.credentials is None else election.credentials
    right = known.get(vote.voter_id)
    if right is None:
        return
    try:
        named = named_credential(vote.ballot)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Rejected("bad-document", f"the ballot is not one of Belenios: {error}") from None
    if named != right:
        raise Rejected(
            "unknown-credential",
            f"the ballot of {vote.voter_id!r} is not made with the credential on the roll",
        )


def proof_fault(vote: Vote, election: Election) -> ForgedVote | None:
    """Why the ballot of a vote proves nothing, in an election with secret ballots; None if all of it holds.

    It takes about a millisecond for each candidate.
    """
    assert election.secret is not None
    try:
        check_ballot(election.secret, vote.ballot.encode(), _AnyCredential())
    except (NotProven, UnicodeError) as error:
        code = error.code if isinstance(error, NotProven) else "bad-document"
        return ForgedVote(code, f"the ballot of {vote.voter_id!r}: {error}")
    return None


def ballot_fingerprint(vote: Vote) -> str:
    """As the booth shows it, and Belenios: SHA-256 of the ballot in Base64 without padding, 43 characters."""
    return fingerprint(vote.ballot.encode())
