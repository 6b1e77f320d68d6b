"""The counted ballots in the archive of an election with secret ballots, with the weights of its roll."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from votenet.core.election.definition import Election
from votenet.core.faults import fault
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.secret_vote import named_credential
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import Command, ConfigError, NextStep
from votenet.secret.decryption_share import DecryptionShare, read_share
from votenet.secret.definition import SecretElection
from votenet.secret.group import Point


class SecretArchive(NamedTuple):
    """A final election whose ballots are still encrypted."""

    election: Election
    """In force at its end, with its roll."""
    secret: SecretElection
    ballots: tuple[bytes, ...]
    """In the order of the chain, one a voter."""
    weights: dict[Point, int]
    """Of all voters, by the public credential of their vote; of those without a vote by that in force."""
    ended: int
    """When the last block was made, Unix seconds."""
    shares: tuple[DecryptionShare, ...] = ()
    """Those of trustees that the archive has, checked."""


def read_secret_archive(
    check: ArchiveCheck, blocks: Iterable[tuple[BlockIndexEntry, Sequence[HashedVote]]]
) -> SecretArchive:
    """What trustees decrypt; `blocks` are those of `check`.

    Raises:
        NotProven: with the first fault of the archive; not-final; cancelled.
        ConfigError: contradiction, when its ballots are public; roll-missing.
    """
    secret = check.election.secret
    if secret is None:
        raise ConfigError(
            "the ballots of this election are public: there is nothing to decrypt",
            code="contradiction",
            next_step=NextStep("The archive has the counts: {}", Command("audit", "ARCHIVE")),
        )
    if check.election.credentials is None:
        raise ConfigError(
            "the roll of this election is not here, which has the voters' credentials",
            code="roll-missing",
            next_step="Take the roll file from the election's authority and give it with --roll FILE.",
        )
    ballots, used = list[bytes](), dict[str, str]()
    for _, votes in blocks:
        for hashed in votes:
            ballots.append(hashed.vote.ballot.encode())
            used[hashed.voter_id] = named_credential(hashed.vote.ballot)
    _check_final(check)
    return SecretArchive(
        check.election,
        secret,
        tuple(ballots),
        _weights(check.election, used),
        check.chain.tip.header.time,
        tuple(map(read_share, check.shares)),
    )


def _check_final(check: ArchiveCheck) -> None:
    """Raises NotProven: not-final, cancelled."""
    if check.election.cancelled:
        raise fault("cancelled", "the election was cancelled: nothing is decrypted")
    if not check.report().final:
        raise fault("not-final", "the result is not final: trustees decrypt nothing before that")


def _weights(election: Election, used: dict[str, str]) -> dict[Point, int]:
    credentials = {**(election.credentials or {}), **used}
    voters = sorted(credentials, key=str.encode)
    weights = election.weights_of(voters) or [1] * len(voters)
    return {Point.parse(credentials[voter]): weight for voter, weight in zip(voters, weights, strict=True)}
